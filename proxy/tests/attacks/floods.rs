//! Floods in their short form: the connection ends or costs little, and who means well is served throughout (attacks 5,
//! 6, 8 and 41 over HTTP/2).

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, End, Frames, HEADERS, PING, PREFACE, PRIORITY, RESET, SETTINGS,
    WINDOW, block, frame, text,
};
use crate::house::House;
use crate::house::upstream::{Act, answer};
use crate::one::honest;

/// Growth of this process, proxy and test together, that a flood may leave.
const MAX_GROWTH: usize = 96 << 20;

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Sends pieces while the other side takes them, and says whether all were taken.
async fn flood(frames: &mut Frames, pieces: usize, piece: impl Fn(usize) -> Vec<u8>) -> bool {
    for at in 0..pieces {
        let sent = tokio::time::timeout(std::time::Duration::from_secs(5), frames.send(&piece(at))).await;
        if !matches!(sent, Ok(Ok(()))) {
            return false;
        }
    }
    true
}

/// A frame for a stream.
type MakeFrame = fn(u32) -> Vec<u8>;

fn stream(at: usize) -> u32 {
    u32::try_from(2 * at + 1).unwrap()
}

#[tokio::test]
async fn attack_5_work_of_streams_that_we_are_made_to_reset_is_given_up() {
    let house = House::start().await;
    house.plain.does(|_| Act::Hang);
    let get = block(&house.fields(&house.who.mia, "GET", "/orders"));
    let mut frames = house.frames(&house.who.mia).await;
    let open = |at| frame(HEADERS, END_HEADERS | END_STREAM, stream(at), &get);
    assert!(flood(&mut frames, 40, open).await);
    house.plain.arrived(40).await;
    // A window that grows by nothing is an error of its stream (RFC 9113 §6.9).
    flood(&mut frames, 40, |at| frame(WINDOW, 0, stream(at), &[0; 4])).await;
    house.plain.left(40).await;
    house.plain.says(answer(200, &[], b"hi"));
    honest(&house).await;
    house.stop().await;
}

#[tokio::test]
async fn attack_5_a_client_that_keeps_being_reset_loses_its_connection_or_costs_little() {
    let house = House::start().await;
    let before = resident();
    let get = block(&house.fields(&house.who.mia, "GET", "/orders"));
    let errors: [(&str, MakeFrame); 3] = [
        ("window", |id| frame(WINDOW, 0, id, &[0; 4])),
        ("data behind the end", |id| frame(DATA, 0, id, b"x")),
        ("depends on itself", |id| frame(PRIORITY, 0, id, &[&id.to_be_bytes()[..], &[1]].concat())),
    ];
    for (case, error) in &errors {
        let mut frames = house.frames(&house.who.mia).await;
        let all = flood(&mut frames, 1500, |at| {
            [frame(HEADERS, END_HEADERS | END_STREAM, stream(at), &get), error(stream(at))].concat()
        })
        .await;
        println!("{case}: all were taken: {all}");
        honest(&house).await;
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < MAX_GROWTH, "{} KiB more", grown / 1024);
    drop(house);
}

/// One field of 4 000 bytes in the table, and then a byte for each time it is meant.
#[tokio::test]
async fn attack_6_a_header_list_that_unfolds_is_refused_before_it_is_held() {
    let house = House::start().await;
    let before = resident();
    let mut frames = house.frames(&house.who.mia).await;
    let mut first = block(&house.fields(&house.who.mia, "GET", "/orders"));
    first.push(0x40);
    text(&mut first, b"x-bomb");
    text(&mut first, &[b'a'; 4000]);
    frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &first)).await.unwrap();
    assert_eq!(frames.end_of(1).await, End::Answered(200));
    let mut bomb = block(&house.fields(&house.who.mia, "GET", "/orders"));
    bomb.extend([0xbe; 15_000]);
    let all = flood(&mut frames, 50, |at| frame(HEADERS, END_HEADERS | END_STREAM, stream(at + 1), &bomb)).await;
    for at in 0..50 {
        let end = if all { frames.end_of(stream(at + 1)).await } else { End::Closed };
        assert!(matches!(end, End::Answered(431 | 400) | End::Reset | End::Closed), "{end:?}");
        if end == End::Closed {
            break;
        }
    }
    assert_eq!(house.plain.count(), 1);
    honest(&house).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < MAX_GROWTH, "{} KiB more", grown / 1024);
    drop(house);
}

#[tokio::test]
async fn attack_8_frames_without_content_and_heads_without_end_are_bounded() {
    let house = House::start().await;
    let before = resident();
    let mut post = house.fields(&house.who.mia, "POST", "/orders");
    post.push(("content-type".to_owned(), "application/json".to_owned()));
    let post = block(&post);

    let mut frames = house.frames(&house.who.mia).await;
    frames.send(&frame(HEADERS, END_HEADERS, 1, &post)).await.unwrap();
    let empty = frame(DATA, 0, 1, b"").repeat(1000);
    println!("void DATA, all were taken: {}", flood(&mut frames, 100, |_| empty.clone()).await);
    honest(&house).await;

    for (case, piece) in [("void", Vec::new()), ("full", block(&[("x-a", "b".repeat(4000))]))] {
        let mut frames = house.frames(&house.who.mia).await;
        frames.send(&frame(HEADERS, 0, 1, &post)).await.unwrap();
        let more = frame(CONTINUATION, 0, 1, &piece).repeat(100);
        let all = flood(&mut frames, 100, |_| more.clone()).await;
        assert!(!all || frames.end_of(1).await == End::Closed, "{case}: a head without end");
        honest(&house).await;
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < MAX_GROWTH, "{} KiB more", grown / 1024);
    assert!(house.plain.seen().iter().all(|seen| seen.request_line() == "GET /orders/honest HTTP/1.1"));
    drop(house);
}

