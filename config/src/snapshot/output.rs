//! Demands on what a model answers, merged.

use std::path::PathBuf;
use std::sync::Arc;

use crate::{Api, SchemaId};

/// What answers of a route have to be, each demand with a manifest that makes it: `RuntimeSecurityPolicy/default/assistant-guard`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Lists of hosts that links may lead to; each must have the host.
    pub links: Vec<Owned<Vec<String>>>,
    /// Absent where it stays as it is.
    pub markup: Option<Owned<Markup>>,
    /// Bytes of text in one answer.
    pub max_length: Option<Owned<u64>>,
    /// Tools that are called, where that is judged.
    pub tool_calls: Option<Owned<ToolCalls>>,
    /// Each must hold for whatever it is of.
    pub schemas: Vec<Owned<SchemaOf>>,
}

/// A schema, and what has to fit it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaOf {
    pub what: Written,
    pub schema: Arc<SchemaDocument>,
}

/// What models write. `*` in names is any run of characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Written {
    /// Answers of models with such a name.
    Model(String),
    /// Arguments of calls of tools with such a name.
    Tool(String),
}

/// A JSON Schema in a file of its own.
#[derive(Debug)]
pub struct SchemaDocument {
    pub file: PathBuf,
    /// The schema with all that it refers to; no operations.
    pub api: Arc<Api>,
    pub root: SchemaId,
}

impl PartialEq for SchemaDocument {
    fn eq(&self, other: &Self) -> bool {
        (&self.file, self.api.digest) == (&other.file, other.api.digest)
    }
}

impl Eq for SchemaDocument {}

/// A demand, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned<T> {
    pub value: T,
    pub owner: String,
}

/// Which tools may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ToolCalls {
    OnlyAllowed,
}

/// What becomes of HTML, strictest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Markup {
    Allow,
    Escape,
    Strip,
}

impl Output {
    /// Names of guards on text, as coverage and records have them.
    pub const LINKS: &str = "output/links";
    pub const MARKUP: &str = "output/markup";
    pub const LENGTH: &str = "output/length";
    /// Of requests, whose tools are read, and of answers, whose calls are.
    pub const TOOL_CALLS: &str = "output/toolCalls";
    /// Of answers that are read whole, and of calls in whole answers and in streams; of requests, which must not ask for a stream.
    pub const SCHEMAS: &str = "output/schemas";

    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The guards of what models say, each with an owner.
    #[must_use]
    pub fn guards(&self) -> Vec<(&'static str, &str)> {
        let links = self.links.first().map(|one| (Self::LINKS, one.owner.as_str()));
        let markup = self.markup.as_ref().map(|one| (Self::MARKUP, one.owner.as_str()));
        let length = self.max_length.as_ref().map(|one| (Self::LENGTH, one.owner.as_str()));
        [links, markup, length].into_iter().flatten().collect()
    }

    /// An owner of schemas of models' answers, where there are some.
    #[must_use]
    pub fn answer_schemas(&self) -> Option<&str> {
        let mut all = self.schemas.iter();
        all.find(|one| matches!(one.value.what, Written::Model(_))).map(|one| one.owner.as_str())
    }

    /// As [`Output::answer_schemas`], of arguments of calls.
    #[must_use]
    pub fn argument_schemas(&self) -> Option<&str> {
        let mut all = self.schemas.iter();
        all.find(|one| matches!(one.value.what, Written::Tool(_))).map(|one| one.owner.as_str())
    }

    /// What the manifests that `whose` picks ask for.
    #[must_use]
    pub fn of(&self, whose: impl Fn(&str) -> bool) -> Self {
        let links = self.links.iter().filter(|one| whose(&one.owner)).cloned().collect();
        let markup = self.markup.clone().filter(|one| whose(&one.owner));
        let max_length = self.max_length.clone().filter(|one| whose(&one.owner));
        let tool_calls = self.tool_calls.clone().filter(|one| whose(&one.owner));
        let schemas = self.schemas.iter().filter(|one| whose(&one.owner)).cloned().collect();
        Self { links, markup, max_length, tool_calls, schemas }
    }
}
