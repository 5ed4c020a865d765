//! KeyManagementPolicy: the proxy's own keys by name, each for one purpose.

use std::collections::BTreeMap;

use super::attach::{Attachments, listed};
use super::txn;
use crate::decode::At;
use crate::manifest::{KeyAlgorithm, KeyPurpose, KeySource, KeySpec, Kind, Manifest, Spec};
use crate::values::Name;
use crate::{Code, OwnKey, Report, TokenKey};

const PV_SHAPE: Code = Code(2);
const PV_TARGET: Code = Code(4);
const PV_CONFLICT: Code = Code(5);
const PV_TWO_USES: Code = Code(91);

/// All keys of the set.
pub(super) struct Keys<'m>(BTreeMap<&'m str, (&'m Manifest, &'m KeySpec)>);

impl<'m> Keys<'m> {
    /// Union by name: the same name with another content is a conflict.
    pub(super) fn find(attached: &Attachments<'m>, report: &mut Report) -> Self {
        let mut keys: BTreeMap<&str, (&Manifest, &KeySpec)> = BTreeMap::new();
        for manifest in attached.manifests() {
            let Spec::KeyManagementPolicy(policy) = &manifest.spec else { continue };
            for key in &policy.keys.value {
                check_algorithm(key, report);
                match keys.get(key.name.as_str()) {
                    Some((other, same)) if content(same) != content(key) => {
                        let message = format!("key `{}` is defined differently by {}", key.name.as_str(), other.id);
                        key.name.error(report, PV_CONFLICT, message, "rename one of them");
                    }
                    Some(_) => {}
                    None => drop(keys.insert(key.name.as_str(), (manifest, &key.value))),
                }
            }
        }
        Self(keys)
    }

    /// The key that `name` names, for `purpose`.
    pub(super) fn get(
        &self,
        attached: &Attachments<'_>,
        name: &At<Name>,
        purpose: KeyPurpose,
        report: &mut Report,
    ) -> Option<OwnKey> {
        self.of_purpose(attached, name, purpose, report).map(|key| content(key).2)
    }

    /// The key that `name` names, which signs tokens.
    pub(super) fn signing(&self, attached: &Attachments<'_>, name: &At<Name>, report: &mut Report) -> Option<TokenKey> {
        let key = self.of_purpose(attached, name, KeyPurpose::TokenSigning, report)?;
        txn::token_key(content(key).2, key.algorithm.value)
    }

    /// Keys that sign tokens and whose public half is published.
    pub(super) fn published(&self) -> Vec<TokenKey> {
        let published = self.0.values().map(|(_, key)| *key).filter(|key| key.publish.is_some());
        published.filter_map(|key| txn::token_key(content(key).2, key.algorithm.value)).collect()
    }

    /// The key of tokens that stand for values; nothing where there is none.
    pub(super) fn of_tokens(&self, report: &mut Report) -> Option<OwnKey> {
        let mut all = self.0.values().filter(|(_, key)| key.purpose.value == KeyPurpose::Tokenization);
        let (_, first) = all.next()?;
        for (manifest, key) in all {
            let message =
                format!("key `{}` of {} is for tokens as well, and there can be one", key.name.as_str(), manifest.id);
            let help = format!("remove it, or `{}`", first.name.as_str());
            key.name.error(report, PV_CONFLICT, message, help);
        }
        Some(content(first).2)
    }

    fn of_purpose(
        &self,
        attached: &Attachments<'_>,
        name: &At<Name>,
        purpose: KeyPurpose,
        report: &mut Report,
    ) -> Option<&'m KeySpec> {
        let Some((manifest, key)) = self.0.get(name.as_str()) else {
            if !attached.may_miss(Kind::KeyManagementPolicy) {
                let known: Vec<&str> = self.0.keys().copied().collect();
                let message = format!("no KeyManagementPolicy has a key `{}`", name.as_str());
                let help = format!("add one with `purpose: {}`; the keys are {}", purpose.as_str(), listed(&known));
                name.error(report, PV_TARGET, message, help);
            }
            return None;
        };
        if key.purpose.value != purpose {
            let message = format!(
                "key `{}` of {} is for {}, and a key serves one purpose",
                name.as_str(),
                manifest.id,
                key.purpose.value.as_str()
            );
            name.error(report, PV_TWO_USES, message, format!("name a key with `purpose: {}`", purpose.as_str()));
            return None;
        }
        Some(key)
    }
}

/// A key is made for what it does.
fn check_algorithm(key: &At<KeySpec>, report: &mut Report) {
    let fits: &[KeyAlgorithm] = match key.purpose.value {
        KeyPurpose::AuditSigning => &[KeyAlgorithm::Ed25519],
        KeyPurpose::StateSealing => &[KeyAlgorithm::Aes256],
        KeyPurpose::TokenSigning => &[KeyAlgorithm::Es256, KeyAlgorithm::Ed25519],
        KeyPurpose::Tokenization => &[KeyAlgorithm::HmacSha256],
    };
    if !fits.contains(&key.algorithm.value) {
        let (purpose, algorithm) = (key.purpose.value.as_str(), key.algorithm.value.as_str());
        let message = format!("a key for {purpose} is not of algorithm {algorithm}");
        let known: Vec<&str> = fits.iter().map(|fit| fit.as_str()).collect();
        key.algorithm.error(report, PV_SHAPE, message, format!("write `algorithm: {}`", known.join("` or `")));
    }
}

fn content(key: &KeySpec) -> (KeyPurpose, KeyAlgorithm, OwnKey, bool) {
    let name = key.name.as_str().to_owned();
    let made = match &key.source.value {
        KeySource::Generate(_) => OwnKey::Generate { name },
        KeySource::Material(material) => OwnKey::Material { name, from: material.from.value.clone() },
    };
    (key.purpose.value, key.algorithm.value, made, key.publish.is_some())
}
