//! One process follows another: nobody is turned away, no record is lost, and a successor that fails changes nothing.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use postern_proxy::reload::Reload;
use serde_json::Value;
use tokio::task::{JoinHandle, block_in_place};

use crate::client::{Line, rest};
use crate::process::{Process, told};
use crate::site::{Site, health, records};
use crate::within;

/// Clients that ask without pause, each request on a connection of its own or all on one that is kept.
struct Clients {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<Result<(), String>>>,
}

impl Clients {
    fn gather(site: &Arc<Site>, address: SocketAddr) -> Self {
        let (stop, answers) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let tasks = [(false, true), (true, true), (false, false), (true, false)]
            .map(|(h2, fresh)| tokio::spawn(ask(site.clone(), address, (h2, fresh), stop.clone(), answers.clone())));
        Self { stop, answers, tasks: tasks.into() }
    }

    async fn more(&self) {
        let enough = self.answers.load(Ordering::Relaxed) + 40;
        let counted = async {
            while self.answers.load(Ordering::Relaxed) < enough && !self.tasks.iter().any(JoinHandle::is_finished) {
                tokio::task::yield_now().await;
            }
        };
        within("answers", counted).await;
    }

    /// How many answers there were.
    async fn leave(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            within("a client", task).await.unwrap().unwrap();
        }
        self.answers.load(Ordering::Relaxed)
    }
}

async fn ask(
    site: Arc<Site>,
    address: SocketAddr,
    (h2, fresh): (bool, bool),
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
) -> Result<(), String> {
    let token = site.token(&site.who.mia, &site.who.mia);
    let mut line = None;
    while !stop.load(Ordering::Relaxed) {
        let kept = line.is_some();
        let mut with = match line.take() {
            Some(with) => with,
            None => Line::open(address, &site.ca.ca_pem(), &site.who.mia.issued, h2)
                .await
                .map_err(|error| format!("h2 {h2}, fresh {fresh}: {error}"))?,
        };
        match with.get("/both/a", &token).await {
            Ok(reply) if reply.status == 200 => {
                answers.fetch_add(1, Ordering::Relaxed);
                line = Some(with).filter(|_| !fresh);
            }
            Ok(reply) => return Err(format!("h2 {h2}, fresh {fresh}: {}", reply.status)),
            // A connection that was kept may end at any time between two answers; a client asks again on another.
            Err(_) if kept => {}
            Err(error) => return Err(format!("h2 {h2}, fresh {fresh}: {error}")),
        }
    }
    Ok(())
}

fn requests(log: &[Value]) -> Vec<&Value> {
    log.iter().map(|line| &line["record"]).filter(|record| record["class_uid"] == 6003).collect()
}

