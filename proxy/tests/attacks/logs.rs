//! What a caller writes into logs and metrics stays a value there (attack 52), and nothing passes that could not be written down
//! (attack 47).

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::frames::{END_HEADERS, END_STREAM, HEADERS, block, frame};
use crate::house::upstream::answer;
use crate::house::{Ask, House, within};

/// Breaks out of a line, a terminal, a page, an object or a template.
const BREAKING: [&str; 8] = [
    "forged\r\n{\"forged\":true}",
    "forged\nforged=1",
    "\u{1b}[31mforged\u{1b}[0m\u{7}",
    "<script>forged</script>",
    "\"},{\"forged\":true,\"x\":\"",
    "${jndi:ldap://forged}{{forged}}%s%n",
    "forged\u{2028}\u{202e}\u{0}\u{85}",
    "\\u0022forged\\",
];

/// A directory in the way of the next checkpoint stands for a disk that takes nothing more.
#[tokio::test]
async fn attack_47_while_the_log_takes_nothing_nothing_passes_and_what_passed_is_in_it() {
    let house = House::start().await;
    let mia = &house.who.mia;
    let obstacle = house.proxy.audit_dir().join("checkpoint.tmp");
    let mut passed = 0;
    for (is_full, until) in [(true, 503), (false, 200)] {
        if is_full {
            std::fs::create_dir(&obstacle).unwrap();
        } else {
            std::fs::remove_dir(&obstacle).unwrap();
        }
        let reached = async {
            loop {
                let reply = house.call(mia, Ask::get("/orders")).await;
                passed += usize::from(reply.status == 200);
                assert!(matches!(reply.status, 200 | 503), "{}", reply.body);
                assert_eq!(house.plain.count(), passed, "what is refused has reached nobody");
                if reply.status == until {
                    return;
                }
            }
        };
        within("a log that is full, or no longer", reached).await;
    }
    let records = house.stop().await;
    assert_eq!(
        records.outcomes().iter().filter(|outcome| *outcome == "allow").count(),
        passed,
        "{:?}",
        records.outcomes()
    );
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn metrics(house: &House) -> String {
    let mut stream = TcpStream::connect(house.proxy.health().unwrap()).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut came = String::new();
    within("the metrics", stream.read_to_string(&mut came)).await.unwrap();
    came
}

/// Everything a caller, a token or an upstream can put somewhere, holds what breaks out of somewhere.
async fn write_everywhere(house: &House) {
    let mia = &house.who.mia;
    for breaking in BREAKING {
        let escaped: String = breaking.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let printable: String = breaking.chars().filter(|c| matches!(c, ' '..='~')).collect();
        for target in [
            format!("/orders/{escaped}"),
            format!("/orders/{printable}"),
            format!("/orders?{escaped}={printable}"),
            format!("/{printable}"),
        ] {
            let mut wire = house.wire(mia).await;
            wire.send(format!("GET {target} HTTP/1.1\r\n{}\r\n", house.lines(mia))).await;
            wire.answer().await;
        }
        for (name, value) in [
            ("host", breaking),
            ("user-agent", breaking),
            ("content-type", breaking),
            ("origin", breaking),
            ("upgrade", breaking),
            ("x-forwarded-for", breaking),
            ("expect", breaking),
            ("authorization", breaking),
            ("traceparent", breaking),
            ("x-request-id", breaking),
            (breaking, "x"),
        ] {
            let mut wire = house.wire(mia).await;
            wire.send(format!(
                "POST /orders HTTP/1.1\r\nHost: localhost\r\n{name}: {value}\r\nContent-Length: 2\r\n\r\n{{}}"
            ))
            .await;
            wire.answer().await;
            let mut fields = house.fields(mia, "GET", "/orders");
            fields.push((name.to_ascii_lowercase(), value.to_owned()));
            let mut frames = house.frames(mia).await;
            let _ = frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields))).await;
            frames.end_of(1).await;
        }
        let mut wire = house.wire(mia).await;
        wire.send(format!("{printable} {breaking} HTTP/1.1\r\n{}\r\n", house.lines(mia))).await;
        wire.answer().await;
        for claims in [
            json!({"sub": breaking}),
            json!({"tenant": breaking}),
            json!({"groups": [breaking]}),
            json!({"jti": breaking}),
            json!({"iss": breaking}),
            json!({breaking: breaking}),
        ] {
            let token = house.token_with(mia, mia, claims);
            house.send(Some(&mia.issued), Ask::get("/orders").bearer(&token)).await;
        }
        let mut header = house.issuer().header();
        header["kid"] = json!(breaking);
        header["alg"] = json!(breaking);
        let claims = crate::house::caller::claims(mia, mia, house.now, Value::Null);
        let token = house.issuer().sign(&header, &claims).unwrap_or_else(|_| "e30.e30.e30".to_owned());
        house.send(Some(&mia.issued), Ask::get("/orders").bearer(&token)).await;
        let model =
            json!({"model": breaking, "messages": [{"role": breaking, "content": breaking}], breaking: breaking});
        house.call(mia, Ask::json("/v1/chat/completions", &model)).await;
        house.model.says(answer(
            200,
            &[("content-type", "application/json")],
            json!({breaking: breaking}).to_string().as_bytes(),
        ));
        house.call(mia, Ask::chat("hi")).await;
        house.plain.says(format!("HTTP/1.1 200 {printable}\r\nX: {breaking}\r\nContent-Length: 0\r\n\r\n"));
        let _ = house.try_send(Some(&mia.issued), Ask::get("/orders").bearer(&house.token(mia))).await;
    }
}

#[tokio::test]
async fn attack_52_no_field_breaks_out_of_a_log() {
    let house = House::start().await;
    let (json, text) = (Lines::default(), Lines::default());
    let (as_json, as_text) = (json.clone(), text.clone());
    {
        use tracing_subscriber::fmt::Layer;
        use tracing_subscriber::layer::SubscriberExt as _;
        let layers = tracing_subscriber::registry()
            .with(Layer::default().json().flatten_event(true).with_writer(move || as_json.clone()))
            .with(Layer::default().with_ansi(false).with_writer(move || as_text.clone()));
        let _guard = tracing::subscriber::set_default(layers);
        write_everywhere(&house).await;
    }
    let page = metrics(&house).await;
    assert!(!page.contains("forged") && !page.contains("<script>"), "{page}");

    for line in String::from_utf8(json.0.lock().unwrap().clone()).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line.as_object().unwrap().get("forged").is_none(), "{line}");
    }
    let lines = String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
    for line in lines.lines() {
        assert!(!line.starts_with("forged") && !line.starts_with('{'), "a line of the caller's: {line}");
        assert!(!line.contains(['\u{1b}', '\u{7}', '\r', '\u{85}', '\u{2028}', '\u{202e}']), "{}", line.escape_debug());
    }

    let records = house.stop().await;
    assert!(records.requests().len() > 8 * 20);
    for line in records.text().lines() {
        assert!(line.bytes().all(|byte| matches!(byte, 0x20..=0x7e)), "{}", line.escape_debug());
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(no_forged_key(&line), "{line}");
    }
}

/// No name of a field is of the caller's making.
fn no_forged_key(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().all(|(name, value)| !name.contains("forged") && no_forged_key(value)),
        Value::Array(items) => items.iter().all(no_forged_key),
        _ => true,
    }
}
