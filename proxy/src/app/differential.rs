//! Heads that are taken are read by everybody in the same way: by us behind Pingora, by `httparse`, and by a reader that
//! knows nothing but RFC 9112 (attacks 3, 18, 29 and 36).

use std::collections::BTreeMap;

use bytes::BytesMut;
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use postern_filters::path;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use super::inbound::{self, Arrival};
use crate::head::{self, Head};

/// What a reader makes of a head.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    method: String,
    path: String,
    query: Option<String>,
    /// By lower-case name, in their order.
    headers: BTreeMap<String, Vec<Vec<u8>>>,
    /// Length of the body; chunks count as none given.
    length: Option<u64>,
    chunked: bool,
}

impl Reading {
    fn new(method: &str, target: &str, headers: Vec<(String, Vec<u8>)>) -> Self {
        let target = path::canonical(target).expect("a target that was taken");
        let mut by_name: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for (name, value) in headers {
            by_name.entry(name.to_ascii_lowercase()).or_default().push(value.trim_ascii().to_vec());
        }
        let sole = |name: &str| {
            by_name.get(name).map(|values| {
                assert_eq!(values.len(), 1, "{name}");
                String::from_utf8(values[0].clone()).unwrap()
            })
        };
        let length = sole("content-length").map(|length| length.parse().unwrap());
        let chunked = sole("transfer-encoding").is_some();
        Self {
            method: method.to_owned(),
            path: target.path.into_owned(),
            query: target.query.map(str::to_owned),
            headers: by_name,
            length,
            chunked,
        }
    }
}

/// The way of a connection's first head, up to where routing begins.
async fn taken(raw: &[u8]) -> Option<(Head, Reading)> {
    let (mut client, server) = tokio::io::duplex(1 << 17);
    client.write_all(raw).await.unwrap();
    drop(client);
    let mut stream: Stream = Box::new(server);
    let (_stop, mut stopped) = watch::channel(false);
    let mut ahead = BytesMut::new();
    let guard = postern_config::ConnectionGuard::default();
    let limits = inbound::Limits::of(&guard);
    let Arrival::Head = inbound::next(&mut stream, &mut ahead, true, &mut stopped, limits).await else { return None };
    let mut session = ServerSession::new_http1(stream);
    session.set_pipelining_enabled(true);
    session.set_pipelined_prefix(ahead);
    if !matches!(session.read_request().await, Ok(true)) {
        return None;
    }
    let head = head::read(&session, guard.max_headers, guard.max_header_size, false).ok()?;
    let request = session.req_header();
    let headers = request.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let target = std::str::from_utf8(request.raw_path()).unwrap();
    let reading = Reading::new(&head.method, target, headers.collect());
    assert_eq!((&head.path, &head.query), (&reading.path, &reading.query));
    let empty = !reading.chunked && reading.length.is_none_or(|length| length == 0);
    assert_eq!(session.is_body_empty(), empty, "the body that the session sees");
    Some((head, reading))
}

fn httparse(raw: &[u8]) -> Reading {
    let mut headers = [httparse::EMPTY_HEADER; 200];
    let mut request = httparse::Request::new(&mut headers);
    let end = request.parse(raw).expect("a head that was taken").unwrap();
    assert_eq!(end, raw.len(), "where the head ends");
    let headers = request.headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect();
    Reading::new(request.method.unwrap(), request.path.unwrap(), headers)
}

/// Lines end with CRLF, the last one is void; three words; a name, a colon, a value.
fn plain(raw: &[u8]) -> Reading {
    let text: String = raw.iter().map(|byte| char::from(*byte)).collect();
    let text = text.trim_start_matches("\r\n").strip_suffix("\r\n\r\n").expect("a void line");
    let mut lines = text.split("\r\n");
    let line: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let [method, target, "HTTP/1.1"] = line[..] else { panic!("{line:?}") };
    let headers = lines.map(|line| {
        assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
        let (name, value) = line.split_once(':').unwrap();
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic()) && !name.is_empty(), "{name:?}");
        (name.to_owned(), value.bytes().collect())
    });
    Reading::new(method, target, headers.collect())
}

