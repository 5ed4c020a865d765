//! Requests held against one document.

use std::sync::Arc;

use bytes::Bytes;
use postern_config::{Report, openapi};

use super::Contract;
use crate::Reason;
use crate::json::Limits;
use crate::testing::{Asked, asked};

const DOCUMENT: &str = r"
openapi: 3.1.0
servers: [{url: /v1}]
paths:
  /orders:
    get:
      parameters:
        - {name: page, in: query, schema: {type: integer, minimum: 1, maximum: 100}}
        - {name: ids, in: query, explode: false, schema: {type: array, items: {type: integer}, maxItems: 3}}
        - {name: tag, in: query, schema: {type: array, items: {type: string, pattern: '^[a-z]+$'}, uniqueItems: true}}
        - {name: filter, in: query, style: deepObject, schema: {type: object, properties: {state: {enum: [open, closed]}, min: {type: number}}, additionalProperties: false}}
        - {name: where, in: query, content: {application/json: {schema: {type: object, required: [a]}}}}
        - {name: deep, in: query, schema: {type: boolean}}
        - {name: q, in: query, schema: {type: string, maxLength: 5}}
        - {name: X-Trace, in: header, schema: {type: string, format: uuid}}
        - {name: X-Sizes, in: header, schema: {type: array, items: {type: integer}}}
        - {name: session, in: cookie, schema: {type: string, maxLength: 8}}
    post:
      parameters: [{name: dry, in: query, required: true, schema: {type: boolean}}]
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [item, quantity]
              additionalProperties: false
              properties: {item: {type: string, maxLength: 8}, quantity: {type: integer, minimum: 1, maximum: 99}}
          application/x-www-form-urlencoded:
            schema:
              type: object
              required: [item]
              additionalProperties: false
              properties: {item: {type: string, maxLength: 8}, quantity: {type: integer}, tags: {type: array, items: {type: string}, maxItems: 2}}
          text/plain: {schema: {type: string, maxLength: 5}}
          application/pdf: {}
  /orders/mine: {get: {}}
  /orders/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer, minimum: 1}}]
    get: {}
    delete: {}
  /files/{name}/raw: {get: {parameters: [{name: name, in: path, required: true, schema: {type: string, maxLength: 8, pattern: '^[^/]+$'}}]}}
  /optional: {post: {requestBody: {content: {application/json: {schema: {type: object}}}}}}
";

fn contract() -> Contract {
    let mut report = Report::new();
    let api = openapi::read("api.yaml", DOCUMENT.as_bytes(), &mut report).unwrap_or_else(|| panic!("{report}"));
    assert_eq!(report.to_string(), "");
    Contract::new(&Arc::new(api)).unwrap()
}

/// As the chain asks: the head, then the body.
fn judged(contract: &Contract, asked: &Asked) -> Result<(), (Reason, String)> {
    let head = contract.check_head(&asked.view());
    let judged = head.and_then(|()| contract.check_body(&asked.view(), &asked.body, Limits::default()));
    judged.map_err(|mismatch| (mismatch.reason(), mismatch.to_string()))
}

fn expect(contract: &Contract, case: &str, asked: &Asked, want: Option<(Reason, &str)>) {
    match (judged(contract, asked), want) {
        (Ok(()), None) => {}
        (Err((reason, said)), Some((want, words))) => {
            assert_eq!(reason, want, "{case}: {said}");
            assert!(said.contains(words), "{case}: no `{words}` in `{said}`");
        }
        (got, want) => panic!("{case}: {got:?}, not {want:?}"),
    }
}

