//! Which hosts a link may lead to, and what of a text is a host.

use postern_config::host_matches;

use super::tops::{COUNTRIES, OTHERS};

/// Bytes of a name (RFC 1035 §2.3.4).
const LONGEST: usize = 253;

/// Lists of hosts, each of which must have a host.
#[derive(Debug)]
pub(super) struct Hosts(Vec<Vec<String>>);

impl Hosts {
    pub(super) fn new<'l>(lists: impl Iterator<Item = &'l [String]>) -> Self {
        Self(lists.map(<[String]>::to_vec).collect())
    }

    /// Whether links may lead to `host`, a name without port.
    pub(super) fn allow(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let is = |known: &String| host_matches(known, host);
        (1..=LONGEST).contains(&host.len()) && self.0.iter().all(|list| list.iter().any(is))
    }
}

/// What a name without a scheme is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Nothing,
    /// Renderers make a link of it.
    Host,
    /// They do, and something that could tell more than where must follow for it to count: `readme.md` is a name of a file.
    HostOfTwo,
}

/// Whether renderers make a link of `name`: it begins with `www.`, or ends with a top-level domain.
pub(super) fn named(name: &str) -> Named {
    let name = name.trim_end_matches(['.', '-', '_']);
    let labels = name.split('.').count();
    if labels < 2 || name.split('.').any(str::is_empty) {
        return Named::Nothing;
    }
    if name.get(..4).is_some_and(|www| www.eq_ignore_ascii_case("www.")) {
        return Named::Host;
    }
    let numeric = |label: &str| label.len() <= 3 && label.bytes().all(|b| b.is_ascii_digit());
    if labels == 4 && name.split('.').all(numeric) {
        return Named::HostOfTwo;
    }
    match name.rsplit('.').next() {
        Some(top) if is_top(top) && labels > 2 => Named::Host,
        Some(top) if is_top(top) => Named::HostOfTwo,
        _ => Named::Nothing,
    }
}

fn is_top(label: &str) -> bool {
    let lower = label.to_ascii_lowercase();
    let is = |known: &str| known == lower;
    lower.starts_with("xn--") || lower == "рф" || COUNTRIES.split(' ').any(is) || OTHERS.split(' ').any(is)
}

/// What a scheme means for a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `http` and `https`: where it leads can be told.
    Web,
    /// Others that take one slash for two, and a backslash for a slash.
    Special,
    /// It leads somewhere as soon as anything follows.
    Never,
    /// It leads somewhere with `//`, and in the place of a destination.
    Other,
}

pub(super) fn scheme(name: &str) -> Scheme {
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    if ["http", "https"].iter().any(is) {
        Scheme::Web
    } else if ["file", "ftp", "ws", "wss"].iter().any(is) {
        Scheme::Special
    } else if ["javascript", "vbscript", "mailto"].iter().any(is) {
        Scheme::Never
    } else {
        Scheme::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_in_every_list_or_not_allowed() {
        let lists = [vec!["good.example".to_owned(), "*.Docs.example".to_ascii_lowercase()]];
        let hosts = Hosts::new(lists.iter().map(Vec::as_slice));
        for (host, want) in [
            ("good.example", true),
            ("GOOD.example.", true),
            ("a.docs.example", true),
            ("docs.example", false),
            (".docs.example", false),
            ("a.b.docs.example", false),
            ("xgood.example", false),
            ("good.example.evil.com", false),
            ("", false),
            (".", false),
            ("éa.docs.example", true),
        ] {
            assert_eq!(hosts.allow(host), want, "{host}");
        }
        let both = [vec!["a.example".to_owned(), "b.example".to_owned()], vec!["b.example".to_owned()]];
        let hosts = Hosts::new(both.iter().map(Vec::as_slice));
        assert!(hosts.allow("b.example") && !hosts.allow("a.example"));
        let none: [Vec<String>; 1] = [Vec::new()];
        assert!(!Hosts::new(none.iter().map(Vec::as_slice)).allow("b.example"));
    }

    #[test]
    fn names_of_files_and_numbers_are_no_hosts() {
        for (name, want) in [
            ("www.evil", Named::Host),
            ("secret.evil.com", Named::Host),
            ("secret.evil.com.", Named::Host),
            ("a.b.io", Named::Host),
            ("a.xn--p1ai", Named::HostOfTwo),
            ("evil.com", Named::HostOfTwo),
            ("10.0.0.1", Named::HostOfTwo),
            ("readme.md", Named::HostOfTwo),
            ("node.js", Named::Nothing),
            ("self.config.value", Named::Nothing),
            ("e.g", Named::Nothing),
            ("e.g.", Named::Nothing),
            ("1.2.3", Named::Nothing),
            ("a..com", Named::Nothing),
            ("word", Named::Nothing),
        ] {
            assert_eq!(named(name), want, "{name}");
        }
    }
}
