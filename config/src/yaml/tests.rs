use proptest::prelude::*;

use super::*;

fn read(bytes: &[u8]) -> (Documents, Report) {
    let mut report = Report::new();
    let documents = parse(&Arc::from("f.yaml"), bytes, 1 << 20, End::Newline, &mut report);
    (documents, report)
}

#[test]
fn positions_count_lines_and_characters_from_one() {
    let (documents, report) = read("a: 1\nü: {b: [x,\n  ÿz, \"q\"]}\n".as_bytes());
    assert_eq!(report.to_string(), "");
    let list = documents.nodes[0].get("ü").and_then(|node| node.get("b")).unwrap();
    let Value::Sequence(items) = &list.value else { panic!("a list") };
    let places: Vec<_> = items.iter().map(|item| (item.position.line, item.position.column)).collect();
    assert_eq!(places, [(2, 9), (3, 3), (3, 7)]);
}

#[test]
fn a_document_is_read_in_yaml_and_in_json_alike() {
    let yaml = "a: text\nb: [1, true, null, \"1\"]\nc:\n  d: |\n    two\n    lines\n";
    let json = r#"{"c": {"d": "two\nlines\n"}, "b": [1, true, null, "1"], "a": "text"}"#;
    let canonical = |text: &str| canonical_json(&read(text.as_bytes()).0.nodes[0]);
    assert_eq!(canonical(yaml), canonical(json));
    assert_eq!(canonical(yaml), r#"{"a":"text","b":[1,true,null,"1"],"c":{"d":"two\nlines\n"}}"#);
}

#[test]
fn what_two_readers_read_differently_is_refused() {
    for (case, text) in [
        ("anchor", "a: &x 1\n"),
        ("alias", "a: &x 1\nb: *x\n"),
        ("tag", "a: !!binary aGk=\n"),
        ("own tag", "a: !secret x\n"),
        ("merge key", "a: {<<: {b: 1}}\n"),
        ("duplicate key", "a: 1\na: 2\n"),
        ("duplicate key, other quotes", "a: 1\n\"a\": 2\n"),
        ("duplicate key in flow", "{a: 1, a: 2}\n"),
        ("null key", "? \n: 1\n"),
        ("number as key", "1: a\n"),
        ("truth value as key", "yes: a\n"),
        ("list as key", "? [a]\n: b\n"),
        ("NUL, which ends the input of the parser", "a: 1\n\0b: 2\n"),
        ("byte order mark", "\u{FEFF}a: 1\n"),
        ("line separator", "a: 1\u{2028}b: 2\n"),
        ("right to left", "a: \u{202E}1\n"),
        ("two flow values", "{a: 1} {b: 2}\n"),
        ("tab for indentation", "a:\n\tb: 1\n"),
        ("no newline", "a: 10"),
        ("empty", ""),
        ("comment", "# a\n"),
        ("empty document", "a: 1\n---\n"),
        ("open bracket", "a: [1, 2\n"),
        ("open brace", "{a: 1\n"),
        ("open quote", "a: \"b\n"),
        ("half of an escape", "a: \"\\x\n"),
    ] {
        let (documents, report) = read(text.as_bytes());
        assert!(report.has_errors() && !documents.whole, "{case}");
        assert!(report.problems().iter().all(|problem| problem.code == PV_SHAPE), "{case}");
    }
}

#[test]
fn ordinary_documents_pass() {
    for text in [
        "a: 1\n",
        "---\na: 1\n---\nb: 2\n",
        "a: 1\n...\n",
        "{\"a\": 1}",
        "[]\n",
        "a: \"\\u200E\"\r\nb: 1\r\n",
        "a:\n- 1\n- 2\n",
    ] {
        let (documents, report) = read(text.as_bytes());
        assert!(documents.whole, "{text}: {report}");
    }
}

#[test]
fn every_problem_of_form_is_reported_with_its_place() {
    let (_, report) = read(b"a: &x 1\nb: *x\nc: !t 1\na: 2\n");
    let lines: Vec<_> = report.problems().iter().map(|problem| problem.position.line).collect();
    assert_eq!(lines, [1, 2, 3, 4]);
}

#[test]
fn nesting_and_size_are_bounded() {
    let nested = |depth: usize| format!("{}1{}\n", "[".repeat(depth), "]".repeat(depth));
    assert!(read(nested(MAX_DEPTH).as_bytes()).0.whole);
    assert!(!read(nested(MAX_DEPTH + 1).as_bytes()).0.whole);
    let deep: String = (0..80).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    assert!(!read(deep.as_bytes()).0.whole);
    for opener in ["[", "{a: ", "- ", "? ", "{? "] {
        assert!(!read(opener.repeat(100_000).as_bytes()).0.whole, "{opener}");
    }
    let (documents, report) = read(&vec![b' '; (1 << 20) + 1]);
    assert!(documents.nodes.is_empty() && report.problems()[0].code == Code(9));
}

#[test]
fn unquoted_text_has_the_class_that_readers_give_it() {
    for (text, class) in [
        ("", Plain::Null),
        ("~", Plain::Null),
        ("null", Plain::Null),
        ("true", Plain::Bool(true)),
        ("FALSE", Plain::Bool(false)),
        ("no", Plain::Ambiguous),
        ("On", Plain::Ambiguous),
        ("0", Plain::Integer),
        ("-12", Plain::Integer),
        ("0x1F", Plain::Integer),
        ("0o17", Plain::Integer),
        ("010", Plain::Integer),
        ("1_000", Plain::Integer),
        ("1.5", Plain::Float),
        ("1e3", Plain::Float),
        (".5", Plain::Float),
        (".inf", Plain::Float),
        (".NaN", Plain::Float),
        ("-.inf", Plain::Float),
        ("1m", Plain::Word),
        ("1.2.3", Plain::Word),
        ("inf", Plain::Word),
        ("2027-01-31T00:00:00Z", Plain::Word),
        ("nullable", Plain::Word),
        ("-", Plain::Word),
    ] {
        assert_eq!(Plain::of(text), class, "{text}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = read(&bytes);
    }

    #[test]
    fn text_made_of_yaml_never_panics(parts in proptest::collection::vec("[-?:,{}\\[\\]&*!|>'\"%@` \n\tab1#.<\\\\]{0,6}", 0..24)) {
        let _ = read(parts.concat().as_bytes());
    }

    #[test]
    fn a_json_document_survives_no_cut(keys in proptest::collection::btree_map("[a-z]{1,6}", "[ -~]{0,12}", 1..6), cut in any::<prop::sample::Index>()) {
        let text = serde_json::to_string(&keys).unwrap();
        prop_assert!(read(text.as_bytes()).0.whole);
        let at = cut.index(text.len());
        prop_assert!(!read(&text.as_bytes()[..at]).0.whole);
    }
}
