//! The secrets of upstreams, as far as policy looks for them in messages. They are read by whoever shows them to an upstream, so that
//! what is shown and what is looked for is one value.

use std::collections::HashMap;

use postern_config::{LeakDetection, Redacted, Upstream};

use crate::scan::{Managed, ScanError, can_be_searched_for};

/// Secrets by upstream, each with the name of its credential.
#[derive(Debug, Default)]
pub struct UpstreamSecrets {
    current: HashMap<String, Vec<Secret>>,
    /// Replaced, and still shown for a while.
    previous: HashMap<String, Vec<Secret>>,
}

type Secret = (String, Redacted<Vec<u8>>);

impl UpstreamSecrets {
    /// One that is shown to `upstream`.
    pub fn add(&mut self, upstream: &str, credential: &str, secret: Redacted<Vec<u8>>) {
        self.current.entry(upstream.to_owned()).or_default().push((credential.to_owned(), secret));
    }

    /// One that was replaced, and may still be shown to `upstream`.
    pub fn add_previous(&mut self, upstream: &str, credential: &str, secret: Redacted<Vec<u8>>) {
        self.previous.entry(upstream.to_owned()).or_default().push((credential.to_owned(), secret));
    }

    /// What is looked for on routes to `upstream`. `None` where one of its secrets could not be read, which whoever reads it tells.
    pub(super) fn of(&self, upstream: &Upstream, leaks: Option<&LeakDetection>) -> Option<Managed> {
        let mut managed = nothing_of(leaks);
        for credential in &upstream.credentials {
            let of = |all: &HashMap<String, Vec<Secret>>| -> Vec<Secret> {
                let all = all.get(&upstream.name).into_iter().flatten();
                all.filter(|(name, _)| *name == credential.name).cloned().collect()
            };
            let current = of(&self.current);
            if current.len() != credential.secrets().count() {
                return None;
            }
            managed.secrets.extend(current);
            // One that nobody could look for when it was current is not a reason to stay with it.
            managed.secrets.extend(of(&self.previous).into_iter().filter(|(_, secret)| can_be_searched_for(secret)));
        }
        Some(managed)
    }
}

/// Where it would be looked, without anything to look for.
pub(super) fn nothing_of(leaks: Option<&LeakDetection>) -> Managed {
    let of = |leaks: &LeakDetection| Managed {
        parts: leaks.parts.clone(),
        action: Some(leaks.action),
        ..Managed::default()
    };
    leaks.map(of).unwrap_or_default()
}

/// Code and way out of guards that cannot be built.
pub(super) fn refusal(error: &ScanError) -> (u16, &'static str) {
    match error {
        ScanError::Managed { .. } => (
            25,
            "replace it by a secret of at least 8 characters of visible ASCII, or do not look for it: remove `leakDetection` and detectors of type Managed",
        ),
        _ => (53, "change the pattern, or the `holdBack` of the route"),
    }
}
