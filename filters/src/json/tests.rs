use bytes::Bytes;

use super::JsonErrorKind as E;
use super::*;
use crate::Edit;

mod properties;
mod suite;

fn parse(text: impl AsRef<[u8]>) -> Result<Document, JsonError> {
    Document::parse(Bytes::copy_from_slice(text.as_ref()), Limits::default())
}

fn kind_of(text: impl AsRef<[u8]>) -> Result<(), (E, usize)> {
    parse(text).map(drop).map_err(|e| (e.kind, e.offset))
}

#[test]
fn reads_what_every_parser_reads_the_same() {
    for text in [
        "null",
        " true ",
        "false",
        "0",
        "-0",
        "-1.5e-3",
        "1E4",
        "\"\"",
        "[]",
        "{}",
        "\r\n\t [ 1 , [ ] , { } ] ",
        r#"{"a":{"b":[1,2,{"c":null}]},"d":"\ud83d\ude00\u0000\/"}"#,
        "\"\u{7f}\u{2028}😀\"",
        r#"{"A":1,"B":2,"C":3,"D":4,"E":5,"F":6,"G":7,"H":8,"I":9,"J":10}"#,
        r#"[{"a":1},{"a":1},{"A":1}]"#,
    ] {
        assert_eq!(kind_of(text), Ok(()), "{text}");
    }
}

