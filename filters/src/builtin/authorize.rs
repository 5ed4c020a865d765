//! May this principal do this, here? Cedar decides, over facts that the stages before it established.

use std::collections::BTreeSet;
use std::sync::Arc;

use postern_config::{Action, Authz, DataClass, OnDeny};

use crate::authz::{
    AiFacts, Authorizer, AuthzRequest, Decision, Denial, HttpFacts, NetFacts, Rehearsal, ResourceRef, Weighing,
};
use crate::{Context, FilterError, Flow, Reason, Refusal, RequestView, Verdict};

#[derive(Debug)]
pub(crate) struct Authorize {
    authorizer: Arc<Authorizer>,
    /// Label `vendor` of the upstream.
    vendor: String,
    /// Compliance modes of the route.
    compliance: Vec<String>,
    /// Rules read the class of data, and guards of answers find some: what is decided of the answer then is decided with the request.
    classes_answers: bool,
}

impl Authorize {
    pub(crate) const GUARD: &str = "authorize";

    pub(crate) fn new(authorizer: Arc<Authorizer>, vendor: String, compliance: Vec<String>) -> Self {
        Self { authorizer, vendor, compliance, classes_answers: false }
    }

    /// Decides about the classes of the answer as well.
    pub(crate) fn with_answers(self, classes_answers: bool) -> Self {
        Self { classes_answers, ..self }
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        let (decision, rehearsal) = self.decide(req, cx)?;
        if self.classes_answers && decision.is_allowed() {
            let readable = self.readable(req, cx)?;
            cx.set_readable(readable);
        }
        cx.set_rehearsal(rehearsal);
        let rules = decision.rules.iter().map(|rule| &**rule).collect::<Vec<_>>().join(", ");
        cx.set_rule(rules.clone());
        cx.set_permitted(decision.is_allowed().then_some(rules.as_str()), decision.bindings);
        decision.exceptions.iter().for_each(|waived| cx.note_exception(waived));
        Ok(match decision.denial {
            None => Flow::Continue,
            Some(denial) => Flow::Refuse(refusal(denial, decision.error, decision.ask, rules)),
        })
    }

    /// A body that was rewritten has another size, which rules may read.
    pub(crate) fn check_again(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        if cx.is_rewritten() { self.check(req, cx) } else { Ok(Flow::Continue) }
    }

    /// The decision, and what policy on trial would have made of it.
    fn decide(&self, req: &RequestView<'_>, cx: &Context) -> Result<(Decision, Option<Rehearsal>), FilterError> {
        let question = self.question(req, cx)?;
        let decision = self.authorizer.decide(&question);
        let rehearsal = self.authorizer.rehearse(&question, &decision);
        Ok((decision, rehearsal))
    }

    /// The classes with which the request would be permitted as well: what its answer may have.
    fn readable(&self, req: &RequestView<'_>, cx: &Context) -> Result<BTreeSet<DataClass>, FilterError> {
        let mut question = self.question(req, cx)?;
        let mut readable = BTreeSet::new();
        for class in [DataClass::Public, DataClass::Internal, DataClass::Confidential, DataClass::Restricted] {
            // No other action has a class to read.
            if let Some(ai) = &mut question.ai {
                ai.data_class = class;
            }
            if self.authorizer.decide(&question).is_allowed() {
                readable.insert(class);
            }
        }
        Ok(readable)
    }

    /// The rules one by one, for an explanation of what was decided.
    pub(crate) fn weigh(&self, authz: &Authz, req: &RequestView<'_>, cx: &Context) -> Result<Weighing, FilterError> {
        Ok(self.authorizer.one_by_one(authz, &self.question(req, cx)?))
    }

    fn question<'q>(&'q self, req: &RequestView<'q>, cx: &'q Context) -> Result<AuthzRequest<'q>, FilterError> {
        let prepared = cx.prepared().ok_or(FilterError::NoPrincipal)?;
        let action = cx.action().ok_or(FilterError::NoMessage)?;
        let message = cx.message()?;
        let (resource, ai) = match action {
            Action::Chat | Action::Embed => {
                let ai = AiFacts {
                    dialect: message.dialect(),
                    stream: message.streams(),
                    input_tokens: message.input_tokens(),
                    max_output_tokens: message.max_output_tokens(),
                    data_class: cx.data_class(),
                    tools: message.tools(),
                    opaque: message.opaque().is_some(),
                };
                let name = message.model().ok_or(FilterError::NoMessage)?;
                (ResourceRef::Model { name, vendor: &self.vendor }, Some(ai))
            }
            _ => (ResourceRef::Route, None),
        };
        Ok(AuthzRequest {
            principal: prepared,
            action,
            resource,
            tenant: cx.tenant().map(|tenant| &**tenant),
            http: HttpFacts { method: req.method, host: req.host, path: req.path },
            net: NetFacts {
                source_ip: req.source.ip(),
                tls: req.tls,
                mtls: req.peer.is_some_and(|peer| peer.leaf_sha256.is_some()),
            },
            ai,
            risk: cx.risk(),
            now: cx.now_ms(),
            compliance: &self.compliance,
        })
    }
}

fn refusal(denial: Denial, error: Option<String>, ask: Option<OnDeny>, rules: String) -> Refusal {
    let detail = error.unwrap_or_else(|| denial.as_str().to_owned());
    let reason = match (denial, &ask) {
        // What could not be evaluated is not a decision: 503 tells the caller so, and operators (§11).
        (Denial::PolicyError, _) => Reason::Undecided,
        (_, Some(OnDeny::StepUp { .. })) => Reason::StepUp,
        (_, Some(OnDeny::Scope { .. })) => Reason::InsufficientScope,
        (_, None) => denial.reason(),
    };
    Refusal { ask: ask.map(Box::new), ..Refusal::new(reason, detail).by(rules) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filter;
    use crate::testing::{House, asked, chat, compiled, context, run, site};

    #[test]
    fn nothing_is_decided_before_the_stages_it_rests_on() {
        let house = House::new();
        let chains = compiled(&site(&house, "openai", true));
        let chain = chains.of("r").unwrap();
        let authorize = chain.steps.iter().find_map(|step| match &step.filter {
            Filter::Authorize(authorize) => Some(authorize.clone()),
            _ => None,
        });
        let authorize = authorize.unwrap();
        let mut cx = context();
        assert!(matches!(authorize.check(&chat().view(), &mut cx), Err(FilterError::NoPrincipal)));
        let known = chat().bearer(&house.token(serde_json::json!({})));
        let _ = chain.check_head(&known.view(), &mut cx).unwrap();
        assert!(matches!(authorize.check(&known.view(), &mut cx), Err(FilterError::NoMessage)));
    }

    #[test]
    fn the_rule_that_decided_is_noted_either_way() {
        let house = House::new();
        let chains = compiled(&site(&house, "http", false));
        let chain = chains.of("r").unwrap();
        for (tenant, reason, rule) in [
            ("acme", None, "AccessControlPolicy/default/r rule acme"),
            ("globex", Some(Reason::OtherTenant), "built-in tenant-guard"),
        ] {
            let token = house.token(serde_json::json!({ "tenant": tenant }));
            let mut cx = context();
            let got = run(chain, &asked("POST", "/v1/chat/completions").json("{}").bearer(&token), &mut cx);
            assert_eq!((got.err().map(|refusal| refusal.reason), cx.rule()), (reason, Some(rule)), "{tenant}");
        }
    }
}
