//! What a refusal tells the client to do: `WWW-Authenticate` (RFC 6750 §3), with where tokens come from (RFC 9728 §5.1).
//!
//! All challenges are written here, so that there is one place to see what a client learns: whether it presented nothing or
//! something that does not hold, what a step-up must reach, which scopes are missing. Never why, and never what a policy says
//! otherwise.

mod metadata;

use std::fmt::Write as _;
use std::time::Duration;

use postern_config::{OnDeny, ProtectedResource, prefix_matches};

use crate::token::dpop;
use crate::{Reason, Refusal, RequestView};

pub use metadata::{Metadata, MetadataDocument};

const HEADER: &str = "www-authenticate";

/// What is the same in every challenge of a route.
#[derive(Debug, Clone, Default)]
pub(crate) struct Challenge {
    resource: Option<Resource>,
}

#[derive(Debug, Clone)]
struct Resource {
    host: String,
    path: String,
    /// Where its metadata is.
    metadata: String,
}

impl Challenge {
    pub(crate) fn new(resource: Option<&ProtectedResource>) -> Self {
        let resource = resource.map(|resource| Resource {
            host: resource.host.clone(),
            path: if resource.path.is_empty() { "/".to_owned() } else { resource.path.clone() },
            metadata: resource.metadata_url(),
        });
        Self { resource }
    }

    /// Adds the challenge that goes with the refusal, where one does. The metadata is named to requests for its resource only: a
    /// client must not believe it about anything else (RFC 9728 §3.3).
    pub(crate) fn complete(&self, req: &RequestView<'_>, mut refusal: Refusal) -> Refusal {
        let own = self.resource.as_ref().filter(|r| r.host == req.host && prefix_matches(&r.path, req.path));
        if let Some((_, asked)) = refusal.headers.iter_mut().find(|(name, _)| *name == HEADER) {
            // Identify asked for a proof.
            if let Some(resource) = own {
                let mut value = Parameters(std::mem::take(asked), true);
                value.add("resource_metadata", &resource.metadata);
                *asked = value.0;
            }
            return refusal;
        }
        if let Some(value) = value(refusal.reason, refusal.ask.as_deref(), own.map(|resource| &*resource.metadata)) {
            refusal.headers.push((HEADER, value));
        }
        refusal
    }
}

/// Asks for a token and a proof that its sender holds the key it is bound to (RFC 9449 §7.1); `error` is what was wrong with
/// those that came.
pub(crate) fn of_proof(error: Option<&str>) -> (&'static str, String) {
    let mut value = Parameters("DPoP".to_owned(), false);
    if let Some(error) = error {
        value.add("error", error);
    }
    value.add("algs", dpop::ALGORITHM_NAMES);
    (HEADER, value.0)
}

/// The challenge of a refusal that no route's chain made: of a connection that is not trusted any more, say. What was presented
/// there is no token, so that no error of tokens is told.
#[must_use]
pub fn bare(reason: Reason) -> Option<&'static str> {
    (reason.status() == 401).then_some("Bearer")
}

fn value(reason: Reason, ask: Option<&OnDeny>, metadata: Option<&str>) -> Option<String> {
    let error = match reason {
        // Nothing was presented, so nothing is wrong with it (RFC 6750 §3.1).
        Reason::CredentialMissing => None,
        Reason::CredentialInvalid => Some("invalid_token"),
        Reason::StepUp => Some("insufficient_user_authentication"),
        Reason::InsufficientScope => Some("insufficient_scope"),
        _ => return None,
    };
    let mut value = Parameters("Bearer".to_owned(), false);
    if let Some(error) = error {
        value.add("error", error);
    }
    match ask {
        Some(OnDeny::StepUp { acr_values, max_age }) => {
            if !acr_values.is_empty() {
                value.add("acr_values", &acr_values.join(" "));
            }
            if let Some(age) = max_age {
                value.add("max_age", &age.as_secs().to_string());
            }
        }
        Some(OnDeny::Scope { scopes }) => value.add("scope", &scopes.join(" ")),
        None => {}
    }
    if let Some(metadata) = metadata {
        value.add("resource_metadata", metadata);
    }
    Some(value.0)
}

/// A challenge as it grows, and whether it has a parameter yet.
struct Parameters(String, bool);

impl Parameters {
    /// INVARIANT: names and values have no quote and no backslash; what comes from manifests was read as such.
    fn add(&mut self, name: &str, value: &str) {
        let comma = if std::mem::replace(&mut self.1, true) { "," } else { "" };
        // Writing to a `String` does not fail.
        let _ = write!(self.0, "{comma} {name}=\"{value}\"");
    }
}