#[test]
fn attack_48_what_parsers_disagree_about_is_refused() {
    for (case, text, want, offset) in [
        ("duplicate key", r#"{"a":1,"a":2}"#, E::DuplicateKey, 7),
        ("duplicate after unescaping", r#"{"role":1,"r\u006fle":2}"#, E::DuplicateKey, 10),
        (
            "duplicate far apart",
            r#"{"a":1,"b":[{"a":1}],"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"a":0}"#,
            E::DuplicateKey,
            63,
        ),
        ("duplicate empty keys", r#"{"":1,"":2}"#, E::DuplicateKey, 6),
        ("case twins", r#"{"role":1,"Role":2}"#, E::CaseTwin, 10),
        ("case twins after unescaping", r#"{"role":1,"\u0052ole":2}"#, E::CaseTwin, 10),
        ("case twins beyond ASCII", "{\"é\":1,\"É\":2}", E::CaseTwin, 8),
        ("Kelvin sign for k", "{\"k\":1,\"\u{212a}\":2}", E::CaseTwin, 7),
        ("long s for s", "{\"messages\":1,\"me\u{17f}sages\":2}", E::CaseTwin, 14),
        ("case twins among many", r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"A":0}"#, E::CaseTwin, 55),
        ("nested duplicate", r#"[{"x":{"a":1,"a":2}}]"#, E::DuplicateKey, 13),
        ("byte order mark", "\u{feff}{}", E::ByteOrderMark, 0),
        ("lone high surrogate", r#"["\ud800"]"#, E::LoneSurrogate, 2),
        ("lone low surrogate", r#"["\udc00"]"#, E::LoneSurrogate, 2),
        ("high then plain", r#"["\ud800\u0041"]"#, E::LoneSurrogate, 2),
        ("two high", r#"["\ud800\ud800"]"#, E::LoneSurrogate, 2),
        ("bad hex", r#"["\u12g4"]"#, E::BadEscape, 2),
        ("sign in hex", r#"["\u+123"]"#, E::BadEscape, 2),
        ("short hex", r#"["\u12"#, E::BadEscape, 2),
        ("unknown escape", r#"["\x41"]"#, E::BadEscape, 2),
        ("escaped single quote", r#"["\'"]"#, E::BadEscape, 2),
        ("control character", "[\"a\nb\"]", E::ControlCharacter, 3),
        ("NUL", "[\"\0\"]", E::ControlCharacter, 2),
        ("NaN", "NaN", E::UnexpectedByte, 0),
        ("Infinity", "[Infinity]", E::UnexpectedByte, 1),
        ("minus Infinity", "-Infinity", E::BadNumber, 1),
        ("line comment", "{} // x", E::TrailingData, 3),
        ("block comment", "[1,/* x */2]", E::UnexpectedByte, 3),
        ("trailing comma in array", "[1,]", E::UnexpectedByte, 3),
        ("trailing comma in object", r#"{"a":1,}"#, E::UnexpectedByte, 7),
        ("two values", "{}{}", E::TrailingData, 2),
        ("trailing NUL", "{}\0", E::TrailingData, 2),
        ("single quotes", "{'a':1}", E::UnexpectedByte, 1),
        ("bare key", "{a:1}", E::UnexpectedByte, 1),
        ("leading zero", "[01]", E::BadNumber, 1),
        ("plus sign", "+1", E::UnexpectedByte, 0),
        ("hexadecimal", "0x10", E::TrailingData, 1),
        ("no fraction", "[1.]", E::BadNumber, 3),
        ("no exponent", "[1e]", E::BadNumber, 3),
        ("beyond a double", "[1e400]", E::NumberOutOfRange, 1),
        ("form feed as space", "\u{c}1", E::UnexpectedByte, 0),
        ("no-break space", "\u{a0}1", E::UnexpectedByte, 0),
        ("wrong bracket", "[1}", E::UnexpectedByte, 2),
        ("nothing", "", E::UnexpectedEnd, 0),
        ("unclosed", "[[]", E::UnexpectedEnd, 3),
        ("unclosed string", "\"ab", E::UnexpectedEnd, 3),
        ("half a word", "tru", E::UnexpectedByte, 0),
    ] {
        assert_eq!(kind_of(text), Err((want, offset)), "{case}");
    }
    for (case, bytes, want, offset) in [
        ("UTF-16 with BOM", &b"\xff\xfe[\0]\0"[..], E::InvalidUtf8, 0),
        ("UTF-16 without", &b"[\0]\0"[..], E::UnexpectedByte, 1),
        ("overlong slash", &b"\"\xc0\xaf\""[..], E::InvalidUtf8, 1),
        ("encoded surrogate", &b"\"\xed\xa0\x80\""[..], E::InvalidUtf8, 1),
        ("cut character", &b"\"\xe2\x82\""[..], E::InvalidUtf8, 1),
    ] {
        assert_eq!(kind_of(bytes), Err((want, offset)), "{case}");
    }
}

#[test]
fn attack_44_depth_nodes_and_bytes_are_bounded() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert_eq!(kind_of(nested(64)), Ok(()));
    assert_eq!(kind_of(nested(65)), Err((E::TooDeep, 64)));
    assert_eq!(kind_of("[".repeat(5_000_000)), Err((E::TooDeep, 64)));
    assert_eq!(kind_of(r#"{"a":"#.repeat(100_000)), Err((E::TooDeep, 64 * 5)));

    let small = Limits { bytes: 100, nodes: 5, ..Limits::default() };
    let with = |text: &str| Document::parse(Bytes::copy_from_slice(text.as_bytes()), small).map_err(|e| e.kind);
    assert!(with("[1,2,3,4]").is_ok());
    assert_eq!(with("[1,2,3,4,5]").unwrap_err(), E::TooManyNodes);
    assert_eq!(with(r#"{"a":1,"b":2,"c":3}"#).unwrap_err(), E::TooManyNodes, "keys count");
    assert_eq!(with(&" ".repeat(101)).unwrap_err(), E::TooLarge);
}

#[test]
fn an_object_with_many_keys_is_not_quadratic() {
    let body = |n: usize| {
        let members: Vec<String> = (0..n).map(|i| format!("\"key-{i:0>40}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    // 100 000 keys compared pairwise would be five thousand million comparisons.
    assert_eq!(kind_of(body(100_000)), Ok(()));
    let escaped = body(50_000).replacen("key", "k\\u0065y", 1);
    assert_eq!(kind_of(escaped), Ok(()));
}

#[test]
fn values_are_found_without_a_tree() {
    let doc = parse(r#"{"model":"m","n":2,"list":[1,"two",null,{"x":true}],"t\u0065xt":"a\"b"}"#).unwrap();
    let root = doc.root();
    assert_eq!((root.kind(), root.len()), (Kind::Object, 4));
    assert_eq!(root.get("model").unwrap().text().unwrap(), "m");
    assert_eq!(root.get("text").unwrap().text().unwrap(), "a\"b");
    assert!(root.get("text").unwrap().is_text("a\"b"));
    assert!(root.get("mode").is_none());
    let list = root.get("list").unwrap();
    let kinds: Vec<Kind> = list.items().map(|v| v.kind()).collect();
    assert_eq!(kinds, [Kind::Number, Kind::String, Kind::Null, Kind::Object]);
    assert_eq!(list.items().last().unwrap().get("x").unwrap().boolean(), Some(true));
    assert_eq!(list.raw(), br#"[1,"two",null,{"x":true}]"#);
    assert!(list.entries().next().is_none() && root.items().next().is_none());
    assert_eq!(format!("{doc:?}"), "Document(71 bytes, 15 nodes)");
}

#[test]
fn only_integers_that_all_readers_agree_on_are_integers() {
    for (text, want) in [
        ("0", Some(0)),
        ("-7", Some(-7)),
        ("9007199254740991", Some(9_007_199_254_740_991)),
        ("9007199254740992", None),
        ("-9007199254740993", None),
        ("100000000000000000000", None),
        ("1.0", None),
        ("1e2", None),
        ("-0", None),
        ("\"1\"", None),
    ] {
        assert_eq!(parse(text).unwrap().root().integer(), want, "{text}");
    }
    assert_eq!(parse("1.5").unwrap().root().number(), Some(1.5));
}

#[test]
fn edits_of_the_decoded_text_become_edits_of_the_bytes() {
    for (case, raw, range, with, want) in [
        ("plain", r#""abcdef""#, 2..4, "X", r#""abXef""#),
        ("behind an escape", r#""\u0041bc""#, 1..2, "X", r#""\u0041Xc""#),
        ("an escape", r#""a\u0042c""#, 1..2, "X", r#""aXc""#),
        ("a surrogate pair", r#""a\ud83d\ude00c""#, 1..5, "", r#""ac""#),
        ("between escapes", r#""\n\tx\\""#, 2..3, "y", r#""\n\ty\\""#),
        ("up to the end", r#""x\n""#, 1..2, "!", r#""x!""#),
        ("insertion", r#""\u00e9z""#, 2..2, "-", r#""\u00e9-z""#),
        ("what is written is escaped", r#""abc""#, 1..2, "\"\\\n\u{1}é", "\"a\\\"\\\\\\n\\u0001éc\""),
        ("a digit run that is a number", "4111", 0..4, "[card]", r#""[card]""#),
        ("a part of a number", "12345", 2..5, "***", r#""12***""#),
    ] {
        let doc = parse(raw).unwrap();
        let mut editor = Editor::new(&doc);
        editor.text(NodeId(0), &[Edit { range, with: with.into() }]).unwrap();
        assert_eq!(editor.finish().unwrap(), want, "{case}");
    }
}

#[test]
fn edits_that_do_not_fit_change_nothing() {
    let doc = parse(r#"["añb",true]"#).unwrap();
    let text = doc.root().items().next().unwrap().id();
    let edit = |range| Edit { range, with: String::new() };
    for (case, edits) in [
        ("beyond the end", vec![edit(0..9)]),
        ("inside a character", vec![edit(0..2)]),
        ("out of order", vec![edit(3..4), edit(0..1)]),
        ("overlapping", vec![edit(0..3), edit(1..4)]),
    ] {
        assert_eq!(Editor::new(&doc).text(text, &edits), Err(EditError::BadRange), "{case}");
    }
    let word = doc.root().items().nth(1).unwrap().id();
    assert_eq!(Editor::new(&doc).text(word, &[edit(0..1)]), Err(EditError::NotText));
    let mut twice = Editor::new(&doc);
    twice.set_text(doc.root().id(), "x");
    twice.set_text(word, "y");
    assert_eq!(twice.finish(), Err(EditError::Overlap));
}

#[test]
fn a_removed_child_takes_its_comma_along() {
    for (raw, gone, want) in [
        ("[1]", &[0][..], "[]"),
        ("[1, 2 ,3]", &[0], "[2 ,3]"),
        ("[1, 2 ,3]", &[1], "[1 ,3]"),
        ("[1,2,3 ]", &[2], "[1,2 ]"),
        ("[1,2,3]", &[0, 1], "[3]"),
        ("[1,2,3]", &[0, 2], "[2]"),
        ("[1,2,3]", &[1, 2], "[1]"),
        ("[1,2,3]", &[2, 1, 0], "[]"),
        (r#"{"a":1,"b":{"x":1},"c":3}"#, &[1], r#"{"a":1,"c":3}"#),
        (r#"{ "a" : 1 , "b" : 2 }"#, &[0], r#"{ "b" : 2 }"#),
    ] {
        let doc = parse(raw).unwrap();
        let root = doc.root();
        let children: Vec<NodeId> = root.items().map(|v| v.id()).chain(root.entries().map(|(_, v)| v.id())).collect();
        let mut editor = Editor::new(&doc);
        for n in gone {
            editor.remove(root.id(), children[*n]);
        }
        assert_eq!(editor.finish().unwrap(), want, "{raw} without {gone:?}");
    }
    let doc = parse("[[1],2]").unwrap();
    let inner = doc.root().items().next().unwrap().items().next().unwrap().id();
    let mut editor = Editor::new(&doc);
    editor.remove(doc.root().id(), inner);
    assert_eq!(editor.finish(), Err(EditError::NotAChild));
}

#[test]
fn a_whole_value_is_replaced_only_by_json() {
    let doc = parse(r#"{"a":[1,2],"b":3}"#).unwrap();
    let a = doc.root().get("a").unwrap().id();
    let mut editor = Editor::new(&doc);
    assert!(matches!(editor.set(a, b"[1,]"), Err(EditError::NotJson(_))));
    editor.set(a, b"{\"x\":null}").unwrap();
    assert_eq!(editor.finish().unwrap(), r#"{"a":{"x":null},"b":3}"#);
    let untouched = Editor::new(&doc).finish().unwrap();
    assert_eq!(untouched.as_ptr(), doc.bytes().as_ptr(), "an unchanged body is not copied");
}
