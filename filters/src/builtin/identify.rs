//! Settles who asks, from the bearer token and the peer's certificate.
//!
//! A credential that is presented and does not verify refuses, even if another does.
//!
//! What decisions need of a principal is made once: it is kept with a cached token, or for callers without one by their
//! certificate, and serves only a principal that is equal in all it says.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use postern_config::{Identity, PrincipalType, Provider, ProviderKind, SenderConstraint, Waived};
use quick_cache::sync::Cache;

use super::Browser;
use crate::authz::{Authorizer, PreparedPrincipal};
use crate::challenge;
use crate::token::{self, ProofProblem, Recognised, TokenError, VerifiedToken, proof_nonce};
use crate::{Context, Flow, Given, Principal, Refusal, RequestView, Verdict};

pub(crate) struct Identify {
    identity: Identity,
    recognised: Recognised,
    authorizer: Arc<Authorizer>,
    /// Workloads that came without a token, by the SHA-256 of their certificate.
    workloads: Cache<[u8; 32], Arc<PreparedPrincipal>>,
    /// Who comes without a credential, where the route is open, by the tenant of what is asked.
    anonymous: HashMap<String, Nobody>,
    /// That of the route; empty where it is none's.
    tenant: String,
    /// The types of principal that exist.
    types: Vec<PrincipalType>,
    /// A provider of the route accepts tokens with proofs only.
    wants_proofs: bool,
    /// Of those, one wants a nonce of ours in them.
    wants_nonces: bool,
    browser: Option<Arc<Browser>>,
}

struct Nobody {
    principal: Arc<Principal>,
    prepared: OnceLock<Arc<PreparedPrincipal>>,
}

/// Tells a client what its next proofs have to hold (RFC 9449 §8).
const NONCE: &str = "dpop-nonce";

/// Workloads remembered per route.
const WORKLOADS: usize = 1024;

impl Identify {
    pub(crate) const GUARD: &str = "identify";

    /// `tenant` is that of the route, empty where each request says it: who is anonymous is of no other. `types` are those that exist.
    pub(crate) fn new(
        identity: Identity,
        recognised: Recognised,
        authorizer: Arc<Authorizer>,
        tenant: &str,
        types: &[PrincipalType],
    ) -> Self {
        let tenants = identity.providers.iter().flat_map(|provider| &provider.tenants).map(String::as_str);
        let nobody = |tenant: &str| {
            let principal = Arc::new(Principal::anonymous(tenant));
            (tenant.to_owned(), Nobody { principal, prepared: OnceLock::new() })
        };
        let anonymous = tenants.chain([tenant]).filter(|_| identity.is_open).map(nobody).collect();
        let (workloads, tenant, types) = (Cache::new(WORKLOADS), tenant.to_owned(), types.to_vec());
        let proofs = |provider: &Provider| match &provider.kind {
            ProviderKind::Jwt(jwt) => Some(jwt.sender_constraint),
            ProviderKind::Introspection(asked) => Some(asked.sender_constraint),
            _ => None,
        };
        let constraints = || identity.providers.iter().filter_map(proofs);
        let wants_proofs = constraints().any(SenderConstraint::is_of_proofs);
        let wants_nonces = constraints().any(|constraint| constraint == SenderConstraint::DpopNonce);
        Self {
            identity,
            recognised,
            authorizer,
            workloads,
            anonymous,
            tenant,
            types,
            wants_proofs,
            wants_nonces,
            browser: None,
        }
    }

    /// Has the sessions of browsers read.
    pub(crate) fn with_browser(mut self, browser: Option<Arc<Browser>>) -> Self {
        self.browser = browser;
        self
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        let given = cx.take_given();
        let verified = self.presented(req, cx, given.as_ref());
        match verified.as_ref().err().and_then(TokenError::need) {
            // What was asked for is not asked for again.
            Some(need) if given.is_none() => Ok(Flow::Wait(need)),
            _ => self.conclude(verified, req, cx),
        }
    }

