//! Workload identities.

use super::Waived;
use crate::Material;

/// X.509-SVIDs, and JWT-SVIDs where it has them.
#[derive(Debug, Clone, Default)]
pub struct SpiffeProvider {
    pub tokens: Option<JwtSvids>,
}

/// JWT-SVIDs, which are bearer tokens.
#[derive(Debug, Clone)]
pub struct JwtSvids {
    /// Not empty; a token must carry one of them.
    pub audiences: Vec<String>,
    /// Trust domains and their bundles, each domain once.
    pub bundles: Vec<(String, Material)>,
    /// Why they may be used on a route that executes. Once it has ended, they may not.
    pub unbound: Option<Waived>,
}
