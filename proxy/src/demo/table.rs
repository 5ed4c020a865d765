//! The tour as a table for people.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use super::row::Row;

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

/// Columns as wide as what is in them; colours where standard output is a terminal.
pub(super) fn table(rows: &[Row]) -> String {
    render(rows, std::io::stdout().is_terminal())
}

fn render(rows: &[Row], colours: bool) -> String {
    let paint = |colour: &'static str| if colours { colour } else { "" };
    let (name, sent) = (width(rows, |row| row.name), width(rows, |row| row.sent));
    let outcome = width(rows, |row| &row.outcome);
    let mut out = String::new();
    for row in rows {
        let (mark, colour) = if row.is_as_expected() { ("ok  ", GREEN) } else { ("FAIL", RED) };
        let (colour, dim, plain) = (paint(colour), paint(DIM), paint(PLAIN));
        let _ = writeln!(
            out,
            "{colour}{mark}{plain} {:name$}  {dim}{:sent$}{plain}  {:outcome$}  {:>8.1} ms  {dim}{}{plain}",
            row.name, row.sent, row.outcome, row.millis, row.reason
        );
        if !row.is_as_expected() {
            let _ = writeln!(out, "     {colour}expected: {}{plain}", row.expected);
        }
    }
    let good = rows.iter().filter(|row| row.is_as_expected()).count();
    let _ = writeln!(out, "\n{good} of {} as the manifests promise", rows.len());
    out
}

fn width<'r>(rows: &'r [Row], cell: impl Fn(&'r Row) -> &'r str) -> usize {
    rows.iter().map(|row| cell(row).chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_differs_and_no_colours_in_a_file() {
        let row = |outcome: &str| Row {
            name: "row",
            sent: "a request",
            outcome: outcome.to_owned(),
            reason: "because".to_owned(),
            expected: "200",
            millis: 1.5,
            decision: None,
        };
        let text = render(&[row("200"), row("403")], false);
        assert!(text.contains("ok   row  a request  200       1.5 ms  because\n"), "{text}");
        assert!(text.contains("FAIL row  a request  403") && text.contains("expected: 200"), "{text}");
        assert!(text.ends_with("1 of 2 as the manifests promise\n") && !text.contains('\u{1b}'), "{text}");
        assert!(render(&[row("200")], true).contains(GREEN));
    }
}
