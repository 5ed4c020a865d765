//! A throw-away certificate authority for tests and the demo. Its keys live in memory and guard nothing.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use postern_config::Redacted;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CrlDistributionPoint,
    CrlIssuingDistributionPoint, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, SignatureAlgorithm,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use time::{Duration, OffsetDateTime};

use crate::SpiffeId;

/// Issues certificates that are valid around one moment.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    now: OffsetDateTime,
    serial: AtomicU64,
    /// Serial of its own certificate.
    own: u64,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Issued {
    pub cert_pem: String,
    /// PKCS #8.
    pub key_pem: Redacted<String>,
    pub der: CertificateDer<'static>,
    pub serial: u64,
}

/// What is asked of an [`Authority`]. Begin with one of the constructors and change what the case is about.
#[derive(Debug, Clone)]
pub struct Template {
    pub common_name: String,
    /// DNS names; an address among them becomes an address.
    pub hosts: Vec<String>,
    pub uris: Vec<String>,
    /// Seconds from the authority's moment to `notBefore`; an hour ago unless changed.
    pub begins: i64,
    /// Seconds from the authority's moment to `notAfter`; in a day unless changed.
    pub ends: i64,
    pub key: KeyType,
    /// Says `cA`, with the key usage of an authority.
    pub is_ca: bool,
    /// Extended key usage; none is written where both are false.
    pub for_clients: bool,
    pub for_servers: bool,
    /// Whether a key usage with `digitalSignature` is written.
    pub key_usage: bool,
    /// Addresses of revocation lists, each a distribution point of its own.
    pub crl_points: Vec<String>,
}

/// Keys an [`Authority`] can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    P256,
    P384,
    P521,
    Ed25519,
    Rsa2048,
}

