//! One secret serves one purpose under one name (PV-091). Copies of it under other names are found by what they hold.
//!
//! Values are compared by an HMAC under a key that is made for one load and forgotten with it: nothing that is kept
//! could be used to try guesses.

use std::collections::{BTreeSet, HashMap};

use aws_lc_rs::{hmac, rand};
use postern_config::{IdentitySource, Material, OwnKey, ProviderKind, Snapshot};

/// Where a secret is, and what for.
pub(crate) struct Use<'s> {
    pub(crate) from: &'s Material,
    /// For people.
    pub(crate) place: String,
}

/// Says which secrets of a set are one secret. Those that cannot be read are told of by whoever needs them.
pub(crate) fn check(snapshot: &Snapshot, problems: &mut Vec<String>) {
    let mut key = [0; 32];
    if rand::fill(&mut key).is_err() {
        problems.push("error: the system has no random bytes".to_owned());
        return;
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let mut known: HashMap<Vec<u8>, Use<'_>> = HashMap::new();
    for used in uses(snapshot) {
        let Ok(secret) = used.from.read_secret() else { continue };
        let bare = secret.expose().trim_ascii();
        if bare.is_empty() {
            continue;
        }
        let tag = hmac::sign(&key, bare).as_ref().to_vec();
        match known.get(&tag) {
            // Two uses of one place were judged when the manifests were merged.
            Some(other) if other.from != used.from => problems.push(format!(
                "error[PV-091]: `{}` ({}) and `{}` ({}) hold the same secret\n  \
                 help: issue a secret of its own for each purpose, host and environment, so that one of them can be replaced alone",
                other.from, other.place, used.from, used.place
            )),
            Some(_) => {}
            None => drop(known.insert(tag, used)),
        }
    }
}

/// Every secret that a set names.
pub(crate) fn uses(snapshot: &Snapshot) -> Vec<Use<'_>> {
    let mut uses = Vec::new();
    for upstream in &snapshot.upstreams {
        for credential in &upstream.credentials {
            let place = || format!("credential `{}` for upstream `{}`", credential.name, upstream.name);
            uses.extend(credential.secrets().map(|from| Use { from, place: place() }));
        }
        if let Some(IdentitySource::Files { key, .. }) =
            upstream.tls.as_ref().and_then(|tls| tls.identity.as_ref()).map(|own| &own.source)
        {
            uses.push(Use { from: key, place: format!("the key of a certificate for upstream `{}`", upstream.name) });
        }
    }
    for listener in &snapshot.listeners {
        for own in listener.tls.iter().flat_map(|tls| &tls.identities) {
            if let IdentitySource::Files { key, .. } = &own.source {
                uses.push(Use { from: key, place: format!("the key of certificate `{}`", own.name) });
            }
        }
    }
    for provider in snapshot.routes.iter().flat_map(|route| &route.policy.identity.providers) {
        let client = match &provider.kind {
            ProviderKind::Introspection(asked) => Some(&asked.at.client_auth),
            ProviderKind::Jwt(jwt) => jwt.browser.as_ref().and_then(|login| login.client_secret.as_ref()),
            _ => None,
        };
        let place = || format!("the client secret of provider `{}`", provider.name);
        uses.extend(client.map(|from| Use { from, place: place() }));
        if let ProviderKind::Jwt(jwt) = &provider.kind
            && let Some(OwnKey::Material { name, from }) = jwt.browser.as_ref().map(|login| &login.key)
        {
            uses.push(Use { from, place: format!("key `{name}` of browsers' sessions") });
        }
    }
    for (detector, source) in snapshot.routes.iter().flat_map(|route| route.policy.runtime.external()) {
        let place = || format!("the token of detector `{}`", detector.name);
        uses.extend(source.auth.iter().map(|from| Use { from, place: place() }));
    }
    if let Some(from) = snapshot.shared.as_ref().and_then(|shared| shared.auth.as_ref()) {
        uses.push(Use { from, place: "the password of the shared store".to_owned() });
    }
    let txn = snapshot.routes.iter().filter_map(|route| route.policy.txn_tokens.as_ref()).map(|tokens| &tokens.key);
    for key in txn.chain(&snapshot.published_keys) {
        if let OwnKey::Material { name, from } = &key.key {
            uses.push(Use { from, place: format!("key `{name}` of tokens") });
        }
    }
    if let Some(OwnKey::Material { name, from }) = &snapshot.token_key {
        uses.push(Use { from, place: format!("key `{name}` of `Tokenize`") });
    }
    if let OwnKey::Material { name, from } = &snapshot.audit.key {
        uses.push(Use { from, place: format!("key `{name}` of the audit log") });
    }
    // A provider of the gateway is on every route.
    let mut seen = BTreeSet::new();
    uses.retain(|used| seen.insert((used.from, used.place.clone())));
    uses
}
