//! "Did you mean": the known word nearest to what was written.

/// Help for a field that is not among `known`. The nearest of them is named; without one, the `candidates` are listed.
pub(super) fn for_unknown_field(field: &str, known: &[&str], candidates: &[&str]) -> String {
    match nearest(field, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if candidates.is_empty() => "remove it; nothing is written here".to_owned(),
        None => format!("known here: {}", listed(candidates)),
    }
}

/// Help for a word that is not among `known`.
pub(super) fn for_unknown_word(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => to_choose(known),
    }
}

/// Help where one of `known` has to be written.
pub(super) fn to_choose(known: &[&str]) -> String {
    match known {
        [""] => "remove the field".to_owned(),
        [only] => format!("write {}", listed(&[only])),
        _ => format!("use one of {}", listed(known)),
    }
}

fn listed(words: &[&str]) -> String {
    let quoted = |word: &&str| if word.is_empty() { "`\"\"`".to_owned() } else { format!("`{word}`") };
    words.iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// The nearest of `known`, if it is near enough to be what was meant: at most a third of its letters differ.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    if word.len() > 64 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    known
        .iter()
        .filter(|known| !known.is_empty())
        .map(|known| (distance(&word, &known.to_ascii_lowercase()), *known))
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1))
        .min()
        .map(|(_, known)| known)
}

/// Optimal string alignment: insertions, deletions, changes and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let of = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let mut best = (of(&row, j) + usize::from(ca != cb)).min(of(&row, j + 1) + 1).min(of(&next, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca);
            if swapped {
                best = best.min(of(&before, j - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(usize::MAX)
}
