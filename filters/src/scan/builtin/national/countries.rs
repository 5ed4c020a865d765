//! The numbers of each country.

use super::Number;
use super::checks::{digits, luhn, mod_11, mod_11_10, number, verhoeff, weighed};
use super::dates::{ddmmyy, is_day, parts, yymmdd};

macro_rules! number {
    ($country:literal, $name:literal, $form:literal, $alone:literal, [$($word:literal),*], $valid:expr) => {
        Number { country: $country, name: $name, form: $form, alone: $alone, words: &[$($word),*], valid: $valid }
    };
}

pub(super) const COUNTRIES: &[Number] = &[
    number!("Argentina", "CUIT, CUIL", "99-99999999-9", true, ["cuit", "cuil"], |t| digits::<11>(t)
        .is_some_and(|d| matches!(d, [2, 0 | 3 | 4 | 7, ..] | [3, 0 | 3 | 4, ..])
            && mod_11(&d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2], Some(9)))),
    number!("Australia", "tax file number", "999 999 999", false, ["tfn", "taxfile"], |t| digits::<9>(t)
        .is_some_and(|d| weighed(&d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]) % 11 == 0)),
    number!("Australia", "Medicare", "9999 99999 9", false, ["medicare"], |t| digits::<10>(t)
        .is_some_and(|d| matches!(d, [2..=6, ..])
            && d.get(8).is_some_and(|check| weighed(&d, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == *check))),
    number!(
        "Austria",
        "social insurance number",
        "9999 999999",
        false,
        ["svnr", "sozialversicherung", "versicherungsnummer"],
        austria
    ),
    number!(
        "Belgium",
        "national number",
        "99.99.99-999.99",
        true,
        ["rijksregister", "registre", "insz", "niss", "nationaal"],
        belgium
    ),
    number!("Brazil", "CPF", "999.999.999-99", true, ["cpf"], |t| digits::<11>(t).is_some_and(|d| mod_11_zero(
        &d,
        &[10, 9, 8, 7, 6, 5, 4, 3, 2]
    ) && mod_11_zero(
        &d,
        &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]
    ))),
    number!("Brazil", "CNPJ", "99.999.999/9999-99", true, ["cnpj"], |t| digits::<14>(t).is_some_and(|d| mod_11_zero(
        &d,
        &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]
    )
        && mod_11_zero(&d, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]))),
    number!("Bulgaria", "EGN", "9999999999", false, ["egn"], |t| digits::<10>(t)
        .is_some_and(|d| parts(t).is_some_and(|[_, m, day]| is_day(m % 20, day))
            && d.last().is_some_and(|check| weighed(&d, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10 == *check))),
    number!("Canada", "social insurance number", "999 999 999", false, ["sin", "insurance", "nas"], |t| digits::<9>(t)
        .is_some_and(|d| !matches!(d, [0 | 8, ..]) && luhn(&d))),
    number!("Chile", "RUT", "99.999.999-?", true, ["rut", "run"], chile),
    number!("Chile", "RUT", "9.999.999-?", true, ["rut", "run"], chile),
    number!("Chile", "RUT", "99999999-?", false, ["rut", "run"], chile),
    number!("China", "resident identity number", "99999999999999999?", true, ["身份证", "resident"], china),
    number!("Croatia", "OIB", "99999999999", false, ["oib"], |t| digits::<11>(t).is_some_and(|d| mod_11_10(&d))),
    number!("Czechia, Slovakia", "birth number", "999999/9999", true, ["rodné", "rodne", "cislo", "číslo"], czech),
    number!(
        "Denmark",
        "CPR number: a date, as the check digit is no longer kept",
        "999999-9999",
        false,
        ["cpr", "personnummer"],
        |t| t.len() == 10 && ddmmyy(t) && number(t).is_some()
    ),
    number!(
        "Estonia, Lithuania",
        "personal code",
        "99999999999",
        false,
        ["isikukood", "asmens", "kodas", "personal"],
        |t| digits::<11>(t).is_some_and(|d| matches!(d, [1..=8, ..]) && t.get(1..).is_some_and(yymmdd) && baltic(&d))
    ),
    number!(
        "Finland",
        "personal identity code",
        "999999-999?",
        true,
        ["hetu", "henkilötunnus", "henkilotunnus"],
        finland
    ),
    number!(
        "Finland",
        "personal identity code of who was born after 1999",
        "999999A999?",
        true,
        ["hetu", "henkilötunnus", "henkilotunnus"],
        finland
    ),
    number!(
        "France",
        "social security number (NIR)",
        "9 99 99 9? 999 999 99",
        true,
        ["nir", "sécurité", "securite", "insee", "secu", "sécu"],
        france
    ),
    number!(
        "France",
        "social security number (NIR), in other groups",
        "999999?999999 99",
        true,
        ["nir", "sécurité", "securite", "insee", "secu", "sécu"],
        france
    ),
    number!("France", "tax number (SPI)", "99 99 999 999 999", false, ["spi", "fiscal", "impôt", "impot"], |t| t
        .len()
        == 13
        && matches!(t, [b'0'..=b'3', ..])
        && number(t).is_some_and(|n| n / 1000 % 511 == n % 1000)),
    number!(
        "Germany",
        "tax identification number",
        "99 999 999 999",
        false,
        ["steuer", "steueridentifikationsnummer", "steuernummer", "idnr", "identifikationsnummer", "steuerid"],
        germany
    ),
    number!("Greece", "AMKA", "99999999999", false, ["amka", "αμκα"], |t| digits::<11>(t)
        .is_some_and(|d| ddmmyy(t) && luhn(&d))),
    number!("Hong Kong", "identity card", "A999999(?)", true, ["hkid"], |t| hong_kong(t)),
    number!("Hong Kong", "identity card", "AA999999(?)", true, ["hkid"], |t| hong_kong(t)),
    number!("Iceland", "kennitala", "999999-9999", false, ["kennitala", "kt"], |t| digits::<10>(t)
        .is_some_and(|d| ddmmyy(t) && mod_11(&d, &[3, 2, 7, 6, 5, 4, 3, 2], None))),
    number!("India", "Aadhaar", "9999 9999 9999", false, ["aadhaar", "aadhar", "uidai", "uid"], |t| digits::<12>(t)
        .is_some_and(|d| matches!(d, [2..=9, ..]) && verhoeff(&d))),
    number!(
        "India",
        "PAN (no check digit)",
        "AAAAA9999A",
        false,
        ["pan", "permanent"],
        |t| matches!(t, [.., _, _, _, _, _] if t.len() == 10)
            && t.get(..5).is_some_and(letters)
            && t.get(5..9).and_then(number).is_some()
            && t.get(9..).is_some_and(letters)
    ),
    number!("Ireland", "PPS number", "9999999A", false, ["pps", "ppsn"], ireland),
    number!("Ireland", "PPS number", "9999999AA", false, ["pps", "ppsn"], ireland),
    number!("Israel", "identity number", "999999999", false, ["teudat", "zehut", "israeli", "israel"], |t| {
        digits::<9>(t).is_some_and(|d| luhn(&d))
    }),
    number!("Italy", "codice fiscale", "AAAAAA??A??A???A", true, ["codice", "fiscale"], italy),
    number!("Japan", "My Number", "9999 9999 9999", false, ["mynumber", "マイナンバー", "個人番号"], japan),
    number!(
        "Korea",
        "resident registration number",
        "999999-9999999",
        true,
        ["rrn", "주민등록번호", "resident"],
        |t| digits::<13>(t).is_some_and(|d| yymmdd(t) && mod_11_low(&d, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]))
    ),
    number!("Latvia", "personal code", "999999-99999", false, ["personas", "kods"], |t| digits::<11>(t)
        .is_some_and(|d| ddmmyy(t) && latvia(&d))),
    number!("Mexico", "CURP", "AAAA999999AAAAAA?9", true, ["curp"], mexico),
    number!("Netherlands", "BSN", "999999999", false, ["bsn", "burgerservicenummer", "sofinummer", "sofi"], |t| {
        digits::<9>(t).is_some_and(|d| bsn(&d))
    }),
    number!(
        "Norway",
        "fødselsnummer",
        "999999 99999",
        false,
        ["fødselsnummer", "fodselsnummer", "personnummer", "fnr"],
        norway
    ),
    number!("Poland", "PESEL", "99999999999", false, ["pesel"], |t| digits::<11>(t)
        .is_some_and(|d| parts(t).is_some_and(|[_, m, day]| is_day(m % 20, day))
            && weighed(&d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]) % 10 == 0)),
    number!("Portugal", "NIF", "999 999 999", false, ["nif", "contribuinte"], |t| digits::<9>(t)
        .is_some_and(|d| matches!(d, [1..=3 | 5 | 6 | 8 | 9, ..] | [4, 5, ..] | [7, 0..=2 | 4 | 5 | 7..=9, ..])
            && mod_11_zero(&d, &[9, 8, 7, 6, 5, 4, 3, 2]))),
    number!("Romania", "CNP", "9999999999999", false, ["cnp"], |t| digits::<13>(t).is_some_and(|d| matches!(
        d,
        [1..=9, ..]
    ) && t
        .get(1..)
        .is_some_and(yymmdd)
        && d.last().is_some_and(|check| weighed(&d, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11 % 10 == *check
            || weighed(&d, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11 == 10 && *check == 1))),
    number!("Singapore", "NRIC, FIN", "A9999999A", true, ["nric", "fin"], singapore),
    number!("Slovenia", "EMŠO", "9999999999999", false, ["emšo", "emso", "jmbg"], |t| digits::<13>(t)
        .is_some_and(|d| ddmmyy(t) && mod_11(&d, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2], None))),
    number!("South Africa", "identity number", "999999 9999 99 9", false, ["id", "rsa", "african", "idnumber"], |t| {
        digits::<13>(t).is_some_and(|d| yymmdd(t) && d.get(10).is_some_and(|c| *c <= 2) && luhn(&d))
    }),
    number!("Spain", "DNI", "99999999-A", true, ["dni", "nif"], |t| spain(t, b'0')),
    number!("Spain", "NIE", "A-9999999-A", true, ["nie"], nie),
    number!("Spain", "NIE", "A9999999A", true, ["nie"], nie),
    number!("Sweden", "personnummer", "999999-9999", true, ["personnummer", "samordningsnummer"], sweden),
    number!("Sweden", "personnummer", "99999999-9999", true, ["personnummer", "samordningsnummer"], |t| t.len() == 12
        && matches!(t, [b'1', b'9', ..] | [b'2', b'0', ..])
        && t.get(2..).is_some_and(sweden)),
    number!("Switzerland", "AHV number", "999.9999.9999.99", true, ["ahv", "avs"], |t| digits::<13>(t)
        .is_some_and(|d| t.starts_with(b"756") && weighed(&d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]) % 10 == 0)),
    number!("Taiwan", "identity card", "A999999999", true, ["身分證", "身份證"], taiwan),
    number!("Turkey", "TCKN", "99999999999", false, ["tckn", "tc", "kimlik"], turkey),
    number!("United Kingdom", "NHS number", "999 999 9999", false, ["nhs"], |t| digits::<10>(t)
        .is_some_and(|d| mod_11(&d, &[10, 9, 8, 7, 6, 5, 4, 3, 2], None))),
    number!(
        "United Kingdom",
        "National Insurance number (no check digit)",
        "AA 99 99 99 A",
        false,
        ["nino", "ni", "insurance"],
        nino
    ),
    number!("United States", "ITIN (no check digit)", "999-99-9999", false, ["itin", "taxpayer"], |t| t.len() == 9
        && t.starts_with(b"9")
        && matches!(t.get(3..5).and_then(number), Some(50..=65 | 70..=88 | 90..=92 | 94..=99))),
];

