//! Values that are planted in what a model is told, new for every request. One that comes back shows that the model repeats it.
//!
//! The value is looked for as a row of letters and digits, whatever stands between them, so that spaces, hyphens and markup hide
//! nothing; plain, backwards, and in the encodings that a model can be asked for.

use std::collections::VecDeque;
use std::sync::Arc;

use super::fold::{Form, fold};
use super::hit::{Hit, Source};
use super::managed::base64;

/// Bytes of text over which a canary may be spread: what a stream has to be able to hold back.
pub(super) const NEEDS: usize = 256;
/// Random bytes of one.
const RANDOM: usize = 16;

/// One value, and the rows of letters and digits that show it.
pub struct Canary {
    text: String,
    rows: Vec<Row>,
}

/// Shows nothing of it.
impl std::fmt::Debug for Canary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Canary({} rows)", self.rows.len())
    }
}

struct Row {
    letters: Vec<u8>,
    /// Capitals are other letters.
    exact: bool,
    /// By length of a beginning of the row: the longest shorter one that it ends with.
    shorter: Vec<usize>,
}

impl Canary {
    /// One made of random bytes.
    pub(crate) fn new(random: [u8; RANDOM]) -> Self {
        let text = letters(&random);
        let bytes = text.as_bytes();
        let codes = |write: fn(u8) -> String| -> String { bytes.iter().map(|byte| write(*byte)).collect() };
        let mut rows = vec![
            Row::new(&text, false),
            Row::new(&text.chars().rev().collect::<String>(), false),
            Row::new(&codes(|byte| char::from(rot13(byte)).to_string()), false),
            // Percent escapes too, as their signs are skipped.
            Row::new(&codes(|byte| format!("{byte:02x}")), false),
            Row::new(&codes(|byte| format!("x{byte:02x}")), false),
            Row::new(&codes(|byte| format!("u00{byte:02x}")), false),
            Row::new(&codes(|byte| byte.to_string()), false),
        ];
        rows.extend((0..3).map(|place| Row::new(&base64(bytes, place).replace(['+', '/'], ""), true)));
        Self { text, rows }
    }

    /// As it is planted.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn longest(&self) -> usize {
        self.rows.iter().map(|row| row.letters.len()).max().unwrap_or(0)
    }
}

/// Base32 in small letters.
pub(crate) fn letters(random: &[u8; RANDOM]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bits = u128::from_be_bytes(*random);
    let groups = (0..26_u32).map(|group| usize::try_from(bits >> (group * 5) & 31).unwrap_or_default());
    groups.filter_map(|group| ALPHABET.get(group)).map(|letter| char::from(*letter)).collect()
}

fn rot13(byte: u8) -> u8 {
    match byte {
        b'a'..=b'm' => byte + 13,
        b'n'..=b'z' => byte - 13,
        other => other,
    }
}

impl Row {
    fn new(letters: &str, exact: bool) -> Self {
        let letters = letters.as_bytes().to_vec();
        let mut shorter = vec![0; letters.len() + 1];
        let mut length = 0;
        for at in 1..letters.len() {
            while length > 0 && letters.get(at) != letters.get(length) {
                length = shorter.get(length).copied().unwrap_or(0);
            }
            if letters.get(at) == letters.get(length) {
                length += 1;
            }
            if let Some(slot) = shorter.get_mut(at + 1) {
                *slot = length;
            }
        }
        Self { letters, exact, shorter }
    }

    fn shorter(&self, length: usize) -> usize {
        self.shorter.get(length).copied().unwrap_or(0)
    }

    /// Letters that nobody writes by chance.
    fn telling(&self) -> usize {
        self.letters.len().div_ceil(2)
    }
}

/// The search on one text.
#[derive(Debug)]
pub(super) struct CanaryRun {
    canary: Arc<Canary>,
    /// By row: how much of it the text ends with.
    matched: Vec<usize>,
    /// Where the last letters and digits begin and end.
    recent: VecDeque<(usize, usize)>,
    longest: usize,
    /// Bytes over which a canary may be spread.
    limit: usize,
    /// What stands before this was let go.
    let_go: usize,
}

impl CanaryRun {
    pub(super) fn new(canary: &Arc<Canary>, limit: usize) -> Self {
        let (matched, longest) = (vec![0; canary.rows.len()], canary.longest());
        Self {
            canary: Arc::clone(canary),
            matched,
            recent: VecDeque::with_capacity(longest),
            longest,
            limit,
            let_go: 0,
        }
    }

