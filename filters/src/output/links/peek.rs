//! The next character of a text, as a renderer reads it.

use super::Ahead;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peek {
    /// A character, and the bytes that spell it.
    Char(char, usize),
    End,
    /// More has to be known.
    Open,
}

/// Bytes of an entity.
const LONGEST_ENTITY: usize = 16;

/// Of entities those count that could be of an address; an escape of a colon is one.
pub(super) fn peek(text: &str, ahead: Ahead) -> Peek {
    let Some(first) = text.chars().next() else {
        return if ahead == Ahead::Nothing { Peek::End } else { Peek::Open };
    };
    match first {
        '&' => entity(text, ahead),
        '\\' if text.starts_with("\\:") => Peek::Char(':', 2),
        '\\' if text.len() == 1 && ahead != Ahead::Nothing => Peek::Open,
        _ => Peek::Char(first, first.len_utf8()),
    }
}

fn entity(text: &str, ahead: Ahead) -> Peek {
    let body = text.get(1..).unwrap_or_default();
    let end = body
        .char_indices()
        .find(|(at, c)| !(c.is_ascii_alphanumeric() || *at == 0 && *c == '#') || *at >= LONGEST_ENTITY);
    let (name, terminated) = match end {
        Some((at, ';')) => (body.get(..at).unwrap_or_default(), true),
        Some((at, _)) => (body.get(..at).unwrap_or_default(), false),
        None if ahead == Ahead::More && body.len() < LONGEST_ENTITY => return Peek::Open,
        None => (body, false),
    };
    let length = 1 + name.len() + usize::from(terminated);
    match decoded(name, terminated) {
        Some(letter) => Peek::Char(letter, length),
        None => Peek::Char('&', 1),
    }
}

/// What an entity stands for. Numbers do without their end.
fn decoded(name: &str, terminated: bool) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return code.ok().and_then(char::from_u32);
    }
    let letter = match name {
        "colon" => ':',
        "sol" => '/',
        "bsol" => '\\',
        "period" => '.',
        "commat" => '@',
        "Tab" => '\t',
        "NewLine" => '\n',
        "num" => '#',
        "quest" => '?',
        "percnt" => '%',
        "lowbar" | "UnderBar" => '_',
        "lsqb" | "lbrack" => '[',
        _ => return None,
    };
    terminated.then_some(letter)
}
