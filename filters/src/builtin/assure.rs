//! Refuses who has not proven strongly enough, or not recently enough, who they are (RFC 9470).
//!
//! Judged is a person: the User where an Agent acts for one, else the caller. What a credential does not say it does not prove.

use std::collections::HashMap;
use std::time::Duration;

use postern_config::{AssuranceDemand, OnDeny, PrincipalType};

use crate::authz::age_seconds;
use crate::{Assurance, Context, Flow, Reason, Refusal, Verdict, challenge};

/// What is demanded of each type of principal.
#[derive(Debug)]
pub(crate) struct Assure {
    by_kind: HashMap<PrincipalType, Demands>,
}

#[derive(Debug)]
struct Demands {
    all: Vec<AssuranceDemand>,
    /// What meets all of them, as far as a challenge can say it.
    ask: Option<Box<OnDeny>>,
}

impl Assure {
    pub(crate) const GUARD: &str = "assurance";

    pub(crate) fn new(demands: &[AssuranceDemand]) -> Self {
        let of = |kind: PrincipalType| {
            let all: Vec<AssuranceDemand> = demands.iter().filter(|demand| demand.applies_to(kind)).cloned().collect();
            let asks: Vec<OnDeny> = all.iter().filter_map(ask).collect();
            (!all.is_empty()).then(|| (kind, Demands { ask: challenge::together(&asks).map(Box::new), all }))
        };
        Self { by_kind: PrincipalType::ALL.into_iter().filter_map(of).collect() }
    }

    pub(crate) fn check(&self, cx: &mut Context) -> Verdict {
        let principal = cx.principal()?;
        let judged = principal.on_behalf_of.as_deref().unwrap_or(principal);
        let Some(demands) = self.by_kind.get(&judged.kind) else { return Ok(Flow::Continue) };
        if judged.is_anonymous() {
            return Ok(Flow::refuse(Reason::CredentialMissing, "nobody authenticated, and an assurance is demanded"));
        }
        let unmet = demands.all.iter().find_map(|demand| unmet(demand, &judged.authn, cx.now_ms()));
        Ok(match unmet {
            None => Flow::Continue,
            Some(why) => {
                let detail = format!("the authentication of {judged} is not enough: {why}");
                Flow::Refuse(Refusal { ask: demands.ask.clone(), ..Refusal::new(Reason::StepUp, detail) })
            }
        })
    }
}

fn ask(demand: &AssuranceDemand) -> Option<OnDeny> {
    let acr_values = demand.acr_values.clone().unwrap_or_default();
    let says = !acr_values.is_empty() || demand.max_age.is_some();
    says.then_some(OnDeny::StepUp { acr_values, max_age: demand.max_age })
}

/// What of a demand is not met.
fn unmet(demand: &AssuranceDemand, authn: &Assurance, now_ms: i64) -> Option<&'static str> {
    if demand.acr_values.as_ref().is_some_and(|values| !values.contains(&authn.acr)) {
        return Some("its `acr` is not one of those demanded");
    }
    if !demand.amr.iter().all(|method| authn.amr.contains(method)) {
        return Some("its `amr` lacks a method that is demanded");
    }
    let age =
        || Duration::from_secs(u64::try_from(age_seconds(authn.auth_time.unwrap_or(0), now_ms)).unwrap_or(u64::MAX));
    (demand.max_age.is_some_and(|longest| age() > longest)).then_some("it is too long ago, or `auth_time` is not said")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn demand(acr: &[&str], amr: &[&str], age: Option<u64>) -> AssuranceDemand {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        AssuranceDemand {
            principals: Vec::new(),
            acr_values: (!acr.is_empty()).then(|| texts(acr)),
            amr: texts(amr),
            max_age: age.map(Duration::from_secs),
        }
    }

    #[test]
    fn what_is_not_said_is_not_proven() {
        let said = |acr: &str, amr: &[&str], auth_time: Option<i64>| Assurance {
            acr: acr.to_owned(),
            amr: amr.iter().map(|text| (*text).to_owned()).collect(),
            auth_time,
            // When the token was issued says nothing of when the person was there.
            authenticated_at: NOW,
            ..Assurance::default()
        };
        let nothing = Assurance::default();
        for (case, demand, authn, met) in [
            ("one of the values", demand(&["a", "b"], &[], None), said("b", &[], None), true),
            ("another value", demand(&["a"], &[], None), said("ab", &[], None), false),
            ("no acr", demand(&["a"], &[], None), nothing.clone(), false),
            ("all methods", demand(&[], &["mfa", "hwk"], None), said("", &["hwk", "mfa", "pin"], None), true),
            ("one of the methods", demand(&[], &["mfa", "hwk"], None), said("", &["mfa"], None), false),
            ("no amr", demand(&[], &["mfa"], None), nothing.clone(), false),
            ("just in time", demand(&[], &[], Some(60)), said("", &[], Some(NOW - 60)), true),
            ("too late", demand(&[], &[], Some(60)), said("", &[], Some(NOW - 61)), false),
            ("a clock ahead of ours", demand(&[], &[], Some(60)), said("", &[], Some(NOW + 5)), true),
            ("the far future", demand(&[], &[], Some(60)), said("", &[], Some(NOW + 4000)), false),
            ("before all time", demand(&[], &[], Some(60)), said("", &[], Some(-5)), false),
            ("no auth_time", demand(&[], &[], Some(60)), said("", &[], None), false),
            ("all of it", demand(&["a"], &["mfa"], Some(60)), said("a", &["mfa"], Some(NOW)), true),
        ] {
            assert_eq!(unmet(&demand, &authn, NOW * 1000).is_none(), met, "{case}");
        }
    }
}
