//! What a caller can do about a refusal.

use std::time::Duration;

use crate::Code;
use crate::decode::{At, Fields, spec, tagged};
use crate::values::ChallengeWord;

tagged! {
    /// What a caller is told to do about a `Forbid`. It is told only where nothing else stands in the way: without the rule the request
    /// would be permitted. Else the answer is the plain 403 of any other refusal.
    pub enum OnDeny {
        /// Authenticate more strongly or more recently: 401 `insufficient_user_authentication` (RFC 9470).
        StepUp(StepUp),
        /// Get a token with these scopes: 403 `insufficient_scope` (RFC 6750 §3.1).
        Scope(MoreScopes),
    }
}

spec! {
    /// A stronger or more recent authentication.
    pub struct StepUp {
        /// What the `acr` of the next token should be, any of them.
        [E] acr_values: Option<At<Vec<At<ChallengeWord>>>>,
        /// Longest time since the authentication.
        [E] max_age: Option<At<Duration>>,
    }
    check check_step_up
}

fn check_step_up(step: &StepUp, fields: &mut Fields<'_, '_, '_>) {
    let words = step.acr_values.as_ref().map_or(0, |words| words.len());
    if words == 0 && step.max_age.is_none() {
        let position = fields.position.clone();
        let help = "write `acrValues` or `maxAge`: what would the caller have to do?";
        fields.cx.error(Code(2), &position, "`StepUp` asks for nothing", help);
    }
}

spec! {
    /// Scopes of the next token.
    pub struct MoreScopes {
        /// All scopes that the operation needs.
        [E] scopes: At<Vec<At<ChallengeWord>>>,
    }
}
