//! HTTP/2 towards an upstream, and bodies that are relayed both ways at once, with trailers, as gRPC needs them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::house::upstream::{Act, answer};
use crate::house::{Ask, House, Plan, within};

const METHOD: &str = "/orders/shop.Cart/Add";

/// What an upstream was asked, and how the request ended: with all its bytes, or with a reset.
type Ended = Result<(Request<()>, Vec<u8>), Option<Reason>>;

struct Grpc {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    ended: tokio::sync::Mutex<mpsc::UnboundedReceiver<Ended>>,
    paths: Arc<Mutex<Vec<String>>>,
}

/// What an upstream does with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Answers with every piece as it comes, and with trailers at the end.
    Echo,
    /// Answers with an error in its head and nothing else.
    HeadOnly,
    /// Resets once the first piece has come.
    Reset,
    /// Refuses the first stream of all, and echoes the others.
    RefuseFirst,
}

impl Grpc {
    async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, paths) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (tell, ended) = mpsc::unbounded_channel();
        let (count, seen) = (connections.clone(), paths.clone());
        tokio::spawn(async move {
            let first = Arc::new(AtomicUsize::new(0));
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (tell, seen, first) = (tell.clone(), seen.clone(), first.clone());
                tokio::spawn(async move {
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    while let Some(Ok((request, answer))) = connection.accept().await {
                        seen.lock().unwrap().push(request.uri().path().to_owned());
                        let number = first.fetch_add(1, Ordering::SeqCst);
                        let tell = tell.clone();
                        tokio::spawn(async move { drop(tell.send(serve(request, answer, does, number).await)) });
                    }
                });
            }
        });
        Self { address, connections, ended: tokio::sync::Mutex::new(ended), paths }
    }

    async fn ended(&self) -> Ended {
        within("the end of a request", self.ended.lock().await.recv()).await.unwrap()
    }

    fn count(&self) -> usize {
        self.paths.lock().unwrap().len()
    }

    /// The plain upstream is this one, and its route relays.
    fn plan(&self, streamed: bool) -> Plan {
        let route = "match: {pathPrefix: /orders}, upstream: plain, dialect: http,";
        let plan = House::plan()
            .with("postern.yaml", "upgrades: [websocket], ", "")
            .with(
                "postern.yaml",
                r#"url: "http://PLAIN""#,
                &format!("url: \"http://{}\", protocol: Http2", self.address),
            )
            .with(
                "manifests/plain.yaml",
                "paths: [/orders], contentTypes: [application/json]}",
                &format!("paths: [/orders, {METHOD}], contentTypes: [application/json, application/grpc]}}"),
            );
        if streamed { plan.with("postern.yaml", route, &format!("{route} bodies: Streamed,")) } else { plan }
    }
}

async fn serve(request: Request<RecvStream>, mut answer: SendResponse<Bytes>, does: Does, number: usize) -> Ended {
    let (head, mut body) = request.into_parts();
    let head = Request::from_parts(head, ());
    let grpc =
        |status: &str| Response::builder().header("content-type", "application/grpc").header("grpc-status", status);
    if does == Does::RefuseFirst && number == 0 {
        answer.send_reset(Reason::REFUSED_STREAM);
        return Err(None);
    }
    if does == Does::HeadOnly {
        answer.send_response(grpc("5").body(()).unwrap(), true).unwrap();
        return Ok((head, Vec::new()));
    }
    let response = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut send = answer.send_response(response, false).unwrap();
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(|error| error.reason())?;
        body.flow_control().release_capacity(piece.len()).unwrap();
        all.extend_from_slice(&piece);
        if does == Does::Reset {
            send.send_reset(Reason::INTERNAL_ERROR);
            return Err(None);
        }
        send.send_data(piece, false).map_err(|error| error.reason())?;
    }
    let mut trailers = HeaderMap::new();
    for (name, value) in
        [("grpc-status", "0"), ("x-sum", "7"), ("set-cookie", "a=b"), ("x_user_id", "root"), ("authorization", "x")]
    {
        trailers.append(http::HeaderName::from_static(name), value.parse().unwrap());
    }
    send.send_trailers(trailers).map_err(|error| error.reason())?;
    Ok((head, all))
}

