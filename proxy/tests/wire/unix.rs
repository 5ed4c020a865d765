//! Listeners on Unix sockets: with TLS and without, who may connect, and what is known of who did.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use postern_certs::client_config;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;

use crate::house::{Ask, House, Plan, within};

const OPEN: &str = "  - {name: open, bind: \"127.0.0.1:0\", protocol: https}\n";
const SOCKETS: &str = r#"  - {name: open, bind: "127.0.0.1:0", protocol: https}
  - {name: plain, bind: "unix:run/plain.sock", protocol: http}
  - {name: sealed, bind: "unix:run/sealed.sock", protocol: https, mode: "0660"}
"#;

fn plan() -> Plan {
    let both = "sectionName: open}, {kind: Gateway, name: house, sectionName: sealed}]";
    House::plan().with("postern.yaml", OPEN, SOCKETS).with("manifests/tls.yaml", "sectionName: open}]", both)
}

fn socket(house: &House, name: &str) -> PathBuf {
    house.proxy.state_dir().parent().unwrap().join("run").join(name)
}

/// The whole answer to a GET of `path`.
async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin, house: &House, path: &str) -> String {
    let lines = house.lines(&house.who.mia);
    stream.write_all(format!("GET {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    within("an answer", stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn a_unix_socket_serves_as_an_address_does_and_tells_who_connected() {
    let house = plan().start().await;
    for (name, mode) in [("plain.sock", 0o600), ("sealed.sock", 0o660)] {
        let found = socket(&house, name).symlink_metadata().unwrap();
        assert!(found.file_type().is_socket());
        assert_eq!(found.mode() & 0o777, mode, "{name}");
    }

    let plain = UnixStream::connect(socket(&house, "plain.sock")).await.unwrap();
    let answer = get(plain, &house, "/orders").await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "a token that is bound to a certificate, without one: {answer}");

    let who = &house.who.mia.issued;
    let identity = (who.cert_pem.as_bytes(), who.key_pem.expose().as_bytes());
    let config = client_config(house.ca_pem().as_bytes(), Some(identity), &[b"http/1.1"]).unwrap();
    let stream = UnixStream::connect(socket(&house, "sealed.sock")).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let sealed = within("a handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap();
    let answer = get(sealed, &house, "/orders").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let paths = [socket(&house, "plain.sock"), socket(&house, "sealed.sock")];
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["deny: credential_invalid", "allow"]);
    let me = std::fs::metadata("/proc/self").unwrap();
    for record in records.requests() {
        let process = record.process();
        assert_eq!((process["uid"].as_u64(), process["gid"].as_u64()), (Some(me.uid().into()), Some(me.gid().into())));
        assert_eq!(process["pid"].as_u64(), Some(std::process::id().into()));
        assert_eq!(record.source()["name"], "unix");
    }
    for path in paths {
        assert!(!path.exists(), "a socket goes with its listener");
    }
}

#[tokio::test]
async fn processes_of_one_user_are_one_source_of_requests() {
    let limit = "maxBodySize: 16Ki\n  rateLimits:\n    - {name: per-source, key: [SourceIp], unit: Requests, limit: 2, window: 1d, burst: 2}";
    let house = plan().with("manifests/plain.yaml", "maxBodySize: 16Ki", limit).start().await;
    for status in ["401", "401", "429"] {
        let stream = UnixStream::connect(socket(&house, "plain.sock")).await.unwrap();
        let answer = get(stream, &house, "/orders").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200, "another source");
    house.stop().await;
}

#[tokio::test]
async fn attack_25_a_rule_over_addresses_refuses_who_has_none() {
    let rule = "name: staff, effect: Permit, principals: [User, Agent], actions: [read, create, delete], when: 'principal.groups";
    let local = rule.replace("when: '", "when: 'context.net.sourceIp.isLoopback() && ");
    let house = plan().with("manifests/plain.yaml", rule, &local).start().await;
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200, "over loopback");
    let who = &house.who.mia.issued;
    let identity = (who.cert_pem.as_bytes(), who.key_pem.expose().as_bytes());
    let config = client_config(house.ca_pem().as_bytes(), Some(identity), &[b"http/1.1"]).unwrap();
    let stream = UnixStream::connect(socket(&house, "sealed.sock")).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let sealed = within("a handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap();
    let answer = get(sealed, &house, "/orders").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") || answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!(house.plain.seen().len(), 1);
    house.stop().await;
}
