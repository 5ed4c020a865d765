//! Who calls in the demo, and the tokens they were given.

use postern_certs::{Authority, AuthorityError, Issued, Template};
use postern_filters::token::mint::{MintError, SigningKey, bound_to};
use serde_json::{Value, json};

/// As in the shipped manifests.
pub(super) const ISSUER: &str = "https://login.demo.example";
pub(super) const AUDIENCE: &str = "https://ai.demo.example";
const ASSISTANT: &str = "spiffe://demo.example/ns/acme/sa/assistant";

/// Seconds a token lives; the manifests accept no older ones.
pub(super) const TOKEN_LIFE: i64 = 3300;

/// Somebody with a client certificate.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) name: &'static str,
    pub(super) tenant: &'static str,
    groups: &'static [&'static str],
    pub(super) issued: Issued,
}

/// Everybody who calls in the tour.
#[derive(Debug)]
pub(super) struct Callers {
    /// Staff and clerk of acme.
    pub(super) mia: Caller,
    /// Staff of acme, in a hurry.
    pub(super) ned: Caller,
    /// Of acme, in no group.
    pub(super) noah: Caller,
    /// Staff of globex.
    pub(super) gwen: Caller,
    /// An agent of acme, with an X.509-SVID.
    pub(super) assistant: Caller,
    /// A certificate that says it is mia's, of an authority nobody trusts.
    pub(super) stranger: Caller,
}

impl Callers {
    pub(super) fn new(ours: &Authority, theirs: &Authority) -> Result<Self, AuthorityError> {
        Ok(Self {
            mia: person(ours, "mia", "acme", &["staff", "clerks"])?,
            ned: person(ours, "ned", "acme", &["staff"])?,
            noah: person(ours, "noah", "acme", &[])?,
            gwen: person(ours, "gwen", "globex", &["staff"])?,
            assistant: Caller {
                name: "assistant",
                tenant: "acme",
                groups: &[],
                issued: ours.issue(&Template::svid(ASSISTANT))?,
            },
            stranger: person(theirs, "mia", "acme", &["staff"])?,
        })
    }

    /// Those that the demo's directory holds files of.
    pub(super) fn ours(&self) -> [&Caller; 5] {
        [&self.mia, &self.ned, &self.noah, &self.gwen, &self.assistant]
    }
}

fn person(
    authority: &Authority,
    name: &'static str,
    tenant: &'static str,
    groups: &'static [&'static str],
) -> Result<Caller, AuthorityError> {
    let host = format!("{name}.clients.demo.example");
    let template = Template { hosts: vec![host], for_clients: true, for_servers: false, ..Template::server(&[name]) };
    Ok(Caller { name, tenant, groups, issued: authority.issue(&template)? })
}

/// A token for `caller`, bound to the certificate of `holder`: what the issuer says unless `change` says otherwise.
pub(super) fn token(
    key: &SigningKey,
    caller: &Caller,
    holder: &Caller,
    now: i64,
    change: Value,
) -> Result<String, MintError> {
    let mut claims = json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": caller.name,
        "client_id": "demo",
        "jti": format!("{}-{now}", caller.name),
        "iat": now,
        "exp": now.saturating_add(TOKEN_LIFE),
        "tenant": caller.tenant,
        "groups": caller.groups,
        "cnf": bound_to(&holder.digest()),
    });
    if let (Some(claims), Value::Object(change)) = (claims.as_object_mut(), change) {
        claims.extend(change);
    }
    key.sign(&key.header(), &claims)
}

impl Caller {
    fn digest(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.issued.der).as_ref());
        out
    }
}