/// Why a certificate could not be issued.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("certificate could not be made: {0}")]
    Issue(#[from] rcgen::Error),
    #[error("`{0}` is not ASCII, so it cannot be a name in a certificate")]
    Name(String),
    #[error("a date of the certificate is out of range: {0}")]
    Date(#[from] time::error::ComponentRange),
}

impl Template {
    /// A server for these hosts and addresses.
    #[must_use]
    pub fn server(hosts: &[&str]) -> Self {
        let common_name = hosts.first().copied().unwrap_or("server").to_owned();
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Self { common_name, hosts, for_servers: true, ..Self::bare() }
    }

    /// An X.509-SVID: one URI, usable by client and server.
    #[must_use]
    pub fn svid(id: &str) -> Self {
        Self {
            common_name: "workload".to_owned(),
            uris: vec![id.to_owned()],
            for_clients: true,
            for_servers: true,
            ..Self::bare()
        }
    }

    fn bare() -> Self {
        Self {
            common_name: String::new(),
            hosts: Vec::new(),
            uris: Vec::new(),
            begins: -3600,
            ends: 86_400,
            key: KeyType::P256,
            is_ca: false,
            for_clients: false,
            for_servers: false,
            key_usage: true,
            crl_points: Vec::new(),
        }
    }
}

impl Authority {
    /// A new root with a P-256 key, valid from an hour before `now` for ten years.
    ///
    /// # Errors
    /// [`AuthorityError`] where no key could be made.
    pub fn new(name: &str, now: UnixTime) -> Result<Self, AuthorityError> {
        let now = OffsetDateTime::from_unix_timestamp(i64::try_from(now.as_secs()).unwrap_or(i64::MAX))?;
        let template = Template { common_name: name.to_owned(), is_ca: true, ends: 3650 * 86_400, ..Template::bare() };
        let issuer = CertifiedIssuer::self_signed(params(&template, now, 1)?, KeyPair::generate()?)?;
        Ok(Self { issuer, now, serial: AtomicU64::new(1), own: 1 })
    }

    /// The root, as a trust bundle.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for a server; see [`Template::server`].
    ///
    /// # Errors
    /// [`AuthorityError`] where a host is no name.
    pub fn server(&self, hosts: &[&str]) -> Result<Issued, AuthorityError> {
        self.issue(&Template::server(hosts))
    }

    /// An X.509-SVID.
    ///
    /// # Errors
    /// [`AuthorityError`] where no key could be made.
    pub fn svid(&self, id: &SpiffeId) -> Result<Issued, AuthorityError> {
        self.issue(&Template::svid(id.as_str()))
    }

    /// Whatever the template asks for, good or not. Serials count from 2.
    ///
    /// # Errors
    /// [`AuthorityError`] where a name cannot be written or no key could be made.
    pub fn issue(&self, template: &Template) -> Result<Issued, AuthorityError> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let key = KeyPair::generate_for(template.key.algorithm())?;
        let certificate = params(template, self.now, serial)?.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            cert_pem: certificate.pem(),
            key_pem: Redacted::new(key.serialize_pem()),
            der: certificate.der().clone(),
            serial,
        })
    }

    /// A revocation list of this authority in PEM, of these certificates, current until `ends` seconds from its moment.
    ///
    /// # Errors
    /// [`AuthorityError::Issue`] where it could not be signed.
    pub fn crl(&self, revoked: &[&Issued], ends: i64) -> Result<String, AuthorityError> {
        self.crl_at(revoked, ends, None)
    }

    /// As [`Authority::crl`], for the certificates of one distribution point.
    ///
    /// # Errors
    /// As [`Authority::crl`].
    pub fn crl_at(&self, revoked: &[&Issued], ends: i64, point: Option<&str>) -> Result<String, AuthorityError> {
        let begins = self.now.saturating_sub(Duration::HOUR);
        let entry = |issued: &&Issued| RevokedCertParams {
            serial_number: SerialNumber::from(issued.serial),
            revocation_time: begins,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: begins,
            next_update: self.now.saturating_add(Duration::seconds(ends)),
            crl_number: SerialNumber::from(self.serial.fetch_add(1, Ordering::Relaxed)),
            issuing_distribution_point: point.map(|uri| CrlIssuingDistributionPoint {
                distribution_point: CrlDistributionPoint { uris: vec![uri.to_owned()] },
                scope: None,
            }),
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }

    /// This authority's own certificate, for a list of the one above it.
    #[must_use]
    pub fn issued(&self) -> Issued {
        Issued {
            cert_pem: self.issuer.pem(),
            key_pem: Redacted::new(String::new()),
            der: self.issuer.der().clone(),
            serial: self.own,
        }
    }

    /// An authority below this one, and its certificate to be presented behind what it issues.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn intermediate(&self, name: &str) -> Result<Self, AuthorityError> {
        let template = Template { common_name: name.to_owned(), is_ca: true, ..Template::bare() };
        let serial = self.serial.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let issuer =
            CertifiedIssuer::signed_by(params(&template, self.now, serial)?, KeyPair::generate()?, &self.issuer)?;
        Ok(Self { issuer, now: self.now, serial: AtomicU64::new(1), own: serial })
    }
}

impl KeyType {
    fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Self::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::P521 => &rcgen::PKCS_ECDSA_P521_SHA512,
            Self::Ed25519 => &rcgen::PKCS_ED25519,
            Self::Rsa2048 => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

fn params(template: &Template, now: OffsetDateTime, serial: u64) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.not_before = now.saturating_add(Duration::seconds(template.begins));
    params.not_after = now.saturating_add(Duration::seconds(template.ends));
    params.serial_number = Some(SerialNumber::from(serial));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, template.common_name.as_str());
    params.subject_alt_names = names(template)?;
    params.use_authority_key_identifier_extension = true;
    params.crl_distribution_points =
        template.crl_points.iter().map(|uri| CrlDistributionPoint { uris: vec![uri.clone()] }).collect();
    if template.is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    } else {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = if template.key_usage { vec![KeyUsagePurpose::DigitalSignature] } else { Vec::new() };
    }
    if template.for_clients {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    }
    if template.for_servers {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    Ok(params)
}

fn names(template: &Template) -> Result<Vec<SanType>, AuthorityError> {
    let ascii = |name: &String| Ia5String::try_from(name.as_str()).map_err(|_e| AuthorityError::Name(name.clone()));
    let mut names = Vec::new();
    for host in &template.hosts {
        names.push(match host.parse::<IpAddr>() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) => SanType::DnsName(ascii(host)?),
        });
    }
    for uri in &template.uris {
        names.push(SanType::URI(ascii(uri)?));
    }
    Ok(names)
}
