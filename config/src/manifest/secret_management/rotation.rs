//! How the secret of a credential is replaced, and how old it may become.

use std::time::Duration;

use super::Inject;
use crate::Code;
use crate::decode::{At, Fields, Setting, spec};
use crate::manifest::CredentialSpec;

const PV_SHAPE: Code = Code(2);
const PV_BLIND: Code = Code(25);

spec! {
    /// How a secret is replaced, and how old it may become. Of several manifests with the same credential the shorter times count.
    pub struct RotationSpec {
        /// Past this age it is told: in the log, in a record (`secret.aged`), on `/readyz` and `/metrics`. The age of a file is the time
        /// since it was last written, of a variable the time since the start of the process; what is read again unchanged becomes no
        /// younger. Without it no age is too much.
        [E] max_age: Option<At<Duration>>,
        /// How long after a replacement the old secret may still be shown: once, to the same upstream, where that answers 401 to the
        /// new one and the request may be sent again. So long it is looked for in traffic too. `0s` where the old one is not to be
        /// trusted any more.
        [E, max "24h"] overlap: Setting<Duration> = "5m",
        /// How long past `maxAge` the secret is still shown. Then every request that needs it is refused with 503 (`secret_expired`).
        /// Without it, only told. Needs `maxAge`.
        [E] grace_after: Option<At<Duration>>,
    }
    check check_ages
}

fn check_ages(rotation: &RotationSpec, fields: &mut Fields<'_, '_, '_>) {
    let report = &mut *fields.cx.report;
    if let (None, Some(grace)) = (&rotation.max_age, &rotation.grace_after) {
        let help = "add `maxAge`, or remove it";
        grace.error(report, PV_BLIND, "nothing acts on `graceAfter` without `maxAge`", help);
    }
    if let Some(age) = rotation.max_age.as_ref().filter(|age| age.value.is_zero()) {
        age.error(
            report,
            PV_BLIND,
            "no secret is as young as a `maxAge` of 0",
            "write the age a secret may have: `30d`",
        );
    }
}

/// A certificate is replaced by its own rules.
pub(super) fn check_place(credential: &CredentialSpec, fields: &mut Fields<'_, '_, '_>) {
    let (Inject::ClientCertificate(_), Some(rotation)) = (&credential.inject.value, &credential.rotation) else {
        return;
    };
    let message = format!("credential `{}` is a certificate, which ends by itself", credential.name.as_str());
    let help = "remove `rotation`; `rotation` of the CertificatePolicy tells before it ends";
    rotation.error(fields.cx.report, PV_SHAPE, message, help);
}
