//! Published examples of every kind, and made-up ones by the form: each is found, and with another check digit it is
//! not.

use std::fmt::Write as _;

use postern_config::{ContentAction, Part, RuntimeSecurity};

use super::Number;
use super::countries::COUNTRIES;
use crate::scan::ContentGuards;
use crate::scan::tests::{builtin, data, guards};
use crate::text::TextGuards as _;

fn numbers() -> ContentGuards {
    guards(&data(vec![("it", builtin("national-id"), ContentAction::Redact)]), &RuntimeSecurity::default())
}

fn found<'t>(guards: &ContentGuards, text: &'t str) -> Vec<&'t str> {
    guards.judge(Part::User, text).findings.iter().map(|f| &text[f.range.clone()]).collect()
}

#[test]
fn published_examples_are_found() {
    let guards = numbers();
    for (before, number) in [
        ("CUIT", "20-05536168-2"),
        ("my TFN is", "123 456 782"),
        ("medicare card", "2123 45670 1"),
        ("SVNR:", "1237 010180"),
        ("", "85.07.30-033.28"),
        ("", "390.533.447-05"),
        ("o CPF dele:", "39053344705"),
        ("", "16.727.230/0001-97"),
        ("EGN", "7523169263"),
        ("SIN", "123-456-782"),
        ("", "12.531.909-2"),
        ("RUT", "76086428-5"),
        ("", "11010519491231002X"),
        ("OIB", "33392005961"),
        ("", "710319/2745"),
        ("CPR", "211062-5629"),
        ("isikukood", "36805280109"),
        ("asmens kodas", "33309240064"),
        ("", "131052-308T"),
        ("", "131052A308T"),
        ("", "2 55 08 14 168 025 38"),
        ("numéro de sécurité sociale", "255081416802538"),
        ("Steuer-ID", "86095742719"),
        ("Steueridentifikationsnummer", "47 036 892 816"),
        ("AMKA", "01013099997"),
        ("", "G123456(A)"),
        ("kennitala", "120174-3399"),
        ("Aadhaar", "2341 2341 2346"),
        ("PAN", "ACUPA7085R"),
        ("PPS", "6433435F"),
        ("teudat zehut", "039337423"),
        ("", "RSSMRA85T10A562S"),
        ("my number 個人番号", "123456789018"),
        ("", "971013-9019902"),
        ("personas kods", "161175-19997"),
        ("", "BOXW310820HNERXN09"),
        ("BSN", "111222333"),
        ("fødselsnummer", "15108695088"),
        ("PESEL", "44051401359"),
        ("NIF", "501964843"),
        ("CNP", "1630615123457"),
        ("", "S1234567D"),
        ("EMŠO", "0101006500006"),
        ("South African ID", "7503305044089"),
        ("DNI", "12345678Z"),
        ("", "12345678-Z"),
        ("", "X1234567L"),
        ("", "811228-9874"),
        ("personnummer", "8112289874"),
        ("", "756.9217.0769.85"),
        ("身分證", "A123456789"),
        ("TCKN", "17291716060"),
        ("NHS number", "943 476 5919"),
        ("NI number", "AB 12 34 56 C"),
        ("ITIN", "912-90-3456"),
    ] {
        let text = format!("{before} {number}, please");
        assert_eq!(found(&guards, &text), [number], "{text}");
    }
}

#[test]
fn bare_digits_need_a_word() {
    let guards = numbers();
    for text in [
        "111222333 and 44051401359 and 86095742719",
        "order 123456782, invoice 501964843",
        "call 123 456 782",
        "epoch=1106653159000 sku: 317777614246",
        "39053344705",
        "AB123456C",
        "account_id A123456789",
        "a bsnx 111222333",
        "v1.756.9217.0769.85",
        "BSN 000000000 PESEL 11111111111",
    ] {
        assert_eq!(found(&guards, text), Vec::<&str>::new(), "{text}");
    }
}

