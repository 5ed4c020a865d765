//! What is looked for in messages, and what happens then.

use std::time::Duration;

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

/// What happens to a finding, strongest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentAction {
    Mask,
    Redact,
    Block,
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
}

/// RuntimeSecurityPolicy, merged.
#[derive(Debug, Clone, Default)]
pub struct RuntimeSecurity {
    pub detectors: Vec<RuntimeDetector>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuntimeDetectorKind {
    PromptInjection,
    HiddenText,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuntimeAction {
    Redact,
    Block,
}
