//! What operators see while it runs: structured logs and metrics. Records of requests are in the audit log.

mod metrics;
pub mod names;

pub use metrics::Metrics;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Json,
    Text,
}

/// Sends logs to standard error. `POSTERN_LOG` filters as `tracing` does (`info`, `postern=debug`); a filter that does
/// not parse is reported and `info` is used. Later calls in one process change nothing.
pub fn init_logs(format: LogFormat) {
    let filter = match std::env::var("POSTERN_LOG") {
        Ok(text) => EnvFilter::try_new(&text).unwrap_or_else(|error| {
            eprintln!("postern: POSTERN_LOG `{text}` is not a filter ({error}); using `info`");
            EnvFilter::new("info,pingora_core=off")
        }),
        // Pingora's own warnings are about single connections; ours say the same with fields.
        Err(_) => EnvFilter::new("info,pingora_core=off"),
    };
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_span_events(FmtSpan::NONE).with_writer(std::io::stderr);
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_target(false).try_init(),
    };
}
