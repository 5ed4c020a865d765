//! What the posture of the process says about a route.

use super::PrincipalType;

/// Of `Policy`: what holds on a route beside what is attached to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posture {
    /// Names of the compliance modes that the route is in; sorted.
    pub compliance: Vec<String>,
    /// Whether any mode is declared: only then may a rule ask.
    pub sets_compliance: bool,
    /// The types of principal that exist; sorted.
    pub identity_types: Vec<PrincipalType>,
}
