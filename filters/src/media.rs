//! Media types as `Content-Type` has them (RFC 9110 §8.3.1), in the reading on which all recipients agree.

/// Type and subtype in lower case, and the parameters with their quotes taken off. Nothing where recipients could differ:
/// two types in one header, a parameter without a value, a quoted string with escapes or separators.
#[must_use]
pub(crate) fn read(content_type: &str) -> Option<(String, Vec<(&str, &str)>)> {
    let mut pieces = content_type.split(';');
    let essence = pieces.next()?.trim_matches([' ', '\t']).to_ascii_lowercase();
    essence.split_once('/').filter(|(kind, subtype)| is_token(kind) && is_token(subtype))?;
    let parameters = pieces.map(parameter).collect::<Option<Vec<_>>>()?;
    Some((essence, parameters))
}

/// Whether it is JSON in the one charset that JSON has (RFC 8259 §8.1).
pub(crate) fn is_json(content_type: &str) -> bool {
    let charset =
        |(name, value): &(&str, &str)| !name.eq_ignore_ascii_case("charset") || value.eq_ignore_ascii_case("utf-8");
    read(content_type)
        .is_some_and(|(essence, parameters)| essence == "application/json" && parameters.iter().all(charset))
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
}

fn parameter(piece: &str) -> Option<(&str, &str)> {
    let (name, value) = piece.trim_matches([' ', '\t']).split_once('=')?;
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    // Outside of quotes a comma begins another header value.
    let single = quoted.is_some() || !value.contains([',', ' ', '\t']);
    let value = quoted.unwrap_or(value);
    (is_token(name) && single && !value.contains(['"', '\\'])).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn attack_20_two_types_in_one_header_are_none() {
        for (text, essence) in [
            ("application/json", Some("application/json")),
            ("Application/JSON ; charset=UTF-8", Some("application/json")),
            ("application/grpc+proto", Some("application/grpc+proto")),
            ("multipart/form-data; boundary=----WebKit'()+_-./:=?x", Some("multipart/form-data")),
            ("multipart/form-data; boundary=\"a b, c\"", Some("multipart/form-data")),
            ("application/grpc;x, application/json", None),
            ("application/grpc, application/json", None),
            ("application/json; a=b, text/plain", None),
            ("application/json; a=b,text/plain", None),
            ("application/json; a = b", None),
            ("application/json;", None),
            ("application/json; a=\"b\\\"; c=d\"", None),
            ("application/json; a=\"b; c=d\"", None),
            ("application", None),
            ("/json", None),
            ("application/", None),
            ("appli cation/json", None),
            ("", None),
        ] {
            assert_eq!(read(text).map(|(essence, _)| essence).as_deref(), essence, "{text}");
        }
        assert_eq!(read("a/b; c=\"d\";E=f").unwrap().1, [("c", "d"), ("E", "f")]);
    }
}
