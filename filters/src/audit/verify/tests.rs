use std::collections::BTreeMap;

use postern_config::Redacted;

use super::*;
use crate::audit::leaf::{Commitment, Line, records_path};
use crate::audit::note::SigningKey;
use crate::audit::tiles::TileTree;

/// A log in memory.
#[derive(Clone)]
struct Log(BTreeMap<String, Vec<u8>>);

impl LogSource for Log {
    fn read(&self, path: &str, max: usize) -> std::io::Result<Option<Vec<u8>>> {
        Ok(self.0.get(path).map(|bytes| bytes.iter().take(max + 1).copied().collect()))
    }
}

const ORIGIN: &str = "log.example/edge";
/// Records under the checkpoint, and after it. The first records file ends after 200.
const COVERED: u64 = 600;
const AFTER: u64 = 5;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(ORIGIN, &Redacted::new(vec![seed; 32])).unwrap()
}

fn record(index: u64) -> String {
    format!(
        r#"{{"class_uid":6003,"n":{index},"unmapped":{{"postern":{{"connection":{{"number":1,"sequence":{index}}}}}}}}}"#
    )
}

fn line(index: u64, record: &str) -> Vec<u8> {
    let mut salt = [0; 32];
    salt[..8].copy_from_slice(&index.to_be_bytes());
    let mut out = Vec::new();
    Line { index, salt, record: record.as_bytes() }.write(&mut out);
    out
}

impl Log {
    fn new() -> Self {
        Self::of((0..COVERED + AFTER).map(|i| line(i, &record(i))).collect(), COVERED)
    }

    /// A consistent log of these lines, signed at `covered`.
    fn of(lines: Vec<Vec<u8>>, covered: u64) -> Self {
        let (mut log, mut tree, mut full) = (Self(BTreeMap::new()), TileTree::new(), Vec::new());
        for line in &lines[..usize::try_from(covered).unwrap()] {
            let line = Line::parse(&line[..line.len() - 1]).unwrap();
            tree.push(line.commitment(), &mut full);
        }
        for file in full.into_iter().chain(tree.partial_files()) {
            log.0.insert(file.tile.path(), file.bytes);
        }
        log.set_lines(lines);
        log.sign(&key(1), covered, tree.root());
        log
    }

    fn sign(&mut self, key: &SigningKey, size: u64, root: [u8; 32]) {
        let head = Checkpoint { origin: ORIGIN.into(), size, root, extensions: vec![] };
        self.0.insert(CHECKPOINT.into(), head.sign(key).into_bytes());
    }

    fn lines(&self) -> Vec<Vec<u8>> {
        let all = [&self.0[&records_path(0)][..], &self.0[&records_path(1)][..]].concat();
        all.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
    }

    fn set_lines(&mut self, lines: Vec<Vec<u8>>) {
        let cut = lines.len().min(200);
        self.0.insert(records_path(0), lines[..cut].concat());
        self.0.insert(records_path(1), lines[cut..].concat());
    }

    fn verify(&self) -> Verification {
        verify(self, key(1).verifying_key(), None).unwrap()
    }

    fn verify_with(&self, kept: &[u8]) -> Verification {
        verify(self, key(1).verifying_key(), Some(kept)).unwrap()
    }

    fn checkpoint(&self) -> Vec<u8> {
        self.0[CHECKPOINT].clone()
    }
}

fn renumber(lines: &mut [Vec<u8>]) {
    for (index, line) in (0..).zip(lines) {
        let read = Line::parse(&line[..line.len() - 1]).unwrap();
        let (salt, record) = (read.salt, read.record.to_vec());
        line.clear();
        Line { index, salt, record: &record }.write(line);
    }
}

#[test]
fn an_untouched_log_is_sound_and_its_freshness_unproven() {
    let found = Log::new().verify();
    assert_eq!(found.bad, None);
    assert!(found.is_sound());
    assert_eq!((found.covered, found.uncovered, found.torn_bytes), (COVERED, AFTER, 0));
    assert_eq!(found.freshness, Freshness::Unproven);
    assert_eq!(found.gap_count, 0);
}

#[test]
fn logs_of_every_size_around_the_tiles_are_sound() {
    for size in [0u64, 1, 2, 255, 256, 257, 511, 512, 513] {
        for after in [0, 1] {
            let log = Log::of((0..size + after).map(|i| line(i, &record(i))).collect(), size);
            let found = log.verify();
            assert_eq!((found.bad, found.covered, found.uncovered), (None, size, after), "{size}");
        }
    }
}

