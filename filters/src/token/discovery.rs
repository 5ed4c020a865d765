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
    if text.len() > MAX_METADATA {
        return Err(MetadataError::TooLarge { bytes: text.len(), max: MAX_METADATA });
    }
    let metadata = Claims::new(strict::object(text).map_err(MetadataError::Json)?);
    let said = metadata.get("issuer").and_then(serde_json::Value::as_str).ok_or(MetadataError::Member("issuer"))?;
    if said != issuer {
        return Err(MetadataError::Issuer { said: Excerpt::of(said), ours: issuer.to_owned() });
    }
    let uri = metadata.get("jwks_uri").and_then(serde_json::Value::as_str).ok_or(MetadataError::Member("jwks_uri"))?;
    Ok(uri.to_owned())
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
