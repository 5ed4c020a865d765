//! What operators see while it runs: structured logs and metrics. Records of requests are in the audit log.

mod metrics;
pub mod names;

pub(crate) use metrics::Active;
pub use metrics::Metrics;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Json,
    Text,
}

/// Sends logs to standard error. `POSTERN_LOG` filters as `tracing` does (`info`, `postern_proxy=debug`); a filter that
/// does not parse is reported and `info` is used. Later calls in one process change nothing.
///
/// Whatever the filter says, libraries are heard from `warn` up, and those that log through the `log` crate not at all:
/// Pingora traces whole heads, tokens and our own credentials among them, and its warnings are about single connections,
/// of which ours say the same with fields.
pub fn init_logs(format: LogFormat) {
    let filter = match std::env::var("POSTERN_LOG") {
        Ok(text) => EnvFilter::try_new(&text).unwrap_or_else(|error| {
            eprintln!("postern: POSTERN_LOG `{text}` is not a filter ({error}); using `info`");
            EnvFilter::new("info")
        }),
        Err(_) => EnvFilter::new("info"),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Not `init`: it would let `log` in.
    let _ = match format {
        LogFormat::Json => {
            tracing::subscriber::set_global_default(builder.json().flatten_event(true).finish().with(filter_fn(ours)))
        }
        LogFormat::Text => {
            tracing::subscriber::set_global_default(builder.with_target(false).finish().with(filter_fn(ours)))
        }
    };
}

/// What is written down about a request is chosen with care in this program; nobody chose what libraries write.
fn ours(line: &Metadata<'_>) -> bool {
    line.target().starts_with("postern") || *line.level() <= Level::WARN
}
