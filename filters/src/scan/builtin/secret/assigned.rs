//! A value that is a credential because of the name it is given to: `DB_PASSWORD=…`, `"apiKey": "…"`, `--token …`.
//!
//! A candidate begins at the sign between name and value, which ordinary text has seldom; the name is read backwards
//! from there. What has a vendor in its name may have that vendor's form (32 hexadecimal digits are a key of Datadog's
//! and a digest of everybody else's); any other value has to look random.

use super::format::{distinct, is_placeholder};
use crate::scan::pattern::{Candidate, Shape};

/// A vendor whose keys have no mark of their own.
#[cfg_attr(not(test), expect(dead_code, reason = "the documented table is compared with it"))]
#[derive(Debug, Clone, Copy)]
pub(super) struct Vendor {
    pub(super) issuer: &'static str,
    pub(super) form: &'static str,
    /// In the name, letters and digits alone and in lower case.
    pub(super) words: &'static [&'static str],
    accepts: fn(&[u8]) -> bool,
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

const WORDS: &[&[u8]] = &[
    b"password",
    b"passwd",
    b"passphrase",
    b"passcode",
    b"pwd",
    b"secret",
    b"token",
    b"apikey",
    b"accesskey",
    b"authkey",
    b"privatekey",
    b"secretkey",
    b"signingkey",
    b"encryptionkey",
    b"masterkey",
    b"sharedkey",
    b"accountkey",
    b"credential",
    b"credentials",
    b"clientkey",
    b"appkey",
    b"servicekey",
    b"sessionkey",
    b"storagekey",
    b"jwtkey",
    b"kennwort",
    b"passwort",
    b"motdepasse",
    b"wachtwoord",
    b"senha",
    b"dbpass",
    b"userpass",
    b"mysqlpass",
    b"smtppass",
];

/// Names that end like a credential and are none.
const INNOCENT: &[&[u8]] = &[
    b"public",
    b"csrf",
    b"xsrf",
    b"authenticity",
    b"nexttoken",
    b"pagetoken",
    b"nextpage",
    b"synctoken",
    b"continuation",
    b"cancellation",
    b"idempotency",
    b"dsn",
    b"pubkey",
    b"resettoken",
    b"numtoken",
    b"maxtoken",
    b"stoptoken",
];

/// In what stands before the password of a connection string.
const CONNECTION: &[&[u8]] = &[b";user", b";uid", b"user id=", b"server=", b"data source="];

/// A value behind `=`, `:` or `>`.
pub(super) const SHAPE: Shape = Shape {
    pattern: r#"(?-u:[=:>]>?[ \t]{0,8}(?:\\?["'`][^\x00-\x20"'`<>\\\x7f-\xff]{8,}|[^\x00-\x20"'`<>,;|&(){}\[\]\\\x7f-\xff]{8,}))"#,
    check: assigned,
    whole: true,
};

/// A value behind a name on a command line, in a file for netrc, or in a sentence.
pub(super) const SPOKEN: Shape = Shape {
    pattern: r#"(?-u:(?:\B--(?:[a-z]{1,12}-){0,3}(?:password|passwd|passphrase|secret|token|api-?key|access-?key)|\blogin [!-~]{1,64}\s{1,4}password|\b(?i:password|passphrase|passcode|passwd|api key|secret key|access key|access token|api token|auth token) (?:is|was|will be|should be)(?: now| set to)?:?|\bIDENTIFIED BY) {1,2}["'`]?[^\x00-\x20"'`<>,;|&(){}\[\]\\\x7f-\xff]{8,})"#,
    check: |c| {
        let value = c.text.get(spoken_value(c.text)..)?;
        (value.len() <= MAX && chosen(value) && is_password(value)).then_some(85)
    },
    whole: true,
};

/// `curl -u name:password`.
pub(super) const USER: Shape = Shape {
    pattern: r#"(?-u:\B(?:-u|--user) ["']?[^\x00-\x20"'`<>${}:\x7f-\xff]{1,64}:[^\x00-\x20"'`<>${}\x7f-\xff]{8,})"#,
    check: |c| {
        let value = c.text.get(spoken_value(c.text)..)?;
        (value.len() <= MAX && chosen(value) && is_password(value)).then_some(85)
    },
    whole: true,
};

/// A longer value is a document, not a credential; one with a form is found by it.
const MAX: usize = 200;