fn agree(raw: &[u8]) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let Some((head, ours)) = runtime.block_on(taken(raw)) else { return false };
    let shown = raw.escape_ascii();
    assert_eq!(ours, httparse(raw), "{shown}");
    assert_eq!(ours, plain(raw), "{shown}");
    let host = String::from_utf8(ours.headers["host"][0].clone()).unwrap().to_ascii_lowercase();
    assert!(host == head.host || host.starts_with(&format!("{}:", head.host)), "{shown}");
    true
}

const METHODS: [&str; 7] = ["GET", "POST", "GET", "DELETE", "get", "G\0T", "CONNECT"];
const TARGETS: [&str; 12] =
    ["/", "/a", "/a/b?c=d", "/%41/%7e", "/a%2fb", "*", "http://localhost/a", "/a#b", "//a", "/a;b", "/\u{e9}", "/a b"];
const VERSIONS: [&str; 6] = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "http/1.1"];
const LINES: [&str; 24] = [
    "Content-Length: 0",
    "Content-Length: 5",
    "content-length:\t5 ",
    "Content-Length: 05",
    "Content-Length: +5",
    "Content-Length : 5",
    "Content-Length: 5, 5",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "transfer-encoding:chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding : chunked",
    "Transfer_Encoding: chunked",
    "X: a",
    "X:",
    "X: a:b",
    " folded",
    "\tfolded",
    "no colon",
    ": no name",
    "X\u{e9}: a",
    "X: \u{e9}",
    "Host: other",
    "Expect: 100-continue",
];
const ENDS: [&str; 12] = ["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n"];

/// A head of parts that are good and parts that are not.
fn head_of_parts() -> impl Strategy<Value = Vec<u8>> {
    let pick = |from: &'static [&'static str]| prop::sample::select(from);
    let line = (prop::sample::select(&LINES[..]), pick(&ENDS)).prop_map(|(line, end)| format!("{line}{end}"));
    (
        prop_oneof![9 => Just(""), 1 => Just("\r\n"), 1 => Just("\n")],
        pick(&METHODS),
        pick(&TARGETS),
        pick(&VERSIONS),
        prop::collection::vec(line, 0..4),
        pick(&ENDS),
        pick(&ENDS),
    )
        .prop_map(|(ahead, method, target, version, lines, end, last)| {
            let lines = lines.concat();
            format!("{ahead}{method} {target} {version}{end}Host: localhost\r\n{lines}{last}").into_bytes()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn heads_of_good_and_bad_parts_are_read_by_all_in_one_way(raw in head_of_parts()) {
        agree(&raw);
    }

    #[test]
    fn good_heads_with_a_few_bytes_changed_are_read_by_all_in_one_way(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4)
    ) {
        let mut raw = b"POST /a/b?c=d HTTP/1.1\r\nHost: localhost:8443\r\nContent-Length: 12\r\nX-A: b c\r\n\r\n".to_vec();
        for (at, byte, how) in changes {
            let at = at.index(raw.len());
            match how {
                0 => raw[at] = byte,
                1 => raw.insert(at, byte),
                _ => drop(raw.remove(at)),
            }
        }
        // What stands behind a head that ends earlier is a body, or the next request.
        if let Some(end) = raw.windows(4).position(|window| window == b"\r\n\r\n") {
            raw.truncate(end + 4);
        }
        agree(&raw);
    }
}

#[test]
fn good_heads_are_taken() {
    for head in [
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "\r\nGET /a?b HTTP/1.1\r\nhost:localhost\r\nX:\r\n\r\n",
        "POST /%41 HTTP/1.1\r\nHost: localhost:1\r\nContent-Length: 7\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: [::1]:1\r\nTransfer-Encoding: chunked\r\nX: a\r\nX: b\r\n\r\n",
    ] {
        assert!(agree(head.as_bytes()), "{head}");
    }
}
