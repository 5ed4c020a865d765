//! Policy changes under load: 1 000 of them with `POSTERN_TEST_FULL=1`, 150 otherwise, so that an ordinary run stays short.
//!
//! Clients ask without pause for what both policies permit, which must never fail, and for what both refuse, which must never
//! pass, while good sets, bad sets, truncated files and half-written files are put under the running proxy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postern_proxy::audit::{VerifyArgs, run as verify};
use postern_proxy::reload::Reload;
use postern_proxy::server::Running;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::Line;
use crate::process::Process;
use crate::site::{Policy, Site, metric, records};
use crate::within;

/// What a client asks for, over and over.
struct Script {
    h2: bool,
    /// A new connection for each request.
    fresh: bool,
    /// Path, token, statuses that are right under both policies.
    asks: Vec<(&'static str, String, &'static [u16])>,
}

type Count = watch::Sender<usize>;

/// What the clients saw.
pub struct Crowd {
    stop: Arc<AtomicBool>,
    answers: Arc<Count>,
    refusals: Arc<Count>,
    tasks: Vec<JoinHandle<Vec<String>>>,
}

impl Crowd {
    pub fn gather(site: &Arc<Site>, address: SocketAddr) -> Self {
        let (mia, noah) = (&site.who.mia, &site.who.noah);
        let good = || site.token(mia, mia);
        let allowed = || ("/both/a", good(), &[200][..]);
        let steal = || ("/both/stolen", site.token(mia, noah), &[401][..]);
        let scripts = vec![
            Script { h2: false, fresh: false, asks: vec![allowed()] },
            Script { h2: true, fresh: false, asks: vec![allowed(), ("/never", good(), &[403])] },
            Script { h2: false, fresh: true, asks: vec![allowed(), ("/mixed", good(), &[403])] },
            Script {
                h2: false,
                fresh: false,
                asks: vec![("/mixed", good(), &[403]), steal(), ("/only-a", good(), &[200, 403])],
            },
            Script { h2: true, fresh: false, asks: vec![("/mixed", good(), &[403]), ("/only-b", good(), &[200, 403])] },
        ];
        let count = || Arc::new(watch::Sender::new(0));
        let mut crowd = Self { stop: Arc::default(), answers: count(), refusals: count(), tasks: Vec::new() };
        for script in scripts {
            let (site, stop) = (site.clone(), crowd.stop.clone());
            let (answers, refusals) = (crowd.answers.clone(), crowd.refusals.clone());
            crowd.tasks.push(tokio::spawn(async move {
                let mut faults = Vec::new();
                let mut line = None;
                while !stop.load(Ordering::Relaxed) && faults.len() < 5 {
                    for (path, token, right) in &script.asks {
                        let asked = async {
                            if script.fresh || line.is_none() {
                                let open =
                                    Line::open(address, &site.ca.ca_pem(), &site.who.mia.issued, script.h2).await;
                                line = Some(open?);
                            }
                            line.as_mut().unwrap().get(path, token).await
                        };
                        match asked.await {
                            Ok(reply) if right.contains(&reply.status) => {
                                let counter = if reply.status == 200 { &answers } else { &refusals };
                                counter.send_modify(|count| *count += 1);
                            }
                            Ok(reply) => faults.push(format!("{path}: {} {}", reply.status, reply.body)),
                            Err(error) => {
                                faults.push(format!("{path}: {error}"));
                                line = None;
                            }
                        }
                    }
                }
                faults
            }));
        }
        crowd
    }

    /// Returns once each kind of client got another few answers, so that the load has met what is running now.
    pub async fn another_round(&self) {
        for count in [&self.answers, &self.refusals] {
            let enough = *count.borrow() + 5;
            let mut counted = count.subscribe();
            within("a round of requests", counted.wait_for(|count| *count >= enough)).await.unwrap();
        }
        assert!(self.tasks.iter().all(|task| !task.is_finished()), "a client gave up");
    }

    /// Stops, and tells how many requests were permitted and refused. No answer was wrong, and none was missing.
    pub async fn disperse(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        let mut faults = Vec::new();
        for task in self.tasks {
            faults.extend(within("a client", task).await.unwrap());
        }
        assert!(faults.is_empty(), "{faults:#?}");
        (*self.answers.borrow(), *self.refusals.borrow())
    }
}

