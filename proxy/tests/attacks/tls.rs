//! Below HTTP: names that are no text, addresses that are claimed, certificates of too many, tickets of others (attacks
//! 28, 30, 40 and 54).

use std::sync::Arc;

use postern_certs::{Issued, Template, client_config};
use rustls::{ClientConnection, HandshakeKind};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::house::{Ask, House, within};
use crate::one::{honest, one};

/// Sends `bytes` on a bare connection and returns all that comes back.
async fn bare(house: &House, listener: &str, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(house.address(listener)).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    let mut came = Vec::new();
    let _ = within("the end of a connection", socket.read_to_end(&mut came)).await;
    came
}

/// A good first flight for `name`.
fn hello(house: &House, name: &str) -> Vec<u8> {
    let config = client_config(house.ca_pem().as_bytes(), None, &[b"http/1.1"]).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned()).unwrap()).unwrap();
    let mut out = Vec::new();
    client.write_tls(&mut out).unwrap();
    out
}

fn is_alert(came: &[u8]) -> bool {
    came.is_empty() || came[0] == 21
}

#[tokio::test]
async fn attack_28_a_server_name_that_is_no_text_ends_the_handshake() {
    let house = House::start().await;
    let good = hello(&house, "localhost");
    let at = good.windows(9).position(|window| window == b"localhost").unwrap();
    for name in [&b"local\xffost"[..], b"\xc3\x28calhost", b"local\0ost", b"loca host", b"../../etc", b"local\r\nst"] {
        let mut bytes = good.clone();
        bytes[at..at + 9].copy_from_slice(name);
        assert!(is_alert(&bare(&house, "public", &bytes).await), "{}", name.escape_ascii());
    }
    honest(&house).await;
    let records = house.stop().await;
    assert!(records.connections().len() >= 6, "{records:#?}");
}

/// Nobody was told to believe it: it is no TLS, and inside of TLS it is no HTTP.
#[tokio::test]
async fn attack_40_a_proxy_header_is_believed_from_nobody() {
    let house = House::start().await;
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    let address = [203, 0, 113, 77, 127, 0, 0, 1, 0x30, 0x39, 1, 0xbb];
    let mut headers: Vec<Vec<u8>> = vec![
        b"PROXY TCP4 203.0.113.77 127.0.0.1 12345 443\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        [&signature[..], &[0x21, 0x11, 0, 12], &address].concat(),
        // LOCAL, TLVs of 64 KiB, a length that promises more, an unknown version, an unknown family.
        [&signature[..], &[0x20, 0x00, 0, 0]].concat(),
        [&signature[..], &[0x21, 0x11, 0xff, 0xff], &address, &vec![0xe0; 0xffff - 12]].concat(),
        [&signature[..], &[0x21, 0x11, 0xff, 0xff], &address].concat(),
        [&signature[..], &[0x31, 0x11, 0, 12], &address].concat(),
        [&signature[..], &[0x21, 0xff, 0, 12], &address].concat(),
        // The TLV of an SSL peer that was verified, with a name that is no text.
        [&signature[..], &[0x21, 0x11, 0, 24], &address, &[0x20, 0, 9, 7, 0, 0, 0, 0, 0x22, 0, 1, 0xff]].concat(),
    ];
    let hello = hello(&house, "localhost");
    for header in &mut headers {
        for listener in ["public", "open"] {
            let came = bare(&house, listener, &[&header[..], &hello].concat()).await;
            assert!(is_alert(&came), "{}", came.escape_ascii());
        }
        let (status, closed) = one(&house, [&header[..], b"GET /orders HTTP/1.1\r\n{lines}\r\n"].concat()).await;
        assert!(matches!(status, 400 | 431) && closed, "{status} {}", header[..header.len().min(40)].escape_ascii());
    }
    assert_eq!(house.plain.count(), 0);
    let records = house.stop().await;
    assert!(!format!("{records:?}").contains("203.0.113"), "the address is believed in the log");
}

