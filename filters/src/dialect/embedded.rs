//! JSON inside a string: what escapes hide in it, and how edits leave it JSON.
//!
//! One level: JSON in a string in JSON in a string is text to the tool that gets it, and is judged as that.

use std::ops::Range;

use super::DialectError;
use crate::Edit;
use crate::json::{Document, Kind, NodeId, OffsetMap, Value, escape_into};

/// A key, or a value without children.
#[derive(Clone, Copy)]
pub(super) struct Leaf<'a> {
    pub(super) value: Value<'a>,
    pub(super) is_key: bool,
}

/// Edits of single strings inside the JSON, by their node.
pub(super) type Inner<'e> = Vec<(NodeId, &'e [Edit])>;

/// All leaves below and including `root`, in the order of the text.
pub(super) fn leaves(root: Value<'_>) -> impl Iterator<Item = Leaf<'_>> {
    let mut open = vec![Leaf { value: root, is_key: false }];
    std::iter::from_fn(move || {
        loop {
            let leaf = open.pop()?;
            let from = open.len();
            match leaf.value.kind() {
                Kind::Array => open.extend(leaf.value.items().map(|value| Leaf { value, is_key: false })),
                Kind::Object => open.extend(
                    leaf.value
                        .entries()
                        .flat_map(|(key, value)| [Leaf { value: key, is_key: true }, Leaf { value, is_key: false }]),
                ),
                _ => return Some(leaf),
            }
            if let Some(children) = open.get_mut(from..) {
                children.reverse();
            }
        }
    })
}

/// What replaces a part of one leaf; the range counts in the JSON text.
struct Piece {
    range: Range<usize>,
    with: String,
}

/// Edits of the JSON text that do what `outer` (edits of that text) and `inner` (edits of decoded strings in it) ask for,
/// and leave it JSON: replacements are escaped, a number that is touched becomes a string, and where a range spans several
/// values each loses its share.
///
/// # Errors
/// [`DialectError::Fixed`] where an edit touches a key, or nothing but brackets and commas.
pub(super) fn combine(doc: &Document, outer: &[Edit], inner: &Inner<'_>) -> Result<Vec<Edit>, DialectError> {
    let leaves: Vec<Leaf<'_>> = leaves(doc.root()).collect();
    let spans: Vec<Range<usize>> = leaves.iter().map(|leaf| content(leaf.value)).collect();
    let mut pieces: Vec<Vec<Piece>> = leaves.iter().map(|_| Vec::new()).collect();

    // Edits are ordered, so several of one long string come together: its map is made once.
    let mut last: Option<(usize, OffsetMap)> = None;
    for edit in outer {
        let first = spans.partition_point(|span| span.end <= edit.range.start);
        let touched = spans.iter().enumerate().skip(first).take_while(|(_, span)| span.start < edit.range.end);
        let mut with = Some(edit.with.as_str());
        for (n, span) in touched {
            let (Some(leaf), Some(pieces)) = (leaves.get(n), pieces.get_mut(n)) else { continue };
            if leaf.is_key {
                return Err(DialectError::Fixed);
            }
            let share = edit.range.start.max(span.start)..edit.range.end.min(span.end);
            let map = match last.take() {
                Some((of, map)) if of == n => map,
                _ => leaf.value.offsets(),
            };
            let range = map.whole_escapes(share);
            last = Some((n, map));
            pieces.push(Piece { range, with: with.take().unwrap_or_default().to_owned() });
        }
        if with.is_some() {
            return Err(DialectError::Fixed);
        }
    }
    for (node, edits) in inner {
        // Leaves come in the order of the arena.
        let n = leaves.binary_search_by_key(node, |leaf| leaf.value.id()).map_err(|_missing| DialectError::Fixed)?;
        let (Some(leaf), Some(pieces)) = (leaves.get(n), pieces.get_mut(n)) else { continue };
        let map: OffsetMap = leaf.value.offsets();
        for edit in *edits {
            let range = map.raw_range(edit.range.clone()).ok_or(DialectError::Fixed)?;
            pieces.push(Piece { range, with: edit.with.clone() });
        }
    }

    let mut edits = Vec::new();
    for (leaf, pieces) in leaves.iter().zip(pieces).filter(|(_, pieces)| !pieces.is_empty()) {
        let pieces = merge(pieces);
        if leaf.value.kind() == Kind::String {
            edits.extend(pieces.into_iter().map(|piece| Edit { range: piece.range, with: escaped(&piece.with) }));
        } else {
            edits.push(stringified(leaf.value, &pieces));
        }
    }
    Ok(edits)
}

/// The bytes that hold a leaf's content: a string without its quotes.
fn content(value: Value<'_>) -> Range<usize> {
    let span = value.span();
    if value.kind() == Kind::String { span.start + 1..span.end - 1 } else { span }
}

/// Orders pieces and joins those that overlap: the whole and the single strings were judged both, and found the same.
fn merge(mut pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.sort_by_key(|piece| (piece.range.start, piece.range.end));
    let mut merged: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match merged.last_mut() {
            Some(last) if piece.range.start < last.range.end => {
                last.range.end = last.range.end.max(piece.range.end);
            }
            _ => merged.push(piece),
        }
    }
    merged
}

