//! What we present and what we tell of those who present something to us.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_proxy::reload::Reload;

use crate::house::{Ask, House, Plan};

fn forwarding(header: &str) -> Plan {
    House::plan().with(
        "manifests/tls.yaml",
        "clientAuth: Required\n  rotation: {warnBefore: 1h}",
        &format!("clientAuth: Required\n  forward: {{header: {header}}}\n  rotation: {{warnBefore: 1h}}"),
    )
}

#[tokio::test]
async fn attack_7_the_client_certificate_is_told_as_rfc_9440_says_and_never_believed() {
    let house = forwarding("ClientCert").start().await;
    for h2 in [false, true] {
        let ask = Ask::get("/orders")
            .over(h2)
            .header("client-cert", ":AAAA:")
            .header("client-cert-chain", ":BBBB:")
            .header("x-forwarded-client-cert", "Hash=00");
        assert_eq!(house.call(&house.who.mia, ask).await.status, 200);
    }
    let nominating = Ask::get("/orders").header("connection", "close, client-cert");
    assert_eq!(house.call(&house.who.mia, nominating).await.status, 200);
    for seen in house.plain.seen() {
        assert_eq!(seen.header("client-cert"), [format!(":{}:", STANDARD.encode(&house.who.mia.issued.der))]);
        assert!(seen.header("client-cert-chain").is_empty(), "nothing came behind the leaf");
        assert!(seen.header("x-forwarded-client-cert").is_empty());
    }
    // `open` is another listener, whose manifest tells nothing.
    assert_eq!(
        house.call(&house.who.mia, Ask::get("/orders").open().header("client-cert", ":AAAA:")).await.status,
        200
    );
    assert!(house.plain.seen().last().unwrap().header("client-cert").is_empty());
    house.stop().await;
}

#[tokio::test]
async fn the_client_certificate_is_told_as_envoy_does() {
    let house = forwarding("Xfcc").start().await;
    assert_eq!(
        house.call(&house.who.mia, Ask::get("/orders").header("X-Forwarded-Client-Cert", "Hash=00")).await.status,
        200
    );
    let seen = house.plain.sole();
    let [value] = seen.header("x-forwarded-client-cert")[..] else { panic!("{:?}", seen.names()) };
    let hash: String = crate::house::caller::digest(&house.who.mia.issued).iter().map(|b| format!("{b:02x}")).collect();
    assert!(value.starts_with(&format!("Hash={hash};Cert=\"-----BEGIN%20CERTIFICATE-----%0A")), "{value}");
    assert!(value.ends_with(";DNS=mia.clients.house.test"), "{value}");
    house.stop().await;
}

/// Clients connect and ask without a pause while our certificate is replaced; none of them fails.
#[tokio::test]
async fn a_rotation_under_load_drops_no_request() {
    let house = House::start().await;
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = async |h2: bool| {
        while !done.load(Ordering::Relaxed) {
            let reply = house.call(&house.who.mia, Ask::get("/orders").over(h2)).await;
            assert_eq!(reply.status, 200);
            asked.fetch_add(1, Ordering::Relaxed);
        }
    };
    let rotate = async {
        for round in 0..4 {
            let next = house.issue(&postern_certs::Template::server(&["localhost", "127.0.0.1", "ai.house.test"]));
            house.write("tls/server.pem", &next.cert_pem);
            house.write("tls/server.key", next.key_pem.expose());
            assert_eq!(house.proxy.reload().await, Reload::Taken, "round {round}");
            let stream = house.connect(Some(&house.who.mia.issued), "public", b"h2").await.unwrap();
            assert_eq!(stream.get_ref().1.peer_certificates().unwrap()[0], next.der, "round {round}");
            let before = asked.load(Ordering::Relaxed);
            while asked.load(Ordering::Relaxed) < before + 4 {
                tokio::task::yield_now().await;
            }
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(load(false), load(true), rotate);
    house.stop().await;
}

#[tokio::test]
async fn a_failed_renewal_keeps_the_valid_old_certificate_and_says_why() {
    let house = House::start().await;
    let next = house.issue(&postern_certs::Template::server(&["localhost"]));
    let expired =
        house.issue(&postern_certs::Template { ends: -60, ..postern_certs::Template::server(&["localhost"]) });
    let key = next.key_pem.expose().clone();
    for (case, cert, key, want) in [
        ("no PEM", "hello", key.as_str(), "holds no certificate"),
        (
            "the key of another",
            next.cert_pem.as_str(),
            expired.key_pem.expose().as_str(),
            "is not the one of the certificate",
        ),
        ("expired", expired.cert_pem.as_str(), expired.key_pem.expose().as_str(), "ended at"),
    ] {
        house.write("tls/server.pem", cert);
        house.write("tls/server.key", key);
        let Reload::Refused(why) = house.proxy.reload().await else { panic!("{case} was taken") };
        assert!(why.contains(want), "{case}: {why}");
        assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200, "{case}");
    }
    house.stop().await;
}