    /// Reads `text`, which begins at position `at` of the whole text.
    pub(super) fn read(&mut self, text: &str, at: usize, hits: &mut Vec<Hit>) {
        for (i, c) in text.char_indices() {
            let place = (at + i, at + i + c.len_utf8());
            if c.is_ascii() {
                self.letter(c, place, hits);
            } else {
                let mut folded = [None; 18];
                let mut places = folded.iter_mut();
                fold(Form::Plain, c, |f| {
                    if let Some(slot) = places.next() {
                        *slot = Some(f);
                    }
                });
                folded.into_iter().flatten().for_each(|f| self.letter(f, place, hits));
            }
        }
    }

    fn letter(&mut self, c: char, place: (usize, usize), hits: &mut Vec<Hit>) {
        let Some(byte) = u8::try_from(c).ok().filter(u8::is_ascii_alphanumeric) else { return };
        if self.recent.len() == self.longest {
            self.recent.pop_front();
        }
        self.recent.push_back(place);
        let (recent, limit, end) = (&self.recent, self.limit, place.1);
        let begins = |length: usize| recent.len().checked_sub(length).and_then(|first| recent.get(first)).map(|p| p.0);
        let reaches = |length: usize| begins(length).is_some_and(|start| end.saturating_sub(start) <= limit);
        for (row, matched) in self.canary.rows.iter().zip(&mut self.matched) {
            let byte = if row.exact { byte } else { byte.to_ascii_lowercase() };
            while *matched > 0 && (row.letters.get(*matched) != Some(&byte) || !reaches(*matched + 1)) {
                *matched = row.shorter(*matched);
            }
            if row.letters.get(*matched) == Some(&byte) {
                *matched += 1;
            }
            if *matched == row.letters.len() {
                if let Some(start) = begins(*matched) {
                    hits.push(hit(start, end, end, false));
                }
                *matched = row.shorter(*matched);
            }
        }
    }

    /// Where the text ends with the beginning of a row, that beginning, if it is telling.
    fn open(&self, seen: usize, hits: &mut Vec<Hit>) {
        let end = self.recent.back().map_or(0, |place| place.1);
        for (row, matched) in self.canary.rows.iter().zip(&self.matched) {
            if *matched >= row.telling()
                && let Some(start) = self.begins(*matched)
            {
                hits.push(hit(start, end, seen, true));
            }
        }
    }

    pub(super) fn finish(&mut self, text_end: usize, hits: &mut Vec<Hit>) {
        self.open(text_end + 1, hits);
    }

    /// A telling beginning counts; everything is let go, and still counts.
    pub(super) fn stall(&mut self, text_end: usize, hits: &mut Vec<Hit>) {
        self.open(text_end, hits);
        self.let_go = text_end;
    }

    fn begins(&self, length: usize) -> Option<usize> {
        self.recent.len().checked_sub(length).and_then(|first| self.recent.get(first)).map(|place| place.0)
    }

    /// Where the earliest row begins that may still be completed.
    pub(super) fn live(&self, text_end: usize) -> Option<usize> {
        let from = self.let_go.max(text_end.saturating_sub(self.limit));
        let rows = self.canary.rows.iter().zip(&self.matched);
        let begins = rows.filter_map(|(row, matched)| {
            let lengths = std::iter::successors(Some(*matched), |length| Some(row.shorter(*length)));
            let mut starts = lengths.take_while(|length| *length > 0).filter_map(|length| self.begins(length));
            starts.find(|start| *start >= from)
        });
        begins.min()
    }
}

fn hit(start: usize, end: usize, seen: usize, open: bool) -> Hit {
    Hit { start, end, seen, source: Source::Canary, score: 100, open, tail: false }
}

#[cfg(test)]
mod tests {
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use postern_config::{
        DataProtection, Direction, Part, RuntimeAction, RuntimeDetector, RuntimeDetectorKind, RuntimeSecurity,
    };

    use super::*;
    use crate::scan::{ContentGuards, Exchange, InExchange, ScanError};
    use crate::text::TextGuards as _;

    fn guards(action: RuntimeAction, hold_back: usize, way: Direction) -> Result<Arc<ContentGuards>, ScanError> {
        let data = DataProtection { hold_back, ..DataProtection::default() };
        let detector = RuntimeDetector {
            name: "canary".to_owned(),
            owner: "RuntimeSecurityPolicy/default/r".to_owned(),
            kind: RuntimeDetectorKind::Canary,
            parts: vec![Part::Assistant],
            threshold: 100,
            action,
        };
        let runtime = RuntimeSecurity { detectors: vec![detector], ..RuntimeSecurity::default() };
        ContentGuards::compile(&data, &runtime, way).map(Arc::new)
    }

    fn canary() -> Arc<Canary> {
        Arc::new(Canary::new(*b"\x13\xf7sixteen bytes\x9a"))
    }

    fn with(action: RuntimeAction) -> InExchange {
        let guards = guards(action, 512, Direction::Response).unwrap();
        InExchange { guards, exchange: Exchange { canary: Some(canary()), tokens: None } }
    }

