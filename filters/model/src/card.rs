//! What the model is, where it comes from, and how it does.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_lc_rs::digest::SHA256;
use postern_filters::scan::model::{Head, Model};

use crate::figures::HEAD;
use crate::train::Rows;

/// SHA-256 in hexadecimal.
pub(crate) fn digest(file: &[u8]) -> String {
    aws_lc_rs::digest::digest(&SHA256, file).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The card, in Markdown.
pub(crate) fn card(
    model: &Model,
    file: &[u8],
    rows: &Rows,
    left_out: &[String],
    dev: (&[String], &[String]),
) -> String {
    let mut sources = BTreeMap::<&str, (usize, usize)>::new();
    for row in rows.prompts.iter().chain(&rows.documents) {
        let (attacks, innocent) = sources.entry(&row.source).or_default();
        *(if row.attack { attacks } else { innocent }) += 1;
    }
    let sources: String = sources.iter().fold(String::new(), |mut out, (source, (attacks, innocent))| {
        let _ = writeln!(out, "| {source} | {attacks} | {innocent} |");
        out
    });
    let calibration = Head::ALL.map(|head| {
        let weights = model.head(head);
        format!("| {head:?} | {} | {:.4} | {:.4} |", head.block(), weights.slope, weights.offset)
    });
    format!(
        "# Model card: injection.model

Written by `make model`; every figure in it was computed then.

| | |
| --- | --- |
| what it is | two linear classifiers over hashed words, groups of two and three words, marks, and groups of four characters |
| what for | how likely a text is an attack on a model: of a user (`User`), or inside of a document, result, mail or page (`Document`) |
| not for | judging people, topics or tone; proof that a text is harmless |
| size | {} bytes, one byte a weight |
| SHA-256 | `{}` |
| trained on | the corpora below and texts that the grammars in `grammar/` make, some of both again in ROT13, reversed and in leetspeak; no text of users, nothing of the dev files |
| score | in percent: of innocent texts no more than one in a thousand scores 80 on dev, and one in a hundred 40 |

| head | characters of a block | slope | offset |
| --- | --- | --- | --- |
{}

## On dev

Nothing was trained on these rows. Signatures included, as in the data path.

{HEAD}
{}

| rows | score | attacks found | false alarms | of innocent texts of sources that were left out |
| --- | --- | --- | --- | --- |
{}

## On sources that were left out

A model was trained without the sources of each line, and judged on them.

{HEAD}
{}

## Rows by source

| source | attacks | innocent |
| --- | --- | --- |
{sources}
Licences of the sources are in the README of the corpora; tldr-pages is CC BY 4.0, by the tldr-pages contributors.
",
        file.len(),
        digest(file),
        calibration.join("\n"),
        dev.0.join("\n"),
        dev.1.join("\n"),
        left_out.join("\n"),
    )
}
