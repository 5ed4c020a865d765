//! One path for routing, policy and upstream, or none (attacks 11–19).

use crate::frames::{END_HEADERS, END_STREAM, End, Frames, HEADERS, block, frame};
use crate::house::House;
use crate::one::one;

const PARAMETERS: [&str; 4] = [";", ";x", ";x=1", ";x=1;y=2"];
const DOTS_AND_PARAMETERS: [&str; 6] = ["..;", ".;", ";..;", "..;x=1", ";.", ";/.."];
const ESCAPED_PARAMETERS: [&str; 6] = ["%3b", "%3B", "%3bx", "%3b..", "..%3b", "%253b"];
const FRAGMENTS: [&str; 4] = ["#", "#x", "#/../x", "x#?"];
/// What two servers may read as the end of a segment, as another segment, or as nothing.
const SEPARATORS: [&str; 37] = [
    "%2e",
    "%2E",
    "%2e%2e",
    ".%2e",
    "%2e.",
    "..",
    ".",
    "%2f",
    "%2F",
    "%5c",
    "%5C",
    "\\",
    "..\\",
    "%252f",
    "%252e",
    "%252e%252e",
    "%25",
    "%00",
    "%0a",
    "%0d%0a",
    "%09",
    "%7f",
    "%c0%af",
    "%c0%ae%c0%ae",
    "%e0%80%af",
    "%f0%80%80%af",
    "%ff",
    "%fe",
    "%80",
    "%ed%a0%80",
    "%u002f",
    "%",
    "%4",
    "%zz",
    "<",
    "\"",
    "|",
];
/// What makes a path another one, and the same other one for everybody.
const PLAIN: [&str; 25] = [
    "!", "$", "&", "'", "(", ")", "*", "**", "+", ",", "=", ":", "@", "-", ".x", "x.", "_", "~", "%20", "%23", "%3f",
    "%2a", "%C3%A9", "...", "x%20",
];

/// `bytes` instead of, behind, before and between the segments of a path that is allowed.
fn placed(bytes: &str) -> Vec<String> {
    let segments = ["orders", "a", "b"];
    let mut out = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        for put in [
            // A void segment at the end of a path is no segment.
            format!("{bytes}{}", if is_dots(bytes) { "/x" } else { "" }),
            format!("{segment}{bytes}{}", if is_dots(bytes) { "/../" } else { "" }),
            format!("{segment}/{bytes}/.."),
            format!("{segment}{bytes}/../x"),
        ] {
            let mut changed: Vec<&str> = segments.to_vec();
            changed[at] = &put;
            out.push(format!("/{}", changed.join("/")));
        }
    }
    out
}

fn is_dots(bytes: &str) -> bool {
    bytes.to_ascii_lowercase().replace("%2e", ".").trim_matches('.').is_empty()
}

/// Asks for `targets` one after the other on one HTTP/2 connection, or on more where the proxy ends one.
async fn over_h2(house: &House, targets: &[String]) -> Vec<End> {
    let (mut frames, mut stream): (Frames, u32) = (house.frames(&house.who.mia).await, 1);
    let mut ends = Vec::new();
    for target in targets {
        let fields = block(&house.fields(&house.who.mia, "GET", target));
        let sent = frames.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &fields)).await;
        let end = if sent.is_ok() { frames.end_of(stream).await } else { End::Closed };
        stream += 2;
        if end == End::Closed {
            (frames, stream) = (house.frames(&house.who.mia).await, 1);
        }
        ends.push(end);
    }
    ends
}

/// Nothing of what `bytes` make of an allowed path is served.
async fn none_passes(bytes: &[&str]) {
    let house = House::start().await;
    let mut passed = Vec::new();
    let targets: Vec<String> = bytes.iter().flat_map(|bytes| placed(bytes)).collect();
    for (target, end) in targets.iter().zip(over_h2(&house, &targets).await) {
        if !matches!(end, End::Answered(400 | 403) | End::Reset | End::Closed) {
            passed.push(format!("{target} over h2: {end:?}"));
        }
    }
    // A handshake each: one place of each segment will do.
    for target in bytes.iter().flat_map(|bytes| placed(bytes).into_iter().skip(1).step_by(4)) {
        let (status, _) = one(&house, format!("GET {target} HTTP/1.1\r\n{{lines}}\r\n")).await;
        if !matches!(status, 400 | 403) {
            passed.push(format!("{target}: {status}"));
        }
    }
    assert_eq!(passed, [""; 0]);
    assert_eq!(house.plain.count(), 0);
    let records = house.stop().await;
    assert!(records.outcomes().iter().all(|outcome| outcome.starts_with("deny: ")), "{:?}", records.outcomes());
}

