//! Hits of so many, and how sure one can be of their share.

/// The quantile of the normal distribution that 95 % lie within.
const QUANTILE: f64 = 1.959_964;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) hits: usize,
    pub(crate) of: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, hit: bool) {
        self.hits += usize::from(hit);
        self.of += 1;
    }

    pub(crate) fn of(hits: impl Iterator<Item = bool>) -> Self {
        let mut tally = Self::default();
        hits.for_each(|hit| tally.add(hit));
        tally
    }

    pub(crate) fn percent(self) -> f64 {
        100.0 * self.hits as f64 / self.of.max(1) as f64
    }

    /// Where the true share lies at 95 %, in percent, by Wilson: it says something where none or all were hit, too.
    pub(crate) fn interval(self) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 100.0);
        }
        let (n, share) = (self.of as f64, self.hits as f64 / self.of as f64);
        let square = QUANTILE * QUANTILE;
        let middle = share + square / (2.0 * n);
        let half = QUANTILE * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
        let scale = 100.0 / (1.0 + square / n);
        (((middle - half) * scale).max(0.0), ((middle + half) * scale).min(100.0))
    }

    /// For a table: the share and its interval; nothing of nothing is left open.
    pub(crate) fn cell(self) -> String {
        if self.of == 0 {
            return String::new();
        }
        let ((low, high), percent) = (self.interval(), self.percent());
        // Small shares are read closely.
        let digits = if percent > 0.0 && percent < 2.0 || high < 2.0 { 2 } else { 1 };
        format!("{percent:.digits$} % ({low:.digits$}–{high:.digits$})")
    }

    /// As [`Tally::cell`], with the counts.
    pub(crate) fn counted(self) -> String {
        if self.of == 0 { String::new() } else { format!("{} of {}: {}", self.hits, self.of, self.cell()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_wilson() {
        for (hits, of, low, high) in [
            (0, 10, 0.0, 27.75),
            (10, 10, 72.25, 100.0),
            (5, 10, 23.66, 76.34),
            (1, 1000, 0.02, 0.56),
            (0, 3000, 0.0, 0.13),
            (81, 263, 25.53, 36.62),
        ] {
            let (l, h) = Tally { hits, of }.interval();
            assert!((l - low).abs() < 0.01 && (h - high).abs() < 0.01, "{hits} of {of}: {l}–{h}");
        }
    }

    #[test]
    fn intervals_hold_the_share_and_shrink_with_the_count() {
        for of in [1, 7, 50, 400] {
            for hits in 0..=of {
                let tally = Tally { hits, of };
                let (low, high) = tally.interval();
                assert!(low <= tally.percent() + 1e-9 && tally.percent() <= high + 1e-9, "{hits} of {of}");
                let (l, h) = Tally { hits: 10 * hits, of: 10 * of }.interval();
                assert!(h - l < high - low, "{hits} of {of}");
            }
        }
    }

    #[test]
    fn nothing_of_nothing_says_nothing() {
        let none = Tally::default();
        assert_eq!((none.interval(), none.cell().as_str(), none.counted().as_str()), ((0.0, 100.0), "", ""));
        assert_eq!(Tally { hits: 0, of: 3000 }.counted(), "0 of 3000: 0.00 % (0.00–0.13)");
        assert_eq!(Tally { hits: 5, of: 10 }.cell(), "50.0 % (23.7–76.3)");
    }
}
