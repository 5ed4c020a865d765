//! Rules of single countries that take more than a line. All of them take letters and digits in capitals.

use super::checks::{digits, luhn, mod_11, mod_11_10, number, weighed};
use super::dates::{ddmmyy, is_day, parts, yymmdd};

/// A rest below two gives zero.
pub(super) fn mod_11_zero(text: &[u32], weights: &[u32]) -> bool {
    let rest = weighed(text, weights) % 11;
    let want = if rest < 2 { 0 } else { 11 - rest };
    text.get(weights.len()) == Some(&want)
}

/// Eleven less the rest, its last digit.
pub(super) fn mod_11_low(text: &[u32], weights: &[u32]) -> bool {
    text.get(weights.len()) == Some(&((11 - weighed(text, weights) % 11) % 10))
}

pub(super) fn letters(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_uppercase)
}

pub(super) fn austria(t: &[u8]) -> bool {
    digits::<10>(t).is_some_and(|d| {
        let dated = t
            .get(4..)
            .and_then(parts)
            .is_some_and(|[day, month, _]| (1..=31).contains(&day) && (1..=15).contains(&month));
        let check = weighed(&d, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11;
        dated && !matches!(d, [0, ..]) && d.get(3) == Some(&check)
    })
}

/// 97 less the rest; who was born after 1999 has a 2 before the number.
pub(super) fn belgium(t: &[u8]) -> bool {
    let (Some(first), Some(check)) = (t.get(..9).and_then(number), t.get(9..).and_then(number)) else { return false };
    let dated = parts(t).is_some_and(|[_, month, day]| month % 20 <= 12 && day <= 31);
    t.len() == 11 && dated && [first, first + 2_000_000_000].iter().any(|n| 97 - n % 97 == check)
}

pub(super) fn chile(t: &[u8]) -> bool {
    let Some((last, first)) = t.split_last() else { return false };
    if !(7..=8).contains(&first.len()) || !first.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let weights = [2, 3, 4, 5, 6, 7].iter().cycle();
    let sum: u32 = first.iter().rev().zip(weights).map(|(b, weight)| u32::from(b - b'0') * weight).sum();
    match 11 - sum % 11 {
        11 => *last == b'0',
        10 => *last == b'K',
        check => u32::from(*last) == u32::from(b'0') + check,
    }
}

pub(super) fn china(t: &[u8]) -> bool {
    let (Some(first), Some(last)) = (t.get(..17).and_then(digits::<17>), t.get(17)) else { return false };
    let dated = t.get(6..8).is_some_and(|century| matches!(century, b"19" | b"20")) && t.get(8..).is_some_and(yymmdd);
    let sum = weighed(&first, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    t.len() == 18 && dated && !matches!(first, [0 | 9, ..]) && b"10X98765432".get(sum as usize % 11) == Some(last)
}

pub(super) fn czech(t: &[u8]) -> bool {
    let dated = parts(t).is_some_and(|[_, month, day]| is_day(month % 50 % 20, day));
    t.len() == 10 && dated && number(t).is_some_and(|n| n % 11 == 0)
}

pub(super) fn baltic(d: &[u32; 11]) -> bool {
    let first = weighed(d, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let second = weighed(d, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11 % 10;
    d.last() == Some(if first < 10 { &first } else { &second })
}

pub(super) fn finland(t: &[u8]) -> bool {
    // Without its sign a code is ten characters, with a letter for the century eleven.
    let serial = match t.len() {
        10 => 6..9,
        11 if t.get(6).is_some_and(|b| matches!(b, b'A'..=b'F' | b'U'..=b'Y')) => 7..10,
        _ => return false,
    };
    let (Some(date), Some(serial)) = (t.get(..6).and_then(number), t.get(serial).and_then(number)) else {
        return false;
    };
    let Ok(place) = usize::try_from((date * 1000 + serial) % 31) else { return false };
    ddmmyy(t) && b"0123456789ABCDEFHJKLMNPRSTUVWXY".get(place) == t.last()
}

/// 97 less the rest; Corsica's 2A and 2B count as 19 and 18.
pub(super) fn france(t: &[u8]) -> bool {
    let mut plain = [0_u8; 13];
    if t.len() != 15 {
        return false;
    }
    plain.iter_mut().zip(t).for_each(|(to, from)| *to = *from);
    match t.get(5..7) {
        Some(b"2A") => plain.get_mut(5..7).unwrap_or_default().copy_from_slice(b"19"),
        Some(b"2B") => plain.get_mut(5..7).unwrap_or_default().copy_from_slice(b"18"),
        _ => {}
    }
    let dated =
        parts(&plain.get(1..).unwrap_or_default().get(..6).map_or([0; 6], |s| s.try_into().unwrap_or_default()))
            .is_some_and(|[_, month, _]| (1..=12).contains(&month) || (20..=42).contains(&month) || month >= 50);
    let check = t.get(13..).and_then(number);
    dated && matches!(t, [b'1' | b'2', ..]) && number(&plain).is_some_and(|n| Some(97 - n % 97) == check)
}

/// One digit twice or thrice among the first ten, none in front that is 0.
pub(super) fn germany(t: &[u8]) -> bool {
    digits::<11>(t).is_some_and(|d| {
        let counts = (0..10).map(|n| d.iter().take(10).filter(|digit| **digit == n).count());
        let (mut repeated, mut most) = (0, 0);
        for count in counts {
            repeated += usize::from(count > 1);
            most = most.max(count);
        }
        !matches!(d, [0, ..]) && repeated == 1 && most <= 3 && mod_11_10(&d)
    })
}

pub(super) fn hong_kong(t: &[u8]) -> bool {
    let Some((last, first)) = t.split_last() else { return false };
    let letters = first.len().saturating_sub(6);
    if !(1..=2).contains(&letters) || !first.iter().skip(letters).all(u8::is_ascii_digit) {
        return false;
    }
    let value = |b: u8| if b.is_ascii_digit() { u32::from(b - b'0') } else { u32::from(b.saturating_sub(b'A')) + 10 };
    // A single letter has a space before it, which counts 36.
    let space = if letters == 1 { 36 * 9 } else { 0 };
    let sum: u32 = first.iter().rev().zip(2..).map(|(b, weight)| value(*b) * weight).sum::<u32>() + space;
    let check = (11 - sum % 11) % 11;
    first.iter().take(letters).all(u8::is_ascii_uppercase)
        && if check == 10 { *last == b'A' } else { value(*last) == check }
}

pub(super) fn ireland(t: &[u8]) -> bool {
    let (Some(first), Some(check)) = (t.get(..7).and_then(digits::<7>), t.get(7)) else { return false };
    let ninth = match t.get(8) {
        None | Some(b'W') => 0,
        Some(b @ b'A'..=b'I') => u32::from(b - b'A') + 1,
        Some(_) => return false,
    };
    let rest = (weighed(&first, &[8, 7, 6, 5, 4, 3, 2]) + ninth * 9) % 23;
    t.len() <= 9 && u32::from(*check) == if rest == 0 { u32::from(b'W') } else { u32::from(b'A') + rest - 1 }
}

/// Odd places count by a table, even ones by their place in the alphabet.
pub(super) fn italy(t: &[u8]) -> bool {
    const ODD: &[u8; 26] =
        &[1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let Some((last, first)) = t.split_last().filter(|_| t.len() == 16) else { return false };
    let place = |b: u8| usize::from(if b.is_ascii_digit() { b - b'0' } else { b.saturating_sub(b'A') });
    let value =
        |(i, b): (usize, &u8)| if i % 2 == 0 { ODD.get(place(*b)).copied().map(usize::from) } else { Some(place(*b)) };
    let sum: Option<usize> = first.iter().enumerate().map(value).sum();
    sum.is_some_and(|sum| place(*last) == sum % 26 && last.is_ascii_uppercase())
}

pub(super) fn japan(t: &[u8]) -> bool {
    digits::<12>(t).is_some_and(|d| {
        let rest = weighed(&d, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
        d.last() == Some(&if rest <= 1 { 0 } else { 11 - rest })
    })
}

pub(super) fn latvia(d: &[u32; 11]) -> bool {
    let sum = weighed(d, &[1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    d.last() == Some(&((1101 - sum) % 11 % 10))
}

/// Digits, letters and `Ñ` between `N` and `O`, weighed by their place.
pub(super) fn mexico(t: &[u8]) -> bool {
    let Some((last, first)) = t.split_last().filter(|_| t.len() == 18) else { return false };
    let value = |b: u8| match b {
        b'0'..=b'9' => u32::from(b - b'0'),
        b'A'..=b'N' => u32::from(b - b'A') + 10,
        _ => u32::from(b.saturating_sub(b'A')) + 11,
    };
    let sum: u32 = first.iter().zip((2..=18).rev()).map(|(b, weight)| value(*b) * weight).sum();
    let dated = t.get(4..).is_some_and(yymmdd) && matches!(t.get(10), Some(b'H' | b'M' | b'X'));
    dated && u32::from(last.wrapping_sub(b'0')) == (10 - sum % 10) % 10
}

pub(super) fn bsn(d: &[u32; 9]) -> bool {
    let Some((last, first)) = d.split_last() else { return false };
    let sum = weighed(first, &[9, 8, 7, 6, 5, 4, 3, 2]);
    sum % 11 == *last && sum > 0
}

pub(super) fn norway(t: &[u8]) -> bool {
    digits::<11>(t).is_some_and(|d| {
        // A number for who is not registered has 4 added to its first digit, one of a test 40 or 80 to the month.
        let dated = parts(t).is_some_and(|[day, month, _]| is_day(month % 40, if day > 40 { day - 40 } else { day }));
        dated && mod_11(&d, &[3, 7, 6, 1, 8, 9, 4, 5, 2], None) && mod_11(&d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2], None)
    })
}

pub(super) fn singapore(t: &[u8]) -> bool {
    let (Some(kind), Some(middle), Some(last)) = (t.first(), t.get(1..8).and_then(digits::<7>), t.get(8)) else {
        return false;
    };
    let sum = weighed(&middle, &[2, 7, 6, 5, 4, 3, 2]);
    let (shift, table): (u32, &[u8; 11]) = match kind {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"KLJNPQRTUWX"),
        _ => return false,
    };
    let place = (sum + shift) as usize % 11;
    let place = if *kind == b'M' { 10 - place } else { place };
    t.len() == 9 && table.get(place) == Some(last)
}

/// `first`: what stands before the eight digits, of a NIE the digit for its letter.
pub(super) fn spain(t: &[u8], first: u8) -> bool {
    let Some((last, rest)) = t.split_last().filter(|_| t.len() == 9) else { return false };
    let Some(number) = number(rest) else { return false };
    let number = u64::from(first - b'0') * 10_000_000 + number;
    let Ok(place) = usize::try_from(number % 23) else { return false };
    b"TRWAGMYFPDXBNJZSQVHLCKE".get(place) == Some(last)
}

pub(super) fn nie(t: &[u8]) -> bool {
    let mut plain = [b'0'; 9];
    if t.len() != 9 {
        return false;
    }
    plain.iter_mut().zip(t).for_each(|(to, from)| *to = *from);
    let [first, ..] = &mut plain;
    *first = match first {
        b'X' => b'0',
        b'Y' => b'1',
        b'Z' => b'2',
        _ => return false,
    };
    spain(&plain, b'0')
}

/// Luhn over ten digits; a coordination number has 60 added to its day.
pub(super) fn sweden(t: &[u8]) -> bool {
    let dated = parts(t).is_some_and(|[_, month, day]| is_day(month, if day > 60 { day - 60 } else { day }));
    dated && digits::<10>(t).is_some_and(|d| luhn(&d))
}

/// The letter is the number of a district.
pub(super) fn taiwan(t: &[u8]) -> bool {
    const DISTRICTS: &[u32; 26] =
        &[10, 11, 12, 13, 14, 15, 16, 17, 34, 18, 19, 20, 21, 22, 35, 23, 24, 25, 26, 27, 28, 29, 32, 30, 31, 33];
    let (Some(letter), Some(rest)) = (t.first(), t.get(1..).and_then(digits::<9>)) else { return false };
    let Some(district) = DISTRICTS.get(usize::from(letter.wrapping_sub(b'A'))) else { return false };
    let sum = district / 10 + district % 10 * 9 + weighed(&rest, &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    matches!(rest, [1 | 2 | 8 | 9, ..]) && sum.is_multiple_of(10)
}

pub(super) fn turkey(t: &[u8]) -> bool {
    digits::<11>(t).is_some_and(|d| {
        let odd = weighed(&d, &[1, 0, 1, 0, 1, 0, 1, 0, 1]);
        let even = weighed(&d, &[0, 1, 0, 1, 0, 1, 0, 1]);
        let sum: u32 = d.iter().take(10).sum();
        !matches!(d, [0, ..]) && d.get(9) == Some(&((odd * 7 + 100 - even) % 10)) && d.get(10) == Some(&(sum % 10))
    })
}

pub(super) fn nino(t: &[u8]) -> bool {
    let Some([first, second]) = t.get(..2) else { return false };
    let given = !matches!(first, b'D' | b'F' | b'I' | b'Q' | b'U' | b'V')
        && !matches!(second, b'D' | b'F' | b'I' | b'O' | b'Q' | b'U' | b'V')
        && !matches!(t.get(..2), Some(b"BG" | b"GB" | b"NK" | b"KN" | b"TN" | b"NT" | b"ZZ"));
    given && t.len() == 9 && t.get(2..8).and_then(number).is_some() && matches!(t.last(), Some(b'A'..=b'D'))
}
