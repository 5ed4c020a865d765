//! DDoSProtectionPolicy across sockets: deadlines, bounds, rates, bans and shedding.

use std::time::{Duration, Instant};

use postern_proxy::reload::Reload;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::upstream::Act;
use crate::house::{Ask, House, PATIENCE, within};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const GATEWAY: &str = "{kind: Gateway, name: house}";

fn policy(target: &str, spec: &str) -> String {
    format!(
        "apiVersion: secure.platformspec.io/v1alpha1\nkind: DDoSProtectionPolicy\nmetadata: {{name: guard}}\nspec:\n  targetRefs: [{target}]\n  {spec}\n"
    )
}

async fn house(spec: &str) -> House {
    House::plan().also(&policy(GATEWAY, spec)).start().await
}

/// Writes `byte` every few milliseconds until the other side has had enough, and returns what it said.
async fn drip(stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin), byte: &[u8]) -> Vec<u8> {
    let mut came = Vec::new();
    let dripping = async {
        loop {
            let mut piece = [0; 4096];
            tokio::select! {
                read = stream.read(&mut piece) => match read {
                    Ok(count) if count > 0 => came.extend_from_slice(&piece[..count]),
                    _ => return,
                },
                () = tokio::time::sleep(Duration::from_millis(25)) => {
                    // A side that has ended may still have something to say.
                    let _ = stream.write_all(byte).await;
                    let _ = stream.flush().await;
                }
            }
        }
    };
    within("the end of a slow connection", dripping).await;
    came
}

#[tokio::test]
async fn attack_42_a_byte_now_and_then_is_no_handshake() {
    let house = house("timeouts: {tls: 400ms}").await;
    for byte in [&b""[..], b"\x16"] {
        let mut tcp = TcpStream::connect(house.address("public")).await.unwrap();
        let began = Instant::now();
        drip(&mut tcp, byte).await;
        assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    }
    let records = house.stop().await;
    assert_eq!(records.connections().len(), 2, "{records:#?}");
}

#[tokio::test]
async fn attack_42_a_head_that_trickles_is_refused_in_time() {
    let house = house("timeouts: {headers: 400ms}").await;
    let mut stream = house.connect(Some(&house.who.mia.issued), "public", b"http/1.1").await.unwrap();
    stream.write_all(b"GET /orders HTTP/1.1\r\nX: ").await.unwrap();
    let came = drip(&mut stream, b"a").await;
    assert!(came.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&came));
    assert_eq!(house.stop().await.outcomes(), ["deny: slow_request"]);
}

#[tokio::test]
async fn attack_42_a_head_of_http2_has_its_deadline_too() {
    for cut in ["within a frame", "between frames"] {
        let house = house("timeouts: {headers: 400ms}").await;
        let mut stream = house.connect(Some(&house.who.mia.issued), "public", b"h2").await.unwrap();
        let (head, more) = match cut {
            // HEADERS of a hundred bytes, of which one comes now and then.
            "within a frame" => (frame(1, 4, 1, &[0; 100])[..10].to_vec(), vec![0]),
            // HEADERS without END_HEADERS; PINGs do not put it off.
            _ => (frame(1, 0, 1, &literal("x-a", "a")), Vec::new()),
        };
        stream.write_all(&[PREFACE, &frame(4, 0, 0, &[]), &head].concat()).await.unwrap();
        let began = Instant::now();
        drip(&mut stream, &more).await;
        assert!(began.elapsed() < PATIENCE / 2, "{cut}: {:?}", began.elapsed());
        let records = house.stop().await;
        let told: Vec<_> = records.connections().iter().map(|record| record.detail().to_owned()).collect();
        assert_eq!(told, ["a head was not complete in time"], "{cut}");
    }
}

