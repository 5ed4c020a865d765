//! Tells an upstream which certificate the client proved to hold, where policy wants it: RFC 9440, or
//! `X-Forwarded-Client-Cert` in Envoy's spelling. Both names are stripped from what clients send.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use pingora_http::RequestHeader;
use postern_config::ForwardCertificate;
use postern_filters::{Reason, Refusal};

use crate::connection::TlsFacts;
use crate::exchange::Exchange;
use crate::runtime::Runtime;

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");
const XFCC: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
/// Bytes of DER that are told; more is refused, because a chain in part would be another chain.
const MAX_CHAIN: usize = 24 * 1024;

impl Exchange<'_> {
    /// Adds the client's certificate to a request that is otherwise complete. Nothing where the client presented none.
    ///
    /// # Errors
    /// Where the chain is too large for a header.
    pub(crate) fn tell_certificate(self, runtime: &Runtime, request: &mut RequestHeader) -> Result<(), Refusal> {
        let Some(tls) = self.connection.tls.as_ref().filter(|tls| !tls.chain.is_empty()) else { return Ok(()) };
        let Some((_, settings)) = runtime.tls_of(&self.connection.listener) else { return Ok(()) };
        let headers = match settings.forward {
            ForwardCertificate::None => return Ok(()),
            _ if tls.chain.iter().map(|der| der.len()).sum::<usize>() > MAX_CHAIN => {
                let detail = "the client's certificate chain is too large to be told to the upstream";
                return Err(Refusal::new(Reason::HeadersTooLarge, detail));
            }
            ForwardCertificate::ClientCert => client_cert(tls),
            ForwardCertificate::Xfcc => vec![(XFCC, xfcc(tls))],
        };
        for (name, value) in headers {
            let told = HeaderValue::try_from(value)
                .map_err(|error| error.to_string())
                .and_then(|value| request.insert_header(name, value).map_err(|error| error.to_string()));
            told.map_err(|error| Refusal::new(Reason::Internal, format!("the client's certificate: {error}")))?;
        }
        Ok(())
    }
}

/// RFC 9440 §2.2 and §2.3: the leaf as a byte sequence, what came behind it as a list of them.
fn client_cert(tls: &TlsFacts) -> Vec<(HeaderName, String)> {
    let mut items = tls.chain.iter().map(|der| format!(":{}:", STANDARD.encode(der)));
    let mut headers: Vec<_> = items.next().map(|leaf| (CLIENT_CERT, leaf)).into_iter().collect();
    let chain: Vec<String> = items.collect();
    if !chain.is_empty() {
        headers.push((CLIENT_CERT_CHAIN, chain.join(", ")));
    }
    headers
}

/// `Hash`, `Cert`, `URI` and `DNS` of the leaf, `By` where what we presented is an SVID. `Subject` is left out: it is free
/// text, which the values here are not (a SPIFFE ID and host names that were read strictly need no quotes).
fn xfcc(tls: &TlsFacts) -> String {
    let mut value = String::new();
    if let Some(own) = tls.listener.own_spiffe(tls.server_name.as_deref()) {
        let _ = write!(value, "By={own};");
    }
    let Some((peer, leaf)) = tls.peer.as_ref().zip(tls.chain.first()) else { return value };
    value.push_str("Hash=");
    for byte in peer.leaf_sha256() {
        let _ = write!(value, "{byte:02x}");
    }
    let _ = write!(value, ";Cert=\"{}\"", percent(&pem(leaf)));
    if let Some(id) = peer.spiffe() {
        let _ = write!(value, ";URI={id}");
    }
    for name in peer.dns_names() {
        let _ = write!(value, ";DNS={name}");
    }
    value
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for (index, letter) in text.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem.push_str("\n-----END CERTIFICATE-----\n");
    pem
}

/// Percent-encoding of everything but unreserved characters (RFC 3986 §2.3).
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_value_is_encoded() {
        assert_eq!(percent("a b+/=\n\";,"), "a%20b%2B%2F%3D%0A%22%3B%2C");
    }

    #[test]
    fn pem_has_lines_of_64() {
        let pem = pem(&[7; 100]);
        assert!(pem.lines().all(|line| line.len() <= 64), "{pem}");
        assert_eq!(pem.lines().count(), 5);
    }
}
