//! The facts of one certificate that this crate decides on.

use std::fmt;
use std::net::IpAddr;

use aws_lc_rs::digest;
use postern_config::{Curve, Digest, host_matches};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
    OID_SIG_ED25519,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// One certificate, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) sha256: Digest,
    /// Lower-case hex of the serial's bytes.
    pub(crate) serial: String,
    /// The issuer's name in DER: with the serial it names the certificate.
    pub(crate) issuer_der: Vec<u8>,
    /// Unix seconds.
    pub(crate) not_before: i64,
    /// Unix seconds; valid up to and including it.
    pub(crate) not_after: i64,
    /// Common name of the issuer, or its whole name; for logs.
    pub(crate) issuer: String,
    /// DNS SANs, lower case; wildcards as they stand.
    pub(crate) dns: Vec<String>,
    pub(crate) ips: Vec<IpAddr>,
    /// URI SANs as they stand.
    pub(crate) uris: Vec<String>,
    pub(crate) is_ca: bool,
    pub(crate) usage: Option<Usage>,
    /// Whether the extended key usage names clients, and servers; `None` where there is none.
    pub(crate) extended: Option<(bool, bool)>,
    pub(crate) key: Key,
    /// Signed with SHA-2 or better.
    pub(crate) strong_signature: bool,
    /// Issuer and subject are the same.
    pub(crate) self_issued: bool,
}

/// Key usage (RFC 5280 §4.2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) critical: bool,
    pub(crate) digital_signature: bool,
    /// `keyCertSign` or `cRLSign`.
    pub(crate) signs_certificates: bool,
}

/// Kind and strength of a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Rsa { bits: u32 },
    Curve(Curve),
    P521,
    Other(String),
}

impl Key {
    /// Whether a key is one of `curves`, or RSA of at least `min_rsa_bits`.
    pub(crate) fn is_accepted(&self, min_rsa_bits: u32, curves: &[Curve]) -> bool {
        match self {
            Self::Rsa { bits } => *bits >= min_rsa_bits,
            Self::Curve(curve) => curves.contains(curve),
            Self::P521 | Self::Other(_) => false,
        }
    }

    /// What we present ourselves: RSA of 2048 bits, or a curve that TLS knows.
    pub(crate) fn is_presentable(&self) -> bool {
        match self {
            Self::Rsa { bits } => *bits >= 2048,
            Self::Curve(_) | Self::P521 => true,
            Self::Other(_) => false,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA of {bits} bits"),
            Self::Curve(Curve::P256) => f.write_str("P-256"),
            Self::Curve(Curve::P384) => f.write_str("P-384"),
            Self::Curve(Curve::Ed25519) => f.write_str("Ed25519"),
            Self::P521 => f.write_str("P-521"),
            Self::Other(oid) => write!(f, "algorithm {oid}"),
        }
    }
}

impl Certificate {
    /// Reads `der`, one certificate and nothing behind it. A name that is not printable ASCII, an extension that
    /// stands twice or does not parse refuses the certificate: what we read must be what everybody reads.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn read(der: &[u8]) -> Result<Self, String> {
        let (rest, x509) = X509Certificate::from_der(der).map_err(|e| format!("not an X.509 certificate: {e}"))?;
        if !rest.is_empty() {
            return Err("bytes behind the certificate".to_owned());
        }
        let names = Names::of(&x509)?;
        let constraints = x509.basic_constraints().map_err(|e| format!("basic constraints: {e}"))?;
        let extended = x509.extended_key_usage().map_err(|e| format!("extended key usage: {e}"))?;
        Ok(Self {
            sha256: sha256(der),
            serial: hex(x509.raw_serial()),
            issuer_der: x509.issuer().as_raw().to_vec(),
            not_before: x509.validity().not_before.timestamp(),
            not_after: x509.validity().not_after.timestamp(),
            issuer: issuer(&x509),
            dns: names.dns,
            ips: names.ips,
            uris: names.uris,
            is_ca: constraints.is_some_and(|c| c.value.ca),
            usage: usage(&x509)?,
            extended: extended.map(|e| (e.value.any || e.value.client_auth, e.value.any || e.value.server_auth)),
            key: key(x509.public_key())?,
            strong_signature: is_strong(&x509.signature_algorithm),
            self_issued: x509.issuer() == x509.subject(),
        })
    }

    /// Whether a client that asked for `host` (a name, or an address with or without brackets) accepts the
    /// certificate (RFC 9525 §6). Only SANs count, never the common name.
    pub(crate) fn covers(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(ip) => self.ips.contains(&ip),
            Err(_) => self.dns.iter().any(|name| host_matches(name, host)),
        }
    }

    pub(crate) fn lifetime(&self) -> i64 {
        self.not_after.saturating_sub(self.not_before)
    }
}

