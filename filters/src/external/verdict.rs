//! What a service answers. It is read as strictly as what clients send: what could be read in two ways, what is unknown and what is
//! missing make it no answer at all.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::question::VERSION;
use super::{Question, Shown};
use crate::json::{Document, JsonError, Kind, Limits, Value};
use crate::media;

/// Longest answer, in bytes.
pub const MAX_ANSWER: usize = 1 << 20;
/// Objects and arrays inside each other; the protocol has five.
const DEPTH: usize = 8;
/// Longest label.
const MAX_LABEL: usize = 48;

/// What a service said about every text of one question.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// In the order of the texts.
    pub(super) opinions: Vec<Opinion>,
}

/// What it said about one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opinion {
    /// 0–100.
    pub(super) score: u8,
    pub(super) found: Vec<Found>,
}

/// A place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Bytes of the text, on boundaries of characters.
    pub(super) range: Range<usize>,
    pub(super) label: Option<Arc<str>>,
}

/// Why an answer says nothing. Places and names of the protocol, and nothing that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error("the answer is not of type `application/json`")]
    Type,
    #[error("the answer has more than {MAX_ANSWER} bytes")]
    TooLarge,
    #[error("the answer cannot be read: {0}")]
    Json(#[source] JsonError),
    #[error("the answer has a member that the protocol does not have, or is not an object")]
    Unknown,
    #[error("`version` of the answer is not {VERSION}")]
    Version,
    #[error("`texts` of the answer is not a list")]
    Texts,
    #[error("`index` {0} of the answer is missing, or that of no text")]
    Index(usize),
    #[error("text {0} is answered twice")]
    Twice(usize),
    #[error("text {0} is not answered")]
    Missing(usize),
    #[error("`score` of text {0} is not an integer from 0 to 100")]
    Score(usize),
    #[error(
        "`findings` of text {0} are not a list of places inside the text, in order, apart, and on boundaries of characters"
    )]
    Place(usize),
    #[error("`label` of a finding in text {0} is not 1 to {MAX_LABEL} of `a`–`z`, `A`–`Z`, `0`–`9`, `.`, `_` and `-`")]
    Label(usize),
}

impl Verdict {
    /// Reads the answer to `question`. `content_type` as it was sent.
    ///
    /// # Errors
    /// [`AnswerError`] for everything but one opinion about every text.
    pub fn read(question: &Question, content_type: Option<&str>, body: Bytes) -> Result<Self, AnswerError> {
        if !content_type.is_some_and(media::is_json) {
            return Err(AnswerError::Type);
        }
        if body.len() > MAX_ANSWER {
            return Err(AnswerError::TooLarge);
        }
        let document =
            Document::parse(body, Limits { depth: DEPTH, ..Limits::default() }).map_err(AnswerError::Json)?;
        let root = document.root();
        only(root, &["version", "texts"]).ok_or(AnswerError::Unknown)?;
        if root.get("version").and_then(|version| version.integer()) != Some(VERSION) {
            return Err(AnswerError::Version);
        }
        let texts = root.get("texts").filter(|texts| texts.kind() == Kind::Array).ok_or(AnswerError::Texts)?;
        let mut opinions: Vec<Option<Opinion>> = question.texts.iter().map(|_| None).collect();
        for (count, said) in texts.items().enumerate() {
            only(said, &["index", "score", "findings"]).ok_or(AnswerError::Unknown)?;
            let index = said.get("index").and_then(whole).ok_or(AnswerError::Index(count))?;
            let (place, shown) =
                opinions.get_mut(index).zip(question.texts.get(index)).ok_or(AnswerError::Index(count))?;
            if place.is_some() {
                return Err(AnswerError::Twice(index));
            }
            *place = Some(opinion(said, index, shown)?);
        }
        let opinions = opinions.into_iter().enumerate();
        let opinions = opinions.map(|(index, opinion)| opinion.ok_or(AnswerError::Missing(index)));
        Ok(Self { opinions: opinions.collect::<Result<_, _>>()? })
    }
}

fn opinion(said: Value<'_>, index: usize, shown: &Shown) -> Result<Opinion, AnswerError> {
    let score = said.get("score").and_then(|score| score.integer()).and_then(|score| u8::try_from(score).ok());
    let score = score.filter(|score| *score <= 100).ok_or(AnswerError::Score(index))?;
    let mut found: Vec<Found> = Vec::new();
    let Some(listed) = said.get("findings") else { return Ok(Opinion { score, found }) };
    if listed.kind() != Kind::Array {
        return Err(AnswerError::Place(index));
    }
    let mut end = 0;
    for one in listed.items() {
        only(one, &["start", "end", "label"]).ok_or(AnswerError::Unknown)?;
        let place = one.get("start").and_then(whole).zip(one.get("end").and_then(whole));
        let range = place.map(|(start, end)| start..end).ok_or(AnswerError::Place(index))?;
        // Outside of the text, inside of a character, or the wrong way round: there is no such piece of it.
        let is_there = shown.text.get(range.clone()).is_some_and(|piece| !piece.is_empty());
        if !is_there || range.start < end {
            return Err(AnswerError::Place(index));
        }
        end = range.end;
        let label = one.get("label").map(|label| self::label(label).ok_or(AnswerError::Label(index)));
        found.push(Found { range, label: label.transpose()? });
    }
    Ok(Opinion { score, found })
}

fn label(value: Value<'_>) -> Option<Arc<str>> {
    let text = value.text()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    (plain && (1..=MAX_LABEL).contains(&text.len())).then(|| Arc::from(&*text))
}

fn whole(value: Value<'_>) -> Option<usize> {
    value.integer().and_then(|number| usize::try_from(number).ok())
}

/// An object that has no other members than these.
fn only(value: Value<'_>, names: &[&str]) -> Option<()> {
    let known = value.entries().all(|(key, _)| names.iter().any(|name| key.is_text(name)));
    (value.kind() == Kind::Object && known).then_some(())
}