/// Small numbers that look like chance and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// Files that are cut. The bootstrap file has no end marker; its last line is one that it cannot do without.
const CUT: [&str; 5] = [
    "manifests/access.yaml",
    "manifests/roles.yaml",
    "manifests/identity.yaml",
    "manifests/evidence.yaml",
    "postern.yaml",
];

const BAD: [(&str, &str, &str); 5] = [
    ("manifests/access.yaml", "spec:", "spec: [}"),
    ("manifests/access.yaml", "maxBodySize: 16Ki", "maxBodySize: plenty"),
    ("manifests/roles.yaml", "role: reader,", "role: nobody,"),
    ("manifests/identity.yaml", "senderConstraint: Mtls", "senderConstraints: None"),
    ("manifests/identity.yaml", "keys/jwks.json", "keys/none.json"),
];

struct Writer {
    site: Arc<Site>,
    policy: Policy,
    dice: Dice,
    reloads: usize,
    refused: usize,
}

impl Writer {
    async fn step(&mut self, proxy: &Running) {
        match self.dice.below(8) {
            0..=1 => self.good(proxy, false).await,
            2 => self.good(proxy, true).await,
            3..=4 => self.bad(proxy).await,
            5..=6 => self.truncated(proxy).await,
            _ => self.halves(proxy).await,
        }
    }

    /// The other policy: two files that belong together, renamed into place or written in place.
    async fn good(&mut self, proxy: &Running, in_place: bool) {
        self.policy = self.policy.other();
        let files = [("manifests/access.yaml", self.policy.access()), ("manifests/roles.yaml", self.policy.roles())];
        for (name, text) in files {
            if in_place { self.site.write(name, &text) } else { self.site.replace(name, &text) }
        }
        self.taken(proxy).await;
    }

    async fn bad(&mut self, proxy: &Running) {
        let (name, from, to) = BAD[self.dice.below(BAD.len())];
        let good = self.site.read(name);
        self.site.change(name, from, to);
        self.refused(proxy, &format!("{name}: {to}")).await;
        self.site.replace(name, &good);
    }

    async fn truncated(&mut self, proxy: &Running) {
        let name = CUT[self.dice.below(CUT.len())];
        let good = self.site.read(name);
        // The final `...` or `}` and its line end are what tells a whole file.
        let end = good.len() - if good.ends_with("...\n") { 2 } else { 1 };
        let cut = self.dice.below(end);
        self.site.write(name, &good[..cut]);
        self.refused(proxy, &format!("{name} cut after {cut} bytes")).await;
        self.site.replace(name, &good);
    }

    /// A slow writer: the first half of a file, a while nothing, then all of it.
    async fn halves(&mut self, proxy: &Running) {
        self.policy = self.policy.other();
        let (access, roles) = (self.policy.access(), self.policy.roles());
        self.site.write("manifests/roles.yaml", &roles[..roles.len() / 2]);
        self.refused(proxy, "half of the roles").await;
        self.site.write("manifests/access.yaml", &access[..access.len() / 2]);
        self.site.write("manifests/roles.yaml", &roles);
        self.refused(proxy, "half of the access").await;
        self.site.write("manifests/access.yaml", &access);
        self.taken(proxy).await;
    }

    async fn taken(&mut self, proxy: &Running) {
        assert_eq!(proxy.reload().await, Reload::Taken, "{:?}", self.policy);
        self.reloads += 1;
    }

