//! Who is assumed to ask: from `user/mia` to the credentials that a connection would carry.

use std::sync::Arc;

use postern_config::{ClientAuth, Listener, PrincipalType, Provider, ProviderKind, Route, TenantSource};
use postern_filters::SpiffeSubject;
use postern_filters::token::{Claimed, Excerpt, NamedCertificate, PeerFacts, TokenError, VerifiedToken};

use super::Misasked;

/// Seconds that an assumed credential is good for.
const GOOD_FOR: i64 = 3600;
/// Digest of the client certificate that is assumed.
const LEAF: [u8; 32] = [1; 32];

/// Who asks, as it was written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    pub(crate) who: Who,
    pub(crate) provider: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) tags: Vec<(String, Vec<String>)>,
    pub(crate) acr: Option<String>,
    pub(crate) amr: Vec<String>,
    /// Seconds since it authenticated.
    pub(crate) age: i64,
    /// Whether the credential is bound to the client's certificate. As the provider demands, where nothing is said.
    pub(crate) bound: Option<bool>,
    /// Name of the User.
    pub(crate) on_behalf_of: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Who {
    #[default]
    Anonymous,
    Named(PrincipalType, String),
}

impl std::str::FromStr for Who {
    type Err = String;

    /// `user/mia`, `agent/spiffe://…`, `serviceaccount/…`, `component/…` or `anonymous`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "anonymous" {
            return Ok(Self::Anonymous);
        }
        let (kind, name) = text.split_once('/').filter(|(_, name)| !name.is_empty()).ok_or_else(|| {
            format!("`{text}` names nobody; write `user/NAME`, `agent/NAME`, `serviceaccount/NAME`, `component/NAME` or `anonymous`")
        })?;
        let kind = match kind {
            "user" => PrincipalType::User,
            "agent" => PrincipalType::Agent,
            "serviceaccount" => PrincipalType::ServiceAccount,
            "component" => PrincipalType::Component,
            other => {
                return Err(format!(
                    "`{other}` is no type of principal; write user, agent, serviceaccount or component"
                ));
            }
        };
        Ok(Self::Named(kind, name.to_owned()))
    }
}

/// What the connection and the request would carry.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) token: Result<Option<Arc<VerifiedToken>>, TokenError>,
    pub(super) peer: Option<PeerFacts>,
    /// What was chosen for what was left out.
    pub(super) assumed: Vec<String>,
}

/// The credentials of `caller` on this route.
///
/// # Errors
/// Where what was written could be two callers, or none.
pub(super) fn credentials(
    caller: &Caller,
    route: &Route,
    listener: &Listener,
    at_ms: i64,
) -> Result<Credentials, Misasked> {
    let now = at_ms.div_euclid(1000);
    let mut made = Credentials { token: Ok(None), peer: None, assumed: Vec::new() };
    let workload = listener.outbound.as_ref().and_then(|outbound| outbound.principal.clone());
    if let Some(id) = workload {
        made.assumed.push(format!("the listener vouches for the workload `{id}`"));
        let subject = SpiffeSubject { id, not_before: now, not_after: now.saturating_add(GOOD_FOR) };
        made.peer = Some(PeerFacts {
            spiffe: Some(subject),
            named: None,
            leaf_sha256: None,
            not_after: now.saturating_add(GOOD_FOR),
        });
    }
    let (kind, name) = match &caller.who {
        Who::Anonymous => {
            made.present(listener, None, false, now);
            return Ok(made);
        }
        Who::Named(kind, name) => (*kind, name.as_str()),
    };
    let spiffe = name.starts_with("spiffe://").then(|| name.to_owned());
    let token = match (&spiffe, &caller.on_behalf_of) {
        (Some(_), None) => None,
        (Some(_), Some(user)) => Some((PrincipalType::User, user.as_str(), None)),
        (None, Some(user)) if kind == PrincipalType::Agent => Some((PrincipalType::User, user.as_str(), Some(name))),
        (None, Some(_)) => return Err(Misasked("only an Agent acts on behalf of a User".to_owned())),
        (None, None) => Some((kind, name, None)),
    };
    let Some((kind, subject, actor)) = token else {
        if !(caller.groups.is_empty() && caller.scopes.is_empty() && caller.tags.is_empty()) {
            let what = "an SVID says no groups, scopes or tags; they are of a token, which `--on-behalf-of` brings";
            return Err(Misasked(what.to_owned()));
        }
        made.present(listener, spiffe, false, now.saturating_sub(caller.age));
        return Ok(made);
    };
    let certified = |provider: &&Provider| {
        provider.principal == kind
            && matches!(provider.kind, ProviderKind::Mtls(_))
            && caller.provider.as_ref().is_none_or(|name| *name == provider.name)
    };
    let tokens = |provider: &&Provider| provider.principal == kind && !provider.kind.is_certificate();
    let providers = &route.policy.identity.providers;
    if actor.is_none()
        && providers.iter().any(|p| certified(&p))
        && (caller.provider.is_some() || !providers.iter().any(|p| tokens(&p)))
    {
        let not_after = now.saturating_add(GOOD_FOR);
        let named =
            NamedCertificate { name: Some(subject.to_owned()), not_before: now.saturating_sub(caller.age), not_after };
        made.assumed.push("the client presents a certificate that is believed and has this name".to_owned());
        if listener.tls.is_some() {
            made.peer = Some(PeerFacts { spiffe: None, named: Some(named), leaf_sha256: Some(LEAF), not_after });
        }
        return Ok(made);
    }
    let provider = match provider(caller, route, kind, subject)? {
        Ok(provider) => provider,
        Err(error) => {
            made.present(listener, spiffe, false, now);
            made.token = Err(error);
            return Ok(made);
        }
    };
    let bound = caller.bound.unwrap_or_else(|| VerifiedToken::must_be_bound(provider));
    if caller.bound.is_none() && bound {
        made.assumed.push(format!("the credential is bound to its sender, as provider `{}` demands", provider.name));
    }
    let claimed = Claimed {
        subject: subject.to_owned(),
        tenant: tenant(caller, provider, route, &mut made.assumed)?,
        groups: caller.groups.clone(),
        scopes: caller.scopes.clone(),
        tags: caller.tags.clone(),
        acr: caller.acr.clone().unwrap_or_default(),
        amr: caller.amr.clone(),
        authenticated_at: now.saturating_sub(caller.age),
        expires_at: now.saturating_add(GOOD_FOR),
        bound_to: bound.then_some(LEAF),
        actor: actor.map(str::to_owned),
    };
    made.assumed.push("the credential is taken for verified: signature, audience, type and times".to_owned());
    let by_key = match &provider.kind {
        ProviderKind::Jwt(jwt) => jwt.sender_constraint.is_of_proofs(),
        ProviderKind::Introspection(asked) => asked.sender_constraint.is_of_proofs(),
        _ => false,
    };
    made.present(listener, spiffe, bound && !by_key, now.saturating_sub(caller.age));
    made.token = VerifiedToken::assumed(provider, claimed).map(|token| Some(Arc::new(token)));
    Ok(made)
}

