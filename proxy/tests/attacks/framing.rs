//! Where a request ends: once, for everybody (attacks 3 and 36 over HTTP/1.1).

use crate::house::House;
use crate::one::{one, with_lines};

fn post(lines: &str, body: &str) -> String {
    format!("POST /orders HTTP/1.1\r\n{{lines}}Content-Type: application/json\r\n{lines}\r\n{body}")
}

/// Each is refused as malformed with a record, ends its connection, and reaches no upstream.
async fn all_refused(cases: &[(&str, String)]) {
    let house = House::start().await;
    for (case, request) in cases {
        // What is behind must not become a request either.
        let smuggled = format!("{request}GET /orders/smuggled HTTP/1.1\r\n{{lines}}\r\n");
        for request in [request, &smuggled] {
            let (status, closed) = one(&house, request).await;
            assert_eq!(status, 400, "{case}");
            assert!(closed, "{case}: the connection stays open");
        }
    }
    assert_eq!(house.plain.count(), 0, "none of them reached the upstream");
    let records = house.stop().await;
    assert_eq!(records.requests().len(), 2 * cases.len(), "one record each");
    assert!(records.outcomes().iter().all(|outcome| outcome == "deny: malformed"), "{:?}", records.outcomes());
}

#[tokio::test]
async fn attack_3_a_transfer_encoding_that_two_could_read_differently_is_refused() {
    let mut cases = vec![
        ("HTTP/1.0", "GET /orders HTTP/1.0\r\n{lines}\r\n".to_owned()),
        ("HTTP/1.0 with TE", "POST /orders HTTP/1.0\r\n{lines}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
        ("HTTP/1.0 until close", "POST /orders HTTP/1.0\r\n{lines}Content-Type: application/json\r\n\r\n{}".to_owned()),
    ];
    for lines in [
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunkedx\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: ,chunked\r\n",
        "Transfer-Encoding: chunked,\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding:\tchunked\t, chunked\r\n",
        "Transfer-Encoding:\u{b}chunked\r\n",
        "Transfer-Encoding: chunked\u{a0}\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "X: a\r\n\tTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: \r\n",
        "Transfer-Encoding: chunked\r\nTransfer-encoding: identity\r\n",
        "Transfer-Encoding: chunked\nX: a\r\n",
        "X: a\nTransfer-Encoding: chunked\r\n",
        "X: a\rTransfer-Encoding: chunked\r\n",
    ] {
        cases.push((lines, post(lines, "0\r\n\r\n")));
    }
    all_refused(&cases).await;
}

#[tokio::test]
async fn attack_36_a_length_that_two_could_read_differently_is_refused() {
    let mut cases = Vec::new();
    for lines in [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "Content-Length: 2\r\nContent-Length: 2\r\n",
        "Content-Length: 2\r\ncontent-length: 3\r\n",
        "Content-Length: 2, 2\r\n",
        "Content-Length: 2,\r\n",
        "Content-Length: -2\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: 0x2\r\n",
        "Content-Length: 2.0\r\n",
        "Content-Length: 2e0\r\n",
        "Content-Length: 1 2\r\n",
        "Content-Length: \"2\"\r\n",
        "Content-Length: \r\n",
        "Content-Length: \u{b2}\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 18446744073709551618\r\n",
        "Content-Length : 2\r\n",
        "Content-Length\t: 2\r\n",
        "X-A: b\r\n c\r\nContent-Length: 2\r\n",
        "X-A: b\r\n\tContent-Length: 0\r\nContent-Length: 2\r\n",
        "X-A: b\rc\r\nContent-Length: 2\r\n",
        "X-A: b\r\rContent-Length: 2\r\n",
        "X-A: b\0c\r\nContent-Length: 2\r\n",
        "X-A\0: b\r\nContent-Length: 2\r\n",
        "X A: b\r\nContent-Length: 2\r\n",
        ": b\r\nContent-Length: 2\r\n",
        "b\r\nContent-Length: 2\r\n",
        "X-A: b\nContent-Length: 2\r\n",
        "X-\u{fc}: a\r\nContent-Length: 2\r\n",
        "X(A): a\r\nContent-Length: 2\r\n",
    ] {
        cases.push((lines, post(lines, "{}")));
    }
    all_refused(&cases).await;
}

#[tokio::test]
async fn attack_36_chunks_that_are_none_are_refused() {
    let mut cases = Vec::new();
    for body in [
        "+2\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "g\r\n{}\r\n0\r\n\r\n",
        " 2\r\n{}\r\n0\r\n\r\n",
        "2_0\r\n{}\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "10000000000000002\r\n{}\r\n0\r\n\r\n",
        "1\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}x\r\n0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\n{}\r\n0\r\n\r\n",
        "2\r{}\r\n0\r\n\r\n",
        "2\r\n{}\r\n0\n\n",
        "2\r\n{}\r\n0\r\nX: a\n\r\n",
    ] {
        cases.push((body, post("Transfer-Encoding: chunked\r\n", body)));
    }
    all_refused(&cases).await;
}

/// A chunk extension may be there (RFC 9112 §7.1.1). It is refused, or it says nothing: no byte of it becomes part of the
/// body or a request of its own, and it does not go on to the upstream.
#[tokio::test]
async fn attack_36_a_chunk_extension_hides_nothing() {
    let house = House::start().await;
    let long = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "a".repeat(70_000));
    let mut served = 0;
    for body in [
        "2;a=b\r\n{}\r\n0\r\n\r\n",
        "2;a=\"\r\n{}\r\n0\r\n\r\n",
        "2;a=\"b\r\n{}\r\n0\r\n\r\nGET /orders/smuggled HTTP/1.1\r\nX: \"\r\n",
        "2;\rX\r\n{}\r\n0\r\n\r\n",
        "2;a\nb\r\n{}\r\n0\r\n\r\n",
        "2;\n{}\r\n0\r\n\r\n",
        "2 ;\r\n{}\r\n0\r\n\r\n",
        "2\t\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}\r\n0;a=b\r\n\r\n",
        "2\r\n{}\r\n0;\nGET /orders/smuggled HTTP/1.1\r\n\r\n",
        "002\r\n{}\r\n000\r\n\r\n",
        // The parser takes a size line without a size for the last chunk, and what follows for trailers.
        "\r\n{}\r\n0\r\n\r\n",
        &long,
    ] {
        let request = with_lines(&house, post("Transfer-Encoding: chunked\r\n", body).as_bytes());
        let mut wire = house.wire(&house.who.mia).await;
        let _ = wire.try_send(request).await;
        let status = wire.answer().await.status;
        assert!(matches!(status, 200 | 400 | 413), "{body:.40}: {status}");
        served += usize::from(status == 200);
        drop(wire);
    }
    let seen = house.plain.seen();
    assert!(seen.len() >= served);
    for seen in seen {
        assert_eq!(seen.request_line(), "POST /orders HTTP/1.1");
        assert!(matches!(&seen.body[..], b"{}" | b""), "{:?}", seen.body);
        assert_eq!(seen.header("content-length"), [seen.body.len().to_string()]);
    }
    house.stop().await;
}

