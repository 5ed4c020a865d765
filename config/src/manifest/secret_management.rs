//! SecretManagement: credentials for upstreams.

mod rotation;

pub use rotation::RotationSpec;

use crate::decode::{At, Fields, Setting, spec, tagged};
use crate::values::{CallUrl, ChallengeWord, HeaderFormat, HeaderName, Name, QueryName, Stripped};
use crate::{Code, Material, Part, RuntimeAction};

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
        /// Looks for the secrets of the upstream in what its routes carry, both ways: in plain, in base64, in hexadecimal and
        /// escaped for a URL. Every route to the upstream is then read whole or as a stream, and what cannot be read is refused
        /// there; a route that relays bodies unread, or upgrades, does not load. Without it nothing is looked for.
        [E] leak_detection: Option<At<LeakSpec>>,
        /// Where secrets are kept.
        [D] storage: Option<At<Storage>>,
    }
}

spec! {
    /// What happens to a secret of the upstream in traffic. A secret has at least 8 characters then; of one with more than 128
    /// the last 128 are looked for, and it blocks whatever the action.
    pub struct LeakSpec {
        /// Where it is looked for. Default: everywhere. Of several manifests all parts count.
        [E] parts: Option<At<Vec<At<Part>>>>,
        /// What happens then. Of several manifests the strictest counts.
        [E] action: Setting<RuntimeAction> = "Block",
    }
}

spec! {
    /// One credential.
    pub struct CredentialSpec {
        /// For records and problems: the record of a request names the credentials that went with it.
        [E] name: At<Name>,
        /// The secret; a file that group or others may read is refused. Not with `ClientCertificate`, whose key the identity names.
        /// With `TokenExchange` a token of the proxy's own that is exchanged; without it, the caller's is.
        [E] value_from: Option<At<Material>>,
        /// How it is added.
        [E] inject: At<Inject>,
        /// How its secrets are replaced, and how old they may become; those of `clientAuthFrom` too. Not with `ClientCertificate`.
        /// Without it a new secret takes the place of the old one at once, and no age is too much.
        [E] rotation: Option<At<RotationSpec>>,
    }
    check check_credential
}

fn check_credential(credential: &CredentialSpec, fields: &mut Fields<'_, '_, '_>) {
    check_value(credential, fields);
    rotation::check_place(credential, fields);
}

/// What holds a secret names it, and nothing else does.
fn check_value(credential: &CredentialSpec, fields: &mut Fields<'_, '_, '_>) {
    let name = credential.name.as_str();
    match (&credential.inject.value, &credential.value_from) {
        (Inject::Header(_) | Inject::QueryParam(_), None) => {
            let message = format!("credential `{name}` does not say where its secret is");
            credential.inject.error(
                fields.cx.report,
                PV_SHAPE,
                message,
                "add `valueFrom`: `file:/path` or `secret:NAME/KEY`",
            );
        }
        (Inject::ClientCertificate(_), Some(value)) => {
            let message = format!("credential `{name}` is a certificate, whose key its identity names");
            value.error(fields.cx.report, PV_SHAPE, message, "remove `valueFrom`");
        }
        (Inject::Header(_) | Inject::QueryParam(_), Some(_))
        | (Inject::ClientCertificate(_), None)
        | (Inject::TokenExchange(_), _) => {}
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
        /// As `Authorization: Bearer`, a token that a token service gives for another one (RFC 8693). Without `valueFrom` the other
        /// one is the caller's: every route to the upstream then needs an IAMPolicy with `tokenForwarding: Exchange`. A token is
        /// used again until shortly before it ends, for the same caller's token only, and never past the end of that.
        TokenExchange(InjectExchange),
    }
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
    /// A token that is exchanged for another one.
    pub struct InjectExchange {
        /// The token service. It must answer with a bearer token of the type `access_token` or `jwt`; anything else refuses
        /// the request.
        [E] token_url: At<CallUrl>,
        /// Whom the token is for, as the service calls it.
        [E] audience: At<String>,
        /// What the token has to allow. Without it, the service decides.
        [E] scopes: Vec<At<ChallengeWord>>,
        /// What we prove there who we are with: `id:secret`, sent as HTTP Basic (`client_secret_basic`, RFC 6749 §2.3.1). A
        /// secret: readable by its owner alone.
        [E] client_auth_from: At<Material>,
        /// Authorities that are believed there, and no others; PEM. Without it, those of the machine.
        [E] ca_from: Option<At<Material>>,
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