    /// What the request brings, verified.
    fn presented(
        &self,
        req: &RequestView<'_>,
        cx: &mut Context,
        given: Option<&Given>,
    ) -> Result<Option<Arc<VerifiedToken>>, TokenError> {
        let session = match &self.browser {
            Some(browser) => browser.session(req, cx)?,
            None => None,
        };
        match (self.recognised.authenticate(req, cx.now(), cx.is_recalled(), given)?, session) {
            (Some(_), Some(_)) => Err(TokenError::SessionAndToken),
            (token, session) => {
                if token.as_ref().is_some_and(|token| token.wants_nonce()) && !cx.is_recalled() {
                    proof_nonce::current(cx.now()).into_iter().for_each(|nonce| cx.add_header(NONCE, nonce));
                }
                Ok(token.or(session))
            }
        }
    }

    /// As [`Self::check`], with a token that is taken for verified. Only explanations ask so: [`crate::explain`].
    pub(crate) fn assume(
        &self,
        token: Result<Option<Arc<VerifiedToken>>, TokenError>,
        req: &RequestView<'_>,
        cx: &mut Context,
    ) -> Verdict {
        let bound = token.and_then(|token| {
            token.as_ref().map_or(Ok(()), |token| token.check_assumed_binding(leaf(req))).map(|()| token)
        });
        self.conclude(bound, req, cx)
    }

    fn conclude(
        &self,
        verified: Result<Option<Arc<VerifiedToken>>, TokenError>,
        req: &RequestView<'_>,
        cx: &mut Context,
    ) -> Verdict {
        match verified.and_then(|verified| self.identify(verified, req, cx)) {
            Ok((principal, prepared)) => {
                cx.set_principal(principal, Some(prepared));
                Ok(Flow::Continue)
            }
            Err(error) => Ok(Flow::Refuse(self.challenged(&error, cx.now()))),
        }
    }

    /// Tells a client whose proof is wrong, or that has to bring one, so (RFC 9449 §7.1).
    fn challenged(&self, error: &TokenError, now: i64) -> Refusal {
        let mut refusal = Refusal::new(error.reason(), error.to_string());
        let problem = match error {
            TokenError::Proof(ProofProblem::Nonce) => Some("use_dpop_nonce"),
            TokenError::Proof(_) => Some("invalid_dpop_proof"),
            TokenError::ProofMissing | TokenError::OtherKey | TokenError::ProofForNothing => Some("invalid_token"),
            TokenError::Missing if self.wants_proofs => None,
            _ => return refusal,
        };
        if refusal.reason.status() == 401 {
            refusal.headers.push(challenge::of_proof(problem));
            if self.wants_nonces {
                refusal.headers.extend(proof_nonce::current(now).map(|nonce| (NONCE, nonce)));
            }
        }
        refusal
    }

    fn identify(
        &self,
        verified: Option<Arc<VerifiedToken>>,
        req: &RequestView<'_>,
        cx: &mut Context,
    ) -> Result<(Arc<Principal>, Arc<PreparedPrincipal>), TokenError> {
        let waived = verified.as_deref().and_then(|token| self.unbound(token));
        if let Some(over) = waived.filter(|waived| waived.has_ended(cx.now_ms())) {
            return Err(TokenError::NoLongerUnbound(over.ended()));
        }
        let principal = match (token::identify(&self.identity, verified.as_deref(), req.peer), self.nobody_of(cx)) {
            // Nothing was presented at all; whatever was presented has to be accepted.
            (Err(TokenError::Missing), Some(nobody)) => return Ok((nobody.principal.clone(), self.nobody(nobody, cx))),
            (identified, _) => identified?,
        };
        let people = std::iter::once(&*principal).chain(principal.on_behalf_of.as_deref());
        if let Some(other) = people.map(|who| who.kind).find(|kind| !self.types.contains(kind)) {
            return Err(TokenError::IdentityType(other.as_str()));
        }
        let prepared = self.prepared(verified.as_deref(), leaf(req), &principal, cx.now_ms());
        if let Some(waived) = waived {
            cx.note_exception(waived);
        }
        Ok((principal, prepared))
    }

    /// The exception without which a token would have to be bound to its sender.
    fn unbound(&self, token: &VerifiedToken) -> Option<&Waived> {
        let of_token = |provider: &&Provider| provider.name == token.principal.authn.provider;
        let provider = self.identity.providers.iter().find(of_token)?;
        provider.kind.unbound().filter(|_| !token.principal.authn.sender_bound)
    }

    /// Who comes without a credential and asks for a resource of this tenant; nobody where the route is not open.
    fn nobody_of(&self, cx: &Context) -> Option<&Nobody> {
        self.anonymous.get(cx.tenant().map_or(self.tenant.as_str(), |tenant| tenant))
    }