/// A number or word with pieces replaced, as a string.
fn stringified(value: Value<'_>, pieces: &[Piece]) -> Edit {
    let (span, raw) = (value.span(), String::from_utf8_lossy(value.raw()));
    let mut text = String::new();
    let mut at = 0;
    for piece in pieces {
        let (start, end) = (piece.range.start - span.start, piece.range.end - span.start);
        text.push_str(raw.get(at..start).unwrap_or_default());
        text.push_str(&piece.with);
        at = end;
    }
    text.push_str(raw.get(at..).unwrap_or_default());
    Edit { range: span, with: format!("\"{}\"", escaped(&text)) }
}

fn escaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    escape_into(&mut out, text);
    // INVARIANT: escaping adds ASCII to text that was UTF-8.
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::json::{Limits, apply};

    fn edit(text: &str, hit: &str, with: &str) -> Edit {
        let start = text.find(hit).unwrap();
        Edit { range: start..start + hit.len(), with: with.into() }
    }

    fn parse(text: &str) -> Document {
        Document::parse(Bytes::copy_from_slice(text.as_bytes()), Limits::default()).unwrap()
    }

    #[test]
    fn a_changed_text_is_still_json_and_has_lost_what_was_found() {
        for (text, hit, with, want) in [
            (r#"{"a":"xyz"}"#, "y", "\"\\\n", r#"{"a":"x\"\\\nz"}"#),
            (r#"{"card":4111111111111111,"b":1}"#, "4111111111111111", "[card]", r#"{"card":"[card]","b":1}"#),
            (r#"{"card":4111111111111111}"#, "411111111111", "****", r#"{"card":"****1111"}"#),
            (r#"[true,1]"#, "true", "[x]", r#"["[x]",1]"#),
            (r#"["ab","cd"]"#, r#"b","c"#, "[x]", r#"["a[x]","d"]"#),
            (r#"["ab",12,"cd"]"#, r#"b",12,"c"#, "[x]", r#"["a[x]","","d"]"#),
            (r#"["a\n4"]"#, "n4", "[x]", r#"["a[x]"]"#),
            (r#"["a\u00e9b"]"#, "00e", "[x]", r#"["a[x]b"]"#),
            (r#""whole""#, r#""whole""#, "[x]", r#""[x]""#),
        ] {
            let edits = combine(&parse(text), &[edit(text, hit, with)], &Vec::new()).unwrap();
            let got = apply(text, &edits).unwrap();
            assert_eq!(got, want, "{text} without {hit}");
            parse(&got);
        }
    }

    #[test]
    fn keys_and_structure_cannot_be_rewritten() {
        for (text, hit) in [(r#"{"key":1}"#, "ey"), (r#"{"key":"v"}"#, r#"key":"v"#), ("[1 , 2]", " , "), ("{}", "{}")]
        {
            let got = combine(&parse(text), &[edit(text, hit, "")], &Vec::new());
            assert_eq!(got, Err(DialectError::Fixed), "{text} without {hit}");
        }
    }

    #[test]
    fn leaves_come_in_the_order_of_the_text() {
        let doc = parse(r#"{"a":[1,{"b":null}],"c":"d"}"#);
        let got: Vec<(&[u8], bool)> = leaves(doc.root()).map(|leaf| (leaf.value.raw(), leaf.is_key)).collect();
        let want: [(&[u8], bool); 6] =
            [(b"\"a\"", true), (b"1", false), (b"\"b\"", true), (b"null", false), (b"\"c\"", true), (b"\"d\"", false)];
        assert_eq!(got, want);
    }

    #[test]
    fn many_findings_in_one_long_text_are_not_quadratic() {
        let text = format!("[\"\\u0041{}\"]", "secret,".repeat(100_000));
        let edits: Vec<Edit> = text
            .match_indices("secret")
            .map(|(at, hit)| Edit { range: at..at + hit.len(), with: "x".into() })
            .collect();
        assert_eq!(combine(&parse(&text), &edits, &Vec::new()).unwrap().len(), 100_000);
    }
}
