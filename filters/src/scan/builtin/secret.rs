//! Credentials in known formats. Each has its issuer's prefix and length; a lone random string is not one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::scan::pattern::{Candidate, Recipe, Shape};

const fn token(pattern: &'static str) -> Shape {
    Shape { pattern, check: random, whole: true }
}

pub(super) const RECIPE: Recipe = Recipe {
    shapes: &[
        // Amazon Web Services: key id, and the secret where a name stands before it.
        token(r"(?-u:\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b)"),
        Shape {
            pattern: r#"(?-u:\b(?i:aws_?)?(?i:secret_?(?:access_?)?key|secretaccesskey)["']? ?(?:=|:|=>|:=|,|\s{1,12}(?i:value):) ?["']?[A-Za-z0-9/+]{40,})"#,
            check: aws_secret,
            whole: true,
        },
        // GitHub, GitLab.
        token(r"(?-u:\bgh[oprsu]_[A-Za-z0-9]{36,251}\b)"),
        token(r"(?-u:\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b)"),
        token(r"(?-u:\bgl(?:pat|ptt|dt|rt|cbt|ft|imt|agent|oas|soat)-[0-9A-Za-z_-]{20,64})"),
        // Slack.
        token(r"(?-u:\bxox[abeoprs]-(?:[0-9]{1,2}-)?(?:[0-9]{6,}-){1,3}[0-9A-Za-z]{10,64})"),
        token(r"(?-u:\bxapp-[0-9]-[A-Z0-9]{8,}-[0-9]{8,}-[0-9a-f]{32,64})"),
        token(r"(?-u:\bhooks\.slack\.com/services/T[A-Z0-9]{7,}/B[A-Z0-9]{7,}/[A-Za-z0-9]{20,})"),
        // Stripe.
        token(r"(?-u:\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,247}\b)"),
        token(r"(?-u:\bwhsec_[0-9A-Za-z]{32,64}\b)"),
        // Model providers.
        token(r"(?-u:\bsk-(?:proj|svcacct|admin|None)-[0-9A-Za-z_-]{20,200})"),
        token(r"(?-u:\bsk-ant-[a-z]{2,8}[0-9]{2}-[0-9A-Za-z_-]{32,200})"),
        token(r"(?-u:\bsk-or-v1-[0-9a-f]{64}\b)"),
        token(r"(?-u:\bsk-[0-9A-Za-z]{32,64}\b)"),
        token(r"(?-u:\bhf_[A-Za-z0-9]{34,40}\b)"),
        token(r"(?-u:\b(?:gsk|r8|xai|pplx|nvapi)[_-][A-Za-z0-9_-]{36,90})"),
        // Google.
        Shape { pattern: r"(?-u:\bAIza[0-9A-Za-z_-]{35,})", check: google, whole: true },
        token(r"(?-u:\bya29\.[0-9A-Za-z_-]{30,300})"),
        token(r"(?-u:\bGOCSPX-[0-9A-Za-z_-]{28})"),
        // Package registries.
        token(r"(?-u:\bnpm_[A-Za-z0-9]{36}\b)"),
        token(r"(?-u:\bpypi-AgE[0-9A-Za-z_-]{50,400})"),
        token(r"(?-u:\bdckr_pat_[0-9A-Za-z_-]{27,})"),
        // Others with a prefix of their own.
        token(r"(?-u:\bSG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43})"),
        token(r"(?-u:\bdo[opr]_v1_[0-9a-f]{64}\b)"),
        token(r"(?-u:\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b)"),
        token(r"(?-u:\bdapi[0-9a-f]{32}(?:-[0-9])?\b)"),
        token(r"(?-u:\bhv[bs]\.[0-9A-Za-z_-]{24,200})"),
        token(r"(?-u:\blin_api_[0-9A-Za-z]{40}\b)"),
        token(r"(?-u:\bglsa_[0-9A-Za-z]{32}_[0-9a-fA-F]{8}\b)"),
        token(r"(?-u:\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b)"),
        token(r"(?-u:\bAccountKey=[0-9A-Za-z+/]{86}==)"),
        token(r"(?-u:\b[0-9]{8,10}:AA[0-9A-Za-z_-]{33}\b)"),
        // A password inside a URL.
        Shape {
            pattern: r"(?-u:\b(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|mssql|ldaps?|smtps?|s?ftp|https?)://[^\x00-\x20:/@\x22'<>\x80-\xff]{1,64}:[^\x00-\x20/@\x22'<>\x80-\xff]{3,128}@[A-Za-z0-9.\[\]:_-]+(?:/[A-Za-z0-9_.-]*)?)",
            check: url_password,
            whole: false,
        },
        // RFC 7515 compact form: header and payload are JSON objects.
        Shape {
            pattern: r"(?-u:\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{5,}\.[0-9A-Za-z_-]{16,})",
            check: jwt,
            whole: true,
        },
        // RFC 7468; the header alone is enough, and the body goes with it.
        Shape {
            pattern: r"(?-u:-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:(?:[\sA-Za-z0-9+/=\\-]|Proc-Type: [^\n]+\n|DEK-Info: [^\n]+\n)*-----END [A-Z0-9 ]+-----)?)",
            check: |_| Some(100),
            whole: false,
        },
    ],
    lead: None,
    evident,
    needs: 256,
    value,
};

