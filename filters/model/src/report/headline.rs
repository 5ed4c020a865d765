//! The few figures that the README shows.

use std::fmt::Write as _;

use super::floors::{Figure, Figures};
use super::tally::Tally;

pub(crate) fn table(figures: &Figures) -> String {
    let mut out = String::from("| what | found | false alarms |\n| --- | --- | --- |\n");
    let cell = |group: &str, name: &str| match figures.get(group, name) {
        Some(Figure::Found(tally) | Figure::Alarms(tally)) => format!("{:.1} % of {}", tally.percent(), tally.of),
        Some(Figure::Area(area)) => format!("{area:.3}"),
        None => String::new(),
    };
    let injection = |rows: &str, of: &str| cell("PromptInjection", &format!("{rows}, **{of}**: at 80"));
    for (what, found, alarms) in [
        ("orders in prompts", injection("prompts", "attacks"), injection("prompts", "innocent")),
        (
            "of sources that training lacks",
            injection("prompts", "attacks of unseen sources"),
            injection("prompts", "innocent of unseen sources"),
        ),
        ("orders in documents", injection("documents", "attacks"), injection("documents", "innocent")),
        ("of sources that training lacks", injection("documents", "attacks of unseen sources"), String::new()),
        ("secrets", cell("secret", "spans found"), cell("secret", "rows without spans")),
    ] {
        let _ = writeln!(out, "| {what} | {found} | {alarms} |");
    }
    let _ = writeln!(out, "| personal data, by type | {} | |", personal(figures));
    for (what, group, label) in [("SQL in values", "SqlInjection", "sqli"), ("scripts in values", "Xss", "xss")] {
        let (found, alarms) = (cell(group, &format!("**{label}**")), cell(group, "innocent values"));
        let _ = writeln!(out, "| {what} | {found} | {alarms} |");
    }
    out
}

/// The lowest and the highest share that is found of any type.
fn personal(figures: &Figures) -> String {
    let of = |id: &str| match figures.get(id, "spans found") {
        Some(Figure::Found(tally)) => Some(tally),
        _ => None,
    };
    let ids = postern_config::BUILTIN_DETECTORS.iter().map(|(id, _)| *id).filter(|id| *id != "secret");
    let mut tallies: Vec<Tally> = ids.filter_map(of).collect();
    tallies.sort_by(|one, next| one.percent().total_cmp(&next.percent()));
    match (tallies.first(), tallies.last()) {
        (Some(least), Some(most)) => format!("{:.1} % to {:.1} %", least.percent(), most.percent()),
        _ => String::new(),
    }
}