    async fn refused(&mut self, proxy: &Running, what: &str) {
        match proxy.reload().await {
            Reload::Refused(why) => assert!(why.contains("error"), "{what}: {why}"),
            Reload::Taken => panic!("taken over: {what}"),
        }
        self.reloads += 1;
        self.refused += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_and_nothing_forbidden_passes_while_policy_changes_under_load() {
    let reloads = if std::env::var_os("POSTERN_TEST_FULL").is_some() { 1000 } else { 150 };
    let site = Arc::new(Site::new().await);
    let proxy = site.start().await;
    let crowd = Crowd::gather(&site, proxy.address("public").unwrap());
    let dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut writer = Writer { site: site.clone(), policy: Policy::A, dice, reloads: 0, refused: 0 };
    let began = std::time::Instant::now();
    while writer.reloads < reloads {
        writer.step(&proxy).await;
        if writer.reloads.is_multiple_of(4) {
            crowd.another_round().await;
        }
    }
    let took = began.elapsed();
    let (answers, refusals) = crowd.disperse().await;
    println!(
        "{} reloads, {} of them refused, {took:?}; {answers} requests permitted, {refusals} refused",
        writer.reloads, writer.refused
    );

    for seen in site.app.seen() {
        let line = seen.request_line();
        let known = ["GET /both/a HTTP/1.1", "GET /only-a HTTP/1.1", "GET /only-b HTTP/1.1"];
        assert!(known.contains(&line), "reached the upstream: {line}");
    }

    let health = proxy.health().unwrap();
    let (taken, refused) = outcomes(health).await;
    assert!(refused >= writer.refused && taken >= writer.reloads - writer.refused, "{taken} taken, {refused} refused");
    assert_eq!(metric(health, "postern_audit_lost_total").await, 0);
    assert_eq!(metric(health, "postern_panics_total").await, 0);
    let alone = async { while metric(health, "postern_policy_sets").await > 1 {} };
    within("the end of all old sets", alone).await;

    let (log, vkey) = (proxy.audit_dir(), proxy.vkey());
    assert_eq!(within("the shutdown", proxy.shutdown_within(Duration::from_secs(5))).await, 0);
    let all = records(&log);
    let events =
        |kind: &str| all.iter().filter(|line| line["record"]["unmapped"]["postern"]["lifecycle"] == kind).count();
    let recorded = (events("reload_accepted"), events("reload_refused"));
    // The watcher may have looked once more after the metrics were read.
    let more = (recorded.0 - taken, recorded.1 - refused);
    assert!(more.0 + more.1 <= 1, "each reload has its record: {recorded:?} of {taken} and {refused}");
    let requests = all.iter().filter(|line| line["record"]["class_uid"] == 6003).count();
    assert_eq!(requests, answers + refusals, "each request has its record");
    let outcome = verify(&VerifyArgs { dir: log, key: vkey, checkpoint: None }).unwrap();
    assert!(outcome.is_sound(), "{outcome}");
}

async fn outcomes(health: SocketAddr) -> (usize, usize) {
    let taken = metric(health, "postern_reloads_total{outcome=\"taken\"}").await;
    let refused = metric(health, "postern_reloads_total{outcome=\"refused\"}").await;
    (usize::try_from(taken).unwrap(), usize::try_from(refused).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_picks_changed_files_up_by_itself_and_under_load() {
    let site = Arc::new(Site::new().await);
    let mut process = Process::serve(&site.config(), &[]);
    let crowd = Crowd::gather(&site, process.address());
    let mut policy = Policy::A;
    for round in 0..6 {
        let roles = site.read("manifests/roles.yaml");
        site.write("manifests/roles.yaml", &roles[..roles.len() / 3 + round]);
        tokio::task::block_in_place(|| process.until("the new policy set does not load"));
        policy = policy.other();
        site.replace("manifests/access.yaml", &policy.access());
        site.replace("manifests/roles.yaml", &policy.roles());
        tokio::task::block_in_place(|| process.until("policy set taken over"));
        let mut line = site.line(process.address(), &site.who.mia, false).await;
        let token = site.token(&site.who.mia, &site.who.mia);
        let only_a = line.get("/only-a", &token).await.unwrap().status;
        assert_eq!(only_a == 200, policy == Policy::A, "round {round}: what is told to be taken over is what decides");
        crowd.another_round().await;
    }
    let (answers, refusals) = crowd.disperse().await;
    assert!(answers > 30 && refusals > 30, "{answers} permitted, {refusals} refused");
    let (taken, refused) = outcomes(process.health()).await;
    assert_eq!((taken, refused), (6, 6), "looking at files causes no further look");
    process.signal("TERM");
    assert!(tokio::task::block_in_place(|| process.ended()).success());
}
