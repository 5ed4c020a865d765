//! What a decoder knows besides the node: where it stands, where to report, and what material it may name.

use std::path::Path;
use std::sync::LazyLock;

use crate::manifest::Credentials;
use crate::yaml::{Node, PV_SHAPE};
use crate::{Code, Position, Report};

use super::At;

/// Whether `env:` and `file:` may be named.
#[derive(Debug, Clone, Copy)]
pub struct MaterialRule<'a> {
    /// What relative paths are relative to: the directory of the bootstrap file.
    pub base: &'a Path,
    /// The bootstrap and manifests of the system namespace may; others may not (PV-008).
    pub local: bool,
    /// Named in the help of PV-008.
    pub system_namespace: &'a str,
    /// Whose Secrets and Credentials may be named.
    pub namespace: &'a str,
    /// The folder of Secrets, if there is one.
    pub secrets: Option<&'a Path>,
    pub credentials: &'a Credentials,
}

/// No Credential at all.
static NONE: LazyLock<Credentials> = LazyLock::new(Credentials::default);

impl<'a> MaterialRule<'a> {
    /// Of the system namespace, without Secrets and Credentials.
    #[must_use]
    pub fn new(base: &'a Path, local: bool, system_namespace: &'a str) -> Self {
        Self { base, local, system_namespace, namespace: system_namespace, secrets: None, credentials: &NONE }
    }
}

/// The decoder's context.
#[derive(Debug)]
pub struct Cx<'a> {
    pub report: &'a mut Report,
    pub material: MaterialRule<'a>,
    path: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Key(String),
    Item(usize),
}

impl<'a> Cx<'a> {
    pub fn new(report: &'a mut Report, material: MaterialRule<'a>) -> Self {
        Self { report, material, path: Vec::new() }
    }

    /// Decodes below `key`.
    pub fn key<T>(&mut self, key: &str, below: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(Step::Key(key.to_owned()));
        let value = below(self);
        self.path.pop();
        value
    }

    /// Decodes below the item at `index`.
    pub fn item<T>(&mut self, index: usize, below: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(Step::Item(index));
        let value = below(self);
        self.path.pop();
        value
    }

    /// The present place as a person writes it.
    #[must_use]
    pub fn pointer(&self) -> String {
        let mut out = String::new();
        for step in &self.path {
            match step {
                Step::Item(index) => out.push_str(&format!("[{index}]")),
                Step::Key(key) if is_plain_key(key) => {
                    if !out.is_empty() {
                        out.push('.');
                    }
                    out.push_str(key);
                }
                Step::Key(key) => out.push_str(&format!("[{:?}]", crate::secrets::shown(key))),
            }
        }
        out
    }

    /// Name of the field being read, for messages.
    #[must_use]
    pub fn field(&self) -> String {
        let key = self.path.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(crate::secrets::shown(key)),
            Step::Item(_) => None,
        });
        key.unwrap_or_else(|| "the document".to_owned())
    }

    /// Reports an error at the present place.
    pub fn error(&mut self, code: Code, position: &Position, message: impl Into<String>, help: impl Into<String>) {
        let pointer = self.pointer();
        self.report.error(code, position, pointer, message, help);
    }

    /// Reports PV-002 at the present place.
    pub fn shape(&mut self, position: &Position, message: impl Into<String>, help: impl Into<String>) {
        self.error(PV_SHAPE, position, message, help);
    }

    /// Reports that the node is not the kind of thing its place wants.
    pub fn unexpected(&mut self, node: &Node, wanted: &str, help: &str) {
        let field = self.field();
        if node.describe() == "nothing" {
            let message = format!("`{field}` has no value");
            return self.shape(&node.position, message, format!("write {wanted}, or remove the field"));
        }
        self.shape(&node.position, format!("`{field}` must be {wanted}, not {}", node.describe()), help);
    }

    /// The value with the present place.
    pub fn at<T>(&self, value: T, position: &Position) -> At<T> {
        At { value, position: position.clone(), pointer: self.pointer() }
    }
}

fn is_plain_key(key: &str) -> bool {
    !key.is_empty() && key.len() <= 63 && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