    fn nobody(&self, nobody: &Nobody, cx: &Context) -> Arc<PreparedPrincipal> {
        let fresh = || Arc::new(self.authorizer.prepare(&nobody.principal, cx.now_ms()));
        let kept = nobody.prepared.get_or_init(fresh);
        // A binding of everybody may have ended since.
        if kept.is_valid(cx.now_ms()) { kept.clone() } else { fresh() }
    }

    fn prepared(
        &self,
        token: Option<&VerifiedToken>,
        leaf: Option<&[u8; 32]>,
        who: &Arc<Principal>,
        now_ms: i64,
    ) -> Arc<PreparedPrincipal> {
        match (token, leaf) {
            (Some(token), _) => self.of_token(token, who, now_ms),
            (None, Some(leaf)) => self.of_workload(leaf, who, now_ms),
            (None, None) => Arc::new(self.authorizer.prepare(who, now_ms)),
        }
    }

    /// The slot holds whoever came first with the token, so it serves only that principal.
    fn of_token(&self, token: &VerifiedToken, who: &Arc<Principal>, now_ms: i64) -> Arc<PreparedPrincipal> {
        let fresh = || Arc::new(self.authorizer.prepare(who, now_ms));
        let kept = token.prepared.get_or_init(|| fresh()).clone();
        match kept.downcast::<PreparedPrincipal>() {
            Ok(kept) if serves(&kept, who, now_ms) => kept,
            _ => fresh(),
        }
    }

    fn of_workload(&self, leaf: &[u8; 32], who: &Arc<Principal>, now_ms: i64) -> Arc<PreparedPrincipal> {
        if let Some(kept) = self.workloads.get(leaf).filter(|kept| serves(kept, who, now_ms)) {
            return kept;
        }
        let fresh = Arc::new(self.authorizer.prepare(who, now_ms));
        self.workloads.insert(*leaf, Arc::clone(&fresh));
        fresh
    }
}

/// The digest of the client's certificate.
fn leaf<'r>(req: &RequestView<'r>) -> Option<&'r [u8; 32]> {
    req.peer.and_then(|peer| peer.leaf_sha256.as_ref())
}

/// Whether `kept` was made of all that `who` says, and its roles are still those of `now_ms`.
fn serves(kept: &PreparedPrincipal, who: &Arc<Principal>, now_ms: i64) -> bool {
    **kept.principal() == **who && kept.is_valid(now_ms)
}

