//! Who is recognised on a route: verifiers of tokens and signatures, lists of keys, and logins of browsers, from what manifests name.

use std::sync::Arc;

use postern_config::{JwtKeys, JwtProvider, Material, Provider, ProviderKind, Redacted, Report};

use super::{Compiler, told};
use crate::builtin::Browser;
use crate::token::session::Sessions;
use crate::token::{ApiKeys, Introspector, JwtVerifier, KeySet, Recognised, SignatureKeys, SvidVerifier, TokenSet};

impl Compiler<'_> {
    pub(super) fn recognised(&self, report: &mut Report) -> Option<Recognised> {
        let (verifiers, keys, signatures) = (self.verifiers(report), self.api_keys(report), self.signatures(report));
        let (txn, tokens): (Vec<_>, Vec<_>) = verifiers?.into_iter().partition(JwtVerifier::is_of_txn_tokens);
        let txn = (!txn.is_empty()).then(|| TokenSet::new(txn, self.cache.clone()));
        Some(Recognised::new(self.tokens(tokens, report)?, keys?).with_txn(txn).signed(signatures?))
    }

    fn signatures(&self, report: &mut Report) -> Option<Vec<SignatureKeys>> {
        let (mut found, mut failed) = (Vec::new(), false);
        for provider in &self.route.policy.identity.providers {
            let ProviderKind::HttpSignature(signed) = &provider.kind else { continue };
            if !self.with_keys {
                continue;
            }
            let read = signed.keys.read_public().map_err(|error| error.to_string());
            match read.and_then(|text| SignatureKeys::parse(provider, &text).map_err(|error| told(&error))) {
                Ok(read) => found.push(read),
                Err(error) => {
                    failed = true;
                    let place = format!("provider `{}`, key set `{}`", provider.name, signed.keys);
                    let help = "put a JWK set with public keys there, each with a `kid`";
                    self.problem(report, 11, format!("{place}: {error}"), help);
                }
            }
        }
        (!failed).then_some(found)
    }

    fn api_keys(&self, report: &mut Report) -> Option<Vec<ApiKeys>> {
        let (mut found, mut failed) = (Vec::new(), false);
        for provider in &self.route.policy.identity.providers {
            let ProviderKind::ApiKey(keys) = &provider.kind else { continue };
            if !self.with_keys {
                continue;
            }
            let read = keys.keys.read_public().map_err(|error| error.to_string());
            match read.and_then(|text| ApiKeys::parse(provider, &text).map_err(|error| error.to_string())) {
                Ok(read) => found.push(read),
                Err(error) => {
                    failed = true;
                    let place = format!("provider `{}`, keys `{}`", provider.name, keys.keys);
                    let help = "make lines with `postern api-key new`, one for each key";
                    self.problem(report, 11, format!("{place}: {error}"), help);
                }
            }
        }
        (!failed).then_some(found)
    }

    fn verifiers(&self, report: &mut Report) -> Option<Vec<JwtVerifier>> {
        let mut verifiers = Vec::new();
        let mut failed = false;
        for provider in &self.route.policy.identity.providers {
            let ProviderKind::Jwt(jwt) = &provider.kind else { continue };
            if !self.with_keys {
                continue;
            }
            match self.verifier(provider, jwt) {
                Ok(verifier) => verifiers.push(verifier),
                Err(error) => {
                    failed = true;
                    self.problem(report, 11, error, "put a JWK set with public keys there");
                }
            }
        }
        (!failed).then_some(verifiers)
    }

    fn tokens(&self, verifiers: Vec<JwtVerifier>, report: &mut Report) -> Option<TokenSet> {
        let svids = self.svids(report)?;
        let set = TokenSet::new(verifiers, self.cache.clone()).with_svids(svids);
        let asked =
            self.route.policy.identity.providers.iter().find(|p| matches!(p.kind, ProviderKind::Introspection(_)));
        match asked.map(|provider| (provider, Introspector::new(provider))) {
            None => Some(set),
            Some((_, Ok(introspector))) => Some(set.asking(introspector)),
            Some((provider, Err(error))) => {
                self.problem(report, 11, format!("provider `{}`: {error}", provider.name), "correct the provider");
                None
            }
        }
    }

    fn verifier(&self, provider: &Provider, jwt: &JwtProvider) -> Result<JwtVerifier, String> {
        let place = format!("provider `{}`", provider.name);
        let (place, made) = match &jwt.keys {
            JwtKeys::Material(from) => {
                let read = from.read_public().map_err(|error| error.to_string());
                let made = read
                    .and_then(|bytes| KeySet::parse(&bytes).map_err(|error| error.to_string()))
                    .and_then(|keys| JwtVerifier::new(provider, keys).map_err(|error| error.to_string()));
                (format!("{place}, key set `{from}`"), made)
            }
            JwtKeys::Fetched { source, max_age } => {
                let made = JwtVerifier::with_ring(provider, self.rings.of(source), *max_age);
                (place, made.map_err(|error| error.to_string()))
            }
        };
        made.map_err(|error| format!("{place}: {error}"))
    }

    /// Where browsers log in. `None` after a problem.
    pub(super) fn browser(&self, report: &mut Report) -> Option<Option<Arc<Browser>>> {
        let mut found = None;
        for provider in &self.route.policy.identity.providers {
            let ProviderKind::Jwt(jwt) = &provider.kind else { continue };
            let Some(login) = jwt.browser.as_ref().filter(|_| self.with_keys) else { continue };
            let problem = |report: &mut Report, error: String| {
                let message = format!("provider `{}`, logins of browsers: {error}", provider.name);
                self.problem(report, 11, message, "correct its `browser`");
            };
            let secret = match login.client_secret.as_ref().map(secret_text).transpose() {
                Ok(secret) => secret,
                Err(error) => {
                    problem(report, error);
                    return None;
                }
            };
            let key = match self.kept.keys.get(&login.key) {
                Some(Ok(key)) => key.clone(),
                other => {
                    let why = other.and_then(|read| read.as_ref().err()).map_or("it was not read", String::as_str);
                    problem(report, format!("the key `{}` that seals sessions: {why}", login.key.name()));
                    return None;
                }
            };
            // What is wrong with its keys is told where its tokens are verified.
            let verifier = self.verifier(provider, jwt).ok()?;
            let sessions = Sessions::new(key, self.kept.ended.clone(), login.session_age, login.idle_timeout);
            found = Some(Arc::new(Browser::new(login.clone(), secret, verifier, sessions)));
        }
        Some(found)
    }

    /// The verifiers of JWT-SVIDs. `None` after a problem was reported.
    fn svids(&self, report: &mut Report) -> Option<Vec<SvidVerifier>> {
        let (mut found, mut failed) = (Vec::new(), false);
        let providers = self.route.policy.identity.providers.iter().filter(|_| self.with_keys);
        for (provider, svids) in providers.filter_map(|provider| Some((provider, provider.kind.jwt_svids()?))) {
            let mut bundles = Vec::with_capacity(svids.bundles.len());
            for (domain, from) in &svids.bundles {
                let read = from.read_public().map_err(|error| error.to_string());
                match read.and_then(|text| KeySet::parse_bundle(&text).map_err(|error| error.to_string())) {
                    Ok(keys) => bundles.push((domain.clone(), keys)),
                    Err(error) => {
                        failed = true;
                        let place = format!("provider `{}`, bundle `{from}`", provider.name);
                        let help = "put the SPIFFE bundle of the trust domain there, a JWK set";
                        self.problem(report, 11, format!("{place}: {error}"), help);
                    }
                }
            }
            found.push(SvidVerifier::new(provider, &svids.audiences, bundles));
        }
        (!failed).then_some(found)
    }
}

/// A secret that is text.
fn secret_text(from: &Material) -> Result<Redacted<String>, String> {
    let secret = from.read_secret().map_err(|error| error.to_string())?;
    let text = std::str::from_utf8(secret.expose())
        .ok()
        .filter(|text| !text.is_empty() && !text.chars().any(char::is_control));
    text.map(|text| Redacted::new(text.to_owned())).ok_or_else(|| format!("what `{from}` holds is empty or no text"))
}
