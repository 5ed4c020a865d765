//! SecretManagement: what is added to and removed from requests for one upstream.

use super::attach::{Attachments, of};
use crate::manifest::{self, Inject, Manifest};
use crate::{Bootstrap, Code, Credential, Report, Upstream};

const PV_CONFLICT: Code = Code(5);

pub(super) fn add(upstreams: &mut [Upstream], _bootstrap: &Bootstrap, attached: &Attachments<'_>, report: &mut Report) {
    for (index, upstream) in upstreams.iter_mut().enumerate() {
        for (_, manifest, policy) in of!(attached.on_upstream(index), SecretManagement) {
            for credential in &policy.credentials {
                add_one(upstream, manifest, credential, report);
            }
            let strip = policy.strip.iter().map(|name| name.as_str().to_ascii_lowercase());
            upstream.strip_headers.extend(strip);
        }
        upstream.strip_headers.sort();
        upstream.strip_headers.dedup();
    }
}

/// An injected credential is an exclusive choice: two for one header conflict.
fn add_one(upstream: &mut Upstream, manifest: &Manifest, written: &manifest::CredentialSpec, report: &mut Report) {
    let Inject::Header(inject) = &written.inject.value;
    let header = inject.header.as_str().to_ascii_lowercase();
    if let Some(other) = upstream.credentials.iter().find(|other| other.header == header) {
        let message = format!(
            "`{}` and `{}` both set `{header}` for upstream `{}`",
            other.name,
            written.name.as_str(),
            upstream.name
        );
        inject.header.error(report, PV_CONFLICT, message, format!("keep one of them; this one is in {}", manifest.id));
        return;
    }
    upstream.credentials.push(Credential {
        name: written.name.as_str().to_owned(),
        value: written.value_from.value.clone(),
        header,
        format: (inject.format.before.clone(), inject.format.after.clone()),
    });
}