fn assigned(candidate: Candidate<'_>) -> Option<u8> {
    let value = candidate.text.get(value_at(candidate.text)..)?;
    if value.len() > MAX || value.len() < 8 {
        return None;
    }
    let name = Name::before(candidate.before)?;
    if let Some(vendor) = VENDORS.iter().find(|vendor| vendor.words.iter().any(|word| name.has(word.as_bytes())))
        && (vendor.accepts)(value)
        && chosen(value)
        && distinct(value) >= 6
        && name.is_of_credential(true)
    {
        return Some(90);
    }
    if !name.is_of_credential(false) || !chosen(value) {
        return None;
    }
    // A connection string says what its password is, however bad it is.
    let lower = candidate.before.to_ascii_lowercase();
    let connects = candidate.text.starts_with(b"=") && CONNECTION.iter().any(|word| holds(&lower, word));
    (connects || is_random(value) || name.is_of_password() && is_password(value)).then_some(85)
}

/// Where the value begins: behind the sign, spaces and an opening quote.
pub(super) fn value_at(text: &[u8]) -> usize {
    text.iter().take_while(|b| matches!(b, b'=' | b':' | b'>' | b' ' | b'\t' | b'\\' | b'"' | b'\'' | b'`')).count()
}

/// Where the last word begins, of a user and a password the password.
pub(super) fn spoken_value(text: &[u8]) -> usize {
    let word = text.iter().rposition(|b| matches!(b, b' ' | b'\n' | b'"' | b'\'' | b'`')).map_or(0, |at| at + 1);
    let user = text.starts_with(b"-u") || text.starts_with(b"--user ");
    let colon = text.get(word..).and_then(|rest| memchr::memchr(b':', rest)).filter(|_| user);
    colon.map_or(word, |at| word + at + 1)
}

/// The name before the sign: letters and digits alone, in lower case.
struct Name(Vec<u8>);

impl Name {
    const MAX: usize = 48;

    fn before(before: &[u8]) -> Option<Self> {
        let (name, rest) = last_word(before)?;
        // `- name: DB_PASSWORD\n  value: …` and `<add key="password" value="…">`.
        if name.eq_ignore_ascii_case(b"value")
            || name.eq_ignore_ascii_case(b"val")
            || name.eq_ignore_ascii_case(b"default")
        {
            return Some(Self::of(last_word(rest)?.0));
        }
        Some(Self::of(name))
    }

    fn of(word: &[u8]) -> Self {
        let kept = word.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase);
        let mut name: Vec<u8> = kept.collect();
        while name.len() > 1 && name.last().is_some_and(u8::is_ascii_digit) {
            name.pop();
        }
        Self(name)
    }

    fn has(&self, word: &[u8]) -> bool {
        holds(&self.0, word)
    }

    /// `of_vendor`: any key of somebody who is named is meant.
    fn is_of_credential(&self, of_vendor: bool) -> bool {
        let ends = WORDS.iter().any(|word| self.0.ends_with(word)) || of_vendor && self.0.ends_with(b"key");
        let exact = self.0 == b"pass" || self.0 == b"pw" || self.0 == b"pat" || self.0 == b"authorization";
        (ends || exact) && !INNOCENT.iter().any(|word| self.has(word))
    }

    fn is_of_password(&self) -> bool {
        [&b"pass"[..], b"pwd", b"pw", b"kennwort", b"senha"].iter().any(|word| self.has(word))
    }
}

/// The last name in `before`, and what stands before it.
fn last_word(before: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let between = |b: u8| {
        matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'\'' | b'`' | b'\\' | b']' | b')' | b':' | b'=' | b',')
    };
    let end = before.len() - before.iter().rev().take_while(|b| between(**b)).count();
    let named = before.get(..end)?;
    let length = named.iter().rev().take(Name::MAX).take_while(|b| is_name(**b)).count();
    let (rest, name) = named.split_at(end - length);
    (!name.is_empty()).then_some((name, rest))
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// In a value that only says where the real one is.
const REFERENCES: &[&[u8]] = &[
    b"://",
    b"sha1-",
    b"sha256",
    b"sha384",
    b"sha512",
    b"md5",
    b"env.",
    b"getenv",
    b"process.",
    b"secrets.",
    b"vault:",
    b"arn:",
    b"data:",
    b"base64,",
    b"${",
    b"{{",
];

/// In a value that somebody wrote to show where one goes.
const WRITTEN: &[&[u8]] = &[
    b"password",
    b"passwd",
    b"passwort",
    b"secret",
    b"token",
    b"api_key",
    b"apikey",
    b"api-key",
    b"changeit",
    b"foobar",
    b"-----begin",
    b"credential",
];

/// In a value that somebody typed along the keyboard.
const SHOWN: &[&[u8]] = &[b"12345678", b"1234-1234", b"abcdefg", b"abc123", b"qwerty", b"..."];

