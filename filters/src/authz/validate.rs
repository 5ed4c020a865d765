//! Strict validation against the schema, and what Cedar says told about the rule it was written in.

use cedar_policy::{
    Policy, PolicySet, Schema, ValidationError, ValidationMode, ValidationResult, ValidationWarning, Validator, pst,
};
use postern_config::{Code, Report, RuleOrigin, Severity};

use super::compile::{Compiled, Source};
use super::vocabulary::{Broken, ResourceKind};

/// Validates every policy. One that can never match is an error: somebody meant something by it.
pub(super) fn validate(
    schema: Schema,
    policies: &[Compiled],
    sources: &[Source],
    report: &mut Report,
) -> Result<(), Broken> {
    let validator = Validator::new(schema);
    for finding in folded(findings(&strict(&validator, policies.iter().map(|compiled| compiled.policy.clone()))?)) {
        let compiled = finding.policy.parse().ok().and_then(|at: usize| policies.get(at));
        let source = compiled.and_then(|compiled| sources.get(compiled.source));
        let (Some(compiled), Some(source)) = (compiled, source) else {
            return Err(Broken::new("policy", Invalid(finding.message)));
        };
        let Some(origin) = &source.origin else {
            return Err(Broken::new("policy", Invalid(finding.message)));
        };
        let (clause, place) = blame(&validator, compiled, source)?.unwrap_or(("scope", origin));
        tell(&finding, compiled, source, clause, place, report);
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Invalid(String);

/// One thing Cedar says about one policy.
struct Finding {
    /// The id of the policy.
    policy: String,
    message: String,
    severity: Severity,
    impossible: bool,
    /// The way out, where what is wrong says it.
    help: Option<&'static str>,
}

fn strict(validator: &Validator, policies: impl Iterator<Item = Policy>) -> Result<ValidationResult, Broken> {
    let set = PolicySet::from_policies(policies).map_err(|e| Broken::new("policy set", e))?;
    Ok(validator.validate(&set, ValidationMode::Strict))
}

fn findings(result: &ValidationResult) -> Vec<Finding> {
    let errors = result.validation_errors().map(|error| Finding {
        policy: error.policy_id().to_string(),
        message: without_id(&error.to_string()),
        severity: Severity::Error,
        impossible: false,
        help: help(error),
    });
    let warnings = result.validation_warnings().map(|warning| {
        let impossible =
            matches!(warning, ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_));
        Finding {
            policy: warning.policy_id().to_string(),
            message: without_id(&warning.to_string()),
            severity: if impossible { Severity::Error } else { Severity::Warning },
            impossible,
            help: None,
        }
    });
    errors.chain(warnings).collect()
}

fn help(error: &ValidationError) -> Option<&'static str> {
    Some(match error {
        ValidationError::UnsafeAttributeAccess(_) if of_principal(&error.to_string()).is_some() => {
            "a principal has `id`, `issuer`, `tenant`, `groups` and `scopes`, and other claims as tags: `principal.hasTag(\"x\")`"
        }
        ValidationError::UnsafeTagAccess(_) => "ask first whether it is there: `x.hasTag(\"t\") && x.getTag(\"t\")`",
        ValidationError::UnsafeOptionalAttributeAccess(_) => "ask first whether it is there: `x has a && x.a`",
        ValidationError::UnexpectedType(_) | ValidationError::IncompatibleTypes(_) => {
            "compare values of one type; the whole is true or false"
        }
        _ => return None,
    })
}

/// A message that names a type of principal, cut at that.
fn of_principal(message: &str) -> Option<(&str, &str)> {
    let (before, rest) = message.split_once(" on entity type `Postern::")?;
    let (kind, after) = rest.split_once('`')?;
    ["User", "ServiceAccount", "Agent", "Component", "Anonymous"].contains(&kind).then_some((before, after))
}

/// A mistake about every type of principal is one mistake.
fn folded(findings: Vec<Finding>) -> Vec<Finding> {
    let mut out: Vec<(Finding, bool)> = Vec::new();
    for finding in findings {
        let same = |other: &Finding| {
            let cut = of_principal(&finding.message);
            cut.is_some() && other.policy == finding.policy && of_principal(&other.message) == cut
        };
        match out.iter_mut().find(|(other, _)| same(other)) {
            Some((_, many)) => *many = true,
            None => out.push((finding, false)),
        }
    }
    let told = |(finding, many): (Finding, bool)| match of_principal(&finding.message) {
        Some((before, after)) if many => Finding { message: format!("{before} on a principal{after}"), ..finding },
        _ => finding,
    };
    out.into_iter().map(told).collect()
}

/// Cedar's message begins by naming the policy, by a number of ours that tells nobody anything.
fn without_id(message: &str) -> String {
    let rest = message.strip_prefix("for policy `").and_then(|rest| rest.split_once('`'));
    rest.map_or(message, |(_, rest)| rest.trim_start_matches([',', ':', ' '])).to_owned()
}

/// The expression that fails by itself; `None` where only the whole does.
fn blame<'s>(
    validator: &Validator,
    compiled: &Compiled,
    source: &'s Source,
) -> Result<Option<(&'static str, &'s RuleOrigin)>, Broken> {
    let whole = compiled.policy.to_pst().map_err(|e| Broken::new("policy", e))?;
    for clause in whole.body().clauses() {
        let (name, origin) = match clause {
            pst::Clause::When(_) => ("`when`", &source.when),
            pst::Clause::Unless(_) => ("`unless`", &source.unless),
        };
        let alone = whole.body().clone().try_with_clauses([clause.clone()]).map_err(|e| Broken::new("policy", e))?;
        let alone = pst::StaticPolicy::try_from(alone).map_err(|e| Broken::new("policy", e))?;
        let alone = Policy::from_pst(alone.into()).map_err(|e| Broken::new("policy", e))?;
        let sound = findings(&strict(validator, std::iter::once(alone))?).is_empty();
        if let (false, Some(origin)) = (sound, origin) {
            return Ok(Some((name, origin)));
        }
    }
    Ok(None)
}

fn tell(
    finding: &Finding,
    compiled: &Compiled,
    source: &Source,
    clause: &str,
    place: &RuleOrigin,
    report: &mut Report,
) {
    let principal = compiled.principal.map_or(String::new(), |kind| match kind.as_str() {
        kind if kind.starts_with('A') => format!(" by an {kind}"),
        kind => format!(" by a {kind}"),
    });
    let on = compiled.resource.map_or("resource", ResourceKind::as_str);
    let Finding { message, severity, impossible, help, .. } = finding;
    let (message, help) = if *impossible {
        (
            format!("{clause} of {} can never hold for a {on}{principal}", source.id),
            "leave out the type or action it cannot be about, or correct the condition".to_owned(),
        )
    } else {
        (
            format!("{clause} of {} does not validate for a {on}{principal}: {message}", source.id),
            help.map_or_else(
                || {
                    format!(
                        "a {on} has {}; give each type of resource a rule of its own",
                        attributes(compiled.resource)
                    )
                },
                str::to_owned,
            ),
        )
    };
    match severity {
        Severity::Error => report.error(Code(21), &place.position, &place.pointer, message, help),
        Severity::Warning => report.warning(Code(21), &place.position, &place.pointer, message, help),
    }
}

fn attributes(kind: Option<ResourceKind>) -> &'static str {
    match kind {
        Some(ResourceKind::Model) => "`tenant`, `name` and `vendor`",
        Some(ResourceKind::Route) | None => "`tenant` and its labels as tags",
    }
}
