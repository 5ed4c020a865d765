//! The split-point property: wherever a streamed answer is cut, what leaves of it and what is found in it is what it is for the same
//! answer whole.
//!
//! Every way in which a text streams (`formats`), under every action (`sayings`), is cut in two ways: its bytes at every place and
//! every pair of places, in each way to write events (`dress`); and its text, into deltas, at every character and every pair of
//! characters. Held against it: the same stream pushed at once, and the same text in an answer that is judged whole.
//!
//! Here some thousand of these cases run. `make splits` runs all of them, optimised, and prints how many there were.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(missing_debug_implementations, unreachable_pub, reason = "tests")]

#[path = "splits/dress.rs"]
mod dress;
#[path = "splits/formats.rs"]
mod formats;
#[path = "splits/policy.rs"]
mod policy;
#[path = "splits/sayings.rs"]
mod sayings;
#[path = "../src/testing.rs"]
mod testing;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use postern_filters::Reason;
use serde_json::json;

use dress::Dress;
use formats::Format;
use policy::{Outcome, Policies, Site};
use sayings::{Action, Saying};

const DIALECTS: [&str; 3] = ["openai", "anthropic", "gemini"];

/// How much a detector may hold back of a text, as the routes have it.
const HOLD_BACK: usize = 512;

/// Bytes of a text that may be held back, all in all. Demands on answers hold as much in front of detectors, and once more behind them; a
/// token is held until it is known what follows it.
fn bound(action: Action) -> usize {
    match action {
        Action::Strip | Action::Escape => 3 * HOLD_BACK,
        Action::Restore => HOLD_BACK + 100,
        _ => HOLD_BACK,
    }
}

/// How many of the cases run: one in so many.
#[derive(Clone, Copy)]
struct Share {
    dresses: usize,
    sayings: usize,
    bytes: usize,
    texts: usize,
    characters: usize,
}

impl Share {
    fn wanted() -> Self {
        match std::env::var("POSTERN_SPLITS").as_deref() {
            Ok("all") => Self { dresses: 1, sayings: 1, bytes: 1, texts: 1, characters: 1 },
            _ => Self { dresses: 17, sayings: 5, bytes: 2003, texts: 211, characters: 31 },
        }
    }
}

impl Share {
    /// Whether this action is tried in this dialect: in each, or in two of them.
    fn has(self, action: Action, dialect: &str) -> bool {
        self.bytes == 1 || dialect == DIALECTS[0] || dialect == DIALECTS[1 + action as usize % 2]
    }
}

/// What was tried.
#[derive(Default)]
struct Tally {
    cases: BTreeMap<(&'static str, &'static str), usize>,
    /// Bytes of a text held back, at most.
    held: BTreeMap<Action, usize>,
}

impl Tally {
    fn add(&mut self, format: &Format, action: Action, cases: usize) {
        *self.cases.entry((format.dialect, action.name())).or_default() += cases;
    }

    fn hold(&mut self, action: Action, bytes: usize) {
        let most = self.held.entry(action).or_default();
        *most = bytes.max(*most);
    }

    fn print(&self, begun: Instant) {
        let row = |of: &dyn Fn(Action) -> String| Action::ALL.map(|action| format!("{:>10}", of(action))).concat();
        println!("{:<18}{}", "", row(&|action| action.name().to_owned()));
        for dialect in DIALECTS {
            let of = |action: Action| self.cases.get(&(dialect, action.name())).copied().unwrap_or_default();
            println!("{dialect:<18}{}", row(&|action| of(action).to_string()));
        }
        println!(
            "{:<18}{}",
            "bytes held back",
            row(&|action| self.held.get(&action).copied().unwrap_or(0).to_string())
        );
        println!("{:<18}{}", "of at most", row(&|action| bound(action).to_string()));
        println!("{} cases in {:.0} s", self.cases.values().sum::<usize>(), begun.elapsed().as_secs_f64());
    }
}

/// `bytes` in three pieces, or in two where both cuts are one.
fn pieces(bytes: &[u8], first: usize, second: usize) -> impl Iterator<Item = &[u8]> {
    [&bytes[..first], &bytes[first..second], &bytes[second..]].into_iter().filter(|piece| !piece.is_empty())
}

/// Which cuts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cuts {
    Singles,
    /// Each place with itself is one too.
    Pairs,
}