/// What several forbids ask for together; nothing where no one answer would satisfy all of them. A stronger authentication comes
/// first: the scopes are told to who has it.
pub(crate) fn together<'a>(asks: impl IntoIterator<Item = &'a OnDeny>) -> Option<OnDeny> {
    let (mut acr, mut youngest, mut steps): (Option<Vec<String>>, Option<Duration>, bool) = (None, None, false);
    let mut needed: Vec<String> = Vec::new();
    for ask in asks {
        match ask {
            OnDeny::StepUp { acr_values, max_age } => {
                steps = true;
                youngest = youngest.into_iter().chain(*max_age).min();
                if !acr_values.is_empty() {
                    let mut both = acr.unwrap_or_else(|| acr_values.clone());
                    both.retain(|value| acr_values.contains(value));
                    if both.is_empty() {
                        return None;
                    }
                    acr = Some(both);
                }
            }
            OnDeny::Scope { scopes } => {
                for scope in scopes {
                    if !needed.contains(scope) {
                        needed.push(scope.clone());
                    }
                }
            }
        }
    }
    match (steps, needed.is_empty()) {
        (true, _) => Some(OnDeny::StepUp { acr_values: acr.unwrap_or_default(), max_age: youngest }),
        (false, false) => Some(OnDeny::Scope { scopes: needed }),
        (false, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::asked;

    fn step(acr: &[&str], age: Option<u64>) -> OnDeny {
        let acr_values = acr.iter().map(|value| (*value).to_owned()).collect();
        OnDeny::StepUp { acr_values, max_age: age.map(Duration::from_secs) }
    }

    fn scope(scopes: &[&str]) -> OnDeny {
        OnDeny::Scope { scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect() }
    }

    #[test]
    fn a_challenge_says_what_to_do_and_nothing_else() {
        let resource = ProtectedResource {
            resource: "https://ai.example.com/v1".to_owned(),
            host: "ai.example.com".to_owned(),
            authority: "ai.example.com:8443".to_owned(),
            path: "/v1".to_owned(),
            authorization_servers: vec!["https://login.example.com".to_owned()],
            scopes: Vec::new(),
        };
        let there = "resource_metadata=\"https://ai.example.com:8443/.well-known/oauth-protected-resource/v1\"";
        let both = Some(step(&["urn:a", "urn:b"], Some(300)));
        for (reason, ask, want) in [
            (Reason::CredentialMissing, None, Some("Bearer".to_owned())),
            (Reason::CredentialInvalid, None, Some("Bearer error=\"invalid_token\"".to_owned())),
            (
                Reason::StepUp,
                both,
                Some(
                    "Bearer error=\"insufficient_user_authentication\", acr_values=\"urn:a urn:b\", max_age=\"300\""
                        .to_owned(),
                ),
            ),
            (Reason::StepUp, None, Some("Bearer error=\"insufficient_user_authentication\"".to_owned())),
            (
                Reason::InsufficientScope,
                Some(scope(&["a", "b"])),
                Some("Bearer error=\"insufficient_scope\", scope=\"a b\"".to_owned()),
            ),
            (Reason::NotPermitted, Some(scope(&["a"])), None),
            (Reason::Undecided, None, None),
        ] {
            let refusal = || Refusal { ask: ask.clone().map(Box::new), ..Refusal::new(reason, "why") };
            let told = |challenge: &Challenge, path: &str| {
                let refusal = challenge.complete(&asked("GET", path).view(), refusal());
                refusal.headers.first().map(|(_, value)| value.clone())
            };
            assert_eq!(told(&Challenge::default(), "/v1/chat"), want, "{reason:?}");
            let challenge = Challenge::new(Some(&resource));
            let comma = if want.as_deref() == Some("Bearer") { " " } else { ", " };
            assert_eq!(told(&challenge, "/v1/chat"), want.clone().map(|w| format!("{w}{comma}{there}")), "{reason:?}");
            assert_eq!(told(&challenge, "/v10"), want, "another resource: {reason:?}");
        }
    }

    #[test]
    fn what_several_rules_ask_for_is_asked_for_once_or_not_at_all() {
        for (asks, want) in [
            (vec![], None),
            (vec![step(&["a", "b"], None)], Some(step(&["a", "b"], None))),
            (vec![step(&["a", "b"], Some(60)), step(&["c", "b"], Some(9))], Some(step(&["b"], Some(9)))),
            (vec![step(&["a"], None), step(&["b"], None)], None),
            (vec![step(&["a"], None), step(&[], Some(5))], Some(step(&["a"], Some(5)))),
            (vec![scope(&["x"]), scope(&["y", "x"])], Some(scope(&["x", "y"]))),
            (vec![scope(&["x"]), step(&["a"], None)], Some(step(&["a"], None))),
        ] {
            assert_eq!(together(&asks), want, "{asks:?}");
        }
    }
}
