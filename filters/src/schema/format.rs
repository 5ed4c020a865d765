//! Formats of strings, each by its standard and in its strictest reading. Formats of numbers hold for numbers alone.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_config::Format;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(super) fn holds(format: Format, text: &str) -> bool {
    match format {
        Format::Int32 | Format::Int64 | Format::Float | Format::Double | Format::Password => true,
        Format::Byte => STANDARD.decode(text).is_ok(),
        Format::Date => is_date(text),
        Format::Time => is_time(text),
        Format::DateTime => is_moment(text),
        Format::Email => is_email(text),
        Format::Hostname => is_hostname(text),
        Format::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
        Format::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
        Format::Uri => is_uri(text, true),
        Format::UriReference => is_uri(text, false),
        Format::Uuid => is_uuid(text),
        Format::JsonPointer => is_pointer(text),
    }
}

/// RFC 3339 §5.6, with a real day.
fn is_date(text: &str) -> bool {
    text.len() == 10 && is_moment(&format!("{text}T00:00:00Z"))
}

fn is_time(text: &str) -> bool {
    text.is_ascii() && is_moment(&format!("2000-01-01T{text}"))
}

fn is_moment(text: &str) -> bool {
    text.is_ascii()
        && text.as_bytes().get(10).is_some_and(|byte| matches!(byte, b'T' | b't'))
        && OffsetDateTime::parse(text, &Rfc3339).is_ok()
}

/// A dot-string and a host name (RFC 5321 §4.1.2): no quotes, no comments, no address literals.
fn is_email(text: &str) -> bool {
    let atom = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    text.len() <= 254
        && text
            .rsplit_once('@')
            .is_some_and(|(local, host)| local.len() <= 64 && local.split('.').all(atom) && is_hostname(host))
}

/// RFC 1123 §2.1.
fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (1..=253).contains(&text.len()) && text.split('.').all(label)
}

/// The characters of RFC 3986, whole escapes, and a scheme where one is wanted.
fn is_uri(text: &str, absolute: bool) -> bool {
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = match (byte, tail) {
            (b'%', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => behind,
            (b'%', _) => return false,
            (byte, tail) if byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(byte) => tail,
            _ => return false,
        };
    }
    if text.matches('#').count() > 1 {
        return false;
    }
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    };
    match scheme {
        Some(scheme) if is_scheme(scheme) => true,
        // A colon in the first segment of a reference would be one of a scheme.
        Some(before) => !absolute && before.contains(['/', '?', '#']),
        None => !absolute,
    }
}

/// RFC 9562 §4.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// RFC 6901 §3.
fn is_pointer(text: &str) -> bool {
    let escapes = |step: &str| step.split('~').skip(1).all(|behind| behind.starts_with(['0', '1']));
    text.is_empty() || text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(escapes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_hold_for_what_their_standard_says() {
        for (name, text, want) in [
            ("date", "2026-02-28", true),
            ("date", "2026-02-30", false),
            ("date", "2026-2-3", false),
            ("time", "12:00:00Z", true),
            ("time", "25:00:00Z", false),
            ("time", "12:00:00", false),
            ("date-time", "2026-11-22T10:00:00.5+01:00", true),
            ("date-time", "2026-11-22 10:00:00Z", false),
            ("date-time", "2026-11-22T10:00:00", false),
            ("email", "mia@example.com", true),
            ("email", "a@b@example.com", false),
            ("email", ".a@example.com", false),
            ("email", "mia@-x.com", false),
            ("email", "mia@ex\u{e4}mple.com", false),
            ("hostname", "api.example.com", true),
            ("hostname", "-x", false),
            ("hostname", "x..y", false),
            ("ipv4", "192.0.2.1", true),
            ("ipv4", "192.0.2.01", false),
            ("ipv6", "2001:db8::1", true),
            ("ipv6", "2001:db8::1%eth0", false),
            ("uri", "https://example.com/a?b#c", true),
            ("uri", "/a/b", false),
            ("uri", "https://example.com/a b", false),
            ("uri", "https://example.com/%zz", false),
            ("uri-reference", "/a/b?c:d", true),
            ("uri-reference", "1a:b", false),
            ("uuid", "0192f1c2-6d3e-7c11-9f5e-3f0c9f0e7a11", true),
            ("uuid", "0192f1c26d3e7c119f5e3f0c9f0e7a11", false),
            ("byte", "aGk=", true),
            ("byte", "aGk", false),
            ("byte", "a-_=", false),
            ("json-pointer", "/a~1b/0", true),
            ("json-pointer", "a", false),
            ("json-pointer", "/a~2", false),
            ("password", "anything", true),
        ] {
            assert_eq!(holds(Format::named(name).unwrap(), text), want, "{name} {text}");
        }
    }
}