/// Long enough to be a credential that is still arriving.
#[rustfmt::skip]
fn evident(read: &[u8]) -> bool {
    const PREFIXES: &[(&str, usize)] = &[
        ("AKIA", 4), ("ASIA", 4), ("gho_", 6), ("ghp_", 6), ("ghr_", 6), ("ghs_", 6), ("ghu_", 6), ("github_pat_", 4),
        ("glpat-", 6), ("glptt-", 6), ("glrt-", 6), ("xox", 8), ("xapp-", 8), ("hooks.slack.com/services/T", 8),
        ("sk_live_", 4), ("sk_test_", 4), ("rk_live_", 4), ("rk_test_", 4), ("whsec_", 8), ("sk-proj-", 6),
        ("sk-ant-", 6), ("sk-or-v1-", 6), ("sk-", 12), ("hf_", 12), ("AIza", 8), ("ya29.", 8), ("GOCSPX-", 4),
        ("npm_", 8), ("pypi-AgE", 4), ("dckr_pat_", 4), ("SG.", 16), ("do", 16), ("shp", 12), ("dapi", 12), ("hvs.", 8),
        ("lin_api_", 4), ("glsa_", 6), ("AGE-SECRET-KEY-1", 0), ("AccountKey=", 12), ("-----BEGIN ", 4),
    ];
    let by_prefix = PREFIXES.iter().any(|(p, more)| read.starts_with(p.as_bytes()) && read.len() >= p.len() + more);
    let is_jwt = read.starts_with(b"eyJ") && contains(read, b".eyJ");
    let is_url = contains(read, b"://") && read.iter().filter(|&&b| b == b':').count() >= 2 && read.len() >= 16;
    by_prefix || is_jwt || is_url
}

/// Where the value begins behind a keyword that only gives context.
fn value(text: &[u8]) -> usize {
    if text.starts_with(b"AccountKey=") {
        return 11;
    }
    let has_keyword = text.get(..3).is_some_and(|b| b.eq_ignore_ascii_case(b"aws") || b.eq_ignore_ascii_case(b"sec"));
    if has_keyword { text.len().saturating_sub(40) } else { 0 }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// Random enough to be issued rather than written: no placeholder, and characters that vary.
fn random(candidate: Candidate<'_>) -> Option<u8> {
    let text = candidate.text;
    let tail = text.get(text.len().saturating_sub(16)..).unwrap_or(text);
    let mut seen = [false; 128];
    for b in tail {
        if let Some(slot) = seen.get_mut(usize::from(*b)) {
            *slot = true;
        }
    }
    let distinct = seen.iter().filter(|s| **s).count();
    (distinct >= 6 && !is_placeholder(text)).then_some(95)
}

fn is_placeholder(text: &[u8]) -> bool {
    let lower = text.to_ascii_lowercase();
    [
        &b"example"[..],
        b"xxxxxx",
        b"your",
        b"placeholder",
        b"000000000",
        b"abcdefghijkl",
        b"redacted",
        b"dummy",
        b"......",
    ]
    .iter()
    .any(|word| contains(&lower, word))
}

/// Exactly forty characters behind the keyword.
fn aws_secret(candidate: Candidate<'_>) -> Option<u8> {
    let text = candidate.text;
    let run = text.iter().rev().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'+')).count();
    (run == 40).then(|| random(candidate)).flatten()
}

/// Exactly thirty-five characters behind the prefix.
fn google(candidate: Candidate<'_>) -> Option<u8> {
    (candidate.text.len() == 39).then(|| random(candidate)).flatten()
}

fn url_password(candidate: Candidate<'_>) -> Option<u8> {
    let after_scheme = memchr::memmem::find(candidate.text, b"://").and_then(|i| candidate.text.get(i + 3..))?;
    let user_info = after_scheme.split(|&b| b == b'@').next()?;
    let password = user_info.splitn(2, |&b| b == b':').nth(1)?;
    let lower = password.to_ascii_lowercase();
    let template = matches!(password.first(), Some(b'$' | b'{' | b'[' | b'%' | b'*'))
        || matches!(
            lower.as_slice(),
            b"password" | b"pass" | b"pwd" | b"secret" | b"token" | b"passwd" | b"xxx" | b"port"
        )
        || is_placeholder(password)
        || password.iter().all(|b| *b == b'*' || *b == b'x' || *b == b'.');
    (!template).then_some(90)
}

fn jwt(candidate: Candidate<'_>) -> Option<u8> {
    let header = candidate.text.split(|&b| b == b'.').next()?;
    let header = URL_SAFE_NO_PAD.decode(header.get(..header.len().min(512))?).ok()?;
    (contains(&header, b"\"alg\"")).then_some(95)
}
