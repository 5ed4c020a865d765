use postern_config::{ContentAction, Part, RuntimeSecurity};

use super::{GIVEN, NOT_NAMES, PLACES};
use crate::scan::tests::{builtin, data, guards};
use crate::text::TextGuards as _;

#[test]
fn names_are_found_where_they_are_likely() {
    let guards =
        guards(&data(vec![("it", builtin("person-name"), ContentAction::Redact)]), &RuntimeSecurity::default());
    for (text, want) in [
        ("I spoke to Maria Lopez yesterday", &["Maria Lopez"][..]),
        ("my name is Ayşe.", &["Ayşe"]),
        ("My name is Onyeka, hello", &["Onyeka"]),
        ("Dear Thomas, thank you", &["Thomas"]),
        ("Dear Customer, thank you", &[]),
        ("Mrs. Xanthe Oduya-Brown called", &["Xanthe Oduya-Brown"]),
        ("José García del Río and Jean-Pierre Dupont", &["José García del Río", "Jean-Pierre Dupont"]),
        ("{\"name\": \"Efraín de Villena\", \"id\": 4}", &["Efraín de Villena"]),
        ("{\"name\": \"Read File\", \"id\": 4}", &[]),
        ("Thomas Street, Martin Luther King", &["Martin Luther King"]),
        ("Henry Ford Museum is closed; Peter is not", &[]),
        ("at 84 chemin Margaux Peltier, calle de Sara Rueda", &[]),
        ("the card holder Kofi Annan", &["Kofi Annan"]),
    ] {
        let judged = guards.judge(Part::User, text);
        let found: Vec<&str> = judged.findings.iter().map(|f| &text[f.range.clone()]).collect();
        assert_eq!(found, want, "{text}");
    }
}

#[test]
fn lists_are_in_order() {
    assert!(NOT_NAMES.is_sorted() && PLACES.is_sorted(), "they are searched by halves");
    assert!(GIVEN.len() > 900);
}
