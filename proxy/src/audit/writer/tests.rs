use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use postern_config::{OwnKey, Redacted};
use postern_filters::Reason;
use postern_filters::audit::checkpoint::Checkpoint;
use postern_filters::audit::leaf::records_path;
use postern_filters::audit::verify::{BadEntry, Freshness, Tampering};
use postern_filters::audit::{ConnectionRef, Decision, Event, LifecycleEvent, RequestEvent};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::audit::{NotDurable, VerifyArgs, VerifyOutcome, run};

type Damage = Box<dyn Fn(&Path)>;

const ORIGIN: &str = "log.example/edge";

/// In memory where there is such a file system: these tests sync thousands of files.
fn tempdir() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(ORIGIN, &Redacted::new(vec![seed; 32])).unwrap()
}

fn settings(dir: &Path) -> AuditLog {
    AuditLog {
        origin: ORIGIN.into(),
        key: OwnKey::Generate { name: "unused".into() },
        checkpoint_interval: Duration::from_secs(3600),
        dir: dir.to_owned(),
        redact: vec![],
    }
}

fn clock() -> UnixMillis {
    let ticks = AtomicU64::new(1_700_000_000_000);
    Arc::new(move || ticks.fetch_add(1, Ordering::Relaxed))
}

fn open(dir: &Path) -> Result<AuditWriter, OpenError> {
    AuditWriter::open(&settings(dir), key(1), clock())
}

fn open_with(dir: &Path, limits: Limits) -> AuditWriter {
    AuditWriter::open_with(&settings(dir), key(1), clock(), limits).unwrap()
}

fn verify(dir: &Path, kept: Option<&Path>) -> VerifyOutcome {
    let checkpoint = kept.map(Path::to_owned);
    run(&VerifyArgs { dir: dir.to_owned(), key: key(1).verifying_key().to_string(), checkpoint }).unwrap()
}

fn request(sequence: u64) -> AuditRecord {
    let connection =
        ConnectionRef { listener: "edge".into(), peer: None, client: None, tls: None, number: 0, sequence };
    let request = RequestEvent {
        tenant: None,
        rehearsal: None,
        tried_findings: vec![],
        permits: None,
        bindings: vec![],
        entries: vec![],
        principal: None,
        route: Some("chat".into()),
        upstream: Some("model".into()),
        credentials: vec![],
        secrets: vec![],
        endpoint: None,
        retries: 0,
        dialect: None,
        action: None,
        model: None,
        method: "POST".into(),
        host: "edge.example".into(),
        path: "/v1/chat/completions".into(),
        status: 200,
        decision: Decision::Allow,
        reason: None,
        rule: None,
        request_guards: vec!["identity/jwt".into()],
        response_guards: vec![],
        findings: vec![],
        exceptions: vec![],
        bytes_in: 1,
        bytes_out: 2,
        duration_us: 3,
        streamed: false,
    };
    AuditRecord {
        id: Uuid::from_u128(u128::from(sequence)),
        time_ms: 1_700_000_000_000,
        connection: Some(connection),
        snapshot: None,
        detail: None,
        event: Event::Request(Box::new(request)),
    }
}

fn anonymous_refusal(sequence: u64) -> AuditRecord {
    let mut record = request(sequence);
    if let Event::Request(request) = &mut record.event {
        (request.decision, request.reason) = (Decision::Deny, Some(Reason::CredentialMissing));
    }
    record
}

fn stopped() -> AuditRecord {
    AuditRecord { connection: None, event: Event::Lifecycle(LifecycleEvent::Stopped), ..request(0) }
}

/// A closed log of one opening record and `n` requests.
fn log_of(n: u64) -> TempDir {
    let dir = tempdir();
    let writer = open(dir.path()).unwrap();
    for sequence in 0..n {
        drop(writer.submit(request(sequence)).unwrap());
    }
    let status = writer.close();
    assert_eq!((status.size, status.checkpoint_size, status.failed), (n + 1, n + 1, None));
    dir
}

