//! How strongly a person must have proven who they are.

use std::time::Duration;

use crate::decode::{At, Fields, spec};
use crate::values::ChallengeWord;
use crate::{Code, PrincipalType};

spec! {
    /// How strongly whoever asks must have proven who they are, on every request. Where an Agent acts for a User, that User is meant. A
    /// caller who has not is told how to step up (401 `insufficient_user_authentication`, RFC 9470). What a credential does not say it does
    /// not prove: a token without `acr`, `amr` or `auth_time` meets no demand on it, and neither does an SVID, which has none of them.
    pub struct AssuranceDemand {
        /// Types of principal of whom it is demanded. Absent: of all, so that workloads without a User are refused too.
        [E] principals: Option<At<Vec<At<PrincipalType>>>>,
        /// `acr` must be one of them.
        [E] acr_values: Option<At<Vec<At<ChallengeWord>>>>,
        /// Methods that must all have been used (`amr`, RFC 8176).
        [E] amr: Option<At<Vec<At<ChallengeWord>>>>,
        /// Longest time since the authentication itself (`auth_time`).
        [E] max_age: Option<At<Duration>>,
    }
    check check_assurance
}

fn check_assurance(demand: &AssuranceDemand, fields: &mut Fields<'_, '_, '_>) {
    if demand.acr_values.is_none() && demand.amr.is_none() && demand.max_age.is_none() {
        let position = fields.position.clone();
        let help = "write `acrValues`, `amr` or `maxAge`, or remove it";
        fields.cx.shape(&position, "`assurance` demands nothing", help);
    }
    let empty = [
        demand.principals.as_ref().filter(|list| list.is_empty()).map(|list| (&list.position, &list.pointer)),
        demand.acr_values.as_ref().filter(|list| list.is_empty()).map(|list| (&list.position, &list.pointer)),
        demand.amr.as_ref().filter(|list| list.is_empty()).map(|list| (&list.position, &list.pointer)),
    ];
    for (position, pointer) in empty.into_iter().flatten() {
        let help = "name at least one, or remove the field";
        fields.cx.report.error(Code(2), position, pointer.clone(), "the list is empty", help);
    }
    if let Some(age) = demand.max_age.as_ref().filter(|age| age.is_zero()) {
        let help = "use an age such as `15m`";
        age.error(fields.cx.report, Code(25), "`maxAge` is 0, so nobody could pass", help);
    }
}
