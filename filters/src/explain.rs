//! What a chain would decide, step by step, about a request that nobody sent, from a caller that is assumed.
//!
//! The steps are those of the data path, and they are asked in its order. One thing differs: who asks is not proven but
//! taken as given ([`Assumed`]), and no [`crate::Permit`] comes of it, so nothing can be sent on the strength of an
//! explanation. A property test holds explanations against decisions over real tokens.

mod nearest;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use postern_config::{Authz, Direction, Route, Stage};
use serde_json::{Map, Value, json};

pub use nearest::{Nearest, allow_entries, nearest};

use crate::authz::Weighing;
use crate::chain::{Chain, Step};
use crate::filter::Filter;
use crate::token::{TokenError, VerifiedToken};
use crate::{Context, Flow, Principal, Reason, Refusal, RequestView};

/// The credential that is taken for presented, besides the peer's certificate, which the request names.
#[derive(Debug)]
pub struct Assumed {
    /// Taken for verified, or why nobody can have such a one.
    pub token: Result<Option<Arc<VerifiedToken>>, TokenError>,
    /// Largest body that is read.
    pub max_body: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct Explanation {
    /// The steps that were asked, in order. The last one is that which refused, if one did.
    pub steps: Vec<Explained>,
    /// `None` where everything passes.
    pub refusal: Option<Refusal>,
    /// The rules one by one, where it came to them.
    pub weighing: Option<Weighing>,
}

/// One step of the chain.
#[derive(Debug)]
pub struct Explained {
    pub stage: Stage,
    /// Name of the filter: `frame`, `limits`, `authorize`.
    pub filter: &'static str,
    /// Guards that ran with it, as records name them.
    pub guards: Vec<Arc<str>>,
    pub outcome: StepOutcome,
    /// What the step settled, as far as it is nobody's secret.
    pub facts: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    Pass,
    /// It would ask outside, and what it would hear is assumed.
    Assumed,
    Deny,
    /// It could not be decided, which refuses.
    Error,
}

impl StepOutcome {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Assumed => "Assumed",
            Self::Deny => "Deny",
            Self::Error => "Error",
        }
    }
}

/// Asks `chain`, which is that of `route`, about a request with this body. `cx` is fresh, and holds what was settled afterwards.
#[must_use]
pub fn explain(
    chain: &Chain,
    route: &Route,
    req: &RequestView<'_>,
    body: Bytes,
    assumed: Assumed,
    cx: &mut Context,
) -> Explanation {
    let Assumed { token, max_body } = assumed;
    let policy = &route.policy;
    let trial = policy.trials.iter().rev().find(|trial| trial.from <= cx.now());
    let authz = trial.map_or(&policy.authz, |trial| &trial.authz);
    let mut walk = Walk { req, token: Some(token), authz, steps: Vec::new(), weighing: None };
    let refusal = walk.all(chain, body, max_body, cx).err();
    Explanation { steps: walk.steps, refusal, weighing: walk.weighing }
}

struct Walk<'w> {
    req: &'w RequestView<'w>,
    /// Until it was presented.
    token: Option<Result<Option<Arc<VerifiedToken>>, TokenError>>,
    authz: &'w Authz,
    steps: Vec<Explained>,
    weighing: Option<Weighing>,
}

