//! APIAccessPolicy: what one API demands of a caller.

mod cors;
mod rate_limit;

use std::collections::BTreeMap;

pub use cors::*;
pub use rate_limit::*;

use crate::decode::{At, Cx, Decode, Setting, Shape, spec, tagged, words};
use crate::values::{DocumentFile, HeaderName, HeaderValue, MediaType, Method, Name, Origin, PathGlob, Size};
use crate::yaml::Node;
use crate::{Code, Require};

spec! {
    /// What one API demands of a caller: which providers, which requests, how many. A route for which no attached
    /// APIAccessPolicy names a provider does not load (PV-010).
    pub struct ApiAccessPolicy {
        /// Which providers are accepted.
        [E] authentication: Option<At<Authentication>>,
        /// Which requests may pass. A request must be matched by a rule of *every* attached manifest that has this list; if none
        /// has it, nothing passes.
        [E] allow: Option<At<Vec<At<AllowRule>>>>,
        /// An OpenAPI document (3.0 or 3.1, JSON or YAML) that requests must match: an operation it does not have, a query parameter it
        /// does not name, a parameter or a body that does not fit its schema is refused. Its paths stand below the path of its
        /// `servers` and are those of the request, before any `rewrite`. What it says about answers, callbacks and `security` is not
        /// read. Every document of every manifest must match.
        [E] schema_from: Option<At<DocumentFile>>,
        /// Longest request body.
        [E, max "100Mi"] max_body_size: Setting<Size> = "10Mi",
        /// How many requests may pass; all of them apply.
        [E] rate_limits: Vec<At<RateLimit>>,
        /// Which other sites' scripts may ask, and read what they are answered. Without it none may.
        [E] cors: Option<At<Cors>>,
        /// Whether browsers may send requests from other sites with methods that change something.
        [E] cross_site: Setting<CrossSite> = "{type: Deny}",
        /// Headers of answers to remove and to set.
        [E] response_headers: Setting<ResponseHeaders> = "{}",
        /// The form of refusals.
        [E] errors: Setting<Errors> = "{}",
    }
}

spec! {
    /// Which providers are accepted.
    pub struct Authentication {
        /// Names of providers that an IAMPolicy attaches to the same place.
        [E] providers: At<Vec<At<Name>>>,
        /// Whether one of them is enough.
        [E] require: Setting<Require> = "AnyOf",
    }
}

words! {
    /// How many of the providers must recognise the caller.
    impl Require {
        /// At least one.
        (Require::AnyOf) = "AnyOf",
        /// All of them.
        (Require::AllOf) = "AllOf",
    }
}

spec! {
    /// One kind of request that may pass.
    pub struct AllowRule {
        /// Methods, any of them.
        [E] methods: At<Vec<At<Method>>>,
        /// Globs over the canonical path, any of them.
        [E] paths: At<Vec<At<PathGlob>>>,
        /// Media types of a body, any of them. Without this field the request must have no body.
        [E] content_types: Option<At<Vec<At<MediaType>>>>,
    }
}

tagged! {
    /// Browser requests from other sites with methods that change something.
    pub enum CrossSite {
        /// They are refused.
        Deny(Nothing),
        /// They are refused unless they come from one of these origins.
        AllowOrigins(AllowOrigins),
    }
}

spec! {
    /// Origins that may send requests across sites.
    pub struct AllowOrigins {
        /// Compared exactly.
        [E] origins: At<Vec<At<Origin>>>,
    }
}

spec! {
    /// Headers of answers.
    pub struct ResponseHeaders {
        /// Removed if the upstream sent them.
        [E] remove: Vec<At<HeaderName>>,
        /// Set, in place of what the upstream sent.
        [E] set: Option<At<BTreeMap<HeaderName, At<HeaderValue>>>>,
    }
}

spec! {
    /// An object without further fields.
    pub struct Nothing {}
}

spec! {
    /// The form of refusals.
    pub struct Errors {
        /// RFC 9457 problem details on routes of dialect `http`. Cannot be turned off: the other dialects use their own form.
        [E] problem_json: Setting<Always> = "true",
    }
}

/// `true`; `false` is PV-007.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Always;

impl Decode for Always {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        if bool::decode(node, cx)? {
            return Some(Self);
        }
        let message = format!("`{}: false` is not supported by this version", cx.field());
        cx.error(Code(7), &node.position, message, "remove the field or write `true`");
        None
    }

    fn shape() -> Shape {
        Shape::Scalar { name: "`true`", doc: "Always `true` in this version." }
    }
}
