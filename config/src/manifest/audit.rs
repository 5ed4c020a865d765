//! AuditPolicy: what is recorded, where, and how tampering shows.

use std::time::Duration;

use crate::decode::{At, Cx, Fault, Scalar, Setting, spec, words};
use crate::values::{HeaderName, LogOrigin, Name, Pointer};

spec! {
    /// What is recorded, where, and how tampering shows. Every request leaves one record of its metadata, refused and failed
    /// ones included; this version records no content.
    pub struct AuditPolicy {
        /// Where records go.
        [E] sinks: At<Vec<At<AuditSink>>>,
        /// How tampering shows.
        [E] integrity: Option<At<Integrity>>,
        /// Header names and JSON pointers into records whose values are covered, on top of the built-in list.
        [E] redact: Vec<At<RedactTarget>>,
    }
    later {
        /// What is recorded of which events.
        [E] "rules",
        /// How long records are kept.
        [E] "retention",
        /// What happens when records cannot be written. Without this field a request whose record cannot be written is refused.
        [E] "buffer",
    }
}

spec! {
    /// One place for records.
    pub struct AuditSink {
        /// For problems and metrics.
        [E] name: At<Name>,
        /// What kind of place.
        [E] kind as "type": At<SinkType>,
        /// The form of a record.
        [E] format: Setting<SinkFormat> = "Ocsf",
    }
    later {
        /// Address of a remote sink.
        [E] "endpoint",
        /// Credential of a remote sink.
        [E] "authFrom",
        /// Encrypts records.
        [E] "encrypt",
    }
}

words! {
    /// A place for records.
    pub enum SinkType {
        /// The transparency log in the state directory, `<state>/audit`.
        File = "File",
    }
    later { "Otlp", "Syslog", "Https" }
}

words! {
    /// The form of a record.
    pub enum SinkFormat {
        /// Open Cybersecurity Schema Framework events as JSON.
        Ocsf = "Ocsf",
    }
    later { "Ecs", "Cef", "OtelGenAi" }
}

spec! {
    /// How tampering shows.
    pub struct Integrity {
        /// The kind of log.
        [E] log: Setting<LogKind> = "TransparencyLog",
        /// Name of the log in its checkpoints; never change it for a log that exists.
        [E] origin: At<LogOrigin>,
        /// A key of a KeyManagementPolicy with purpose `AuditSigning`.
        [E] key_name: At<Name>,
        /// How often the log's state is signed.
        [E, max "1h"] checkpoint_interval: Setting<Duration> = "10s",
    }
    later {
        /// Which records are on disk before their action goes out.
        [E] "durability",
        /// Others who sign the log's state.
        [E] "witnesses",
        /// How many of them must.
        [E] "minWitnesses",
    }
}

words! {
    /// The kind of log.
    pub enum LogKind {
        /// A Merkle tree of salted commitments with signed checkpoints (RFC 6962, C2SP tlog-tiles).
        TransparencyLog = "TransparencyLog",
    }
    later { "None" }
}

/// What is covered in records: a pointer, or a header name in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedactTarget(pub String);

impl Scalar for RedactTarget {
    const NAME: &'static str = "Header name or Pointer";
    const DOC: &'static str = "The name of a header, or a JSON pointer, which begins with `/`.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if text.starts_with('/') {
            Pointer::read(text, cx).map(|pointer| Self(pointer.as_str().to_owned()))
        } else {
            HeaderName::read(text, cx).map(|name| Self(name.as_str().to_owned()))
        }
    }
}
