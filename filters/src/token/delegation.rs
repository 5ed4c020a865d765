//! Tokens that one party uses for another: the actor claim (RFC 8693 §4.1).

use std::sync::Arc;

use postern_config::PrincipalType;
use serde_json::Value;

use super::claims::{self, Claims};
use super::{Excerpt, TokenError};
use crate::Principal;

/// The outermost actor of a token for `principal`, and who that makes of it where it is a User.
pub(super) fn read(
    claims: &Claims,
    claim: &str,
    principal: &Arc<Principal>,
) -> Result<(Option<String>, Option<Arc<Principal>>), TokenError> {
    let actor = actor(claims, claim)?;
    let delegate = match (principal.kind, &actor) {
        (_, None) => None,
        (PrincipalType::User, Some(actor)) => delegate(principal, actor),
        // Only an Agent for a User can be told in a principal; passing the subject would hide the actor.
        (_, Some(actor)) => return Err(TokenError::Actor { actor: Excerpt::of(actor) }),
    };
    Ok((actor, delegate))
}

/// `sub` of the outermost actor, which alone decides (RFC 8693 §4.1); `None` where nobody acts for the subject.
fn actor(claims: &Claims, claim: &str) -> Result<Option<String>, TokenError> {
    if claim.is_empty() {
        return Ok(None);
    }
    let Some(act) = claims.get(claim) else { return Ok(None) };
    let sub = act.as_object().and_then(|members| members.get("sub"));
    let sub: &Value = sub.ok_or_else(|| TokenError::claim(claim, "is not an object with `sub`"))?;
    claims::text(claim, sub).map(|sub| Some(sub.to_owned()))
}

/// The principal of a User's token that names an actor: the actor as an Agent on behalf of the User. To pass it as the
/// User would hide who acts. `None` where the actor is a SPIFFE ID, which only its SVID can prove.
pub(super) fn delegate(user: &Arc<Principal>, actor: &str) -> Option<Arc<Principal>> {
    let spiffe = actor.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"));
    (!spiffe).then(|| {
        Arc::new(Principal {
            kind: PrincipalType::Agent,
            issuer: user.issuer.clone(),
            subject: actor.to_owned(),
            tenant: user.tenant.clone(),
            // Groups, scopes and tags are the User's; the actor has none that the issuer told us of.
            groups: Vec::new(),
            scopes: user.scopes.clone(),
            tags: Vec::new(),
            authn: user.authn.clone(),
            on_behalf_of: Some(Arc::clone(user)),
        })
    })
}