#[tokio::test]
async fn attack_11_parameters_in_any_segment_are_refused() {
    none_passes(&PARAMETERS).await;
}

#[tokio::test]
async fn attack_12_dot_segments_with_parameters_are_refused() {
    none_passes(&DOTS_AND_PARAMETERS).await;
}

#[tokio::test]
async fn attack_13_escaped_parameters_are_refused() {
    none_passes(&ESCAPED_PARAMETERS).await;
}

#[tokio::test]
async fn attack_16_separators_dots_and_broken_escapes_are_refused_in_any_spelling() {
    none_passes(&SEPARATORS).await;
}

#[tokio::test]
async fn attack_16_a_path_is_the_same_path_only_where_it_is_the_same_bytes() {
    let house = House::start().await;
    for target in
        ["/Orders", "/ORDERS/a", "/%4Frders", "/orders%20", "/orders.", "/ORDER%53", "/order", "/ordersx", "/V1"]
    {
        let (status, _) = one(&house, format!("GET {target} HTTP/1.1\r\n{{lines}}\r\n")).await;
        assert_eq!(status, 403, "{target}");
    }
    assert_eq!(house.plain.count(), 0);
    house.stop().await;
}

/// A fragment is refused as it is sent; HTTP/2's parser takes it away, and then nobody has seen it.
#[tokio::test]
async fn attack_15_a_fragment_is_part_of_no_path() {
    let house = House::start().await;
    for bytes in FRAGMENTS {
        for target in [format!("/orders{bytes}"), format!("/admin{bytes}/orders"), format!("/orders?a{bytes}")] {
            let (status, _) = one(&house, format!("GET {target} HTTP/1.1\r\n{{lines}}\r\n")).await;
            assert_eq!(status, 400, "{target}");
        }
    }
    assert_eq!(house.plain.count(), 0);
    for end in over_h2(&house, &["/admin#/orders", "/orders#/x", "/orders/a?b#/x"].map(str::to_owned)).await {
        assert!(matches!(end, End::Answered(200 | 400 | 403) | End::Reset), "{end:?}");
    }
    let lines: Vec<_> = house.plain.seen().iter().map(|seen| seen.request_line().to_owned()).collect();
    assert!(
        lines.iter().all(|line| ["GET /orders HTTP/1.1", "GET /orders/a?b HTTP/1.1"].contains(&line.as_str())),
        "{lines:?}"
    );
    house.stop().await;
}

/// Every character a path may hold, against an exact path, a glob of one segment, a glob of many, and a prefix.
#[tokio::test]
async fn attack_14_no_character_of_a_path_is_a_pattern() {
    let house = House::start().await;
    let mut refused = Vec::new();
    for bytes in PLAIN {
        refused.extend([
            format!("/orders{bytes}"),
            format!("/orders{bytes}/a"),
            format!("/{bytes}"),
            format!("/{bytes}/a"),
            format!("/{bytes}orders/a"),
            format!("/forms{bytes}"),
            format!("/forms/{bytes}/x"),
            format!("/globex/orders{bytes}"),
            format!("/globex/{bytes}"),
            format!("/v1/{bytes}"),
            format!("/v1/chat/{bytes}"),
        ]);
    }
    for (target, end) in refused.iter().zip(over_h2(&house, &refused).await) {
        assert!(matches!(end, End::Answered(400 | 403)), "{target}: {end:?}");
    }
    assert_eq!(house.plain.count() + house.model.count(), 0);
    house.stop().await;
}

