//! CPU time of another process, from Linux's scheduler: exact to the nanosecond, of all its threads.

use std::time::Duration;

use anyhow::Context as _;

/// CPU time that the threads of `pid` have spent since they started. A thread that ended is not counted any more.
pub(crate) fn spent(pid: u32) -> anyhow::Result<Duration> {
    let threads = format!("/proc/{pid}/task");
    let mut total = Duration::ZERO;
    for thread in std::fs::read_dir(&threads).with_context(|| format!("no process {pid}"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        total = total.saturating_add(on_cpu(&text).with_context(|| format!("`{text}` is not a schedstat"))?);
    }
    Ok(total)
}

/// The first number of a schedstat: nanoseconds on a CPU.
fn on_cpu(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_time_on_a_cpu() {
        assert_eq!(on_cpu("1500 20 3\n"), Some(Duration::from_nanos(1500)));
        assert_eq!(on_cpu(""), None);
        assert_eq!(on_cpu("x 1 2"), None);
    }
}