fn verified(site: &Site, vkey: &str) -> Vec<Value> {
    let dir = site.path("state/audit");
    let (code, out, err) = told(&["audit", "verify", dir.to_str().unwrap(), "--key", vkey]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(!out.contains("not yet under a checkpoint"), "{out}");
    records(&dir)
}

fn lifecycle<'r>(log: &'r [Value], what: &str) -> Vec<&'r Value> {
    let postern = |line: &'r Value| &line["record"]["unmapped"]["postern"];
    log.iter().filter(|line| postern(line)["lifecycle"] == what).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_turns_nobody_away_and_loses_no_record() {
    let site = Site::new().await;
    site.change(
        "postern.yaml",
        "protocol: https}\n",
        "protocol: https}\n  - {name: app, bind: \"unix:run/app.sock\", protocol: http}\n",
    );
    let site = Arc::new(site);
    // A fixed port would not show that sockets are handed over: any free one does.
    let mut first = Process::serve(&site.config(), &[]);
    let public = listener(&first, "public");
    let vkey = first.vkey.clone();
    let clients = Clients::gather(&site, public);
    clients.more().await;
    let token = site.token(&site.who.mia, &site.who.mia);
    let mut before = vec![];
    for _ in 0..2 {
        let mut second = block_in_place(|| Process::follow(&site.config()));
        assert_eq!(listener(&second, "public"), public);
        assert_eq!(second.health(), first.health());
        assert!(health(second.health(), "/readyz").await.contains("200"));
        block_in_place(|| first.until("another process took over"));
        clients.more().await;
        let mut socket = UnixStream::connect(site.path("run/app.sock")).unwrap();
        socket.write_all(b"GET /both/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        std::mem::swap(&mut first, &mut second);
        before.push(second);
    }
    let answered = clients.leave().await;
    for mut process in before {
        assert_eq!(block_in_place(|| process.ended()).code(), Some(0), "{}", process.all());
        assert!(!process.all().contains("error.type"), "{}", process.all());
    }
    let mut line = site.line(public, &site.who.mia, false).await;
    assert_eq!(line.get("/both/a", &token).await.unwrap().status, 200);
    first.signal("TERM");
    assert_eq!(block_in_place(|| first.ended()).code(), Some(0));
    let log = verified(&site, &vkey);
    let allowed = requests(&log).into_iter().filter(|record| record["unmapped"]["postern"]["decision"] == "Allow");
    // One that was on a kept connection when it ended may be recorded without its client having seen an answer.
    let allowed = allowed.count();
    assert!((answered + 1..=answered + 5).contains(&allowed), "{answered} answers, {allowed} records");
    assert_eq!((lifecycle(&log, "started").len(), lifecycle(&log, "stopped").len()), (3, 3));
    let mut numbers = HashSet::new();
    for record in requests(&log) {
        let place = &record["unmapped"]["postern"]["connection"];
        assert!(numbers.insert(place.to_string()), "twice: {place} in {record:#}");
    }
}

/// Where a process listens under this name.
fn listener(process: &Process, name: &str) -> SocketAddr {
    let lines = process.said.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut found = lines.filter(|line| line["message"] == "listening" && line["listener"] == name);
    found.next().unwrap()["address"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_is_killed_gives_the_log_back_and_another_one_may_have_it() {
    let site = Site::new().await;
    let mut first = Process::serve(&site.config(), &[]);
    let (public, vkey) = (first.address(), first.vkey.clone());
    let token = site.token(&site.who.mia, &site.who.mia);
    let mut busy = site.line(public, &site.who.mia, true).await;
    let tell = site.app.steps();
    tell.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello".to_vec()).await.unwrap();
    let open = busy.begin("/both/slow", &token).await.unwrap();
    let mut second = block_in_place(|| Process::follow(&site.config()));
    block_in_place(|| first.until("another process took over"));
    second.signal("KILL");
    block_in_place(|| second.ended());
    // What starts in its place finds the log with the first, which still drains, and takes it over from there.
    let mut third = block_in_place(|| Process::follow(&site.config()));
    let mut line = site.line(third.address(), &site.who.mia, false).await;
    assert_eq!(line.get("/never", &token).await.unwrap().status, 403);
    tell.send(b"world".to_vec()).await.unwrap();
    drop(tell);
    assert_eq!(rest(open).await.unwrap(), "helloworld");
    assert_eq!(block_in_place(|| first.ended()).code(), Some(0), "{}", first.all());
    third.signal("TERM");
    assert_eq!(block_in_place(|| third.ended()).code(), Some(0), "{}", third.all());
    let log = verified(&site, &vkey);
    let slow = requests(&log).into_iter().filter(|record| record.to_string().contains("/both/slow"));
    assert_eq!(slow.count(), 1, "{log:#?}");
    assert_eq!(lifecycle(&log, "stopped").len(), 2, "all but the one that was killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_does_not_take_over_leaves_everything_as_it_was() {
    let site = Site::new().await;
    let proxy = site.start().await;
    let (public, log, vkey) = (proxy.address("public").unwrap(), proxy.audit_dir(), proxy.vkey());
    let token = site.token(&site.who.mia, &site.who.mia);
    let hello: &[u8] = br#"{"protocol":1,"version":"0"}"#;
    let stages: [(&str, &[Said], &[u8]); 5] = [
        ("says nothing", &[], &[]),
        ("says something else", &[(5, b"")], &[]),
        ("speaks another version", &[(1, br#"{"protocol":9,"version":"0"}"#)], &[]),
        ("goes with the sockets", &[(1, hello)], &[2]),
        ("goes with the log", &[(1, hello), (3, b"")], &[2, 4]),
    ];
    for (what, says, hears) in stages {
        let mut kept = site.line(public, &site.who.mia, false).await;
        assert_eq!(kept.get("/both/a", &token).await.unwrap().status, 200, "{what}");
        block_in_place(|| pretend(&site, says, hears));
        assert_eq!(kept.get("/both/a", &token).await.unwrap().status, 200, "{what}: open connections go on");
        let mut line = site.line(public, &site.who.mia, true).await;
        assert_eq!(line.get("/both/a", &token).await.unwrap().status, 200, "{what}: and new ones are taken");
        assert!(health(proxy.health().unwrap(), "/readyz").await.contains("200"), "{what}");
    }
    // And then one that does.
    let mut next = block_in_place(|| Process::follow(&site.config()));
    within("the end of this one's time", proxy.given()).await;
    assert_eq!(proxy.reload().await, Reload::Taken, "what drains still follows policy");
    within("its stop", proxy.shutdown()).await;
    let mut line = site.line(public, &site.who.mia, true).await;
    assert_eq!(line.get("/both/a", &token).await.unwrap().status, 200);
    next.signal("TERM");
    assert!(block_in_place(|| next.ended()).success());
    assert_eq!(log, site.path("state/audit"));
    let allowed = requests(&verified(&site, &vkey))
        .iter()
        .filter(|record| record["unmapped"]["postern"]["decision"] == "Allow")
        .count();
    assert_eq!(allowed, 3 * stages.len() + 1);
}

/// A tag, and what comes with it.
type Said = (u8, &'static [u8]);

/// Plays a new process as far as this, and goes.
fn pretend(site: &Site, says: &[Said], hears: &[u8]) {
    let deadline = std::time::Instant::now() + crate::PATIENCE;
    let mut stream = loop {
        match UnixStream::connect(site.path("state/upgrade.sock")) {
            Ok(stream) => break stream,
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
        }
    };
    let mut hears = hears.iter();
    for (tag, payload) in says {
        let mut frame = vec![*tag];
        frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend_from_slice(payload);
        stream.write_all(&frame).unwrap();
        let Some(tag) = hears.next() else { continue };
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        let [got, length @ ..] = head;
        assert_eq!(got, *tag);
        let mut payload = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut payload).unwrap();
        if *tag == 2 {
            // The bytes that carry the two descriptors; those are closed as nobody asks for them.
            stream.read_exact(&mut [0; 2]).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_whose_policy_does_not_load_never_asks() {
    let site = Site::new().await;
    let mut first = Process::serve(&site.config(), &[]);
    let token = site.token(&site.who.mia, &site.who.mia);
    let (good, public) = (site.read("postern.yaml"), first.address());
    // Not under the running one's eyes: it would only refuse it as well.
    site.write("next.yaml", &good.replace("upstream: app", "upstream: nobody"));
    let mut second = Process::spawn_with(&site.path("next.yaml"), &["--upgrade"], &[]);
    assert_eq!(block_in_place(|| second.ended()).code(), Some(2), "{}", second.all());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!("  - {{name: more, bind: \"{}\", protocol: https}}\nupstreams:\n", taken.local_addr().unwrap());
    site.write("next.yaml", &good.replace("upstreams:\n", &more));
    let mut second = Process::spawn_with(&site.path("next.yaml"), &["--upgrade"], &[]);
    assert_eq!(block_in_place(|| second.ended()).code(), Some(1), "{}", second.all());
    assert!(second.all().contains("cannot listen on"), "{}", second.all());
    let mut line = site.line(public, &site.who.mia, true).await;
    assert_eq!(line.get("/both/a", &token).await.unwrap().status, 200);
    first.signal("TERM");
    assert!(block_in_place(|| first.ended()).success());
    let mut alone = block_in_place(|| Process::follow(&site.config()));
    assert!(!alone.all().contains("took over"), "where nobody runs it is a start like any other");
    alone.signal("TERM");
    assert!(block_in_place(|| alone.ended()).success());
}
