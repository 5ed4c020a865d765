//! Trailers: of a request they go nowhere, of an answer no further (attack 37).

use crate::frames::{DATA, END_HEADERS, END_STREAM, End, HEADERS, block, frame};
use crate::house::upstream::Act;
use crate::house::{Ask, House};
use crate::one::one;

const FORBIDDEN: [&str; 12] = [
    "authorization",
    "host",
    "x-auth-user",
    "x_auth_user",
    "content-length",
    "transfer-encoding",
    "content-type",
    "cookie",
    "x-forwarded-for",
    "connection",
    "content-encoding",
    "x-kept",
];

/// Trailers, flags of their frame, and whether they may be refused.
type Case<'a> = (Vec<(&'a str, &'a str)>, u8, bool);

#[tokio::test]
async fn attack_37_trailers_of_a_chunked_request_reach_nobody() {
    let house = House::start().await;
    let trailers: String = FORBIDDEN.iter().map(|name| format!("{name}: forged\r\n")).collect();
    for announced in ["", "Trailer: X-Kept\r\n", "TE: trailers\r\nTrailer: Authorization, Host\r\n"] {
        let request = format!(
            "POST /orders HTTP/1.1\r\n{{lines}}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n{announced}\r\n\
             2\r\n{{}}\r\n0\r\n{trailers}\r\n"
        );
        assert_eq!(one(&house, request).await.0, 200);
        let seen = house.plain.seen().pop().unwrap();
        assert!(!seen.head.contains("forged") && seen.header("trailer").is_empty(), "{}", seen.head);
        assert_eq!((seen.header("content-length"), &seen.body[..]), (vec!["2"], &b"{}"[..]));
    }
    // Not a trailer section, or one without an end.
    for trailers in ["no colon\r\n\r\n", "a: b\n\n", " folded: b\r\n\r\n", &"a: b\r\n".repeat(20_000)] {
        let request = format!(
            "POST /orders HTTP/1.1\r\n{{lines}}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\n{{}}\r\n0\r\n{trailers}GET /orders/smuggled HTTP/1.1\r\n"
        );
        let (status, _) = one(&house, request).await;
        assert!(matches!(status, 200 | 400), "{status}");
    }
    assert!(house.plain.seen().iter().all(|seen| seen.request_line() == "POST /orders HTTP/1.1"));
    house.stop().await;
}

#[tokio::test]
async fn attack_37_announced_trailers_are_refused_where_content_is_inspected() {
    let house = House::start().await;
    for h2 in [false, true] {
        for path in ["/v1/chat/completions", "/forms"] {
            let ask = Ask::json(path, &crate::house::client::prompt("hi")).over(h2).header("trailer", "x-a");
            assert_eq!(house.call(&house.who.mia, ask).await.status, 400, "{path} {h2}");
        }
    }
    assert_eq!(house.plain.count() + house.model.count(), 0);
    house.stop().await;
}

#[tokio::test]
async fn attack_37_trailers_of_an_http2_request_reach_nobody_or_end_their_stream() {
    let house = House::start().await;
    let refused = |end| matches!(end, End::Answered(400) | End::Reset | End::Closed);
    let mut cases: Vec<Case<'_>> = vec![
        (vec![("x-kept", "forged")], END_STREAM, false),
        (vec![("authorization", "forged"), ("x-auth-user", "forged"), ("cookie", "forged")], END_STREAM, false),
        (Vec::new(), END_STREAM, false),
        // No end of the stream: a second head in the middle of a body.
        (vec![("x-kept", "forged")], 0, true),
    ];
    for name in [":path", ":method", ":status", ":authority", "connection", "transfer-encoding", "X-Upper"] {
        cases.push((vec![(name, "forged")], END_STREAM, true));
    }
    for (trailers, flags, refuse) in &cases {
        let mut fields = house.fields(&house.who.mia, "POST", "/orders");
        fields.push(("content-type".to_owned(), "application/json".to_owned()));
        let mut frames = house.frames(&house.who.mia).await;
        let bytes = [
            frame(HEADERS, END_HEADERS, 1, &block(&fields)),
            frame(DATA, 0, 1, b"{}"),
            frame(HEADERS, END_HEADERS | flags, 1, &block(trailers)),
        ]
        .concat();
        let _ = frames.send(&bytes).await;
        let end = frames.end_of(1).await;
        if *refuse {
            // Where the frames are good and only a name is not, leaving it out is as good as refusing it.
            assert!(refused(end) || end == End::Answered(200), "{trailers:?}: {end:?}");
        } else {
            assert_eq!(end, End::Answered(200), "{trailers:?}");
        }
        if *flags == 0 {
            assert!(refused(end), "{trailers:?} without an end: {end:?}");
        }
    }
    for seen in house.plain.seen() {
        assert!(!seen.head.contains("forged"), "{}", seen.head);
        assert_eq!(seen.body, b"{}");
    }
    crate::one::honest(&house).await;
    house.stop().await;
}

#[tokio::test]
async fn attack_37_trailers_of_an_http1_answer_go_no_further() {
    let house = House::start().await;
    house.plain.does(|_| {
        Act::Answer(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Set-Cookie\r\n\r\n2\r\nhi\r\n0\r\nSet-Cookie: forged\r\n\
              Postern-Decision: forged\r\n\r\n"
                .to_vec(),
        )
    });
    for h2 in [false, true] {
        let reply = house.call(&house.who.mia, Ask::get("/orders").over(h2)).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "hi"));
        assert!(!format!("{:?}", reply.headers).contains("forged") && reply.header("trailer").is_empty());
    }
    house.stop().await;
}