fn copy(from: &Path) -> TempDir {
    fn tree(from: &Path, to: &Path) {
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                std::fs::create_dir(&to).unwrap();
                tree(&entry.path(), &to);
            } else {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let to = tempdir();
    tree(from, to.path());
    to
}

fn lines(dir: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(dir.join(records_path(0))).unwrap();
    bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

fn set_lines(dir: &Path, lines: &[Vec<u8>]) {
    std::fs::write(dir.join(records_path(0)), lines.concat()).unwrap();
}

#[test]
fn what_was_written_verifies_with_the_files_and_the_key_alone() {
    let dir = log_of(700);
    let outcome = verify(dir.path(), None);
    assert_eq!(outcome.found.bad, None);
    assert!(outcome.is_sound());
    assert_eq!((outcome.found.covered, outcome.found.uncovered), (701, 0));
    assert!(outcome.to_string().contains("freshness unproven"), "{outcome}");
    assert_eq!(outcome.to_json()["verified"], true);
    let vkey = dir.path().join("log.vkey").display().to_string();
    let by_file = run(&VerifyArgs { dir: dir.path().into(), key: vkey, checkpoint: None }).unwrap();
    assert_eq!(by_file, outcome);
    let kept = dir.path().join("checkpoint");
    assert_eq!(verify(dir.path(), Some(&kept)).found.freshness, Freshness::ProvenTo(701));
}

#[test]
fn a_log_goes_on_over_restarts_and_extends_every_checkpoint_it_signed() {
    let (dir, kept) = (tempdir(), tempdir());
    let mut size = 0;
    for run in 0..6u64 {
        let writer = open_with(dir.path(), Limits { segment: 60_000, ..Limits::default() });
        (0..run * 55).for_each(|sequence| drop(writer.submit(request(sequence)).unwrap()));
        size += run * 55 + 1;
        assert_eq!(writer.close().size, size);
        std::fs::copy(dir.path().join("checkpoint"), kept.path().join(size.to_string())).unwrap();
    }
    assert!(dir.path().join(records_path(3)).exists(), "the records files were rotated");
    assert!(!dir.path().join("tile/0/000.p").exists(), "partial tiles go once the full one is there");
    let mut old = 0;
    for file in std::fs::read_dir(kept.path()).unwrap() {
        let path = file.unwrap().path();
        let outcome = verify(dir.path(), Some(&path));
        let kept_size = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        assert_eq!((outcome.found.bad, outcome.found.freshness), (None, Freshness::ProvenTo(kept_size)));
        old += 1;
    }
    assert_eq!(old, 6);
}

#[tokio::test]
async fn a_receipt_is_durable_once_the_record_is_in_the_file() {
    let dir = tempdir();
    let writer = open_with(dir.path(), Limits { linger: Duration::from_secs(60), ..Limits::default() });
    for sequence in 0..3 {
        writer.submit(request(sequence)).unwrap().durable().await.unwrap();
        assert_eq!(lines(dir.path()).len() as u64, sequence + 2, "no lingering while somebody waits");
    }
    let outcome = verify(dir.path(), None);
    assert_eq!((&outcome.found.bad, outcome.found.covered, outcome.found.uncovered), (&None, 1, 3));
    assert!(outcome.to_string().contains("3 entries not yet under a checkpoint"));
}

#[tokio::test]
async fn a_checkpoint_is_signed_every_interval() {
    let dir = tempdir();
    let interval = AuditLog { checkpoint_interval: Duration::ZERO, ..settings(dir.path()) };
    let writer = AuditWriter::open(&interval, key(1), clock()).unwrap();
    writer.submit(request(0)).unwrap().durable().await.unwrap();
    while writer.status().checkpoint_size < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(verify(dir.path(), None).found.covered, 2);
}

/// Attack 47, and kill -9: the last group cut at every byte.
#[tokio::test]
async fn a_log_killed_at_any_byte_is_taken_up_again() {
    let dir = tempdir();
    let writer = open(dir.path()).unwrap();
    drop(writer.submit(stopped()).unwrap());
    writer.submit(stopped()).unwrap().durable().await.unwrap();
    let before = copy(dir.path());
    let whole = std::fs::read(before.path().join(records_path(0))).unwrap();
    let all = lines(before.path());
    let signed = all[0].len();
    for cut in signed..=whole.len() {
        let dir = copy(before.path());
        std::fs::write(dir.path().join(records_path(0)), &whole[..cut]).unwrap();
        let found = verify(dir.path(), None).found;
        assert_eq!(found.bad, None, "a torn end is not tampering");
        let kept = whole[..cut].iter().rposition(|b| *b == b'\n').unwrap() + 1;
        assert_eq!(found.torn_bytes, (cut - kept) as u64);
        open(dir.path()).unwrap().close();
        let outcome = verify(dir.path(), None);
        let survivors = whole[..cut].iter().filter(|b| **b == b'\n').count() as u64;
        assert_eq!((outcome.found.bad, outcome.found.covered), (None, survivors + 1), "cut at {cut}");
        let last = String::from_utf8(lines(dir.path()).pop().unwrap()).unwrap();
        assert!(last.contains(&format!(r#""torn_bytes":{}"#, cut - kept)), "{last}");
    }
    for cut in [0, 1, signed / 2, signed - 1] {
        std::fs::write(before.path().join(records_path(0)), &whole[..cut]).unwrap();
        assert!(matches!(open(before.path()), Err(OpenError::Contradiction { size: 1, .. })), "cut at {cut}");
    }
}

#[test]
fn a_log_that_contradicts_its_checkpoint_is_not_extended() {
    let flip: fn(&Path, &str, usize) = |dir, file, at| {
        let path = dir.join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    let damages: [(&str, Damage); 8] = [
        ("record edited", Box::new(move |dir| flip(dir, &records_path(0), 3000))),
        ("tile edited", Box::new(move |dir| flip(dir, "tile/0/001.p/45", 40))),
        ("upper tile edited", Box::new(move |dir| flip(dir, "tile/1/000.p/1", 4))),
        ("bundle edited", Box::new(move |dir| flip(dir, "tile/entries/001.p/45", 40))),
        ("bundle removed", Box::new(|dir| std::fs::remove_file(dir.join("tile/entries/001.p/45")).unwrap())),
        ("records removed", Box::new(|dir| std::fs::remove_file(dir.join(records_path(0))).unwrap())),
        ("checkpoint removed", Box::new(|dir| std::fs::remove_file(dir.join("checkpoint")).unwrap())),
        ("checkpoint edited", Box::new(move |dir| flip(dir, "checkpoint", 3))),
    ];
    let log = log_of(300);
    for (case, damage) in damages {
        let dir = copy(log.path());
        damage(dir.path());
        let before = std::fs::read(dir.path().join("checkpoint")).ok();
        let refused = open(dir.path());
        let expected = matches!(
            refused,
            Err(OpenError::Contradiction { .. } | OpenError::Checkpoint(_) | OpenError::NoCheckpoint)
        );
        assert!(expected, "{case}: {refused:?}");
        assert_eq!(std::fs::read(dir.path().join("checkpoint")).ok(), before, "{case}: nothing was signed");
    }
    let other = AuditWriter::open(&settings(log.path()), key(2), clock());
    assert!(matches!(other, Err(OpenError::Checkpoint(_))), "another key");
}

#[test]
fn tampering_on_disk_is_named_at_the_first_bad_entry() {
    type Edit = fn(&Path);
    let flip: fn(&Path, usize) = |path, at| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[at] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    let edits: [(&str, Edit, Option<u64>, Tampering); 5] = [
        (
            "swapped",
            |dir| {
                let mut l = lines(dir);
                l.swap(40, 41);
                set_lines(dir, &l)
            },
            Some(40),
            Tampering::Reordered { belongs: 41 },
        ),
        (
            "removed",
            |dir| {
                let mut l = lines(dir);
                l.remove(77);
                set_lines(dir, &l)
            },
            Some(77),
            Tampering::Removed { count: 1 },
        ),
        (
            "last removed",
            |dir| {
                let mut l = lines(dir);
                l.pop();
                set_lines(dir, &l)
            },
            Some(300),
            Tampering::Shortened { records: 300, covered: 301 },
        ),
        (
            "truncated",
            |dir| {
                let mut l = lines(dir);
                l.truncate(9);
                l[8].pop();
                set_lines(dir, &l)
            },
            Some(8),
            Tampering::Shortened { records: 8, covered: 301 },
        ),
        (
            "forged key",
            |dir| {
                let head = Checkpoint { origin: ORIGIN.into(), size: 0, root: [0; 32], extensions: vec![] };
                std::fs::write(dir.join("checkpoint"), head.sign(&key(2))).unwrap();
            },
            None,
            Tampering::CheckpointNotBelieved(postern_filters::audit::note::NoteError::Unsigned.into()),
        ),
    ];
    let log = log_of(300);
    for (case, edit, index, what) in edits {
        let dir = copy(log.path());
        edit(dir.path());
        let outcome = verify(dir.path(), None);
        let Some(BadEntry { index: found, what: is, .. }) = &outcome.found.bad else { panic!("{case}") };
        assert_eq!((*found, is), (index, &what), "{case}");
        assert!(!outcome.is_sound() && outcome.to_string().starts_with("TAMPERED: "), "{outcome}");
    }
    let mut files = 0;
    for name in [
        "checkpoint",
        "records/000000.jsonl",
        "tile/0/000",
        "tile/0/001.p/45",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/45",
    ] {
        let dir = copy(log.path());
        let length = std::fs::metadata(dir.path().join(name)).unwrap().len() as usize;
        for at in [0, length / 2, length - 1] {
            flip(&dir.path().join(name), at);
            assert!(verify(dir.path(), None).found.bad.is_some(), "{name} at {at}");
            flip(&dir.path().join(name), at);
        }
        assert_eq!(verify(dir.path(), None).found.bad, None);
        files += 1;
    }
    assert_eq!(files, 7);
}

#[test]
fn an_old_checkpoint_or_an_old_directory_is_found_with_a_kept_checkpoint() {
    let dir = log_of(100);
    let old = copy(dir.path());
    let writer = open(dir.path()).unwrap();
    (0..50).for_each(|sequence| drop(writer.submit(request(sequence)).unwrap()));
    writer.close();
    let kept = copy(dir.path());
    let kept = kept.path().join("checkpoint");
    let rolled_back = verify(old.path(), None);
    assert!(rolled_back.is_sound() && rolled_back.found.freshness == Freshness::Unproven);
    let bad = verify(old.path(), Some(&kept)).found.bad.unwrap();
    assert_eq!((bad.index, bad.what), (Some(101), Tampering::Shortened { records: 101, covered: 152 }));
    std::fs::copy(old.path().join("checkpoint"), dir.path().join("checkpoint")).unwrap();
    let bad = verify(dir.path(), Some(&kept)).found.bad.unwrap();
    assert_eq!((bad.index, bad.what), (Some(101), Tampering::CheckpointReplaced { kept: 152 }));
}

#[test]
fn one_process_writes_a_log() {
    let dir = tempdir();
    let first = open(dir.path()).unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::Locked(_))));
    drop(first);
    assert!(open(dir.path()).is_ok());
}

#[tokio::test]
async fn attack_47_while_nothing_can_be_written_nothing_is_accepted_and_nothing_is_lost() {
    let dir = tempdir();
    let writer = open_with(dir.path(), Limits { segment: 1, ..Limits::default() });
    let obstacle = dir.path().join(records_path(1));
    std::fs::create_dir(&obstacle).unwrap();
    let receipt = writer.submit(request(0)).unwrap();
    assert_eq!(receipt.durable().await, Err(NotDurable));
    assert_eq!(writer.submit(request(1)).unwrap_err(), AuditFull::Failed);
    assert!(writer.status().failed.is_some());
    assert_eq!((writer.status().refused, writer.status().size), (1, 1));
    std::fs::remove_dir(&obstacle).unwrap();
    while writer.status().failed.is_some() {
        tokio::task::yield_now().await;
    }
    writer.submit(request(1)).unwrap().durable().await.unwrap();
    assert_eq!(writer.close().size, 3, "the record that was refused its receipt was written after all");
    assert_eq!(verify(dir.path(), None).found.bad, None);
    assert_eq!(writer.submit(request(2)).unwrap_err(), AuditFull::Closed);
}

/// Many large records at once: files stay within what a verifier reads.
#[test]
fn a_flood_of_large_records_is_written_in_bounded_groups() {
    let dir = tempdir();
    let writer = open_with(dir.path(), Limits { segment: 8 << 20, bytes: 1 << 30, ..Limits::default() });
    let guards: Vec<postern_filters::audit::Name> = vec!["x".repeat(255).into(); 64];
    for sequence in 0..600 {
        let mut record = request(sequence);
        if let Event::Request(request) = &mut record.event {
            (request.request_guards, request.response_guards) = (guards.clone(), guards.clone());
        }
        drop(writer.submit(record).unwrap());
    }
    assert_eq!(writer.close().size, 601);
    let sizes: Vec<_> =
        (0..4).filter_map(|n| std::fs::metadata(dir.path().join(records_path(n))).ok()).map(|m| m.len()).collect();
    assert!(sizes.len() > 2 && sizes.iter().all(|size| *size <= 8 << 20), "{sizes:?}");
    assert_eq!(verify(dir.path(), None).found.bad, None);
}

#[tokio::test]
async fn closing_on_a_dead_disk_gives_up_and_says_so() {
    let dir = tempdir();
    let writer = open(dir.path()).unwrap();
    std::fs::create_dir(dir.path().join("checkpoint.tmp")).unwrap();
    writer.submit(request(0)).unwrap().durable().await.unwrap();
    let status = writer.close();
    assert!(status.failed.is_some());
    assert_eq!((status.size, status.checkpoint_size), (2, 1));
}

#[test]
fn a_place_is_kept_for_its_record_whatever_comes_meanwhile() {
    let dir = tempdir();
    // Longer than the test: what is submitted stays in the queue.
    let linger = Duration::from_secs(3600);
    let writer = open_with(dir.path(), Limits { records: 4, linger, ..Limits::default() });
    let place = writer.reserve().unwrap();
    let unused = writer.reserve().unwrap();
    while writer.submit(request(1)).is_ok() {}
    assert_eq!(writer.reserve().unwrap_err(), AuditFull::Full);
    let _ = place.submit(request(2)).unwrap();
    assert_eq!(writer.submit(request(3)).unwrap_err(), AuditFull::Full);
    drop(unused);
    let _ = writer.submit(request(4)).unwrap();
    let late = writer.reserve();
    assert_eq!(late.unwrap_err(), AuditFull::Full);
    assert_eq!(writer.close().failed, None);
}

#[test]
fn a_place_outlives_no_log() {
    let dir = tempdir();
    let writer = open_with(dir.path(), Limits::default());
    let place = writer.reserve().unwrap();
    assert_eq!(writer.close().failed, None);
    assert_eq!(place.submit(request(1)).unwrap_err(), AuditFull::Closed);
}

#[test]
fn refusals_of_the_anonymous_have_half_of_the_queue() {
    let limits = Limits { records: 10, ..Limits::default() };
    let queue = Arc::new(Queue::new(limits));
    let taken = (0..10).filter(|n| queue.submit(anonymous_refusal(*n)).is_ok()).count();
    assert_eq!(taken, 5);
    assert_eq!(queue.submit(anonymous_refusal(9)).unwrap_err(), AuditFull::AnonymousShare);
    let taken = (0..10).filter(|n| queue.submit(request(*n)).is_ok()).count();
    assert_eq!(taken, 5);
    assert_eq!(queue.submit(request(9)).unwrap_err(), AuditFull::Full);
    assert_eq!((queue.status().queued, queue.status().refused), (10, 12));
    let queue = Arc::new(Queue::new(Limits { bytes: 10_000, ..Limits::default() }));
    let mut large = request(0);
    large.detail = Some("x".repeat(9_000));
    assert!(queue.submit(large.clone()).is_ok());
    assert_eq!(queue.submit(large).unwrap_err(), AuditFull::Full, "bytes are bounded too");
    let taken = queue.take(Duration::ZERO, Instant::now());
    assert_eq!((taken.entries.len(), taken.closing), (1, false));
    assert!(queue.submit(request(1)).is_ok());
}

#[test]
fn an_omitted_record_shows_once_the_process_stopped_in_order() {
    let dir = tempdir();
    let writer = open(dir.path()).unwrap();
    for sequence in [0, 1, 3] {
        drop(writer.submit(request(sequence)).unwrap());
    }
    drop(writer.submit(stopped()).unwrap());
    writer.close();
    let outcome = verify(dir.path(), None);
    assert_eq!(outcome.found.bad, None);
    assert!(!outcome.is_sound());
    assert!(outcome.to_string().contains("connection 0 sequence 2 has no record"), "{outcome}");
}

#[test]
fn what_cannot_be_checked_is_an_error_and_not_an_outcome() {
    let dir = log_of(1);
    let good = VerifyArgs { dir: dir.path().into(), key: key(1).verifying_key().to_string(), checkpoint: None };
    assert!(run(&good).is_ok());
    for (case, args) in [
        ("no directory", VerifyArgs { dir: dir.path().join("none"), ..good.clone() }),
        ("no key", VerifyArgs { key: "nonsense".into(), ..good.clone() }),
        (
            "key file without a key",
            VerifyArgs { key: dir.path().join("checkpoint").display().to_string(), ..good.clone() },
        ),
        ("no kept checkpoint", VerifyArgs { checkpoint: Some(PathBuf::from("/none")), ..good.clone() }),
        ("not a checkpoint", VerifyArgs { checkpoint: Some(dir.path().join("log.vkey")), ..good }),
    ] {
        assert!(run(&args).is_err(), "{case}");
    }
}

#[test]
fn handing_over_is_cheap() {
    let dir = tempfile::tempdir().unwrap();
    let writer = open(dir.path()).unwrap();
    let records: Vec<_> = (0..20_000).map(request).collect();
    let begin = Instant::now();
    for record in records {
        drop(writer.submit(record).unwrap());
    }
    let handed_over = begin.elapsed();
    assert_eq!(writer.close().size, 20_001);
    let written = begin.elapsed();
    println!("submit {:?} a record, {:.0} records/s to disk", handed_over / 20_000, 20_000.0 / written.as_secs_f64());
}
