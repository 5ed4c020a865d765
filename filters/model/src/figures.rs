//! How well scores tell attacks from the rest.

/// Area under the curve of hits over false alarms.
pub(crate) fn auc(attacks: &[f32], innocent: &[f32]) -> f64 {
    let mut all: Vec<(f32, bool)> =
        attacks.iter().map(|score| (*score, true)).chain(innocent.iter().map(|score| (*score, false))).collect();
    all.sort_by(|one, next| one.0.total_cmp(&next.0));
    let (mut ranks, mut below) = (0.0, 0);
    for same in all.chunk_by(|one, next| one.0 == next.0) {
        let rank = below as f64 + (same.len() as f64 + 1.0) / 2.0;
        ranks += rank * same.iter().filter(|(_, attack)| *attack).count() as f64;
        below += same.len();
    }
    let (p, n) = (attacks.len() as f64, innocent.len() as f64);
    (ranks - p * (p + 1.0) / 2.0) / (p * n)
}

/// The score that no more than this share of the innocent texts is above.
pub(crate) fn cut(innocent: &[f32], share: f64) -> f32 {
    let mut sorted = innocent.to_vec();
    sorted.sort_by(|one, next| next.total_cmp(one));
    let at = (sorted.len() as f64 * share).floor() as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f32::MIN)
}

/// The share of scores above `cut`.
pub(crate) fn above(scores: &[f32], cut: f32) -> f64 {
    scores.iter().filter(|score| **score > cut).count() as f64 / scores.len().max(1) as f64
}

/// One line of a table.
pub(crate) fn line(name: &str, attacks: &[f32], innocent: &[f32]) -> String {
    if attacks.is_empty() || innocent.is_empty() {
        return format!("| {name} | {} | {} | | | |", attacks.len(), innocent.len());
    }
    let at = |share| 100.0 * above(attacks, cut(innocent, share));
    format!(
        "| {name} | {} | {} | {:.3} | {:.1} % | {:.1} % |",
        attacks.len(),
        innocent.len(),
        auc(attacks, innocent),
        at(0.01),
        at(0.001)
    )
}

/// The head of that table.
pub(crate) const HEAD: &str = "| rows | attacks | innocent | AUC | recall at 1 % false alarms | at 0.1 % |\n| --- | --- | --- | --- | --- | --- |";
