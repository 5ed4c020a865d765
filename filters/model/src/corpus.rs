//! The texts that are learned from: the corpora, and what the grammars make.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use postern_filters::scan::model::Head;
use serde_json::Value;

use crate::grammar::Grammar;
use crate::random::Random;
use crate::windows::{Block, blocks};

/// A text, and what it is.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) source: String,
    pub(crate) attack: bool,
    pub(crate) text: String,
    /// Bytes of the text in which the attack stands, where that is known.
    pub(crate) span: Option<Range<usize>>,
    /// Of a source that the training rows lack.
    pub(crate) unseen: bool,
    /// Made by a grammar, or from another row.
    pub(crate) made: bool,
    pub(crate) head: Head,
    pub(crate) blocks: Vec<Block>,
}

impl Row {
    pub(crate) fn new(source: &str, attack: bool, text: String, head: Head) -> Self {
        let blocks = blocks(head, &text);
        let source = source.to_owned();
        Self { source, attack, text, span: None, unseen: false, made: false, head, blocks }
    }

    /// The same text, read by the other head.
    pub(crate) fn read_by(&self, head: Head) -> Self {
        Self { head, blocks: blocks(head, &self.text), ..self.clone() }
    }
}

/// `row` with its attack, or all of it where it is innocent, written in another way.
pub(crate) fn disguised(row: &Row, write: fn(&str) -> String) -> Row {
    let place = row.span.clone().unwrap_or(0..row.text.len());
    let (before, behind) = (&row.text[..place.start], &row.text[place.end..]);
    let written = write(&row.text[place.clone()]);
    let span = row.span.as_ref().map(|_| place.start..place.start + written.len());
    let text = [before, &written, behind].concat();
    Row { blocks: blocks(row.head, &text), text, span, made: true, ..row.clone() }
}

/// The folder of corpora: `$POSTERN_SHARED/data`, or `shared/data` in a folder above.
pub(crate) fn folder() -> Result<PathBuf> {
    let given = std::env::var_os("POSTERN_SHARED").map(|shared| PathBuf::from(shared).join("data"));
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    given.or_else(|| above.find(|folder| folder.exists())).context("no corpora: set POSTERN_SHARED to their folder")
}

/// The rows of a file of the corpora.
pub(crate) fn load(folder: &Path, file: &str, head: Head) -> Result<Vec<Row>> {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let row = |line: &str| -> Result<Row> {
        let value: Value = serde_json::from_str(line)?;
        let field = |name: &str| value[name].as_str().with_context(|| format!("{file}: no {name}"));
        let text = field("text")?.to_owned();
        let byte = |place: &Value| -> Option<usize> {
            let place = usize::try_from(place.as_u64()?).ok()?;
            Some(text.char_indices().nth(place).map_or(text.len(), |(byte, _)| byte))
        };
        let span = value["payload_span"].as_array().and_then(|span| Some(byte(span.first()?)?..byte(span.get(1)?)?));
        let row = Row::new(field("source")?, field("label")? != "benign", text, head);
        Ok(Row { span, unseen: value["unseen_source"] == true, ..row })
    };
    text.lines().map(row).collect()
}

/// `count` different texts of a grammar.
pub(crate) fn made(name: &str, grammar: &str, count: usize, attack: bool, head: Head) -> Result<Vec<Row>> {
    let grammar = Grammar::parse(grammar).with_context(|| name.to_owned())?;
    let mut random = Random::new(name.bytes().fold(17, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into())));
    let (mut seen, mut rows) = (BTreeSet::new(), Vec::new());
    for _ in 0..20 * count {
        if rows.len() == count {
            break;
        }
        let text = grammar.text(&mut random)?;
        if seen.insert(text.clone()) {
            rows.push(Row { made: true, ..Row::new(name, attack, text, head) });
        }
    }
    ensure!(rows.len() == count, "{name} makes too few different texts: {}", rows.len());
    Ok(rows)
}

/// Each payload in a document, at the end of a line, a sentence, a string or a tag; one in four stands alone.
pub(crate) fn composed(documents: &[&Row], payloads: &[Row]) -> Result<Vec<Row>> {
    let mut random = Random::new(5);
    let compose = |payload: &Row| -> Result<Row> {
        if random.chance(25) {
            return Ok(payload.clone());
        }
        let document = random.pick(documents).text.as_str();
        let ends = document.match_indices(['\n', '.', '"', '>']).map(|(at, mark)| at + mark.len());
        let places: Vec<usize> = ends.collect();
        let at = if places.is_empty() || random.chance(20) { document.len() } else { *random.pick(&places) };
        let is_json = document.trim_start().starts_with(['{', '[']);
        let (body, gap) = if is_json {
            (serde_json::to_string(&payload.text)?.trim_matches('"').to_owned(), " ")
        } else {
            (payload.text.clone(), *random.pick(&[" ", "\n", "\n\n", " "]))
        };
        let (before, behind) = document.split_at(at);
        let start = before.len() + gap.len();
        let span = Some(start..start + body.len());
        let row = Row::new(&payload.source, true, format!("{before}{gap}{body}{gap}{behind}"), payload.head);
        Ok(Row { span, made: true, ..row })
    };
    payloads.iter().map(compose).collect()
}
