//! Vendors whose keys have no mark of their own: the name that a value is given to says whose it is.

use super::looks::{chosen, is_random};

/// A vendor whose keys have no mark of their own.
#[cfg_attr(not(test), expect(dead_code, reason = "the documented table is compared with it"))]
#[derive(Debug, Clone, Copy)]
pub(super) struct Vendor {
    pub(super) issuer: &'static str,
    pub(super) form: &'static str,
    /// In the name, letters and digits alone and in lower case.
    pub(super) words: &'static [&'static str],
    pub(super) accepts: fn(&[u8]) -> bool,
}

macro_rules! vendor {
    ($issuer:literal, $form:literal, [$($word:literal),*], $accepts:expr) => {
        Vendor { issuer: $issuer, form: $form, words: &[$($word),*], accepts: $accepts }
    };
}

pub(super) const VENDORS: &[Vendor] = &[
    vendor!("Datadog", "32 or 40 hexadecimal digits", ["datadog", "ddapi", "ddapp"], |v| hex(v, &[32, 40])),
    vendor!("Mistral", "32 letters or digits", ["mistral"], |v| alnum(v, &[32])),
    vendor!("Cohere", "40 letters or digits", ["cohere", "coapi"], |v| alnum(v, &[40])),
    vendor!("Azure OpenAI, Azure AI", "32 hexadecimal digits, or 84 letters or digits", ["azure", "ocpapim"], |v| hex(
        v,
        &[32]
    )
        || alnum(v, &[52, 84])),
    vendor!("IBM Cloud", "44 characters", ["ibm", "watson", "bluemix"], |v| dashed(v, &[44])),
    vendor!("Oracle Cloud", "20 characters", ["oracle", "oci"], |v| v.len() == 20 && is_random(v)),
    vendor!("Cloudflare", "37 hexadecimal digits or 40 characters", ["cloudflare", "cfapi"], |v| hex(v, &[37])
        || dashed(v, &[40])),
    vendor!("Fastly", "32 characters", ["fastly"], |v| dashed(v, &[32])),
    vendor!("Heroku", "UUID", ["heroku"], uuid),
    vendor!("Postmark", "UUID", ["postmark"], uuid),
    vendor!("Snyk", "UUID", ["snyk"], uuid),
    vendor!("Splunk", "UUID", ["splunk"], uuid),
    vendor!("Twilio", "auth token: 32 hexadecimal digits", ["twilio"], |v| hex(v, &[32])),
    vendor!("Algolia", "32 hexadecimal digits", ["algolia"], |v| hex(v, &[32])),
    vendor!("PagerDuty", "20 characters, or 32 hexadecimal digits", ["pagerduty", "pdapi"], |v| dashed(v, &[20])
        || hex(v, &[32])),
    vendor!("Gitea, Forgejo", "40 hexadecimal digits", ["gitea", "forgejo", "gogs", "codeberg"], |v| hex(v, &[40])),
    vendor!("Azure DevOps", "52 or 84 lower-case letters or digits", ["devops", "azdo", "vsts"], |v| alnum(
        v,
        &[52, 84]
    )),
    vendor!("Weights & Biases", "40 hexadecimal digits", ["wandb"], |v| hex(v, &[40])),
    vendor!("Deepgram", "40 hexadecimal digits", ["deepgram"], |v| hex(v, &[40])),
    vendor!("AssemblyAI", "32 hexadecimal digits", ["assemblyai"], |v| hex(v, &[32])),
    vendor!("Rollbar", "32 hexadecimal digits", ["rollbar"], |v| hex(v, &[32])),
    vendor!("Sumo Logic", "64 letters or digits", ["sumologic", "sumoaccess"], |v| alnum(v, &[64])),
    vendor!("Snowflake", "any value of 8 or more characters that is no placeholder", ["snowflake"], |v| v.len() >= 8
        && chosen(v)),
    vendor!("Auth0", "64 characters", ["auth0"], |v| dashed(v, &[64])),
    vendor!("Mattermost", "26 lower-case letters or digits", ["mattermost"], |v| alnum(v, &[26])),
    vendor!("Travis CI", "22 characters", ["travis"], |v| dashed(v, &[22])),
    vendor!("Alibaba Cloud", "secret of an access key: 30 letters or digits", ["alibaba", "aliyun", "alicloud"], |v| {
        alnum(v, &[30])
    }),
];

fn hex(value: &[u8], lengths: &[usize]) -> bool {
    lengths.contains(&value.len()) && value.iter().all(u8::is_ascii_hexdigit)
}

fn alnum(value: &[u8], lengths: &[usize]) -> bool {
    lengths.contains(&value.len()) && value.iter().all(u8::is_ascii_alphanumeric)
}

fn dashed(value: &[u8], lengths: &[usize]) -> bool {
    lengths.contains(&value.len()) && value.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+'))
}

fn uuid(value: &[u8]) -> bool {
    let mut groups = value.split(|b| *b == b'-');
    let right =
        |length: &usize| groups.next().is_some_and(|g| g.len() == *length && g.iter().all(u8::is_ascii_hexdigit));
    [8, 4, 4, 4, 12].iter().all(right) && value.len() == 36
}
