//! What clients are told about where to get a token.

use crate::decode::{At, spec};
use crate::values::{ChallengeWord, Issuer, ResourceUrl};

spec! {
    /// Protected resource metadata (RFC 9728): served at `/.well-known/oauth-protected-resource` followed by the path of `resource`, to GET
    /// and HEAD, before authentication, and named in every challenge to a request for the resource. That one path is the proxy's own,
    /// whatever route it would fall under; a route that begins there does not load (PV-005).
    pub struct ProtectedResource {
        /// What clients call. Its host and path must be ones that a route of the policy takes.
        [E] resource: At<ResourceUrl>,
        /// Issuers that give tokens for it.
        [E] authorization_servers: At<Vec<At<Issuer>>>,
        /// Scopes worth asking for.
        [E] scopes: Vec<At<ChallengeWord>>,
    }
}