#[tokio::test]
async fn attack_42_a_body_that_trickles_is_refused_in_time() {
    let house = house("timeouts: {bodyIdle: 400ms}").await;
    let lines = house.lines(&house.who.mia);
    let mut stream = house.connect(Some(&house.who.mia.issued), "public", b"http/1.1").await.unwrap();
    let head = format!("POST /orders HTTP/1.1\r\n{lines}Content-Type: application/json\r\nContent-Length: 900\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let came = drip(&mut stream, b"1").await;
    assert!(came.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&came));
    assert_eq!(house.plain.count(), 0);
    assert_eq!(house.stop().await.outcomes(), ["deny: slow_request"]);
}

#[tokio::test]
async fn attack_42_a_client_that_does_not_read_is_let_go() {
    for h2 in [false, true] {
        let house = house("timeouts: {streamIdle: 400ms}").await;
        let body = "a".repeat(24 << 20);
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        house.plain.says(answer);
        let open = house.open(&house.who.mia, Ask::get("/orders").over(h2)).await;
        house.plain.left(1).await;
        drop(open);
        let records = house.stop().await;
        assert!(records.sole().detail().contains("did not take the answer in time"), "{records:#?}");
    }
}

/// Sends frames until the connection is closed, and returns why the log says it was.
async fn flood(spec: &str, mut frames: impl FnMut(u32) -> Vec<u8>) -> String {
    let house = house(spec).await;
    let mut stream = house.connect(Some(&house.who.mia.issued), "public", b"h2").await.unwrap();
    stream.write_all(&[PREFACE, &frame(4, 0, 0, &[])].concat()).await.unwrap();
    let flooding = async {
        for number in 0.. {
            let gone = stream.write_all(&frames(number)).await.is_err() || stream.flush().await.is_err();
            let mut piece = [0; 4096];
            // What it says meanwhile is taken, so that nobody waits for anybody.
            while let Ok(read) = tokio::time::timeout(Duration::ZERO, stream.read(&mut piece)).await {
                if !matches!(read, Ok(count) if count > 0) {
                    return;
                }
            }
            if gone {
                return;
            }
        }
    };
    within("the end of a flood", flooding).await;
    let records = house.stop().await;
    let connections = records.connections();
    connections.last().map(|record| record.detail().to_owned()).unwrap_or_default()
}

fn head(stream: u32) -> Vec<u8> {
    let fields = [(":method", "GET"), (":scheme", "https"), (":path", "/orders"), (":authority", "localhost")];
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
    frame(1, 5, stream, &block)
}

#[tokio::test]
async fn attack_41_rapid_reset_ends_the_connection() {
    let reset = |number| [head(1 + 2 * number), frame(3, 0, 1 + 2 * number, &8_u32.to_be_bytes())].concat();
    assert_eq!(flood("http2: {maxResetsPerMinute: 15}", reset).await, "too many stream resets");
}

#[tokio::test]
async fn attack_5_streams_that_break_the_protocol_end_the_connection() {
    // A stream that depends on itself is an error of that stream (RFC 7540 §5.3.1).
    let broken = |number: u32| {
        let id = 1 + 2 * number;
        [head(id), frame(2, 0, id, &[&id.to_be_bytes()[..], &[1]].concat())].concat()
    };
    assert_eq!(flood("http2: {maxResetsPerMinute: 15}", broken).await, "too many streams that broke the protocol");
}

#[tokio::test]
async fn attack_8_a_head_without_end_ends_the_connection() {
    let pieces = |number| match number {
        0 => frame(1, 0, 1, &literal(":method", "GET")),
        _ => frame(9, 0, 1, &[]),
    };
    assert_eq!(flood("http2: {maxContinuation: 3}", pieces).await, "too many CONTINUATION frames");
}

#[tokio::test]
async fn attack_41_frames_that_only_make_work_end_the_connection() {
    for (frames, said) in [
        (frame(6, 0, 0, &[0; 8]).repeat(50), "too many PING, PRIORITY or unknown frames"),
        (frame(2, 0, 1, &[0; 5]).repeat(50), "too many PING, PRIORITY or unknown frames"),
        (frame(4, 0, 0, &[]).repeat(5), "too many SETTINGS frames"),
        (frame(8, 0, 0, &1_u32.to_be_bytes()).repeat(50), "too many WINDOW_UPDATE frames"),
    ] {
        assert_eq!(flood("http2: {}", |_| frames.clone()).await, said);
    }
}