/// What is let through is one path for everybody: the record of what was decided on, and the line the upstream got.
#[tokio::test]
async fn attack_18_policy_and_upstream_see_the_same_path() {
    let house = House::start().await;
    let mut targets = Vec::new();
    for bytes in PLAIN {
        targets.extend([
            format!("/orders/{bytes}"),
            format!("/orders/a{bytes}b/c"),
            format!("/forms/{bytes}"),
            format!("/orders/a/{bytes}?{}", bytes.replace("%23", "x")),
        ]);
    }
    for (target, end) in targets.iter().zip(over_h2(&house, &targets).await) {
        assert_eq!(end, End::Answered(200), "{target}");
    }
    for target in &targets {
        assert_eq!(one(&house, format!("GET {target} HTTP/1.1\r\n{{lines}}\r\n")).await.0, 200, "{target}");
    }
    let seen = house.plain.seen();
    assert_eq!(seen.len(), 2 * targets.len());
    let records = house.stop().await;
    for ((target, seen), record) in targets.iter().cycle().zip(&seen).zip(records.requests()) {
        let got = seen.request_line().split(' ').nth(1).unwrap().to_owned();
        assert_eq!(got.split('?').next().unwrap(), record.path(), "{target}");
        assert_eq!(
            got.split_once('?').map(|(_, query)| query),
            target.split_once('?').map(|(_, query)| query),
            "{target}"
        );
    }
}

#[tokio::test]
async fn attack_18_bytes_that_would_have_to_be_escaped_are_refused() {
    let house = House::start().await;
    for byte in (0..=255_u8).filter(|byte| !byte.is_ascii_graphic() || b"<>\"\\^`{|}#".contains(byte)) {
        let mut request = b"GET /orders/a".to_vec();
        request.push(byte);
        request.extend_from_slice(b"b HTTP/1.1\r\n{lines}\r\n");
        if matches!(byte, b'\n' | b'\r') {
            continue; // the end of the line: attack 36
        }
        assert_eq!(one(&house, request).await.0, 400, "byte {byte:#x}");
    }
    let fields = |byte: u8| {
        let mut fields: Vec<(Vec<u8>, Vec<u8>)> = house
            .fields(&house.who.mia, "GET", "/orders/a")
            .into_iter()
            .map(|(name, value)| (name.into_bytes(), value.into_bytes()))
            .collect();
        fields[3].1.extend_from_slice(&[byte, b'b']);
        block(&fields)
    };
    for byte in [0, b' ', b'\t', b'\r', b'\n', 0x7f, 0x80, 0xff, b'<', b'"', b'\\', b'^', b'`', b'{', b'|'] {
        let mut frames = house.frames(&house.who.mia).await;
        frames.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields(byte))).await.unwrap();
        let end = frames.end_of(1).await;
        assert!(matches!(end, End::Answered(400) | End::Reset | End::Closed), "byte {byte:#x}: {end:?}");
    }
    assert_eq!(house.plain.count(), 0);
    house.stop().await;
}

#[tokio::test]
async fn attack_19_a_target_in_another_form_names_no_other_host_and_no_other_path() {
    let house = House::start().await;
    for target in [
        "https://evil.test/orders",
        "http://evil.test/orders",
        "https://a@localhost/orders",
        "https://localhost:99999/orders",
        "https://localhost.evil.test/orders",
        "https:///orders",
        "https:/orders",
        "ftp://localhost/orders",
        "//localhost/orders",
        "localhost/orders",
        "localhost:443",
        "*",
        "?a=/orders",
        "orders",
    ] {
        let (status, _) = one(&house, format!("GET {target} HTTP/1.1\r\n{{lines}}\r\n")).await;
        assert!(matches!(status, 400 | 403), "{target}: {status}");
        let end = house.h2(&house.fields(&house.who.mia, "GET", target)).await;
        assert!(matches!(end, End::Answered(400 | 403) | End::Reset | End::Closed), "{target} over h2: {end:?}");
    }
    assert_eq!(house.plain.count(), 0, "{:?}", house.plain.seen());
    // The one form that says the same as the ordinary one.
    let (status, _) = one(&house, "GET https://localhost/orders HTTP/1.1\r\n{lines}\r\n").await;
    assert_eq!(status, 400, "a proxy's form is for a listener that is one");
    house.stop().await;
}
