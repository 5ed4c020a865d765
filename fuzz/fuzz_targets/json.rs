//! Whatever the reader accepts has sound spans, and its texts can be rewritten to a body that is accepted again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use postern_filters::Edit;
use postern_filters::json::{Document, Editor, Kind, Limits, Value};

fn walk<'a>(value: Value<'a>, editor: &mut Editor<'_>) {
    assert!(!value.raw().is_empty());
    if let Some(text) = value.text() {
        let map = value.offsets();
        assert!(text.char_indices().all(|(at, _)| map.raw(at).is_some()));
        let whole = Edit { range: 0..text.len(), with: "\"\\\u{1}".into() };
        editor.text(value.id(), &[whole]).expect("the whole text can be replaced");
    }
    match value.kind() {
        Kind::Array => value.items().for_each(|item| walk(item, editor)),
        Kind::Object => value.entries().for_each(|(_, member)| walk(member, editor)),
        _ => {}
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(doc) = Document::parse(Bytes::copy_from_slice(data), Limits::default()) else { return };
    let mut editor = Editor::new(&doc);
    walk(doc.root(), &mut editor);
    let changed = editor.finish().expect("no two texts overlap");
    Document::parse(changed, Limits::default()).expect("a rewritten body is accepted");
});
