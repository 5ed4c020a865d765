//! Revocation lists: read whole or not at all.

use std::collections::HashSet;

use postern_config::Material;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::certificate::{Certificate, hex};
use crate::listener::date;
use crate::{CertFault, CertProblem};

/// Every certificate that some list revokes, by issuer and serial.
///
/// webpki asks the first list that is authoritative for a certificate; of two lists of one authority the second would
/// not be heard. Here every list is heard, whatever its scope (attack 9).
#[derive(Debug, Default)]
pub(crate) struct Revoked(HashSet<(Vec<u8>, String)>);

impl Revoked {
    pub(crate) fn contains(&self, certificate: &Certificate) -> bool {
        !self.0.is_empty() && self.0.contains(&(certificate.issuer_der.clone(), canonical(&certificate.serial)))
    }

    /// Hears the list in `der`, whatever its dates: an agent says what is revoked, not who is good.
    pub(crate) fn add(&mut self, index: usize, der: &[u8]) -> Result<(), CertFault> {
        let list = read(index, der)?;
        self.hear(&list);
        Ok(())
    }

    fn hear(&mut self, list: &CertificateRevocationList<'_>) {
        let issuer = list.issuer().as_raw().to_vec();
        let serials = list.iter_revoked_certificates().map(|entry| canonical(&hex(entry.raw_serial())));
        self.0.extend(serials.map(|serial| (issuer.clone(), serial)));
    }
}

/// Serials are integers: leading zeros do not make another one.
fn canonical(serial: &str) -> String {
    serial.trim_start_matches('0').to_owned()
}

/// All lists of a place.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    pub(crate) ders: Vec<CertificateRevocationListDer<'static>>,
    pub(crate) revoked: Revoked,
    /// Unix seconds at which the first of them is over.
    pub(crate) next_update: Option<i64>,
    /// A file could not be read, which is allowed.
    pub(crate) missing: bool,
}

impl Lists {
    /// Reads all; every problem is pushed to `problems`. With `lenient` a list may be over and a file may not be there; one
    /// that is there is read whole all the same.
    pub(crate) fn load(materials: &[Material], lenient: bool, now: i64, problems: &mut Vec<CertProblem>) -> Self {
        let mut lists = Self::default();
        for material in materials {
            match lists.add(material, lenient, now) {
                Ok(()) => {}
                Err(CertFault::Unreadable(_)) if lenient => lists.missing = true,
                Err(fault) => problems.push(fault.at(material)),
            }
        }
        lists
    }

    fn add(&mut self, material: &Material, lenient: bool, now: i64) -> Result<(), CertFault> {
        let bytes = material.read_public()?;
        let ders: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&bytes)
            .collect::<Result<_, _>>()
            .map_err(CertFault::NotPem)?;
        if ders.is_empty() {
            return Err(CertFault::NoList);
        }
        for (index, der) in ders.into_iter().enumerate() {
            self.add_list(index, &der, lenient, now)?;
            self.ders.push(der);
        }
        Ok(())
    }

    fn add_list(&mut self, index: usize, der: &[u8], lenient: bool, now: i64) -> Result<(), CertFault> {
        let list = read(index, der)?;
        let Some(next) = list.next_update().map(|at| at.timestamp()) else {
            let reason = "it does not say when the next one comes".to_owned();
            return Err(CertFault::MalformedList { index, reason });
        };
        if now > next && !lenient {
            return Err(CertFault::ListOver { index, next_update: date(next) });
        }
        self.revoked.hear(&list);
        self.next_update = Some(self.next_update.map_or(next, |known| known.min(next)));
        Ok(())
    }
}

/// A list that webpki reads as well, and nothing behind it.
fn read(index: usize, der: &[u8]) -> Result<CertificateRevocationList<'_>, CertFault> {
    let malformed = |reason: String| CertFault::MalformedList { index, reason };
    webpki::BorrowedCertRevocationList::from_der(der).map_err(|e| malformed(e.to_string()))?;
    let (rest, list) = CertificateRevocationList::from_der(der).map_err(|e| malformed(e.to_string()))?;
    if rest.is_empty() { Ok(list) } else { Err(malformed("bytes behind the list".to_owned())) }
}
