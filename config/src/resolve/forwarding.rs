//! What becomes of the caller's token, and whether the upstream has a credential for it.

use super::attach::{Attachments, of};
use crate::bootstrap::RouteSpec;
use crate::decode::At;
use crate::manifest::Kind;
use crate::{Bootstrap, Code, Report, TokenForwarding, Upstream};

const PV_CONFLICT: Code = Code(5);
const PV_BLIND: Code = Code(25);

/// The strictest of what the manifests of a route say, with the place that says it; nothing where two exclude each other.
fn said<'m>(
    attached: &Attachments<'m>,
    route: usize,
    report: &mut Report,
) -> Option<(&'m At<TokenForwarding>, TokenForwarding)> {
    let mut said: Option<&'m At<TokenForwarding>> = None;
    for (_, _, policy) in of!(attached.on_route(route), IamPolicy) {
        let Some(written) = policy.token_forwarding.written() else { continue };
        said = match said {
            None => Some(written),
            Some(other) if other.value == written.value || other.value == TokenForwarding::Strip => Some(other),
            Some(_) if written.value == TokenForwarding::Strip => Some(written),
            Some(_) => {
                let message = "another manifest of the same route makes something else of the caller's token";
                written.error(report, PV_CONFLICT, message, "keep one of them, or attach them to different routes");
                return None;
            }
        };
    }
    said.map(|written| (written, written.value))
}

pub(super) fn merge(attached: &Attachments<'_>, route: usize, report: &mut Report) -> TokenForwarding {
    said(attached, route, report).map_or(TokenForwarding::Strip, |(_, value)| value)
}

/// A token that is to be exchanged needs a service, and a service that takes the caller's token needs to be given it.
pub(super) fn check(bootstrap: &Bootstrap, attached: &Attachments<'_>, upstreams: &[Upstream], report: &mut Report) {
    for (index, route) in bootstrap.spec.routes.iter().enumerate() {
        let Some(upstream) = upstream_of(route, upstreams) else { continue };
        let exchanges = upstream.credentials.iter().find(|credential| credential.is_of_caller());
        // A conflict was reported when the route was merged; what follows from either side of it says nothing.
        let mut conflict = Report::new();
        let said = said(attached, index, &mut conflict);
        if conflict.has_errors() {
            continue;
        }
        let forwarding = said.map_or(TokenForwarding::Strip, |(_, value)| value);
        match (forwarding, exchanges, said) {
            (TokenForwarding::Exchange, None, Some((written, _))) if !attached.may_miss(Kind::SecretManagement) => {
                let message = format!(
                    "the caller's token would be exchanged on route `{}`, and upstream `{}` has no token service",
                    route.name.as_str(),
                    upstream.name
                );
                let help = "attach a SecretManagement to the upstream with `inject: {type: TokenExchange, …}` and without `valueFrom`";
                written.error(report, PV_BLIND, message, help);
            }
            (TokenForwarding::Strip | TokenForwarding::TxnToken, Some(credential), _)
                if !attached.may_miss(Kind::IamPolicy) =>
            {
                let message = format!(
                    "credential `{}` of upstream `{}` is made from the caller's token, which route `{}` does not give it",
                    credential.name,
                    upstream.name,
                    route.name.as_str()
                );
                let help = "write `tokenForwarding: Exchange` in an IAMPolicy of the route, or `valueFrom` for a token of the proxy's own";
                route.name.error(report, PV_BLIND, message, help);
            }
            _ => {}
        }
    }
}

fn upstream_of<'u>(route: &RouteSpec, upstreams: &'u [Upstream]) -> Option<&'u Upstream> {
    let named = route.upstream.as_ref()?;
    upstreams.iter().find(|upstream| upstream.name == named.as_str())
}