/// How often at most a character is repeated at once.
fn longest_run(value: &[u8]) -> usize {
    value.chunk_by(|a, b| a == b).map(<[u8]>::len).max().unwrap_or(0)
}

/// A value, and not the place where one goes, or where to find it.
fn chosen(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let refers = matches!(value, [b'$', b'{' | b'(' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'@', ..] | [b'%', b'(' | b'{', ..])
        || matches!(
            value,
            [b'{' | b'<' | b'[' | b'(' | b'/' | b'~', b'{' | b'<' | b'[' | b'a'..=b'z' | b'.' | b'/', ..]
        )
        || REFERENCES.iter().any(|mark| holds(&lower, mark));
    let written = WRITTEN.iter().any(|word| holds(&lower, word) && lower.len() < word.len() + 14);
    let shown = value.ends_with(b"..") || SHOWN.iter().any(|part| holds(&lower, part)) || longest_run(value) >= 6;
    !refers && !written && !shown && !is_placeholder(value) && !is_identifier(value)
}

/// `prod_…`, `req_…`: what vendors call their objects, which is no secret.
fn is_identifier(value: &[u8]) -> bool {
    const OBJECTS: &[&[u8]] = &[
        b"prod",
        b"req",
        b"cus",
        b"evt",
        b"ch",
        b"pi",
        b"in",
        b"sub",
        b"price",
        b"acct",
        b"txn",
        b"re",
        b"card",
        b"src",
        b"seti",
        b"cs",
        b"msg",
        b"run",
        b"thread",
        b"asst",
        b"call",
        b"file",
        b"resp",
        b"chatcmpl",
        b"org",
        b"user",
        b"usr",
        b"proj",
        b"ord",
        b"inv",
        b"pm",
        b"po",
        b"si",
        b"plan",
        b"batch",
        b"toolu",
        b"pk",
        b"trace",
        b"span",
        b"sess",
    ];
    let Some(at) = memchr::memchr(b'_', value) else { return false };
    let (prefix, rest) = value.split_at(at);
    let rest = rest.get(1..).unwrap_or_default();
    OBJECTS.contains(&prefix) && rest.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// Drawn by a machine: many different characters of several kinds that form no words, and no digest or number.
pub(super) fn is_random(value: &[u8]) -> bool {
    let kinds = kinds(value);
    let plain = kinds < 3;
    value.len() >= if plain { 20 } else { 12 }
        && (distinct(value) as usize) >= (value.len() / 2).clamp(8, 14)
        && kinds >= 2
        && value.iter().any(|b| b.is_ascii_digit() || is_odd(*b))
        && !is_digest(value)
        && words(value) * 10 <= value.len() * if kinds == 4 { 5 } else { 4 }
        && (!plain || changes(value) >= 6)
}

/// A sign that names and paths of programs do not have.
fn is_odd(b: u8) -> bool {
    b.is_ascii_punctuation() && !matches!(b, b'.' | b'_' | b'-' | b'/' | b':' | b'=')
}

/// Chosen by a person who was told what a password has: short, but of three kinds of characters.
fn is_password(value: &[u8]) -> bool {
    let mixed = kinds(value) >= 3 && value.iter().any(u8::is_ascii_digit) && value.len() < 40;
    let path = value.iter().filter(|b| matches!(b, b'/' | b'.' | b'\\')).count() >= 2;
    mixed && !path && !is_digest(value) && distinct(value) >= 6
}

/// Lower case, upper case, digits, signs: how many of them.
fn kinds(value: &[u8]) -> usize {
    let kinds: [fn(&u8) -> bool; 4] =
        [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit, u8::is_ascii_punctuation];
    kinds.iter().filter(|kind| value.iter().any(|b| kind(b))).count()
}

/// Digests, UUIDs, traces, dates and versions.
fn is_digest(value: &[u8]) -> bool {
    let separator = |b: &u8| matches!(b, b'-' | b':' | b'.' | b'_' | b'/' | b'+' | b'T' | b'Z' | b'=');
    value.iter().all(|b| b.is_ascii_hexdigit() || separator(b))
}

/// Characters in runs of small letters, as words have them.
fn words(value: &[u8]) -> usize {
    value.split(|b| !b.is_ascii_lowercase()).map(<[u8]>::len).filter(|length| *length >= 4).sum()
}

/// How often a letter follows a digit, or a digit a letter.
fn changes(value: &[u8]) -> usize {
    value.windows(2).filter(|pair| matches!(pair, [a, b] if a.is_ascii_digit() != b.is_ascii_digit())).count()
}

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
