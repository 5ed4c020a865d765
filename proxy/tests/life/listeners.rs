//! Listeners that come, go and move while the proxy runs.

use std::net::{SocketAddr, TcpListener as Blocker};
use std::sync::Arc;

use postern_proxy::reload::Reload;
use postern_proxy::server::Running;
use tokio::net::TcpStream;

use crate::client::rest;
use crate::load::Crowd;
use crate::site::{Site, health, records};
use crate::within;

const PUBLIC: &str = "  - {name: public, bind: \"127.0.0.1:0\", protocol: https}\n";

async fn taken(proxy: &Running) {
    assert_eq!(within("a reload", proxy.reload()).await, Reload::Taken);
}

/// The listeners `public` and these.
fn listeners(site: &Site, more: &[(&str, &str)]) {
    let text = site.read("postern.yaml");
    let kept = text.lines().filter(|line| !line.contains("bind: ")).map(|line| format!("{line}\n")).collect::<String>();
    let more = more.iter().map(|(name, bind)| format!("  - {{name: {name}, bind: \"{bind}\", protocol: https}}\n"));
    let all = format!("listeners:\n{PUBLIC}{}", more.collect::<String>());
    site.replace("postern.yaml", &kept.replace("listeners:\n", &all));
}

async fn answers(site: &Site, address: SocketAddr) -> u16 {
    let token = site.token(&site.who.mia, &site.who.mia);
    let mut line = site.line(address, &site.who.mia, false).await;
    line.get("/both/a", &token).await.unwrap().status
}

