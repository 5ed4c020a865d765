//! What a reload must not do, and what it must.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use postern_proxy::reload::Reload;
use postern_proxy::server::Running;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{self, Line, rest};
use crate::site::{Policy, Site, UPSTREAM_KEY, metric};
use crate::upstream::{Act, answer};
use crate::within;

async fn mia(site: &Site, proxy: &Running, h2: bool) -> (Line, String) {
    let line = site.line(proxy.address("public").unwrap(), &site.who.mia, h2).await;
    (line, site.token(&site.who.mia, &site.who.mia))
}

async fn taken(proxy: &Running) {
    assert_eq!(proxy.reload().await, Reload::Taken);
}

async fn refused(proxy: &Running, with: &str) {
    match proxy.reload().await {
        Reload::Refused(why) => assert!(why.contains(with), "no `{with}` in: {why}"),
        Reload::Taken => panic!("taken over, though: {with}"),
    }
}

async fn status(line: &mut Line, path: &str, token: &str) -> u16 {
    line.get(path, token).await.unwrap().status
}

fn b(site: &Site) {
    site.replace("manifests/access.yaml", &Policy::B.access());
    site.replace("manifests/roles.yaml", &Policy::B.roles());
}

#[tokio::test]
async fn a_limit_that_a_reload_leaves_alone_is_not_refilled() {
    let site = Site::new().await;
    let limit = "maxBodySize: 16Ki\n  rateLimits:\n    - {name: few, key: [Principal], unit: Requests, limit: 3, window: 1h, burst: 3}";
    site.change("manifests/access.yaml", "maxBodySize: 16Ki", limit);
    let proxy = site.start().await;
    let (mut line, token) = mia(&site, &proxy, false).await;
    for _ in 0..3 {
        assert_eq!(status(&mut line, "/both/a", &token).await, 200);
    }
    assert_eq!(status(&mut line, "/both/a", &token).await, 429);
    site.replace("manifests/roles.yaml", &Policy::B.roles());
    taken(&proxy).await;
    assert_eq!(status(&mut line, "/both/a", &token).await, 429, "after a reload that took over");
    site.write("manifests/roles.yaml", "half");
    refused(&proxy, "error").await;
    assert_eq!(status(&mut line, "/both/a", &token).await, 429, "after one that did not");
}

#[tokio::test]
async fn a_permit_that_was_taken_away_is_gone_on_connections_that_are_open() {
    for h2 in [false, true] {
        let site = Site::new().await;
        let proxy = site.start().await;
        let (mut line, token) = mia(&site, &proxy, h2).await;
        let stolen = site.token(&site.who.mia, &site.who.noah);
        assert_eq!(status(&mut line, "/only-a", &token).await, 200);
        assert_eq!(status(&mut line, "/both/a", &stolen).await, 401, "a token of another connection");
        b(&site);
        taken(&proxy).await;
        assert_eq!(status(&mut line, "/only-a", &token).await, 403);
        assert_eq!(status(&mut line, "/only-b", &token).await, 200);
        assert_eq!(status(&mut line, "/both/a", &stolen).await, 401, "the binding outlives a reload");
    }
}

