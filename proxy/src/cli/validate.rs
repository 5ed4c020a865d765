//! `postern validate`: everything that a start would refuse about the files themselves, without starting anything and
//! without reading the secrets and keys they point at.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use postern_config::values::Time;
use postern_config::{Exception, Report, Severity, WorkloadSocket};
use postern_filters::limit::LimitStore;
use serde_json::{Value, json};

use super::{Format, MISCONFIGURED};
use crate::build;
use crate::clock::{Clock, SystemClock};
use crate::spiffe;

pub(super) fn run(config: &Path, format: Format) -> ExitCode {
    let (report, loaded) = check(config, SystemClock.unix_ms());
    match format {
        Format::Text => print_text(&report, loaded.as_ref()),
        Format::Json => println!("{}", as_json(&report, loaded.as_ref())),
    }
    if report.has_errors() { ExitCode::from(MISCONFIGURED) } else { ExitCode::SUCCESS }
}

/// What loads, and what of it is allowed against the rules.
struct Loads {
    summary: String,
    /// Each with whether it has ended.
    exceptions: Vec<(Exception, bool)>,
    /// Manifests that only look on, each with the moment at which it begins to act.
    on_trial: BTreeSet<(String, i64)>,
    /// Agents that a start would ask.
    not_asked: Vec<String>,
}

fn check(config: &Path, now_ms: i64) -> (Report, Option<Loads>) {
    let loaded = match postern_config::load(config, now_ms / 1000) {
        Ok(loaded) => loaded,
        Err(report) => return (report, None),
    };
    let mut report = loaded.warnings;
    build::check(&loaded.snapshot, config, &mut report);
    if report.has_errors() {
        return (report, None);
    }
    if let Err(errors) = postern_filters::check(&loaded.snapshot, &LimitStore::default()) {
        report.extend(errors);
        return (report, None);
    }
    let snapshot = loaded.snapshot;
    let summary = format!(
        "{} manifests, {} routes, {} listeners: everything loads",
        snapshot.manifests.len(),
        snapshot.routes.len(),
        snapshot.listeners.len()
    );
    let agent = |place: Option<WorkloadSocket>| match place {
        Some(socket) => format!("the SPIFFE Workload API at `{socket}`"),
        None => format!("the SPIFFE Workload API that `{}` names", WorkloadSocket::VARIABLE),
    };
    let not_asked = spiffe::places(&snapshot).into_iter().map(agent).collect();
    let tried = snapshot.routes.iter().flat_map(|route| route.on_trial());
    let on_trial = tried.map(|(manifest, from)| (manifest.to_owned(), from)).collect();
    let exceptions = snapshot.exceptions.into_iter().map(|one| (one.has_ended(now_ms), one));
    let exceptions = exceptions.map(|(ended, one)| (one, ended)).collect();
    (report, Some(Loads { summary, exceptions, on_trial, not_asked }))
}

fn print_text(report: &Report, loads: Option<&Loads>) {
    print!("{report}");
    let Some(Loads { summary, exceptions, on_trial, not_asked }) = loads else {
        let errors = report.problems().iter().filter(|p| p.severity == Severity::Error).count();
        println!("{errors} {}", if errors == 1 { "problem" } else { "problems" });
        return;
    };
    println!("{summary}");
    not_asked.iter().for_each(|agent| println!("not asked: {agent}"));
    for (title, wanted) in [("exceptions in force:", false), ("exceptions that have ended:", true)] {
        let of_state: Vec<&Exception> =
            exceptions.iter().filter(|(_, ended)| *ended == wanted).map(|(one, _)| one).collect();
        if !of_state.is_empty() {
            println!("\n{title}");
            of_state.iter().for_each(|exception| println!("  {exception}\n    {}", exception.reason.trim()));
        }
    }
    if !on_trial.is_empty() {
        println!("\non trial, which acts on nothing yet:");
        on_trial.iter().for_each(|(manifest, from)| println!("  {manifest} until {}", Time(*from)));
    }
}

fn as_json(report: &Report, loads: Option<&Loads>) -> Value {
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
    let exceptions: Vec<Value> = loads
        .iter()
        .flat_map(|loads| &loads.exceptions)
        .map(|(exception, ended)| {
            json!({
                "name": &*exception.id,
                "allow": exception.allow.code().to_string(),
                "targets": exception.targets,
                "reason": exception.reason,
                "owner": exception.owner,
                "approvedBy": exception.approved_by,
                "until": Time(exception.until).to_string(),
                "ended": ended,
            })
        })
        .collect();
    let not_asked: Vec<&String> = loads.iter().flat_map(|loads| &loads.not_asked).collect();
    let on_trial = loads.iter().flat_map(|loads| &loads.on_trial);
    let on_trial: Vec<Value> =
        on_trial.map(|(manifest, from)| json!({"manifest": manifest, "until": Time(*from).to_string()})).collect();
    json!({"valid": !report.has_errors(), "problems": problems, "exceptions": exceptions, "onTrial": on_trial,
        "notAsked": not_asked})
}