async fn is_closed(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_come_move_and_go_under_load_and_no_request_of_the_others_fails() {
    let site = Arc::new(Site::new().await);
    let proxy = site.start().await;
    let public = proxy.address("public").unwrap();
    let crowd = Crowd::gather(&site, public);
    for round in 0..5 {
        listeners(&site, &[("extra", "127.0.0.1:0")]);
        taken(&proxy).await;
        let first = proxy.address("extra").unwrap();
        assert_eq!(answers(&site, first).await, 200, "round {round}");
        let idle = site.line(first, &site.who.mia, round % 2 == 0).await;
        listeners(&site, &[("extra", "127.0.0.2:0")]);
        taken(&proxy).await;
        let second = proxy.address("extra").unwrap();
        assert_ne!(first, second);
        assert!(is_closed(first).await, "round {round}: where it was");
        assert_eq!(answers(&site, second).await, 200, "round {round}: where it is");
        idle.closed().await;
        // Another name for the same socket.
        listeners(&site, &[("other", &second.to_string())]);
        taken(&proxy).await;
        assert_eq!((proxy.address("extra"), proxy.address("other")), (None, Some(second)));
        assert_eq!(answers(&site, second).await, 200, "round {round}: by its new name");
        listeners(&site, &[]);
        taken(&proxy).await;
        assert!(is_closed(second).await, "round {round}: gone");
        assert_eq!(proxy.address("public"), Some(public), "untouched");
        crowd.another_round().await;
    }
    let (answers, refusals) = crowd.disperse().await;
    println!("{answers} requests permitted, {refusals} refused meanwhile");
    within("the shutdown", proxy.shutdown()).await;
}

#[tokio::test]
async fn an_address_that_cannot_be_had_leaves_everything_as_it_was() {
    let site = Site::new().await;
    let proxy = site.start().await;
    let public = proxy.address("public").unwrap();
    let blocker = Blocker::bind("127.0.0.1:0").unwrap();
    let taken_address = blocker.local_addr().unwrap();
    let good = site.read("postern.yaml");
    let health_before = proxy.health();

    listeners(&site, &[("fresh", "127.0.0.1:0"), ("taken", &taken_address.to_string())]);
    site.change("postern.yaml", "health: \"127.0.0.1:0\"", "health: \"127.0.0.2:0\"");
    match within("a reload", proxy.reload()).await {
        Reload::Refused(why) => assert!(why.contains(&format!("cannot listen on {taken_address}")), "{why}"),
        Reload::Taken => panic!("taken over"),
    }
    assert_eq!((proxy.address("fresh"), proxy.address("taken")), (None, None));
    assert_eq!((proxy.address("public"), proxy.health()), (Some(public), health_before));
    assert_eq!(answers(&site, public).await, 200);

    // A socket of ours with others' folder, and a good one before it.
    let all = |more: &str| good.replace(PUBLIC, &format!("{PUBLIC}{more}"));
    let socket = |path: &str| format!("  - {{name: socket, bind: \"unix:{path}\", protocol: http}}\n");
    let open = site.path("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    site.replace("postern.yaml", &all(&socket("open/a.sock")));
    match within("a reload", proxy.reload()).await {
        Reload::Refused(why) => assert!(why.contains("is open to others"), "{why}"),
        Reload::Taken => panic!("taken over"),
    }
    assert_eq!(std::fs::read_dir(&open).unwrap().count(), 0);
    site.replace("postern.yaml", &all(&socket("run/a.sock")));
    taken(&proxy).await;
    assert!(site.path("run/a.sock").exists());

    listeners(&site, &[("fresh", "127.0.0.1:0"), ("taken", &taken_address.to_string())]);
    drop(blocker);
    taken(&proxy).await;
    assert!(!site.path("run/a.sock").exists(), "gone with its listener");
    assert_eq!(answers(&site, taken_address).await, 200, "what is free by now is taken over");
    within("the shutdown", proxy.shutdown()).await;
}

#[tokio::test]
async fn the_health_address_moves_and_goes_too() {
    let site = Site::new().await;
    let proxy = site.start().await;
    let first = proxy.health().unwrap();
    site.change("postern.yaml", "health: \"127.0.0.1:0\"", "health: \"127.0.0.2:0\"");
    taken(&proxy).await;
    let second = proxy.health().unwrap();
    assert!(health(second, "/livez").await.starts_with("HTTP/1.1 200"));
    let gone = async {
        while !is_closed(first).await {
            tokio::task::yield_now().await;
        }
    };
    within("the end of the old one", gone).await;
    site.change("postern.yaml", "admin: {health: \"127.0.0.2:0\"}\n", "");
    taken(&proxy).await;
    assert_eq!(proxy.health(), None);
    within("the shutdown", proxy.shutdown()).await;
}

#[tokio::test]
async fn open_requests_of_a_listener_that_goes_may_end_until_the_deadline() {
    for h2 in [false, true] {
        let site = Site::new().await;
        site.change("postern.yaml", "{name: site}", "{name: site, drain: 500ms}");
        listeners(&site, &[("extra", "127.0.0.1:0")]);
        let proxy = site.start().await;
        let extra = proxy.address("extra").unwrap();
        let token = site.token(&site.who.mia, &site.who.mia);
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello".to_vec();
        let mut quick = site.line(extra, &site.who.mia, h2).await;
        let tell = site.app.steps();
        tell.send(head.clone()).await.unwrap();
        let ends = quick.begin("/both/quick", &token).await.unwrap();
        let mut slow = site.line(extra, &site.who.mia, h2).await;
        let stuck = site.app.steps();
        stuck.send(head).await.unwrap();
        let never = slow.begin("/both/slow", &token).await.unwrap();
        listeners(&site, &[]);
        taken(&proxy).await;
        assert!(is_closed(extra).await, "nothing new comes in");
        tell.send(b"world".to_vec()).await.unwrap();
        assert_eq!(rest(ends).await.unwrap(), "helloworld", "h2 {h2}");
        quick.closed().await;
        assert!(rest(never).await.unwrap_err().contains("broke off"), "h2 {h2}: cut at the deadline");
        let log = proxy.audit_dir();
        within("the shutdown", proxy.shutdown()).await;
        let all = records(&log);
        let detail = |path: &str| {
            let of = all.iter().find(|line| line["record"]["http_request"]["url"]["path"] == path).unwrap();
            of["record"]["unmapped"]["postern"]["detail"].as_str().map(str::to_owned)
        };
        assert_eq!(detail("/both/quick"), None, "h2 {h2}");
        assert!(detail("/both/slow").unwrap().contains("cut at the deadline"), "h2 {h2}");
    }
}