#[tokio::test]
async fn attack_41_rapid_reset_costs_the_attacker_its_connection_or_the_upstream_nothing() {
    let house = House::start().await;
    house
        .plain
        .does(|seen| if seen.head.contains("honest") { Act::Answer(answer(200, &[], b"hi")) } else { Act::Hang });
    let before = resident();
    let get = block(&house.fields(&house.who.mia, "GET", "/orders"));
    let mut frames = house.frames(&house.who.mia).await;
    let all = flood(&mut frames, 3000, |at| {
        let cancel = 8_u32.to_be_bytes();
        [frame(HEADERS, END_HEADERS | END_STREAM, stream(at), &get), frame(RESET, 0, stream(at), &cancel)].concat()
    })
    .await;
    honest(&house).await;
    println!("rapid reset: all were taken: {all}; {} reached the upstream", house.plain.count());
    drop(frames);
    let grown = resident().saturating_sub(before);
    assert!(grown < MAX_GROWTH, "{} KiB more", grown / 1024);
    drop(house);
}

#[tokio::test]
async fn attack_41_frames_that_ask_for_an_answer_each_are_bounded() {
    let house = House::start().await;
    let before = resident();
    let floods: [(&str, Vec<u8>); 6] = [
        ("ping", frame(PING, 0, 0, &[0; 8])),
        ("settings", frame(SETTINGS, 0, 0, &[])),
        ("settings that change", frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff, 0, 1, 0, 0, 0x10, 0])),
        ("priority", frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 1])),
        ("window", frame(WINDOW, 0, 0, &[0, 0, 0, 1])),
        ("unknown", frame(0xfa, 0, 0, b"xxxxxxxx")),
    ];
    for (case, one) in &floods {
        // Nothing of the answers is read.
        let mut frames = house.frames(&house.who.mia).await;
        let hundred = one.repeat(100);
        let all = flood(&mut frames, 300, |_| hundred.clone()).await;
        println!("{case}: all were taken: {all}");
        honest(&house).await;
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < MAX_GROWTH, "{} KiB more", grown / 1024);
    drop(house);
}

#[tokio::test]
async fn attack_41_a_window_that_stays_shut_holds_back_its_upstream_only() {
    let house = House::start().await;
    house.plain.does(|seen| {
        let length = if seen.head.contains("honest") { 2 } else { 1 << 20 };
        Act::Answer(answer(200, &[], &vec![b'a'; length]))
    });
    let before = resident();
    let get = block(&house.fields(&house.who.mia, "GET", "/orders"));
    let mut all = Vec::new();
    for _ in 0..5 {
        let mut frames = house.frames_before_preface(Some(&house.who.mia.issued)).await;
        // INITIAL_WINDOW_SIZE is zero.
        frames.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])].concat()).await.unwrap();
        assert!(flood(&mut frames, 60, |at| frame(HEADERS, END_HEADERS | END_STREAM, stream(at), &get)).await);
        all.push(frames);
    }
    house.plain.arrived(300).await;
    honest(&house).await;
    let grown = resident().saturating_sub(before);
    println!("300 answers of 1 MiB that nobody takes: {} KiB", grown / 1024);
    assert!(grown < 300 << 20, "{} KiB more", grown / 1024);
    drop(all);
    house.plain.left(300).await;
    drop(house);
}

/// Crumbs of a cookie count like any other field, and so do hosts that are refused.
#[tokio::test]
async fn attack_41_crumbs_of_a_cookie_are_counted() {
    let house = House::start().await;
    for (name, value, count) in
        [("cookie", "a=b", 200), ("cookie", "", 1000), ("cookie", "a=b", 3000), ("host", "localhost", 500)]
    {
        let mut fields = house.fields(&house.who.mia, "GET", "/orders");
        fields.extend((0..count).map(|_| (name.to_owned(), value.to_owned())));
        let block = block(&fields);
        let mut frames = house.frames(&house.who.mia).await;
        let pieces: Vec<&[u8]> = block.chunks(16_000).collect();
        let mut bytes = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let end = if at + 1 == pieces.len() { END_HEADERS } else { 0 };
            match at {
                0 => bytes.extend(frame(HEADERS, END_STREAM | end, 1, piece)),
                _ => bytes.extend(frame(CONTINUATION, end, 1, piece)),
            }
        }
        let _ = frames.send(&bytes).await;
        let end = frames.end_of(1).await;
        assert!(matches!(end, End::Answered(400 | 431) | End::Reset | End::Closed), "{count} of {name}: {end:?}");
    }
    assert_eq!(house.plain.count(), 0);
    house.stop().await;
}