/// A gRPC call of mia, as far as its head.
async fn call(house: &House, path: &str) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    let stream = house.connect(Some(&house.who.mia.issued), "public", b"h2").await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let authority = format!("localhost:{}", house.address("public").port());
    let request = Request::post(format!("https://{authority}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", house.token(&house.who.mia)))
        .body(())
        .unwrap();
    send.ready().await.unwrap().send_request(request, false).unwrap()
}

async fn next(body: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let piece = within("a piece", body.data()).await;
    if let Some(Ok(piece)) = &piece {
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    piece
}

#[tokio::test]
async fn many_requests_share_one_connection() {
    let upstream = Grpc::start(Does::Echo).await;
    let house = upstream.plan(false).start().await;
    for n in 0..5 {
        let reply = house.call(&house.who.mia, Ask::json("/orders", &serde_json::json!({ "n": n }))).await;
        assert_eq!((reply.status, reply.body), (200, format!("{{\"n\":{n}}}")));
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1);
    let (head, _) = upstream.ended().await.unwrap();
    assert_eq!(head.uri().authority().unwrap().as_str(), upstream.address.to_string());
    assert!(head.headers().get("authorization").is_none() && head.headers().get("connection").is_none());
    house.stop().await;
}

#[tokio::test]
async fn a_stream_that_was_refused_unprocessed_is_sent_again() {
    let upstream = Grpc::start(Does::RefuseFirst).await;
    let house = upstream.plan(false).start().await;
    let reply = house.call(&house.who.mia, Ask::json("/orders", &serde_json::json!({}))).await;
    assert_eq!((reply.status, upstream.count()), (200, 2));
    house.stop().await;
}

#[tokio::test]
async fn attack_37_pieces_pass_both_ways_as_they_come_and_trailers_lose_what_a_head_decides_about() {
    let upstream = Grpc::start(Does::Echo).await;
    let house = upstream.plan(true).start().await;
    let (answer, mut send) = call(&house, METHOD).await;
    send.send_data(Bytes::from_static(b"one"), false).unwrap();
    let answer = within("a head", answer).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/grpc".parse().unwrap())
    );
    let mut body = answer.into_body();
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "one", "before the request has ended");
    for piece in ["two", "three"] {
        send.send_data(piece.into(), false).unwrap();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), piece);
    }
    // Trailers of requests are dropped; they end the request all the same.
    let mut trailers = HeaderMap::new();
    trailers.insert("x-user-id", "root".parse().unwrap());
    send.send_trailers(trailers).unwrap();
    assert!(next(&mut body).await.is_none());
    let trailers = within("trailers", body.trailers()).await.unwrap().unwrap();
    let names: Vec<&str> = trailers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["grpc-status", "x-sum"]);
    let (head, all) = upstream.ended().await.unwrap();
    assert_eq!((all, &head.headers()["te"]), (b"onetwothree".to_vec(), &"trailers".parse().unwrap()));
    assert!(head.headers().get("authorization").is_none());
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["allow"]);
}

#[tokio::test]
async fn an_error_that_is_a_head_and_nothing_else_stays_one() {
    let upstream = Grpc::start(Does::HeadOnly).await;
    let house = upstream.plan(true).start().await;
    let (answer, send) = call(&house, METHOD).await;
    let answer = within("a head", answer).await.unwrap();
    assert_eq!(&answer.headers()["grpc-status"], "5");
    assert!(answer.body().is_end_stream());
    drop(send);
    house.stop().await;
}

#[tokio::test]
async fn a_call_that_is_given_up_on_one_side_ends_on_the_other() {
    let upstream = Grpc::start(Does::Echo).await;
    let house = upstream.plan(true).start().await;
    let (answer, mut send) = call(&house, METHOD).await;
    send.send_data(Bytes::from_static(b"one"), false).unwrap();
    let mut body = within("a head", answer).await.unwrap().into_body();
    next(&mut body).await.unwrap().unwrap();
    send.send_reset(Reason::CANCEL);
    assert_eq!(upstream.ended().await.unwrap_err(), Some(Reason::CANCEL));
    house.stop().await;

    let upstream = Grpc::start(Does::Reset).await;
    let house = upstream.plan(true).start().await;
    let (answer, mut send) = call(&house, METHOD).await;
    send.send_data(Bytes::from_static(b"one"), false).unwrap();
    match within("a head", answer).await {
        // The reset came before the head went out.
        Ok(answer) if answer.status() == 502 => {}
        Ok(answer) => assert!(next(&mut answer.into_body()).await.unwrap().is_err()),
        Err(error) => assert!(error.is_reset(), "{error}"),
    }
    house.stop().await;
}