#[test]
fn operations_are_found_by_canonical_path_the_concrete_before_the_templated() {
    let contract = contract();
    for (method, path, want) in [
        ("GET", "/v1/orders", None),
        ("GET", "/v1/orders/7", None),
        ("GET", "/v1/orders/mine", None),
        ("DELETE", "/v1/orders/7", None),
        // What is written out is what the path is, whatever a template beside it would take.
        (
            "DELETE",
            "/v1/orders/mine",
            Some((Reason::MethodNotAllowed, "`/v1/orders/mine` has no operation of this method")),
        ),
        ("PUT", "/v1/orders/7", Some((Reason::MethodNotAllowed, "`/v1/orders/{id}` has no operation"))),
        ("HEAD", "/v1/orders", Some((Reason::MethodNotAllowed, ""))),
        ("get", "/v1/orders", Some((Reason::MethodNotAllowed, ""))),
        ("GET", "/orders", Some((Reason::NoSuchOperation, "no operation has this path"))),
        ("GET", "/v1/orders/", Some((Reason::NoSuchOperation, ""))),
        ("GET", "/v1/orders/7/", Some((Reason::NoSuchOperation, ""))),
        ("GET", "/v1/orders/7/items", Some((Reason::NoSuchOperation, ""))),
        ("GET", "/v1/Orders", Some((Reason::NoSuchOperation, ""))),
        ("GET", "/v1", Some((Reason::NoSuchOperation, ""))),
        ("GET", "/v1/files//raw", Some((Reason::NoSuchOperation, ""))),
        ("GET", "/v1/orders/0", Some((Reason::SchemaMismatch, "path parameter `id`: `minimum` does not hold"))),
        ("GET", "/v1/orders/07", Some((Reason::SchemaMismatch, "path parameter `id` is not an integer"))),
        ("GET", "/v1/orders/7.0", Some((Reason::SchemaMismatch, "is not an integer"))),
        ("GET", "/v1/orders/1e3", Some((Reason::SchemaMismatch, "is not an integer"))),
        ("GET", "/v1/orders/9007199254740993", Some((Reason::SchemaMismatch, "`type` does not hold"))),
        ("GET", "/v1/files/a%20b/raw", None),
        ("GET", "/v1/files/a%C3%A9bcdefgh/raw", Some((Reason::SchemaMismatch, "`maxLength`"))),
    ] {
        expect(&contract, &format!("{method} {path}"), &asked(method, path), want);
    }
}

#[test]
fn attack_17_parameters_are_read_in_one_way_or_not_at_all() {
    let contract = contract();
    let mismatch = |words| Some((Reason::SchemaMismatch, words));
    let malformed = |words| Some((Reason::Malformed, words));
    for (query, want) in [
        ("", None),
        ("page=1", None),
        ("page=100&deep=true&q=a+b", None),
        ("page=101", mismatch("query parameter `page`: `maximum` does not hold")),
        ("page=", mismatch("`page` is not an integer")),
        ("page", mismatch("`page` is not an integer")),
        ("page=1&page=2", mismatch("`page` is there more than once")),
        ("page=1&p%61ge=2", mismatch("`page` is there more than once")),
        ("p%61ge=1", None),
        ("page[]=1", mismatch("a query parameter that the document does not have")),
        ("Page=1", mismatch("a query parameter that the document does not have")),
        ("page=1&debug=1", mismatch("a query parameter that the document does not have")),
        ("page=1;debug=1", malformed("`;`")),
        ("page=1&&q=a", malformed("a field without a name")),
        ("&", malformed("a field without a name")),
        ("=1", malformed("a field without a name")),
        ("page=%31", None),
        ("page=1%00", mismatch("is not an integer")),
        ("page=١", mismatch("is not an integer")),
        ("page=+1", mismatch("is not an integer")),
        ("page=0x1", mismatch("is not an integer")),
        ("page=1e1", mismatch("is not an integer")),
        ("deep=1", mismatch("is not `true` or `false`")),
        ("deep=TRUE", mismatch("is not `true` or `false`")),
        ("q=%ff", malformed("a broken escape")),
        ("q=%4", malformed("a broken escape")),
        ("q=abcdef", mismatch("`maxLength`")),
        ("ids=1,2,3", None),
        ("ids=1,2,3,4", mismatch("`maxItems`")),
        ("ids=1,,2", mismatch("is not an integer")),
        ("ids=1%2C2", malformed("an escaped comma")),
        ("ids=1&ids=2", mismatch("more than once")),
        ("tag=a&tag=b", None),
        ("tag=a&tag=a", mismatch("`uniqueItems`")),
        ("tag=a&tag=B", mismatch("`pattern` does not hold at `/1`")),
        ("filter[state]=open&filter[min]=1.5", None),
        ("filter%5Bstate%5D=open", None),
        ("filter[state]=gone", mismatch("`enum` does not hold at `/state`")),
        (
            "filter[state]=open&filter[state]=closed",
            mismatch("field `state` of query parameter `filter` is there more than once"),
        ),
        ("filter[other]=1", mismatch("does not have")),
        ("filter[state][x]=open", mismatch("does not have")),
        ("filter=open", mismatch("does not have")),
        ("where=%7B%22a%22%3A1%7D", None),
        ("where=%7B%22a%22%3A1%2C%22a%22%3A2%7D", malformed("is not strict JSON: duplicate key")),
        ("where=%7B%7D", mismatch("`required`")),
    ] {
        let mut asked = asked("GET", "/v1/orders");
        asked.query = (!query.is_empty()).then(|| query.to_owned());
        expect(&contract, query, &asked, want);
    }
    expect(
        &contract,
        "required",
        &asked("POST", "/v1/orders").json("{}"),
        mismatch("query parameter `dry` is missing"),
    );
}

