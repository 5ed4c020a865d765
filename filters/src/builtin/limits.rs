//! Refuses what is over a rate limit. Limits over addresses run before identities are known, and so before signatures
//! cost anything; limits over principals run after.

use std::sync::Arc;

use crate::limit::{LimitSet, Outcome};
use crate::{Context, Flow, Reason, Refusal, RequestView, Verdict};

/// Limits whose keys are addresses and routes.
#[derive(Debug)]
pub(crate) struct AddressLimits {
    set: Arc<LimitSet>,
    route: String,
}

impl AddressLimits {
    pub(crate) fn new(set: Arc<LimitSet>, route: &str) -> Self {
        Self { set, route: route.to_owned() }
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        let outcome = self.set.check_address(req.source, &self.route, cx.uptime());
        Ok(conclude(&self.set, outcome, cx))
    }
}

/// Limits that count a principal or its tenant.
#[derive(Debug)]
pub(crate) struct PrincipalLimits {
    set: Arc<LimitSet>,
    route: String,
}

impl PrincipalLimits {
    pub(crate) fn new(set: Arc<LimitSet>, route: &str) -> Self {
        Self { set, route: route.to_owned() }
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        let principal = cx.principal()?.clone();
        let outcome = self.set.check_principal(&principal, req.source, &self.route, cx.uptime());
        Ok(conclude(&self.set, outcome, cx))
    }
}

fn conclude(set: &LimitSet, outcome: Outcome, cx: &mut Context) -> Flow {
    for (name, value) in set.headers(&outcome) {
        cx.add_header(name, value);
    }
    match outcome {
        Outcome::Unlimited | Outcome::Allowed(_) => Flow::Continue,
        Outcome::Refused { standing, retry_after } => {
            let limit = format!("limit/{}", set.name_of(&standing));
            let mut refusal = Refusal::new(Reason::OverLimit, format!("over `{limit}`")).by(limit);
            refusal.headers.push(("retry-after", retry_after.to_string()));
            Flow::Refuse(refusal)
        }
    }
}
