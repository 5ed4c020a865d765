//! What nobody sees: false alarms of HiddenText and EncodedPayload on innocent texts. What they find is in the table of disguises.

use std::fmt::Write as _;

use anyhow::Result;

use super::floors::Figures;
use super::guards::{DOUBT, SHIPPED, finds, hostile, runtime};
use super::rows::{Corpora, Text};
use super::tally::Tally;

pub(crate) fn section(corpora: &Corpora, figures: &mut Figures) -> Result<String> {
    let mut out = format!(
        "## Hidden and encoded text

Innocent prompts and documents in which something is found. What the two find of attacks is under *Disguises*.

| detector | rows | n | at {SHIPPED} (95 %) | at {DOUBT} (95 %) |\n| --- | --- | ---: | --- | --- |\n"
    );
    for (name, kind) in hostile() {
        if !["HiddenText", "EncodedPayload"].contains(&name) {
            continue;
        }
        let (shipped, doubt) = (runtime(kind.clone(), SHIPPED)?, runtime(kind, DOUBT)?);
        for (rows, texts) in [("prompts", &corpora.prompts), ("documents", &corpora.documents)] {
            let innocent: Vec<&Text> = texts.iter().filter(|text| !text.is_attack()).collect();
            let at = |guards| Tally::of(innocent.iter().map(|text| finds(guards, text.part, &text.text)));
            let (shipped, doubt) = (at(&shipped), at(&doubt));
            let _ = writeln!(out, "| `{name}` | {rows} | {} | {} | {} |", shipped.of, shipped.cell(), doubt.cell());
            figures.alarms(name, &format!("innocent {rows}: at {SHIPPED}"), shipped);
            figures.alarms(name, &format!("innocent {rows}: at {DOUBT}"), doubt);
        }
    }
    Ok(out)
}
