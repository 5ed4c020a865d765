//! SecretManagement: what is added to and removed from requests for one upstream.

mod rotation;

use super::attach::{Attachments, Place, of};
use crate::decode::At;
use crate::manifest::{self, CredentialSpec, Manifest};
use crate::values::Stripped;
use crate::{Code, ContentAction, Credential, Exchange, Inject, LeakDetection, Part, Report, Upstream, Waiver};

const PV_SHAPE: Code = Code(2);
const PV_TARGET: Code = Code(4);
const PV_CONFLICT: Code = Code(5);
const PV_BLIND: Code = Code(25);
const PV_URL: Code = Code(93);

/// Headers that no credential is put into: they frame or route the request, or say what its body and answer are.
const OURS: [&str; 17] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "postern-decision",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn add(upstreams: &mut [Upstream], attached: &Attachments<'_>, report: &mut Report) {
    for (index, upstream) in upstreams.iter_mut().enumerate() {
        for (_, manifest, policy) in of!(attached.on_upstream(index), SecretManagement) {
            let mut adder = Adder { index, attached, manifest, report: &mut *report };
            for credential in &policy.credentials {
                adder.add(upstream, credential);
            }
            for strip in &policy.strip {
                match &strip.value {
                    Stripped::Header(name) => upstream.strip_headers.push(name.clone()),
                    Stripped::Query(name) => upstream.strip_query.push(name.clone()),
                }
            }
        }
        let detects =
            of!(attached.on_upstream(index), SecretManagement).find_map(|(.., policy)| policy.leak_detection.as_ref());
        if let Some(detects) =
            detects.filter(|_| upstream.credentials.iter().all(|held| held.secrets().next().is_none()))
        {
            let message =
                format!("upstream `{}` has no credential with a secret that could be looked for", upstream.name);
            detects.error(
                report,
                PV_BLIND,
                message,
                "remove `leakDetection`; keys of certificates are never in a message",
            );
        }
        for credential in &mut upstream.credentials {
            credential.rotation = rotation::merge(attached, index, &credential.name);
        }
        // The order of manifests decides nothing.
        upstream.credentials.sort_by(|a, b| a.name.cmp(&b.name));
        let injected = upstream.credentials.iter().filter_map(|credential| match &credential.inject {
            Inject::Query { name, .. } => Some(name.to_ascii_lowercase()),
            Inject::Header { .. } | Inject::Certificate { .. } | Inject::Exchange(_) => None,
        });
        let injected: Vec<String> = injected.collect();
        upstream.strip_query.extend(injected);
        for names in [&mut upstream.strip_headers, &mut upstream.strip_query] {
            names.sort();
            names.dedup();
        }
    }
}

/// What is looked for on the routes of an upstream: the parts of all manifests, the strictest action.
pub(super) fn leaks(attached: &Attachments<'_>, upstream: usize) -> Option<LeakDetection> {
    let mut merged: Option<LeakDetection> = None;
    for (_, manifest, policy) in of!(attached.on_upstream(upstream), SecretManagement) {
        let Some(spec) = &policy.leak_detection else { continue };
        let parts: Vec<Part> = match &spec.parts {
            Some(parts) => parts.iter().map(|part| part.value).collect(),
            None => Part::ALL.to_vec(),
        };
        let action = ContentAction::from(*spec.action);
        let fresh = || LeakDetection { owner: manifest.id.to_string(), parts: Vec::new(), action };
        let found = merged.get_or_insert_with(fresh);
        found.parts.extend(parts);
        found.parts.sort();
        found.parts.dedup();
        found.action = found.action.max(action);
    }
    merged
}

/// The place of a request that a credential takes; an exclusive choice.
#[derive(PartialEq, Eq)]
enum Slot {
    Header(String),
    /// Compared without case, as it is removed.
    Query(String),
    Handshake,
}

impl Slot {
    fn of(credential: &Credential) -> Self {
        match &credential.inject {
            Inject::Header { header, .. } => Self::Header(header.clone()),
            Inject::Query { name, .. } => Self::Query(name.to_ascii_lowercase()),
            Inject::Certificate { .. } => Self::Handshake,
            Inject::Exchange(_) => Self::Header("authorization".to_owned()),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Header(name) => format!("header `{name}`"),
            Self::Query(name) => format!("query parameter `{name}`"),
            Self::Handshake => "the certificate".to_owned(),
        }
    }
}

