//! What is looked for in messages, and what happens then.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::{Digest, Material, PromptRules, Redacted};

/// Where in a message a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    System,
    User,
    Assistant,
    Reasoning,
    ToolDefinition,
    ToolArguments,
    ToolResult,
    Resource,
    Elicitation,
    AgentMessage,
    Embedding,
    HttpHeader,
    HttpQuery,
    HttpBody,
}

impl Part {
    pub const ALL: [Self; 14] = [
        Self::System,
        Self::User,
        Self::Assistant,
        Self::Reasoning,
        Self::ToolDefinition,
        Self::ToolArguments,
        Self::ToolResult,
        Self::Resource,
        Self::Elicitation,
        Self::AgentMessage,
        Self::Embedding,
        Self::HttpHeader,
        Self::HttpQuery,
        Self::HttpBody,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::User => "User",
            Self::Assistant => "Assistant",
            Self::Reasoning => "Reasoning",
            Self::ToolDefinition => "ToolDefinition",
            Self::ToolArguments => "ToolArguments",
            Self::ToolResult => "ToolResult",
            Self::Resource => "Resource",
            Self::Elicitation => "Elicitation",
            Self::AgentMessage => "AgentMessage",
            Self::Embedding => "Embedding",
            Self::HttpHeader => "HttpHeader",
            Self::HttpQuery => "HttpQuery",
            Self::HttpBody => "HttpBody",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    Request,
    Response,
}

/// Ordered from least to most sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataClass {
    Public,
    Internal,
    Confidential,
    Restricted,
}

impl DataClass {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "Public",
            Self::Internal => "Internal",
            Self::Confidential => "Confidential",
            Self::Restricted => "Restricted",
        }
    }
}

/// What happens to a finding, strongest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentAction {
    Allow,
    Annotate,
    Mask,
    Redact,
    Tokenize,
    Block,
}

impl ContentAction {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Annotate => "Annotate",
            Self::Mask => "Mask",
            Self::Redact => "Redact",
            Self::Tokenize => "Tokenize",
            Self::Block => "Block",
        }
    }

    /// Whether the text stays as it is.
    #[must_use]
    pub fn keeps(self) -> bool {
        self <= Self::Annotate
    }
}

/// DataProtectionPolicy, merged.
#[derive(Debug, Clone)]
pub struct DataProtection {
    pub detectors: Vec<DataDetector>,
    pub rules: Vec<DataRule>,
    /// Bytes of decoded text a stream may hold back.
    pub hold_back: usize,
    /// How long an open match may wait for its end before it counts as found.
    pub stall: Duration,
    pub revision: Revision,
    /// How long the way back from tokens lasts, and with it an exchange that has one.
    pub keeps_tokens: Duration,
}

impl Default for DataProtection {
    /// Nothing is looked for.
    fn default() -> Self {
        Self {
            detectors: Vec::new(),
            rules: Vec::new(),
            hold_back: 512,
            stall: Duration::from_secs(5),
            revision: Revision::default(),
            keeps_tokens: Duration::from_secs(3600),
        }
    }
}

/// What becomes of messages before anything looks at them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revision {
    pub minimize: Vec<Minimized>,
    pub opaque: Opaque,
    /// Providers are told to keep nothing, where their API has words for it.
    pub not_kept: bool,
}

/// Fields that requests leave without. Pointers are split and decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minimized {
    /// `DataProtectionPolicy/default/assistant-dlp`.
    pub owner: String,
    /// As records name it: `data/minimize/assistant-dlp`.
    pub guard: String,
    pub drop: Vec<Vec<String>>,
    pub keep: Option<Vec<Vec<String>>>,
}

/// Content that the proxy cannot read, strictest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Opaque {
    Allow,
    Strip,
    #[default]
    Deny,
}

#[derive(Debug, Clone)]
pub struct DataDetector {
    pub name: String,
    pub kind: DataDetectorKind,
    pub class: DataClass,
}

#[derive(Debug, Clone)]
pub enum DataDetectorKind {
    /// An id of [`crate::BUILTIN_DETECTORS`].
    Builtin(&'static str),
    Regex {
        pattern: String,
        validate: Option<Validator>,
    },
    Dictionary(Arc<Dictionary>),
    ExactMatch(Arc<ExactValues>),
    /// The secrets of the upstream.
    Managed,
}

impl DataDetectorKind {
    /// As manifests write it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Builtin(_) => "Builtin",
            Self::Regex { .. } => "Regex",
            Self::Dictionary(_) => "Dictionary",
            Self::ExactMatch(_) => "ExactMatch",
            Self::Managed => "Managed",
        }
    }

    /// The file that it was made from.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Dictionary(list) => Some(&list.file),
            Self::ExactMatch(list) => Some(&list.file),
            Self::Builtin(_) | Self::Regex { .. } | Self::Managed => None,
        }
    }
}

