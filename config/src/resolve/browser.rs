//! Logins of browsers: which routes offer them, and the key that seals their sessions.

use super::attach::{Attachments, of};
use super::keys::Keys;
use crate::bootstrap::RouteSpec;
use crate::decode::At;
use crate::manifest::{self, KeyPurpose, Manifest};
use crate::{BrowserLogin, Code, Dialect, Identity, OwnKey, PrincipalType, ProviderKind, Report, Route};

const PV_SHAPE: Code = Code(2);
const PV_BLIND: Code = Code(25);

/// Name of the key that the process makes where policy names none.
const OWN_KEY: &str = "browser-sessions";

/// Gives the providers of a route the logins that their manifests ask for, where the route can offer them.
pub(super) fn add(
    attached: &Attachments<'_>,
    keys: &Keys<'_>,
    route: usize,
    spec: &RouteSpec,
    identity: &mut Identity,
    report: &mut Report,
) {
    for (_, _, policy) in of!(attached.on_route(route), IamPolicy) {
        for provider in &policy.providers.value {
            let manifest::Provider::Jwt(jwt) = &provider.value else { continue };
            let Some(browser) = &jwt.browser else { continue };
            let login = login(attached, keys, jwt, browser, report);
            if spec.dialect.value != Dialect::Http {
                continue;
            }
            let found = identity.providers.iter().position(|found| found.name == jwt.name.as_str());
            let Some(index) = found.filter(|index| identity.demands.iter().any(|d| d.providers.contains(index))) else {
                continue;
            };
            if let Some(ProviderKind::Jwt(made)) = identity.providers.get_mut(index).map(|provider| &mut provider.kind)
            {
                made.browser = login;
            }
        }
    }
}

fn login(
    attached: &Attachments<'_>,
    keys: &Keys<'_>,
    jwt: &manifest::JwtProvider,
    browser: &manifest::BrowserLogin,
    report: &mut Report,
) -> Option<BrowserLogin> {
    if jwt.principal.kind.value != PrincipalType::User {
        let message = format!("provider `{}` logs browsers in, and its principals are no users", jwt.name.as_str());
        jwt.principal.kind.error(report, PV_SHAPE, message, "write `type: User`, or leave `browser` out");
        return None;
    }
    if let Some(from) = &jwt.jwks_from {
        let message = format!("provider `{}` logs browsers in, and its keys come from a file", jwt.name.as_str());
        let help = "leave `jwksFrom` out: keys and the places of a login come from the issuer";
        from.error(report, PV_SHAPE, message, help);
        return None;
    }
    let key = match &browser.key_name {
        Some(name) => keys.get(attached, name, KeyPurpose::StateSealing, report)?,
        None => OwnKey::Generate { name: OWN_KEY.to_owned() },
    };
    let mut scopes = vec!["openid".to_owned()];
    scopes.extend(browser.scopes.iter().map(|scope| scope.value.clone()).filter(|scope| scope != "openid"));
    Some(BrowserLogin {
        client_id: browser.client_id.value.clone(),
        ca: jwt.ca_from.as_ref().map(|from| from.value.clone()),
        client_secret: browser.client_secret_from.as_ref().map(|from| from.value.clone()),
        scopes,
        callback: browser.callback_path.as_str().to_owned(),
        logout: browser.logout_path.as_str().to_owned(),
        back_channel: browser.back_channel_path.as_str().to_owned(),
        session_age: *browser.session_age,
        idle_timeout: *browser.idle_timeout,
        key,
    })
}

/// Whether two providers say the same of their logins, which routes get after their providers were made.
pub(super) fn is_same<'p>(a: &'p manifest::Provider, b: &'p manifest::Provider) -> bool {
    said(a) == said(b)
}

fn said(provider: &manifest::Provider) -> Option<impl PartialEq> {
    let manifest::Provider::Jwt(jwt) = provider else { return None };
    let browser = jwt.browser.as_ref()?;
    let manifest::BrowserLogin {
        client_id,
        client_secret_from,
        scopes,
        callback_path,
        logout_path,
        back_channel_path,
        session_age,
        idle_timeout,
        key_name,
    } = &browser.value;
    let client = (client_id.value.as_str(), client_secret_from.as_ref().map(|from| &from.value));
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.value.as_str()).collect();
    let paths = (callback_path.as_str(), logout_path.as_str(), back_channel_path.as_str());
    let key = key_name.as_ref().map(|name| name.as_str());
    Some((client, scopes, paths, (**session_age, **idle_timeout), key))
}

/// A login that no route offers protects nothing, and two on one route are no answer to where a browser is sent.
pub(super) fn check(attached: &Attachments<'_>, routes: &[Option<Route>], report: &mut Report) {
    // What is wrong otherwise may be why none is offered.
    if report.has_errors() || !routes.iter().all(Option::is_some) {
        return;
    }
    let offered = |name: &str| {
        routes.iter().flatten().flat_map(|route| route.policy.identity.browsers()).any(|(provider, _)| provider == name)
    };
    for (place, manifest) in attached.all() {
        let manifest::Spec::IamPolicy(policy) = &manifest.spec else { continue };
        let first = attached.places(manifest).next() == Some(*place);
        for provider in policy.providers.value.iter().filter(|_| first) {
            let manifest::Provider::Jwt(jwt) = &provider.value else { continue };
            if let Some(browser) = jwt.browser.as_ref().filter(|_| !offered(jwt.name.as_str())) {
                let message = format!("no route offers the login of provider `{}`", jwt.name.as_str());
                let help = "name the provider in an APIAccessPolicy of a route with `dialect: http`";
                browser.error(report, PV_BLIND, message, help);
            }
        }
    }
    for route in routes.iter().flatten() {
        let names: Vec<&str> = route.policy.identity.browsers().map(|(name, _)| name).collect();
        if let [one, other, ..] = names.as_slice() {
            let message = format!("route `{}` could send browsers to `{one}` and to `{other}`", route.name);
            if let Some(browser) = attached.manifests().find_map(|manifest| browser_of(manifest, other)) {
                browser.error(report, PV_BLIND, message, "accept one provider with `browser` on a route");
            }
        }
    }
}

fn browser_of<'m>(manifest: &'m Manifest, name: &str) -> Option<&'m At<manifest::BrowserLogin>> {
    let manifest::Spec::IamPolicy(policy) = &manifest.spec else { return None };
    policy.providers.iter().find_map(|provider| match &provider.value {
        manifest::Provider::Jwt(jwt) if jwt.name.as_str() == name => jwt.browser.as_ref(),
        _ => None,
    })
}