impl Credentials {
    /// The certificate that the client presents, where it has to or says who it is by one.
    fn present(&mut self, listener: &Listener, spiffe: Option<String>, bound: bool, since: i64) {
        let Some(tls) = &listener.tls else { return };
        let required = tls.client_auth == ClientAuth::Required;
        if spiffe.is_none() && !bound && !required {
            return;
        }
        if spiffe.is_none() {
            self.assumed.push("the client presents a certificate that is believed and names no workload".to_owned());
        } else {
            self.assumed.push("the client presents an SVID that is believed".to_owned());
        }
        let not_after = since.saturating_add(GOOD_FOR);
        let subject = spiffe.map(|id| SpiffeSubject { id, not_before: since, not_after });
        let named = subject.is_none().then_some(NamedCertificate { name: None, not_before: since, not_after });
        self.peer = Some(PeerFacts { spiffe: subject, named, leaf_sha256: Some(LEAF), not_after });
    }
}

/// The provider that a credential of this caller would be of, or why there is none.
fn provider<'r>(
    caller: &Caller,
    route: &'r Route,
    kind: PrincipalType,
    subject: &str,
) -> Result<Result<&'r Provider, TokenError>, Misasked> {
    let identity = &route.policy.identity;
    let by_token = |provider: &&Provider| !provider.kind.is_certificate();
    if let Some(name) = &caller.provider {
        let found = identity.providers.iter().filter(by_token).find(|provider| provider.name == *name);
        let none =
            || Misasked(format!("route `{}` has no provider `{name}` that takes credentials of a request", route.name));
        return found.map(Ok).ok_or_else(none);
    }
    let issued =
        |provider: &&Provider| caller.issuer.as_deref().is_none_or(|wanted| provider.kind.issuer() == Some(wanted));
    let of_kind: Vec<&Provider> =
        identity.providers.iter().filter(by_token).filter(|provider| provider.principal == kind).collect();
    if of_kind.is_empty() {
        let makes: Vec<String> = identity
            .providers
            .iter()
            .map(|provider| format!("`{}` makes {}", provider.name, provider.principal.as_str()))
            .collect();
        let makes = if makes.is_empty() { "it has no provider".to_owned() } else { makes.join(", ") };
        let spiffe =
            identity.providers.iter().any(|p| p.principal == kind && matches!(p.kind, ProviderKind::Spiffe(_)));
        let way = if spiffe { "; write its SPIFFE ID, `spiffe://…`" } else { "" };
        let kind = kind.as_str();
        return Err(Misasked(format!("nobody comes to route `{}` as {kind} `{subject}`: {makes}{way}", route.name)));
    }
    let found: Vec<&Provider> = of_kind.into_iter().filter(issued).collect();
    let accepted = |provider: &&&Provider| {
        let index = identity.providers.iter().position(|other| other.name == provider.name);
        identity.demands.iter().any(|demand| index.is_some_and(|index| demand.providers.contains(&index)))
    };
    match found.as_slice() {
        [] => Ok(Err(TokenError::UnknownIssuer(Excerpt::of(caller.issuer.as_deref().unwrap_or_default())))),
        [only] => Ok(Ok(only)),
        several => match several.iter().filter(accepted).collect::<Vec<_>>().as_slice() {
            [only] => Ok(Ok(only)),
            _ => {
                let names: Vec<&str> = several.iter().map(|provider| provider.name.as_str()).collect();
                Err(Misasked(format!("several providers could say so: name one of {} as provider", names.join(", "))))
            }
        },
    }
}

/// The tenant that was written, or the one there can be; the route's where there are several.
fn tenant(caller: &Caller, provider: &Provider, route: &Route, assumed: &mut Vec<String>) -> Result<String, Misasked> {
    if let Some(tenant) = &caller.tenant {
        return Ok(tenant.clone());
    }
    let chosen = match (&provider.tenant, provider.tenants.as_slice(), &route.tenant) {
        (TenantSource::Value(value), ..) => return Ok(value.clone()),
        (_, [only], _) => only,
        (_, several, Some(own)) if several.contains(own) => own,
        _ => {
            let names = provider.tenants.join(", ");
            return Err(Misasked(format!("say of which tenant: provider `{}` asserts {names}", provider.name)));
        }
    };
    assumed.push(format!("the caller is of tenant `{chosen}`"));
    Ok(chosen.clone())
}