#[test]
fn headers_and_cookies_are_judged_as_they_will_arrive() {
    let contract = contract();
    let mismatch = |words| Some((Reason::SchemaMismatch, words));
    let malformed = |words| Some((Reason::Malformed, words));
    for (head, want) in [
        ("x-trace: 0192f1c2-6d3e-7c11-9f5e-3f0c9f0e7a11\nx-unknown: passes", None),
        ("X-Trace: nope", mismatch("header parameter `x-trace`: `format` does not hold")),
        (
            "x-trace: 0192f1c2-6d3e-7c11-9f5e-3f0c9f0e7a11\nx-trace: 0192f1c2-6d3e-7c11-9f5e-3f0c9f0e7a11",
            mismatch("more than once"),
        ),
        (
            "x-trace: 0192f1c2-6d3e-7c11-9f5e-3f0c9f0e7a11\nconnection: close, X-Trace",
            malformed("is named in `connection`"),
        ),
        ("x-trace: \u{e9}", malformed("is not ASCII")),
        ("x-sizes: 1, 2 ,3", None),
        ("x-sizes: 1, x", mismatch("is not an integer")),
        ("cookie: a=b; session=abc", None),
        ("cookie: session=abcdefghi", mismatch("cookie parameter `session`: `maxLength`")),
        ("cookie: session=a; session=b", mismatch("more than once")),
        ("cookie: session=a\ncookie: session=b", mismatch("more than once")),
        ("cookie: session=%41", malformed("a broken escape")),
        ("content-type: application/json", Some((Reason::UnsupportedContent, "a body where the document has none"))),
    ] {
        expect(&contract, head, &asked("GET", "/v1/orders").head(head), want);
    }
}

