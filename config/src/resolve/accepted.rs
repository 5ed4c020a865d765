//! Whether anybody can be accepted: a demand that no caller could meet closes a route in silence, so it does not load.

use std::collections::BTreeMap;

use super::attach::{Attachments, Place, of};
use crate::bootstrap::RouteSpec;
use crate::decode::At;
use crate::values::Name;
use crate::{
    Anchor, Carried, ClientAuth, Code, Demand, Identity, Listener, PeerTrust, PrincipalType, Provider, ProviderKind,
    Report, Require, Route, SenderConstraint,
};

const PV_BLIND: Code = Code(25);

/// Which client certificates some listener believes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Certificates {
    /// X.509-SVIDs.
    svid: bool,
    /// Certificates with host names.
    other: bool,
}

impl Certificates {
    /// `None` where the listeners could not be resolved: then everything counts as possible.
    pub(super) fn of(listeners: Option<&[Listener]>) -> Self {
        let Some(listeners) = listeners else { return Self { svid: true, other: true } };
        // The workload behind an outbound listener is recognised as if it had shown an SVID.
        let named = listeners.iter().filter_map(|l| l.outbound.as_ref()).any(|outbound| outbound.principal.is_some());
        let asked = listeners.iter().filter_map(|listener| listener.tls.as_ref());
        let trusts: Vec<&PeerTrust> =
            asked.filter(|tls| tls.client_auth != ClientAuth::Off).map(|tls| &tls.trust).collect();
        let spiffe = |name: &String| name.starts_with("spiffe://");
        // The bundle of a trust domain vouches for no host name.
        let files = |trust: &PeerTrust| trust.anchors.iter().any(|anchor| matches!(anchor, Anchor::Pem(_)));
        Self {
            svid: named || trusts.iter().any(|trust| trust.names.iter().all(|list| list.iter().any(spiffe))),
            other: trusts.iter().any(|trust| files(trust) && trust.names.iter().all(|list| !list.iter().all(spiffe))),
        }
    }

    fn none(self) -> bool {
        !self.svid && !self.other
    }
}

/// Every route must be open to somebody, and every provider that a manifest accepts must be of use on one of its routes.
pub(super) fn check(
    attached: &Attachments<'_>,
    specs: &[At<RouteSpec>],
    routes: &[Option<Route>],
    certificates: Certificates,
    report: &mut Report,
) {
    let callers: Vec<Option<Callers<'_>>> =
        routes.iter().map(|route| route.as_ref().map(|route| Callers::of(route, certificates))).collect();
    let useless = useless_providers(attached, &callers, certificates, report);
    for (spec, callers) in specs.iter().zip(&callers) {
        let Some(callers) = callers else { continue };
        // Said already, at a better place.
        let named = callers.identity.demands.iter().flat_map(|demand| &demand.providers);
        let told = named.filter_map(|index| callers.identity.providers.get(*index)).any(|p| useless.contains(&p.name));
        if !told && !callers.identity.is_open && !callers.somebody(None) {
            let message = format!("no caller could be accepted on route `{}`", spec.name.as_str());
            let help = "one request carries at most one token and one certificate, of the route's tenant: let one pair meet \
                every attached `authentication`";
            spec.name.error(report, PV_BLIND, message, help);
        }
    }
}

