//! What a request may look like, and how many there may be.

use std::time::Duration;

/// What one API demands of a request, besides identity.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// One list per manifest; a request must be matched by a rule of each. Empty: nothing passes.
    pub allow: Vec<AllowList>,
    /// Bytes.
    pub max_body: u64,
    pub rate_limits: Vec<RateLimit>,
    /// Documents that requests must match, every one.
    pub contracts: Vec<super::Contract>,
    pub response_remove: Vec<String>,
    /// Lower-case names.
    pub response_set: Vec<(String, String)>,
    pub cross_site: CrossSite,
    pub cors: Option<Cors>,
}

/// What one manifest allows.
#[derive(Debug, Clone, Default)]
pub struct AllowList {
    /// `APIAccessPolicy/default/ai-edge`.
    pub manifest: String,
    pub rules: Vec<AllowRule>,
}

impl AllowList {
    /// How records and reviews name the entry with this number.
    #[must_use]
    pub fn entry(&self, index: usize) -> String {
        format!("{} allow[{index}]", self.manifest)
    }
}

#[derive(Debug, Clone, Default)]
pub struct AllowRule {
    /// Upper case; not empty.
    pub methods: Vec<String>,
    /// Globs over the canonical path, whole-path; not empty.
    pub paths: Vec<String>,
    /// Media types without parameters, lower case. `None` for requests that need no body.
    pub content_types: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CrossSite {
    /// A browser request with a non-safe method from another site is refused.
    #[default]
    Deny,
    AllowOrigins(Vec<String>),
}

/// How much one key may use: in a window (GCRA), or at once.
#[derive(Debug, Clone)]
pub struct RateLimit {
    pub name: String,
    /// Namespace and name of the manifest: two manifests' limits never share a bucket.
    pub owner: String,
    /// Not empty.
    pub key: Vec<LimitKey>,
    pub unit: LimitUnit,
    /// Units per `window`, or requests at once; at least 1.
    pub limit: u64,
    /// Zero for concurrent requests.
    pub window: Duration,
    /// Units let through at once.
    pub burst: u64,
    /// How long a request over the limit may wait; zero where it is refused.
    pub max_wait: Duration,
    pub store: CountedIn,
}

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitKey {
    Principal,
    Tenant,
    SourceIp,
    Route,
    Model,
    /// Lower case.
    Header(String),
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitUnit {
    Requests,
    ConcurrentRequests,
    Bytes,
    InputTokens,
    OutputTokens,
    TotalTokens,
}

impl LimitUnit {
    /// Whether it counts what models read and write.
    #[must_use]
    pub fn is_tokens(self) -> bool {
        matches!(self, Self::InputTokens | Self::OutputTokens | Self::TotalTokens)
    }
}

/// Which other sites' scripts may ask, and read the answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    pub origins: Origins,
    /// Upper case, sorted.
    pub methods: Vec<String>,
    /// Lower case, sorted.
    pub headers: Vec<String>,
    /// Never with [`Origins::Any`].
    pub credentials: bool,
    /// Whole seconds.
    pub max_age: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    Any,
    /// Lower case, sorted.
    These(Vec<String>),
}

/// Where a limit is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CountedIn {
    /// In this process.
    Process,
    /// In the store of all replicas; and what happens without it.
    Shared(OnUnavailable),
}

/// What happens to requests while the shared store is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnUnavailable {
    Deny,
    Local,
}
