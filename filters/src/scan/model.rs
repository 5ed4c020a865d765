//! The classifier: how much a text is like the attacks it learned, window by window.
//!
//! Two blocks are a window, and windows overlap by one. A window's features (`features`) have a weight each;
//! their sum, over the root of their number, is a logit, and the logit a probability. There are two heads: what a user writes may
//! give orders, what stands in a document may not. What signatures find in the window speaks for an attack as well. The weights
//! come from `filters/model`, and are read once per process, if their digest is the one they were released with.

pub mod features;
mod letters;
mod run;
mod weights;
mod word;

use std::sync::{Arc, LazyLock};

use postern_config::Part;

use super::ScanError;
use super::fold::Form;
use super::view::View;
use features::{Features, Sink};
pub(crate) use run::{ModelRun, Window};
pub(crate) use weights::spoken;
pub use weights::{GRAMS, Model, WORDS, Weights};

/// Whose text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Head {
    /// Who wrote it may ask for things.
    User,
    /// Who wrote it has nothing to order: documents, results, mails, pages, other agents.
    Document,
}

impl Head {
    pub const ALL: [Self; 2] = [Self::User, Self::Document];

    /// Characters of a block: who writes a prompt speaks to the model all the time, and what stands in a document is short.
    #[must_use]
    pub fn block(self) -> u32 {
        match self {
            Self::User => 240,
            Self::Document => 40,
        }
    }

    /// The head for texts that stand in `part`.
    #[must_use]
    pub fn of(part: Part) -> Self {
        match part {
            Part::System | Part::User | Part::Assistant | Part::Reasoning | Part::Embedding => Self::User,
            Part::ToolDefinition
            | Part::ToolArguments
            | Part::ToolResult
            | Part::Resource
            | Part::Elicitation
            | Part::AgentMessage
            | Part::HttpHeader
            | Part::HttpQuery
            | Part::HttpBody => Self::Document,
        }
    }
}

/// The shipped model.
///
/// # Errors
/// [`ScanError::Model`] if it is not the one that this release was made with, which a test rules out.
pub fn shipped() -> Result<Arc<Model>, ScanError> {
    static SHIPPED: LazyLock<Result<Arc<Model>, &'static str>> =
        LazyLock::new(|| Model::read(include_bytes!("model/injection.model"), weights::DIGEST).map(Arc::new));
    SHIPPED.clone().map_err(|why| ScanError::Model { why })
}

/// Reads the features of `text` as `head` does; positions are bytes of it.
pub fn look(head: Head, text: &str, sink: &mut impl Sink) {
    let mut view = View::new(Form::Skeleton);
    view.push(text, 0);
    // A view holds whole characters.
    let folded = std::str::from_utf8(view.bytes()).unwrap_or_default();
    let mut placed = Placed { view: &view, sink };
    let mut features = Features::new(head.block());
    features.read(folded, 0, &mut placed);
    features.finish(&mut placed);
}

/// Tells where blocks stand in the text as received.
struct Placed<'v, S> {
    view: &'v View,
    sink: &'v mut S,
}

impl<S: Sink> Sink for Placed<'_, S> {
    fn gram(&mut self, index: usize) {
        self.sink.gram(index);
    }

    fn words(&mut self, index: usize) {
        self.sink.words(index);
    }

    fn block(&mut self, start: usize, end: usize) {
        self.sink.block(self.view.start_of(start), self.view.start_of(end));
    }
}

#[cfg(test)]
mod tests;
