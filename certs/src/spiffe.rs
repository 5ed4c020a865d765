//! SPIFFE IDs, read as strictly as the SPIFFE ID specification writes them, and the globs that name sets of them.

use std::fmt;

/// A SPIFFE ID: `spiffe://` trust domain, and a path of segments. Kept as written; there is nothing to normalise.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    text: String,
    /// Where the path begins in `text`: its length where there is none.
    path: usize,
}

/// Why a text is not a SPIFFE ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeError {
    #[error("longer than {} bytes", SpiffeId::MAX)]
    TooLong,
    #[error("does not begin with `spiffe://`")]
    Scheme,
    #[error(
        "the trust domain is empty, longer than 255 bytes, or holds something else than a-z, 0-9, `.`, `-` and `_`"
    )]
    TrustDomain,
    #[error("a path segment is empty, `.` or `..`, or holds something else than letters, digits, `.`, `-` and `_`")]
    Segment,
}

const SCHEME: &str = "spiffe://";

impl SpiffeId {
    /// Longest ID, in bytes (SPIFFE ID §2.3).
    pub const MAX: usize = 2048;

    /// Reads an ID. User info, port, query, fragment and percent-encoding are not in the alphabet, so they are refused
    /// with it; so are an empty segment, `.`, `..` and a trailing slash (SPIFFE ID §2.1, §2.2).
    ///
    /// # Errors
    /// [`SpiffeError`] says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, SpiffeError> {
        if text.len() > Self::MAX {
            return Err(SpiffeError::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeError::Scheme)?;
        let (domain, path) = match rest.split_once('/') {
            Some((domain, path)) => (domain, Some(path)),
            None => (rest, None),
        };
        if !is_trust_domain(domain) {
            return Err(SpiffeError::TrustDomain);
        }
        if path.is_some_and(|path| !path.split('/').all(is_segment)) {
            return Err(SpiffeError::Segment);
        }
        Ok(Self { text: text.to_owned(), path: SCHEME.len() + domain.len() })
    }

    /// The ID as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `example.org` of `spiffe://example.org/ns/agents`.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        self.text.get(SCHEME.len()..self.path).unwrap_or_default()
    }

    /// The path's segments: `ns` and `agents` of `spiffe://example.org/ns/agents`; none for a trust domain's own ID.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.text.get(self.path..).unwrap_or_default().split('/').skip(1)
    }
}

