//! URLs of places inside, in every spelling that a resolver takes for one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use postern_config::address::AddressClass;
use regex::{Captures, Regex};

use super::prose::{PROSE, is_prose};
use super::rules::Rules;
use super::{DOUBT, SURE};

/// Schemes that a server follows and no client needs, and all with an authority. That a scheme is no end of a longer word is
/// looked at behind the match: automata that know Unicode's words are slow where a text is not ASCII.
static URL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:(?P<odd>gopher|dict|ldaps?|tftp|sftp|netdoc|jar|rmi|smb|cifs)\s{0,2}:|(?:https?|ftp|wss?)\s{0,2}:|^)\s{0,2}[/\\]{2}(?P<authority>[^/\\?#\s\x22'<>]{1,256})").ok()
});

/// URLs that are looked at in one value.
const MOST: usize = 64;

pub(super) fn score(text: &str) -> u8 {
    named(text).max(urls_inside(text))
}

/// What only the services of clouds that know secrets have in their names, with a scheme or without.
fn named(text: &str) -> u8 {
    static NAMED: LazyLock<Rules> = LazyLock::new(|| {
        Rules::new(&[
            r"(?:^|[^\d.])169\.254\.169\.254(?:[^\d.]|$)|(?:^|[^\d.])169\.254\.170\.2/",
            r"(?i)latest/(?:meta-data|user-data|dynamic/instance-identity)|computeMetadata/v1|/opc/v[12]/instance|metadata/instance\?api-version",
            r"(?i)^\s{0,4}file:/{1,3}\w|\bhttps?:[/\\]?(?:127\.\d|10\.\d{1,3}\.\d|192\.168\.|169\.254\.|localhost\b|\[::)",
            r"(?i)\bjar:(?:https?|ftp|file):|\b(?:local_file|netdoc|unix|url:(?:file|https?)):/{1,3}",
        ])
    });
    // All of them have a dot, a slash or a colon in them, and most texts have one of the two latter only in a URL.
    if memchr::memmem::find(text.as_bytes(), b"169.254").is_none() && memchr::memchr(b'/', text.as_bytes()).is_none() {
        return 0;
    }
    NAMED.score(text)
}

fn urls_inside(text: &str) -> u8 {
    if !has_authority(text.as_bytes()) {
        return 0;
    }
    let Some(pattern) = URL.as_ref() else { return 100 };
    let inside = urls(pattern, text).take(MOST).find(|url| {
        url.name("odd").is_some() || url.name("authority").is_some_and(|authority| leads_inside(authority.as_str()))
    });
    match inside.and_then(|url| url.get(0)) {
        Some(url) if is_prose(text, url.start(), PROSE) => DOUBT,
        Some(_) => SURE,
        None => 0,
    }
}

/// Whether two slashes stand next to each other, of whichever kind: no authority begins without them.
fn has_authority(text: &[u8]) -> bool {
    let is_slash = |b: &u8| matches!(b, b'/' | b'\\');
    memchr::memchr2_iter(b'/', b'\\', text).any(|at| text.get(at + 1).is_some_and(is_slash))
}

/// URLs in `text` from left to right; none begins inside a word.
fn urls<'t>(pattern: &'t Regex, text: &'t str) -> impl Iterator<Item = Captures<'t>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let url = pattern.captures_at(text, from)?;
            let whole = url.get(0)?;
            let before = text.get(..whole.start()).and_then(|before| before.chars().next_back());
            if before.is_some_and(is_of_word) {
                // A scheme begins with one letter of ASCII, or with one that is written like it.
                from = whole.start() + whole.as_str().chars().next().map_or(1, char::len_utf8);
                continue;
            }
            from = whole.end();
            return Some(url);
        }
    })
}

fn is_of_word(c: char) -> bool {
    regex_syntax::try_is_word_character(c).unwrap_or(false)
}

/// `user@host:port`: of several `@` the last counts, and what stands before it may be what a careless reader takes for the host.
fn leads_inside(authority: &str) -> bool {
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    is_inside(bare) || authority.contains('@') && authority.split(['@', ':']).any(is_inside)
}

fn is_inside(host: &str) -> bool {
    const NAMES: &[&str] = &["localhost", "metadata", "instance-data", "kubernetes", "host.docker.internal"];
    const ENDS: &[&str] = &[
        ".localhost",
        ".internal",
        ".local",
        ".localdomain",
        ".intranet",
        ".lan",
        ".corp",
        ".home.arpa",
        ".svc",
        ".cluster.local",
        ".consul",
    ];
    /// Names that resolve to whatever address they spell.
    const MIRRORS: &[&str] =
        &[".nip.io", ".sslip.io", ".xip.io", ".localtest.me", ".lvh.me", ".vcap.me", ".1u.ms", ".rbndr.us"];
    let folded: String = host.chars().flat_map(compatible).collect();
    let host = folded.trim_end_matches('.').to_ascii_lowercase();
    let dotted = format!(".{host}");
    if let Some(address) = address(&host) {
        return AddressClass::of(address) != AddressClass::Public;
    }
    NAMES.contains(&host.as_str()) || ENDS.iter().chain(MIRRORS).any(|end| dotted.ends_with(end))
}

/// Full-width digits, circled letters and dots of other scripts, as resolvers map them.
fn compatible(c: char) -> impl Iterator<Item = char> {
    let mut out = Vec::new();
    unicode_normalization::char::decompose_compatible(c, |d| out.push(if d == '\u{3002}' { '.' } else { d }));
    out.into_iter()
}

/// As `inet_aton` reads it too: one to four numbers, each decimal, octal or hexadecimal.
fn address(host: &str) -> Option<IpAddr> {
    if let Ok(v6) = host.split('%').next().unwrap_or(host).parse::<Ipv6Addr>() {
        return Some(IpAddr::V6(v6));
    }
    let numbers: Vec<u32> = host.split('.').take(5).map(number).collect::<Option<_>>()?;
    let (last, first) = numbers.split_last()?;
    if first.len() > 3 || first.iter().any(|number| *number > 255) {
        return None;
    }
    let shift = |index: usize| 24_usize.saturating_sub(index.saturating_mul(8));
    let high = first.iter().enumerate().fold(0_u32, |sum, (index, number)| sum | number << shift(index));
    // The last fills what is left.
    let room = 32_usize.saturating_sub(first.len().saturating_mul(8));
    let fits = u64::from(*last) < 1_u64 << room;
    fits.then(|| IpAddr::V4(Ipv4Addr::from(high | last)))
}

fn number(text: &str) -> Option<u32> {
    match (text.strip_prefix("0x"), text.strip_prefix('0')) {
        (Some(hex), _) => u32::from_str_radix(hex, 16).ok(),
        (None, Some(octal)) if !octal.is_empty() => u32::from_str_radix(octal, 8).ok(),
        _ => text.parse().ok(),
    }
}
