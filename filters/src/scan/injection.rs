//! Prompt injection by signatures: words in several languages, put into classes, and rules over classes.
//!
//! Rules look at words, not at bytes, so filler words, punctuation and spacing do not help an attacker, and one rule
//! serves every language that has words in its classes. Each rule that fires is evidence with a score; evidence of
//! different families within the window adds up as independent doubts (`1 − Π(1 − s)`). Words that talk *about*
//! attacks lower it a little.

mod evidence;
mod signatures;
mod vocabulary;
mod words;

use std::sync::{Arc, LazyLock};

use super::ScanError;
use super::hit::{Hit, Source};
use super::view::View;
use evidence::Evidence;
pub(crate) use signatures::Signatures;
use words::Words;

/// Bytes of text that a stream must be able to hold.
pub(crate) const NEEDS: usize = 384;

/// The shipped signatures, read once per process.
///
/// # Errors
/// [`ScanError::Builtin`] if the file is malformed, which a test rules out.
pub(crate) fn signatures() -> Result<Arc<Signatures>, ScanError> {
    static SHIPPED: LazyLock<Result<Arc<Signatures>, String>> =
        LazyLock::new(|| Signatures::parse(include_str!("injection/signatures.txt")).map(Arc::new));
    SHIPPED.clone().map_err(|message| ScanError::Builtin { id: "PromptInjection".into(), message })
}

/// Families of signatures that are about what a model may do, and not about whose orders it takes.
const JAILBREAKS: [&str; 11] =
    ["answer", "brand", "dan", "devmode", "fiction", "illegal", "norms", "override", "permit", "persona", "refuse"];

/// As [`signatures`], of users who would have a model do what it must not.
///
/// # Errors
/// As there.
pub(crate) fn jailbreaks() -> Result<Arc<Signatures>, ScanError> {
    static SHIPPED: LazyLock<Result<Arc<Signatures>, String>> = LazyLock::new(|| {
        let family = |rule: &str| rule.split(' ').next().is_some_and(|family| JAILBREAKS.contains(&family));
        let wanted = |line: &&str| line.strip_prefix("rule ").is_none_or(family);
        let text: Vec<&str> = include_str!("injection/signatures.txt").lines().filter(wanted).collect();
        Signatures::parse(&text.join("\n")).map(Arc::new)
    });
    SHIPPED.clone().map_err(|message| ScanError::Builtin { id: "Jailbreak".into(), message })
}

/// The state on one text.
#[derive(Debug)]
pub(crate) struct Reader {
    signatures: Arc<Signatures>,
    words: Words,
    evidence: Evidence,
    limit: usize,
    next: usize,
    /// Text before this was let go by a stall.
    let_go: usize,
}

impl Reader {
    /// Its hits are of `source`.
    pub(crate) fn new(signatures: &Arc<Signatures>, source: Source, limit: usize, least: u8) -> Self {
        let (words, evidence) = (Words::new(limit), Evidence::new(source, limit, least));
        Self { signatures: Arc::clone(signatures), words, evidence, limit, next: 0, let_go: 0 }
    }

    /// Names of the families of signatures that were found, whatever they add up to.
    pub(crate) fn families(&self) -> Vec<String> {
        self.signatures.names(self.evidence.fired()).map(str::to_owned).collect()
    }

    /// Reads what is new in `view`.
    pub(crate) fn read(&mut self, view: &View, _text_end: usize, hits: &mut Vec<Hit>) {
        let Self { signatures, words, evidence, .. } = self;
        words.read(&signatures.vocabulary, view, self.next, |word| evidence.add(signatures, word, hits));
        self.next = view.end();
    }

    pub(crate) fn finish(&mut self, view: &View, text_end: usize, hits: &mut Vec<Hit>) {
        let Self { signatures, words, evidence, .. } = self;
        words.finish(&signatures.vocabulary, view, text_end + 1, |word| evidence.add(signatures, word, hits));
    }

    /// Nothing is taken for found; what was held is let go, and still counts as evidence.
    pub(crate) fn stall(&mut self, text_end: usize) {
        self.let_go = text_end;
    }

    /// Where the earliest word stands that a finding could still begin with.
    pub(crate) fn live(&self, text_end: usize) -> Option<usize> {
        let from = self.let_go.max(text_end.saturating_sub(self.limit));
        let evidence = self.evidence.opens(self.words.unit());
        self.words.opens().chain(evidence).filter(|start| *start >= from).min()
    }
}
