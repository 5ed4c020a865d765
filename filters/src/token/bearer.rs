//! The `Authorization` header (RFC 6750 §2.1, RFC 9449 §7.1).

use super::TokenError;

/// How a token is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Bearer,
    Dpop,
}

/// The bearer token among the `authorization` values of a request, `None` where there is no such header.
///
/// # Errors
/// [`TokenError::Repeated`] and [`TokenError::NotBearer`]; the scheme `DPoP` is another one here.
pub fn bearer<'h>(values: &[&'h [u8]]) -> Result<Option<&'h str>, TokenError> {
    match authorization(values)? {
        Some((Scheme::Bearer, token)) => Ok(Some(token)),
        Some((Scheme::Dpop, _)) => Err(TokenError::NotBearer),
        None => Ok(None),
    }
}

/// Scheme and token among the `authorization` values of a request, `None` where there is no such header.
///
/// The scheme is compared without case and followed by spaces and one `b64token`; nothing else may stand there, so two
/// credentials joined by a comma are refused.
///
/// # Errors
/// [`TokenError::Repeated`] for more than one header, even with equal values: whoever reads the other one must not
/// reach another decision. [`TokenError::NotBearer`] for another scheme or shape: it is a credential that was presented
/// and does not verify.
pub(super) fn authorization<'h>(values: &[&'h [u8]]) -> Result<Option<(Scheme, &'h str)>, TokenError> {
    let value = match values {
        [] => return Ok(None),
        [value] => *value,
        more => return Err(TokenError::Repeated(more.len())),
    };
    let space = value.iter().position(|byte| *byte == b' ').ok_or(TokenError::NotBearer)?;
    let (scheme, rest) = value.split_at_checked(space).ok_or(TokenError::NotBearer)?;
    let scheme = match scheme {
        name if name.eq_ignore_ascii_case(b"bearer") => Scheme::Bearer,
        name if name.eq_ignore_ascii_case(b"dpop") => Scheme::Dpop,
        _ => return Err(TokenError::NotBearer),
    };
    let token = rest.trim_ascii_start();
    let spaces = rest.get(..rest.len() - token.len()).unwrap_or_default();
    if spaces.iter().any(|byte| *byte != b' ') || !is_b64token(token) {
        return Err(TokenError::NotBearer);
    }
    let token = std::str::from_utf8(token).map_err(|_not_ascii| TokenError::NotBearer)?;
    Ok(Some((scheme, token)))
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_b64token(text: &[u8]) -> bool {
    let body = text.iter().rposition(|b| *b != b'=').and_then(|last| text.get(..=last)).unwrap_or_default();
    !body.is_empty() && body.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_bearer_token_and_nothing_else() {
        for (case, values, want) in [
            ("none", &[][..], Ok(None)),
            ("one", &["Bearer a.b.c"][..], Ok(Some("a.b.c"))),
            ("scheme in any case", &["bEARER a.b.c"], Ok(Some("a.b.c"))),
            ("several spaces", &["Bearer   a.b.c"], Ok(Some("a.b.c"))),
            ("padding", &["Bearer ab=="], Ok(Some("ab=="))),
            ("two headers", &["Bearer a", "Bearer a"], Err(())),
            ("two in one", &["Bearer a, Bearer b"], Err(())),
            ("other scheme", &["Basic YTpi"], Err(())),
            ("proof of possession scheme", &["DPoP a.b.c"], Err(())),
            ("longer scheme", &["Bearers a"], Err(())),
            ("no token", &["Bearer"], Err(())),
            ("only spaces", &["Bearer   "], Err(())),
            ("tab", &["Bearer\ta"], Err(())),
            ("only padding", &["Bearer =="], Err(())),
            ("padding inside", &["Bearer a=b"], Err(())),
            ("trailing space", &["Bearer a "], Err(())),
            ("line end", &["Bearer a\n"], Err(())),
            ("empty", &[""], Err(())),
        ] {
            let bytes: Vec<&[u8]> = values.iter().map(|v| v.as_bytes()).collect();
            assert_eq!(bearer(&bytes).map_err(|_| ()), want, "{case}");
        }
        assert!(bearer(&[b"Bearer \xff\xfe"]).is_err(), "attack 28: bytes above 0x7f");
    }
}
