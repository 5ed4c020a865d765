//! The arithmetic of check digits. All of it takes letters and digits in capitals and answers `false` for any other text.

/// The digits of `text`, if it is all digits and as long as `N`.
pub(super) fn digits<const N: usize>(text: &[u8]) -> Option<[u32; N]> {
    let mut out = [0; N];
    if text.len() != N || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    out.iter_mut().zip(text).for_each(|(to, from)| *to = u32::from(from - b'0'));
    Some(out)
}

/// The number that the digits of `text` make; `None` where one is none, or there are more than 18.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u64::from(b - b'0')))
}

/// Sum of digits, each times its weight; the shorter of the two says how many.
pub(super) fn weighed(text: &[u32], weights: &[u32]) -> u32 {
    text.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// The last digit is the eleventh's complement of the weighed sum of those before; a rest of 10 is given as `ten`.
pub(super) fn mod_11(text: &[u32], weights: &[u32], ten: Option<u32>) -> bool {
    let rest = (11 - weighed(text, weights) % 11) % 11;
    let want = if rest == 10 { ten } else { Some(rest) };
    want.is_some() && want == text.get(weights.len()).copied()
}

/// ISO 7064 MOD 11,10.
pub(super) fn mod_11_10(text: &[u32]) -> bool {
    let Some((last, first)) = text.split_last() else { return false };
    let product = first.iter().fold(10, |product, digit| {
        let sum = (digit + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == *last
}

/// ISO/IEC 7812 over all of it.
pub(super) fn luhn(text: &[u32]) -> bool {
    let double = |(place, digit): (usize, &u32)| match (place % 2, digit * 2) {
        (0, _) => *digit,
        (_, twice) if twice > 9 => twice - 9,
        (_, twice) => twice,
    };
    text.iter().rev().enumerate().map(double).sum::<u32>() % 10 == 0
}

/// Verhoeff's check over the dihedral group of ten.
pub(super) fn verhoeff(text: &[u32]) -> bool {
    // The permutation that a place adds.
    const STEP: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let permuted = |digit: u32, times: usize| {
        (0..times % 8).fold(digit, |digit, _| STEP.get(digit as usize).copied().unwrap_or_default())
    };
    let all = text.iter().rev().enumerate().fold(0, |sum, (place, digit)| dihedral(sum, permuted(*digit, place)));
    all == 0
}

/// The product of two elements: 0 to 4 turn, 5 to 9 turn and flip.
fn dihedral(a: u32, b: u32) -> u32 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    }
}
