//! Any bytes as a document, and any request against one that loads: problems or a verdict, never a panic.

#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use postern_config::{Report, openapi};
use postern_filters::contract::Contract;
use postern_filters::json::Limits;
use postern_filters::{RequestView, Source};

static SHIPPED: LazyLock<Contract> = LazyLock::new(|| {
    let document = include_bytes!("../../config/examples/openapi/openapi.yaml");
    let api = openapi::read("openapi.yaml", document, &mut Report::new()).expect("the example loads");
    Contract::new(&Arc::new(api)).expect("its patterns compile")
});

/// The first line is a target, the rest a body.
fn ask(contract: &Contract, bytes: &[u8]) {
    let (target, body) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
    let target = String::from_utf8_lossy(target);
    let (path, query) = target.split_once('?').map_or((&*target, None), |(path, query)| (path, Some(query)));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let req = RequestView {
        method: "POST",
        host: "api.example.com",
        port: None,
        path,
        query,
        headers: &headers,
        source: Source::Ip([192, 0, 2, 7].into()),
        tls: true,
        peer: None,
        listener: "public",
    };
    let _ = contract.check_head(&req);
    let _ = contract.check_body(&req, &Bytes::copy_from_slice(body), Limits::default());
}

fuzz_target!(|bytes: &[u8]| {
    let mut report = Report::new();
    if let Some(api) = openapi::read("a.yaml", bytes, &mut report) {
        let contract = Contract::new(&Arc::new(api)).expect("patterns of what loads compile");
        ask(&contract, bytes);
    }
    let _ = report.to_string();
    ask(&SHIPPED, bytes);
    ask(&SHIPPED, &[b"/v1/orders\n".as_slice(), bytes].concat());
});
