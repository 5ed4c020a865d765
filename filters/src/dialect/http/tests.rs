use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::dialect::{DialectError, Message};
use crate::json::Limits;
use crate::{Edit, Reason};

fn read(content_type: &str, body: &str) -> Result<HttpBody, DialectError> {
    HttpBody::parse(Some(content_type), Bytes::copy_from_slice(body.as_bytes()), Limits::default())
}

/// Cuts `secret` out of every part.
fn cleaned(body: &HttpBody) -> Result<String, DialectError> {
    let edits: Vec<(usize, Vec<Edit>)> = body
        .parts()
        .iter()
        .enumerate()
        .map(|(n, part)| {
            let hits = part.text.as_str().match_indices("sé cret");
            (n, hits.map(|(at, hit)| Edit { range: at..at + hit.len(), with: "[&]".into() }).collect())
        })
        .collect();
    body.rewrite(&edits).map(|body| String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn textual_bodies_are_read_and_rewritten() {
    for (content_type, body, want) in [
        ("text/plain", "a sé cret b", "a [&] b"),
        ("text/html; charset=UTF-8", "<p>sé cret", "<p>[&]"),
        ("Text/CSV;charset=\"us-ascii\"; header=present", "a,b", "a,b"),
        ("application/json", r#"{"a":["s\u00e9 cret",1]}"#, r#"{"a":["[&]",1]}"#),
        ("application/vnd.api+json", r#""sé cret""#, r#""[&]""#),
        (
            "application/x-www-form-urlencoded",
            "a=s%C3%A9+cret&b=x+s%c3%a9%20cret%21&c",
            "a=%5B%26%5D&b=x+%5B%26%5D%21&c",
        ),
        ("application/x-www-form-urlencoded", "=&&a==", "=&&a=="),
    ] {
        assert_eq!(cleaned(&read(content_type, body).unwrap()).unwrap(), want, "{content_type}");
    }
    let empty = HttpBody::parse(None, Bytes::new(), Limits::default()).unwrap();
    assert!(empty.parts().is_empty() && empty.rewrite(&[]).unwrap().is_empty());
}

/// Its reader would see other letters than the guards did.
#[test]
fn attack_48_what_is_said_to_be_ascii_is_ascii() {
    for (content_type, body, want) in [
        ("application/json; charset=us-ascii", r#"{"a":"s\u00e9"}"#, true),
        ("application/json; charset=us-ascii", r#"{"a":"sé"}"#, false),
        ("text/plain; Charset=\"US-ASCII\"", "é", false),
        ("text/plain; charset=utf-8", "é", true),
        ("application/json", r#"{"a":"sé"}"#, true),
    ] {
        assert_eq!(read(content_type, body).is_ok(), want, "{content_type} {body}");
    }
}

#[test]
fn names_are_fixed() {
    for (content_type, body) in
        [("application/json", r#"{"sé cret":1}"#), ("application/x-www-form-urlencoded", "s%C3%A9+cret=1")]
    {
        assert_eq!(cleaned(&read(content_type, body).unwrap()), Err(DialectError::Fixed), "{content_type}");
    }
}

#[test]
fn a_number_that_may_be_a_card_is_a_part() {
    let body = read("application/json", r#"{"card":4111111111111111,"n":12}"#).unwrap();
    let texts: Vec<&str> = body.parts().iter().map(|part| part.text.as_str()).collect();
    assert_eq!(texts, ["card", "4111111111111111", "n"]);
    let edits = [(1, vec![Edit { range: 0..12, with: "*".into() }])];
    assert_eq!(body.rewrite(&edits).unwrap(), r#"{"card":"*1111","n":12}"#);
}

#[test]
fn what_cannot_be_read_is_refused() {
    for content_type in [
        "application/octet-stream",
        "multipart/mixed; boundary=x",
        "multipart/form-data",
        "image/png",
        "application/xml",
        "textual/plain",
        "text/plain; charset=utf-16",
        "text/plain; charset=utf-7",
        "text/plain; charset=utf-8; charset=utf-16",
        "",
        "text/plain;",
        "application/jsonx",
        "text/plain, application/json",
        "application/json; charset=latin1",
    ] {
        assert_eq!(read(content_type, "x").unwrap_err(), DialectError::MediaType, "{content_type}");
    }
    assert_eq!(read("text/plain; charset=utf-16", "x").unwrap_err().reason(), Reason::UnsupportedContent);
    let untyped = HttpBody::parse(None, Bytes::from_static(b"x"), Limits::default());
    assert_eq!(untyped.unwrap_err(), DialectError::MediaType);
    let invalid = HttpBody::parse(Some("text/plain"), Bytes::from_static(b"ab\xff"), Limits::default());
    assert_eq!(invalid.unwrap_err(), DialectError::Encoding { offset: 2 });
    for (body, offset) in [("a=%", 2), ("a=%4", 2), ("a=b%zz", 3), ("a=1&b=%ff", 6)] {
        let error = read("application/x-www-form-urlencoded", body).unwrap_err();
        assert_eq!(error, DialectError::Encoding { offset }, "{body}");
    }
    let few = Limits { nodes: 2, ..Limits::default() };
    let form = HttpBody::parse(Some("application/x-www-form-urlencoded"), Bytes::from_static(b"a=1&b=2"), few);
    assert_eq!(form.unwrap_err(), DialectError::TooMany { what: "fields" });
}

#[test]
fn refusals_are_problem_details() {
    let (status, content_type, body) = refusal(Reason::OtherTenant, "0192");
    assert_eq!((status, content_type), (403, "application/problem+json"));
    let want = r#"{"type":"urn:postern:refusal:policy_denied","title":"Not permitted","status":403,"decision":"0192"}"#;
    assert_eq!(String::from_utf8(body).unwrap(), want);
    assert_eq!(refusal(Reason::NotPermitted, "0192").2, refusal(Reason::OtherTenant, "0192").2);
}

proptest! {
    #[test]
    fn a_form_reads_back_as_edited(before in any::<String>(), hit in any::<String>(), after in any::<String>(), with in any::<String>()) {
        let encode = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
        let text = format!("{before}{hit}{after}x");
        let body = read("application/x-www-form-urlencoded", &format!("a={}&b=1", encode(&text))).unwrap();
        prop_assert_eq!(body.parts()[1].text.as_str(), text.as_str());
        let edit = Edit { range: before.len()..before.len() + hit.len(), with: with.clone() };
        let out = body.rewrite(&[(1, vec![edit])]).unwrap();
        let again = read("application/x-www-form-urlencoded", std::str::from_utf8(&out).unwrap()).unwrap();
        prop_assert_eq!(again.parts()[1].text.as_str(), format!("{before}{with}{after}x"));
        prop_assert_eq!(again.parts().len(), 4);
    }

    #[test]
    fn no_bytes_make_it_panic(kind in prop::sample::select(vec!["text/plain", "application/json", "application/x-www-form-urlencoded"]), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(body) = HttpBody::parse(Some(kind), bytes.clone().into(), Limits::default()) {
            prop_assert_eq!(body.rewrite(&[]).unwrap(), bytes);
        }
    }
}