    fn separated(text: &str, by: &str) -> String {
        text.chars().map(|c| c.to_string()).collect::<Vec<_>>().join(by)
    }

    #[test]
    fn a_canary_is_found_in_every_form_that_a_model_can_be_asked_for() {
        let (guards, canary) = (with(RuntimeAction::Block), canary());
        let text = canary.text().to_owned();
        assert_eq!(text.len(), 26);
        let each = |write: fn(u8) -> String| -> String { text.bytes().map(write).collect() };
        let mut forms = vec![
            text.clone(),
            text.to_uppercase(),
            text.chars().rev().collect(),
            separated(&text, " "),
            separated(&text, "-\n* "),
            separated(&text, "\u{200b}"),
            each(|byte| format!("{byte:02x}")),
            each(|byte| format!("%{byte:02X}")),
            each(|byte| format!("\\x{byte:02x}")),
            each(|byte| format!("\\u00{byte:02x}")),
            each(|byte| format!("&#{byte};")),
            each(|byte| format!("{byte} ")),
            each(|byte| char::from(rot13(byte)).to_string()),
            each(|byte| char::from_u32(u32::from(byte) + 0xfee0).unwrap().to_string()),
        ];
        for before in ["", "a", "ab", "[Confidential reference "] {
            forms.push(STANDARD.encode(format!("{before}{text}. It is")));
            forms.push(URL_SAFE_NO_PAD.encode(format!("{before}{text}")));
        }
        for form in &forms {
            assert!(guards.judge(Part::Assistant, &format!("It says: {form}. Done")).blocked, "{form}");
            assert!(!guards.judge(Part::Reasoning, form).blocked, "a part that is not listed");
            let cut: String = form.chars().take(form.chars().count() / 3).collect();
            assert!(!guards.judge(Part::Assistant, &cut).blocked, "{cut}");
        }
        // An answer that ends in the middle of it shows enough.
        assert!(guards.judge(Part::Assistant, &format!("It says: {}", &text[..14])).blocked);
        assert!(!guards.judge(Part::Assistant, &format!("It says: {}, no", &text[..14])).blocked);
        assert!(!guards.judge(Part::Assistant, &separated(&text, &"x".repeat(9))).blocked, "other letters");
        let far = separated(&text, &" ".repeat(40));
        assert!(!guards.judge(Part::Assistant, &far).blocked, "further than a stream holds back");
        let exchange = Exchange { canary: Some(Arc::new(Canary::new([7; 16]))), tokens: None };
        let other = InExchange { exchange, guards: guards.guards.clone() };
        assert!(!other.judge(Part::Assistant, &text).blocked, "that of another exchange shows nothing");
        assert!(!guards.guards.judge(Part::Assistant, &text).blocked);
        assert!(!format!("{:?} {:?}", canary, guards.open(Part::Assistant)).contains(&text));
    }

    #[test]
    fn attack_49_a_stream_releases_nothing_of_a_canary_wherever_it_is_cut() {
        let (guards, canary) = (with(RuntimeAction::Redact), canary());
        let spaced = separated(canary.text(), " ");
        for (form, left) in [(canary.text().to_owned(), ""), (spaced, ""), (canary.text()[..20].to_owned(), "")] {
            let text = format!("It says {form}");
            let want = format!("It says [redacted:canary]{left}");
            for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                let mut stream = guards.open(Part::Assistant);
                let mut out = stream.push(&text[..at]).release;
                out.push_str(&stream.push(&text[at..]).release);
                out.push_str(&stream.finish().release);
                assert_eq!(out, want, "{at}");
            }
            let mut stream = guards.open(Part::Assistant);
            let mut out: String = text.chars().map(|c| stream.push(&c.to_string()).release).collect();
            out.push_str(&stream.stall().release);
            assert_eq!(out, want, "a stall is no way out");
        }
    }

    #[test]
    fn ordinary_text_is_not_held_longer_than_it_could_become_a_canary() {
        let guards = with(RuntimeAction::Block);
        let mut stream = guards.open(Part::Assistant);
        let released = stream.push("The orders of last week are fine, and so is the rest of them. ").release;
        assert!(released.len() >= 60, "{released}");
        // Signs that no row has do not keep what stands before them for ever.
        let first = canary().text()[..1].to_owned();
        assert!(stream.push(&first).release.is_empty());
        assert_eq!(stream.push(&" ".repeat(600)).release.len(), 601);
    }

    #[test]
    fn a_hold_back_that_is_too_small_for_a_canary_does_not_load() {
        assert!(guards(RuntimeAction::Block, 64, Direction::Response).is_err());
        assert!(guards(RuntimeAction::Block, 64, Direction::Request).is_ok(), "nothing is looked for there");
    }
}
