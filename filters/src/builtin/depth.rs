//! Refuses who comes at the end of too long a chain of parties that act for each other (RFC 8693 §4.1).

use postern_config::BehaviourLimits;

use crate::{Context, Flow, Reason, Refusal, Verdict};

#[derive(Debug)]
pub(crate) struct Depth {
    most: u32,
}

impl Depth {
    pub(crate) const NAME: &str = "depth";

    /// Nothing where nothing is limited.
    pub(crate) fn new(limits: &BehaviourLimits) -> Option<Self> {
        limits.max_depth.as_ref().map(|most| Self { most: most.value })
    }

    pub(crate) fn check(&self, cx: &Context) -> Verdict {
        let depth = cx.principal()?.depth();
        if u32::try_from(depth).is_ok_and(|depth| depth <= self.most) {
            return Ok(Flow::Continue);
        }
        let why = format!("{depth} parties act one for the other, and policy allows {}", self.most);
        Ok(Flow::Refuse(Refusal::new(Reason::TaskLimit, why).by(BehaviourLimits::DEPTH)))
    }
}
