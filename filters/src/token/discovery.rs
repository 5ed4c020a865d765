//! What an issuer says about itself: where its keys are (OpenID Connect Discovery 1.0, RFC 8414).

use super::claims::Claims;
use super::{Excerpt, strict};

/// Longest metadata.
pub const MAX_METADATA: usize = 64 << 10;

/// Where the metadata of `issuer` may be, in the order in which it is looked for: as OpenID Connect has it (behind the issuer),
/// and as RFC 8414 has it (between its host and its path).
#[must_use]
pub fn metadata_urls(issuer: &str) -> [String; 2] {
    let bare = issuer.strip_suffix('/').unwrap_or(issuer);
    let host_end =
        bare.find("://").and_then(|scheme| bare.get(scheme + 3..)?.find('/').map(|slash| scheme + 3 + slash));
    let (host, path) = host_end.and_then(|end| bare.split_at_checked(end)).unwrap_or((bare, ""));
    [format!("{bare}/.well-known/openid-configuration"), format!("{host}/.well-known/oauth-authorization-server{path}")]
}

/// `jwks_uri` of the metadata of `issuer`.
///
/// # Errors
/// [`MetadataError`] for text that is not a JSON object with unique names, and for metadata of another issuer: whoever serves
/// it could otherwise name keys for tokens of somebody else (RFC 8414 §3.3, OpenID Connect Discovery §4.3).
pub fn jwks_uri(text: &[u8], issuer: &str) -> Result<String, MetadataError> {
    let metadata = of_issuer(text, issuer)?;
    let uri = metadata.get("jwks_uri").and_then(serde_json::Value::as_str).ok_or(MetadataError::Member("jwks_uri"))?;
    Ok(uri.to_owned())
}

/// Metadata that is of `issuer`.
fn of_issuer(text: &[u8], issuer: &str) -> Result<Claims, MetadataError> {
    if text.len() > MAX_METADATA {
        return Err(MetadataError::TooLarge { bytes: text.len(), max: MAX_METADATA });
    }
    let metadata = Claims::new(strict::object(text).map_err(MetadataError::Json)?);
    let said = metadata.get("issuer").and_then(serde_json::Value::as_str).ok_or(MetadataError::Member("issuer"))?;
    if said != issuer {
        return Err(MetadataError::Issuer { said: Excerpt::of(said), ours: issuer.to_owned() });
    }
    Ok(metadata)
}

/// Where browsers log in, and out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    pub authorization: String,
    pub token: String,
    pub end_session: Option<String>,
    /// It names itself to a browser that it sends back (RFC 9207 §3), so that one which does not was sent by somebody else.
    pub names_itself: bool,
}

/// The endpoints of `issuer` that a login needs (OpenID Connect Discovery 1.0 §3).
///
/// # Errors
/// [`MetadataError`], as for [`jwks_uri`]; also for an endpoint that is not `https:`, loopback excepted, or that has a fragment.
pub fn endpoints(text: &[u8], issuer: &str) -> Result<Endpoints, MetadataError> {
    let metadata = of_issuer(text, issuer)?;
    let endpoint = |name: &'static str| match metadata.get(name) {
        None => Ok(None),
        Some(value) => match value.as_str().filter(|url| may_be_sent_to(url)) {
            Some(url) => Ok(Some(url.to_owned())),
            None => Err(MetadataError::Member(name)),
        },
    };
    let needed = |name| endpoint(name)?.ok_or(MetadataError::Member(name));
    Ok(Endpoints {
        authorization: needed("authorization_endpoint")?,
        token: needed("token_endpoint")?,
        end_session: endpoint("end_session_endpoint")?,
        names_itself: match metadata.get("authorization_response_iss_parameter_supported") {
            None => false,
            Some(value) => {
                value.as_bool().ok_or(MetadataError::Member("authorization_response_iss_parameter_supported"))?
            }
        },
    })
}

/// Where a browser, or its code, may go. The text becomes a header.
fn may_be_sent_to(url: &str) -> bool {
    let loopback = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let host_ends = |rest: &str| rest.is_empty() || rest.starts_with([':', '/']);
    let is_loopback = loopback.iter().any(|own| url.strip_prefix(own).is_some_and(host_ends));
    (url.starts_with("https://") || is_loopback)
        && url.len() <= 2048
        && url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'"')
}