#[tokio::test]
async fn a_request_ends_under_the_set_it_began_with() {
    let site = Site::new().await;
    let proxy = site.start().await;
    let token = site.token(&site.who.mia, &site.who.mia);
    let address = proxy.address("public").unwrap();
    let mut stream = client::tls(address, &site.ca.ca_pem(), &site.who.mia.issued, b"http/1.1").await.unwrap();
    let head = format!(
        "POST /both/form HTTP/1.1\r\nhost: localhost:{}\r\nauthorization: Bearer {token}\r\ncontent-type: text/plain\r\n\
         content-length: 10\r\nexpect: 100-continue\r\n\r\n",
        address.port()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut came = vec![0; 1024];
    let read = within("the leave to send", stream.read(&mut came)).await.unwrap();
    assert!(came[..read].starts_with(b"HTTP/1.1 100"), "its head was judged by the first set");
    let none = Policy::A
        .roles()
        .replace("name: staff, role", "name: nobody, role")
        .replace("name: staff, issuer", "name: none, issuer");
    site.replace("manifests/roles.yaml", &none);
    taken(&proxy).await;
    stream.write_all(b"0123456789").await.unwrap();
    let read = within("the answer", stream.read(&mut came)).await.unwrap();
    let text = String::from_utf8_lossy(&came[..read]);
    assert!(text.starts_with("HTTP/1.1 200"), "its body by the same: {text}");
    let (mut line, token) = mia(&site, &proxy, false).await;
    assert_eq!(status(&mut line, "/both/a", &token).await, 403, "the next request by the new one");
}

#[tokio::test]
async fn an_old_set_is_kept_for_the_answer_that_needs_it_and_no_longer() {
    let site = Site::new().await;
    let proxy = site.start().await;
    let health = proxy.health().unwrap();
    let (mut line, token) = mia(&site, &proxy, false).await;
    let tell = site.app.steps();
    tell.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello".to_vec()).await.unwrap();
    let open = line.begin("/only-a", &token).await.unwrap();
    b(&site);
    taken(&proxy).await;
    taken(&proxy).await;
    assert_eq!(metric(health, "postern_policy_sets").await, 2, "the one in use, and the running one");
    tell.send(b"world".to_vec()).await.unwrap();
    assert_eq!(rest(open).await.unwrap(), "helloworld");
    site.app.says(answer(200, &[], b"ok"));
    // The same connection: its answer comes after the last request's end.
    assert_eq!(status(&mut line, "/only-b", &token).await, 200);
    assert_eq!(metric(health, "postern_policy_sets").await, 1);
}

#[tokio::test]
async fn a_rotated_certificate_key_set_or_secret_is_taken_over_without_a_changed_manifest() {
    let site = Site::new().await;
    let proxy = site.start().await;
    let address = proxy.address("public").unwrap();
    let presented = async || {
        let stream = client::tls(address, &site.ca.ca_pem(), &site.who.mia.issued, b"http/1.1").await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let first = presented().await;
    site.write("tls/server.key", "-----BEGIN PRIVATE KEY-----\nbroken\n-----END PRIVATE KEY-----\n");
    refused(&proxy, "tls/server.key").await;
    assert_eq!(presented().await, first, "a broken key leaves the old certificate");
    site.new_server_certificate();
    taken(&proxy).await;
    let second = presented().await;
    assert_ne!(second, first);

    let (mut line, token) = mia(&site, &proxy, false).await;
    assert_eq!(status(&mut line, "/both/a", &token).await, 200);
    let next = postern_filters::token::mint::SigningKey::generate_es256("site-2").unwrap();
    site.write("keys/jwks.json", "{\"keys\": [");
    refused(&proxy, "jwks").await;
    assert_eq!(status(&mut line, "/both/a", &token).await, 200, "a broken key set leaves the old one");
    site.replace("keys/jwks.json", &next.jwks());
    taken(&proxy).await;
    assert_eq!(status(&mut line, "/both/a", &token).await, 401, "a key that is gone vouches for nobody");
    site.replace("keys/jwks.json", &site.issuer.jwks());
    taken(&proxy).await;

    site.replace("keys/upstream", "another-key");
    taken(&proxy).await;
    assert_eq!(status(&mut line, "/both/a", &token).await, 200);
    let seen = site.app.seen();
    assert_eq!(seen.first().unwrap().header("x-api-key"), [UPSTREAM_KEY]);
    assert_eq!(seen.last().unwrap().header("x-api-key"), ["another-key"]);
}

#[tokio::test]
async fn files_are_watched_where_they_are_and_a_refused_set_is_no_end_of_it() {
    let site = Site::new().await;
    let proxy = site.start().await;
    let health = proxy.health().unwrap();
    let reloads = async |outcome: &str, count: u64| {
        let name = format!("postern_reloads_total{{outcome=\"{outcome}\"}}");
        let reached = async { while metric(health, &name).await < count {} };
        within(&format!("reload {count} that is {outcome}"), reached).await;
    };
    site.replace("keys/upstream", "another-key");
    reloads("taken", 1).await;
    site.write("manifests/new.yaml", "not a manifest");
    reloads("refused", 1).await;
    std::fs::remove_file(site.path("manifests/new.yaml")).unwrap();
    reloads("taken", 2).await;
    // A folder that is replaced as a whole, as a deployment might: what is watched is the name, not the old folder.
    let copy = site.path("next");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(site.path("manifests")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    std::fs::rename(site.path("manifests"), site.path("former")).unwrap();
    std::fs::rename(&copy, site.path("manifests")).unwrap();
    reloads("taken", 3).await;
    site.replace("manifests/roles.yaml", &Policy::B.roles());
    reloads("taken", 4).await;
}

#[tokio::test]
async fn trust_that_was_taken_away_ends_open_connections_too() {
    for h2 in [false, true] {
        let site = Site::new().await;
        let proxy = site.start().await;
        let (mut line, token) = mia(&site, &proxy, h2).await;
        assert_eq!(status(&mut line, "/both/a", &token).await, 200);
        site.change("manifests/identity.yaml", "*.clients.house.test", "noah.clients.house.test");
        taken(&proxy).await;
        line.closed().await; // the name
        let noah = site.line(proxy.address("public").unwrap(), &site.who.noah, h2).await;
        let mut noah = noah;
        let token = site.token(&site.who.noah, &site.who.noah);
        assert_eq!(status(&mut noah, "/both/a", &token).await, 403, "h2 {h2}: trusted, and without a role");
        let other = postern_certs::Authority::new("Next CA", rustls_pki_types::UnixTime::now()).unwrap();
        site.replace("tls/ca.pem", &other.ca_pem());
        taken(&proxy).await;
        noah.closed().await; // the authority
    }
}

#[tokio::test]
async fn what_cannot_be_taken_over_while_running_is_refused_and_says_so() {
    let site = Site::new().await;
    let proxy = site.start().await;
    for (name, from, to) in [
        ("postern.yaml", "dir: state", "dir: elsewhere"),
        ("manifests/evidence.yaml", "/site", "/moved"),
        ("manifests/evidence.yaml", "source: {type: Generate}", "source: {type: Material, from: \"file:keys/seed\"}"),
        ("manifests/evidence.yaml", "checkpointInterval: 1s", "checkpointInterval: 2s"),
    ] {
        let good = site.read(name);
        site.change(name, from, to);
        refused(&proxy, "restart").await;
        site.replace(name, &good);
    }
    let good = site.read("manifests/evidence.yaml");
    let changed = site.read("postern.yaml").replace("dir: state", "dir: elsewhere");
    site.replace("postern.yaml", &changed);
    refused(&proxy, "restart").await;
    site.replace("postern.yaml", &changed.replace("dir: elsewhere", "dir: state"));
    site.replace("manifests/evidence.yaml", &good);
    taken(&proxy).await;
}

#[tokio::test]
async fn reloads_that_are_asked_for_at_once_come_one_after_the_other() {
    let site = Site::new().await;
    let proxy = site.start().await;
    let asked = (0..8).map(|_| proxy.reload());
    let outcomes = within("eight reloads", futures::future::join_all(asked)).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Reload::Taken), "{outcomes:?}");
    let (mut line, token) = mia(&site, &proxy, false).await;
    site.app.does(|_| Act::Answer(answer(200, &[], b"ok")));
    assert_eq!(status(&mut line, "/both/a", &token).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_do_not_stand_still_are_not_taken_over_and_then_are() {
    let site = Arc::new(Site::new().await);
    let proxy = site.start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let restless = std::thread::spawn({
        let (site, stop) = (site.clone(), stop.clone());
        move || {
            let mut policy = Policy::B;
            while !stop.load(Ordering::Relaxed) {
                site.replace("manifests/access.yaml", &policy.access());
                site.replace("manifests/roles.yaml", &policy.roles());
                policy = policy.other();
            }
        }
    });
    refused(&proxy, "kept changing").await;
    let (mut line, token) = mia(&site, &proxy, false).await;
    assert_eq!(status(&mut line, "/mixed", &token).await, 403, "half of one policy and half of the other");
    stop.store(true, Ordering::Relaxed);
    restless.join().unwrap();
    taken(&proxy).await;
    assert_eq!(status(&mut line, "/both/a", &token).await, 200);
}