/// Who holds a certificate of our authority is still not everybody.
#[tokio::test]
async fn attack_30_a_certificate_that_names_a_set_or_two_names_nobody() {
    let house = House::start().await;
    let client = |hosts: &[&str]| Template { for_clients: true, for_servers: false, ..Template::server(hosts) };
    let workload =
        |uris: &[&str]| Template { uris: uris.iter().map(|uri| (*uri).to_owned()).collect(), ..Template::svid("") };
    let token = house.token(&house.who.mia);
    for (case, template) in [
        ("a wildcard", client(&["*.clients.house.test"])),
        ("a name behind NUL", client(&["mia.clients.house.test\0.evil.test"])),
        ("NUL at the end", client(&["mia.clients.house.test\0"])),
        ("a name within a name", client(&["mia.clients.house.test.evil.test"])),
        ("too many labels", client(&["a.mia.clients.house.test"])),
        ("a workload that is a set", workload(&["spiffe://house.test/ns/*/sa/assistant"])),
        ("any workload", workload(&["spiffe://house.test/ns/**"])),
        ("another trust domain", workload(&["spiffe://house.test.evil.test/ns/acme/sa/assistant"])),
        ("two workloads", workload(&["spiffe://house.test/ns/acme/sa/assistant", "spiffe://house.test/ns/acme/sa/b"])),
        ("a dot segment", workload(&["spiffe://house.test/ns/acme/../sa/assistant"])),
        ("an escape", workload(&["spiffe://house.test/ns/acme%2fsa/assistant"])),
        ("a query", workload(&["spiffe://house.test/ns/acme/sa/assistant?x"])),
        ("a user", workload(&["spiffe://a@house.test/ns/acme/sa/assistant"])),
        ("a port", workload(&["spiffe://house.test:1/ns/acme/sa/assistant"])),
        ("capitals", workload(&["spiffe://HOUSE.test/ns/acme/sa/assistant"])),
        ("NUL", workload(&["spiffe://house.test/ns/acme/sa/assistant\0"])),
        ("for servers only", Template { for_clients: false, ..Template::server(&["mia.clients.house.test"]) }),
    ] {
        let issued: Issued = house.issue(&template);
        let error = house.try_send(Some(&issued), Ask::get("/orders").bearer(&token)).await.map(|reply| reply.status);
        assert!(error.is_err(), "{case}: {error:?}");
    }
    assert_eq!(house.plain.count(), 0);
    assert_eq!(house.stop().await.connections().len(), 17);
}

/// A ticket opens no session at another listener, where other certificates are demanded, and carries no early data.
#[tokio::test]
async fn attack_54_a_ticket_is_good_where_it_was_given() {
    let house = House::start().await;
    let mia = &house.who.mia.issued;
    let identity = (mia.cert_pem.as_bytes(), mia.key_pem.expose().as_bytes());
    for (case, identity) in [("without a certificate", None), ("with one", Some(identity))] {
        let mut config = client_config(house.ca_pem().as_bytes(), identity, &[b"http/1.1"]).unwrap();
        config.enable_early_data = true;
        // Tickets of this store are offered to whoever has the name, whatever the port.
        let connector = TlsConnector::from(Arc::new(config));
        let mut kinds = Vec::new();
        for (listener, name) in
            [("open", "localhost"), ("open", "localhost"), ("public", "localhost"), ("open", "ai.house.test")]
        {
            let tcp = TcpStream::connect(house.address(listener)).await.unwrap();
            let name = ServerName::try_from(name).unwrap();
            let kind = async {
                let mut stream = connector.connect(name, tcp).await?;
                stream.write_all(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
                let mut came = Vec::new();
                stream.read_to_end(&mut came).await?;
                assert!(!stream.get_ref().1.is_early_data_accepted(), "early data");
                Ok::<_, std::io::Error>(stream.get_ref().1.handshake_kind())
            };
            kinds.push(within("a handshake", kind).await.ok().flatten());
        }
        println!("{case}: {kinds:?}");
        assert_eq!(kinds[0], Some(HandshakeKind::Full), "{case}");
        assert!(kinds[1].is_some(), "{case}");
        let elsewhere = if identity.is_some() { Some(HandshakeKind::Full) } else { None };
        assert_eq!(kinds[2], elsewhere, "{case}: a ticket of `open` at `public`");
        assert_eq!(kinds[3], Some(HandshakeKind::Full), "{case}: a ticket of one name at another");
    }
    assert_eq!(house.plain.count(), 0);
    house.stop().await;
}
