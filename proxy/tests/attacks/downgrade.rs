//! What HTTP/2 can carry and HTTP/1.1 would read as something else (attacks 29 and 36 over HTTP/2).

use crate::frames::{DATA, END_HEADERS, END_STREAM, End, Frames, HEADERS, block, frame};
use crate::house::House;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn good(house: &House, method: &str) -> Fields {
    let fields = house.fields(&house.who.mia, method, "/orders");
    fields.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect()
}

async fn send(house: &House, fields: &Fields) -> End {
    let mut frames = house.frames(&house.who.mia).await;
    let _ = frames.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(fields))).await;
    frames.end_of(1).await
}

/// Each is refused or reset, reaches no upstream, and leaves a record.
async fn all_refused(house: House, cases: &[Fields]) {
    for fields in cases {
        let end = send(&house, fields).await;
        let told =
            || fields.iter().map(|(n, v)| format!("{}: {} ", n.escape_ascii(), v.escape_ascii())).collect::<String>();
        assert!(matches!(end, End::Answered(400 | 403 | 421) | End::Reset | End::Closed), "{end:?}: {}", told());
        assert_eq!(house.plain.count(), 0, "{} reached the upstream: {:?}", told(), house.plain.seen());
    }
    assert_eq!(send(&house, &good(&house, "GET")).await, End::Answered(200), "the same frames without any of it");
    let records = house.stop().await;
    let told = records.requests().len() + records.connections().len();
    assert!(told > cases.len(), "each left a record: {told} of {}", cases.len() + 1);
}

#[tokio::test]
async fn attack_36_header_fields_that_would_be_framing_or_other_lines_in_http1_are_refused() {
    let house = House::start().await;
    let mut cases = Vec::new();
    for (name, value) in [
        (&b"transfer-encoding"[..], &b"chunked"[..]),
        (b"transfer-encoding", b"identity"),
        (b"transfer-encoding", b""),
        (b"connection", b"x-a"),
        (b"connection", b"close"),
        (b"keep-alive", b"timeout=5"),
        (b"proxy-connection", b"keep-alive"),
        (b"upgrade", b"websocket"),
        (b"upgrade", b"h2c"),
        (b"te", b"gzip"),
        (b"te", b"trailers, chunked"),
        (b"content-length", b"5"),
        (b"content-length", b"-1"),
        (b"content-length", b"+0"),
        (b"content-length", b"0x0"),
        (b"content-length", b"0, 0"),
        (b"content-length", b"99999999999999999999"),
        (b"x-a", b"b\r\nx-c: d"),
        (b"x-a", b"b\nx-c: d"),
        (b"x-a", b"b\rx-c: d"),
        (b"x-a", b"b\r\n\r\nGET /orders/smuggled HTTP/1.1\r\n\r\n"),
        (b"x-a", b"b\0c"),
        (b"x-a", b"\x7f"),
        (b"x-a\r\nx-b", b"c"),
        (b"x-a\n", b"c"),
        (b"x-a ", b"c"),
        (b" x-a", b"c"),
        (b"x-a:", b"c"),
        (b"x:a", b"c"),
        (b"x-a: b\r\ntransfer-encoding", b"chunked"),
        (b"transfer-encoding: chunked\r\nx", b"a"),
        (b"x\0a", b"c"),
        (b"x\x80a", b"c"),
        (b"X-A", b"c"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Content-Length", b"5"),
        (b"", b"c"),
        (b":", b"c"),
        (b":admin", b"1"),
        (b":status", b"200"),
        (b":path", b"/admin"),
        (b":method", b"POST"),
        (b":authority", b"ai.house.test"),
        (b"host", b"ai.house.test"),
        (b"host", b"localhost\r\nx: y"),
        (b"expect", b"200-ok"),
    ] {
        let mut fields = good(&house, "GET");
        fields.push((name.to_vec(), value.to_vec()));
        cases.push(fields);
    }
    // Behind a header, and in front of the others.
    for (name, value) in [(":path", "/admin"), (":method", "DELETE"), (":scheme", "http")] {
        let mut fields = good(&house, "GET");
        fields.insert(0, (name.into(), value.into()));
        cases.push(fields);
    }
    for at in 0..4 {
        let mut fields = good(&house, "GET");
        let moved = fields.remove(at);
        cases.push(fields.clone());
        fields.push(moved);
        cases.push(fields);
    }
    // Without `:authority` there may be a `host`, which was refused above as another name.
    cases.retain(|fields| fields.iter().any(|(name, _)| name == b":authority"));
    all_refused(house, &cases).await;
}

#[tokio::test]
async fn attack_36_pseudo_headers_that_would_be_another_request_line_are_refused() {
    let house = House::start().await;
    let mut cases = Vec::new();
    let mut with = |at: usize, values: &[&[u8]]| {
        for value in values {
            let mut fields = good(&house, "GET");
            fields[at].1 = value.to_vec();
            cases.push(fields);
        }
    };
    with(
        0,
        &[
            b"GET /orders/smuggled HTTP/1.1\r\nx: y\r\n\r\nGET",
            b"GET ",
            b" GET",
            b"G\0T",
            b"G\r\nT",
            b"get",
            b"",
            b"G T",
            b"CONNECT",
            b"TRACE",
            b"PRI",
            b"GET\xff",
        ],
    );
    with(1, &[b"https\r\nx: y", b"", b"https://localhost/admin?x=", b"ftp", b"http"]);
    with(
        2,
        &[
            b"localhost\r\nx: y",
            b"localhost evil.test",
            b"a@localhost",
            b"localhost@evil.test",
            b"localhost/admin",
            b"localhost?x",
            b"localhost#x",
            b"localhost:0x50",
            b"localhost:+443",
            b"localhost:99999",
            b"localhost.",
            b"localhost,evil.test",
            b"localhost\0",
            b"local\xffhost",
            b"[::1",
            b"",
            b"xn--lcalhost-n4a",
            b"evil.test",
        ],
    );
    with(
        3,
        &[
            b"/orders HTTP/1.1\r\nx: y\r\n\r\nGET /orders/smuggled",
            b"/orders\r\nx: y",
            b"/orders\n",
            b"/orders ",
            b" /orders",
            b"orders",
            b"//orders",
            b"",
            b"*",
            b"https://localhost/orders",
            b"https://evil.test/orders",
            b"/orders\0",
            b"/orders\x7f",
            b"/orders\xc3\xa9",
        ],
    );
    all_refused(house, &cases).await;
}

/// Sends HEADERS and then `pieces` of a body, the last one with the end of the stream.
async fn with_body(house: &House, length: Option<&str>, pieces: &[&[u8]]) -> End {
    let mut fields = good(house, "POST");
    fields.push((b"content-type".into(), b"application/json".into()));
    fields.extend(length.map(|length| (b"content-length".to_vec(), length.as_bytes().to_vec())));
    let mut frames: Frames = house.frames(&house.who.mia).await;
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &block(&fields));
    for (at, piece) in pieces.iter().enumerate() {
        let end = if at + 1 == pieces.len() { END_STREAM } else { 0 };
        bytes.extend(frame(DATA, end, 1, piece));
    }
    let _ = frames.send(&bytes).await;
    frames.end_of(1).await
}

