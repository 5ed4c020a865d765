//! Logistic regression with L2 penalty, by coordinate descent on the dual (Yu, Huang and Lin, 2011), over windows as lists of
//! features. Nothing in it depends on time or threads: the same windows give the same weights.

use crate::random::Random;

/// A window of a text: what it holds, what it is, and how much it counts.
pub(crate) struct Window {
    /// Features, those that came twice twice.
    pub(crate) features: Vec<u32>,
    pub(crate) attack: bool,
    pub(crate) weight: f32,
}

/// How much a window of `count` features counts for each of them.
#[must_use]
pub(crate) fn scale(count: usize) -> f32 {
    1.0 / (count as f32 + 40.0).sqrt()
}

/// How many windows have each feature, as a factor: what is everywhere says little.
pub(crate) fn rarity(windows: &[Window], size: usize) -> Vec<f32> {
    let mut seen = vec![0_u32; size];
    let mut last = vec![u32::MAX; size];
    for (number, window) in windows.iter().enumerate() {
        for feature in &window.features {
            let feature = *feature as usize;
            if last[feature] != number as u32 {
                last[feature] = number as u32;
                seen[feature] += 1;
            }
        }
    }
    let all = windows.len() as f32 + 1.0;
    seen.into_iter().map(|n| (all / (n as f32 + 1.0)).ln() + 1.0).collect()
}

/// Weights per feature, rarity included, and the bias.
pub(crate) fn solve(windows: &[Window], rarity: &[f32], strength: f32, rounds: usize) -> (Vec<f32>, f32) {
    let mut weights = vec![0.0_f32; rarity.len()];
    let mut bias = 0.0_f32;
    let mut random = Random::new(7);
    let scales: Vec<f32> = windows.iter().map(|w| scale(w.features.len())).collect();
    let bound: Vec<f64> = windows.iter().map(|w| f64::from(strength * w.weight)).collect();
    let mut alpha: Vec<f64> = bound.iter().map(|c| (0.001 * c).min(1e-8)).collect();
    let mut sorted = Vec::new();
    let square: Vec<f64> = windows
        .iter()
        .zip(&scales)
        .map(|(window, scale)| {
            sorted.clone_from(&window.features);
            sorted.sort_unstable();
            let times = |same: &[u32]| f64::from(rarity[same[0] as usize]) * same.len() as f64;
            let own: f64 = sorted.chunk_by(|one, next| one == next).map(|same| times(same).powi(2)).sum();
            own * f64::from(*scale).powi(2) + 1.0
        })
        .collect();
    let mut order: Vec<usize> = (0..windows.len()).collect();
    for _ in 0..rounds {
        random.shuffle(&mut order);
        for &i in &order {
            let (window, scale) = (&windows[i], scales[i]);
            let sum: f32 = window.features.iter().map(|f| weights[*f as usize] * rarity[*f as usize]).sum();
            let y = if window.attack { 1.0 } else { -1.0 };
            let margin = f64::from(sum * scale + bias) * y;
            let (c, a, old) = (bound[i], square[i], alpha[i]);
            // min over z of z ln z + (c - z) ln (c - z) + a/2 (z - old)² + margin (z - old)
            let mut z = old.clamp(c * 1e-12, c * (1.0 - 1e-12));
            for _ in 0..20 {
                let gradient = a * (z - old) + margin + (z / (c - z)).ln();
                if gradient.abs() < 1e-4 {
                    break;
                }
                let step = gradient / (a + c / (z * (c - z)));
                let next = z - step;
                z = if next <= 0.0 {
                    z * 0.1
                } else if next >= c {
                    c - (c - z) * 0.1
                } else {
                    next
                };
            }
            let change = ((z - old) * y) as f32;
            alpha[i] = z;
            if change != 0.0 {
                let by = change * scale;
                for f in &window.features {
                    weights[*f as usize] += by * rarity[*f as usize];
                }
                bias += change;
            }
        }
    }
    let weights = weights.iter().zip(rarity).map(|(w, r)| w * r).collect();
    (weights, bias)
}
