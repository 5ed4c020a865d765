//! The outcome of cases, for people, for machines and for build servers.

use serde_json::{Value, json};

use super::{Outcome, Output, Verdict};

pub(super) fn print(outcome: &Outcome, output: Output) {
    match output {
        Output::Text => print!("{}", text(outcome)),
        Output::Json => println!("{}", as_json(outcome)),
        Output::Junit => print!("{}", junit(outcome)),
    }
}

fn text(outcome: &Outcome) -> String {
    let mut out = String::new();
    for verdict in &outcome.verdicts {
        let Verdict { position, name, came, wrong, hint, .. } = verdict;
        let word = if wrong.is_empty() { "ok  " } else { "FAIL" };
        out.push_str(&format!("{word} {name}  ({came})\n"));
        if !wrong.is_empty() {
            out.push_str(&format!("     --> {position}\n"));
            wrong.iter().for_each(|what| out.push_str(&format!("     {what}\n")));
            hint.iter().for_each(|hint| out.push_str(&format!("     nearest: {hint}\n")));
        }
    }
    let (all, failed) = (outcome.verdicts.len(), outcome.failed());
    out.push_str(&format!("\n{all} cases, {} passed, {failed} failed\n", all - failed));
    out.push_str(&format!("rules: {} of {} decided in some case\n", outcome.covered(), outcome.coverage.len()));
    for (mark, does, _) in outcome.coverage.iter().filter(|(_, _, used)| !used) {
        out.push_str(&format!("  never: {mark} ({does})\n"));
    }
    out
}

fn as_json(outcome: &Outcome) -> Value {
    let cases = outcome.verdicts.iter().map(|verdict| {
        json!({
            "name": verdict.name,
            "file": verdict.file,
            "line": verdict.position.line,
            "passed": verdict.wrong.is_empty(),
            "came": verdict.came,
            "wrong": verdict.wrong,
            "nearest": verdict.hint,
        })
    });
    let coverage = outcome.coverage.iter().map(|(mark, does, used)| {
        json!({"kind": mark.kind(), "name": mark.to_string(), "manifest": mark.manifest(), "effect": does, "decided": used})
    });
    json!({
        "cases": cases.collect::<Vec<_>>(),
        "passed": outcome.verdicts.len() - outcome.failed(),
        "failed": outcome.failed(),
        "coverage": {
            "rules": outcome.coverage.len(),
            "decided": outcome.covered(),
            "each": coverage.collect::<Vec<_>>(),
        },
    })
}

/// JUnit's XML, as build servers read it: one suite for each file.
fn junit(outcome: &Outcome) -> String {
    let mut files: Vec<&str> = outcome.verdicts.iter().map(|verdict| verdict.file.as_str()).collect();
    files.dedup();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"{}\" failures=\"{}\">\n",
        outcome.verdicts.len(),
        outcome.failed()
    );
    for file in files {
        let of_file: Vec<&Verdict> = outcome.verdicts.iter().filter(|verdict| verdict.file == file).collect();
        let failed = of_file.iter().filter(|verdict| !verdict.wrong.is_empty()).count();
        out.push_str(&format!(
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\">\n",
            xml(file),
            of_file.len()
        ));
        for verdict in of_file {
            let name = xml(&verdict.name);
            let head =
                format!("    <testcase classname=\"{}\" name=\"{name}\" line=\"{}\"", xml(file), verdict.position.line);
            if verdict.wrong.is_empty() {
                out.push_str(&format!("{head}/>\n"));
                continue;
            }
            let (wrong, hint) = (xml(&verdict.wrong.join("; ")), xml(verdict.hint.as_deref().unwrap_or_default()));
            out.push_str(&format!("{head}>\n      <failure message=\"{wrong}\">{hint}</failure>\n    </testcase>\n"));
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
