//! CertificatePolicy: what we present and what we accept.

use std::time::Duration;

use crate::decode::{At, Fields, Setting, spec, tagged, words};
use crate::values::{Host, Name, PeerName, RsaBits, SpiffeName, TrustDomain, WorkloadSocket};
use crate::{ClientAuth, Curve, ForwardCertificate, Material};

spec! {
    /// Certificates: what the proxy presents and what it accepts.
    pub struct CertificatePolicy {
        /// What the proxy presents. The first identity whose `hosts` match the name asked for is presented; no match ends the
        /// handshake.
        [E] identities: Vec<At<CertificateIdentity>>,
        /// What it accepts of peers.
        [E] trust: Option<At<Trust>>,
        /// Renewal and expiry.
        [E] rotation: Setting<CertificateRotation> = "{}",
        /// Whether the client certificate is told to the upstream.
        [E] forward: Option<At<CertificateForward>>,
        /// Who issues certificates.
        [D] issuance: Option<At<Issuance>>,
    }
}

spec! {
    /// A chain we present.
    pub struct CertificateIdentity {
        /// For records and problems.
        [E] name: At<Name>,
        /// Names it is presented for (SNI). Without it: any name, and none.
        [E] hosts: Vec<At<Host>>,
        /// Where chain and key come from.
        [E] source: At<CertificateSource>,
    }
}

tagged! {
    /// Where a chain and its key come from.
    pub enum CertificateSource {
        /// PEM files.
        Files(CertificateFiles),
        /// An X.509-SVID of the SPIFFE Workload API. It is renewed as the agent says so, without a reload.
        Spiffe(SpiffeSource),
    }
}

spec! {
    /// A chain and its key in PEM. Both are watched, and a new pair is used when it fits together.
    pub struct CertificateFiles {
        /// The chain, own certificate first.
        [E] cert_from: At<Material>,
        /// The private key; a file that group or others may read is refused.
        [E] key_from: At<Material>,
    }
}

spec! {
    /// One of the X.509-SVIDs that the agent gives to this workload. One that the agent takes back is presented no more, and
    /// connections it was presented on are closed. Clients that believe it expect a SPIFFE ID: it needs no host name.
    pub struct SpiffeSource {
        /// Where the agent listens. Default: what `SPIFFE_ENDPOINT_SOCKET` of the proxy's environment says.
        [E] socket: Option<At<WorkloadSocket>>,
        /// Which SVID. Default: the first one that the agent gives, whatever its ID.
        [E] spiffe_id: Option<At<SpiffeName>>,
    }
}

spec! {
    /// What is accepted of peers.
    pub struct Trust {
        /// Roots, any of them.
        [E] anchors: Vec<At<Anchor>>,
        /// Names of peers; a peer must match one. Empty: on a listener nobody may connect, and it does not load; on an upstream the
        /// name of the bootstrap is enough, which is checked in any case.
        [E] names: Vec<At<PeerName>>,
        /// Whether clients must present a certificate. Default: `Required` on listeners marked `internal`, else `Off`.
        [E] client_auth: Option<At<ClientAuth>>,
        /// Shortest RSA key in a chain.
        [E] min_rsa_bits: Setting<RsaBits> = "2048",
        /// Elliptic curves accepted in a chain.
        [E] curves: Setting<Vec<At<Curve>>> = "[P-256, P-384, Ed25519]",
        /// Longest validity of a peer's own certificate.
        [E] max_lifetime: Option<At<Duration>>,
        /// Revocation lists.
        [E] revocation: Option<At<Revocation>>,
    }
}

spec! {
    /// Revocation lists.
    pub struct Revocation {
        /// A file of CRLs in PEM, watched. It must hold a current list of every authority that stands in a chain: a certificate
        /// that no list covers is refused, intermediates included. A file that does not load whole changes nothing.
        [E] crl_from: At<Material>,
        /// What happens where no current list covers a certificate.
        [E] on_unavailable: Setting<OnUnavailable> = "Deny",
    }
}

