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

/// What one manifest says about models.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRules {
    /// `WorkloadSecurityPolicy/default/agents`.
    pub owner: String,
    /// `*` is any run of characters.
    pub allow: Vec<String>,
    pub max_output_tokens: Option<u64>,
    pub max_input_tokens: Option<u64>,
    /// Names of fields inside each other, and what may be there.
    pub params: Vec<(Vec<String>, ParamBounds)>,
}

/// What a parameter may be.
#[derive(Debug, Clone, PartialEq)]
pub enum ParamBounds {
    Is(String),
    Between(Option<f64>, Option<f64>),
}