fn is_trust_domain(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    (1..=255).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_segment(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !matches!(text, "" | "." | "..") && text.bytes().all(allowed)
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A set of SPIFFE IDs of one trust domain: `*` is any run of characters of a segment, `**` any run across segments.
/// `spiffe://example.org/ns/agents/**` holds everything below `agents`, not `agents` itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpiffeGlob {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Byte(u8),
    Star,
    DoubleStar,
}

impl SpiffeGlob {
    /// Reads a glob. A star in the trust domain is refused: `spiffe://example.org**` would hold `example.org.evil` too.
    ///
    /// # Errors
    /// [`SpiffeError`], as if each star stood for a letter.
    pub fn parse(text: &str) -> Result<Self, SpiffeError> {
        let domain = text.strip_prefix(SCHEME).ok_or(SpiffeError::Scheme)?.split('/').next();
        if domain.is_none_or(|domain| domain.contains('*')) {
            return Err(SpiffeError::TrustDomain);
        }
        SpiffeId::parse(&text.replace('*', "x"))?;
        Ok(Self { text: text.to_owned(), tokens: tokens(text) })
    }

    /// The glob as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `id` is in the set. Costs at most length of the ID × length of the glob.
    #[must_use]
    pub fn matches(&self, id: &SpiffeId) -> bool {
        let mut live = vec![false; self.tokens.len() + 1];
        if let Some(first) = live.first_mut() {
            *first = true;
        }
        self.skip_stars(&mut live);
        for byte in id.text.bytes() {
            live = self.step(&live, byte);
        }
        live.last().copied().unwrap_or(false)
    }

    /// The positions of the glob that are live once `byte` was read.
    fn step(&self, live: &[bool], byte: u8) -> Vec<bool> {
        let mut next = vec![false; live.len()];
        for ((at, token), _) in self.tokens.iter().enumerate().zip(live).filter(|(_, live)| **live) {
            let to = match token {
                Token::Byte(b) if *b == byte => at + 1,
                Token::Star if byte != b'/' => at,
                Token::DoubleStar => at,
                Token::Byte(_) | Token::Star => continue,
            };
            if let Some(slot) = next.get_mut(to) {
                *slot = true;
            }
        }
        self.skip_stars(&mut next);
        next
    }

    /// A star may stand for nothing.
    fn skip_stars(&self, live: &mut [bool]) {
        let mut before = false;
        for (at, slot) in live.iter_mut().enumerate() {
            *slot |= before;
            before = *slot && matches!(self.tokens.get(at), Some(Token::Star | Token::DoubleStar));
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        match (byte, tokens.last_mut()) {
            (b'*', Some(last @ Token::Star)) => *last = Token::DoubleStar,
            (b'*', Some(Token::DoubleStar)) => {}
            (b'*', _) => tokens.push(Token::Star),
            (byte, _) => tokens.push(Token::Byte(byte)),
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_only_what_the_specification_allows() {
        let long = format!("spiffe://example.org/{}", "a".repeat(SpiffeId::MAX - 21));
        let longer = format!("{long}a");
        for (text, want) in [
            ("spiffe://example.org", Ok(())),
            ("spiffe://example.org/ns/acme/sa/bot", Ok(())),
            ("spiffe://e_x-4.org/A.b_c-9/...", Ok(())),
            (long.as_str(), Ok(())),
            (longer.as_str(), Err(SpiffeError::TooLong)),
            ("", Err(SpiffeError::Scheme)),
            ("SPIFFE://example.org/a", Err(SpiffeError::Scheme)),
            ("https://example.org/a", Err(SpiffeError::Scheme)),
            ("spiffe:/example.org/a", Err(SpiffeError::Scheme)),
            (" spiffe://example.org/a", Err(SpiffeError::Scheme)),
            ("spiffe://", Err(SpiffeError::TrustDomain)),
            ("spiffe:///a", Err(SpiffeError::TrustDomain)),
            ("spiffe://Example.org/a", Err(SpiffeError::TrustDomain)),
            ("spiffe://example.org:443/a", Err(SpiffeError::TrustDomain)),
            ("spiffe://user@example.org/a", Err(SpiffeError::TrustDomain)),
            ("spiffe://example.org?x=1", Err(SpiffeError::TrustDomain)),
            ("spiffe://example.org#x", Err(SpiffeError::TrustDomain)),
            ("spiffe://exämple.org/a", Err(SpiffeError::TrustDomain)),
            ("spiffe://example.org/", Err(SpiffeError::Segment)),
            ("spiffe://example.org/a/", Err(SpiffeError::Segment)),
            ("spiffe://example.org//a", Err(SpiffeError::Segment)),
            ("spiffe://example.org/a/./b", Err(SpiffeError::Segment)),
            ("spiffe://example.org/a/../b", Err(SpiffeError::Segment)),
            ("spiffe://example.org/a%2fb", Err(SpiffeError::Segment)),
            ("spiffe://example.org/a?x=1", Err(SpiffeError::Segment)),
            ("spiffe://example.org/a#x", Err(SpiffeError::Segment)),
            ("spiffe://example.org/a*", Err(SpiffeError::Segment)),
            ("spiffe://example.org/a\0b", Err(SpiffeError::Segment)), // attack 30
            ("spiffe://example.org/a b", Err(SpiffeError::Segment)),
            ("spiffe://example.org/ä", Err(SpiffeError::Segment)),
        ] {
            assert_eq!(SpiffeId::parse(text).map(|_| ()), want, "{text}");
        }
    }

    #[test]
    fn names_its_parts() {
        let id = SpiffeId::parse("spiffe://example.org/ns/acme/sa/bot").unwrap();
        assert_eq!(id.trust_domain(), "example.org");
        assert_eq!(id.segments().collect::<Vec<_>>(), ["ns", "acme", "sa", "bot"]);
        let root = SpiffeId::parse("spiffe://example.org").unwrap();
        assert_eq!(root.trust_domain(), "example.org");
        assert_eq!(root.segments().count(), 0);
    }

    #[test]
    fn a_glob_stays_in_its_segment_unless_doubled() {
        for (glob, id, want) in [
            ("spiffe://example.org/ns/agents/**", "spiffe://example.org/ns/agents/sa/bot", true),
            ("spiffe://example.org/ns/agents/**", "spiffe://example.org/ns/agents", false),
            ("spiffe://example.org/ns/agents/**", "spiffe://example.org/ns/agentsx/sa", false),
            ("spiffe://example.org/ns/*/sa/bot", "spiffe://example.org/ns/acme/sa/bot", true),
            ("spiffe://example.org/ns/*/sa/bot", "spiffe://example.org/ns/a/b/sa/bot", false),
            ("spiffe://example.org/ns/*", "spiffe://example.org/ns/a/b", false),
            ("spiffe://example.org/ns/ci-*", "spiffe://example.org/ns/ci-7", true),
            ("spiffe://example.org/ns/ci-*", "spiffe://example.org/ns/ci-", true),
            ("spiffe://example.org/**/bot", "spiffe://example.org/a/b/bot", true),
            ("spiffe://example.org/**", "spiffe://example.org.evil/a", false),
            ("spiffe://example.org/a", "spiffe://example.org/a", true),
            ("spiffe://example.org/a", "spiffe://example.org/a/b", false),
            ("spiffe://example.org/a", "spiffe://example.org", false),
        ] {
            let id = SpiffeId::parse(id).unwrap();
            assert_eq!(SpiffeGlob::parse(glob).unwrap().matches(&id), want, "{glob} on {id}");
        }
    }

    #[test]
    fn a_glob_never_leaves_its_trust_domain_open() {
        for glob in ["spiffe://**", "spiffe://*/a", "spiffe://example.org**", "spiffe://*.org/a", "*", "spiffe://a/*/"]
        {
            SpiffeGlob::parse(glob).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_made_of_its_parts(text in "spiffe://[a-z0-9._-]{1,12}(/[a-zA-Z0-9_-]{1,6}){0,4}") {
            let id = SpiffeId::parse(&text).unwrap();
            let path: String = id.segments().flat_map(|s| ["/", s]).collect();
            prop_assert_eq!(format!("spiffe://{}{path}", id.trust_domain()), text.clone());
            prop_assert!(SpiffeGlob::parse(&text).unwrap().matches(&id));
        }

        #[test]
        fn reading_never_panics(text in "\\PC{0,64}") {
            let _ = SpiffeId::parse(&text);
            let _ = SpiffeGlob::parse(&text);
        }
    }
}
