use super::*;

fn limits() -> Http2Limits {
    Http2Limits { max_concurrent_streams: 10, max_resets_per_minute: 5, max_continuation: 3 }
}

fn frame(kind: u8, flags: u8, length: u32) -> Frame {
    Frame { kind, flags, length, code: 0 }
}

/// After how many of a frame the connection ends.
fn after(kind: u8, flags: u8, length: u32) -> Option<usize> {
    let mut meter = Meter::new(limits());
    (1..10_000).find(|_| meter.received(&frame(kind, flags, length)).is_some())
}

#[tokio::test(start_paused = true)]
async fn attack_41_every_flood_of_frames_has_its_end() {
    for (what, kind, flags, length, most) in [
        ("resets", wire::RST_STREAM, 0, 4, Some(6)),
        ("settings", wire::SETTINGS, 0, 6, Some(101)),
        ("answers to our settings", wire::SETTINGS, 1, 0, Some(3001)),
        ("pings", 6, 0, 8, Some(3001)),
        ("priorities", 2, 0, 5, Some(3001)),
        ("unknown", 200, 0, 5, Some(3001)),
        ("window updates", wire::WINDOW_UPDATE, 0, 4, Some(1001)),
        ("empty data", wire::DATA, 0, 0, Some(201)),
        ("ends of streams", wire::DATA, 1, 0, None),
        ("data", wire::DATA, 0, 100, None),
        ("whole heads", wire::HEADERS, 4, 50, None),
    ] {
        assert_eq!(after(kind, flags, length), most, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn attack_8_a_head_has_so_many_pieces() {
    let mut meter = Meter::new(limits());
    for _ in 0..10 {
        assert_eq!(meter.received(&frame(wire::HEADERS, 0, 10)), None);
        assert_eq!(meter.received(&frame(wire::CONTINUATION, 0, 10)), None);
        assert_eq!(meter.received(&frame(wire::CONTINUATION, 0, 10)), None);
        assert_eq!(meter.received(&frame(wire::CONTINUATION, 4, 10)), None);
    }
    meter.received(&frame(wire::HEADERS, 0, 10));
    let ended = (1..10).find(|_| meter.received(&frame(wire::CONTINUATION, 0, 0)).is_some());
    assert_eq!(ended, Some(4));
}

#[tokio::test(start_paused = true)]
async fn attack_5_resets_that_a_client_makes_us_send_count_as_its_own() {
    let mut meter = Meter::new(limits());
    let reset = |code| Frame { kind: wire::RST_STREAM, flags: 0, length: 4, code };
    for code in [wire::NO_ERROR, wire::CANCEL, wire::REFUSED_STREAM] {
        assert!((0..50).all(|_| meter.sent(&reset(code)).is_none()), "{code}");
    }
    assert_eq!((1..10).find(|_| meter.sent(&reset(1)).is_some()), Some(6));
}

#[tokio::test(start_paused = true)]
async fn a_minute_later_all_is_forgotten_but_a_head_that_has_begun() {
    let mut meter = Meter::new(limits());
    for _ in 0..5 {
        assert_eq!(meter.received(&frame(wire::RST_STREAM, 0, 4)), None);
    }
    meter.received(&frame(wire::HEADERS, 0, 4));
    tokio::time::advance(MINUTE).await;
    meter.tick();
    assert_eq!((meter.resets, meter.head), (0, Some(0)));
}

#[tokio::test(start_paused = true)]
async fn updates_that_follow_what_was_sent_are_no_flood() {
    let mut meter = Meter::new(limits());
    for _ in 0..5_000 {
        meter.sent(&frame(wire::DATA, 0, 16_384));
        assert_eq!(meter.received(&frame(wire::WINDOW_UPDATE, 0, 4)), None);
    }
    let mut trickle = Meter::new(limits());
    let ended = (1..10_000).find(|_| {
        trickle.sent(&frame(wire::DATA, 0, 1));
        trickle.received(&frame(wire::WINDOW_UPDATE, 0, 4)).is_some()
    });
    assert_eq!(ended, Some(1004), "an update for a byte does not pay for itself");
}
