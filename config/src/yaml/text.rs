//! From bytes to text that is safe to show to the parser and to a reviewer.

use std::sync::Arc;

use super::{End, PV_SHAPE};
use crate::{Code, Position, Report};

/// The bytes as text, or a problem: too large, not UTF-8, or with characters that no manifest needs.
pub(super) fn check<'t>(file: &Arc<str>, bytes: &'t [u8], max: usize, report: &mut Report) -> Option<&'t str> {
    let start = Position { file: Arc::clone(file), line: 1, column: 1 };
    if bytes.len() > max {
        let message = format!("the file has {} bytes, more than the {max} allowed", bytes.len());
        report.error(Code(9), &start, "", message, "split it into smaller files");
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let sound = bytes.get(..error.valid_up_to()).and_then(|head| std::str::from_utf8(head).ok());
            let position = place(file, sound.unwrap_or_default());
            report.error(PV_SHAPE, &position, "", "the file is not UTF-8 here", "save it as UTF-8");
            return None;
        }
    };
    let (at, found) = text.char_indices().find(|&(_, c)| is_unsafe(c)).unzip();
    if let (Some(at), Some(found)) = (at, found) {
        let position = place(file, text.get(..at).unwrap_or_default());
        let message = format!("the file holds the invisible character U+{:04X}", u32::from(found));
        report.error(
            PV_SHAPE,
            &position,
            "",
            message,
            "remove it; in double quotes an escape such as \"\\u200E\" may stand for it",
        );
        return None;
    }
    Some(text)
}

/// Control characters (the parser takes NUL for the end of the file), a byte order mark, line breaks that only some
/// readers know, and marks that make text read differently from what it is (CVE-2021-42574).
fn is_unsafe(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// Whether the file ends where a whole file would.
pub(super) fn check_end(file: &Arc<str>, text: &str, end: End, report: &mut Report) -> bool {
    let problem = match end {
        End::Newline => {
            let json = text.starts_with(['{', '[']) && text.ends_with(['}', ']']);
            (!text.is_empty() && !text.ends_with('\n') && !json).then_some((
                "the last line of the file has no end, so the file may have been cut",
                "end it with a newline",
            ))
        }
        End::Marker => {
            let mut markers = text.lines().filter(|line| is_marker(line));
            let last = text.lines().next_back().is_some_and(is_marker) && text.ends_with('\n');
            (!last || markers.nth(1).is_some()).then_some((
                "the file does not end with the one line `...`, so it may have been cut",
                "end the file, and nothing before it, with a line `...`; `manifests.requireEnd` asks for it",
            ))
        }
    };
    if let Some((message, help)) = problem {
        report.error(PV_SHAPE, &place(file, text), "", message, help);
    }
    problem.is_none()
}

fn is_marker(line: &str) -> bool {
    line.trim_end() == "..."
}

/// The position after `text`.
fn place(file: &Arc<str>, text: &str) -> Position {
    let line = text.matches('\n').count() + 1;
    let column = text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { file: Arc::clone(file), line: number(line), column: number(column) }
}
