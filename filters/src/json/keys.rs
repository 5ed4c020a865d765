//! No object names a field twice, in any spelling that some parser takes for the same.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::document::Node;
use super::text::decode;
use super::{JsonError, JsonErrorKind as E};

/// Up to here every pair is compared; above, keys are sorted, so that no object costs the square of its members.
const PAIRWISE: usize = 8;

/// Checks the keys of one object whose members are `nodes`, keys and values alternating with all below the values.
/// `base` is the index of the first of them in the whole arena.
pub(super) fn check(bytes: &[u8], nodes: &[Node], base: usize, members: usize) -> Result<(), JsonError> {
    if members < 2 {
        return Ok(());
    }
    let mut plain: Vec<Node> = Vec::with_capacity(members);
    let mut at = 0;
    while let Some(key) = nodes.get(at) {
        plain.push(*key);
        // INVARIANT: every key is followed by its value, and `next` counts from the start of the arena.
        let Some(value) = nodes.get(at + 1) else { break };
        at = (value.next as usize).saturating_sub(base).max(at + 2);
    }
    let raw = |key: &Node| bytes.get(key.inner()).unwrap_or_default();
    if plain.iter().any(|key| key.escaped || !raw(key).is_ascii()) {
        return check_folded(bytes, &plain);
    }
    if members <= PAIRWISE {
        for (n, later) in plain.iter().enumerate() {
            for earlier in plain.iter().take(n) {
                if raw(earlier).eq_ignore_ascii_case(raw(later)) {
                    return Err(twin(raw(earlier) == raw(later), later));
                }
            }
        }
        return Ok(());
    }
    plain.sort_unstable_by(|a, b| fold_cmp(raw(a), raw(b)).then(a.start.cmp(&b.start)));
    for pair in plain.windows(2) {
        if let [a, b] = pair
            && raw(a).eq_ignore_ascii_case(raw(b))
        {
            return Err(twin(raw(a) == raw(b), b));
        }
    }
    Ok(())
}

fn twin(same: bool, later: &Node) -> JsonError {
    if same { E::DuplicateKey } else { E::CaseTwin }.at(later.start as usize)
}

fn fold_cmp(a: &[u8], b: &[u8]) -> Ordering {
    a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase))
}

/// The slow way, for keys with escapes or beyond ASCII: parsers that fold case do it over Unicode, where `ſ` is an `s`
/// and the Kelvin sign a `k`.
fn check_folded(bytes: &[u8], keys: &[Node]) -> Result<(), JsonError> {
    let mut folded: Vec<(String, Cow<'_, str>, &Node)> = keys
        .iter()
        .map(|key| {
            let text = decode(bytes.get(key.inner()).unwrap_or_default(), key.escaped);
            (fold(&text), text, key)
        })
        .collect();
    folded.sort_unstable_by(|a, b| (&a.0, &a.1, a.2.start).cmp(&(&b.0, &b.1, b.2.start)));
    for pair in folded.windows(2) {
        if let [(a, a_text, one), (b, b_text, other)] = pair
            && a == b
        {
            let later = if one.start > other.start { one } else { other };
            return Err(twin(a_text == b_text, later));
        }
    }
    Ok(())
}

fn fold(key: &str) -> String {
    key.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}
