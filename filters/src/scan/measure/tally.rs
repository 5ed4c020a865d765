//! Hits of so many, and how sure one can be of their share.

use std::collections::BTreeMap;

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    pub(super) hits: usize,
    pub(super) of: usize,
}

impl Tally {
    pub(super) fn add(&mut self, hit: bool) {
        self.hits += usize::from(hit);
        self.of += 1;
    }

    pub(super) fn percent(&self) -> f64 {
        100.0 * self.hits as f64 / self.of.max(1) as f64
    }

    /// The interval in which the true share lies at 95 %, in percent (Wilson): it is honest where few or all were hit.
    pub(super) fn interval(&self) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 100.0);
        }
        let (n, p, z) = (self.of as f64, self.hits as f64 / self.of as f64, 1.959_964_f64);
        let middle = p + z * z / (2.0 * n);
        let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let scale = 100.0 / (1.0 + z * z / n);
        ((middle - half).max(0.0) * scale, ((middle + half) * scale).min(100.0))
    }
}

/// Rows of Markdown.
pub(super) fn markdown(title: &str, rows: &BTreeMap<String, Tally>) -> String {
    let mut out = format!("| {title} | n | hits | % | 95 % |\n| --- | ---: | ---: | ---: | ---: |\n");
    for (name, tally) in rows {
        let (low, high) = tally.interval();
        let percent = tally.percent();
        out += &format!("| {name} | {} | {} | {percent:.2} | {low:.2}–{high:.2} |\n", tally.of, tally.hits);
    }
    out
}

#[test]
fn intervals_are_those_of_wilson() {
    for (hits, of, low, high) in [(0, 10, 0.0, 27.8), (10, 10, 72.2, 100.0), (81, 263, 25.5, 36.6), (0, 3000, 0.0, 0.1)]
    {
        let (l, h) = Tally { hits, of }.interval();
        assert!((l - low).abs() < 0.06 && (h - high).abs() < 0.06, "{hits}/{of}: {l} {h}");
    }
}
