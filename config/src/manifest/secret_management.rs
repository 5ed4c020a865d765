//! SecretManagement: credentials for upstreams.

use crate::Material;
use crate::decode::{At, Setting, spec, tagged};
use crate::values::{HeaderFormat, HeaderName, Name};

spec! {
    /// How the proxy holds credentials for upstreams, so that clients and models never do. What a client sends as a credential is
    /// removed in any case.
    pub struct SecretManagement {
        /// What the proxy adds to requests for the upstream.
        [E] credentials: Vec<At<CredentialSpec>>,
        /// Request headers removed on top of the built-in list.
        [E] strip: Vec<At<HeaderName>>,
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
        /// For records and problems.
        [E] name: At<Name>,
        /// The secret; a file that group or others may read is refused.
        [E] value_from: At<Material>,
        /// How it is added.
        [E] inject: At<Inject>,
    }
    later {
        /// Warns about old secrets.
        [E] "rotation",
    }
}

tagged! {
    /// How a credential is added.
    pub enum Inject {
        /// As a header, in place of any the client sent.
        Header(InjectHeader),
    }
    later { "QueryParam", "ClientCertificate", "TokenExchange" }
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
