//! From logits to percent, so that a number means the same for both heads.
//!
//! A score of 80 is what no more than one innocent text in a thousand reaches on dev, and no more than one in a hundred of
//! those whose source, and others like it, the model has never seen. 40 is what one in a hundred reaches on dev. Where one text in a
//! hundred is an attack, and as many are found as on dev, that is about how likely an attack is.

use crate::figures::cut;

/// Slope and offset of the logit, from innocent texts of dev and of sources that were left out.
pub(crate) fn fit(dev: &[f32], left_out: &[f32]) -> (f32, f32) {
    let sure = cut(dev, 0.001).max(cut(left_out, 0.01));
    let doubt = cut(dev, 0.01);
    let logit = |percent: f32| (percent / (100.0 - percent)).ln();
    let slope = (logit(80.0) - logit(40.0)) / (sure - doubt).max(1.0);
    (slope, logit(80.0) - slope * sure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_thousand_is_80_and_one_in_a_hundred_40() {
        let innocent: Vec<f32> = (0..10_000).map(|i| (i as f32 / 10_000.0 * 8.0).exp() / 100.0).collect();
        let (slope, offset) = fit(&innocent, &[0.0; 100]);
        let percent = |logit: f32| 100.0 / (1.0 + (-(slope * logit + offset)).exp());
        assert!((percent(cut(&innocent, 0.001)) - 80.0).abs() < 0.1);
        assert!((percent(cut(&innocent, 0.01)) - 40.0).abs() < 0.1);
        let (slope, offset) = fit(&innocent, &[60.0; 100]);
        assert!((slope * 60.0 + offset - 4.0_f32.ln()).abs() < 0.01);
    }
}