#[tokio::test]
async fn a_body_that_grows_past_its_limit_leaves_a_request_that_never_was_whole() {
    let upstream = Grpc::start(Does::Echo).await;
    let house = upstream.plan(true).start().await;
    let (answer, mut send) = call(&house, METHOD).await;
    // The route takes 16 KiB.
    for _ in 0..5 {
        if send.send_data(Bytes::from(vec![7; 4096]), false).is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let mut body = match within("an answer", answer).await {
        Ok(answer) if answer.status() == 413 => None,
        Ok(answer) => Some(answer.into_body()),
        Err(_) => None,
    };
    while let Some(body) = &mut body {
        match next(body).await {
            Some(Ok(_)) => {}
            Some(Err(_)) => break,
            None => panic!("the answer looks whole"),
        }
    }
    assert!(upstream.ended().await.is_err(), "the upstream sees no end of the request");
    house.stop().await;
}

/// Attack 20: only the path that was allowed, in the spelling that was allowed, and of the type that was allowed.
#[tokio::test]
async fn attack_20_other_spellings_of_a_grpc_method_do_not_pass() {
    let upstream = Grpc::start(Does::Echo).await;
    let house = upstream.plan(true).start().await;
    for path in [
        "/orders/shop.cart/Add",
        "/orders/shop.Cart/add",
        "/orders/shop.Cart/Add/",
        "/orders/shop.Cart/Add/more",
        "/orders/shop.Cart//Add",
        "/orders/shop.Cart/Add;v=2",
        "/orders/shop.Cart%2FAdd",
        "/orders/shop.CartAdd",
        "/orders/../orders/shop.Cart/Add;",
    ] {
        let (answer, _send) = call(&house, path).await;
        let status = within("an answer", answer).await.map_or(0, |answer| answer.status().as_u16());
        assert!(matches!(status, 0 | 400 | 403), "{path}: {status}");
    }
    for kind in ["application/grpc-web", "application/grpc+json"] {
        let reply = house.call(&house.who.mia, Ask::post(METHOD, kind, "x").h2()).await;
        assert!(matches!(reply.status, 400 | 415), "{kind}: {}", reply.status);
    }
    assert_eq!(upstream.count(), 0);
    house.stop().await;
}

/// HTTP/1.1 on both sides: pieces in chunks, and an end only where there was one.
#[tokio::test]
async fn a_body_in_chunks_is_relayed_in_chunks() {
    let route = "match: {pathPrefix: /orders}, upstream: plain, dialect: http,";
    let house = House::plan().with("postern.yaml", route, &format!("{route} bodies: Streamed,")).start().await;
    house.plain.does(|_| Act::Close(answer(200, &[], b"")));
    for length in ["content-length: 8", "transfer-encoding: chunked"] {
        let mut wire = house.wire(&house.who.mia).await;
        let head = format!(
            "POST /orders HTTP/1.1\r\n{}content-type: application/json\r\n{length}\r\n\r\n",
            house.lines(&house.who.mia)
        );
        let body = if length.ends_with('8') { "{\"n\": 1}" } else { "4\r\n{\"n\"\r\n4\r\n: 1}\r\n0\r\n\r\n" };
        // The upstream of the house reads what is declared; of a chunked body it sees the head alone.
        wire.send(format!("{head}{body}")).await;
        assert_eq!(wire.answer().await.status, 200, "{length}");
        assert!(house.plain.seen().iter().any(|seen| seen.head.to_lowercase().contains(length)), "{length}");
    }
    let reply = house.call(&house.who.mia, Ask::get("/orders")).await;
    assert_eq!(reply.status, 200);
    house.stop().await;
}
