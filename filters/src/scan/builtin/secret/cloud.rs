//! Keys of clouds and of what runs in them.

use super::format::{Format, random, token};
use crate::scan::pattern::Candidate;

pub(super) const FORMATS: &[Format] = &[
    token!(
        "Amazon Web Services",
        "access key id: `AKIA`, `ASIA`, `ABIA` or `ACCA`, 16 capitals or digits",
        ["AKIA", "ASIA"],
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"
    ),
    token!(
        "Amazon Web Services",
        "secret access key: 40 characters of base64 behind its name",
        [],
        r#"\b(?i:aws_?)?(?i:secret_?(?:access_?)?key|secretaccesskey)["']? ?(?:=|:|=>|:=|,|\s{1,12}(?i:value):) ?["']?[A-Za-z0-9/+]{40,41}"#,
        aws_secret
    ),
    token!(
        "Amazon Web Services",
        "session token: `IQoJb3JpZ2lu` or `FwoGZXIvYXdzE`, base64",
        ["IQoJb3JpZ2lu", "FwoGZXIvYXdzE"],
        r"\b(?:IQoJb3JpZ2lu|FwoGZXIvYXdzE)[A-Za-z0-9/+]{64,}={0,2}"
    ),
    token!(
        "Amazon Bedrock",
        "API key: `ABSKQmVkcm9ja0FQSUtleS`, base64",
        ["ABSKQmVkcm9ja0FQSUtleS"],
        r"\bABSKQmVkcm9ja0FQSUtleS[A-Za-z0-9+/]{60,}={0,2}"
    ),
    token!(
        "Amazon Bedrock",
        "short-term key: `bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t`, base64",
        ["bedrock-api-key-YmVk"],
        r"\bbedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t[A-Za-z0-9+/_-]{40,}"
    ),
    token!("Google Cloud", "API key: `AIza`, 35 characters", ["AIza"], r"\bAIza[0-9A-Za-z_-]{35,36}", google),
    token!("Google Cloud", "OAuth access token: `ya29.`", ["ya29."], r"\bya29\.[0-9A-Za-z_-]{30,}"),
    token!("Google Cloud", "OAuth refresh token: `1//0`", ["1//0"], r"\b1//0[0-9A-Za-z_-]{40,}"),
    token!("Google Cloud", "OAuth client secret: `GOCSPX-`, 28 characters", ["GOCSPX-"], r"\bGOCSPX-[0-9A-Za-z_-]{28}"),
    token!(
        "Google Cloud",
        "HMAC key of storage: `GOOG1E`, 55 capitals or digits",
        ["GOOG1E"],
        r"\bGOOG1E[A-Z0-9]{55}\b"
    ),
    token!(
        "Google Gemini",
        "key: `AQ.Ab8RN6`, 40 or more characters",
        ["AQ.Ab8RN6"],
        r"\bAQ\.Ab8RN6[0-9A-Za-z_-]{40,}"
    ),
    token!(
        "Microsoft Entra",
        "client secret: a digit and `Q~` behind three characters, 31 to 34 characters",
        [],
        r"[0-9]Q~[A-Za-z0-9_~.-]{31,35}",
        entra
    ),
    token!(
        "Microsoft Azure",
        "storage, Cosmos DB: `AccountKey=`, 86 characters of base64, `==`",
        ["AccountKey="],
        r"\bAccountKey=[0-9A-Za-z+/]{86}=="
    ),
    token!(
        "Microsoft Azure",
        "Service Bus, Event Hubs, IoT: `SharedAccessKey=`, 43 characters of base64, `=`",
        ["SharedAccessKey="],
        r"\bSharedAccessKey=[0-9A-Za-z+/]{43}="
    ),
    token!(
        "Microsoft Azure",
        "shared access signature: `sig=`, 43 characters of base64 (escaped), `=`",
        ["sig="],
        r"\bsig=(?:[0-9A-Za-z+/_-]|%2[BbFf]){43}(?:%3[Dd]|=)"
    ),
    token!(
        "DigitalOcean",
        "`dop_v1_`, `doo_v1_` or `dor_v1_`, 64 hexadecimal digits",
        ["dop_v1_", "doo_v1_", "dor_v1_"],
        r"\bdo[opr]_v1_[0-9a-f]{64}\b"
    ),
    token!(
        "Alibaba Cloud",
        "access key id: `LTAI`, 12 to 30 letters or digits",
        ["LTAI"],
        r"\bLTAI[A-Za-z0-9]{12,30}\b"
    ),
    token!("Tencent Cloud", "secret id: `AKID`, 32 letters or digits", ["AKID"], r"\bAKID[A-Za-z0-9]{32}\b"),
    token!("Yandex Cloud", "API key: `AQVN`, 35 to 40 characters", ["AQVN"], r"\bAQVN[A-Za-z0-9_-]{35,40}"),
    token!("Scaleway", "access key: `SCW`, 17 capitals or digits", ["SCW"], r"\bSCW[A-Z0-9]{17}\b"),
    token!(
        "Cloudflare",
        "origin CA key: `v1.0-`, 24 and 146 hexadecimal digits",
        ["v1.0-"],
        r"\bv1\.0-[0-9a-f]{24}-[0-9a-f]{146}\b"
    ),
    token!("Heroku", "`HRKU-`, 36 to 65 characters", ["HRKU-"], r"\bHRKU-[0-9A-Za-z_-]{36,65}"),
    token!("Fly.io", "`fo1_`, 43 characters", ["fo1_"], r"\bfo1_[0-9A-Za-z_-]{43}"),
    token!(
        "Fly.io",
        "`fm1a_`, `fm1r_` or `fm2_`, base64",
        ["fm1a_", "fm1r_", "fm2_"],
        r"\bfm(?:1[ar]|2)_[0-9A-Za-z+/]{80,}={0,2}"
    ),
    token!("Netlify", "`nfp_`, 36 to 40 letters or digits", ["nfp_"], r"\bnfp_[0-9A-Za-z]{36,40}\b"),
    token!(
        "Vercel",
        "`vercel_blob_rw_`, or `vcp_`, `vci_`, `vca_`, `vcr_` or `vck_` with 24 or more letters or digits",
        ["vercel_blob_rw_", "vcp_", "vck_"],
        r"\b(?:vercel_blob_rw_[0-9A-Za-z]{8,}_|vc[aciprk]_)[0-9A-Za-z]{24,}\b"
    ),
    token!("Supabase", "`sbp_`, 40 hexadecimal digits", ["sbp_"], r"\bsbp_[0-9a-f]{40}\b"),
    token!("Supabase", "`sb_secret_`, 31 or more characters", ["sb_secret_"], r"\bsb_secret_[0-9A-Za-z_-]{31,}"),
    token!(
        "PlanetScale",
        "`pscale_tkn_`, `pscale_pw_` or `pscale_oauth_`, 32 to 64 characters",
        ["pscale_"],
        r"\bpscale_(?:tkn|pw|oauth)_[0-9A-Za-z_.=-]{32,64}"
    ),
    token!("Neon", "`napi_`, 60 or more letters or digits", ["napi_"], r"\bnapi_[0-9a-z]{60,}\b"),
    token!("Databricks", "`dapi`, 32 hexadecimal digits", ["dapi"], r"\bdapi[0-9a-f]{32}(?:-[0-9])?\b"),
    token!(
        "Tailscale",
        "`tskey-`, kind, id and secret",
        ["tskey-"],
        r"\btskey-(?:auth|api|client|scim|webhook)-[0-9A-Za-z]{8,}-[0-9A-Za-z]{20,}\b"
    ),
    token!("Kubernetes, OpenShift", "`sha256~`, 43 characters", ["sha256~"], r"\bsha256~[0-9A-Za-z_-]{43}"),
];

/// Exactly forty characters behind the keyword.
fn aws_secret(candidate: Candidate<'_>) -> Option<u8> {
    let run = candidate.text.iter().rev().take(41).take_while(|b| is_base64(**b)).count();
    (run == 40).then(|| random(candidate)).flatten()
}

fn is_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'/' | b'+')
}

/// Behind exactly three characters, which are left: they tell nothing.
fn entra(candidate: Candidate<'_>) -> Option<u8> {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'~' | b'.' | b'-');
    let before = candidate.before.iter().rev().take_while(|b| is_part(b)).count();
    (before == 3 && candidate.text.len() <= 37).then(|| random(candidate)).flatten()
}

/// Exactly thirty-five characters behind the prefix.
fn google(candidate: Candidate<'_>) -> Option<u8> {
    (candidate.text.len() == 39).then(|| random(candidate)).flatten()
}
