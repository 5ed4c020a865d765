//! AccessControlPolicy: rules become permits and forbids, one for each principal type, role and resource type they name.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::pst::{self, Clause};
use postern_config::{Code, Dialect, Effect, Expression, Report, Rule, RuleOrigin};

use super::RouteFacts;
use super::compile::{Builder, Scope, Source, by_resource};
use super::expression::{self, ContextParts, ExpressionError, Parsed, Reads};
use super::vocabulary::Broken;

/// Adds the policies of `rule` and returns what its expressions read. A rule that is left out is in `report`.
pub(super) fn add(
    builder: &mut Builder<'_>,
    rule: &Rule,
    roles: &BTreeSet<&str>,
    facts: &RouteFacts,
    report: &mut Report,
) -> Result<Reads, Broken> {
    let Some((when, unless)) = (Check { rule, report }).run(roles, facts) else {
        return Ok(Reads::default());
    };
    let reads = reads_of(when.as_ref()).union(reads_of(unless.as_ref()));
    let clauses: Vec<Clause> = when
        .map(|parsed| Clause::When(parsed.expr))
        .into_iter()
        .chain(unless.map(|parsed| Clause::Unless(parsed.expr)))
        .collect();
    builder.source(Source {
        id: Arc::from(format!("{} rule {}", rule.origin.manifest, rule.name)),
        actions: rule.actions.clone(),
        roles: rule.roles.clone(),
        origin: Some(rule.origin.clone()),
        when: rule.when.as_ref().map(|e| e.origin.clone()),
        unless: rule.unless.as_ref().map(|e| e.origin.clone()),
    });
    let effect = match rule.effect {
        Effect::Permit => pst::Effect::Permit,
        Effect::Forbid => pst::Effect::Forbid,
    };
    let on_deny = rule.on_deny.clone().filter(|_| rule.effect == Effect::Forbid).map(Arc::new);
    for (resource, actions) in by_resource(&rule.actions) {
        for principal in each(&rule.principals) {
            for role in each(&rule.roles) {
                let scope = Scope {
                    principal: principal.copied(),
                    role: role.map(String::as_str),
                    actions: &actions,
                    resource,
                    // A forbid never needs one.
                    waived: rule.waived.as_ref().filter(|_| rule.effect == Effect::Permit),
                    on_deny: on_deny.as_ref(),
                };
                builder.policy(effect, scope, clauses.clone(), reads.context, None)?;
            }
        }
    }
    Ok(reads)
}

/// The items of a list, or once nothing where the list is empty and so means all.
fn each<T>(list: &[T]) -> impl Iterator<Item = Option<&T>> {
    let all = list.is_empty().then_some(None);
    list.iter().map(Some).chain(all)
}

fn reads_of(parsed: Option<&Parsed>) -> Reads {
    parsed.map(|parsed| parsed.reads).unwrap_or_default()
}

/// Actions that a dialect can ask for.
pub(super) fn asks_for(dialect: Dialect, action: postern_config::Action) -> bool {
    postern_config::capability::actions(dialect).contains(&action)
}

struct Check<'c> {
    rule: &'c Rule,
    report: &'c mut Report,
}

