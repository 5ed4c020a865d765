use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;

/// What the reader saw, as another parser's tree.
fn tree(value: Value<'_>) -> Json {
    match value.kind() {
        Kind::Null => Json::Null,
        Kind::Bool => Json::Bool(value.boolean().unwrap()),
        Kind::Number => serde_json::from_slice(value.raw()).unwrap(),
        Kind::String => Json::String(value.text().unwrap().into_owned()),
        Kind::Array => value.items().map(tree).collect(),
        Kind::Object => value.entries().map(|(k, v)| (k.text().unwrap().into_owned(), tree(v))).collect(),
    }
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_filter_map("finite", |n| serde_json::Number::from_f64(n).map(Json::Number)),
        any::<String>().prop_map(Json::String),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Json::Array),
            prop::collection::btree_map("[a-zé\"\\\\\n]{0,4}", inner, 0..12)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

/// The inside of a JSON string, every character spelled plainly or as an escape, with its text.
fn spelled() -> impl Strategy<Value = (String, String)> {
    prop::collection::vec((any::<char>(), any::<bool>()), 0..24).prop_map(|chars| {
        let (mut raw, mut text) = (String::from("\""), String::new());
        for (c, escape) in chars {
            text.push(c);
            if escape || c < ' ' || c == '"' || c == '\\' {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| raw.push_str(&format!("\\u{unit:04x}")));
            } else {
                raw.push(c);
            }
        }
        (raw + "\"", text)
    })
}

/// Byte soup that is often nearly JSON.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u00", "\"a\"", "\"A\"", "0", "-", "1e9", "true", "nul", " ",
            "é"
        ])
        .prop_map(|t| t.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 1..3),
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn what_is_accepted_every_parser_reads_the_same(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        let doc = parse(&text).unwrap();
        // Read back by the other parser too: its doubles are off by a unit in the last place unless told otherwise.
        let theirs: Json = serde_json::from_slice(&text).unwrap();
        prop_assert_eq!(tree(doc.root()), theirs);
    }

    #[test]
    fn no_bytes_make_it_panic_and_none_are_read_differently(bytes in soup()) {
        if let Ok(doc) = parse(&bytes) {
            let theirs: Json = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(tree(doc.root()), theirs);
        }
    }

    #[test]
    fn strings_decode_however_they_are_spelled((raw, text) in spelled()) {
        let doc = parse(&raw).unwrap();
        let value = doc.root();
        prop_assert_eq!(value.text().unwrap(), text.as_str());
        prop_assert!(value.is_text(&text));
        let map = value.offsets();
        for (at, _) in text.char_indices() {
            let raw_at = map.raw(at).unwrap();
            let tail = format!("\"{}", raw.get(raw_at..).unwrap());
            let rest = parse(&tail).unwrap();
            prop_assert_eq!(rest.root().text().unwrap(), text.get(at..).unwrap());
        }
        prop_assert_eq!(map.raw(text.len()), Some(raw.len() - 1));
        prop_assert_eq!(map.raw(text.len() + 1), None);
    }

    #[test]
    fn edited_text_reads_back_as_edited((raw, text) in spelled(), cuts in prop::collection::btree_set(0usize..64, 0..6), with in any::<String>()) {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let cuts: Vec<usize> = cuts.into_iter().filter_map(|n| places.get(n).copied()).collect();
        let edits: Vec<Edit> = cuts.chunks_exact(2).map(|pair| Edit { range: pair[0]..pair[1], with: with.clone() }).collect();
        let body = format!("{{\"before\":1,\"it\":{raw},\"after\":[{raw}]}}");
        let doc = parse(&body).unwrap();
        let mut editor = Editor::new(&doc);
        editor.text(doc.root().get("it").unwrap().id(), &edits).unwrap();
        let changed = parse(editor.finish().unwrap()).unwrap();
        let want = apply(&text, &edits).unwrap();
        prop_assert_eq!(changed.root().get("it").unwrap().text().unwrap(), want);
        prop_assert_eq!(changed.root().get("after").unwrap().items().next().unwrap().text().unwrap(), text);
    }

    #[test]
    fn removals_leave_exactly_the_others(count in 0usize..8, mask in any::<u8>(), object in any::<bool>()) {
        let value: Json = if object {
            Json::Object((0..count).map(|n| (n.to_string(), Json::from(n))).collect())
        } else {
            (0..count).map(Json::from).collect()
        };
        let gone = |n: usize| mask >> n & 1 == 1;
        let doc = parse(serde_json::to_vec_pretty(&value).unwrap()).unwrap();
        let root = doc.root();
        let mut editor = Editor::new(&doc);
        let children = root.items().chain(root.entries().map(|(_, v)| v));
        children.enumerate().filter(|(n, _)| gone(*n)).for_each(|(_, v)| editor.remove(root.id(), v.id()));
        let left = tree(parse(editor.finish().unwrap()).unwrap().root());
        let kept: Vec<usize> = match &left {
            Json::Array(items) => items.iter().map(|v| v.as_u64().unwrap() as usize).collect(),
            Json::Object(members) => members.values().map(|v| v.as_u64().unwrap() as usize).collect(),
            _ => unreachable!(),
        };
        prop_assert_eq!(kept, (0..count).filter(|n| !gone(*n)).collect::<Vec<_>>());
    }
}
