//! Text that a model reads and a person does not see: tag characters, zero-width runs, directional overrides,
//! variation selectors that carry bytes. Comments and hidden elements of HTML are in [`markup`].
//!
//! The same characters have honest uses, which score 0: emoji joined or styled, flags, joiners inside Arabic and Indic
//! words, line-break hints in Thai, one byte order mark at the beginning, soft hyphens between letters.

pub(crate) mod markup;

use super::blocks::ascii_run;
use super::fold::is_invisible;
use super::hit::{Hit, Source};

/// Characters that show nothing, next to each other.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: usize,
    end: usize,
    count: usize,
    first: char,
    last: char,
    /// Not all characters are the same.
    mixed: bool,
    tags: usize,
    selectors: usize,
    overrides: usize,
    embeddings: usize,
    /// Goes on where an open hit stopped.
    tail: bool,
}

/// The state on one text.
#[derive(Debug)]
pub(crate) struct HiddenRuns {
    limit: usize,
    /// A score below this is not reported.
    least: u8,
    before: Option<char>,
    run: Option<Run>,
}

impl HiddenRuns {
    pub(crate) fn new(limit: usize, least: u8) -> Self {
        Self { limit, least, before: None, run: None }
    }

    /// Reads `text`, which begins at position `at`.
    pub(crate) fn read(&mut self, text: &str, at: usize, hits: &mut Vec<Hit>) {
        let mut i = 0;
        while let Some(rest) = text.get(i..).filter(|rest| !rest.is_empty()) {
            // Of ASCII all is seen, and only the last is asked for.
            let ascii = if self.run.is_none() { ascii_run(rest.as_bytes()) } else { 0 };
            if let Some(last) = ascii.checked_sub(1) {
                self.before = rest.as_bytes().get(last).map(|b| char::from(*b));
                i += ascii;
                continue;
            }
            let Some(c) = rest.chars().next() else { break };
            let (start, end) = (at + i, at + i + c.len_utf8());
            i += c.len_utf8();
            if is_invisible(c) {
                self.extend(c, start, end, hits);
            } else {
                self.close(Some(c), end, hits);
                self.before = Some(c);
            }
        }
    }

    pub(crate) fn finish(&mut self, text_end: usize, hits: &mut Vec<Hit>) {
        self.close(None, text_end + 1, hits);
    }

    /// The run so far is judged as if the text ended here.
    pub(crate) fn stall(&mut self, text_end: usize, hits: &mut Vec<Hit>) {
        self.close(None, text_end, hits);
    }

    pub(crate) fn live(&self) -> Option<usize> {
        self.run.map(|r| r.start)
    }

    fn extend(&mut self, c: char, start: usize, end: usize, hits: &mut Vec<Hit>) {
        if let Some(run) = self.run.filter(|r| end - r.start > self.limit) {
            let seen = run.start + self.limit + 1;
            hits.push(run.hit(100, seen, true));
            self.run = Some(Run { tail: true, ..Run::new(c, start, end) });
            return;
        }
        match &mut self.run {
            None => self.run = Some(Run::new(c, start, end)),
            Some(run) => run.add(c, end),
        }
    }

    fn close(&mut self, next: Option<char>, seen: usize, hits: &mut Vec<Hit>) {
        let Some(run) = self.run.take() else { return };
        let score = if run.tail { 100 } else { run.score(self.before, next) };
        if score >= self.least {
            hits.push(run.hit(score, seen, false));
        }
    }
}

impl Run {
    fn new(c: char, start: usize, end: usize) -> Self {
        let mut run = Self {
            start,
            end,
            count: 0,
            first: c,
            last: c,
            mixed: false,
            tags: 0,
            selectors: 0,
            overrides: 0,
            embeddings: 0,
            tail: false,
        };
        run.add(c, end);
        run
    }

    fn add(&mut self, c: char, end: usize) {
        self.end = end;
        self.count += 1;
        self.mixed |= c != self.first;
        self.last = c;
        match c {
            '\u{E0000}'..='\u{E007F}' => self.tags += 1,
            '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' => self.selectors += 1,
            '\u{202D}' | '\u{202E}' => self.overrides += 1,
            '\u{202A}' | '\u{202B}' | '\u{2066}'..='\u{2068}' => self.embeddings += 1,
            _ => {}
        }
    }

    fn hit(&self, score: u8, seen: usize, open: bool) -> Hit {
        Hit { start: self.start, end: self.end, seen, source: Source::Hidden, score, open, tail: self.tail }
    }

