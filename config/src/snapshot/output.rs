//! Demands on what a model answers, merged.

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
}

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

    /// What the manifests that `whose` picks ask for.
    #[must_use]
    pub fn of(&self, whose: impl Fn(&str) -> bool) -> Self {
        let links = self.links.iter().filter(|one| whose(&one.owner)).cloned().collect();
        let markup = self.markup.clone().filter(|one| whose(&one.owner));
        let max_length = self.max_length.clone().filter(|one| whose(&one.owner));
        let tool_calls = self.tool_calls.clone().filter(|one| whose(&one.owner));
        Self { links, markup, max_length, tool_calls }
    }
}
