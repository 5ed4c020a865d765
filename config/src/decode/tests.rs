#![expect(dead_code, unreachable_pub, reason = "declared to be decoded and described, not to be used")]

use std::path::Path;

use super::*;
use crate::{Code, Report, yaml};

spec! {
    /// A thing.
    pub struct Thing {
        /// Its name.
        [E] name: At<String>,
        /// How many.
        [E, max "10"] max_items: Setting<u32> = "3",
        /// Which ones.
        [E, missing 71] of_kind: At<Vec<At<Colour>>>,
        /// More.
        [D] more: Option<At<Vec<At<Part>>>>,
    }
    later {
        /// Not yet.
        [A] "sometimes",
    }
}

spec! {
    /// A part of a thing.
    pub struct Part {
        /// Its name.
        [E] name: At<String>,
        /// Which ones.
        [E, missing 71] of_kind: At<Vec<At<Colour>>>,
    }
}

words! {
    /// A colour.
    pub enum Colour {
        /// As blood.
        Red = "Red",
        /// As the sea.
        Green = "Green",
    }
    later { "Blue", "Custom:" }
    never { "Black" } with 14, "`{}` hides everything", "use a colour"
}

spec! {
    /// A thing.
    pub struct Flat {
        /// Its name.
        [E] name: At<String>,
        /// How many.
        [E, max "10"] max_items: Setting<u32> = "3",
    }
    later {
        /// Not yet.
        [A] "sometimes",
    }
}

fn decode(text: &str) -> (Option<Thing>, Vec<(u16, String, String)>) {
    let mut report = Report::new();
    let position = crate::Position { file: "f".into(), line: 1, column: 1 };
    let node = yaml::fragment(text, &position).unwrap();
    let material = MaterialRule::new(Path::new(""), true, "default");
    let thing = Thing::decode(&node, &mut Cx::new(&mut report, material));
    let problems = report.problems().iter().map(|p| (p.code.0, p.pointer.clone(), p.help.clone())).collect();
    (thing, problems)
}

#[test]
fn what_is_left_out_has_its_default_and_says_so() {
    let (thing, problems) = decode("{name: a, ofKind: [Red]}");
    let thing = thing.unwrap();
    assert_eq!(problems, []);
    assert_eq!((*thing.max_items, thing.max_items.written().is_some()), (3, false));
    let (thing, _) = decode("{name: a, ofKind: [Red], maxItems: 3}");
    assert_eq!(thing.unwrap().max_items.written().map(|at| at.value), Some(3));
}

#[test]
fn all_problems_of_nested_objects_are_reported() {
    let (thing, problems) = decode(
        "{nmae: a, maxItems: 11, ofKind: [Rde, Blue, Custom:x, Black, 1], sometimes: 1, more: [{name: b, ofKind: []}, {}, 3]}",
    );
    assert!(thing.is_none());
    let found: Vec<(u16, &str)> = problems.iter().map(|(code, pointer, _)| (*code, pointer.as_str())).collect();
    for expected in [
        (2, ""),
        (2, "nmae"),
        (9, "maxItems"),
        (2, "ofKind[0]"),
        (7, "ofKind[1]"),
        (7, "ofKind[2]"),
        (14, "ofKind[3]"),
        (2, "ofKind[4]"),
        (7, "sometimes"),
        (71, "more[0].ofKind"),
        (2, "more[1]"),
        (71, "more[1]"),
        (2, "more[2]"),
    ] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
    assert_eq!(found.len(), 13, "{found:?}");
}

#[test]
fn the_word_that_was_meant_is_named() {
    let help = |text: &str| decode(text).1[0].2.clone();
    assert_eq!(help("{name: a, ofKind: [Red], maxitems: 1}"), "did you mean `maxItems`?");
    assert_eq!(help("{name: a, ofKind: [Red], max_items: 1}"), "did you mean `maxItems`?");
    assert_eq!(help("{name: a, ofKind: [green]}"), "did you mean `Green`?");
    assert_eq!(help("{name: a, ofKind: [Mauve]}"), "use one of `Red`, `Green`");
    assert_eq!(help("{name: a, ofKind: [Red], zzz: 1}"), "known here: `name`, `maxItems`, `ofKind`, `more`");
}

#[test]
fn text_that_yaml_reads_as_something_else_is_refused_kindly() {
    for (value, ok) in [
        ("a", true),
        ("\"1\"", true),
        ("'true'", true),
        ("1", false),
        ("true", false),
        ("1.5", false),
        ("no", false),
        ("~", false),
        ("", false),
        ("\"\"", false),
        ("[a]", false),
        ("{a: b}", false),
    ] {
        let (thing, problems) = decode(&format!("{{name: {value}, ofKind: [Red]}}"));
        assert_eq!(thing.is_some(), ok, "{value}");
        assert!(problems.iter().all(|(code, pointer, _)| *code == 2 && pointer == "name"), "{value}");
    }
}

#[test]
fn numbers_are_decimal() {
    for (value, ok) in [
        ("0", true),
        ("10", true),
        ("010", false),
        ("0x1", false),
        ("1_0", false),
        ("+1", false),
        ("-1", false),
        ("1.0", false),
        ("\"1\"", false),
        ("4294967296", false),
    ] {
        assert_eq!(decode(&format!("{{name: a, ofKind: [Red], maxItems: {value}}}")).0.is_some(), ok, "{value}");
    }
}

#[test]
fn the_description_says_what_the_decoder_takes() {
    let Shape::Record { name, doc, fields } = Flat::shape() else { panic!("a record") };
    assert_eq!((name, doc.trim()), ("Flat", "A thing."));
    let fields: Vec<_> =
        fields.iter().map(|f| (f.name, f.level.letter(), f.presence.clone(), f.ceiling, f.shape.is_some())).collect();
    assert_eq!(
        fields,
        [
            ("name", "E", Presence::Required, None, true),
            ("maxItems", "E", Presence::Default("3"), Some("10"), true),
            ("sometimes", "A", Presence::Optional, None, false),
        ]
    );
}

#[test]
fn a_report_has_the_grammar_of_the_house() {
    let mut report = Report::new();
    let position = crate::Position { file: "policies/ai-edge.yaml".into(), line: 17, column: 75 };
    report.error(Code(71), &position, "spec.rateLimits[0].burst", "`burst` is 900", "use at most 600");
    let text = "error[PV-071]: `burst` is 900\n  --> policies/ai-edge.yaml:17:75  spec.rateLimits[0].burst\n  help: use at most 600\n\n";
    assert_eq!(report.to_string(), text);
}