struct Adder<'a, 'm, 'r> {
    index: usize,
    attached: &'a Attachments<'m>,
    manifest: &'m Manifest,
    report: &'r mut Report,
}

impl Adder<'_, '_, '_> {
    /// Two credentials in one place, or of one name, conflict, unless they are the same.
    fn add(&mut self, upstream: &mut Upstream, written: &At<CredentialSpec>) {
        let Some(inject) = self.inject(upstream, written) else { return };
        let credential = Credential { name: written.name.as_str().to_owned(), inject, rotation: None };
        let slot = Slot::of(&credential);
        let there = upstream.credentials.iter();
        let Some(other) = there.clone().find(|other| Slot::of(other) == slot) else {
            if there.clone().any(|other| other.name == credential.name) {
                let message = format!("another credential for upstream `{}` has this name", upstream.name);
                written.name.error(self.report, PV_CONFLICT, message, "rename one of them: records name credentials");
                return;
            }
            upstream.credentials.push(credential);
            return;
        };
        if *other == credential {
            return;
        }
        let message = format!(
            "`{}` and `{}` both set {} for upstream `{}`",
            other.name,
            credential.name,
            slot.shown(),
            upstream.name
        );
        let help = format!("keep one of them; this one is in {}", self.manifest.id);
        written.inject.error(self.report, PV_CONFLICT, message, help);
    }

    /// `None` after a problem was reported, here or when the manifest was read.
    fn inject(&mut self, upstream: &Upstream, written: &CredentialSpec) -> Option<Inject> {
        match &written.inject.value {
            manifest::Inject::Header(inject) => {
                let header = inject.header.as_str().to_owned();
                if OURS.contains(&header.as_str()) {
                    let message = format!("`{header}` is set by the proxy itself");
                    let help = "use a header for credentials: `Authorization`, `X-Api-Key`";
                    inject.header.error(self.report, PV_SHAPE, message, help);
                    return None;
                }
                let format = (inject.format.before.clone(), inject.format.after.clone());
                Some(Inject::Header { value: written.value_from.as_ref()?.value.clone(), header, format })
            }
            manifest::Inject::QueryParam(inject) => {
                let waived = self.attached.waive(Waiver::CredentialInUrl, Place::Upstream(self.index), || {
                    let message = format!(
                        "credential `{}` would stand in the URL of every request for upstream `{}`",
                        written.name.as_str(),
                        upstream.name
                    );
                    let help = "use `inject: {type: Header, …}`; where the upstream takes none, an exception for PV-093 has to say so";
                    written.inject.error(self.report, PV_URL, message, help);
                });
                let value = written.value_from.as_ref()?.value.clone();
                Some(Inject::Query { value, name: inject.name.as_str().to_owned(), waived })
            }
            manifest::Inject::ClientCertificate(inject) => {
                let named = inject.identity.as_str();
                let Some(tls) = &upstream.tls else {
                    let message =
                        format!("upstream `{}` is called without TLS, so nothing is presented", upstream.name);
                    inject.identity.error(
                        self.report,
                        PV_BLIND,
                        message,
                        "call it by `https:`, or remove the credential",
                    );
                    return None;
                };
                if tls.identity.as_ref().is_none_or(|own| own.name != named) {
                    let message = format!("upstream `{}` is not shown an identity `{named}`", upstream.name);
                    let help = match &tls.identity {
                        Some(own) => format!("name the one it is shown, `{}`", own.name),
                        None => format!("attach a CertificatePolicy with an identity `{named}` to the upstream"),
                    };
                    inject.identity.error(self.report, PV_TARGET, message, help);
                    return None;
                }
                Some(Inject::Certificate { identity: named.to_owned() })
            }
            manifest::Inject::TokenExchange(inject) => {
                let mut scopes: Vec<String> = inject.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
                scopes.sort();
                scopes.dedup();
                Some(Inject::Exchange(Box::new(Exchange {
                    subject: written.value_from.as_ref().map(|value| value.value.clone()),
                    url: inject.token_url.as_str().to_owned(),
                    audience: inject.audience.value.clone(),
                    scopes,
                    client_auth: inject.client_auth_from.value.clone(),
                    ca: inject.ca_from.as_ref().map(|ca| ca.value.clone()),
                })))
            }
        }
    }
}
