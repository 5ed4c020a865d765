//! JSONTestSuite through a real proxy, both ways: what it says must not parse reaches nobody, and what it says must parse goes
//! on byte for byte.
//!
//! Each file stands alone on a route of dialect `http`, as a request and as an answer, and in a chat where a client may write
//! any JSON: at `tools[0].function.parameters.default`, the last value of the request, so that nothing behind it closes what it
//! left open.

use std::path::PathBuf;

use crate::house::House;
use crate::house::raw::{Answer, Wire};
use crate::house::upstream::{answer, chat};

/// Files that may be read either way and pass: numbers that a double rounds.
const PASS: [&str; 5] = [
    "i_number_double_huge_neg_exp.json",
    "i_number_real_underflow.json",
    "i_number_too_big_neg_int.json",
    "i_number_too_big_pos_int.json",
    "i_number_very_big_negative_int.json",
];
/// Files that parse and are refused: parsers differ about which of two values counts.
const DIFFER: [&str; 2] = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];

fn suite() -> Option<Vec<(String, Vec<u8>)>> {
    let from_env = std::env::var_os("POSTERN_SHARED").map(|dir| PathBuf::from(dir).join("data"));
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let above = here.ancestors().map(|dir| dir.join("shared/data")).find(|dir| dir.is_dir());
    let Some(data) = from_env.filter(|dir| dir.is_dir()).or(above) else {
        assert!(std::env::var_os("POSTERN_REQUIRE_SHARED").is_none(), "shared/data is required and not there");
        eprintln!("skipped: no shared/data beside the repository");
        return None;
    };
    let files = std::fs::read_dir(data.join("vectors/json-test-suite/test_parsing")).unwrap();
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    Some(files.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect())
}

fn passes(name: &str) -> bool {
    match &name[..2] {
        "y_" => !DIFFER.contains(&name),
        "i_" => PASS.contains(&name),
        "n_" => false,
        _ => panic!("unknown name {name}"),
    }
}

/// Asks on a connection that is kept while it lasts.
struct Asker<'h> {
    house: &'h House,
    lines: String,
    wire: Option<Wire>,
}

impl Asker<'_> {
    async fn ask(&mut self, line: &str, body: &[u8]) -> Answer {
        let typed = if body.is_empty() && line.starts_with("GET") { "" } else { "Content-Type: application/json\r\n" };
        let head = format!("{line} HTTP/1.1\r\n{}{typed}Content-Length: {}\r\n\r\n", self.lines, body.len());
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => self.house.wire(&self.house.who.mia).await,
        };
        // Too large by its head alone: the rest may find nobody who reads it.
        let _ = wire.try_send([head.as_bytes(), body].concat()).await;
        let answer = wire.answer().await;
        if answer.header("connection").is_none() {
            self.wire = Some(wire);
        }
        answer
    }
}

/// Sends each file as the body that `place` makes of it.
async fn send_all(line: &str, place: impl Fn(&[u8]) -> Vec<u8>) {
    let Some(files) = suite() else { return };
    let house = House::start().await;
    house.model.says(chat("hi"));
    let upstream = if line.contains("/v1/") { &house.model } else { &house.plain };
    let mut asker = Asker { house: &house, lines: house.lines(&house.who.mia), wire: None };
    let (mut refused, mut sent) = (0, Vec::new());
    for (name, json) in &files {
        let body = place(json);
        let answer = asker.ask(line, &body).await;
        // A body without a byte is no body.
        if passes(name) || body.is_empty() {
            assert_eq!(answer.status, 200, "{name}: {}", String::from_utf8_lossy(&answer.body));
            sent.push((name, body));
        } else {
            refused += 1;
            assert!(answer.status == 400 || answer.status == 413 && body.len() > 16 << 10, "{name}: {}", answer.status);
        }
        assert_eq!(upstream.count(), sent.len(), "{name}");
    }
    for ((name, body), got) in sent.iter().zip(upstream.seen()) {
        assert!(*body == got.body, "{name} was changed");
    }
    assert!(refused > 200 && sent.len() > 90, "{refused} refused, {} sent", sent.len());
    house.stop().await;
}

#[tokio::test]
async fn attack_48_json_test_suite_in_a_body_reaches_nobody_or_goes_on_byte_for_byte() {
    send_all("POST /forms", <[u8]>::to_vec).await;
}

#[tokio::test]
async fn attack_48_json_test_suite_in_a_chat_reaches_nobody_or_goes_on_byte_for_byte() {
    let head = r#"{"model":"small","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","default":"#;
    send_all("POST /v1/chat/completions", |json| [head.as_bytes(), json, b"}}}]}"].concat()).await;
}

#[tokio::test]
async fn attack_48_json_test_suite_in_an_answer_is_refused_or_passes_byte_for_byte() {
    let Some(files) = suite() else { return };
    let house = House::start().await;
    let mut asker = Asker { house: &house, lines: house.lines(&house.who.mia), wire: None };
    for (name, json) in &files {
        house.plain.says(answer(200, &[("content-type", "application/json")], json));
        let got = asker.ask("GET /forms", b"").await;
        // No body at all is no JSON that two could read differently.
        let passes = passes(name) || json.is_empty();
        assert_eq!(got.status, if passes { 200 } else { 403 }, "{name}");
        assert_eq!(got.body == *json, passes, "{name}");
    }
    house.stop().await;
}
