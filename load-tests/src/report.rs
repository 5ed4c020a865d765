//! The result as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::load::Measured;

/// How many of each status, how fast, and how much CPU time a request cost the process under test.
pub(crate) fn text(measured: Measured, spent: Option<Duration>) -> String {
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for (status, _) in &measured.answers {
        let count = statuses.entry(*status).or_default();
        *count = count.saturating_add(1);
    }
    let mut times: Vec<Duration> = measured.answers.iter().map(|(_, took)| *took).collect();
    times.sort_unstable();
    let count = u32::try_from(times.len()).unwrap_or(u32::MAX);

    let mut text = String::new();
    for (status, count) in statuses {
        let _ = writeln!(text, "status {status}: {count}");
    }
    let rate = f64::from(count) / measured.took.as_secs_f64();
    let _ = writeln!(text, "{count} requests in {:.2} s, {rate:.0} a second", measured.took.as_secs_f64());
    for (name, of_thousand) in [("p50", 500), ("p99", 990), ("p99.9", 999)] {
        let _ = writeln!(text, "{name}: {} us", quantile(&times, of_thousand).as_micros());
    }
    if let Some(each) = spent.and_then(|spent| spent.checked_div(count)) {
        let _ = writeln!(text, "CPU of the process under test: {:.1} us a request", each.as_secs_f64() * 1e6);
    }
    text
}

/// The smallest of the `sorted` times that at least `of_thousand`/1000 of them do not exceed.
fn quantile(sorted: &[Duration], of_thousand: usize) -> Duration {
    let rank = sorted.len().saturating_mul(of_thousand).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_time_that_was_measured() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_micros).collect();
        for (of_thousand, want) in [(500, 50), (990, 99), (999, 100), (0, 1)] {
            assert_eq!(quantile(&times, of_thousand), Duration::from_micros(want), "{of_thousand}");
        }
        assert_eq!(quantile(&[], 500), Duration::ZERO);
    }

    #[test]
    fn counts_every_status_and_shares_the_cpu_time() {
        let ms = Duration::from_millis(1);
        let answers = vec![(200, ms), (429, ms), (200, ms)];
        let text = text(Measured { answers, took: Duration::from_secs(1) }, Some(Duration::from_micros(30)));
        assert!(text.starts_with("status 200: 2\nstatus 429: 1\n3 requests in 1.00 s, 3 a second\n"), "{text}");
        assert!(text.ends_with("CPU of the process under test: 10.0 us a request\n"), "{text}");
    }
}