#[test]
fn what_was_done_to_the_records_is_named_at_the_first_bad_entry() {
    type Edit = fn(&mut Vec<Vec<u8>>);
    let cases: [(&str, Edit, u64, Tampering); 12] = [
        ("edited", |l| l[300] = line(300, &record(300).replace("6003", "6004")), 300, Tampering::Edited),
        ("not a line any more", |l| l[300][3] ^= 1, 300, Tampering::Edited),
        (
            "index changed",
            |l| l[7] = String::from_utf8(l[7].clone()).unwrap().replace("\"index\":7", "\"index\":8").into(),
            7,
            Tampering::Edited,
        ),
        ("two swapped", |l| l.swap(10, 11), 10, Tampering::Reordered { belongs: 11 }),
        (
            "two swapped and renumbered",
            |l| {
                l.swap(10, 400);
                renumber(l)
            },
            10,
            Tampering::Reordered { belongs: 400 },
        ),
        ("one removed", |l| drop(l.remove(150)), 150, Tampering::Removed { count: 1 }),
        (
            "some removed and renumbered",
            |l| {
                l.drain(150..170);
                renumber(l)
            },
            150,
            Tampering::Removed { count: 20 },
        ),
        (
            "duplicated",
            |l| {
                let copy = l[5].clone();
                l.insert(6, copy);
                renumber(l)
            },
            6,
            Tampering::Duplicated { of: 5 },
        ),
        (
            "inserted",
            |l| {
                l.insert(20, line(20, "{\"forged\":1}"));
                renumber(l)
            },
            20,
            Tampering::RecordWithoutLeaf,
        ),
        ("shortened", |l| l.truncate(590), 590, Tampering::Shortened { records: 590, covered: COVERED }),
        ("emptied", Vec::clear, 0, Tampering::Shortened { records: 0, covered: COVERED }),
        (
            "torn inside the signed part",
            |l| {
                l.truncate(600);
                let n = l[599].len();
                l[599].truncate(n - 5)
            },
            599,
            Tampering::Shortened { records: 599, covered: COVERED },
        ),
    ];
    for (case, edit, index, what) in cases {
        let mut log = Log::new();
        let mut lines = log.lines();
        if case.contains("renumbered") || matches!(case, "duplicated" | "inserted") {
            lines.truncate(600);
        }
        edit(&mut lines);
        log.set_lines(lines);
        let bad = log.verify().bad.expect(case);
        assert_eq!((bad.index, &bad.what), (Some(index), &what), "{case}");
        let file = records_path(u32::from(index >= 200 || case == "emptied"));
        assert_eq!(bad.file, file, "{case}");
    }
}

#[test]
fn a_rewritten_bundle_does_not_cover_for_an_edited_record() {
    let edit = |log: &mut Log, bundle: bool, tile: bool| {
        let mut lines = log.lines();
        lines[300] = line(300, "{\"forged\":true}");
        let forged = Line::parse(&lines[300][..lines[300].len() - 1]).unwrap().commitment();
        log.set_lines(lines);
        let offset = 300 - 256;
        if bundle {
            let bytes = log.0.get_mut("tile/entries/001").unwrap();
            bytes[offset * 34 + 2..(offset + 1) * 34].copy_from_slice(&forged.0);
        }
        if tile {
            let bytes = log.0.get_mut("tile/0/001").unwrap();
            bytes[offset * 32..(offset + 1) * 32].copy_from_slice(&forged.leaf());
        }
    };
    let mut log = Log::new();
    edit(&mut log, true, false);
    let bad = log.verify().bad.unwrap();
    assert_eq!((bad.index, bad.what), (Some(300), Tampering::Edited), "the tiles still know");
    let mut log = Log::new();
    edit(&mut log, true, true);
    let bad = log.verify().bad.unwrap();
    assert_eq!((bad.index, bad.file.as_str()), (Some(256), "tile/1/000.p/2"), "the tile above still knows");
    assert_eq!(bad.what, Tampering::RootWrong);
}

#[test]
fn each_damaged_tile_and_bundle_is_named() {
    let log = Log::new();
    let names: Vec<_> = log.0.keys().filter(|name| name.starts_with("tile/")).cloned().collect();
    assert_eq!(names.len(), 7);
    for name in names {
        // Where the last item of the file stands in the log: the tile of level 1 has the heads of the first two of level 0.
        let rows = [("tile/1/000.p/2", 1), ("000", 0), ("001", 1), ("002.p/88", 2)];
        let level = rows.iter().find(|(end, _)| name.ends_with(end)).unwrap().1;
        let what = if name.contains("entries") { Tampering::EntryWrong } else { Tampering::TileWrong };
        let mut bent = log.clone();
        let bytes = bent.0.get_mut(&name).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let bad = bent.verify().bad.expect(&name);
        assert_eq!((&bad.file, &bad.what), (&name, &what));
        assert_eq!(bad.index.unwrap() / 256, level, "{name}");
        let mut longer = log.clone();
        longer.0.get_mut(&name).unwrap().extend_from_slice(&[0; 10_000]);
        assert_eq!(longer.verify().bad.map(|bad| bad.file), Some(name.clone()));
        let mut gone = log.clone();
        gone.0.remove(&name);
        let bad = gone.verify().bad.expect(&name);
        assert_eq!((&bad.file, &bad.what), (&name, &Tampering::FileMissing));
    }
}

