//! One piece of material serves one purpose and, where it is sent somewhere, one host (PV-091).

use std::collections::BTreeMap;

use super::attach::{Attachments, Place};
use crate::decode::At;
use crate::manifest::{
    CertificateSource, CredentialSpec, ExternalSpec, Inject, KeySource, Manifest, Provider, RuntimeDetector, Spec,
};
use crate::{Bootstrap, Code, Material, Report};

const PV_REUSE: Code = Code(91);

/// What a piece of material is used for.
struct Use {
    /// Two uses of one purpose are one use.
    purpose: String,
    shown: String,
}

pub(super) fn check_uses(bootstrap: &Bootstrap, attached: &Attachments<'_>, report: &mut Report) {
    let mut uses: BTreeMap<Material, Use> = BTreeMap::new();
    if let Some(shared) = &bootstrap.spec.shared {
        let plain = |text: &str| Use { purpose: text.to_owned(), shown: text.to_owned() };
        if let Some(auth) = &shared.auth_from {
            note(&mut uses, auth, plain("the password of the shared store"), report);
        }
        if let Some(ca) = &shared.ca_from {
            note(&mut uses, ca, plain("a trust anchor"), report);
        }
    }
    for (place, manifest) in attached.all() {
        for (material, wanted) in of_manifest(bootstrap, *place, manifest) {
            note(&mut uses, material, wanted, report);
        }
    }
}

fn of_manifest<'m>(bootstrap: &Bootstrap, place: Place, manifest: &'m Manifest) -> Vec<(&'m At<Material>, Use)> {
    let plain = |text: &str| Use { purpose: text.to_owned(), shown: text.to_owned() };
    match &manifest.spec {
        Spec::CertificatePolicy(policy) => {
            let keys = policy.identities.iter().filter_map(|identity| match &identity.source.value {
                CertificateSource::Files(files) => Some((&files.key_from, plain("the key of a certificate"))),
                CertificateSource::Spiffe(_) => None,
            });
            let anchors = policy.trust.iter().flat_map(|trust| &trust.anchors);
            let crls = policy.trust.iter().filter_map(|trust| trust.revocation.as_ref());
            keys.chain(anchors.filter_map(|anchor| Some((anchor.ca_from.as_ref()?, plain("a trust anchor")))))
                .chain(crls.map(|revocation| (&revocation.crl_from, plain("a revocation list"))))
                .collect()
        }
        Spec::IamPolicy(policy) => {
            let of = |provider: &'m At<Provider>| match &provider.value {
                Provider::Jwt(jwt) => vec![
                    jwt.jwks_from.as_ref().map(|from| (from, plain("a key set of tokens"))),
                    jwt.ca_from.as_ref().map(|from| (from, plain("a trust anchor"))),
                    jwt.browser.as_ref().and_then(|login| login.client_secret_from.as_ref()).map(|from| {
                        let issuer = jwt.issuer.as_str();
                        let host = issuer.split('/').nth(2).unwrap_or(issuer);
                        (
                            from,
                            Use { purpose: format!("client {host}"), shown: format!("a client's secret for `{host}`") },
                        )
                    }),
                ],
                Provider::Introspection(asked) => {
                    let url = asked.introspection_url.as_str();
                    let host = url.split('/').nth(2).unwrap_or(url);
                    let sent =
                        Use { purpose: format!("client {host}"), shown: format!("a client's secret for `{host}`") };
                    vec![
                        Some((&asked.client_auth_from, sent)),
                        asked.ca_from.as_ref().map(|from| (from, plain("a trust anchor"))),
                    ]
                }
                Provider::TxnToken(txn) => vec![
                    txn.jwks_from.as_ref().map(|from| (from, plain("a key set of tokens"))),
                    txn.ca_from.as_ref().map(|from| (from, plain("a trust anchor"))),
                ],
                Provider::Spiffe(spiffe) => {
                    let bundles = spiffe.jwt_bundles.iter().flat_map(|bundles| bundles.iter());
                    bundles.map(|bundle| Some((&bundle.bundle_from, plain("a bundle of JWT-SVIDs")))).collect()
                }
                Provider::Mtls(_) => Vec::new(),
                Provider::HttpSignature(signed) => vec![Some((&signed.jwks_from, plain("a key set of signatures")))],
                Provider::ApiKey(keys) => vec![Some((&keys.keys_from, plain("a list of API keys")))],
            };
            policy.providers.iter().flat_map(of).flatten().collect()
        }
        Spec::SecretManagement(policy) => {
            policy.credentials.iter().flat_map(|credential| of_credential(bootstrap, place, credential)).collect()
        }
        Spec::KeyManagementPolicy(policy) => {
            let keys = policy.keys.iter().filter_map(|key| match &key.source.value {
                KeySource::Material(material) => Some((&material.from, plain(&format!("key `{}`", key.name.as_str())))),
                KeySource::Generate(_) => None,
            });
            keys.collect()
        }
        Spec::RuntimeSecurityPolicy(policy) => {
            let external = policy.detectors.iter().filter_map(|detector| match &detector.value {
                RuntimeDetector::External(spec) => Some(&**spec),
                _ => None,
            });
            let of = |spec: &'m ExternalSpec| {
                let url = spec.url.as_str();
                let host = url.split('/').nth(2).unwrap_or(url);
                let sent = Use { purpose: format!("judge {host}"), shown: format!("a token for `{host}`") };
                let auth = spec.auth_from.as_ref().map(|auth| (auth, sent));
                auth.into_iter().chain(spec.ca_from.as_ref().map(|ca| (ca, plain("a trust anchor"))))
            };
            external.flat_map(of).collect()
        }
        _ => Vec::new(),
    }
}

