//! The host of a link: read as strictly as the strictest reader would, so that no other finds another host in it.

use super::Ahead;
use crate::output::hosts::Hosts;

/// Where a link leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authority {
    /// To a host that is allowed, which ends after so many bytes.
    Allowed(usize),
    /// Elsewhere, or nobody can say.
    Foreign(usize),
    /// More has to be known.
    Open,
}

const LONGEST_HOST: usize = 254;
const LONGEST_PORT: usize = 5;
/// Marks behind a host, such as `).`, before the end of its word.
const MOST_MARKS: usize = 12;

/// Reads `text`, which begins with the host. A `closer` ends the link, whatever follows.
pub(super) fn authority(text: &str, closer: Option<char>, hosts: &Hosts, ahead: Ahead) -> Authority {
    let is_of_host = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    let end = text.bytes().take(LONGEST_HOST + 1).take_while(is_of_host).count();
    if end > LONGEST_HOST {
        return Authority::Foreign(end);
    }
    let (written, behind) = text.split_at_checked(end).unwrap_or((text, ""));
    if behind.is_empty() && ahead != Ahead::Nothing {
        return Authority::Open;
    }
    // Dots at the end of a sentence are not of the name, and behind those at the end of a name nothing of it follows.
    let host = written.trim_end_matches('.');
    if !hosts.allow(host) {
        return Authority::Foreign(end);
    }
    let port =
        behind.strip_prefix(':').map(|port| port.bytes().take(LONGEST_PORT + 1).take_while(u8::is_ascii_digit).count());
    let (behind, end) = match port.filter(|digits| *digits > 0) {
        Some(digits) if digits > LONGEST_PORT => return Authority::Foreign(end),
        Some(digits) => (behind.get(digits + 1..).unwrap_or_default(), end + digits + 1),
        None => (behind, end),
    };
    if behind.is_empty() && ahead != Ahead::Nothing {
        return Authority::Open;
    }
    if behind.starts_with(['/', '?', '#']) {
        return Authority::Allowed(end);
    }
    match word_ends(behind, closer, ahead) {
        Some(true) => Authority::Allowed(end),
        Some(false) => Authority::Foreign(end),
        None => Authority::Open,
    }
}

/// Whether nothing of a host can follow: readers take `example.com),more.org` for one name. `None` where more has to be known.
fn word_ends(behind: &str, closer: Option<char>, ahead: Ahead) -> Option<bool> {
    for (count, letter) in behind.chars().enumerate() {
        if letter.is_whitespace() || letter == '<' || count == 0 && closer == Some(letter) {
            return Some(true);
        }
        if count >= MOST_MARKS || !is_mark(letter) {
            return Some(false);
        }
    }
    (ahead == Ahead::Nothing).then_some(true)
}

/// Marks that end words, in any script.
fn is_mark(letter: char) -> bool {
    if letter.is_ascii() {
        return matches!(
            letter,
            '.' | ',' | ';' | ':' | '!' | '\'' | '"' | ')' | ']' | '}' | '>' | '*' | '_' | '~' | '`' | '|'
        );
    }
    matches!(letter, '…' | '’' | '”' | '»' | '）' | '，' | '、' | '！' | '：' | '；' | '」' | '』' | '】' | '》')
}