#[test]
fn a_partial_tile_may_have_been_replaced_by_the_full_one() {
    let log = Log::new();
    let longer = Log::of((0..1000).map(|i| line(i, &record(i))).collect(), 1000);
    let mut moved = log.clone();
    for name in ["tile/0/002", "tile/entries/002"] {
        moved.0.remove(&format!("{name}.p/88"));
        moved.0.insert(name.into(), longer.0[name].clone());
    }
    assert_eq!(moved.verify().bad, None);
}

#[test]
fn partial_tiles_of_earlier_checkpoints_must_fit_too() {
    let mut log = Log::new();
    let earlier = Log::of(log.lines(), 520);
    for (name, bytes) in earlier.0.iter().filter(|(name, _)| name.contains(".p/8")) {
        log.0.insert(name.clone(), bytes.clone());
    }
    assert_eq!(log.verify().bad, None);
    log.0.get_mut("tile/0/002.p/8").unwrap()[0] ^= 1;
    let bad = log.verify().bad.unwrap();
    assert_eq!((bad.index, bad.file.as_str(), bad.what), (Some(512), "tile/0/002.p/8", Tampering::TileWrong));
    log.0.get_mut("tile/0/002.p/8").unwrap()[0] ^= 1;
    log.0.get_mut("tile/entries/002.p/8").unwrap()[34 * 7 + 5] ^= 1;
    let bad = log.verify().bad.unwrap();
    assert_eq!((bad.index, bad.file.as_str(), bad.what), (Some(519), "tile/entries/002.p/8", Tampering::EntryWrong));
}

#[test]
fn a_missing_records_file_is_named() {
    let mut log = Log::new();
    let rest = log.0.remove(&records_path(1)).unwrap();
    let half = rest.iter().take(rest.len() / 2).rposition(|b| *b == b'\n').unwrap() + 1;
    log.0.insert(records_path(2), rest[half..].to_vec());
    let bad = log.verify().bad.unwrap();
    assert_eq!(bad.file, records_path(1));
    assert_eq!((bad.index, bad.what), (Some(200), Tampering::Removed { count: COVERED - 200 }));
    log.0.remove(&records_path(2));
    let bad = log.verify().bad.unwrap();
    assert_eq!(bad.what, Tampering::Shortened { records: 200, covered: COVERED });
}

#[test]
fn a_checkpoint_that_is_not_of_the_key_is_not_believed() {
    let log = Log::new();
    for (case, note, what) in [
        ("none", None, "file_missing"),
        ("empty", Some(Vec::new()), "checkpoint_malformed"),
        ("unsigned", Some(b"log.example/edge\n600\nAAAA\n".to_vec()), "checkpoint_malformed"),
        (
            "size edited",
            Some(String::from_utf8(log.checkpoint()).unwrap().replace("\n600\n", "\n599\n").into()),
            "checkpoint_forged",
        ),
        (
            "another key",
            Some({
                let mut other = log.clone();
                other.sign(&key(2), COVERED, [0; 32]);
                other.checkpoint()
            }),
            "checkpoint_unsigned",
        ),
    ] {
        let mut bent = log.clone();
        match note {
            Some(note) => bent.0.insert(CHECKPOINT.into(), note),
            None => bent.0.remove(CHECKPOINT),
        };
        let bad = bent.verify().bad.expect(case);
        assert_eq!((bad.file.as_str(), bad.what.as_str()), (CHECKPOINT, what), "{case}");
    }
}

#[test]
fn a_log_that_was_rewritten_and_signed_by_the_key_is_caught_by_a_kept_checkpoint_only() {
    let (honest, mut lines) = (Log::new(), Log::new().lines());
    lines[300] = line(300, "{\"forged\":true}");
    let forged = Log::of(lines, COVERED);
    assert_eq!(forged.verify().bad, None, "the key holder can write any history");
    let bad = forged.verify_with(&honest.checkpoint()).bad.unwrap();
    assert_eq!(bad.what, Tampering::DoesNotExtend { kept: COVERED });
}

#[test]
fn a_kept_checkpoint_proves_the_log_extends_it() {
    let log = Log::new();
    for size in [1, 200, 256, 599, 600] {
        let kept = Log::of(log.lines(), size).checkpoint();
        let found = log.verify_with(&kept);
        assert_eq!((found.bad, found.freshness), (None, Freshness::ProvenTo(size)));
    }
}

