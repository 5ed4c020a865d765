//! Arithmetic that tells a number of a kind from digits that only look like it.

/// Characters a checked number may have at most, separators included. Longer candidates are not numbers of any kind
/// we check, and checking them would cost their square.
const MAX_CHECKED: usize = 96;

/// Whether the digits of `text` pass Luhn (ISO/IEC 7812-1 annex B). Separators are skipped; fewer than two digits, or
/// digits that are all the same, do not pass.
#[must_use]
pub(crate) fn luhn(text: &[u8]) -> bool {
    if text.len() > MAX_CHECKED {
        return false;
    }
    let digits = text.iter().rev().filter(|b| b.is_ascii_digit()).map(|b| u32::from(b - b'0'));
    let (mut sum, mut count) = (0, 0_u32);
    let (mut lowest, mut highest) = (9, 0);
    for digit in digits {
        let doubled = if count % 2 == 1 { digit * 2 } else { digit };
        sum += if doubled > 9 { doubled - 9 } else { doubled };
        count += 1;
        (lowest, highest) = (digit.min(lowest), digit.max(highest));
    }
    count >= 2 && lowest != highest && sum % 10 == 0
}

/// Whether `text`, separators aside, is an IBAN: the length its country uses and the checksum of ISO 7064 MOD 97-10
/// (ISO 13616-1).
#[must_use]
pub(crate) fn iban(text: &[u8]) -> bool {
    if text.len() > MAX_CHECKED {
        return false;
    }
    let kept = || text.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_uppercase);
    let mut head = kept();
    let (Some(first), Some(second)) = (head.next(), head.next()) else { return false };
    let Some(&(_, length)) = IBAN_LENGTHS.iter().find(|(country, _)| country.as_bytes() == [first, second]) else {
        return false;
    };
    if kept().count() != length {
        return false;
    }
    let rotated = kept().skip(4).chain(kept().take(4));
    rotated.fold(0_u32, |rest, b| match b {
        b'0'..=b'9' => (rest * 10 + u32::from(b - b'0')) % 97,
        _ => (rest * 100 + u32::from(b - b'A') + 10) % 97,
    }) == 1
}

/// Country and length, after the SWIFT IBAN registry.
#[rustfmt::skip]
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24), ("AE", 23), ("AL", 28), ("AT", 20), ("AZ", 28), ("BA", 20), ("BE", 16), ("BG", 22), ("BH", 22),
    ("BI", 27), ("BR", 29), ("BY", 28), ("CH", 21), ("CR", 22), ("CY", 28), ("CZ", 24), ("DE", 22), ("DJ", 27),
    ("DK", 18), ("DO", 28), ("EE", 20), ("EG", 29), ("ES", 24), ("FI", 18), ("FK", 18), ("FO", 18), ("FR", 27),
    ("GB", 22), ("GE", 22), ("GI", 23), ("GL", 18), ("GR", 27), ("GT", 28), ("HN", 28), ("HR", 21), ("HU", 28),
    ("IE", 22), ("IL", 23), ("IQ", 23), ("IS", 26), ("IT", 27), ("JO", 30), ("KW", 30), ("KZ", 20), ("LB", 28),
    ("LC", 32), ("LI", 21), ("LT", 20), ("LU", 20), ("LV", 21), ("LY", 25), ("MC", 27), ("MD", 24), ("ME", 22),
    ("MK", 19), ("MN", 20), ("MR", 27), ("MT", 31), ("MU", 30), ("NI", 28), ("NL", 18), ("NO", 15), ("OM", 23),
    ("PK", 24), ("PL", 28), ("PS", 29), ("PT", 25), ("QA", 29), ("RO", 24), ("RS", 22), ("RU", 33), ("SA", 24),
    ("SC", 31), ("SD", 18), ("SE", 24), ("SI", 19), ("SK", 24), ("SM", 27), ("SO", 23), ("ST", 25), ("SV", 28),
    ("TL", 23), ("TN", 24), ("TR", 26), ("UA", 29), ("VA", 22), ("VG", 24), ("XK", 20), ("YE", 30),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luhn_tells_cards_from_other_digits() {
        for (text, want) in [
            ("4111 1111 1111 1111", true),
            ("4111-1111-1111-1112", false),
            ("378282246310005", true),
            ("0000000000000000", false),
            ("", false),
            ("0", false),
        ] {
            assert_eq!(luhn(text.as_bytes()), want, "{text}");
        }
        assert!(!luhn(&[b'1'; 4096]));
    }

    #[test]
    fn iban_needs_the_length_of_its_country_and_the_checksum() {
        for (text, want) in [
            ("GB82 WEST 1234 5698 7654 32", true),
            ("gb82west12345698765432", true),
            ("GB82WEST12345698765433", false),
            ("GB82WEST1234569876543", false),
            ("DE89370400440532013000", true),
            ("ZZ89370400440532013000", false),
            ("D", false),
        ] {
            assert_eq!(iban(text.as_bytes()), want, "{text}");
        }
    }
}
