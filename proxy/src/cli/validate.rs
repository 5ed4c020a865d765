//! `postern validate`: everything that a start would refuse about the files themselves, without starting anything and
//! without reading the secrets and keys they point at.

use std::path::Path;
use std::process::ExitCode;

use postern_config::{Report, Severity};
use postern_filters::limit::LimitStore;
use serde_json::{Value, json};

use super::{Format, MISCONFIGURED};
use crate::clock::{Clock, SystemClock};

pub(super) fn run(config: &Path, format: Format) -> ExitCode {
    let (report, summary) = check(config);
    match format {
        Format::Text => print_text(&report, summary.as_deref()),
        Format::Json => println!("{}", as_json(&report)),
    }
    if report.has_errors() { ExitCode::from(MISCONFIGURED) } else { ExitCode::SUCCESS }
}

fn check(config: &Path) -> (Report, Option<String>) {
    let loaded = match postern_config::load(config, SystemClock.unix_ms() / 1000) {
        Ok(loaded) => loaded,
        Err(report) => return (report, None),
    };
    let mut report = loaded.warnings;
    if let Err(errors) = postern_filters::check(&loaded.snapshot, &LimitStore::default()) {
        report.extend(errors);
        return (report, None);
    }
    let snapshot = &loaded.snapshot;
    let summary = format!(
        "{} manifests, {} routes, {} listeners: everything loads",
        snapshot.manifests.len(),
        snapshot.routes.len(),
        snapshot.listeners.len()
    );
    (report, Some(summary))
}

fn print_text(report: &Report, summary: Option<&str>) {
    print!("{report}");
    match summary {
        Some(summary) => println!("{summary}"),
        None => {
            let errors = report.problems().iter().filter(|p| p.severity == Severity::Error).count();
            println!("{errors} {}", if errors == 1 { "problem" } else { "problems" });
        }
    }
}

fn as_json(report: &Report) -> Value {
    let problems: Vec<Value> = report
        .problems()
        .iter()
        .map(|problem| {
            json!({
                "severity": if problem.severity == Severity::Error { "error" } else { "warning" },
                "code": problem.code.to_string(),
                "file": &*problem.position.file,
                "line": problem.position.line,
                "column": problem.position.column,
                "pointer": problem.pointer,
                "message": problem.message,
                "fix": problem.help,
            })
        })
        .collect();
    json!({"valid": !report.has_errors(), "problems": problems})
}