#[tokio::test]
async fn attack_42_an_address_has_so_many_connections() {
    let house = house("connections: {maxPerIp: 2}").await;
    let (one, _two) = (house.wire(&house.who.mia).await, house.wire(&house.who.mia).await);
    let third = house.connect(Some(&house.who.mia.issued), "public", b"http/1.1").await;
    assert!(third.is_err(), "two are open");
    drop(one);
    let token = house.token(&house.who.mia);
    let back = async {
        while house.try_send(Some(&house.who.mia.issued), Ask::get("/orders").bearer(&token)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    within("room for another connection", back).await;
}

#[tokio::test]
async fn attack_42_a_listener_has_so_many_connections() {
    let max = policy("{kind: Gateway, name: house, sectionName: public}", "connections: {max: 1}");
    let house = House::plan().also(&max).start().await;
    let _one = house.wire(&house.who.mia).await;
    assert!(house.connect(Some(&house.who.mia.issued), "public", b"http/1.1").await.is_err());
    assert!(house.connect(Some(&house.who.mia.issued), "open", b"http/1.1").await.is_ok(), "the other has its own");
}

#[tokio::test]
async fn attack_42_an_address_connects_so_often() {
    let house = house("connections: {handshakesPerIp: {limit: 2, window: 1h}}").await;
    for _ in 0..2 {
        assert!(house.connect(Some(&house.who.mia.issued), "public", b"http/1.1").await.is_ok());
    }
    assert!(house.connect(Some(&house.who.mia.issued), "public", b"http/1.1").await.is_err());
    let records = house.stop().await;
    let told = records.connections().iter().any(|record| {
        record
            .detail()
            .contains("connects too often for DDoSProtectionPolicy/default/guard#connections.handshakesPerIp")
    });
    assert!(told, "{records:#?}");
}

#[tokio::test]
async fn requests_of_an_address_are_counted_before_credentials_are_looked_at() {
    let house = house("requests: {perIp: {limit: 2, window: 1h}}").await;
    let mia = Some(&house.who.mia.issued);
    assert_eq!(house.send(mia, Ask::get("/orders").bearer("no.such.token")).await.status, 401);
    assert_eq!(house.call(&house.who.mia, Ask::get("/forms")).await.status, 200);
    let reply = house.call(&house.who.mia, Ask::get("/orders")).await;
    assert_eq!(reply.status, 429);
    assert!(reply.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(house.plain.count(), 1);
    let records = house.stop().await;
    assert_eq!(records.requests()[2].rule(), "DDoSProtectionPolicy/default/guard#requests.perIp");
}

#[tokio::test]
async fn requests_of_a_route_are_counted_for_it_alone() {
    let rate = policy("{kind: Route, name: orders}", "requests: {global: {limit: 1, window: 1h}}");
    let house = House::plan().also(&rate).start().await;
    let mut statuses = Vec::new();
    for path in ["/orders", "/orders", "/forms", "/forms"] {
        statuses.push(house.call(&house.who.mia, Ask::get(path)).await.status);
    }
    assert_eq!(statuses, [200, 429, 200, 200]);
}

#[tokio::test]
async fn an_address_that_does_too_much_is_banned_and_stays_so_over_a_reload() {
    let house = house("ban: [{name: scanners, after: {findings: 3, window: 1h}, for: 1h}]").await;
    let mia = Some(&house.who.mia.issued);
    let mut open = house.wire(&house.who.mia).await;
    for _ in 0..2 {
        assert_eq!(house.send(mia, Ask::get("/orders").bearer("no.such.token")).await.status, 401);
    }
    assert_eq!(house.call(&house.who.mia, Ask::get("/forms")).await.status, 200, "two are not three");
    let _ = house.try_send(mia, Ask::get("/nowhere").bearer("no.such.token")).await;
    assert!(open.is_closed().await, "what is open ends with the ban");
    let token = house.token(&house.who.mia);
    assert!(house.try_open_fails(&token).await);
    let taken = house.change("manifests/chat.yaml", "limit: 6000", "limit: 6001").await;
    assert!(matches!(taken, Reload::Taken), "{taken:?}");
    assert!(house.try_open_fails(&token).await, "a reload lifts no ban");
    let records = house.stop().await;
    let told = records.connections();
    let banned =
        told.iter().filter(|r| r.detail().contains("DDoSProtectionPolicy/default/guard#scanners bans 127.0.0.1"));
    assert_eq!(banned.count(), 2, "{told:#?}");
}

impl House {
    async fn try_open_fails(&self, token: &str) -> bool {
        self.try_send(Some(&self.who.mia.issued), Ask::get("/orders").bearer(token)).await.is_err()
    }
}

#[tokio::test]
async fn under_load_the_routes_that_were_named_go_first() {
    let house = house("connections: {max: 4}\n  shed: {atLoad: 100, order: [{matchLabels: {app: shop}}]}").await;
    let token = house.token(&house.who.mia);
    // Waits for a seat: the connection of the last call may still be closing.
    let until = async |path: &str, status: u16| {
        let asking = async {
            loop {
                let ask = Ask::get(path).bearer(&token);
                match house.try_send(Some(&house.who.mia.issued), ask).await {
                    Ok(reply) if reply.status == status => return reply,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        within(path, asking).await
    };
    until("/orders", 200).await;
    // Idle ones take seats as well; with the own one all four are taken.
    let mut idle = Vec::new();
    let filling = async {
        while idle.len() < 3 {
            idle.extend(house.connect(Some(&house.who.mia.issued), "public", b"http/1.1").await);
        }
    };
    within("three idle connections", filling).await;
    assert_eq!(until("/orders", 503).await.header("retry-after"), "5");
    until("/forms", 200).await;
    drop(idle);
    until("/orders", 200).await;
    let records = house.stop().await;
    assert!(records.outcomes().contains(&"deny: overloaded".to_owned()), "{records:#?}");
}

#[tokio::test]
async fn sizes_hold_for_the_gateway_and_more_tightly_for_a_route() {
    let gateway = policy(GATEWAY, "sizes: {maxHeaders: 12, maxHeaderSize: 4Ki, maxBody: 100}");
    let route = policy("{kind: Route, name: forms}", "sizes: {maxHeaderSize: 2Ki, maxBody: 10}")
        .replace("name: guard", "name: forms");
    let house = House::plan().also(&gateway).also(&route).start().await;
    let (long, longer) = ("a".repeat(1900), "a".repeat(4200));
    let many = |path: &str| (0..12).fold(Ask::get(path), |ask, n| ask.header(&format!("x-{n}"), "a"));
    let body = |path: &str, length: usize| Ask::post(path, "application/json", "1".repeat(length));
    for (case, ask, status) in [
        ("as it is", Ask::get("/orders"), 200),
        ("many lines", many("/orders"), 431),
        ("a long line", Ask::get("/orders").header("x-a", &long), 200),
        ("a longer line", Ask::get("/orders").header("x-a", &longer), 431),
        ("a long line for less", Ask::get("/forms").header("x-a", &long), 431),
        ("a body", body("/orders", 100), 200),
        ("a long body", body("/orders", 101), 413),
        ("a long body for less", body("/forms", 11), 413),
    ] {
        for h2 in [false, true] {
            assert_eq!(house.call(&house.who.mia, ask.clone().over(h2)).await.status, status, "{case} h2 {h2}");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_has_the_time_that_policy_gives_it() {
    let house = house("timeouts: {firstByte: 300ms}").await;
    house.plain.does(|_| Act::Hang);
    let reply = house.call(&house.who.mia, Ask::get("/orders")).await;
    assert_eq!(reply.status, 502, "{}", reply.body);
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A literal header field without indexing and without Huffman coding (RFC 7541 §6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}
