//! Public reasons of a refusal, and how each is spelled on the wire.

/// Why a request or an answer was refused. Stable: clients, records and metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    CredentialMissing,
    CredentialInvalid,
    SessionEnded,
    LoginNeeded,
    StepUp,
    InsufficientScope,
    NotPermitted,
    NoSuchOperation,
    MethodNotAllowed,
    ExceptionEnded,
    OtherTenant,
    CrossSite,
    ContentRefused,
    AnswerRefused,
    OverLimit,
    TaskLimit,
    Malformed,
    SchemaMismatch,
    LengthRequired,
    TooLarge,
    UnsupportedContent,
    Misdirected,
    HeadersTooLarge,
    SlowRequest,
    Overloaded,
    Undecided,
    UpstreamFailed,
    UpstreamUnavailable,
    SecretExpired,
    Internal,
}

impl Reason {
    pub const ALL: [Self; 30] = [
        Self::CredentialMissing,
        Self::CredentialInvalid,
        Self::SessionEnded,
        Self::LoginNeeded,
        Self::StepUp,
        Self::InsufficientScope,
        Self::NotPermitted,
        Self::NoSuchOperation,
        Self::MethodNotAllowed,
        Self::ExceptionEnded,
        Self::OtherTenant,
        Self::CrossSite,
        Self::ContentRefused,
        Self::AnswerRefused,
        Self::OverLimit,
        Self::TaskLimit,
        Self::Malformed,
        Self::SchemaMismatch,
        Self::LengthRequired,
        Self::TooLarge,
        Self::UnsupportedContent,
        Self::Misdirected,
        Self::HeadersTooLarge,
        Self::SlowRequest,
        Self::Overloaded,
        Self::Undecided,
        Self::UpstreamFailed,
        Self::UpstreamUnavailable,
        Self::SecretExpired,
        Self::Internal,
    ];

    /// The word in records and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CredentialMissing => "credential_missing",
            Self::CredentialInvalid => "credential_invalid",
            Self::SessionEnded => "session_ended",
            Self::LoginNeeded => "login_needed",
            Self::StepUp => "insufficient_user_authentication",
            Self::InsufficientScope => "insufficient_scope",
            Self::NotPermitted => "not_permitted",
            Self::NoSuchOperation => "no_such_operation",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::ExceptionEnded => "exception_ended",
            Self::OtherTenant => "other_tenant",
            Self::CrossSite => "cross_site",
            Self::ContentRefused => "content_refused",
            Self::AnswerRefused => "answer_refused",
            Self::OverLimit => "over_limit",
            Self::TaskLimit => "task_limit",
            Self::Malformed => "malformed",
            Self::SchemaMismatch => "schema_mismatch",
            Self::LengthRequired => "length_required",
            Self::TooLarge => "too_large",
            Self::UnsupportedContent => "unsupported_content",
            Self::Misdirected => "misdirected",
            Self::HeadersTooLarge => "headers_too_large",
            Self::SlowRequest => "slow_request",
            Self::Overloaded => "overloaded",
            Self::Undecided => "undecided",
            Self::UpstreamFailed => "upstream_failed",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::SecretExpired => "secret_expired",
            Self::Internal => "internal",
        }
    }

    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::CredentialMissing | Self::CredentialInvalid | Self::SessionEnded | Self::StepUp => 401,
            // The way to the issuer.
            Self::LoginNeeded => 302,
            Self::InsufficientScope
            | Self::NotPermitted
            | Self::ExceptionEnded
            | Self::OtherTenant
            | Self::CrossSite
            | Self::ContentRefused
            | Self::AnswerRefused
            | Self::TaskLimit => 403,
            Self::OverLimit => 429,
            Self::Malformed | Self::SchemaMismatch => 400,
            Self::NoSuchOperation => 404,
            Self::MethodNotAllowed => 405,
            Self::LengthRequired => 411,
            Self::TooLarge => 413,
            Self::UnsupportedContent => 415,
            Self::Misdirected => 421,
            Self::HeadersTooLarge => 431,
            Self::SlowRequest => 408,
            Self::Overloaded | Self::Undecided | Self::UpstreamUnavailable | Self::SecretExpired => 503,
            Self::UpstreamFailed => 502,
            Self::Internal => 500,
        }
    }

    /// What the caller reads: no policy detail, the same text for absent and forbidden.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::CredentialMissing | Self::CredentialInvalid => "A valid credential is required",
            Self::SessionEnded => "The session has ended",
            Self::LoginNeeded => "A login is required",
            Self::StepUp => "A stronger or more recent authentication is required",
            Self::InsufficientScope => "More scopes are required",
            Self::NotPermitted | Self::ExceptionEnded | Self::OtherTenant | Self::CrossSite => "Not permitted",
            Self::ContentRefused => "The content of the request was refused",
            Self::AnswerRefused => "The answer was refused",
            Self::OverLimit => "Too many requests",
            Self::TaskLimit => "The task has reached its limits",
            Self::Malformed => "The request is malformed or ambiguous",
            Self::SchemaMismatch => "The request does not match the description of the API",
            Self::NoSuchOperation => "The API has no such operation",
            Self::MethodNotAllowed => "The API has no such method here",
            Self::LengthRequired => "A content length is required",
            Self::TooLarge => "The request is too large",
            Self::UnsupportedContent => "The content type or encoding is not supported",
            Self::Misdirected => "The request was sent to the wrong server",
            Self::HeadersTooLarge => "The request headers are too large",
            Self::SlowRequest => "The request took too long",
            Self::Overloaded => "The server is busy; try again later",
            Self::Undecided => "No decision could be made",
            Self::UpstreamFailed => "The upstream could not be reached",
            Self::UpstreamUnavailable | Self::SecretExpired => "The upstream is not available at the moment",
            Self::Internal => "Internal error",
        }
    }

    /// `type` of an OpenAI error object.
    #[must_use]
    pub fn openai_type(self) -> &'static str {
        match self.status() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            500 | 502 => "server_error",
            503 => "service_unavailable",
            _ => "invalid_request_error",
        }
    }

    /// `code` of an OpenAI error object. Says no more than the status where policy decided.
    #[must_use]
    pub fn openai_code(self) -> &'static str {
        match self {
            Self::CredentialMissing | Self::CredentialInvalid | Self::SessionEnded | Self::LoginNeeded => {
                "invalid_credential"
            }
            Self::NotPermitted | Self::ExceptionEnded | Self::OtherTenant | Self::CrossSite => "policy_denied",
            Self::OverLimit => "rate_limit_exceeded",
            Self::SecretExpired => Self::UpstreamUnavailable.as_str(),
            other => other.as_str(),
        }
    }

    /// Whether policy decided, so that the same request would be refused again: `x-should-retry: false`.
    #[must_use]
    pub fn is_policy(self) -> bool {
        matches!(self.status(), 401 | 403)
    }
}