/// Calls `act` with places of `1..places`, one in `every`, on all processors. Returns how many there were.
fn cut(cuts: Cuts, places: usize, every: usize, act: impl Fn(usize, usize) + Sync) -> usize {
    let (next, done) = (AtomicUsize::new(1), AtomicUsize::new(0));
    let work = || {
        loop {
            let first = next.fetch_add(1, Ordering::Relaxed);
            if first >= places {
                return;
            }
            let last = if cuts == Cuts::Singles { first + 1 } else { places };
            for second in (first..last).filter(|second| (first * places + second).is_multiple_of(every)) {
                act(first, second);
                done.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    done.into_inner()
}

/// A text as a format says it: arguments are JSON.
fn text(format: &Format, saying: &Saying) -> String {
    if format.is_call { json!({ "to": saying.text() }).to_string() } else { saying.text() }
}

/// Cuts the bytes of a stream.
fn cut_bytes(site: &Site<'_>, format: &Format, saying: &Saying, dress: Dress, cuts: Cuts, every: usize) -> usize {
    let text = text(format, saying);
    // What is found begins in one event and ends in another.
    let middle = text.find(&saying.found).map_or(text.len() / 2, |at| at + saying.found.len() / 2);
    let (front, back) = text.split_at(text.floor_char_boundary(middle));
    let stream = if cuts == Cuts::Pairs { format.short } else { format.stream };
    let bytes = dress.write(&stream(&[front, back]));
    let whole = site.feed(format, [&bytes[..]], |_| {});
    Want::of(site, format, saying, dress).is(&whole, "in two deltas");
    let name = format.name;
    assert_eq!(site.feed(format, bytes.chunks(1), |_| {}), whole, "{name}, {dressed:?}, byte by byte", dressed = dress);
    let case = |first, second| {
        let cut = site.feed(format, pieces(&bytes, first, second), |_| {});
        assert_eq!(cut, whole, "{name}, {dress:?}, cut at {first} and {second}: {text}");
    };
    cut(cuts, bytes.len(), every, case)
}

/// Cuts a text into deltas, at characters.
fn cut_text(site: &Site<'_>, format: &Format, saying: &Saying, every: usize) -> usize {
    let text = text(format, saying);
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let want = Want::of(site, format, saying, Dress::Plain);
    cut(Cuts::Pairs, places.len(), every, |first, second| {
        let said: Vec<&str> = pieces(text.as_bytes(), places[first], places[second])
            .map(|one| std::str::from_utf8(one).unwrap())
            .collect();
        let bytes = Dress::Plain.write(&(format.stream)(&said));
        want.is(&site.feed(format, [&bytes[..]], |_| {}), &format!("deltas {said:?}"));
    })
}

/// Sends every character of a text by itself. Returns how many bytes of it were held back at most.
fn every_character(site: &Site<'_>, format: &Format, saying: &Saying) -> usize {
    let text = saying.text();
    let characters: Vec<&str> = text.split_inclusive(|_| true).collect();
    let events = (format.stream)(&characters);
    let written: Vec<Vec<u8>> = events.iter().map(|event| Dress::Plain.write(std::slice::from_ref(event))).collect();
    let want = Want::of(site, format, saying, Dress::Plain);
    let left = want.heard.first().map_or("", String::as_str);
    let said = |out: &[u8]| (format.said)(&policy::events(out)).concat();
    let (mut seen, mut released, mut received, mut pushed, mut most) = (0, 0, 0, 0, 0);
    let outcome = site.feed(format, written.iter().map(Vec::as_slice), |out| {
        released += said(&out[seen..]).len();
        seen = out.len();
        received += said(&written[pushed]).len();
        pushed += 1;
        // Where in the text stands what was released last: what is replaced by a mark leaves all at once.
        let rest = left.get(released..).unwrap_or_default();
        let at = match () {
            () if left.len() == text.len() => released,
            () if left.is_empty() => released,
            () if text.ends_with(rest) => text.len() - rest.len(),
            () => released.min(saying.before.len()),
        };
        most = most.max(received.saturating_sub(at));
    });
    want.is(&outcome, "every character by itself");
    most
}

/// What the same text makes of an answer that is judged whole.
struct Want<'f> {
    format: &'f Format,
    saying: &'f Saying,
    judged: Outcome,
    heard: Vec<String>,
}

impl<'f> Want<'f> {
    fn of(site: &Site<'_>, format: &'f Format, saying: &'f Saying, dress: Dress) -> Self {
        let body = (format.whole)(&text(format, saying));
        // Where JSON is a value and no text, what escapes hide in it is found string by string.
        let body = if format.has_deltas { body } else { dress.data(&body) };
        let judged = site.judge(format, body);
        let heard = match judged.reason {
            None => (format.heard)(&serde_json::from_slice(&judged.out).unwrap()),
            Some(_) => Vec::new(),
        };
        Self { format, saying, judged, heard }
    }

    /// A stream that says it was judged alike, and told its reader the same; one that was cut, nothing of what was found.
    fn is(&self, streamed: &Outcome, how: &str) {
        let Self { format, saying, judged, heard } = self;
        let name = format.name;
        assert_eq!(streamed.reason, judged.reason, "{name}, {how}");
        let (mut found, mut want) = (streamed.sorted(), judged.sorted());
        if judged.reason.is_some() {
            // A stream ends with the first choice in which something is found.
            found.dedup();
            want.dedup();
        }
        assert_eq!(found, want, "{name}, {how}");
        let events = policy::events(&streamed.out);
        let said = (format.said)(&events);
        if judged.reason.is_none() {
            assert_eq!(said, *heard, "{name}, {how}");
            assert!((format.again)(&events).iter().all(|again| said.contains(again)), "{name}, {how}");
        } else {
            let before = if format.is_call { "" } else { saying.before };
            assert!(said.iter().all(|one| before.starts_with(one.as_str())), "{name}, {how}: {said:?}");
            assert!(!streamed.out.ends_with(b"[DONE]\n\n"), "{name}, {how}");
        }
    }
}

/// What was found does not leave, or is as it was, as the action says.
fn acts(site: &Site<'_>, format: &Format, action: Action, saying: &Saying) {
    let Want { judged, heard, .. } = Want::of(site, format, saying, Dress::Plain);
    let (name, found) = (format.name, saying.found.as_str());
    assert_eq!(judged.reason, (action == Action::Block).then_some(Reason::AnswerRefused), "{name}: {found}");
    assert!(!judged.findings.is_empty(), "{name}: {found}");
    assert!(judged.findings.iter().all(|one| one.action.as_str() == action.name()), "{name}: {found}");
    assert_eq!(heard.concat().contains(found), action == Action::Annotate, "{name}: {found}");
}

#[test]
fn attack_49_wherever_a_stream_is_cut_it_is_judged_and_released_as_if_it_were_whole() {
    let (begun, share, mut tally) = (Instant::now(), Share::wanted(), Tally::default());
    let (policies, formats) = (Policies::new(|action, dialect| share.has(action, dialect)), formats::all());
    let mut characters = 0_usize;
    for (a, action) in Action::ALL.into_iter().enumerate() {
        let dialects = DIALECTS.into_iter().filter(|dialect| share.has(action, dialect));
        let sites: Vec<_> = dialects.map(|dialect| (dialect, policies.site(action, dialect))).collect();
        for (f, format) in formats.iter().enumerate() {
            let Some((_, site)) = sites.iter().find(|(dialect, _)| *dialect == format.dialect) else { continue };
            for saying in site.sayings.iter().filter(|saying| sayings::is_data(saying)) {
                acts(site, format, action, saying);
            }
            // Every pair of bytes of what is short under every action, of what is long under one.
            let saying = &site.sayings[(a + f) % site.sayings.len()];
            let dress = Dress::ALL[(a + f) % Dress::ALL.len()];
            if !format.is_long || f % Action::ALL.len() == a {
                tally.add(format, action, cut_bytes(site, format, saying, dress, Cuts::Pairs, share.bytes));
            }
            for (d, dress) in Dress::ALL.into_iter().enumerate() {
                if !(a + f + d).is_multiple_of(share.dresses) {
                    continue;
                }
                let n = cut_bytes(site, format, saying, dress, Cuts::Singles, share.bytes);
                tally.add(format, action, n);
            }
            if !format.has_deltas {
                continue;
            }
            for (n, saying) in site.sayings.iter().enumerate() {
                if (a + f + n).is_multiple_of(share.sayings) {
                    tally.add(format, action, cut_text(site, format, saying, share.texts));
                }
            }
            let held = !format.is_call && format.places == 1;
            for saying in site.sayings.iter().chain(&sayings::long(action)).filter(|_| held) {
                characters += 1;
                // Of each action at least one text.
                if characters.is_multiple_of(share.characters) || saying.found == site.sayings[0].found && f == 0 {
                    tally.hold(action, every_character(site, format, saying));
                    tally.add(format, action, 1);
                }
            }
        }
    }
    if share.bytes == 1 {
        tally.print(begun);
    }
    for (action, held) in tally.held {
        assert!(held <= bound(action), "{action:?} held back {held} bytes");
    }
}