/// Why metadata was not believed.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    #[error("the metadata has {bytes} bytes, more than the allowed {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("the metadata is not a JSON object with unique names: {0}")]
    Json(#[source] serde_json::Error),
    #[error("the metadata has no `{0}`, or one that is not a text")]
    Member(&'static str),
    #[error(
        "the metadata is of issuer `{said}` and not of `{ours}`; `issuer` has to be exactly what the issuer calls itself"
    )]
    Issuer { said: Excerpt, ours: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_in_two_places() {
        for (issuer, oidc, oauth) in [
            (
                "https://a.example",
                "https://a.example/.well-known/openid-configuration",
                "https://a.example/.well-known/oauth-authorization-server",
            ),
            (
                "https://a.example/",
                "https://a.example/.well-known/openid-configuration",
                "https://a.example/.well-known/oauth-authorization-server",
            ),
            (
                "http://127.0.0.1:1/t/x/",
                "http://127.0.0.1:1/t/x/.well-known/openid-configuration",
                "http://127.0.0.1:1/.well-known/oauth-authorization-server/t/x",
            ),
        ] {
            assert_eq!(metadata_urls(issuer), [oidc, oauth], "{issuer}");
        }
    }

    #[test]
    fn a_browser_is_sent_to_places_that_keep_a_secret() {
        let text = |authorization: &str, more: &str| {
            format!(
                r#"{{"issuer":"https://a.example","authorization_endpoint":"{authorization}","token_endpoint":"https://a.example/t"{more}}}"#
            )
        };
        let good = text("https://a.example/auth", r#","end_session_endpoint":"https://a.example/out""#);
        let found = endpoints(good.as_bytes(), "https://a.example").unwrap();
        assert_eq!(
            (found.token.as_str(), found.end_session.as_deref()),
            ("https://a.example/t", Some("https://a.example/out"))
        );
        assert!(endpoints(text("http://127.0.0.1:8080/auth", "").as_bytes(), "https://a.example").is_ok());
        let named = |said: &str| {
            text("https://a.example/auth", &format!(r#","authorization_response_iss_parameter_supported":{said}"#))
        };
        for (text, want) in [(good.clone(), false), (named("false"), false), (named("true"), true)] {
            assert_eq!(endpoints(text.as_bytes(), "https://a.example").unwrap().names_itself, want, "{text}");
        }
        for (case, text) in [
            ("plain", text("http://a.example/auth", "")),
            ("a host that begins like loopback", text("http://127.0.0.1.evil.example/auth", "")),
            ("a script", text("javascript:alert(1)", "")),
            ("a word for whether it names itself", named(r#""true""#)),
            ("a fragment", text("https://a.example/auth#x", "")),
            ("a line end", text("https://a.example/auth\\r\\nset-cookie:a=b", "")),
            ("a bad place to log out", text("https://a.example/auth", r#","end_session_endpoint":"ftp://a.example""#)),
            ("another issuer", good.replace(r#""issuer":"https://a.example""#, r#""issuer":"https://b.example""#)),
            (
                "no token endpoint",
                r#"{"issuer":"https://a.example","authorization_endpoint":"https://a.example/auth"}"#.to_owned(),
            ),
        ] {
            assert!(endpoints(text.as_bytes(), "https://a.example").is_err(), "{case}");
        }
    }

    #[test]
    fn attack_34_metadata_is_believed_for_its_own_issuer_only() {
        let good = r#"{"issuer":"https://a.example","jwks_uri":"https://a.example/keys","x":[1]}"#;
        assert_eq!(jwks_uri(good.as_bytes(), "https://a.example").unwrap(), "https://a.example/keys");
        for (case, text) in [
            ("another issuer", r#"{"issuer":"https://b.example","jwks_uri":"https://b.example/keys"}"#.to_owned()),
            ("a slash more", good.replace("a.example\",", "a.example/\",")),
            ("another case", good.replace("https://a.example\",", "https://A.example\",")),
            ("issuer twice", good.replacen('{', r#"{"issuer":"https://b.example","#, 1)),
            ("issuer as a list", good.replace(r#""https://a.example","#, r#"["https://a.example"],"#)),
            ("no keys", r#"{"issuer":"https://a.example"}"#.to_owned()),
            ("keys as a list", r#"{"issuer":"https://a.example","jwks_uri":["https://a.example/keys"]}"#.to_owned()),
            ("more behind", format!("{good} {{}}")),
            ("too large", format!("{}{good}", " ".repeat(MAX_METADATA))),
            ("empty", String::new()),
        ] {
            assert!(jwks_uri(text.as_bytes(), "https://a.example").is_err(), "{case}");
        }
        assert!(jwks_uri(b"{\"issuer\":\"\xff\"}", "https://a.example").is_err(), "invalid UTF-8");
    }
}
