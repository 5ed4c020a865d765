//! Who calls, and what their tokens say.

use postern_certs::{Authority, Issued, Template};
use postern_filters::token::mint::bound_to;
use serde_json::{Value, json};

pub const ISSUER: &str = "https://login.house.test";
pub const AUDIENCE: &str = "https://ai.house.test";
pub const ASSISTANT: &str = "spiffe://house.test/ns/acme/sa/assistant";

/// Somebody with a client certificate.
pub struct Caller {
    pub name: &'static str,
    pub tenant: &'static str,
    pub groups: &'static [&'static str],
    pub issued: Issued,
}

pub struct Callers {
    /// Staff of acme.
    pub mia: Caller,
    /// Staff of acme as well.
    pub ned: Caller,
    /// Of acme, in no group.
    pub noah: Caller,
    /// Staff of globex.
    pub gwen: Caller,
    /// An agent of acme.
    pub assistant: Caller,
    /// A certificate that says mia, of an authority nobody trusts.
    pub stranger: Caller,
}

impl Callers {
    pub fn new(ours: &Authority, theirs: &Authority) -> Self {
        let svid = ours.issue(&Template::svid(ASSISTANT)).unwrap();
        Self {
            mia: person(ours, "mia", "acme", &["staff"]),
            ned: person(ours, "ned", "acme", &["staff"]),
            noah: person(ours, "noah", "acme", &[]),
            gwen: person(ours, "gwen", "globex", &["staff"]),
            assistant: Caller { name: "assistant", tenant: "acme", groups: &[], issued: svid },
            stranger: person(theirs, "mia", "acme", &["staff"]),
        }
    }
}

fn person(authority: &Authority, name: &'static str, tenant: &'static str, groups: &'static [&'static str]) -> Caller {
    let host = format!("{name}.clients.house.test");
    let template = Template { hosts: vec![host], for_clients: true, for_servers: false, ..Template::server(&[name]) };
    Caller { name, tenant, groups, issued: authority.issue(&template).unwrap() }
}

/// What the issuer says of `who`, with `change` laid over it; a claim that is `null` there is left out.
pub fn claims(who: &Caller, holder: &Caller, now: i64, change: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": who.name,
        "client_id": "house",
        "jti": format!("{}-{now}", who.name),
        "iat": now,
        "exp": now + 3000,
        "tenant": who.tenant,
        "groups": who.groups,
        "cnf": bound_to(&digest(&holder.issued)),
    });
    let members = claims.as_object_mut().unwrap();
    if let Value::Object(change) = change {
        members.extend(change);
    }
    members.retain(|_, value| !value.is_null());
    claims
}

pub fn digest(issued: &Issued) -> [u8; 32] {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &issued.der).as_ref().try_into().unwrap()
}
