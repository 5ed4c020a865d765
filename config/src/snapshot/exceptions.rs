//! What is allowed against the rules, by whom and until when: exceptions of a `Policy`.

use std::fmt;
use std::sync::Arc;

use crate::Code;
use crate::values::Time;

/// What an exception can allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Waiver {
    /// A route that asks for no credential.
    Anonymous,
    /// Tokens that are not bound to their sender, where requests execute.
    UnboundTokens,
    /// A permit for `execute` or `modify` over the whole gateway.
    WideGrant,
    /// A listener or an upstream without TLS beyond this machine.
    Plaintext,
    /// Certificates whose revocation no current list tells.
    UnknownRevocation,
    /// A route to a model without guards of content.
    Unguarded,
    /// Content that nobody reads, towards an upstream that may not see all.
    Unseen,
    /// A route without an AuditPolicy.
    Unaudited,
    /// A route without a rate limit.
    Unlimited,
    /// A credential in the query of a URL.
    CredentialInUrl,
}

impl Waiver {
    pub const ALL: [Self; 10] = [
        Self::Anonymous,
        Self::UnboundTokens,
        Self::WideGrant,
        Self::Plaintext,
        Self::UnknownRevocation,
        Self::Unguarded,
        Self::Unseen,
        Self::Unaudited,
        Self::Unlimited,
        Self::CredentialInUrl,
    ];

    /// The refusal that it waives.
    #[must_use]
    pub fn code(self) -> Code {
        Code(match self {
            Self::Anonymous => 10,
            Self::UnboundTokens => 13,
            Self::WideGrant => 22,
            Self::Plaintext => 30,
            Self::UnknownRevocation => 33,
            Self::Unguarded => 50,
            Self::Unseen => 51,
            Self::Unaudited => 60,
            Self::Unlimited => 70,
            Self::CredentialInUrl => 93,
        })
    }
}

/// One exception, with all that its manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// As records name it: `Policy/default/posture#public-status-page`.
    pub id: Arc<str>,
    pub allow: Waiver,
    /// What it is for: `Route status`, `listener public`, `Upstream legacy`.
    pub targets: Vec<String>,
    pub reason: String,
    pub owner: String,
    pub approved_by: Option<String>,
    /// Unix seconds at which it ends.
    pub until: i64,
}

impl Exception {
    #[must_use]
    pub fn has_ended(&self, now_ms: i64) -> bool {
        has_ended(self.until, now_ms)
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, code, targets) = (&self.id, self.allow.code(), self.targets.join(", "));
        write!(f, "{id} allows {code} for {targets} until {}; owner {}", Time(self.until), self.owner)
    }
}

/// Something that is as it is only because of an exception. Once that has ended, it counts no more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waived {
    pub what: Waiver,
    /// [`Exception::id`].
    pub exception: Arc<str>,
    /// Unix seconds at which it ends.
    pub until: i64,
}

impl Waived {
    /// Whether what it stands for is refused at `now_ms` (unix milliseconds).
    #[must_use]
    pub fn has_ended(&self, now_ms: i64) -> bool {
        has_ended(self.until, now_ms)
    }

    /// Why something is refused after the end.
    #[must_use]
    pub fn ended(&self) -> String {
        format!("exception `{}` for {} ended at {}", self.exception, self.what.code(), Time(self.until))
    }
}

fn has_ended(until: i64, now_ms: i64) -> bool {
    now_ms >= until.saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_ends_at_the_moment_it_names() {
        let waived = Waived { what: Waiver::Unlimited, exception: Arc::from("Policy/default/p#e"), until: 1000 };
        for (now_ms, want) in [(0, false), (999_999, false), (1_000_000, true), (i64::MAX, true)] {
            assert_eq!(waived.has_ended(now_ms), want, "{now_ms}");
        }
        assert!(!Waived { until: i64::MAX, ..waived.clone() }.has_ended(i64::MAX - 1));
        assert_eq!(waived.ended(), "exception `Policy/default/p#e` for PV-070 ended at 1970-01-01T00:16:40Z");
    }
}
