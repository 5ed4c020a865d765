//! Which fields of a record are masked.
//!
//! A record never carries header values, bodies, prompts, tokens or findings' values; what can be redacted is the little text of a
//! caller's that it does carry.

/// A text in a record that an operator may have masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    PeerAddress,
    UserId,
    Tenant,
    OnBehalfOf,
    PriorActors,
    Method,
    Host,
    Path,
    Model,
    Sni,
    PeerName,
    PeerCertificate,
    Detail,
}

/// Fields by pointer into the event, and the request header they come from.
const FIELDS: &[(Field, &str, &str)] = &[
    (Field::PeerAddress, "/src_endpoint/ip", ""),
    (Field::UserId, "/actor/user/uid", ""),
    (Field::UserId, "/user/uid", ""),
    (Field::Tenant, "/actor/user/org/uid", ""),
    (Field::OnBehalfOf, "/unmapped/postern/on_behalf_of/uid", ""),
    (Field::PriorActors, "/unmapped/postern/prior_actors", ""),
    (Field::Method, "/http_request/http_method", ":method"),
    (Field::Host, "/http_request/url/hostname", "host"),
    (Field::Host, "/http_request/url/hostname", ":authority"),
    (Field::Path, "/http_request/url/path", ":path"),
    (Field::Model, "/unmapped/postern/model", ""),
    (Field::Sni, "/unmapped/postern/tls/sni", ""),
    (Field::PeerName, "/unmapped/postern/tls/peer", ""),
    (Field::PeerCertificate, "/unmapped/postern/tls/certificate_sha256", ""),
    (Field::Detail, "/unmapped/postern/detail", ""),
];

/// Why an entry of `redact` cannot be honoured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedactionError {
    #[error("`{0}` names no text of a record; those that can be redacted are {known}", known = known())]
    UnknownPointer(String),
    #[error("`{0}` is neither a JSON pointer nor a header name")]
    NotAName(String),
}

fn known() -> String {
    FIELDS.iter().map(|(_, pointer, _)| format!("`{pointer}`")).collect::<Vec<_>>().join(", ")
}

/// Compiled `redact` list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Redaction(u32);

impl Redaction {
    /// Compiles `redact`. A pointer masks every text at it and below it. A header name masks what the record takes from that
    /// header; a header that no record carries is already absent, so its name is accepted.
    ///
    /// # Errors
    /// [`RedactionError`] for the first entry that is no name, or a pointer at nothing: it would leave open what it was to hide.
    pub fn compile<S: AsRef<str>>(redact: &[S]) -> Result<Self, RedactionError> {
        let mut mask = 0;
        for entry in redact {
            mask |= fields_of(entry.as_ref())?;
        }
        Ok(Self(mask))
    }

    pub(super) fn masks(self, field: Field) -> bool {
        self.0 & bit(field) != 0
    }
}

fn bit(field: Field) -> u32 {
    let place = FIELDS.iter().position(|(f, ..)| *f == field).and_then(|at| u32::try_from(at).ok());
    place.and_then(|at| 1u32.checked_shl(at)).unwrap_or(0)
}

fn fields_of(entry: &str) -> Result<u32, RedactionError> {
    let select = |chosen: &dyn Fn(&str, &str) -> bool| {
        FIELDS.iter().filter(|(_, pointer, header)| chosen(pointer, header)).fold(0, |mask, (f, ..)| mask | bit(*f))
    };
    if entry.starts_with('/') {
        let below = |pointer: &str, _: &str| {
            pointer.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        return match select(&below) {
            0 => Err(RedactionError::UnknownPointer(entry.to_owned())),
            mask => Ok(mask),
        };
    }
    let name = entry.strip_prefix(':').unwrap_or(entry);
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(RedactionError::NotAName(entry.to_owned()));
    }
    Ok(select(&|_, header| header.eq_ignore_ascii_case(entry)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_mask_what_is_at_and_below_them() {
        let all = Redaction::compile(&["/http_request"]).unwrap();
        assert!(all.masks(Field::Path) && all.masks(Field::Host) && all.masks(Field::Method));
        assert!(!all.masks(Field::UserId) && !all.masks(Field::PeerAddress));
        let one = Redaction::compile(&["/actor/user/uid"]).unwrap();
        assert!(one.masks(Field::UserId) && !one.masks(Field::Tenant));
        assert!(Redaction::compile(&["Host", "x-internal"]).unwrap().masks(Field::Host));
        assert_eq!(Redaction::compile(&["x-internal"]), Ok(Redaction::default()), "no record carries it");
    }

    #[test]
    fn an_entry_that_hides_nothing_is_refused() {
        for entry in ["/http_request/url/pat", "/http", "/", "/class_uid", "/time"] {
            assert_eq!(Redaction::compile(&[entry]), Err(RedactionError::UnknownPointer(entry.into())));
        }
        for entry in ["", "two words", "a:b"] {
            assert_eq!(Redaction::compile(&[entry]), Err(RedactionError::NotAName(entry.into())));
        }
    }
}
