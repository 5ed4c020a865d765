//! Tokens that one party uses for another (RFC 8693 §4.1, §4.4): who acts, who acted before, and who may.

use std::sync::Arc;

use postern_config::PrincipalType;
use serde_json::Value;

use super::claims::{self, Claims};
use super::{Excerpt, TokenError};
use crate::Principal;

/// Longest chain of actors, the one who acts included.
const MAX_ACTORS: usize = 8;

const MAY_ACT: &str = "may_act";

/// What a token says of those who use it.
pub(super) struct Delegation {
    /// `sub` of the outermost actor, which alone decides.
    pub(super) actor: Option<String>,
    /// Who that makes of the token of a User.
    pub(super) delegate: Option<Arc<Principal>>,
    pub(super) chain: Chain,
}

/// What does not decide who acts, but is recorded, or limits it.
#[derive(Debug, Clone, Default)]
pub(super) struct Chain {
    /// Those who acted before, the latest first.
    prior: Vec<String>,
    may_act: Option<Party>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Party {
    subject: String,
    issuer: Option<String>,
}

/// What `claims`, which are about `principal`, say of actors in the claim that is called `claim`, and in `may_act`.
pub(super) fn read(claims: &Claims, claim: &str, principal: &Arc<Principal>) -> Result<Delegation, TokenError> {
    let actors = actors(claims, claim)?;
    let may_act = claims.get(MAY_ACT).map(|value| party(MAY_ACT, value)).transpose()?;
    let mut subjects = actors.iter().map(|actor| actor.subject.clone());
    let (actor, prior) = (subjects.next(), subjects.collect());
    let chain = Chain { prior, may_act };
    if let Some(outermost) = actors.first() {
        // A name of another issuer is not a name of this one's.
        if outermost.issuer.as_ref().is_some_and(|issuer| *issuer != principal.issuer) {
            return Err(TokenError::claim(claim, "names an actor of another issuer"));
        }
        chain.check(&outermost.subject, &principal.issuer)?;
    }
    let delegate = match (principal.kind, &actor) {
        (_, None) => None,
        (PrincipalType::User, Some(actor)) => delegate(principal, actor, &chain),
        // Only an Agent for a User can be told in a principal; passing the subject would hide the actor.
        (_, Some(actor)) => return Err(TokenError::Actor { actor: Excerpt::of(actor) }),
    };
    Ok(Delegation { actor, delegate, chain })
}

impl Chain {
    /// Whether the actor of this issuer is one that the token lets act. Where it says nothing of that, it lets whom it names.
    ///
    /// # Errors
    /// [`TokenError::MayNotAct`].
    pub(super) fn check(&self, subject: &str, issuer: &str) -> Result<(), TokenError> {
        let named = |party: &Party| party.subject == subject && party.issuer.as_ref().is_none_or(|own| own == issuer);
        if self.may_act.as_ref().is_none_or(named) {
            return Ok(());
        }
        Err(TokenError::MayNotAct { actor: Excerpt::of(subject) })
    }

    /// Who acted before whoever acts now with a token whose outermost actor is `named`.
    pub(super) fn before(&self, acts: &str, named: Option<&str>) -> Vec<String> {
        let other = named.filter(|named| *named != acts).map(str::to_owned);
        other.into_iter().chain(self.prior.iter().cloned()).collect()
    }
}

/// The actors of a token, the outermost first; none where nobody acts for the subject.
fn actors(claims: &Claims, claim: &str) -> Result<Vec<Party>, TokenError> {
    let mut found = Vec::new();
    let mut next = if claim.is_empty() { None } else { claims.get(claim) };
    while let Some(value) = next {
        if found.len() >= MAX_ACTORS {
            return Err(TokenError::claim(claim, "names more than 8 actors"));
        }
        found.push(party(claim, value)?);
        next = value.get(claim);
    }
    Ok(found)
}

/// `sub`, and `iss` where it is there.
fn party(claim: &str, value: &Value) -> Result<Party, TokenError> {
    let sub = value.as_object().and_then(|members| members.get("sub"));
    let sub = sub.ok_or_else(|| TokenError::claim(claim, "is not an object with `sub`"))?;
    let issuer = value.get("iss").map(|issuer| claims::text(claim, issuer).map(str::to_owned)).transpose()?;
    Ok(Party { subject: claims::text(claim, sub)?.to_owned(), issuer })
}

/// The principal of a User's token that names an actor: the actor as an Agent on behalf of the User. To pass it as the
/// User would hide who acts. `None` where the actor is a SPIFFE ID, which only its SVID can prove.
pub(super) fn delegate(user: &Arc<Principal>, actor: &str, chain: &Chain) -> Option<Arc<Principal>> {
    let spiffe = actor.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"));
    (!spiffe).then(|| {
        let mut authn = user.authn.clone();
        authn.prior_actors = chain.before(actor, None);
        Arc::new(Principal {
            kind: PrincipalType::Agent,
            issuer: user.issuer.clone(),
            subject: actor.to_owned(),
            tenant: user.tenant.clone(),
            // Groups, scopes and tags are the User's; the actor has none that the issuer told us of.
            groups: Vec::new(),
            scopes: user.scopes.clone(),
            tags: Vec::new(),
            authn,
            on_behalf_of: Some(Arc::clone(user)),
        })
    })
}