#[test]
fn attack_48_bodies_are_judged_by_the_strict_reader_and_their_schema() {
    let contract = contract();
    let mismatch = |words| Some((Reason::SchemaMismatch, words));
    let malformed = |words| Some((Reason::Malformed, words));
    let unsupported = |words| Some((Reason::UnsupportedContent, words));
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let form = "application/x-www-form-urlencoded";
    for (kind, body, want) in [
        ("application/json", r#"{"item": "pen", "quantity": 2}"#, None),
        ("application/json; charset=utf-8", r#"{"item": "pen", "quantity": 2}"#, None),
        ("application/json; charset=utf-16", r#"{"item": "pen", "quantity": 2}"#, unsupported("a content type")),
        ("application/json, text/xml", "{}", unsupported("a content type")),
        ("text/xml", "<a/>", unsupported("a content type that the document does not have")),
        ("application/json", "", malformed("unexpected end")),
        ("", "", mismatch("the body is missing")),
        ("", "{}", unsupported("a content type")),
        (
            "application/json",
            r#"{"item": "pen", "quantity": 2, "quantity": 99}"#,
            malformed("the body is not strict JSON: duplicate key at byte 31"),
        ),
        (
            "application/json",
            r#"{"item": "pen", "quantity": 2, "Quantity": 99}"#,
            malformed("keys that differ only by case"),
        ),
        ("application/json", r#"{"item": "pen", "quantity": 2, "q\u0075antity": 99}"#, malformed("duplicate key")),
        ("application/json", r#"{"item": "pen", "quantity": 2} {}"#, malformed("data after the value")),
        ("application/json", "\u{feff}{}", malformed("byte order mark")),
        ("application/json", r#"{"item": "pen", "quantity": NaN}"#, malformed("unexpected byte")),
        ("application/json", r#"{"item": "pen", "quantity": 1e999}"#, malformed("number out of range")),
        (
            "application/json",
            r#"{"item": "pen", "quantity": 18446744073709551617}"#,
            mismatch("`type` does not hold at `/quantity`"),
        ),
        (
            "application/json",
            r#"{"item": "pen", "quantity": 100}"#,
            mismatch("the body: `maximum` does not hold at `/quantity`"),
        ),
        (
            "application/json",
            r#"{"item": "pen", "quantity": 2, "admin": true}"#,
            mismatch("`additionalProperties` does not hold"),
        ),
        ("application/json", r#"{"item": "pen"}"#, mismatch("`required` does not hold")),
        ("application/json", "[]", mismatch("`type` does not hold")),
        ("application/json", deep.as_str(), malformed("nested deeper than allowed")),
        (form, "item=pen&quantity=2&tags=a&tags=b", None),
        (form, "item=a+b%20c", None),
        (form, "item=pen&item=ink", mismatch("field `item` is there more than once")),
        (form, "item=pen&admin=1", mismatch("a field of the form that the document does not have")),
        (form, "item=pen&tags=a&tags=b&tags=c", mismatch("the form: `maxItems` does not hold at `/tags`")),
        (form, "item=pen;quantity=2", malformed("`;`")),
        (form, "quantity=2", mismatch("`required`")),
        (form, "item=%zz", malformed("a broken escape")),
        ("text/plain", "hello", None),
        ("text/plain", "hello!", mismatch("`maxLength`")),
        ("application/pdf", "anything", None),
    ] {
        let mut asked = asked("POST", "/v1/orders?dry=true");
        asked.body = Bytes::copy_from_slice(body.as_bytes());
        let asked = if kind.is_empty() { asked } else { asked.head(&format!("content-type: {kind}")) };
        expect(&contract, &format!("{kind} {body}"), &asked, want);
    }
    expect(&contract, "optional", &asked("POST", "/v1/optional"), None);
    expect(&contract, "optional, and there", &asked("POST", "/v1/optional").json("[]"), mismatch("`type`"));
}

#[test]
fn nothing_of_the_request_is_said_about_it() {
    let contract = contract();
    for asked in [
        asked("POST", "/v1/orders?dry=true").json(r#"{"hunter22": "hunter22", "item": "hunter22hunter22"}"#),
        asked("POST", "/v1/orders?dry=hunter22").json("{}"),
        asked("GET", "/v1/orders?hunter22=hunter22"),
        asked("GET", "/v1/orders/hunter22"),
        asked("GET", "/v1/hunter22"),
        asked("GET", "/v1/orders").head("x-trace: hunter22"),
    ] {
        let (_, said) = judged(&contract, &asked).unwrap_err();
        assert!(!said.contains("hunter22"), "{said}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn any_request_is_judged_and_none_is_a_panic(
        path in "/v1/(orders|files|)(/[a-z0-9%.,]{0,6}){0,3}",
        query in "[a-z\\[\\]%=&,;0-9]{0,24}",
        kind in proptest::sample::select(vec!["application/json", "application/x-www-form-urlencoded", "text/plain", "x"]),
        body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64),
    ) {
        let mut asked = asked("POST", &path).head(&format!("content-type: {kind}"));
        asked.query = Some(query);
        asked.body = body.into();
        let contract = contract();
        let _ = judged(&contract, &asked);
        let _ = contract.check_body(&asked.view(), &asked.body, Limits::default());
    }
}
