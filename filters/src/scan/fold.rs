//! One character at a time into the form that detectors read.
//!
//! Two forms exist. *Plain* is what data detectors read: compatibility forms become what they stand for (full-width
//! and mathematical letters and digits become ASCII), every dash becomes `-`, every space ` `, and characters that
//! show nothing are left out. *Skeleton* is what the injection signatures read: plain, without accents, with letters
//! that look Latin made Latin. Letter case is kept in both. Nothing looks at more than one character, so a text cut
//! anywhere folds to the same.

use unicode_normalization::char::{decompose_canonical, decompose_compatible};

use super::pages::Pages;

/// Which of the two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Skeleton,
}

/// Hands the folded form of `c` to `emit`: nothing for an invisible character, at most 18 characters otherwise.
pub(crate) fn fold(form: Form, c: char, mut emit: impl FnMut(char)) {
    if c.is_ascii() {
        return emit(c);
    }
    if is_invisible(c) {
        return;
    }
    match form {
        Form::Plain => plain(c, emit),
        Form::Skeleton if is_ideograph(c) => emit(c),
        Form::Skeleton => match SKELETONS.get(c, remembered) {
            NOTHING => {}
            SEVERAL => skeleton(c, emit),
            one => emit(char::from_u32(one.into()).unwrap_or(c)),
        },
    }
}

/// Of a character that leaves nothing, and of one that is not remembered: no characters either.
const NOTHING: u16 = 0;
const SEVERAL: u16 = 0xFFFF;

/// The skeletons of characters.
static SKELETONS: Pages<u16> = Pages::new();

/// The skeleton of `c`, where it is one character of the basic plane or nothing.
fn remembered(c: char) -> u16 {
    let (mut one, mut count) = (NOTHING, 0);
    skeleton(c, |f| {
        one = u16::try_from(u32::from(f)).unwrap_or(SEVERAL);
        count += 1;
    });
    if count > 1 { SEVERAL } else { one }
}

fn skeleton(c: char, mut emit: impl FnMut(char)) {
    plain(c, |p| {
        decompose_canonical(p, |d| {
            if !is_accent(d) {
                emit(latin_lookalike(d));
            }
        });
    });
}

/// Unified ideographs, which have one form only.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FFF}')
}

fn plain(c: char, mut emit: impl FnMut(char)) {
    if is_stable(c) {
        return emit(c);
    }
    if let Some(mark) = punctuation(c) {
        return emit(mark);
    }
    // A character with only a canonical decomposition (`é`) stays whole, as patterns are written with it.
    let (mut canonical, mut compatible) = (0_u32, 0_u32);
    decompose_canonical(c, |_| canonical += 1);
    let mut same = true;
    decompose_compatible(c, |_| compatible += 1);
    if canonical == compatible {
        let mut first = None;
        decompose_canonical(c, |d| first = first.or(Some(d)));
        decompose_compatible(c, |d| {
            if let Some(f) = first.take() {
                same = f == d;
            }
        });
        if same {
            return emit(c);
        }
    }
    decompose_compatible(c, |d| {
        if !is_invisible(d) {
            emit(punctuation(d).unwrap_or(d));
        }
    });
}

/// Blocks of common scripts without compatibility forms, so that ordinary text pays no table look-up.
fn is_stable(c: char) -> bool {
    matches!(c,
        '\u{C0}'..='\u{131}' | '\u{391}'..='\u{3CE}' | '\u{400}'..='\u{52F}' | '\u{5D0}'..='\u{5EA}'
        | '\u{620}'..='\u{64A}' | '\u{904}'..='\u{939}' | '\u{E01}'..='\u{E30}' | '\u{3041}'..='\u{3096}'
        | '\u{30A1}'..='\u{30FA}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}' | '\u{3001}'..='\u{3002}')
        && !matches!(c, '\u{132}' | '\u{133}')
}

/// Dashes, spaces and quotes that differ from the ASCII mark in looks only.
fn punctuation(c: char) -> Option<char> {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}' | '\u{FF0D}' => Some('-'),
        '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => Some(' '),
        '\u{2018}' | '\u{2019}' | '\u{201B}' | '\u{2BC}' => Some('\''),
        '\u{201C}' | '\u{201D}' | '\u{201F}' => Some('"'),
        '\u{2028}' | '\u{2029}' | '\u{85}' => Some('\n'),
        '\u{FF0E}' | '\u{FE52}' => Some('.'),
        '\u{66B}' => Some('.'),
        // Digits of other scripts that are typed as numbers.
        '\u{660}'..='\u{669}' => char::from_digit(u32::from(c) - 0x660, 10),
        '\u{6F0}'..='\u{6F9}' => char::from_digit(u32::from(c) - 0x6F0, 10),
        '\u{966}'..='\u{96F}' => char::from_digit(u32::from(c) - 0x966, 10),
        '\u{9E6}'..='\u{9EF}' => char::from_digit(u32::from(c) - 0x9E6, 10),
        '\u{E50}'..='\u{E59}' => char::from_digit(u32::from(c) - 0xE50, 10),
        _ => None,
    }
}