#[tokio::test]
async fn attack_36_a_length_that_the_frames_do_not_keep_is_refused() {
    let house = House::start().await;
    let smuggled = b"{}GET /orders/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (case, length, pieces) in [
        ("too short", "3", vec![&b"{}"[..]]),
        ("too long", "1", vec![b"{}"]),
        ("none at all", "2", vec![b""]),
        ("zero", "0", vec![b"{}"]),
        ("more behind", "2", vec![smuggled]),
        ("more behind, in another frame", "2", vec![b"{}", &smuggled[2..]]),
        ("not a number", "two", vec![b"{}"]),
        ("two in one", "2, 2", vec![b"{}"]),
    ] {
        let end = with_body(&house, Some(length), &pieces).await;
        assert!(matches!(end, End::Answered(400) | End::Reset | End::Closed), "{case}: {end:?}");
    }
    assert_eq!(house.plain.count(), 0, "{:?}", house.plain.seen());
    for length in [None, Some("2")] {
        assert_eq!(with_body(&house, length, &[b"{", b"", b"}"]).await, End::Answered(200));
    }
    for seen in house.plain.seen() {
        assert_eq!((seen.header("content-length"), &seen.body[..]), (vec!["2"], &b"{}"[..]));
    }
    house.stop().await;
}

/// Of the ways to name a host only one is left behind: the certificate covers it, or the request is misdirected.
#[tokio::test]
async fn attack_29_hosts_that_are_none_are_refused() {
    let house = House::start().await;
    let token = house.token(&house.who.mia);
    for (host, want) in [
        ("localhost", 200),
        ("LocalHost", 200),
        ("localhost:8443", 200),
        ("127.0.0.1", 200),
        ("", 400),
        ("a@localhost", 400),
        ("localhost.", 400),
        ("localhost:", 400),
        ("localhost:+443", 400),
        ("localhost:443:443", 400),
        ("localhost/a", 400),
        ("localhost\\a", 400),
        ("localhost, ai.house.test", 400),
        ("localhost ai.house.test", 400),
        ("[::1]x", 400),
        ("[127.0.0.1]", 400),
        ("%6cocalhost", 400),
        ("localhost%00", 400),
        (".localhost", 400),
        ("x.localhost", 421),
        ("xn--lcalhost-n4a", 421),
        ("evil.test", 421),
        ("0x7f000001", 421),
        ("2130706433", 421),
    ] {
        let request = format!("GET /orders HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
        assert_eq!(crate::one::one(&house, request).await.0, want, "{host}");
    }
    for lines in [
        "",
        "Host: localhost\r\nHost: localhost\r\n",
        "Host: localhost\r\nHost: ai.house.test\r\n",
        "host: localhost\r\nHOST: evil.test\r\n",
    ] {
        let request = format!("GET /orders HTTP/1.1\r\n{lines}Authorization: Bearer {token}\r\n\r\n");
        assert_eq!(crate::one::one(&house, request).await, (400, true), "{lines}");
    }
    assert_eq!(house.plain.count(), 4);
    house.stop().await;
}
