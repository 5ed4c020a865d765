//! A caller who leaves ends the request at the upstream within 100 ms, wherever the answer is and however they leave.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use postern_filters::encoding::Coding;

use crate::encodings::encode::Encoder;
use crate::house::upstream::{completion, delta, stream_head};
use crate::house::{Ask, House, within};

/// What is promised.
const PROMISED: Duration = Duration::from_millis(100);

/// What the upstream has sent when the caller leaves.
#[derive(Debug, Clone, Copy)]
enum Sent {
    /// Nothing.
    Nothing,
    /// Half of an answer that is read whole, so that nothing of it has left.
    Half,
    /// An event.
    Event,
    /// An event of a compressed stream, and half of the next.
    Encoded,
    /// A piece of an answer that nobody reads.
    Unread,
}

impl Sent {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Half => {
                let body = completion("hello").to_string();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                [head.as_bytes(), &body.as_bytes()[..40]].concat()
            }
            Self::Event => [stream_head(), delta("words. ")].concat(),
            Self::Encoded => {
                let mut encoder = Encoder::new(Coding::Gzip);
                let mut body = encoder.flush(&delta("words. "));
                body.extend(&encoder.flush(&delta("more. "))[..10]);
                let head =
                    String::from_utf8(stream_head()).unwrap().replacen("\r\n", "\r\ncontent-encoding: gzip\r\n", 1);
                [head.as_bytes(), &body].concat()
            }
            Self::Unread => b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nwords".to_vec(),
        }
    }

    fn ask(self) -> Ask {
        match self {
            Self::Unread => Ask::get("/orders"),
            Self::Half | Self::Nothing => Ask::chat("hello"),
            Self::Event | Self::Encoded => Ask::streamed("hello"),
        }
    }

    fn is_seen(self) -> bool {
        !matches!(self, Self::Nothing | Self::Half)
    }
}

const ALL: [Sent; 5] = [Sent::Nothing, Sent::Half, Sent::Event, Sent::Encoded, Sent::Unread];

#[tokio::test]
async fn a_caller_who_closes_the_connection_ends_the_upstream_request_within_100_ms() {
    let house = House::start().await;
    let (mut turns, mut slowest) = ([0, 0], Duration::ZERO);
    for sent in ALL {
        for h2 in [false, true] {
            let unread = usize::from(matches!(sent, Sent::Unread));
            let upstream = if unread == 1 { &house.plain } else { &house.model };
            turns[unread] += 1;
            let tell = upstream.steps();
            tell.send(sent.bytes()).await.unwrap();
            let since = if sent.is_seen() {
                let mut open = house.open(&house.who.mia, sent.ask().over(h2)).await;
                open.until("words").await;
                drop(open);
                Instant::now()
            } else {
                let call = house.call(&house.who.mia, sent.ask().over(h2));
                let arrived = async {
                    upstream.arrived(turns[unread]).await;
                    // What was sent has been taken out of the channel.
                    while tell.capacity() < tell.max_capacity() {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    reply = call => panic!("{reply:?}"),
                    () = arrived => {}
                }
                Instant::now()
            };
            upstream.left(turns[unread]).await;
            let took = since.elapsed();
            assert!(took < PROMISED, "{sent:?}, h2 {h2}: {took:?}");
            slowest = slowest.max(took);
        }
    }
    println!("slowest of {}: {slowest:?}", ALL.len() * 2);
    let records = house.stop().await;
    assert!(records.requests().iter().all(|record| record.detail().contains("client left")), "{records:?}");
}

/// The connection goes on: only this stream is given up.
#[tokio::test]
async fn a_caller_who_resets_a_stream_ends_its_upstream_request_within_100_ms() {
    let house = House::start().await;
    let tls = house.connect(Some(&house.who.mia.issued), "public", b"h2").await.unwrap();
    let (mut client, connection) = h2::client::handshake(tls).await.unwrap();
    let driver = tokio::spawn(connection);
    let token = house.token(&house.who.mia);
    let (mut turns, mut slowest) = (0, Duration::ZERO);
    for sent in [Sent::Nothing, Sent::Half, Sent::Event, Sent::Encoded] {
        turns += 1;
        let tell = house.model.steps();
        tell.send(sent.bytes()).await.unwrap();
        let prompt = match sent {
            Sent::Event | Sent::Encoded => {
                r#"{"model":"small","stream":true,"messages":[{"role":"user","content":"hi"}]}"#
            }
            _ => r#"{"model":"small","messages":[{"role":"user","content":"hi"}]}"#,
        };
        let request =
            Request::post(format!("https://localhost:{}/v1/chat/completions", house.address("public").port()))
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", "application/json");
        client = within("a free stream", client.ready()).await.unwrap();
        let (answer, mut stream) = client.send_request(request.body(()).unwrap(), false).unwrap();
        stream.send_data(Bytes::from_static(prompt.as_bytes()), true).unwrap();
        house.model.arrived(turns).await;
        if sent.is_seen() {
            let mut body = within("an answer", answer).await.unwrap().into_body();
            within("an event", body.data()).await.unwrap().unwrap();
        }
        stream.send_reset(h2::Reason::CANCEL);
        let since = Instant::now();
        house.model.left(turns).await;
        let took = since.elapsed();
        assert!(took < PROMISED, "{sent:?}: {took:?}");
        slowest = slowest.max(took);
    }
    println!("slowest of {turns}: {slowest:?}");
    drop(client);
    driver.abort();
    let records = house.stop().await;
    assert!(records.requests().iter().all(|record| record.detail().contains("client left")), "{records:?}");
}
