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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use postern_config::{LimitKey, RateLimit};

    use super::*;
    use crate::limit::LimitStore;
    use crate::testing::{asked, context};

    fn set(keys: &[LimitKey]) -> Arc<LimitSet> {
        let limit = RateLimit {
            name: "two".to_owned(),
            owner: "default/api".to_owned(),
            key: keys.to_vec(),
            limit: 2,
            window: Duration::from_secs(60),
            burst: 2,
        };
        Arc::new(LimitSet::compile(&[limit], &LimitStore::new()).unwrap())
    }

    #[test]
    fn over_a_limit_the_caller_is_told_when_to_come_back() {
        let limits = AddressLimits::new(set(&[LimitKey::SourceIp]), "r");
        let check = |source: &str| {
            let mut cx = context();
            (limits.check(&asked("GET", "/").from(source).view(), &mut cx).unwrap(), cx.headers().len())
        };
        for _ in 0..2 {
            assert_eq!(check("192.0.2.1"), (Flow::Continue, 2));
        }
        let (Flow::Refuse(refusal), headers) = check("192.0.2.1") else { panic!("not refused") };
        assert_eq!((refusal.reason, refusal.rule.as_deref()), (Reason::OverLimit, Some("limit/two")));
        assert_eq!(refusal.headers, [("retry-after", "30".to_owned())]);
        assert_eq!(headers, 2);
        assert_eq!(check("192.0.2.2").0, Flow::Continue);
    }

    #[test]
    fn limits_of_principals_do_not_decide_without_one() {
        let limits = PrincipalLimits::new(set(&[LimitKey::Principal]), "r");
        assert!(limits.check(&asked("GET", "/").view(), &mut context()).is_err());
    }
}