#[test]
fn an_old_checkpoint_put_back_is_caught_by_a_kept_one() {
    let (old, new) = (Log::of(Log::new().lines(), 400), Log::new());
    let mut replayed = new.clone();
    replayed.0.insert(CHECKPOINT.into(), old.checkpoint());
    replayed.0.extend(old.0.into_iter().filter(|(name, _)| name.starts_with("tile/")));
    let found = replayed.verify();
    assert_eq!(
        (found.bad, found.covered, found.uncovered),
        (None, 400, 205),
        "it says so: 205 entries under no checkpoint"
    );
    let bad = replayed.verify_with(&new.checkpoint()).bad.unwrap();
    assert_eq!((bad.index, bad.what), (Some(400), Tampering::CheckpointReplaced { kept: COVERED }));
    let mut lines = replayed.lines();
    lines.truncate(400);
    replayed.set_lines(lines);
    assert_eq!(replayed.verify().freshness, Freshness::Unproven);
    let bad = replayed.verify_with(&new.checkpoint()).bad.unwrap();
    assert_eq!((bad.index, bad.what), (Some(400), Tampering::Shortened { records: 400, covered: COVERED }));
}

#[test]
fn what_is_under_no_checkpoint_is_counted_and_a_torn_end_is_not_tampering() {
    let mut log = Log::new();
    let torn = line(COVERED + AFTER, "{}");
    log.0.get_mut(&records_path(1)).unwrap().extend_from_slice(&torn[..20]);
    let found = log.verify();
    assert_eq!((found.bad, found.uncovered, found.torn_bytes), (None, AFTER, 20));
    let mut lines = log.lines();
    lines.truncate(605);
    lines[602] = b"nonsense\n".to_vec();
    log.set_lines(lines);
    let bad = log.verify().bad.unwrap();
    assert_eq!((bad.index, bad.what), (Some(602), Tampering::NotARecord));
}

#[test]
fn a_checkpoint_of_another_log_cannot_be_the_kept_one() {
    let mut other = Log::new();
    other.sign(&key(2), 3, [0; 32]);
    let result = verify(&Log::new(), key(1).verifying_key(), Some(&other.checkpoint()));
    assert!(matches!(result, Err(VerifyError::Kept(_))));
}

#[test]
fn a_commitment_tells_nothing_without_its_salt() {
    assert_ne!(Commitment::new(&[0; 32], b"guess"), Commitment::new(&[1; 32], b"guess"));
}

#[test]
fn what_is_read_is_what_was_signed_or_is_said_not_to_be() {
    let whole = Log::new();
    let read = |log: &Log, key: Option<&SigningKey>| {
        let mut seen = Vec::new();
        let key = key.map(SigningKey::verifying_key);
        let found = read_log(log, key, &mut |index, record| seen.push((index, record.to_vec()))).unwrap();
        (found, seen)
    };
    let (found, seen) = read(&whole, Some(&key(1)));
    assert_eq!(found.standing, Standing::Signed { origin: ORIGIN.to_owned(), size: COVERED });
    assert!(found.is_signed(COVERED - 1) && !found.is_signed(COVERED), "what is under no checkpoint is not signed");
    assert_eq!((found.records, seen.len(), found.gap_count), (COVERED + AFTER, 605, 0));
    assert_eq!(seen[7], (7, record(7).into_bytes()));
    let (unchecked, seen) = read(&whole, None);
    assert_eq!((unchecked.standing.clone(), unchecked.is_signed(0), seen.len()), (Standing::Unchecked, false, 605));

    let change = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut log = whole.clone();
        let mut lines = log.lines();
        change(&mut lines);
        log.set_lines(lines);
        log
    };
    for (case, log, key, word) in [
        ("edited", change(&|lines| lines[9] = line(9, r#"{"class_uid":6003}"#)), key(1), "edited"),
        ("removed", change(&|lines| drop(lines.remove(9))), key(1), "removed"),
        ("shortened", change(&|lines| lines.truncate(300)), key(1), "shortened"),
        ("another key", whole.clone(), key(2), "checkpoint_unsigned"),
    ] {
        let (found, _) = read(&log, Some(&key));
        let Standing::Bad(bad) = &found.standing else { panic!("{case}: {found:?}") };
        assert!((0..COVERED).all(|index| !found.is_signed(index)), "{case}");
        let told = bad.what.as_str();
        assert!(told == word || (word == "checkpoint_unsigned" && told == "checkpoint_forged"), "{case}: {told}");
    }
    let (found, _) = read(&change(&|lines| drop(lines.pop().and_then(|_| lines.pop()))), Some(&key(1)));
    assert!(found.is_signed(0), "what is missing behind the checkpoint changes nothing before it");
    let (found, _) = read(&change(&|lines| drop(lines.remove(603))), Some(&key(1)));
    assert_eq!((found.is_signed(0), found.unreadable), (true, 1), "and what does not follow is counted");
}