fn of_credential<'m>(
    bootstrap: &Bootstrap,
    place: Place,
    credential: &'m CredentialSpec,
) -> Vec<(&'m At<Material>, Use)> {
    let value = credential.value_from.as_ref();
    let Inject::TokenExchange(exchange) = &credential.inject.value else {
        return value.map(|value| (value, sent_to(bootstrap, place))).into_iter().collect();
    };
    let url = exchange.token_url.as_str();
    let host = url.split('/').nth(2).unwrap_or(url);
    let used =
        |purpose: &str, what: &str| Use { purpose: format!("{purpose} {host}"), shown: format!("{what} for `{host}`") };
    let own = value.map(|value| (value, used("subject", "a token")));
    let client = (&exchange.client_auth_from, used("client", "a client's secret"));
    let anchor = |from| (from, Use { purpose: "a trust anchor".to_owned(), shown: "a trust anchor".to_owned() });
    own.into_iter().chain([client]).chain(exchange.ca_from.as_ref().map(anchor)).collect()
}

/// Two upstreams on one host and port are one host; the endpoints of one upstream are one too.
fn sent_to(bootstrap: &Bootstrap, place: Place) -> Use {
    let upstream = match place {
        Place::Upstream(index) => bootstrap.spec.upstreams.get(index),
        _ => None,
    };
    match upstream {
        Some(upstream) => Use {
            purpose: upstream
                .addresses()
                .fold("credential".to_owned(), |purpose, url| format!("{purpose} {}", url.place)),
            shown: format!("a credential for upstream `{}`", upstream.name.as_str()),
        },
        None => Use { purpose: "credential".to_owned(), shown: "a credential".to_owned() },
    }
}

fn note(uses: &mut BTreeMap<Material, Use>, at: &At<Material>, wanted: Use, report: &mut Report) {
    match uses.get(&at.value) {
        Some(other) if other.purpose != wanted.purpose => {
            let message = format!("`{}` is used as {} and as {}", at.value, other.shown, wanted.shown);
            at.error(report, PV_REUSE, message, "use a piece of material of its own for each purpose and host");
        }
        Some(_) => {}
        None => {
            uses.insert(at.value.clone(), wanted);
        }
    }
}