    fn score(&self, before: Option<char>, next: Option<char>) -> u8 {
        if self.tags > 0 {
            // A subdivision flag: black flag, up to six letters or digits, cancel tag.
            let flag = before == Some('\u{1F3F4}') && self.tags == self.count && self.count <= 8;
            return if flag && self.last == '\u{E007F}' { 0 } else { 100 };
        }
        if self.overrides > 0 {
            return 95;
        }
        if self.selectors > 0 {
            return self.score_selectors(before, next);
        }
        if self.embeddings > 0 {
            return if self.count > 2 { 85 } else { 50 };
        }
        match self.count {
            1 => score_single(self.first, before, next),
            2 if self.mixed => 60,
            2 => 40,
            3 => 80,
            4..=7 if self.mixed => 95,
            4..=7 => 85,
            _ => 95,
        }
    }

    /// One selector styles the character before it; more of them are a way to carry bytes.
    fn score_selectors(&self, before: Option<char>, next: Option<char>) -> u8 {
        let joined = self.count == 2 && self.last == '\u{200D}' && next.is_some_and(|c| !c.is_ascii());
        match self.count {
            1 if matches!(self.first, '\u{FE00}'..='\u{FE0F}') => 0,
            1 if before.is_some_and(is_ideograph) => 0,
            1 => 70,
            2 if joined => 0,
            2 if !self.mixed => 40, // typed twice
            2 => 85,
            _ => 95,
        }
    }
}

/// One invisible character, by what stands around it.
fn score_single(c: char, before: Option<char>, next: Option<char>) -> u8 {
    let both = |f: fn(char) -> bool| before.is_some_and(f) && next.is_some_and(f);
    let inside_ascii_word = both(|c| c.is_ascii_alphanumeric());
    match c {
        '\u{FEFF}' if before.is_none() => 0,
        '\u{AD}' if both(char::is_alphanumeric) => 0,
        '\u{AD}' => 30,
        '\u{200E}' | '\u{200F}' | '\u{61C}' | '\u{202C}' | '\u{2069}' => 0,
        '\u{200C}' | '\u{200D}' if before.is_some_and(joins) || next.is_some_and(joins) => 0,
        '\u{200C}' | '\u{200D}' if inside_ascii_word => 60,
        _ if inside_ascii_word => 85,
        '\u{200B}' | '\u{2060}' | '\u{180E}' | '\u{17B4}' | '\u{17B5}' if before.is_some_and(joins) => 0,
        _ => 40,
    }
}

/// Whether joiners and break hints are ordinary next to `c`: letters of scripts that shape or do not space, and emoji.
fn joins(c: char) -> bool {
    !c.is_ascii() && !matches!(c, '\u{80}'..='\u{52F}')
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(text: &str) -> u8 {
        let (mut runs, mut hits) = (HiddenRuns::new(512, 1), Vec::new());
        runs.read(text, 0, &mut hits);
        runs.finish(text.len(), &mut hits);
        hits.iter().map(|h| h.score).max().unwrap_or(0)
    }

    #[test]
    fn finds_what_nobody_sees() {
        for (case, text) in [
            ("tag characters", "hello\u{E0069}\u{E0067}\u{E006E} world"),
            ("a lone tag", "x\u{E0001}"),
            ("an override", "file\u{202E}gpj.exe"),
            ("zero-width bits", "a\u{200b}\u{200c}\u{200b}\u{200c}\u{200c}b"),
            ("a split word", "ig\u{200b}nore"),
            ("a split word at the end", "x\u{2063}y"),
            ("bytes in selectors", "😀\u{E0158}\u{E0155}\u{E015C}"),
            (
                "a flag that says more",
                "🏴\u{E0067}\u{E0062}\u{E0067}\u{E0062}\u{E0067}\u{E0062}\u{E0067}\u{E0062}\u{E007F}",
            ),
        ] {
            assert!(best(text) >= 80, "{case}: {}", best(text));
        }
    }

    #[test]
    fn leaves_honest_uses_alone() {
        for (case, text) in [
            ("family", "👨\u{200d}👩\u{200d}👧 and ❤\u{fe0f}\u{200d}🔥"),
            ("keycap", "1\u{fe0f}\u{20e3}"),
            ("flag of Scotland", "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}!"),
            ("Persian", "می\u{200c}خواهم"),
            ("Hindi", "क्\u{200d}ष"),
            ("Thai", "ภาษา\u{200b}ไทย"),
            ("byte order mark", "\u{feff}hello"),
            ("soft hyphens", "Donau\u{ad}dampf\u{ad}schiff"),
            ("one mark of direction", "abc\u{200f} אבג"),
            ("ideographic variant", "葛\u{E0100}飾区"),
            ("nothing at all", "plain"),
        ] {
            assert!(best(text) < 50, "{case}: {}", best(text));
        }
    }
}
