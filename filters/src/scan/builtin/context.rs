//! Words before a candidate that say what its digits are.

/// Whether one of `words` (lower case, sorted) is among the words of the last `reach` bytes. `phone_number`,
/// `phoneNumber` and `PHONE NUMBER` are two words each.
pub(super) fn near(before: &[u8], reach: usize, words: &[&str]) -> bool {
    any_word(before, reach, |word| words.binary_search_by(|known| known.as_bytes().cmp(word)).is_ok())
}

/// Whether `is` holds for one of the words of the last `reach` bytes, in lower case.
pub(super) fn any_word(before: &[u8], reach: usize, is: impl Fn(&[u8]) -> bool) -> bool {
    let tail = before.get(before.len().saturating_sub(reach)..).unwrap_or(before);
    let mut word = [0_u8; MAX];
    let mut length = 0;
    let (mut small, mut last) = (false, 0);
    // From the front, so that the first word may be the end of one: it is none.
    let cut = tail.len() < before.len() && before.get(before.len() - tail.len() - 1).is_some_and(|b| is_letter(*b));
    let mut skip = cut;
    for &b in tail.iter().chain(b" ") {
        let hump = small && b.is_ascii_uppercase();
        if !is_letter(b) || hump {
            if !skip && length >= 2 && word.get(..length.min(MAX)).is_some_and(&is) {
                return true;
            }
            (length, skip) = (0, false);
        }
        if is_letter(b) {
            if let Some(slot) = word.get_mut(length) {
                *slot = lower(last, b);
            }
            length += 1;
        }
        last = b;
        small = b.is_ascii_lowercase();
    }
    false
}

/// Of a longer word its beginning is looked at.
const MAX: usize = 24;

/// The small form of a byte of a word, of Latin letters beyond ASCII too (U+00C0 to U+017F).
fn lower(last: u8, b: u8) -> u8 {
    match (last, b) {
        (0xC3, 0x80..=0x9E) => b + 0x20,
        (0xC4, 0x80..=0xB7) | (0xC5, 0x8A..=0xB7) => b | 1,
        _ => b.to_ascii_lowercase(),
    }
}

/// Of any script.
fn is_letter(b: u8) -> bool {
    b.is_ascii_alphabetic() || b >= 0x80
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn words_are_whole_and_near() {
        const WORDS: &[&str] = &["phone", "téléphone"];
        for (before, want) in [
            ("my phone: ", true),
            ("phone_number=", true),
            ("\"phoneNumber\": ", true),
            ("TÉLÉPHONE : ", true),
            ("microphone ", false),
            ("phoneme ", false),
            ("phone ........................................ ", false),
            ("", false),
        ] {
            assert_eq!(near(before.as_bytes(), 32, WORDS), want, "{before}");
        }
    }
}