#[tokio::test]
async fn attack_36_a_request_line_and_a_head_end_as_they_must() {
    let house = House::start().await;
    let requests = [
        "GET /orders HTTP/1.1\n{lines}\r\n",
        "GET /orders HTTP/1.1\r{lines}\r\n",
        "GET /orders HTTP/1.1\r\n{lines}\n",
        "GET /orders  HTTP/1.1\r\n{lines}\r\n",
        "GET\t/orders HTTP/1.1\r\n{lines}\r\n",
        " GET /orders HTTP/1.1\r\n{lines}\r\n",
        "\nGET /orders HTTP/1.1\r\n{lines}\r\n",
        "GET /orders HTTP/1.1 \r\n{lines}\r\n",
        "GET /orders HTTP/01.1\r\n{lines}\r\n",
        "GET /orders HTTP/1.10\r\n{lines}\r\n",
        "GET /orders http/1.1\r\n{lines}\r\n",
        "GET /orders HTTP/1.2\r\n{lines}\r\n",
        "GET /orders HTTP/2.0\r\n{lines}\r\n",
        "GET /orders HTTP/0.9\r\n{lines}\r\n",
        "GET /orders\r\n{lines}\r\n",
        "G\0T /orders HTTP/1.1\r\n{lines}\r\n",
        "GE(T /orders HTTP/1.1\r\n{lines}\r\n",
    ];
    for request in requests {
        let (status, closed) = one(&house, request).await;
        assert_eq!((status, closed), (400, true), "{request}");
    }
    assert_eq!(house.plain.count(), 0);
    assert_eq!(house.stop().await.outcomes(), vec!["deny: malformed"; requests.len()]);
}
