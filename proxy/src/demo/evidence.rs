//! After the tour: the log is verified, one byte of it is flipped in a copy, and the tampering is found.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use postern_filters::audit::leaf::records_path;
use postern_filters::audit::note::VerifyingKey;
use postern_filters::audit::verify::{LogSource, Verification, verify};
use serde_json::Value;

use super::row::{Row, millis};

/// A log as it was read from its directory, so that a copy can be changed.
#[derive(Debug, Clone)]
struct Copy(HashMap<String, Vec<u8>>);

impl LogSource for Copy {
    fn read(&self, path: &str, max: usize) -> std::io::Result<Option<Vec<u8>>> {
        match self.0.get(path) {
            Some(bytes) if bytes.len() > max => Err(std::io::ErrorKind::FileTooLarge.into()),
            found => Ok(found.cloned()),
        }
    }
}

impl Copy {
    fn of(dir: &Path) -> std::io::Result<Self> {
        let mut files = HashMap::new();
        let mut open = vec![dir.to_owned()];
        while let Some(next) = open.pop() {
            for entry in std::fs::read_dir(&next)? {
                let path = entry?.path();
                if path.is_dir() {
                    open.push(path);
                } else if let Ok(below) = path.strip_prefix(dir) {
                    files.insert(below.to_string_lossy().into_owned(), std::fs::read(&path)?);
                }
            }
        }
        Ok(Self(files))
    }

    fn records(&self) -> &[u8] {
        self.0.get(&records_path(0)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Flips one bit of one digit in the middle of the records, so that every line still reads as a record.
    fn flip(&mut self) {
        let Some(records) = self.0.get_mut(&records_path(0)) else { return };
        let middle = records.len() / 2;
        let digit = records.iter().skip(middle).position(u8::is_ascii_digit).map(|at| middle + at);
        if let Some(byte) = digit.and_then(|at| records.get_mut(at)) {
            *byte ^= 1;
        }
    }
}

/// Why each refusal happened, from its audit record: what an operator reads, and a caller never does.
pub(super) fn explain(rows: &mut [Row], dir: &Path) -> std::io::Result<()> {
    let log = Copy::of(dir)?;
    let reasons = reasons(log.records());
    for row in rows {
        if let Some(reason) = row.decision.as_ref().and_then(|id| reasons.get(id)) {
            row.reason.clone_from(reason);
        }
    }
    Ok(())
}

fn reasons(records: &[u8]) -> HashMap<String, String> {
    let lines = records.split(|byte| *byte == b'\n');
    lines.filter_map(|line| reason(&serde_json::from_slice(line).ok()?)).collect()
}

fn reason(line: &Value) -> Option<(String, String)> {
    let text = |pointer| line.pointer(pointer).and_then(Value::as_str);
    let id = text("/record/metadata/uid")?;
    let reason = text("/record/status_detail")?;
    let detail = text("/record/unmapped/postern/detail");
    let reason = detail.map_or_else(|| reason.to_owned(), |detail| format!("{reason}: {detail}"));
    Some((id.to_owned(), reason))
}

/// The two rows about the log in `dir`.
pub(super) fn rows(dir: &Path, vkey: &str) -> std::io::Result<[Row; 2]> {
    let mut log = Copy::of(dir)?;
    let intact = row("log verified", "every record against the signed head", "intact", &log, vkey);
    log.flip();
    Ok([intact, row("one byte flipped", "a copy of the log, one digit changed", "tampering found", &log, vkey)])
}

fn row(name: &'static str, sent: &'static str, expected: &'static str, log: &Copy, vkey: &str) -> Row {
    let began = Instant::now();
    let (outcome, reason) = match vkey.parse::<VerifyingKey>().map_err(|e| e.to_string()) {
        Ok(key) => match verify(log, &key, None) {
            Ok(found) => described(&found),
            Err(error) => ("not verified".to_owned(), error.to_string()),
        },
        Err(error) => ("not verified".to_owned(), error),
    };
    Row { name, sent, outcome, reason, expected, millis: millis(began.elapsed()), decision: None }
}

fn described(found: &Verification) -> (String, String) {
    match &found.bad {
        Some(bad) => {
            let at = bad.index.map_or_else(String::new, |index| format!("entry {index} in "));
            ("tampering found".to_owned(), format!("{at}{}: {}", bad.file, bad.what))
        }
        None if !found.is_sound() => ("records missing".to_owned(), format!("{} gaps", found.gap_count)),
        None => ("intact".to_owned(), format!("{} records; freshness unproven", found.covered)),
    }
}