/// Names of the providers that are accepted somewhere and can serve nobody there.
fn useless_providers(
    attached: &Attachments<'_>,
    callers: &[Option<Callers<'_>>],
    certificates: Certificates,
    report: &mut Report,
) -> Vec<String> {
    let mut useless = Vec::new();
    for manifest in attached.manifests() {
        let crate::manifest::Spec::ApiAccessPolicy(policy) = &manifest.spec else { continue };
        let Some(authentication) = &policy.authentication else { continue };
        let reached: Vec<usize> = attached
            .places(manifest)
            .flat_map(|place| match place {
                Place::Gateway => (0..callers.len()).collect(),
                Place::Route(index) => vec![index],
                _ => Vec::new(),
            })
            .collect();
        for name in &authentication.providers.value {
            let of_use = |index: &usize| match callers.get(*index) {
                Some(Some(callers)) => callers.somebody(Some(name.as_str())),
                // Its problems were reported.
                _ => true,
            };
            if !reached.iter().any(of_use) {
                refuse(name, reached.iter().find_map(|i| callers.get(*i)?.as_ref()), certificates, report);
                useless.push(name.as_str().to_owned());
            }
        }
    }
    useless
}

fn refuse(name: &At<Name>, callers: Option<&Callers<'_>>, certificates: Certificates, report: &mut Report) {
    let provider = callers.and_then(|callers| callers.identity.providers.iter().find(|p| p.name == name.as_str()));
    let needs_certificate = provider.is_some_and(needs_certificate);
    let (why, help) = if needs_certificate && certificates.none() {
        (
            "it needs a client certificate, and no listener asks for one",
            "attach a CertificatePolicy with `trust` and `clientAuth: Optional` or `Required` to a listener",
        )
    } else if provider.is_some_and(|p| matches!(p.kind, ProviderKind::Spiffe(_))) && !certificates.svid {
        ("no listener accepts an SVID", "add SPIFFE ID globs to `trust.names` of the CertificatePolicy")
    } else if provider.is_some_and(|p| matches!(p.kind, ProviderKind::Mtls(_))) && !certificates.other {
        ("listeners accept SVIDs only", "add host names to `trust.names` of the CertificatePolicy")
    } else if needs_certificate && !certificates.other {
        (
            "its tokens are bound to a client certificate, listeners accept SVIDs only, and an SVID is a caller of its own here",
            "accept host names in `trust.names`, or make the SVIDs of the route Agents, which may act for a User",
        )
    } else {
        (
            "what else the same request has to meet excludes it",
            "one request carries at most one token and one certificate, of the route's tenant: correct `require`, or the \
             `tenants` of the providers",
        )
    };
    name.error(report, PV_BLIND, format!("provider `{}` can accept nobody: {why}", name.as_str()), help);
}

fn needs_certificate(provider: &Provider) -> bool {
    match &provider.kind {
        ProviderKind::Spiffe(spiffe) => spiffe.tokens.is_none(),
        ProviderKind::Mtls(_) => true,
        ProviderKind::ApiKey(_) | ProviderKind::HttpSignature(_) => false,
        ProviderKind::Introspection(asked) => asked.sender_constraint == SenderConstraint::Mtls,
        ProviderKind::Jwt(jwt) => jwt.sender_constraint == SenderConstraint::Mtls || jwt.carried == Carried::TxnToken,
    }
}

/// Who could come to one route.
struct Callers<'r> {
    identity: &'r Identity,
    tenant: Option<&'r str>,
    certificates: Certificates,
}

impl<'r> Callers<'r> {
    fn of(route: &'r Route, certificates: Certificates) -> Self {
        Self { identity: &route.policy.identity, tenant: route.tenant.as_deref(), certificates }
    }

    /// Whether one token, one SVID or one of each is accepted; with `wanted`, one that the named provider recognises.
    fn somebody(&self, wanted: Option<&str>) -> bool {
        let kind = |certificate: bool| {
            let all = self.identity.providers.iter().enumerate();
            let of_kind = all
                .filter(move |(_, p)| if certificate { p.kind.is_certificate() } else { p.kind.is_presented() })
                .map(Some);
            std::iter::once(None).chain(of_kind)
        };
        kind(false).any(|token| {
            kind(true).any(|svid| {
                let named = wanted.is_none_or(|name| token.iter().chain(&svid).any(|(_, p)| p.name == name));
                named && self.accepted(token, svid)
            })
        })
    }

    fn accepted(&self, token: Option<(usize, &Provider)>, svid: Option<(usize, &Provider)>) -> bool {
        let presented: Vec<usize> = token.iter().chain(&svid).map(|(index, _)| *index).collect();
        let of_tenant = |(_, p): &(usize, &Provider)| self.tenant.is_none_or(|t| p.tenants.iter().any(|own| own == t));
        !presented.is_empty()
            && token.iter().chain(&svid).all(of_tenant)
            && self.can_come(token, svid)
            && self.identity.demands.iter().all(|demand| meets(demand, &presented))
            && self.is_one_caller(token, svid)
    }

    /// Whether a connection can carry the pair at all.
    fn can_come(&self, token: Option<(usize, &Provider)>, svid: Option<(usize, &Provider)>) -> bool {
        if let Some((_, provider)) = svid {
            return if matches!(provider.kind, ProviderKind::Mtls(_)) {
                self.certificates.other
            } else {
                self.certificates.svid
            };
        }
        let bound = token.is_some_and(|(_, provider)| needs_certificate(provider));
        // Where certificates are recognised, one is never only what a token is bound to.
        let recognised = |of: fn(&ProviderKind) -> bool| self.identity.providers.iter().any(|p| of(&p.kind));
        let other = self.certificates.other && !recognised(|kind| matches!(kind, ProviderKind::Mtls(_)));
        let svid = self.certificates.svid && !recognised(|kind| matches!(kind, ProviderKind::Spiffe(_)));
        !bound || other || svid
    }

