//! What an upstream may not say, and answers whose end is not where it seems (attacks 36 and 37, the other way round).

use crate::house::upstream::{Act, answer};
use crate::house::{Ask, House};

#[tokio::test]
async fn an_upstream_speaks_for_itself_and_for_no_other_route() {
    let house = House::start().await;
    let unsaid = [
        "set-cookie",
        "set-cookie2",
        "clear-site-data",
        "service-worker-allowed",
        "www-authenticate",
        "authentication-info",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-status",
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-expose-headers",
        "public-key-pins",
        "refresh",
        "x-accel-redirect",
        "x-accel-buffering",
        "x-sendfile",
        "x-reproxy-url",
        "alt-svc",
        "server",
        "via",
        "x-powered-by",
        "postern-decision",
        "keep-alive",
        "upgrade",
        "te",
        "trailer",
    ];
    let mut headers: Vec<(&str, &str)> = unsaid.iter().map(|name| (*name, "forged")).collect();
    headers.extend([
        ("Set-Cookie", "a=forged; Domain=house.test"),
        ("strict-transport-security", "max-age=0"),
        ("location", "/elsewhere"),
        ("content-type", "text/plain"),
        ("etag", "\"kept\""),
    ]);
    house.plain.says(answer(200, &headers, b"hi"));
    for path in ["/orders", "/forms"] {
        for h2 in [false, true] {
            let reply = house.call(&house.who.mia, Ask::get(path).over(h2)).await;
            assert_eq!(reply.status, 200);
            assert!(!format!("{:?}", reply.headers).contains("forged"), "{:?}", reply.headers);
            assert_eq!(reply.header("strict-transport-security"), "max-age=31536000");
            assert_eq!((reply.header("etag"), reply.header("location")), ("\"kept\"", "/elsewhere"));
        }
    }
    house.stop().await;
}

#[tokio::test]
async fn attack_36_an_upstream_injects_no_header_and_no_second_answer() {
    let house = House::start().await;
    for bytes in [
        &b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: forged\r\nContent-Length: 2\r\n\r\nhi"[..],
        b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: forged\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX: a\0forged\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nX : forged\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\n forged: x\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\nX: forged\nContent-Length: 2\n\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nX: forged\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\nhiforged",
        b"HTTP/1.1 2OO OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 99 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ] {
        for path in ["/orders", "/forms"] {
            house.plain.does(move |_| Act::Close(bytes.to_vec()));
            let reply = house.call(&house.who.mia, Ask::get(path)).await;
            assert_eq!(reply.status, 502, "{path}: {}", bytes.escape_ascii());
            assert!(!format!("{reply:?}").contains("forged"));
        }
    }
    // What stands behind a whole answer is nobody's answer.
    let two = [answer(200, &[], b"mine"), answer(200, &[], b"forged")].concat();
    house.plain.says(two);
    for _ in 0..3 {
        let reply = house.call(&house.who.mia, Ask::get("/orders")).await;
        assert!(reply.status == 502 || reply.body == "mine", "{reply:?}");
    }
    house.stop().await;
}

/// Without a body by the rules of HTTP, on a route that inspects answers and on one that does not: the next answer on
/// the connection begins where it must.
#[tokio::test]
async fn attack_36_an_answer_without_a_body_has_none_on_either_way() {
    let house = House::plan()
        .with(
            "manifests/plain.yaml",
            "{methods: [GET], paths: [/forms, /forms/*]}",
            "{methods: [GET, HEAD], paths: [/forms, /forms/*]}",
        )
        .start()
        .await;
    let text = ("content-type", "text/plain");
    for (method, status, length) in
        [("HEAD", 200, Some("5")), ("HEAD", 200, None), ("GET", 204, None), ("GET", 304, Some("5")), ("GET", 304, None)]
    {
        for path in ["/orders", "/forms"] {
            let mut said = format!("HTTP/1.1 {status} Said\r\ncontent-type: text/plain\r\n");
            if let Some(length) = length {
                said.push_str(&format!("content-length: {length}\r\n"));
            }
            said.push_str("\r\n");
            house.plain.does(move |_| Act::Close(said.clone().into_bytes()));
            let lines = house.lines(&house.who.mia);
            let mut wire = house.wire(&house.who.mia).await;
            wire.send(format!("{method} {path} HTTP/1.1\r\n{lines}\r\n")).await;
            let head = wire.head().await;
            let case = format!("{method} {path} {status} {length:?}: {head}");
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{case}");
            assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{case}");
            assert!(status != 204 || !head.to_ascii_lowercase().contains("content-length"), "{case}");
            house.plain.says(answer(200, &[text], b"next"));
            let _ = wire.try_send(format!("GET {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")).await;
            if let Some(next) = wire.try_answer().await {
                assert_eq!((next.status, &next.body[..]), (200, &b"next"[..]), "{case}");
            }
            house.plain.says(answer(200, &[text], if method == "HEAD" { b"" } else { b"next" }));
            let reply = house.call(&house.who.mia, Ask::new(method, path).h2()).await;
            assert!(matches!(reply.status, 200), "{case}: {reply:?}");
        }
    }
    house.stop().await;
}
