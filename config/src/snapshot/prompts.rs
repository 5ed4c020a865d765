//! What the proxy itself says to models, and who else may speak where operators do.

use std::path::PathBuf;

use crate::{Digest, Redacted};

/// Of RuntimeSecurityPolicy, merged: what is put into prompts, and what clients may not put there.
#[derive(Debug, Clone, Default)]
pub struct PromptRules {
    /// Those that stand first, and then those that stand last, each in their order.
    pub layers: Vec<PromptLayer>,
    /// The manifest that keeps out system text of clients, where one does.
    pub system_denied_by: Option<String>,
    /// The manifest that has untrusted texts marked, where one does.
    pub isolated_by: Option<String>,
}

impl PromptRules {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owners().next().is_none()
    }

    /// The manifests that say something.
    pub fn owners(&self) -> impl Iterator<Item = &String> {
        let layers = self.layers.iter().map(|layer| &layer.owner);
        layers.chain(&self.system_denied_by).chain(&self.isolated_by)
    }
}

/// A text that every model of a route is given.
#[derive(Debug, Clone)]
pub struct PromptLayer {
    pub name: String,
    /// `RuntimeSecurityPolicy/default/assistant-guard`.
    pub owner: String,
    pub position: LayerPosition,
    pub file: PathBuf,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// Without white space around it; not empty.
    pub text: Redacted<String>,
}

/// Where a layer stands among all system text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LayerPosition {
    First,
    Last,
}