/// Marks above and below letters.
pub(crate) fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{483}'..='\u{487}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}')
}

/// Whether a reader sees nothing where `c` stands: zero-width characters, joiners, directional marks, tags, variation
/// selectors, fillers, the soft hyphen.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}')
}

/// The Latin letter that `c` is mistaken for; `c` itself where there is none.
fn latin_lookalike(c: char) -> char {
    match c {
        'а' | 'А' | 'α' | 'Α' | 'ɑ' | 'ᴀ' => 'a',
        'в' | 'В' | 'β' | 'Β' | 'ʙ' | 'Ь' | 'ь' => 'b',
        'с' | 'С' | 'ϲ' | 'ᴄ' => 'c',
        'ԁ' | 'đ' | 'ᴅ' | 'Đ' => 'd',
        'е' | 'Е' | 'ε' | 'Ε' | 'є' | 'ᴇ' | 'ҽ' => 'e',
        'ꜰ' | 'ƒ' => 'f',
        'ɡ' | 'ɢ' | 'ց' => 'g',
        'н' | 'Н' | 'һ' | 'Η' | 'ʜ' | 'հ' => 'h',
        'і' | 'І' | 'ι' | 'Ι' | 'ı' | 'ɪ' | 'ɩ' => 'i',
        'ј' | 'Ј' | 'ᴊ' => 'j',
        'к' | 'К' | 'κ' | 'Κ' | 'ᴋ' => 'k',
        'ӏ' | 'Ӏ' | 'ł' | 'Ł' | 'ʟ' => 'l',
        'м' | 'М' | 'Μ' | 'ᴍ' => 'm',
        'Ν' | 'η' | 'ɴ' | 'ո' => 'n',
        'о' | 'О' | 'ο' | 'Ο' | 'σ' | 'ø' | 'Ø' | 'ᴏ' | 'օ' => 'o',
        'р' | 'Р' | 'ρ' | 'Ρ' | 'ᴘ' => 'p',
        'ԛ' => 'q',
        'ʀ' | 'г' => 'r',
        'ѕ' | 'Ѕ' | 'ꜱ' => 's',
        'т' | 'Т' | 'τ' | 'Τ' | 'ᴛ' => 't',
        'υ' | 'ᴜ' | 'ս' => 'u',
        'ν' | 'ᴠ' | 'ѵ' => 'v',
        'ω' | 'ԝ' | 'ᴡ' => 'w',
        'х' | 'Х' | 'χ' | 'Χ' => 'x',
        'у' | 'У' | 'γ' | 'Υ' | 'ʏ' | 'ү' => 'y',
        'Ζ' | 'ᴢ' => 'z',
        other => lower(other),
    }
}

/// Simple lower case for scripts that have it; a letter whose lower case is two characters stays.
fn lower(c: char) -> char {
    let mut lowered = c.to_lowercase();
    match (lowered.next(), lowered.next()) {
        (Some(one), None) if one != c => latin_lookalike(one),
        _ => c,
    }
}

/// `text` folded as a whole.
pub(crate) fn fold_str(form: Form, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        fold(form, c, |f| out.push(f));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_what_looks_alike_and_leaves_out_what_is_not_seen() {
        for (form, text, want) in [
            (Form::Plain, "４１１１\u{200b} ①𝟗", "4111 19"),
            (Form::Plain, "café “x” ﬁ", "café \"x\" fi"),
            (Form::Plain, "a\u{2013}b\u{a0}c", "a-b c"),
            (Form::Plain, "привет, 世界", "привет, 世界"),
            (Form::Skeleton, "Іgnоrе рrévious", "ignore previous"),
            (Form::Skeleton, "ｉｇｎｏｒｅ 𝓪𝓵𝓵", "ignore all"),
            (Form::Skeleton, "sy\u{e0041}stem\u{fe0f}", "system"),
        ] {
            assert_eq!(fold_str(form, text), want, "{text}");
        }
    }

    #[test]
    fn what_has_one_form_only_is_folded_to_itself() {
        for c in (0..0x11_0000).filter_map(char::from_u32).filter(|c| is_ideograph(*c)) {
            let mut folded = String::new();
            skeleton(c, |f| folded.push(f));
            assert_eq!(folded, c.to_string(), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn what_is_remembered_is_what_it_folds_to() {
        for c in (0x80..0x11_0000).filter_map(char::from_u32).filter(|c| !is_invisible(*c)) {
            let mut folded = String::new();
            skeleton(c, |f| folded.push(f));
            assert_eq!(fold_str(Form::Skeleton, &c.to_string()), folded, "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn folding_twice_changes_nothing_more() {
        for c in (0..0x11_0000).filter_map(char::from_u32) {
            let once = fold_str(Form::Plain, &c.to_string());
            assert_eq!(fold_str(Form::Plain, &once), once, "U+{:04X}", u32::from(c));
        }
    }
}