/// Words and phrases, as they were written; at least one. They may be somebody's names: nothing prints them.
#[derive(Debug)]
pub struct Dictionary {
    pub file: PathBuf,
    /// SHA-256 of the file.
    pub digest: Digest,
    pub text: Redacted<String>,
}

impl Dictionary {
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        self.text.expose().lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    }
}

/// Values of which only the hashes are known; at least one.
#[derive(Debug)]
pub struct ExactValues {
    pub file: PathBuf,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// Key of the hashes, which are HMAC-SHA-256.
    pub salt: Redacted<Vec<u8>>,
    /// Words that a value has at most, at least one.
    pub words: usize,
    /// Letters and digits that a value has.
    pub length: RangeInclusive<usize>,
    /// Sorted.
    pub hashes: Vec<[u8; 32]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validator {
    Luhn,
    Iban,
}

/// One action on what some detectors find in some parts, in one direction or both.
#[derive(Debug, Clone)]
pub struct DataRule {
    pub name: String,
    /// `DataProtectionPolicy/default/assistant-dlp`.
    pub owner: String,
    pub request: bool,
    pub response: bool,
    pub parts: Vec<Part>,
    /// Indices into [`DataProtection::detectors`], `minClass` already resolved; not empty.
    pub detectors: Vec<usize>,
    pub action: ContentAction,
    /// For action Tokenize.
    pub tokens: TokenRule,
}

/// What becomes of the tokens of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenRule {
    pub scope: TokenScope,
    /// Their values are put back into the answer.
    pub restore: bool,
}

/// Who shares a token for the same value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum TokenScope {
    #[default]
    Principal,
    Tenant,
}

/// RuntimeSecurityPolicy, merged.
#[derive(Debug, Clone, Default)]
pub struct RuntimeSecurity {
    pub detectors: Vec<RuntimeDetector>,
    pub prompts: PromptRules,
    pub output: super::Output,
    pub behaviour: super::BehaviourLimits,
}

impl RuntimeSecurity {
    /// The services that are asked about texts.
    pub fn external(&self) -> impl Iterator<Item = (&RuntimeDetector, &ExternalSource)> {
        self.detectors.iter().filter_map(|detector| match &detector.kind {
            RuntimeDetectorKind::External(source) => Some((detector, source)),
            _ => None,
        })
    }
}

#[derive(Debug, Clone)]
pub struct RuntimeDetector {
    pub name: String,
    /// `RuntimeSecurityPolicy/default/assistant-guard`.
    pub owner: String,
    pub kind: RuntimeDetectorKind,
    pub parts: Vec<Part>,
    /// 0–100; a score at or above it is a finding.
    pub threshold: u8,
    pub action: RuntimeAction,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeDetectorKind {
    PromptInjection,
    Jailbreak,
    HiddenText,
    EncodedPayload,
    Web(WebAttack),
    Regex(String),
    /// A value that is planted in the request and looked for in its answer.
    Canary,
    /// What a service outside says.
    External(ExternalSource),
}

/// Where a service is asked about texts, and how we prove there who we are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalSource {
    pub url: String,
    /// The longest wait for an answer.
    pub timeout: Duration,
    /// A bearer token.
    pub auth: Option<Material>,
    /// Authorities that are believed there, and no others; PEM. Without them, those of the machine.
    pub ca: Option<Material>,
}

impl ExternalSource {
    /// Files and variables that it reads.
    pub fn material(&self) -> impl Iterator<Item = &Material> {
        self.auth.iter().chain(&self.ca)
    }
}

impl RuntimeDetectorKind {
    /// As manifests write it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::PromptInjection => "PromptInjection",
            Self::Jailbreak => "Jailbreak",
            Self::HiddenText => "HiddenText",
            Self::EncodedPayload => "EncodedPayload",
            Self::Web(attack) => attack.as_str(),
            Self::Regex(_) => "Regex",
            Self::Canary => "Canary",
            Self::External(_) => "External",
        }
    }
}

/// An attack on what stands behind, in one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WebAttack {
    SqlInjection,
    Xss,
    CommandInjection,
    PathTraversal,
    Ssrf,
}

impl WebAttack {
    pub const ALL: [Self; 5] = [Self::SqlInjection, Self::Xss, Self::CommandInjection, Self::PathTraversal, Self::Ssrf];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SqlInjection => "SqlInjection",
            Self::Xss => "Xss",
            Self::CommandInjection => "CommandInjection",
            Self::PathTraversal => "PathTraversal",
            Self::Ssrf => "Ssrf",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuntimeAction {
    Allow,
    Annotate,
    Redact,
    Block,
}

impl From<RuntimeAction> for ContentAction {
    fn from(action: RuntimeAction) -> Self {
        match action {
            RuntimeAction::Allow => Self::Allow,
            RuntimeAction::Annotate => Self::Annotate,
            RuntimeAction::Redact => Self::Redact,
            RuntimeAction::Block => Self::Block,
        }
    }
}