/// A rest below two gives zero.
fn mod_11_zero(text: &[u32], weights: &[u32]) -> bool {
    let rest = weighed(text, weights) % 11;
    let want = if rest < 2 { 0 } else { 11 - rest };
    text.get(weights.len()) == Some(&want)
}

/// Eleven less the rest, its last digit.
fn mod_11_low(text: &[u32], weights: &[u32]) -> bool {
    text.get(weights.len()) == Some(&((11 - weighed(text, weights) % 11) % 10))
}

fn letters(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_uppercase)
}

fn austria(t: &[u8]) -> bool {
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
fn belgium(t: &[u8]) -> bool {
    let (Some(first), Some(check)) = (t.get(..9).and_then(number), t.get(9..).and_then(number)) else { return false };
    let dated = parts(t).is_some_and(|[_, month, day]| month % 20 <= 12 && day <= 31);
    t.len() == 11 && dated && [first, first + 2_000_000_000].iter().any(|n| 97 - n % 97 == check)
}

fn chile(t: &[u8]) -> bool {
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

fn china(t: &[u8]) -> bool {
    let (Some(first), Some(last)) = (t.get(..17).and_then(digits::<17>), t.get(17)) else { return false };
    let dated = t.get(6..8).is_some_and(|century| matches!(century, b"19" | b"20")) && t.get(8..).is_some_and(yymmdd);
    let sum = weighed(&first, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    t.len() == 18 && dated && !matches!(first, [0 | 9, ..]) && b"10X98765432".get(sum as usize % 11) == Some(last)
}

fn czech(t: &[u8]) -> bool {
    let dated = parts(t).is_some_and(|[_, month, day]| is_day(month % 50 % 20, day));
    t.len() == 10 && dated && number(t).is_some_and(|n| n % 11 == 0)
}

fn baltic(d: &[u32; 11]) -> bool {
    let first = weighed(d, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let second = weighed(d, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11 % 10;
    d.last() == Some(if first < 10 { &first } else { &second })
}

fn finland(t: &[u8]) -> bool {
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
fn france(t: &[u8]) -> bool {
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
fn germany(t: &[u8]) -> bool {
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

fn hong_kong(t: &[u8]) -> bool {
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

fn ireland(t: &[u8]) -> bool {
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
fn italy(t: &[u8]) -> bool {
    const ODD: &[u8; 26] =
        &[1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let Some((last, first)) = t.split_last().filter(|_| t.len() == 16) else { return false };
    let place = |b: u8| usize::from(if b.is_ascii_digit() { b - b'0' } else { b.saturating_sub(b'A') });
    let value =
        |(i, b): (usize, &u8)| if i % 2 == 0 { ODD.get(place(*b)).copied().map(usize::from) } else { Some(place(*b)) };
    let sum: Option<usize> = first.iter().enumerate().map(value).sum();
    sum.is_some_and(|sum| place(*last) == sum % 26 && last.is_ascii_uppercase())
}

fn japan(t: &[u8]) -> bool {
    digits::<12>(t).is_some_and(|d| {
        let rest = weighed(&d, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
        d.last() == Some(&if rest <= 1 { 0 } else { 11 - rest })
    })
}

fn latvia(d: &[u32; 11]) -> bool {
    let sum = weighed(d, &[1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    d.last() == Some(&((1101 - sum) % 11 % 10))
}

/// Digits, letters and `Ñ` between `N` and `O`, weighed by their place.
fn mexico(t: &[u8]) -> bool {
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

fn bsn(d: &[u32; 9]) -> bool {
    let Some((last, first)) = d.split_last() else { return false };
    let sum = weighed(first, &[9, 8, 7, 6, 5, 4, 3, 2]);
    sum % 11 == *last && sum > 0
}

fn norway(t: &[u8]) -> bool {
    digits::<11>(t).is_some_and(|d| {
        // A number for who is not registered has 4 added to its first digit, one of a test 40 or 80 to the month.
        let dated = parts(t).is_some_and(|[day, month, _]| is_day(month % 40, if day > 40 { day - 40 } else { day }));
        dated && mod_11(&d, &[3, 7, 6, 1, 8, 9, 4, 5, 2], None) && mod_11(&d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2], None)
    })
}

fn singapore(t: &[u8]) -> bool {
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
fn spain(t: &[u8], first: u8) -> bool {
    let Some((last, rest)) = t.split_last().filter(|_| t.len() == 9) else { return false };
    let Some(number) = number(rest) else { return false };
    let number = u64::from(first - b'0') * 10_000_000 + number;
    let Ok(place) = usize::try_from(number % 23) else { return false };
    b"TRWAGMYFPDXBNJZSQVHLCKE".get(place) == Some(last)
}

fn nie(t: &[u8]) -> bool {
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
fn sweden(t: &[u8]) -> bool {
    let dated = parts(t).is_some_and(|[_, month, day]| is_day(month, if day > 60 { day - 60 } else { day }));
    dated && digits::<10>(t).is_some_and(|d| luhn(&d))
}

/// The letter is the number of a district.
fn taiwan(t: &[u8]) -> bool {
    const DISTRICTS: &[u32; 26] =
        &[10, 11, 12, 13, 14, 15, 16, 17, 34, 18, 19, 20, 21, 22, 35, 23, 24, 25, 26, 27, 28, 29, 32, 30, 31, 33];
    let (Some(letter), Some(rest)) = (t.first(), t.get(1..).and_then(digits::<9>)) else { return false };
    let Some(district) = DISTRICTS.get(usize::from(letter.wrapping_sub(b'A'))) else { return false };
    let sum = district / 10 + district % 10 * 9 + weighed(&rest, &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    matches!(rest, [1 | 2 | 8 | 9, ..]) && sum % 10 == 0
}

fn turkey(t: &[u8]) -> bool {
    digits::<11>(t).is_some_and(|d| {
        let odd = weighed(&d, &[1, 0, 1, 0, 1, 0, 1, 0, 1]);
        let even = weighed(&d, &[0, 1, 0, 1, 0, 1, 0, 1]);
        let sum: u32 = d.iter().take(10).sum();
        !matches!(d, [0, ..]) && d.get(9) == Some(&((odd * 7 + 100 - even) % 10)) && d.get(10) == Some(&(sum % 10))
    })
}

fn nino(t: &[u8]) -> bool {
    let Some([first, second]) = t.get(..2) else { return false };
    let given = !matches!(first, b'D' | b'F' | b'I' | b'Q' | b'U' | b'V')
        && !matches!(second, b'D' | b'F' | b'I' | b'O' | b'Q' | b'U' | b'V')
        && !matches!(t.get(..2), Some(b"BG" | b"GB" | b"NK" | b"KN" | b"TN" | b"NT" | b"ZZ"));
    given && t.len() == 9 && t.get(2..8).and_then(number).is_some() && matches!(t.last(), Some(b'A'..=b'D'))
}
