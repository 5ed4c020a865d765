//! `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), as structured fields (RFC 9651).

use std::collections::HashMap;
use std::fmt::Write as _;

use postern_config::{LimitUnit, RateLimit};

use super::Standing;

/// The names as structured-field strings. Two manifests may use one name; the second then gets a number, as a list must
/// tell its members apart and the owner is nobody's business.
pub(super) fn labels<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut seen: HashMap<&str, u32> = HashMap::new();
    let mut unique = |name: &'n str| {
        let count = seen.entry(name).or_default();
        *count += 1;
        if *count == 1 { string(name) } else { string(&format!("{name}-{count}")) }
    };
    names.map(&mut unique).collect()
}

/// Adds `"per-user";q=60;w=60` to a list. `w` is left out for a window that is not whole seconds, which it cannot say, and
/// where there is none.
pub(super) fn add_policy(list: &mut String, label: &str, limit: &RateLimit) {
    if !list.is_empty() {
        list.push_str(", ");
    }
    // Writing to a `String` cannot fail.
    let _ = write!(list, "{label};q={}", limit.limit);
    let unit = match limit.unit {
        LimitUnit::Requests => "",
        LimitUnit::ConcurrentRequests => ";qu=\"concurrent-requests\"",
        LimitUnit::Bytes => ";qu=\"content-bytes\"",
        // The registry has none of these; names of our own, as the draft has it.
        LimitUnit::InputTokens => ";qu=\"postern-input-tokens\"",
        LimitUnit::OutputTokens => ";qu=\"postern-output-tokens\"",
        LimitUnit::TotalTokens => ";qu=\"postern-total-tokens\"",
    };
    list.push_str(unit);
    if limit.unit != LimitUnit::ConcurrentRequests && limit.window.subsec_nanos() == 0 {
        let _ = write!(list, ";w={}", limit.window.as_secs());
    }
}

/// `"per-user";r=27;t=1`: units that would pass now, and seconds until there is one more, where that is known. So `t` of a
/// refusal is its `Retry-After`, which must not be earlier.
pub(super) fn standing(label: &str, standing: Standing) -> String {
    let mut out = format!("{label};r={}", standing.remaining);
    if standing.seconds > 0 {
        let _ = write!(out, ";t={}", standing.seconds);
    }
    out
}

/// RFC 9651 §4.1.6; characters that a string cannot hold become `?`.
fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => out.push('?'),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_told_apart() {
        let labels = labels(["per-user", "per-user", "a\"b\\c", "naïve\n"].into_iter());
        assert_eq!(labels, [r#""per-user""#, r#""per-user-2""#, r#""a\"b\\c""#, r#""na?ve?""#]);
    }
}