words! {
    /// What happens without a current list.
    pub enum OnUnavailable {
        /// The certificate is refused.
        Deny = "Deny",
        /// It passes until the end of an exception for PV-033, without which this does not load; and so it does where the file of lists
        /// cannot be read. Whatever any list revokes, old ones included, is refused.
        Allow = "Allow",
    }
}

spec! {
    /// Authorities: those of a file, or those of a SPIFFE trust domain.
    pub struct Anchor {
        /// For records and problems.
        [E] name: At<Name>,
        /// A bundle of CA certificates in PEM. Not with `spiffeTrustDomain`.
        [E] ca_from: Option<At<Material>>,
        /// The bundle of this trust domain, as the SPIFFE Workload API gives it: our own, or one that it is federated with. It
        /// vouches for the SPIFFE IDs of this domain and for nothing else: no ID of another domain, no host name.
        [E] spiffe_trust_domain: Option<At<TrustDomain>>,
        /// Where the agent listens that gives the bundle; only with `spiffeTrustDomain`. Default: what `SPIFFE_ENDPOINT_SOCKET` of
        /// the proxy's environment says. It stands here as well as beside `Spiffe`: identities of several agents may be listed.
        [E] socket: Option<At<WorkloadSocket>>,
    }
    check check_anchor
}

fn check_anchor(anchor: &Anchor, fields: &mut Fields<'_, '_, '_>) {
    let position = fields.position.clone();
    let help = "write one of `caFrom` and `spiffeTrustDomain`";
    match (&anchor.ca_from, &anchor.spiffe_trust_domain) {
        (Some(_), Some(_)) => fields.cx.shape(&position, "an anchor is a file or a trust domain, not both", help),
        (None, None) => fields.cx.shape(&position, "an anchor without authorities", help),
        (Some(_), None) if anchor.socket.is_some() => {
            fields.cx.shape(&position, "`socket` is about the bundle of a trust domain", "remove `socket`");
        }
        _ => {}
    }
}

words! {
    /// Whether clients present a certificate.
    impl ClientAuth {
        /// They are not asked.
        (ClientAuth::Off) = "Off",
        /// They are asked; one that is presented must be good.
        (ClientAuth::Optional) = "Optional",
        /// No handshake without a good one.
        (ClientAuth::Required) = "Required",
    }
}

words! {
    /// An elliptic curve.
    impl Curve {
        /// NIST P-256.
        (Curve::P256) = "P-256",
        /// NIST P-384.
        (Curve::P384) = "P-384",
        /// Edwards 25519.
        (Curve::Ed25519) = "Ed25519",
    }
}

spec! {
    /// Renewal and expiry.
    pub struct CertificateRotation {
        /// How new files are noticed.
        [E] reload: Setting<Reload> = "Watch",
        /// How long before the end of a file's certificate a warning is logged. SVIDs live for hours; a metric tells of them.
        [E] warn_before: Setting<Duration> = "30d",
        /// Whether requests on an open connection are refused once its client certificate has expired.
        [E] deny_after_expiry: Setting<bool> = "true",
    }
}

words! {
    /// How new files are noticed.
    pub enum Reload {
        /// They are watched.
        Watch = "Watch",
    }
}

spec! {
    /// Whether the certificate of a listener's clients is told to upstreams. It is never believed from clients.
    pub struct CertificateForward {
        /// The header.
        [E] header: Setting<ForwardCertificate> = "None",
    }
}

words! {
    /// A header that tells the client certificate, where the client presented one.
    impl ForwardCertificate {
        /// It is not told.
        (ForwardCertificate::None) = "None",
        /// `Client-Cert` and `Client-Cert-Chain` (RFC 9440).
        (ForwardCertificate::ClientCert) = "ClientCert",
        /// `X-Forwarded-Client-Cert` as Envoy writes it, with `Hash`, `Cert`, `URI`, `DNS`, and `By` where we present an SVID;
        /// never with `Subject`, which is free text.
        (ForwardCertificate::Xfcc) = "Xfcc",
    }
}

spec! {
    /// Who issues certificates.
    pub struct Issuance {
        /// The authority.
        [D] authority: Option<At<String>>,
        /// How a certificate is asked for.
        [D] process: Option<At<String>>,
    }
}