impl fmt::Debug for Identify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identify").field("identity", &self.identity).field("workloads", &self.workloads.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use postern_config::{Binding, PrincipalType, Role, RuleOrigin, Snapshot, Subject, SubjectKind};
    use serde_json::json;

    use super::*;
    use crate::filter::Filter;
    use crate::testing::{AGENT, Asked, House, NOW, chat, compiled, context, site, svid};
    use crate::{Chain, Reason};

    fn filter(chain: &Chain) -> &Identify {
        let found = chain.steps.iter().find_map(|step| match &step.filter {
            Filter::Identify(identify) => Some(&**identify),
            _ => None,
        });
        found.unwrap()
    }

    fn identified(identify: &Identify, asked: &Asked, cx: &mut Context) -> Result<Arc<Principal>, Reason> {
        match identify.check(&asked.view(), cx).unwrap() {
            Flow::Refuse(refusal) => Err(refusal.reason),
            Flow::Wait(need) => panic!("it asks for {need:?}"),
            Flow::Continue => {
                let principal = cx.principal().unwrap().clone();
                assert_eq!(cx.prepared().unwrap().principal(), &principal, "decisions are about whoever asks");
                Ok(principal)
            }
        }
    }

    #[test]
    fn one_credential_that_does_not_verify_refuses_whatever_else_is_presented() {
        let house = House::new();
        let chains = compiled(&site(&house, "openai", true));
        let identify = filter(chains.of("r").unwrap());
        let (good, stale) = (house.token(json!({})), house.token(json!({"exp": NOW - 60})));
        let stolen = house.token(json!({"cnf": token::mint::bound_to(&[9; 32])}));
        let stranger = "spiffe://example.com/ns/globex/sa/bot";
        let user = Ok((PrincipalType::User, false));
        for (case, asked, want) in [
            ("nothing", chat(), Err(Reason::CredentialMissing)),
            ("a token", chat().bearer(&good), user),
            ("an SVID", chat().svid(AGENT), Ok((PrincipalType::Agent, false))),
            ("both", chat().svid(AGENT).bearer(&good), Ok((PrincipalType::Agent, true))),
            ("a stale token", chat().bearer(&stale), Err(Reason::CredentialInvalid)),
            ("an SVID and a stale token", chat().svid(AGENT).bearer(&stale), Err(Reason::CredentialInvalid)),
            ("a token and another tenant's SVID", chat().svid(stranger).bearer(&good), Err(Reason::CredentialInvalid)),
            ("another certificate's token", chat().bearer(&stolen), Err(Reason::CredentialInvalid)),
            ("two tokens", chat().bearer(&good).bearer(&good), Err(Reason::CredentialInvalid)),
            ("another scheme", chat().head("authorization: Basic YTpi"), Err(Reason::CredentialInvalid)),
            ("an empty header and an SVID", chat().svid(AGENT).head("authorization:"), Err(Reason::CredentialInvalid)),
        ] {
            let got = identified(identify, &asked, &mut context());
            assert_eq!(got.map(|who| (who.kind, who.on_behalf_of.is_some())), want, "{case}");
        }
    }

    #[test]
    fn what_is_kept_with_a_token_serves_nobody_else_who_presents_it() {
        let house = House::new();
        let chains = compiled(&site(&house, "openai", true));
        let identify = filter(chains.of("r").unwrap());
        let token = house.token(json!({}));
        for _ in 0..2 {
            let user = identified(identify, &chat().bearer(&token), &mut context()).unwrap();
            let agent = identified(identify, &chat().svid(AGENT).bearer(&token), &mut context()).unwrap();
            assert_eq!((user.kind, agent.kind), (PrincipalType::User, PrincipalType::Agent));
            assert_eq!(agent.on_behalf_of.as_ref(), Some(&user));
        }
    }

    #[test]
    fn a_workload_without_a_token_is_prepared_once_per_certificate() {
        let house = House::new();
        let chains = compiled(&site(&house, "openai", true));
        let identify = filter(chains.of("r").unwrap());
        let prepared = |id: &str, certificate: u8| {
            let mut asked = chat();
            asked.peer = Some(svid(id, certificate));
            let mut cx = context();
            identified(identify, &asked, &mut cx).unwrap();
            cx.prepared().unwrap().clone()
        };
        let first = prepared(AGENT, 1);
        assert!(Arc::ptr_eq(&first, &prepared(AGENT, 1)));
        assert!(!Arc::ptr_eq(&first, &prepared(AGENT, 2)));
        let other = prepared("spiffe://example.com/ns/acme/sa/other", 1);
        assert_eq!(other.principal().subject, "spiffe://example.com/ns/acme/sa/other");
    }

    /// The agent holds a role until 100 seconds from now.
    fn with_role(mut snapshot: Snapshot) -> Snapshot {
        let authz = &mut snapshot.routes[0].policy.authz;
        let position = postern_config::Position { file: "test.yaml".into(), line: 1, column: 1 };
        let origin = RuleOrigin { position, pointer: String::new(), manifest: "RBACPolicy/default/r".to_owned() };
        authz.roles = vec![Role { name: "asker".to_owned(), includes: Vec::new(), permissions: Vec::new(), origin }];
        let kind = SubjectKind::Principal(PrincipalType::Agent);
        let subjects = vec![Subject { kind, name: AGENT.to_owned(), issuer: None }];
        let (name, role) = ("bot".to_owned(), "asker".to_owned());
        authz.bindings = vec![Binding { name, role, subjects, tenant: None, until: Some(NOW + 100) }];
        snapshot
    }

    #[test]
    fn a_role_that_has_ended_is_not_kept() {
        let house = House::new();
        let chains = compiled(&with_role(site(&house, "openai", true)));
        let identify = filter(chains.of("r").unwrap());
        let at = |seconds: i64| {
            let mut cx = Context::new((NOW + seconds) * 1000, std::time::Duration::ZERO);
            identified(identify, &chat().svid(AGENT), &mut cx).unwrap();
            cx.prepared().unwrap().clone()
        };
        let held = at(0);
        assert!(Arc::ptr_eq(&held, &at(99)));
        let ended = at(101);
        assert!(!Arc::ptr_eq(&held, &ended) && Arc::ptr_eq(&ended, &at(102)));
    }
}