impl Check<'_> {
    /// The expressions of the rule, or `None` where something is wrong with it.
    fn run(mut self, roles: &BTreeSet<&str>, facts: &RouteFacts) -> Option<(Option<Parsed>, Option<Parsed>)> {
        let whole = self.scope(roles);
        let when = self.expression("when", self.rule.when.as_ref(), facts);
        let unless = self.expression("unless", self.rule.unless.as_ref(), facts);
        let (Ok(when), Ok(unless)) = (when, unless) else {
            return None;
        };
        (whole && self.is_narrow(when.as_ref())).then_some((when, unless))
    }

    fn error(&mut self, code: u16, origin: &RuleOrigin, message: String, help: &str) -> bool {
        self.report.error(Code(code), &origin.position, &origin.pointer, message, help);
        false
    }

    fn scope(&mut self, roles: &BTreeSet<&str>) -> bool {
        let rule = self.rule;
        let mut good = true;
        if rule.actions.is_empty() {
            let message = format!("rule `{}` names no action, so it would do nothing", rule.name);
            good = self.error(21, &rule.origin, message, "name the actions it is about");
        }
        for role in rule.roles.iter().filter(|role| !roles.contains(role.as_str())) {
            let message =
                format!("rule `{}` names role `{role}`, which no RBACPolicy of the route declares", rule.name);
            let help = match roles.iter().min_by_key(|known| distance(known, role)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "declare the role in an RBACPolicy attached to the same route".to_owned(),
            };
            good = self.error(21, &rule.origin, message, &help);
        }
        good
    }

    /// PV-020. An expression that looks at nothing of the request narrows nothing.
    fn is_narrow(&mut self, when: Option<&Parsed>) -> bool {
        let rule = self.rule;
        if rule.effect != Effect::Permit {
            return true;
        }
        let mut good = true;
        if rule.roles.is_empty() && when.is_none_or(|when| !when.reads.request) {
            let message = match when {
                None => {
                    format!("permit `{}` has neither `roles` nor `when`: it permits everybody of a type", rule.name)
                }
                Some(_) => {
                    format!("permit `{}` has no `roles`, and its `when` is the same for every request", rule.name)
                }
            };
            good = self.error(20, &rule.origin, message, "name roles, or say in `when` which principals are meant");
        }
        if rule.roles.is_empty() && rule.principals.is_empty() {
            let message = format!("permit `{}` has neither `roles` nor `principals`", rule.name);
            good = self.error(20, &rule.origin, message, "name the roles or the types of principal it is for");
        }
        good
    }

    fn expression(
        &mut self,
        field: &str,
        written: Option<&Expression>,
        facts: &RouteFacts,
    ) -> Result<Option<Parsed>, ()> {
        let Some(written) = written else {
            return Ok(None);
        };
        let rule = self.rule;
        let parsed = match expression::parse(&written.text) {
            Ok(parsed) => parsed,
            Err(error) => {
                let help = match error {
                    ExpressionError::TooLarge => "write several rules, or put what they share into a role or a claim",
                    _ => "write one Cedar expression, as it stands between the braces of `when { }`",
                };
                self.error(21, &written.origin, format!("`{field}` of rule `{}` {error}", rule.name), help);
                return Err(());
            }
        };
        let sound = self.cannot_fail(field, written, parsed.reads);
        let set = self.is_set(field, written, parsed.reads, facts);
        if sound && set { Ok(Some(parsed)) } else { Err(()) }
    }

    /// A forbid that fails is skipped by Cedar, and by us refuses everything: neither is what was written.
    fn cannot_fail(&mut self, field: &str, written: &Expression, reads: Reads) -> bool {
        let name = &self.rule.name;
        if self.rule.effect != Effect::Forbid {
            return true;
        }
        let mut good = true;
        if reads.arithmetic {
            let message = format!("`{field}` of forbid `{name}` calculates, which can overflow");
            let help = "compare with a written number instead of using `+`, `-` or `*`";
            good = self.error(21, &written.origin, message, help);
        }
        if reads.constructs {
            let message =
                format!("`{field}` of forbid `{name}` builds an address, number or time from a value, which can fail");
            let help = "give `ip`, `decimal`, `datetime` and `duration` a written text";
            good = self.error(21, &written.origin, message, help);
        }
        good
    }

    /// PV-024, where the route can ask for an action of the rule at all.
    fn is_set(&mut self, field: &str, written: &Expression, reads: Reads, facts: &RouteFacts) -> bool {
        if !self.rule.actions.iter().any(|action| asks_for(facts.dialect, *action)) {
            return true;
        }
        let mut good = true;
        for (part, sets, attribute, setter) in [
            (
                ContextParts::RISK,
                facts.sets_risk,
                "context.risk",
                "attach a RuntimeSecurityPolicy with a detector to the route",
            ),
            (
                ContextParts::DATA_CLASS,
                facts.sets_data_class,
                "context.ai.dataClass",
                "attach a DataProtectionPolicy with a detector to the route",
            ),
            (
                ContextParts::COMPLIANCE,
                facts.sets_compliance,
                "context.compliance",
                "declare the mode in `complianceModes` of a Policy",
            ),
        ] {
            if reads.context.has(part) && !sets {
                let message = format!(
                    "`{field}` of rule `{}` reads `{attribute}`, which nothing sets on route `{}`",
                    self.rule.name, facts.route
                );
                let help = format!("{setter}, or leave `{attribute}` out");
                good = self.error(24, &written.origin, message, &help);
            }
        }
        good
    }
}

/// How many letters two names do not share at their places: enough to find a slip of the pen.
fn distance(a: &str, b: &str) -> usize {
    let same = a.bytes().zip(b.bytes()).filter(|(a, b)| a == b).count();
    let same_from_end = a.bytes().rev().zip(b.bytes().rev()).filter(|(a, b)| a == b).count();
    a.len().max(b.len()).saturating_sub(same.max(same_from_end))
}