impl Walk<'_> {
    /// As [`Chain::check_head`] and [`Chain::check_message`].
    fn all(&mut self, chain: &Chain, body: Bytes, max: u64, cx: &mut Context) -> Result<(), Refusal> {
        self.some(chain, cx, true)?;
        if u64::try_from(body.len()).is_ok_and(|length| length > max) {
            return Err(Refusal::new(Reason::TooLarge, format!("the body exceeds {max} bytes")));
        }
        cx.set_body(body);
        self.some(chain, cx, false)
    }

    fn some(&mut self, chain: &Chain, cx: &mut Context, head: bool) -> Result<(), Refusal> {
        for step in chain.steps.iter().filter(|step| step.filter.reads_head_only() == head) {
            self.one(step, cx)?;
        }
        Ok(())
    }

    fn one(&mut self, step: &Step, cx: &mut Context) -> Result<(), Refusal> {
        let verdict = match &step.filter {
            Filter::Identify(identify) => identify.assume(self.token.take().unwrap_or(Ok(None)), self.req, cx),
            filter => filter.check(self.req, cx),
        };
        if let Filter::Authorize(authorize) | Filter::Reauthorize(authorize) = &step.filter {
            self.weighing = authorize.weigh(self.authz, self.req, cx).ok();
        }
        if verdict.is_ok() {
            step.guards.iter().for_each(|guard| cx.note(Direction::Request, guard));
        }
        let (outcome, refusal) = match verdict {
            Ok(Flow::Continue) => (StepOutcome::Pass, None),
            // Nobody outside is asked: it is taken to say nothing against it.
            Ok(Flow::Wait(_)) => (StepOutcome::Assumed, None),
            Ok(Flow::Refuse(refusal)) if refusal.reason == Reason::Undecided => (StepOutcome::Error, Some(refusal)),
            Ok(Flow::Refuse(refusal)) => (StepOutcome::Deny, Some(refusal)),
            Err(error) => (StepOutcome::Error, Some(error.into())),
        };
        self.steps.push(Explained {
            stage: step.filter.stage(),
            filter: step.filter.name(),
            guards: step.guards.iter().filter(|guard| !guard.is_empty()).cloned().collect(),
            outcome,
            facts: facts(&step.filter, self.req, cx),
        });
        refusal.map_or(Ok(()), Err)
    }
}

/// What a step of this kind has settled.
fn facts(filter: &Filter, req: &RequestView<'_>, cx: &Context) -> Map<String, Value> {
    let mut facts = Map::new();
    match filter {
        Filter::Identify(_) => {
            if let Some(principal) = cx.known_principal() {
                facts = who(principal, cx.now());
            }
        }
        Filter::Limits(_) => {
            for (name, value) in cx.headers() {
                facts.insert((*name).to_owned(), json!(value));
            }
        }
        Filter::OfTenant(_) => {
            facts.extend(cx.tenant().map(|tenant| ("tenant".to_owned(), json!(&**tenant))));
        }
        Filter::Parse(_) => {
            facts.extend(cx.action().map(|action| ("action".to_owned(), json!(action.as_str()))));
            facts.extend(cx.model().map(|model| ("model".to_owned(), json!(model))));
        }
        Filter::Operation(contract) | Filter::Schema(contract) | Filter::SchemaAgain(contract) => {
            facts.insert("policy".to_owned(), json!(contract.owner()));
            facts.extend(contract.operation(req).map(|operation| ("operation".to_owned(), json!(operation))));
        }
        Filter::Look(_) => {
            facts.insert("risk".to_owned(), json!(cx.risk()));
            facts.insert("dataClass".to_owned(), json!(format!("{:?}", cx.data_class())));
            let found = cx.findings().iter().map(
                |finding| json!({"guard": finding.guard, "detector": finding.detector, "part": finding.part.as_str()}),
            );
            facts.insert("findings".to_owned(), found.collect());
        }
        Filter::Act(_) | Filter::PutPrompts(_) => {
            facts.insert("rewritten".to_owned(), json!(cx.is_rewritten()));
        }
        _ => {}
    }
    facts
}

/// A principal as explanations show it.
#[must_use]
pub fn who(principal: &Principal, now: i64) -> Map<String, Value> {
    let mut facts = Map::new();
    let mut put = |name: &str, value: Value| {
        if !matches!(&value, Value::String(text) if text.is_empty()) && !value.as_array().is_some_and(Vec::is_empty) {
            facts.insert(name.to_owned(), value);
        }
    };
    put("principal", json!(principal.to_string()));
    put("provider", json!(principal.authn.provider));
    put("tenant", json!(principal.tenant));
    put("groups", json!(principal.groups));
    put("scopes", json!(principal.scopes));
    for (name, values) in &principal.tags {
        put(&format!("tag {name}"), json!(values));
    }
    if !principal.is_anonymous() {
        put("method", json!(principal.authn.method));
        put("acr", json!(principal.authn.acr));
        put("amr", json!(principal.authn.amr));
        put("ageSeconds", json!(now.saturating_sub(principal.authn.authenticated_at).max(0)));
        put("senderBound", json!(principal.authn.sender_bound));
    }
    if let Some(user) = &principal.on_behalf_of {
        put("onBehalfOf", Value::Object(who(user, now)));
    }
    facts
}