fn sha256(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A name for the log, at most 128 characters; control characters would let a certificate write log lines.
fn issuer(x509: &X509Certificate<'_>) -> String {
    let common = x509.issuer().iter_common_name().next().and_then(|cn| cn.as_str().ok());
    let name = common.map_or_else(|| x509.issuer().to_string(), str::to_owned);
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(128).collect()
}

fn usage(x509: &X509Certificate<'_>) -> Result<Option<Usage>, String> {
    let usage = x509.key_usage().map_err(|e| format!("key usage: {e}"))?;
    Ok(usage.map(|u| Usage {
        critical: u.critical,
        digital_signature: u.value.digital_signature(),
        signs_certificates: u.value.key_cert_sign() || u.value.crl_sign(),
    }))
}

fn key(spki: &SubjectPublicKeyInfo<'_>) -> Result<Key, String> {
    let algorithm = &spki.algorithm.algorithm;
    if *algorithm == OID_PKCS1_RSAENCRYPTION {
        let (_, rsa) =
            RSAPublicKey::from_der(&spki.subject_public_key.data).map_err(|e| format!("RSA public key: {e}"))?;
        return Ok(Key::Rsa { bits: bits(rsa.modulus) });
    }
    if *algorithm == OID_SIG_ED25519 {
        return Ok(Key::Curve(Curve::Ed25519));
    }
    if *algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY {
        return Ok(Key::Other(algorithm.to_id_string()));
    }
    let curve = spki.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
    Ok(match curve {
        Some(curve) if curve == OID_EC_P256 => Key::Curve(Curve::P256),
        Some(curve) if curve == OID_NIST_EC_P384 => Key::Curve(Curve::P384),
        Some(curve) if curve == OID_NIST_EC_P521 => Key::P521,
        Some(curve) => Key::Other(curve.to_id_string()),
        None => Key::Other("elliptic curve without a name".to_owned()),
    })
}

/// Length of a big-endian number without its leading zeros.
fn bits(number: &[u8]) -> u32 {
    let significant = number.iter().position(|b| *b != 0).and_then(|at| number.get(at..)).unwrap_or_default();
    let zeros = significant.first().map_or(0, |b| b.leading_zeros());
    u32::try_from(significant.len()).unwrap_or(0).saturating_mul(8).saturating_sub(zeros)
}

/// SHA-2 or a scheme that brings its own hash. What is not known here counts as weak.
fn is_strong(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    use x509_parser::oid_registry as oid;
    if let Ok(SignatureAlgorithm::RSASSA_PSS(params)) = SignatureAlgorithm::try_from(algorithm) {
        let hash = params.hash_algorithm_oid();
        return [oid::OID_NIST_HASH_SHA256, oid::OID_NIST_HASH_SHA384, oid::OID_NIST_HASH_SHA512].contains(hash);
    }
    [
        oid::OID_PKCS1_SHA256WITHRSA,
        oid::OID_PKCS1_SHA384WITHRSA,
        oid::OID_PKCS1_SHA512WITHRSA,
        oid::OID_SIG_ECDSA_WITH_SHA256,
        oid::OID_SIG_ECDSA_WITH_SHA384,
        oid::OID_SIG_ECDSA_WITH_SHA512,
        OID_SIG_ED25519,
    ]
    .contains(&algorithm.algorithm)
}

#[derive(Default)]
struct Names {
    dns: Vec<String>,
    ips: Vec<IpAddr>,
    uris: Vec<String>,
}

impl Names {
    fn of(x509: &X509Certificate<'_>) -> Result<Self, String> {
        let mut names = Self::default();
        let san = x509.subject_alternative_name().map_err(|e| format!("subject alternative name: {e}"))?;
        for name in san.iter().flat_map(|san| &san.value.general_names) {
            names.add(name)?;
        }
        Ok(names)
    }

    fn add(&mut self, name: &GeneralName<'_>) -> Result<(), String> {
        match name {
            GeneralName::DNSName(name) if is_host(name) => self.dns.push(name.to_ascii_lowercase()),
            GeneralName::DNSName(_) => return Err("a DNS name that is not one".to_owned()),
            GeneralName::URI(uri) if uri.bytes().all(|b| b.is_ascii_graphic()) => self.uris.push((*uri).to_owned()),
            GeneralName::URI(_) => return Err("a URI that is not printable ASCII".to_owned()),
            GeneralName::IPAddress(bytes) => self.ips.push(address(bytes)?),
            GeneralName::Invalid(..) => return Err("a subject alternative name that cannot be read".to_owned()),
            // Nothing here is decided on the others, so they neither help nor harm.
            _ => {}
        }
        Ok(())
    }
}

/// Letters, digits, `-`, `_` and `.`, and one `*.` at the front.
pub(crate) fn is_host(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    text.len() <= 253 && name.split('.').all(|label| !label.is_empty() && label.bytes().all(allowed))
}

fn address(bytes: &[u8]) -> Result<IpAddr, String> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(bytes).map(IpAddr::from).map_err(|e| format!("an address that is not one: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_a_number_do_not_count_leading_zeros() {
        for (number, want) in [(&[][..], 0), (&[0], 0), (&[1], 1), (&[0, 0x80], 8), (&[0, 0x7f, 0xff], 15)] {
            assert_eq!(bits(number), want, "{number:?}");
        }
    }

    #[test]
    fn a_host_is_labels_with_at_most_a_wildcard_in_front() {
        for (text, want) in [
            ("example.com", true),
            ("*.example.com", true),
            ("localhost", true),
            ("", false),
            ("*", false),
            ("a.*.com", false),
            ("*a.com", false),
            ("a..b", false),
            ("a.b.", false),
            ("a\0.evil.com", false), // attack 30
            ("exämple.com", false),
            ("a b", false),
        ] {
            assert_eq!(is_host(text), want, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused_without_a_panic() {
        for der in [&[][..], &[0x30], &[0x30, 0x82, 0xff, 0xff], b"-----BEGIN CERTIFICATE-----"] {
            Certificate::read(der).unwrap_err();
        }
    }
}
