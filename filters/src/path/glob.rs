//! Globs over paths: `*` stays within a segment, `**` crosses them, and a glob speaks of the whole path.
//!
//! One meaning for every manifest: `paths` of an allow list and `resources` of a permission. `/v1/**` is what lies below
//! `/v1`, and not `/v1` itself.

/// A set of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathGlob {
    /// What stands before the first star; equal to the whole glob where there is none.
    prefix: String,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// Any bytes but `/`.
    Segment,
    /// Any bytes.
    Across,
}

impl PathGlob {
    /// Every text is a glob; one that begins with neither `/` nor `**` matches no path.
    #[must_use]
    pub fn new(glob: &str) -> Self {
        let prefix = glob.split('*').next().unwrap_or_default();
        let mut tokens: Vec<Token> = Vec::with_capacity(glob.len());
        for byte in glob.bytes() {
            match (byte, tokens.last_mut()) {
                (b'*', Some(last @ (Token::Segment | Token::Across))) => *last = Token::Across,
                (b'*', _) => tokens.push(Token::Segment),
                (byte, _) => tokens.push(Token::Byte(byte)),
            }
        }
        Self { prefix: prefix.to_owned(), tokens }
    }

    /// Whether `path`, canonical and without query, is in the set. Costs at most length of the path × length of the glob.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix(self.prefix.as_str()) else {
            return false;
        };
        let tokens = self.tokens.get(self.prefix.len()..).unwrap_or_default();
        match tokens {
            [] => return rest.is_empty(),
            [Token::Segment] => return !rest.contains('/'),
            [Token::Across] => return true,
            _ => {}
        }
        // `live[i]`: the bytes so far can be the first `i` tokens.
        let mut live = vec![false; tokens.len() + 1];
        if let Some(first) = live.first_mut() {
            *first = true;
        }
        pass_stars(tokens, &mut live);
        let mut next = live.clone();
        for byte in rest.bytes() {
            advance(tokens, &live, &mut next, byte);
            pass_stars(tokens, &mut next);
            std::mem::swap(&mut live, &mut next);
        }
        live.last().copied().unwrap_or(false)
    }
}

fn advance(tokens: &[Token], live: &[bool], next: &mut [bool], byte: u8) {
    let mut arrives = false;
    for ((token, here), slot) in tokens.iter().zip(live).zip(next.iter_mut()) {
        let stays = *here && (*token == Token::Across || (*token == Token::Segment && byte != b'/'));
        *slot = stays || arrives;
        arrives = *here && *token == Token::Byte(byte);
    }
    if let Some(last) = next.last_mut() {
        *last = arrives;
    }
}

/// A star may stand for nothing.
fn pass_stars(tokens: &[Token], live: &mut [bool]) {
    let mut passes = false;
    for (at, slot) in live.iter_mut().enumerate() {
        *slot |= passes;
        passes = *slot && matches!(tokens.get(at), Some(Token::Segment | Token::Across));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stays_in_its_segment_unless_doubled() {
        for (glob, path, want) in [
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/a", "/ab", false),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/", true),
            ("/a/*", "/a/b/c", false),
            ("/a/*", "/a", false),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/a", false),
            ("/a/**", "/ab/c", false),
            ("/a/*/c", "/a/b/c", true),
            ("/a/*/c", "/a/b/b/c", false),
            ("/a/**/c", "/a/b/b/c", true),
            ("/a/**/c", "/a/c", false),
            ("/**", "/", true),
            ("**", "/a/b", true),
            ("*", "/a", false),
            ("/v1/x-*.json", "/v1/x-1.json", true),
            ("/v1/x-*.json", "/v1/x-1/2.json", false),
            ("/a.c", "/abc", false),
            ("/a/***", "/a/b/c", true),
            ("", "/", false),
            ("/ä*", "/äö", true),
        ] {
            assert_eq!(PathGlob::new(glob).matches(path), want, "{glob} {path}");
        }
    }

    #[test]
    fn attack_45_a_hostile_path_costs_its_length_times_the_globs() {
        // By trying every split this would take 8192 to the power of the number of stars.
        let glob = PathGlob::new(&"/**/a".repeat(40));
        let path = "/a".repeat(4096);
        assert!(!glob.matches(&format!("{path}/b")));
        assert!(glob.matches(&path));
    }

    /// The definition, by recursion.
    fn means(glob: &[u8], path: &[u8]) -> bool {
        match glob {
            [] => path.is_empty(),
            [b'*', b'*', rest @ ..] => {
                let rest = &rest[rest.iter().take_while(|b| **b == b'*').count()..];
                (0..=path.len()).any(|n| means(rest, &path[n..]))
            }
            [b'*', rest @ ..] => {
                let end = path.iter().position(|b| *b == b'/').unwrap_or(path.len());
                (0..=end).any(|n| means(rest, &path[n..]))
            }
            [byte, rest @ ..] => path.first() == Some(byte) && means(rest, &path[1..]),
        }
    }

    proptest! {
        #[test]
        fn matches_what_the_definition_says(glob in "[/ab*]{0,10}", path in "[/ab]{0,10}") {
            prop_assert_eq!(PathGlob::new(&glob).matches(&path), means(glob.as_bytes(), path.as_bytes()));
        }
    }
}
