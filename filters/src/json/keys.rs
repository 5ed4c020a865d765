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
    if members > PAIRWISE {
        return check_many(bytes, keys_of(nodes, base).copied().collect());
    }
    // Most objects are small: no allocation for them.
    let mut few = [None; PAIRWISE];
    few.iter_mut().zip(keys_of(nodes, base)).for_each(|(slot, key)| *slot = Some(key));
    let keys = || few.iter().map_while(|key| *key);
    if keys().any(|key| is_spelled_oddly(bytes, key)) {
        return check_folded(bytes, keys());
    }
    for (n, later) in keys().enumerate() {
        let later_text = raw(bytes, later);
        for earlier in keys().take(n) {
            if raw(bytes, earlier).eq_ignore_ascii_case(later_text) {
                return Err(twin(raw(bytes, earlier) == later_text, later));
            }
        }
    }
    Ok(())
}

/// The keys among the nodes of an object's members.
fn keys_of(nodes: &[Node], base: usize) -> impl Iterator<Item = &Node> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let key = nodes.get(at)?;
        // INVARIANT: every key is followed by its value, and `next` counts from the start of the arena.
        at = nodes.get(at + 1).map_or(nodes.len(), |value| (value.next as usize).saturating_sub(base).max(at + 2));
        Some(key)
    })
}

fn raw<'b>(bytes: &'b [u8], key: &Node) -> &'b [u8] {
    bytes.get(key.inner()).unwrap_or_default()
}

/// Whether comparing bytes is not enough.
fn is_spelled_oddly(bytes: &[u8], key: &Node) -> bool {
    key.escaped || !raw(bytes, key).is_ascii()
}

fn check_many(bytes: &[u8], mut keys: Vec<Node>) -> Result<(), JsonError> {
    if keys.iter().any(|key| is_spelled_oddly(bytes, key)) {
        return check_folded(bytes, keys.iter());
    }
    keys.sort_unstable_by(|a, b| fold_cmp(raw(bytes, a), raw(bytes, b)).then(a.start.cmp(&b.start)));
    for pair in keys.windows(2) {
        if let [a, b] = pair
            && raw(bytes, a).eq_ignore_ascii_case(raw(bytes, b))
        {
            return Err(twin(raw(bytes, a) == raw(bytes, b), b));
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
fn check_folded<'n>(bytes: &[u8], keys: impl Iterator<Item = &'n Node>) -> Result<(), JsonError> {
    let mut folded: Vec<(String, Cow<'_, str>, &Node)> = keys
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