/// What makes random characters likely to be valid: a date where there is one. A dot is left to chance.
fn hint(number: &Number) -> &'static str {
    match (number.country, number.name) {
        ("Austria", _) => ".....10480",
        ("Belgium" | "Poland", _) => "850730",
        ("Bulgaria", _) => "752316",
        ("China", _) => "11010519850312",
        ("Czechia, Slovakia", _) => "710319",
        ("Denmark" | "Greece" | "Iceland" | "Latvia" | "Norway" | "Slovenia", _) => "150886",
        ("Finland", name) if name.contains("1999") => "150804A",
        ("Finland", _) => "150886",
        ("Estonia, Lithuania" | "Romania", _) => "1850312",
        ("France", name) if name.starts_with("tax") => "1",
        ("France", _) => "1850375",
        ("India", name) if name.starts_with("PAN") => "...P",
        ("Italy", _) => "RSSMRA85T10A562",
        ("Korea" | "Sweden", _) if number.form.len() < 15 && !number.form.starts_with("99999999-") => "850312",
        ("Sweden", _) => "19850312",
        ("Mexico", _) => "BOXW310820HNERXN",
        ("South Africa", _) => "8503121234.8",
        ("Switzerland", _) => "756",
        ("Singapore", _) => "S",
        ("Spain", "NIE") => "X",
        ("Taiwan", _) => "A1",
        ("United Kingdom", name) if name.starts_with("National") => "AB",
        ("United States", _) => "91270",
        _ => "",
    }
}

struct Draw(u64);

impl Draw {
    fn of(&mut self, bytes: &[u8]) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes[usize::try_from(self.0 >> 33).unwrap() % bytes.len()]
    }

    /// One that is valid, as the form writes it, and without separators.
    fn valid(&mut self, number: &Number) -> (String, String) {
        for _ in 0..400_000 {
            let mut hint = hint(number).bytes();
            let mut drawn = |b: u8| match (b, hint.next()) {
                (_, Some(given)) if given != b'.' => given,
                (b'9', _) => self.of(b"0123456789"),
                (b'A', _) => self.of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
                _ => self.of(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
            };
            let written: String =
                number.form.bytes().map(|b| char::from(if super::is_separator(b) { b } else { drawn(b) })).collect();
            let kept: String = written.chars().filter(char::is_ascii_alphanumeric).collect();
            if (number.valid)(kept.as_bytes()) {
                return (written, kept);
            }
        }
        panic!("none of {} {}", number.country, number.name);
    }
}

#[test]
fn every_valid_number_is_found_and_no_other() {
    let guards = numbers();
    let mut draw = Draw(3);
    for number in COUNTRIES {
        let word = number.words[0];
        for _ in 0..12 {
            let (written, kept) = draw.valid(number);
            let text = format!("Her {word} is {written}, as far as I know.");
            assert_eq!(found(&guards, &text), [&*written], "{} {text}", number.country);
            if number.alone {
                let text = format!("It says {written} there.");
                assert_eq!(found(&guards, &text), [&*written], "{} {text}", number.country);
            }
            if number.name.contains("check digit") {
                continue;
            }
            // Every other last character that no other rule accepts.
            for other in b"0123456789ABCDEFGHKXZ".iter().map(|b| char::from(*b)) {
                let wrong = kept[..kept.len() - 1].to_owned() + &other.to_string();
                if COUNTRIES.iter().any(|number| (number.valid)(wrong.as_bytes())) {
                    continue;
                }
                let end = written.rfind(kept.chars().last().unwrap()).unwrap();
                let text = format!("Her {word} is {}{other}{}", &written[..end], &written[end + 1..]);
                assert_eq!(found(&guards, &text), Vec::<&str>::new(), "{} {text}", number.country);
            }
        }
    }
}

#[test]
fn the_documented_table_is_that_of_the_code() {
    let mut table = String::from("| State | Number | Form | Needs a word | Words |\n| --- | --- | --- | --- | --- |\n");
    for number in COUNTRIES {
        let separated = number.form.bytes().any(super::is_separator);
        let needs = if !number.alone {
            "yes"
        } else if separated {
            "without separators"
        } else {
            "no"
        };
        let words: Vec<String> = number.words.iter().map(|word| format!("`{word}`")).collect();
        let form = format!("`{}`", number.form);
        writeln!(table, "| {} | {} | {form} | {needs} | {} |", number.country, number.name, words.join(", ")).unwrap();
    }
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/detectors-data.md"));
    assert!(page.contains(&table), "docs/detectors-data.md should have:\n{table}");
}
