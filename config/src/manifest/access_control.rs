//! AccessControlPolicy: rules on attributes.

use crate::decode::{At, Fields, spec, words};
use crate::values::{Cedar, Name};
use crate::{Code, Effect};

use super::{ActionWord, OnDeny, RulePrincipal};

spec! {
    /// Rules on attributes, in Cedar. The proxy adds `principal is`, `action in` and `resource in` from the fields, so an expression
    /// speaks only of attributes. Any `Forbid` wins, else any `Permit`, else the request is refused.
    pub struct AccessControlPolicy {
        /// The rules; their order does not matter.
        [E] rules: At<Vec<At<Rule>>>,
    }
}

spec! {
    /// One rule.
    pub struct Rule {
        /// For records and explanations.
        [E] name: At<Name>,
        /// What it does where it matches.
        [E] effect: At<Effect>,
        /// Types of principals it is about. A `Permit` needs `principals` or `roles` (PV-020); a `Forbid` without either is about
        /// everybody.
        [E] principals: Vec<At<RulePrincipal>>,
        /// Roles of an RBACPolicy it is about, any of them.
        [E] roles: Vec<At<Name>>,
        /// What it is about.
        [E] actions: At<Vec<At<ActionWord>>>,
        /// Matches only where this is true. A `Permit` needs `roles` or `when` (PV-020).
        [E] when: Option<At<Cedar>>,
        /// Matches only where this is false.
        [E] unless: Option<At<Cedar>>,
        /// What a refused caller can do about it; of a `Forbid` only.
        [E] on_deny: Option<At<OnDeny>>,
    }
    check check_rule
}

fn check_rule(rule: &Rule, fields: &mut Fields<'_, '_, '_>) {
    if let (Effect::Permit, Some(on_deny)) = (rule.effect.value, &rule.on_deny) {
        let message = format!("permit `{}` has `onDeny`, and a permit refuses nobody", rule.name.as_str());
        let help = "move it to the `Forbid` that stands in the way, or write one";
        on_deny.error(fields.cx.report, Code(2), message, help);
    }
}

words! {
    /// What a rule does.
    impl Effect {
        /// Permits, unless another rule forbids.
        (Effect::Permit) = "Permit",
        /// Forbids, whatever permits.
        (Effect::Forbid) = "Forbid",
    }
}
