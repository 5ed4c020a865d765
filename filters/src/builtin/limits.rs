//! Refuses what is over a limit, and lets wait what may wait. Limits over addresses run before identities are known, and so
//! before signatures cost anything; limits over principals run after; limits over models once the body is read.

use std::sync::Arc;

use crate::limit::{Facts, Judged, LimitSet, Outcome, Stage, Tokens};
use crate::{Context, Flow, Given, Need, Reason, Refusal, RequestView, Verdict};

/// The limits that can be judged at one stage.
#[derive(Debug)]
pub(crate) struct Limits {
    set: Arc<LimitSet>,
    stage: Stage,
    route: String,
}

impl Limits {
    pub(crate) fn new(set: Arc<LimitSet>, stage: Stage, route: &str) -> Self {
        Self { set, stage, route: route.to_owned() }
    }

    pub(crate) fn reads_head_only(&self) -> bool {
        self.stage != Stage::Model
    }

    /// Whether they hold for whoever asks, known or not.
    pub(crate) fn are_of_addresses(&self) -> bool {
        self.stage == Stage::Address
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        let waited = match cx.take_given() {
            Some(Given::Limits(waited)) => Some(waited),
            _ => None,
        };
        let principal = if self.stage == Stage::Address { None } else { Some(cx.principal()?.clone()) };
        let mut rating = cx.take_rating();
        let judged = {
            let facts = Facts {
                principal: principal.as_deref(),
                source: req.source,
                route: &self.route,
                model: cx.model(),
                headers: Some(req.headers),
                tokens: if self.set.counts_tokens() { cx.tokens() } else { Tokens::default() },
            };
            self.set.judge(self.stage, &facts, &mut rating, waited, cx.uptime())
        };
        match judged {
            Judged::Waits(wait) => {
                cx.wait_for_limits(rating, wait);
                Ok(Flow::Wait(Need::Limits))
            }
            Judged::Unknown(why) => {
                let mut refusal = Refusal::new(Reason::Undecided, format!("the shared limits: {why}"));
                refusal.headers.push(("retry-after", "1".to_owned()));
                Ok(Flow::Refuse(refusal))
            }
            Judged::Done(outcome) => {
                cx.hold(rating);
                Ok(conclude(&self.set, outcome, cx))
            }
        }
    }
}

fn conclude(set: &LimitSet, outcome: Outcome, cx: &mut Context) -> Flow {
    for (name, value) in set.headers(&outcome) {
        cx.add_header(name, value);
    }
    match outcome {
        Outcome::Unlimited | Outcome::Allowed(_) => Flow::Continue,
        Outcome::Refused { standing, .. } => {
            let limit = format!("limit/{}", set.name_of(&standing));
            let Some(after) = outcome.retry_after() else {
                let detail = format!("more tokens than `{limit}` ever lets through at once");
                return Flow::Refuse(Refusal::new(Reason::OverLimit, detail).by(limit));
            };
            let mut refusal = Refusal::new(Reason::OverLimit, format!("over `{limit}`")).by(limit);
            refusal.headers.push(("retry-after", after.to_string()));
            Flow::Refuse(refusal)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use postern_config::{CountedIn, LimitKey, LimitUnit, RateLimit};

    use super::*;
    use crate::limit::LimitStore;
    use crate::testing::{asked, context};

    fn limits(keys: &[LimitKey], stage: Stage) -> Limits {
        let limit = RateLimit {
            name: "two".to_owned(),
            owner: "default/api".to_owned(),
            key: keys.to_vec(),
            unit: LimitUnit::Requests,
            limit: 2,
            window: Duration::from_secs(60),
            burst: 2,
            max_wait: Duration::ZERO,
            store: CountedIn::Process,
        };
        Limits::new(Arc::new(LimitSet::compile(&[limit], &LimitStore::new()).unwrap()), stage, "r")
    }

    #[test]
    fn over_a_limit_the_caller_is_told_when_to_come_back() {
        let limits = limits(&[LimitKey::SourceIp], Stage::Address);
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
    fn a_header_that_is_not_there_once_and_readable_is_one_budget_for_all() {
        let limits = limits(&[LimitKey::Header("x-team".to_owned())], Stage::Address);
        let check = |head: &str| limits.check(&asked("GET", "/").head(head).view(), &mut context()).unwrap();
        for (head, passes) in [
            ("x-team: a", true),
            ("x-team: b", true),
            ("X-Team: a", true),
            ("x-team: a", false),
            ("", true),
            ("x-team: c\nx-team: d", true),
            ("x-team: é", false),
            ("x-team: e\nx-team: e", false),
            ("x-other: a", false),
            ("x-team: B", true),
        ] {
            assert_eq!(check(head) == Flow::Continue, passes, "{head}");
        }
    }

    #[test]
    fn limits_of_principals_do_not_decide_without_one() {
        let limits = limits(&[LimitKey::Principal], Stage::Principal);
        assert!(limits.check(&asked("GET", "/").view(), &mut context()).is_err());
    }
}
