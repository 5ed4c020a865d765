//! Transaction tokens for upstreams: which routes make them, how, and with which key.

use super::attach::{Attachments, Place, of};
use super::keys::Keys;
use crate::decode::At;
use crate::manifest::{self, KeyAlgorithm, KeyPurpose, Kind, Manifest, Publication, Spec};
use crate::{Bootstrap, Code, JwtAlgorithm, OwnKey, Report, Route, TokenForwarding, TokenKey, TxnTokens};

const PV_SHAPE: Code = Code(2);
const PV_CONFLICT: Code = Code(5);
const PV_BLIND: Code = Code(25);

/// How the transaction tokens of a route are made; `None` where it makes none. The route's own come before those of the gateway.
pub(super) fn of_route(
    attached: &Attachments<'_>,
    keys: &Keys<'_>,
    route: usize,
    forwarding: TokenForwarding,
    report: &mut Report,
) -> Option<TxnTokens> {
    if forwarding != TokenForwarding::TxnToken {
        return None;
    }
    let mut chosen: Option<(bool, &Manifest, &At<manifest::TxnTokens>)> = None;
    for (_, manifest, policy) in of!(attached.on_route(route), IamPolicy) {
        let Some(written) = &policy.txn_tokens else { continue };
        let own = attached.places(manifest).any(|place| place == Place::Route(route));
        match &chosen {
            Some((known, other, same)) if *known == own && says(same) != says(written) => {
                let message = format!("{} makes other transaction tokens for the same route", other.id);
                written.error(report, PV_CONFLICT, message, "keep one of them, or attach them to different routes");
            }
            Some((known, _, _)) if *known >= own => {}
            _ => chosen = Some((own, manifest, written)),
        }
    }
    let Some((_, _, written)) = chosen else {
        refuse_missing(attached, route, report);
        return None;
    };
    Some(TxnTokens {
        issuer: written.issuer.as_str().to_owned(),
        audience: written.audience.value.clone(),
        lifetime: *written.lifetime,
        key: keys.signing(attached, &written.key_name, report)?,
    })
}

fn refuse_missing(attached: &Attachments<'_>, route: usize, report: &mut Report) {
    if attached.may_miss(Kind::IamPolicy) {
        return;
    }
    for (_, _, policy) in of!(attached.on_route(route), IamPolicy) {
        let asks = policy.token_forwarding.written();
        if let Some(written) = asks.filter(|written| written.value == TokenForwarding::TxnToken) {
            let message = "transaction tokens are to be made, and nothing says how";
            written.error(report, PV_SHAPE, message, "add `txnTokens: {issuer: …, audience: …, keyName: …}`");
            return;
        }
    }
}

fn says(tokens: &manifest::TxnTokens) -> (&str, &str, &str, std::time::Duration) {
    (tokens.issuer.as_str(), &tokens.audience.value, tokens.key_name.as_str(), *tokens.lifetime)
}

/// Tokens that no route makes are a mistake of whoever wrote how, and a public half that nothing needs has no place to be.
pub(super) fn check(bootstrap: &Bootstrap, attached: &Attachments<'_>, routes: &[Option<Route>], report: &mut Report) {
    let has_place = bootstrap.spec.admin.health.is_some();
    for manifest in attached.manifests() {
        if let Spec::KeyManagementPolicy(policy) = &manifest.spec {
            policy.keys.value.iter().for_each(|key| check_publication(key, has_place, report));
        }
    }
    // What is wrong otherwise may be why none is made.
    if report.has_errors() || !routes.iter().all(Option::is_some) {
        return;
    }
    for manifest in attached.manifests() {
        let Spec::IamPolicy(policy) = &manifest.spec else { continue };
        let Some(written) = &policy.txn_tokens else { continue };
        let reaches = |(index, route): (usize, &Route)| {
            let here = attached.places(manifest).any(|at| matches!(at, Place::Gateway) || at == Place::Route(index));
            here && route.policy.token_forwarding == TokenForwarding::TxnToken
        };
        if !routes.iter().flatten().enumerate().any(reaches) {
            let help = "write `tokenForwarding: TxnToken` in an IAMPolicy of the route, or leave `txnTokens` out";
            written.error(report, PV_BLIND, "no route makes transaction tokens", help);
        }
    }
}

fn check_publication(key: &At<manifest::KeySpec>, has_place: bool, report: &mut Report) {
    let Some(publish) = &key.publish else { return };
    match publish.value {
        Publication::Jwks if key.purpose.value != KeyPurpose::TokenSigning => {
            let message = format!("a key for {} has no place in a JWK set", key.purpose.value.as_str());
            publish.error(
                report,
                PV_SHAPE,
                message,
                "leave `publish` out: only a key for TokenSigning is published so",
            );
        }
        Publication::Jwks if !has_place => {
            let help = "add `admin: {health: \"127.0.0.1:9180\"}` to the bootstrap";
            publish.error(report, PV_BLIND, "keys are published at the health address, and there is none", help);
        }
        Publication::Jwks => {}
    }
}

/// The algorithm of tokens that a key of this one signs.
pub(super) fn algorithm(of: KeyAlgorithm) -> Option<JwtAlgorithm> {
    match of {
        KeyAlgorithm::Es256 => Some(JwtAlgorithm::ES256),
        KeyAlgorithm::Ed25519 => Some(JwtAlgorithm::EdDSA),
        KeyAlgorithm::Aes256 | KeyAlgorithm::HmacSha256 => None,
    }
}

/// A key that signs tokens.
pub(super) fn token_key(key: OwnKey, of: KeyAlgorithm) -> Option<TokenKey> {
    algorithm(of).map(|algorithm| TokenKey { key, algorithm })
}
