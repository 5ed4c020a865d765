//! Credentials in forms that belong to no vendor: in URLs and headers, JWTs, private keys.

use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::format::{Format, is_placeholder, token};
use super::looks::is_random;
use crate::scan::pattern::{Candidate, Shape};

pub(super) const FORMATS: &[Format] = &[
    Format {
        issuer: "databases, brokers and others",
        form: "a password inside a URL (`postgres`, `mysql`, `mongodb`, `redis`, `amqp`, `mssql`, `ldap`, `smtp`, `ftp`, `http`)",
        prefixes: &[],
        shape: Shape {
            pattern: r"(?-u:\b(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|mssql|sqlserver|clickhouse|cockroachdb|oracle|jdbc:[a-z]{2,12}|mqtts?|nats|kafka|ldaps?|smtps?|s?ftp|ssh|wss?|https?)(?:\+[a-z0-9]{1,12})?://[^\x00-\x20:/@\x22'<>\x80-\xff]{0,64}:[^\x00-\x20/@\x22'<>\x80-\xff]{3,128}@[A-Za-z0-9.\[\]:_-]+(?:/[A-Za-z0-9_.-]*)?)",
            check: url_password,
            whole: false,
        },
    },
    // RFC 7515 compact form: header and payload are JSON objects.
    token!(
        "JWT",
        "three parts of base64, two of which are JSON objects",
        [],
        r"\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{5,}\.[0-9A-Za-z_-]{16,}",
        jwt
    ),
    // RFC 7468; the header alone is enough, and the body goes with it.
    Format {
        issuer: "PEM",
        form: "a private key: `-----BEGIN … PRIVATE KEY-----` and what follows",
        prefixes: &["-----BEGIN "],
        shape: Shape {
            pattern: r"(?-u:-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:(?:[\sA-Za-z0-9+/=\\-]|Proc-Type: [^\n]+\n|DEK-Info: [^\n]+\n)*-----END [A-Z0-9 ]+-----)?)",
            check: |_| Some(100),
            whole: false,
        },
    },
    token!(
        "HTTP",
        "`Bearer` and a token of 20 or more characters",
        [],
        r"\b(?i:bearer) [A-Za-z0-9._~+/-]{20,}={0,2}",
        bearer
    ),
    token!("HTTP", "`Basic` and base64 of a name and a password", [], r"\b(?i:basic) [A-Za-z0-9+/]{12,}={0,2}", basic),
];

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

fn url_password(candidate: Candidate<'_>) -> Option<u8> {
    let after_scheme = memchr::memmem::find(candidate.text, b"://").and_then(|i| candidate.text.get(i + 3..))?;
    let user_info = after_scheme.split(|&b| b == b'@').next()?;
    let password = user_info.splitn(2, |&b| b == b':').nth(1)?;
    (!is_template(password)).then_some(90)
}

fn is_template(password: &[u8]) -> bool {
    let lower = password.to_ascii_lowercase();
    matches!(password.first(), Some(b'$' | b'{' | b'[' | b'%' | b'*'))
        || matches!(
            lower.as_slice(),
            b"password" | b"pass" | b"pwd" | b"secret" | b"token" | b"passwd" | b"xxx" | b"port" | b"test"
        )
        || is_placeholder(password)
        || password.iter().all(|b| *b == b'*' || *b == b'x' || *b == b'.')
}

fn jwt(candidate: Candidate<'_>) -> Option<u8> {
    let header = candidate.text.get(..candidate.text.len().min(512))?.split(|&b| b == b'.').next()?;
    let header = decode(&URL_SAFE_NO_PAD, header)?;
    (contains(&header, b"\"alg\"")).then_some(95)
}

fn bearer(candidate: Candidate<'_>) -> Option<u8> {
    let token = candidate.text.get(7..)?;
    let looked_at = token.get(..200).unwrap_or(token);
    (!is_placeholder(looked_at) && is_random(looked_at)).then_some(85)
}

/// What decodes to a name and a password, either of them printable.
fn basic(candidate: Candidate<'_>) -> Option<u8> {
    let encoded = candidate.text.get(6..)?.trim_ascii_end();
    let length = encoded.iter().rev().take(2).take_while(|b| **b == b'=').count();
    let encoded = encoded.get(..encoded.len() - length).filter(|text| text.len() <= 256)?;
    let decoded = decode(&STANDARD_NO_PAD, encoded)?;
    let mut parts = decoded.splitn(2, |b| *b == b':');
    let (name, password) = (parts.next()?, parts.next()?);
    let printable = decoded.iter().all(|b| (0x20..=0x7e).contains(b)) && !decoded.starts_with(b"{");
    (printable && !name.is_empty() && password.len() >= 4 && !is_template(password)).then_some(85)
}

fn decode(engine: &GeneralPurpose, text: &[u8]) -> Option<Vec<u8>> {
    engine.decode(text).ok()
}
