//! Bytes: charged to the keys of a request as they come and go.

use std::sync::Arc;
use std::time::Duration;

use super::gcra;
use super::key::Digest;
use super::store::Limit;
use crate::{Reason, Refusal};

/// The byte limits of one request.
#[derive(Debug, Clone, Default)]
pub struct Meter(Vec<Entry>);

#[derive(Debug, Clone)]
struct Entry {
    limit: Arc<Limit>,
    key: Digest,
    name: Arc<str>,
}

impl Meter {
    pub(super) fn add(&mut self, limit: &Arc<Limit>, key: Digest, name: &str) {
        self.0.push(Entry { limit: limit.clone(), key, name: Arc::from(name) });
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Charges bytes that are about to go on.
    ///
    /// # Errors
    /// A refusal where a key owes a whole burst: these bytes have to stay. Other limits may have been charged.
    pub fn charge(&self, bytes: usize, now: Duration) -> Result<(), Refusal> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if bytes == 0 {
            return Ok(());
        }
        let now = gcra::nanos(now);
        let mut owing = None;
        // All of them are charged, also behind one that owes.
        for entry in &self.0 {
            if !entry.limit.charge(entry.key, bytes, now) {
                owing = Some(entry);
            }
        }
        let Some(entry) = owing else { return Ok(()) };
        let limit = format!("limit/{}", entry.name);
        let mut refusal = Refusal::new(Reason::OverLimit, format!("a whole burst over `{limit}`")).by(limit);
        refusal.headers.push(("retry-after", entry.limit.seconds_of(entry.key, now).to_string()));
        Err(refusal)
    }
}
