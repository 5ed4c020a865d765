//! SecretManagement: credentials for upstreams.

use crate::decode::{At, Fields, Setting, spec, tagged};
use crate::values::{HeaderFormat, HeaderName, Name, QueryName, Stripped};
use crate::{Code, Material};

const PV_SHAPE: Code = Code(2);

spec! {
    /// How the proxy holds credentials for upstreams, so that clients and models never do. What a client sends as a credential is
    /// removed in any case.
    pub struct SecretManagement {
        /// What the proxy adds to requests for the upstream.
        [E] credentials: Vec<At<CredentialSpec>>,
        /// Request headers and query parameters removed on top of the built-in list. Names of query parameters are compared
        /// without case and without escapes. Cookies are never forwarded.
        [E] strip: Vec<At<Stripped>>,
        /// Where secrets are kept.
        [D] storage: Option<At<Storage>>,
    }
    later {
        /// Looks for managed secrets in traffic.
        [E] "leakDetection",
    }
}

spec! {
    /// One credential.
    pub struct CredentialSpec {
        /// For records and problems: the record of a request names the credentials that went with it.
        [E] name: At<Name>,
        /// The secret; a file that group or others may read is refused. Not with `ClientCertificate`, whose key the identity names.
        [E] value_from: Option<At<Material>>,
        /// How it is added.
        [E] inject: At<Inject>,
    }
    later {
        /// Warns about old secrets.
        [E] "rotation",
    }
    check check_value
}

/// What holds a secret names it, and nothing else does.
fn check_value(credential: &CredentialSpec, fields: &mut Fields<'_, '_, '_>) {
    let name = credential.name.as_str();
    match (&credential.inject.value, &credential.value_from) {
        (Inject::Header(_) | Inject::QueryParam(_), None) => {
            let message = format!("credential `{name}` does not say where its secret is");
            credential.inject.error(fields.cx.report, PV_SHAPE, message, "add `valueFrom`: `file:/path` or `env:NAME`");
        }
        (Inject::ClientCertificate(_), Some(value)) => {
            let message = format!("credential `{name}` is a certificate, whose key its identity names");
            value.error(fields.cx.report, PV_SHAPE, message, "remove `valueFrom`");
        }
        (Inject::Header(_) | Inject::QueryParam(_), Some(_)) | (Inject::ClientCertificate(_), None) => {}
    }
}

tagged! {
    /// How a credential is added.
    pub enum Inject {
        /// As a header, in place of any the client sent.
        Header(InjectHeader),
        /// In the query of the URL, in place of any the client sent. URLs end up in logs, histories and `Referer`: an exception for
        /// PV-093 has to allow it.
        QueryParam(InjectQuery),
        /// In the handshake: the connection presents the certificate of a CertificatePolicy of the same upstream. One that does
        /// not ask for it does not get it.
        ClientCertificate(InjectCertificate),
    }
    later { "TokenExchange" }
}

spec! {
    /// A header with a secret in it.
    pub struct InjectHeader {
        /// Its name.
        [E] header: At<HeaderName>,
        /// Its value.
        [E] format: Setting<HeaderFormat> = "\"Bearer {secret}\"",
    }
}

spec! {
    /// A query parameter that is a secret.
    pub struct InjectQuery {
        /// Its name. The value is escaped where a query needs it.
        [E] name: At<QueryName>,
    }
}

spec! {
    /// A certificate that the connection presents.
    pub struct InjectCertificate {
        /// Name of an identity in a CertificatePolicy that is attached to the upstream, which has to be called over TLS.
        [E] identity: At<Name>,
    }
}

spec! {
    /// Where secrets are kept.
    pub struct Storage {
        /// The system.
        [D] system: Option<At<String>>,
        /// The place in it.
        [D] location: Option<At<String>>,
        /// How access is reviewed.
        [D] access_review: Option<At<String>>,
    }
}
