//! Texts from standard input, one at a time, none larger than what a body may hold.

use std::io::{self, BufRead, BufReader, Read};

use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Value;

/// Bytes of a line, or of the text; what is longer is not read.
const MAX: usize = 16 << 20;

/// What standard input holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Input {
    Auto,
    /// `{"id","text","part"?}`, one a line.
    Jsonl,
    /// One text.
    Text,
    /// A text on every line; its number is its `id`.
    Lines,
}

/// A text, and what it is called.
#[derive(Deserialize)]
pub(super) struct Row {
    #[serde(default)]
    pub(super) id: Value,
    pub(super) text: String,
    pub(super) part: Option<String>,
    pub(super) direction: Option<String>,
}

/// The texts that are left.
pub(super) struct Texts<R> {
    input: BufReader<R>,
    kind: Input,
    line: usize,
    kept: Vec<u8>,
}

impl<R: Read> Texts<R> {
    pub(super) fn new(input: R, kind: Input) -> io::Result<Self> {
        let mut input = BufReader::with_capacity(64 << 10, input);
        let kind = match kind {
            Input::Auto if begins_object(&mut input)? => Input::Jsonl,
            Input::Auto => Input::Text,
            given => given,
        };
        Ok(Self { input, kind, line: 0, kept: Vec::new() })
    }

    /// Number of the line that was read last, from 1.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// Whether the next text is there already, so that nobody waits for what was said of this one.
    pub(super) fn has_more_at_hand(&self) -> bool {
        self.input.buffer().contains(&b'\n')
    }

    /// The next text, or why it could not be read; nothing at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Result<Row, String>>> {
        loop {
            let until = (self.kind != Input::Text).then_some(b'\n');
            let Some(fits) = self.read(until)? else { return Ok(None) };
            self.line = self.line.saturating_add(1);
            let mut bytes = std::mem::take(&mut self.kept);
            if self.kind == Input::Lines && bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
            if !fits {
                return Ok(Some(Err(format!("longer than {MAX} bytes, which no message may be"))));
            }
            if self.kind == Input::Jsonl && bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return Ok(Some(self.row(bytes)));
        }
    }

    fn row(&self, bytes: Vec<u8>) -> Result<Row, String> {
        if self.kind == Input::Jsonl {
            // What serde says of a value may repeat it.
            let row = serde_json::from_slice::<Row>(&bytes).map_err(|error| match error.classify() {
                serde_json::error::Category::Data => {
                    format!(
                        "not an object with a string `text`, and `part` and `direction` as strings, at column {}",
                        error.column()
                    )
                }
                _ => format!("not JSON, at column {}", error.column()),
            })?;
            return match &row.id {
                Value::Null => Ok(Row { id: self.line.into(), ..row }),
                Value::String(_) | Value::Number(_) => Ok(row),
                _ => Err("`id` is neither a string nor a number".to_owned()),
            };
        }
        let text = String::from_utf8(bytes)
            .map_err(|error| format!("not UTF-8, at byte {}", error.utf8_error().valid_up_to()))?;
        let id = if self.kind == Input::Text { "stdin".into() } else { self.line.into() };
        Ok(Row { id, text, part: None, direction: None })
    }

    /// Reads up to `until`, or to the end; nothing where nothing is left. False for what is too long, of which nothing is kept.
    fn read(&mut self, until: Option<u8>) -> io::Result<Option<bool>> {
        self.kept.clear();
        let (mut any, mut fits) = (false, true);
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(any.then_some(fits));
            }
            any = true;
            let end = until.and_then(|byte| memchr::memchr(byte, buffer));
            let piece = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            fits &= self.kept.len().saturating_add(piece.len()) <= MAX;
            if fits {
                self.kept.extend_from_slice(piece);
            } else {
                self.kept = Vec::new();
            }
            let used = end.map_or(buffer.len(), |end| end.saturating_add(1));
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(fits));
            }
        }
    }
}

/// Whether the first byte that is no space begins an object. Nothing is consumed: places count from the beginning.
fn begins_object(input: &mut impl BufRead) -> io::Result<bool> {
    let first = input.fill_buf()?.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(first == Some(&b'{'))
}
