//! What would have to be otherwise for a refused request to pass, in words.

use postern_config::{Access, AllowList, AllowRule};

use super::Explanation;
use crate::path::PathGlob;
use crate::{Reason, RequestView};

/// The rule that comes nearest to letting the request pass, and what it misses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// As decisions name it; empty where no rule is near, and the sentence says all.
    pub rule: String,
    pub missing: Vec<String>,
}

/// For each list of the route, in their order: the first entry that takes the request by method, path and content type.
#[must_use]
pub fn allow_entries(access: &Access, req: &RequestView<'_>) -> Vec<Option<usize>> {
    access.allow.iter().map(|list| list.rules.iter().position(|entry| misses(entry, req).is_empty())).collect()
}

/// The entry that misses least of the first list that takes none of its own: the list, the entry's number, and what it misses.
fn nearest_entry<'a>(access: &'a Access, req: &RequestView<'_>) -> Option<(&'a AllowList, usize, Vec<String>)> {
    let mut without = access.allow.iter().filter(|list| !list.rules.iter().any(|entry| misses(entry, req).is_empty()));
    let list = without.next()?;
    let entries = list.rules.iter().enumerate().map(|(index, entry)| (index, misses(entry, req)));
    // A path that is another is farther than a method or a type that is.
    let is_elsewhere = |missing: &[String]| missing.iter().any(|what| what.starts_with("path"));
    let (index, missing) = entries.min_by_key(|(_, missing)| (is_elsewhere(missing), missing.len()))?;
    Some((list, index, missing))
}

fn misses(entry: &AllowRule, req: &RequestView<'_>) -> Vec<String> {
    let mut missing = Vec::new();
    if !entry.methods.iter().any(|method| method == req.method) {
        missing.push(format!("method `{}` is not among {}", req.method, listed(&entry.methods)));
    }
    if !entry.paths.iter().any(|glob| PathGlob::new(glob).matches(req.path)) {
        missing.push(format!("path `{}` is not among {}", req.path, listed(&entry.paths)));
    }
    let sent = req.content_type();
    match (&entry.content_types, &sent) {
        (Some(types), Some(sent)) if types.contains(sent) => {}
        (Some(types), Some(sent)) => missing.push(format!("content type `{sent}` is not among {}", listed(types))),
        (Some(types), None) => missing.push(format!("there is no content type; it takes {}", listed(types))),
        (None, _) if req.headers.contains_key(http::header::CONTENT_TYPE) => {
            missing.push("it is for requests without a body, and this one names a content type".to_owned());
        }
        (None, _) => {}
    }
    missing
}

fn listed(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// What was missing; `None` where everything passed.
#[must_use]
pub fn nearest(explanation: &Explanation, access: &Access, req: &RequestView<'_>) -> Option<Nearest> {
    let refusal = explanation.refusal.as_ref()?;
    let last = explanation.steps.last()?;
    if let Some(weighing) = explanation.weighing.as_ref().filter(|_| last.filter == "authorize") {
        if let Some(why) = &weighing.before {
            return Some(Nearest { rule: String::new(), missing: vec![why.clone()] });
        }
        if let Some((rule, missing)) = weighing.nearest() {
            return Some(Nearest { rule: rule.rule.to_string(), missing });
        }
    }
    if last.filter == "frame"
        && matches!(refusal.reason, Reason::NotPermitted | Reason::UnsupportedContent)
        && let Some((list, index, missing)) = nearest_entry(access, req)
    {
        return Some(Nearest { rule: list.entry(index), missing });
    }
    Some(Nearest { rule: refusal.rule.clone().unwrap_or_default(), missing: vec![refusal.detail.clone()] })
}