    /// An Agent with a User's token acts for the User; any other pair must be asked for, and never hides an Agent.
    fn is_one_caller(&self, token: Option<(usize, &Provider)>, svid: Option<(usize, &Provider)>) -> bool {
        let is_txn = |(_, token): &(usize, &Provider)| matches!(&token.kind, ProviderKind::Jwt(jwt) if jwt.carried == Carried::TxnToken);
        let for_whom = token.as_ref().is_some_and(is_txn);
        let (Some((t, token)), Some((s, svid))) = (token, svid) else { return !for_whom };
        let tenants = token.tenants.iter().any(|tenant| svid.tenants.contains(tenant));
        let acts_for = (svid.principal, token.principal) == (PrincipalType::Agent, PrincipalType::User);
        let hides = svid.principal == PrincipalType::Agent && token.principal != PrincipalType::Agent;
        let asked = self.identity.demands.iter().any(|demand| {
            demand.require == Require::AllOf && demand.providers.contains(&t) && demand.providers.contains(&s)
        });
        tenants && (acts_for || ((asked || for_whom) && !hides))
    }
}

fn meets(demand: &Demand, presented: &[usize]) -> bool {
    match demand.require {
        Require::AnyOf => demand.providers.iter().any(|provider| presented.contains(provider)),
        Require::AllOf => demand.providers.iter().all(|provider| presented.contains(provider)),
    }
}

/// Two providers of one route that recognise the same credential would make two principals of it, so it is refused at run
/// time: each must be told from the others.
pub(super) fn check_overlap(attached: &Attachments<'_>, route: usize, providers: &[Provider], report: &mut Report) {
    let mut written: BTreeMap<&str, &At<Name>> = BTreeMap::new();
    for (_, _, policy) in of!(attached.on_route(route), IamPolicy) {
        for provider in &policy.providers.value {
            written.entry(provider.name().as_str()).or_insert(provider.name());
        }
    }
    for (index, first) in providers.iter().enumerate() {
        for second in providers.iter().skip(index + 1).filter(|second| same_names(first, second)) {
            let Some(place) = written.get(second.name.as_str()) else { continue };
            let message = format!("providers `{}` and `{}` give names for one issuer", first.name, second.name);
            let help = "use an `issuer` of its own for each: one name in both lists would be one principal";
            place.error(report, Code(5), message, help);
        }
        for second in providers.iter().skip(index + 1).filter(|second| same_credential(first, second)) {
            let Some(place) = written.get(second.name.as_str()) else { continue };
            let message = format!("providers `{}` and `{}` recognise the same credentials", first.name, second.name);
            let help = "give tokens different `audiences`, SVIDs different `tenants`, API keys a `prefix` that does not begin \
                another, signatures different `tag`s, or keep one provider";
            place.error(report, Code(5), message, help);
        }
    }
}

/// Whether two lists that are kept apart name their principals by one issuer.
fn same_names(a: &Provider, b: &Provider) -> bool {
    // One issuer gives tokens in both forms.
    let tokens = |kind: &ProviderKind| matches!(kind, ProviderKind::Jwt(_) | ProviderKind::Introspection(_));
    let one_list = tokens(&a.kind) && tokens(&b.kind);
    !one_list && a.kind.issuer().is_some() && a.kind.issuer() == b.kind.issuer()
}

fn same_credential(a: &Provider, b: &Provider) -> bool {
    fn meet<T: PartialEq>(a: &[T], b: &[T]) -> bool {
        a.iter().any(|item| b.contains(item))
    }
    match (&a.kind, &b.kind) {
        (ProviderKind::Jwt(x), ProviderKind::Jwt(y)) => {
            let types = |list: &[String]| list.iter().map(|text| text.to_ascii_lowercase()).collect::<Vec<_>>();
            x.carried == y.carried
                && x.issuer == y.issuer
                && meet(&x.audiences, &y.audiences)
                && meet(&x.algorithms, &y.algorithms)
                && meet(&types(&x.token_types), &types(&y.token_types))
        }
        // Which of them was to be asked would be a guess, and each would be shown the other's tokens.
        (ProviderKind::Introspection(_), ProviderKind::Introspection(_)) => true,
        (ProviderKind::ApiKey(x), ProviderKind::ApiKey(y)) => {
            x.prefix.starts_with(&y.prefix) || y.prefix.starts_with(&x.prefix)
        }
        (ProviderKind::Mtls(_), ProviderKind::Mtls(_)) => true,
        // A signature says for which application it is, and nothing else says whose keys to look in.
        (ProviderKind::HttpSignature(x), ProviderKind::HttpSignature(y)) => x.tag == y.tag,
        (ProviderKind::Spiffe(_), ProviderKind::Spiffe(_)) => {
            format!("{:?}", a.tenant) == format!("{:?}", b.tenant) && meet(&a.tenants, &b.tenants)
        }
        _ => false,
    }
}
