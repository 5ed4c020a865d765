//! What went wrong on a socket, in words that are safe to keep.
//!
//! Pingora's errors quote what it was reading or writing when they happened: heads with tokens in them. Records and
//! logs get the kind of the error and its cause, never its context.

use pingora_core::Error;

/// Longest cause that is kept.
const LONGEST: usize = 200;

/// The kind of `error`, and the first cause that is not Pingora's own.
pub(crate) fn of(error: &Error) -> String {
    let kind = error.etype.as_str();
    let mut cause = error.cause.as_deref();
    while let Some(found) = cause {
        if let Some(own) = found.downcast_ref::<Box<Error>>() {
            cause = own.cause.as_deref();
            continue;
        }
        // An I/O error says little where it only wraps another, as rustls does.
        let text = match found.source() {
            Some(source) => format!("{found}: {source}"),
            None => found.to_string(),
        };
        return format!("{kind}: {}", shortened(&text));
    }
    kind.to_owned()
}

fn shortened(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use pingora_core::ErrorType;

    use super::*;

    #[test]
    fn the_kind_and_the_cause_are_told_and_the_bytes_are_not() {
        let cause = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "reset by peer");
        let inner = Error::because(ErrorType::ReadError, "buf: Authorization: Bearer secret", cause);
        let outer = Error::because(ErrorType::InvalidHTTPHeader, "buf: Cookie: secret", inner);
        assert_eq!(of(&outer), "InvalidHTTPHeader: reset by peer");
        let bare = Error::explain(ErrorType::InvalidHTTPHeader, "buf: Bearer secret");
        assert_eq!(of(&bare), "InvalidHTTPHeader");
        let long = Error::because(ErrorType::ReadError, "", std::io::Error::other("ü".repeat(300)));
        assert!(of(&long).len() < 230);
    }
}
