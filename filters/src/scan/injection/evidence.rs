//! Rules over the words of late, and what they add up to.

use std::collections::VecDeque;

use super::signatures::{MAX_SPAN, Rule, Signatures};
use super::vocabulary::Classes;
use super::words::Word;
use crate::scan::hit::{Hit, Source};

/// Words that rules can look back on.
const REMEMBERED: usize = 40;
/// Pieces of evidence that can add up.
const PIECES: usize = 16;
/// How far talk about attacks reaches, in bytes of text.
const TALK_REACH: usize = 600;

/// One rule that fired.
#[derive(Debug, Clone, Copy)]
struct Piece {
    family: usize,
    score: u8,
    start: usize,
    end: usize,
}

/// The state on one text.
#[derive(Debug)]
pub(super) struct Evidence {
    source: Source,
    limit: usize,
    least: u8,
    /// With how far a rule reaches that the word can begin.
    words: VecDeque<(Word, u64)>,
    pieces: VecDeque<Piece>,
    /// Ends of the latest words that talk about attacks.
    talk: VecDeque<usize>,
    /// Families of which a rule fired, one bit each.
    fired: u64,
}

impl Evidence {
    pub(super) fn new(source: Source, limit: usize, least: u8) -> Self {
        Self { source, limit, least, words: VecDeque::new(), pieces: VecDeque::new(), talk: VecDeque::new(), fired: 0 }
    }

    /// Where the evidence and the words stand that a finding could begin with.
    pub(super) fn opens(&self, unit: u64) -> impl Iterator<Item = usize> {
        // Two units of grace: the word that completes a rule is counted once it has ended.
        let words = self.words.iter().filter(move |(w, reach)| *reach > 0 && unit.saturating_sub(w.unit) <= reach + 2);
        self.pieces.iter().map(|p| p.start).chain(words.map(|(w, _)| w.start))
    }

    /// Families of which a rule fired, one bit each.
    pub(super) fn fired(&self) -> u64 {
        self.fired
    }

    /// Looks at what `word` completes.
    pub(super) fn add(&mut self, signatures: &Signatures, word: Word, hits: &mut Vec<Hit>) {
        let limit = self.limit;
        self.pieces.retain(|p| word.seen - p.start <= limit);
        if word.classes & signatures.discuss != 0 {
            self.talk.push_back(word.end);
            if self.talk.len() > 3 {
                self.talk.pop_front();
            }
        }
        if self.words.len() == REMEMBERED {
            self.words.pop_front();
        }
        self.words.push_back((word, signatures.reach(word.classes)));
        if !signatures.completes_any(word.classes) {
            return;
        }
        let recent = self.recent(word);
        let mut fired = false;
        for rule in signatures.completed_by(word.classes).filter(|r| r.could_be(recent)) {
            if let Some(start) = self.completes(rule, word) {
                self.note(rule, start, word);
                fired = true;
            }
        }
        if fired {
            self.sum_up(word, hits);
        }
    }

    /// Classes of the words that a rule could still take together with `word`.
    fn recent(&self, word: Word) -> Classes {
        let near = |w: &&(Word, u64)| w.0.sentence == word.sentence && word.unit - w.0.unit <= MAX_SPAN;
        self.words.iter().rev().take_while(near).fold(0, |sum, (w, _)| sum | w.classes)
    }

    /// Where the words that fulfil `rule` begin, if `word` is the last of them.
    fn completes(&self, rule: &Rule, word: Word) -> Option<usize> {
        let candidates = || {
            self.words.iter().rev().skip(1).map(|(w, _)| w).take_while(move |w| {
                w.sentence == word.sentence && word.unit - w.unit <= rule.span && word.seen - w.start <= self.limit
            })
        };
        let first = if rule.ordered {
            let (last, rest) = rule.slots.split_last()?;
            if !last.takes(word.classes) {
                return None;
            }
            let mut words = candidates();
            rest.iter().rev().try_fold(word, |_, slot| words.find(|w| slot.takes(w.classes)).copied())?
        } else {
            (0..rule.slots.len()).find_map(|own| {
                let mut used = vec![word.start];
                let mut first = word;
                for (i, slot) in rule.slots.iter().enumerate() {
                    if i == own {
                        slot.takes(word.classes).then_some(())?;
                        continue;
                    }
                    let other = candidates().find(|w| slot.takes(w.classes) && !used.contains(&w.start))?;
                    used.push(other.start);
                    first = if other.start < first.start { *other } else { first };
                }
                Some(first)
            })?
        };
        let excepted = |w: &Word| w.classes & rule.unless != 0 && w.unit < first.unit && first.unit - w.unit <= 6;
        let spared = rule.unless != 0 && self.words.iter().any(|(w, _)| excepted(w) && w.sentence == first.sentence);
        (!spared).then_some(first.start)
    }

    fn note(&mut self, rule: &Rule, start: usize, word: Word) {
        let talk = self.talk.iter().filter(|end| word.end.saturating_sub(**end) <= TALK_REACH).count();
        let doubt = match talk {
            0 | 1 => 0,
            2 => 8,
            _ => 16,
        };
        if self.pieces.len() == PIECES {
            self.pieces.pop_front();
        }
        let score = rule.score.saturating_sub(doubt);
        self.fired |= 1_u64.checked_shl(rule.family as u32).unwrap_or(0);
        self.pieces.push_back(Piece { family: rule.family, score, start, end: word.end });
    }

    fn sum_up(&self, word: Word, hits: &mut Vec<Hit>) {
        let best = |family: usize| self.pieces.iter().filter(|p| p.family == family).map(|p| p.score).max();
        let mut families: Vec<usize> = self.pieces.iter().map(|p| p.family).collect();
        families.sort_unstable();
        families.dedup();
        let doubt =
            families.iter().filter_map(|f| best(*f)).fold(100_u32, |d, s| d * (100 - u32::from(s.min(100))) / 100);
        let score = u8::try_from(100_u32.saturating_sub(doubt)).unwrap_or(100);
        if score < self.least {
            return;
        }
        let start = self.pieces.iter().map(|p| p.start).min().unwrap_or(word.start);
        let end = self.pieces.iter().map(|p| p.end).max().unwrap_or(word.end);
        hits.push(Hit { start, end, seen: word.seen, source: self.source, score, open: false, tail: false });
    }
}
