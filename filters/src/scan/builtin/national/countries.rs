//! The numbers of each country.

use super::Number;
use super::checks::{digits, luhn, mod_11, mod_11_10, number, verhoeff, weighed};
use super::dates::{ddmmyy, is_day, parts, yymmdd};
use super::rules::{
    austria, baltic, belgium, bsn, chile, china, czech, finland, france, germany, hong_kong, ireland, italy, japan,
    latvia, letters, mexico, mod_11_low, mod_11_zero, nie, nino, norway, singapore, spain, sweden, taiwan, turkey,
};

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
        .is_some_and(|d| weighed(&d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11))),
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
            && weighed(&d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10))),
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
    number!("Switzerland", "AHV number", "999.9999.9999.99", true, ["ahv", "avs"], |t| digits::<13>(t).is_some_and(
        |d| t.starts_with(b"756") && weighed(&d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
    )),
    number!("Taiwan", "identity card", "A999999999", false, ["身分證", "身份證"], taiwan),
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
