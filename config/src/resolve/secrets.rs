//! SecretManagement: what is added to and removed from requests for one upstream.

use super::attach::{Attachments, of};
use crate::manifest::{self, Inject, Manifest};
use crate::{Code, Credential, Report, Upstream};

const PV_SHAPE: Code = Code(2);
const PV_CONFLICT: Code = Code(5);

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
            for credential in &policy.credentials {
                add_one(upstream, manifest, credential, report);
            }
            let strip = policy.strip.iter().map(|name| name.as_str().to_owned());
            upstream.strip_headers.extend(strip);
        }
        upstream.strip_headers.sort();
        upstream.strip_headers.dedup();
    }
}

/// An injected credential is an exclusive choice: two for one header conflict, unless they are the same.
fn add_one(upstream: &mut Upstream, manifest: &Manifest, written: &manifest::CredentialSpec, report: &mut Report) {
    let Inject::Header(inject) = &written.inject.value;
    let header = inject.header.as_str().to_owned();
    if OURS.contains(&header.as_str()) {
        let message = format!("`{header}` is set by the proxy itself");
        inject.header.error(report, PV_SHAPE, message, "use a header for credentials: `Authorization`, `X-Api-Key`");
        return;
    }
    let credential = Credential {
        name: written.name.as_str().to_owned(),
        value: written.value_from.value.clone(),
        header,
        format: (inject.format.before.clone(), inject.format.after.clone()),
    };
    let Some(other) = upstream.credentials.iter().find(|other| other.header == credential.header) else {
        upstream.credentials.push(credential);
        return;
    };
    if (&other.value, &other.format) == (&credential.value, &credential.format) {
        return;
    }
    let message = format!(
        "`{}` and `{}` both set `{}` for upstream `{}`",
        other.name, credential.name, credential.header, upstream.name
    );
    inject.header.error(report, PV_CONFLICT, message, format!("keep one of them; this one is in {}", manifest.id));
}
