//! How a process starts, drains, and is killed.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::block_in_place;

use crate::client::{Line, rest};
use crate::process::{Process, told};
use crate::site::{Site, health, records};
use crate::upstream::Act;
use crate::within;

fn lifecycle(records: &[serde_json::Value]) -> Vec<&str> {
    records.iter().filter_map(|line| line["record"]["unmapped"]["postern"]["lifecycle"].as_str()).collect()
}

fn verified(site: &Site, vkey: &str) -> String {
    let dir = site.path("state/audit");
    let (code, out, err) = told(&["audit", "verify", dir.to_str().unwrap(), "--key", vkey]);
    assert_eq!(code, 0, "{out}{err}");
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_an_open_answer_end_and_takes_nothing_new() {
    for h2 in [false, true] {
        let site = Site::new().await;
        let mut process = Process::serve(&site.config(), &[]);
        let address = process.address();
        let token = site.token(&site.who.mia, &site.who.mia);
        let mut idle = site.line(address, &site.who.mia, h2).await;
        assert_eq!(idle.get("/both/a", &token).await.unwrap().status, 200);
        let mut busy = site.line(address, &site.who.mia, h2).await;
        let tell = site.app.steps();
        tell.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello".to_vec()).await.unwrap();
        let open = busy.begin("/both/slow", &token).await.unwrap();

        process.signal("TERM");
        block_in_place(|| process.until("draining"));
        idle.closed().await;
        let refused = async {
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        within("the listener's end", refused).await;
        assert!(health(process.health(), "/readyz").await.contains("503"), "h2 {h2}: told to go elsewhere");
        assert!(health(process.health(), "/livez").await.contains("200"), "h2 {h2}: and not to be restarted");

        tell.send(b"world".to_vec()).await.unwrap();
        drop(tell);
        assert_eq!(rest(open).await.unwrap(), "helloworld", "h2 {h2}");
        busy.closed().await;
        assert_eq!(block_in_place(|| process.ended()).code(), Some(0));
        let all = records(&site.path("state/audit"));
        assert_eq!(lifecycle(&all).last(), Some(&"stopped"));
        let out = verified(&site, &process.vkey);
        assert!(!out.contains("not yet under a checkpoint"), "the last checkpoint covers everything: {out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_is_cut_at_the_deadline_and_leaves_its_record() {
    for h2 in [false, true] {
        let site = Site::new().await;
        let proxy = site.start().await;
        let address = proxy.address("public").unwrap();
        let token = site.token(&site.who.mia, &site.who.mia);
        site.app.does(|_| Act::Hang);
        let mut line = site.line(address, &site.who.mia, h2).await;
        let asked = tokio::spawn(async move { line.get("/both/hang", &token).await.map(|reply| reply.status) });
        site.app.arrived(1).await;
        let silent = TcpStream::connect(address).await.unwrap();
        let log = proxy.audit_dir();
        let began = Instant::now();
        let cut = within("the shutdown", proxy.shutdown_within(Duration::from_millis(200))).await;
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert!((1..=2).contains(&cut), "h2 {h2}: {cut}");
        assert!(asked.await.unwrap().is_err(), "h2 {h2}: nobody takes it for an answer");
        drop(silent);
        let all = records(&log);
        let detail = |line: &&serde_json::Value| {
            let text = line["record"]["unmapped"]["postern"]["detail"].as_str().unwrap_or_default();
            line["record"]["class_uid"] == 6003 && text.contains("cut at the deadline")
        };
        assert_eq!(all.iter().filter(detail).count(), 1, "h2 {h2}: {all:#?}");
        assert_eq!(lifecycle(&all).last(), Some(&"stopped"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_during_a_drain_tell_http1_clients_to_come_back_elsewhere() {
    let site = Site::new().await;
    let proxy = site.start().await;
    let token = site.token(&site.who.mia, &site.who.mia);
    let mut line = site.line(proxy.address("public").unwrap(), &site.who.mia, false).await;
    let tell = site.app.steps();
    let asked = tokio::spawn(async move {
        let response = line.begin("/both/slow", &token).await.unwrap();
        response.headers().get("connection").map(|value| value.to_str().unwrap().to_owned())
    });
    site.app.arrived(1).await;
    let health = proxy.health().unwrap();
    let stopped = tokio::spawn(proxy.shutdown_within(Duration::from_secs(20)));
    let draining = async { while !crate::site::health(health, "/readyz").await.contains("draining") {} };
    within("the drain", draining).await;
    tell.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec()).await.unwrap();
    assert_eq!(asked.await.unwrap().as_deref(), Some("close"));
    assert_eq!(within("the shutdown", stopped).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_loads_the_files_again_changed_or_not() {
    let site = Site::new().await;
    let mut process = Process::serve(&site.config(), &[]);
    process.signal("HUP");
    block_in_place(|| process.until("policy set taken over"));
    site.write("manifests/roles.yaml", "half");
    process.signal("HUP");
    block_in_place(|| process.until("the new policy set does not load"));
    process.signal("INT");
    assert!(block_in_place(|| process.ended()).success(), "SIGINT drains as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_be_says_why_and_how_by_its_exit_code() {
    let site = Site::new().await;
    let config = site.config();
    let good = (site.read("manifests/access.yaml"), site.read("manifests/roles.yaml"));
    site.change("manifests/access.yaml", "maxBodySize: 16Ki", "maxBodySize: plenty\n  nonsense: 1");
    site.change("manifests/roles.yaml", "role: reader,", "role: nobody,");
    let mut process = Process::spawn(&config, &[]);
    assert_eq!(block_in_place(|| process.ended()).code(), Some(2));
    for problem in ["manifests/access.yaml:10:", "manifests/access.yaml:11:", "manifests/roles.yaml:", "PV-"] {
        assert!(process.all().contains(problem), "no `{problem}`:\n{}", process.all());
    }
    site.write("manifests/access.yaml", &good.0);
    site.write("manifests/roles.yaml", &good.1);

    std::fs::remove_file(site.path("keys/upstream")).unwrap();
    site.write("tls/server.key", "no key");
    let mut process = Process::spawn(&config, &[]);
    assert_eq!(block_in_place(|| process.ended()).code(), Some(2));
    for problem in ["keys/upstream", "tls/server.key"] {
        assert!(process.all().contains(problem), "no `{problem}`:\n{}", process.all());
    }
    site.write("keys/upstream", "key");
    site.new_server_certificate();

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let holder = std::net::TcpListener::bind(taken).unwrap();
    site.change("postern.yaml", "bind: \"127.0.0.1:0\"", &format!("bind: \"{taken}\""));
    let mut process = Process::spawn(&config, &[]);
    assert_eq!(block_in_place(|| process.ended()).code(), Some(1));
    assert!(process.all().contains(&format!("cannot listen on {taken}")), "{}", process.all());
    drop(holder);
    site.change("postern.yaml", &format!("bind: \"{taken}\""), "bind: \"127.0.0.1:0\"");

    let first = Process::serve(&config, &[]);
    let mut second = Process::spawn(&config, &[]);
    assert_eq!(block_in_place(|| second.ended()).code(), Some(1));
    assert!(second.all().contains("another process writes the audit log"), "{}", second.all());
    assert_eq!(site.read("state/audit/log.vkey").trim(), first.vkey, "and leaves the log alone");
    drop(first);

    std::fs::remove_dir_all(site.path("state")).unwrap();
    site.write("state", "a file where a folder should be");
    let mut process = Process::spawn(&config, &[]);
    assert_eq!(block_in_place(|| process.ended()).code(), Some(1));
    assert!(process.all().contains("state"), "{}", process.all());
}

/// What is promised after a kill: the log opens and verifies; of the requests of one client that were answered, those without a
/// record are its last, answered within the time of one group of records: 2 ms and a sync of the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_at_most_the_records_of_the_last_moment() {
    let site = Arc::new(Site::new().await);
    let mut process = Process::serve(&site.config(), &[]);
    let address = process.address();
    let answered: Arc<Mutex<Vec<(usize, String, Instant)>>> = Arc::default();
    let clients: Vec<_> = (0..3)
        .map(|client| {
            let (site, answered) = (site.clone(), answered.clone());
            tokio::spawn(async move {
                let token = site.token(&site.who.mia, &site.who.mia);
                let mut line = Line::open(address, &site.ca.ca_pem(), &site.who.mia.issued, client == 0).await.unwrap();
                for number in 0.. {
                    let path = format!("/both/{client}/{number}");
                    let Ok(reply) = line.get(&path, &token).await else { return };
                    assert_eq!(reply.status, 200);
                    answered.lock().unwrap().push((client, path, Instant::now()));
                }
            })
        })
        .collect();
    site.app.arrived(300).await;
    let killed = Instant::now();
    process.signal("KILL");
    for client in clients {
        within("a client", client).await.unwrap();
    }
    assert_eq!(block_in_place(|| process.ended()).code(), None, "killed");
    let torn = block_in_place(|| {
        told(&["audit", "verify", site.path("state/audit").to_str().unwrap(), "--key", &process.vkey])
    });
    assert_eq!(torn.0, 0, "as it was left: {torn:?}");

    let mut again = Process::serve(&site.config(), &[]);
    assert_eq!(again.vkey, process.vkey);
    again.signal("TERM");
    assert!(block_in_place(|| again.ended()).success());
    let out = block_in_place(|| verified(&site, &again.vkey));
    let all = records(&site.path("state/audit"));
    let recorded: HashSet<&str> =
        all.iter().filter_map(|line| line["record"]["http_request"]["url"]["path"].as_str()).collect();
    let answered = answered.lock().unwrap();
    let mut last_recorded = [0; 3];
    for (at, (client, path, _)) in answered.iter().enumerate() {
        if recorded.contains(path.as_str()) {
            last_recorded[*client] = at;
        }
    }
    let lost: Vec<_> =
        answered.iter().enumerate().filter(|(_, (_, path, _))| !recorded.contains(path.as_str())).collect();
    let oldest = lost.first().map(|(_, (_, _, when))| killed.saturating_duration_since(*when)).unwrap_or_default();
    println!(
        "{} answered, {} of them without a record, the first {oldest:?} before the kill; {out}",
        answered.len(),
        lost.len()
    );
    for (at, (client, path, when)) in &lost {
        assert!(*at > last_recorded[*client], "{path} has no record, and a later one has");
        let before = killed.saturating_duration_since(*when);
        assert!(before < Duration::from_millis(500), "{path} was answered {before:?} before the kill");
    }
    assert!(recorded.len() > 200, "{}", recorded.len());
    assert_eq!(lifecycle(&all).iter().filter(|event| **event == "log_opened").count(), 2);
}
