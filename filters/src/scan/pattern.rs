//! What one data detector looks for: patterns compiled into one automaton, with validators.

use std::collections::HashSet;
use std::fmt;

use postern_config::Validator;
use regex_automata::Anchored;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{MatchKind, nfa::thompson::NFA};
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::ScanError;
use super::fold::{Form, fold_str, is_invisible};
use super::validate;

/// Bytes an automaton may take; a pattern that needs more is refused.
const MAX_AUTOMATON: usize = 16 << 20;

/// A candidate, with a little of what stands before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'t> {
    pub(crate) before: &'t [u8],
    pub(crate) text: &'t [u8],
}

/// One shape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) pattern: &'static str,
    /// Whether the candidate is what it looks like; the score if so.
    pub(crate) check: fn(Candidate<'_>) -> Option<u8>,
    /// A longer candidate that fails the check takes an earlier, shorter one with it.
    pub(crate) whole: bool,
}

/// Characters that may stand before the first byte of a match, found by walking back: the local part of an address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lead {
    pub(crate) accepts: fn(u8) -> bool,
    /// At most this many, or it is no match; at least one.
    pub(crate) max: usize,
}

/// What a detector is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) shapes: &'static [Shape],
    pub(crate) lead: Option<Lead>,
    /// Whether what has been read of a candidate is enough to take it for a match when it cannot be waited for.
    pub(crate) evident: fn(&[u8]) -> bool,
    /// Bytes of text that a stream must be able to hold for it.
    pub(crate) needs: usize,
    /// Where in a match the value begins (after a keyword that only gives context).
    pub(crate) value: fn(&[u8]) -> usize,
}

#[derive(Debug)]
enum Check {
    Shape(fn(Candidate<'_>) -> Option<u8>, bool),
    Validated(Validator),
    Plain,
}

/// A compiled detector.
pub(crate) struct Pattern {
    dfa: dense::DFA<Vec<u32>>,
    checks: Vec<Check>,
    pub(crate) lead: Option<Lead>,
    evident: Evident,
    pub(crate) value: fn(&[u8]) -> usize,
    /// Longest match in folded bytes, `None` without a bound.
    pub(crate) max_len: Option<usize>,
    /// Start state for each byte that may stand before; the last is for the beginning of the text.
    starts: Vec<StateID>,
    /// Match states that nothing can follow: the byte that led there was only looked at.
    terminal: States,
    /// Match states whose candidate counts, found or refused, whatever was found before.
    decided: States,
}

/// Some states of an automaton, one bit each.
#[derive(Default)]
struct States {
    bits: Vec<u64>,
    /// Numbers of states are multiples of two to this.
    stride: usize,
}

impl States {
    fn add(&mut self, state: StateID) {
        let index = state.as_usize() >> self.stride;
        if self.bits.len() <= index / 64 {
            self.bits.resize(index / 64 + 1, 0);
        }
        if let Some(word) = self.bits.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    #[inline]
    fn has(&self, state: StateID) -> bool {
        let index = state.as_usize() >> self.stride;
        self.bits.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 != 0)
    }
}

/// Without the automaton, which may hold a secret.
impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pattern").field("max_len", &self.max_len).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Evident {
    By(fn(&[u8]) -> bool),
    FromLen(usize),
}

/// What a match state says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Match(u8),
    /// Not a match, and neither is what was found before.
    Veto,
}

impl Pattern {
    /// # Errors
    /// [`ScanError::Pattern`] if a built-in pattern does not compile, which a test rules out.
    pub(crate) fn from_recipe(recipe: &Recipe) -> Result<Self, ScanError> {
        let hirs: Vec<Hir> = recipe.shapes.iter().map(|s| parse(s.pattern, Bytes::Any)).collect::<Result<_, _>>()?;
        let checks = recipe.shapes.iter().map(|s| Check::Shape(s.check, s.whole)).collect();
        Ok(Self { lead: recipe.lead, value: recipe.value, ..Self::build(&hirs, checks, Evident::By(recipe.evident))? })
    }

    /// A pattern of a manifest. `\b` and `\B` look at ASCII word characters.
    ///
    /// # Errors
    /// [`ScanError::Pattern`] where it does not compile or is too large, [`ScanError::Folded`] where it asks for
    /// characters that folding removes or replaces.
    pub(crate) fn from_regex(pattern: &str, validate: Option<Validator>) -> Result<Self, ScanError> {
        let hir = parse(pattern, Bytes::Utf8)?;
        if let Some(c) = folded_away(&hir) {
            return Err(ScanError::Folded { pattern: pattern.to_owned(), character: c });
        }
        let min = hir.properties().minimum_len().unwrap_or(1);
        let check = validate.map_or(Check::Plain, Check::Validated);
        Self::build(&[hir], vec![check], Evident::FromLen(min.div_ceil(3).max(1)))
    }

    fn build(hirs: &[Hir], checks: Vec<Check>, evident: Evident) -> Result<Self, ScanError> {
        let max_len = hirs.iter().map(|h| h.properties().maximum_len()).try_fold(0, |a, b| b.map(|b| a.max(b)));
        let refuse = |source: Box<dyn std::error::Error + Send + Sync>| ScanError::Pattern { source };
        let nfa: NFA = thompson::Compiler::new()
            .configure(thompson::Config::new().utf8(false).nfa_size_limit(Some(MAX_AUTOMATON)))
            .build_many_from_hir(hirs)
            .map_err(|e| refuse(Box::new(e)))?;
        let config = dense::Config::new()
            .match_kind(MatchKind::All)
            .start_kind(StartKind::Anchored)
            .accelerate(false)
            .dfa_size_limit(Some(MAX_AUTOMATON))
            .determinize_size_limit(Some(2 * MAX_AUTOMATON));
        let dfa = dense::Builder::new().configure(config).build_from_nfa(&nfa).map_err(|e| refuse(Box::new(e)))?;
        let starts = (0..=256_u16)
            .map(|b| {
                let behind = start::Config::new().anchored(Anchored::Yes).look_behind(u8::try_from(b).ok());
                dfa.start_state(&behind)
            })
            .collect::<Result<_, _>>()
            .map_err(|e| refuse(Box::new(e)))?;
        let none = || States { bits: Vec::new(), stride: dfa.stride2() };
        let (terminal, decided) = (none(), none());
        let mut pattern = Self { dfa, checks, lead: None, evident, value: |_| 0, max_len, starts, terminal, decided };
        // One byte of each class: all others of it lead to the same state.
        let bytes: Vec<u8> = nfa.byte_classes().representatives(..).filter_map(|unit| unit.as_u8()).collect();
        pattern.know_states(&bytes);
        Ok(pattern)
    }

    /// Walks through all states once.
    fn know_states(&mut self, bytes: &[u8]) {
        let mut known: HashSet<StateID> = self.starts.iter().copied().collect();
        let mut open: Vec<StateID> = known.iter().copied().collect();
        while let Some(state) = open.pop() {
            let mut goes_on = false;
            for byte in bytes.iter().copied() {
                let next = self.next(state, byte);
                if !self.is_dead(next) {
                    goes_on = true;
                    if known.insert(next) {
                        open.push(next);
                    }
                }
            }
            let at_end = self.at_end(state);
            for state in [state, at_end] {
                if self.is_match(state) && self.checks_of(state).any(Check::decides) {
                    self.decided.add(state);
                }
            }
            if !goes_on && self.is_match(state) {
                self.terminal.add(state);
            }
        }
    }

    /// What candidates that end in the match state `state` have to pass.
    fn checks_of(&self, state: StateID) -> impl Iterator<Item = &Check> {
        (0..self.dfa.match_len(state)).filter_map(move |i| self.checks.get(self.dfa.match_pattern(state, i).as_usize()))
    }

    /// Whether the match state `state` is the end: its last byte was not part of the match.
    pub(crate) fn is_terminal(&self, state: StateID) -> bool {
        self.terminal.has(state)
    }

    /// Whether [`Pattern::judge`] of the match state `state` is never [`Found::Nothing`]: what was found before does not count then,
    /// and need not be known.
    pub(crate) fn is_decided(&self, state: StateID) -> bool {
        self.decided.has(state)
    }

    /// The state before the first byte of a match that follows `before`.
    pub(crate) fn start(&self, before: Option<u8>) -> StateID {
        let dead = StateID::ZERO;
        self.starts.get(before.map_or(256, usize::from)).copied().unwrap_or(dead)
    }

    pub(crate) fn next(&self, state: StateID, byte: u8) -> StateID {
        self.dfa.next_state(state, byte)
    }

    pub(crate) fn at_end(&self, state: StateID) -> StateID {
        self.dfa.next_eoi_state(state)
    }

    pub(crate) fn is_dead(&self, state: StateID) -> bool {
        self.dfa.is_special_state(state) && (self.dfa.is_dead_state(state) || self.dfa.is_quit_state(state))
    }

    pub(crate) fn is_match(&self, state: StateID) -> bool {
        self.dfa.is_special_state(state) && self.dfa.is_match_state(state)
    }

    /// What the match state `state` makes of `candidate`.
    pub(crate) fn judge(&self, state: StateID, candidate: Candidate<'_>) -> Found {
        let mut found = Found::Nothing;
        for check in self.checks_of(state) {
            match check.run(candidate) {
                Found::Match(score) => return Found::Match(score),
                Found::Veto => found = Found::Veto,
                Found::Nothing => {}
            }
        }
        found
    }

    pub(crate) fn is_evident(&self, read: &[u8]) -> bool {
        match self.evident {
            Evident::By(f) => f(read),
            Evident::FromLen(n) => read.len() >= n,
        }
    }
}

impl Check {
    /// Whether it never leaves things as they were.
    fn decides(&self) -> bool {
        matches!(self, Self::Plain | Self::Shape(_, true))
    }

    fn run(&self, candidate: Candidate<'_>) -> Found {
        let score = match self {
            Self::Plain => Some(100),
            Self::Validated(Validator::Luhn) => validate::luhn(candidate.text).then_some(100),
            Self::Validated(Validator::Iban) => validate::iban(candidate.text).then_some(100),
            Self::Shape(check, whole) => match check(candidate) {
                None if *whole => return Found::Veto,
                other => other,
            },
        };
        score.map_or(Found::Nothing, Found::Match)
    }
}

/// Longest text in bytes, as received, that `pattern` can match where no character is wider than four bytes; `None`
/// where there is no bound. Invisible characters inside a match come on top: a stream takes a candidate that outgrows
/// the hold-back for a match.
///
/// # Errors
/// [`ScanError::Pattern`] where it does not compile.
pub fn max_match_len(pattern: &str) -> Result<Option<usize>, ScanError> {
    Ok(parse(pattern, Bytes::Utf8)?.properties().maximum_len())
}

/// Whether a pattern may match half of a character; ours say which bytes they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bytes {
    Utf8,
    Any,
}

fn parse(pattern: &str, bytes: Bytes) -> Result<Hir, ScanError> {
    regex_syntax::ParserBuilder::new()
        .utf8(bytes == Bytes::Utf8)
        .nest_limit(64)
        .build()
        .parse(pattern)
        .map(|hir| ascii_boundaries(&hir))
        .map_err(|e| ScanError::Pattern { source: Box::new(e) })
}

/// The same expression with word boundaries on ASCII: an automaton over bytes cannot look at what Unicode calls a word.
fn ascii_boundaries(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Look(look) => Hir::look(match look {
            Look::WordUnicode => Look::WordAscii,
            Look::WordUnicodeNegate => Look::WordAsciiNegate,
            Look::WordStartUnicode => Look::WordStartAscii,
            Look::WordEndUnicode => Look::WordEndAscii,
            Look::WordStartHalfUnicode => Look::WordStartHalfAscii,
            Look::WordEndHalfUnicode => Look::WordEndHalfAscii,
            other => *other,
        }),
        HirKind::Repetition(r) => {
            let mut repeated = r.clone();
            repeated.sub = Box::new(ascii_boundaries(&r.sub));
            Hir::repetition(repeated)
        }
        HirKind::Capture(c) => ascii_boundaries(&c.sub),
        HirKind::Concat(subs) => Hir::concat(subs.iter().map(ascii_boundaries).collect()),
        HirKind::Alternation(subs) => Hir::alternation(subs.iter().map(ascii_boundaries).collect()),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => hir.clone(),
    }
}

/// A character that `hir` insists on and that no folded text has. Such a pattern could never match.
fn folded_away(hir: &Hir) -> Option<char> {
    let changed = |c: char| fold_str(Form::Plain, c.encode_utf8(&mut [0; 4])) != *c.encode_utf8(&mut [0; 4]);
    match hir.kind() {
        HirKind::Literal(l) => std::str::from_utf8(&l.0).ok()?.chars().find(|&c| changed(c)),
        HirKind::Class(Class::Unicode(class)) => {
            let few = class.ranges().iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum::<usize>() <= 64;
            let mut members = class.ranges().iter().flat_map(|r| r.start()..=r.end());
            let first = members.clone().next()?;
            (few && members.all(|c| changed(c) || is_invisible(c))).then_some(first)
        }
        HirKind::Repetition(r) if r.min == 0 => None,
        HirKind::Repetition(r) => folded_away(&r.sub),
        HirKind::Capture(c) => folded_away(&c.sub),
        HirKind::Concat(subs) => subs.iter().find_map(folded_away),
        HirKind::Alternation(subs) => subs.iter().map(folded_away).collect::<Option<Vec<_>>>()?.first().copied(),
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_how_long_a_match_can_be() {
        for (pattern, want) in
            [(r"\bACME-\d{6}\b", Some(5 + 6 * 4)), ("a+", None), ("(ab|cde){1,3}", Some(9)), ("[^x]{2}", Some(8))]
        {
            assert_eq!(max_match_len(pattern).unwrap(), want, "{pattern}");
        }
        assert!(max_match_len("(").is_err());
    }

    #[test]
    fn refuses_a_pattern_that_folding_makes_impossible() {
        for (pattern, refused) in [
            ("a\u{200b}b", true),
            ("[\u{ff10}-\u{ff19}]{4}", true),
            ("\u{2013}?x", false),
            ("[-\u{2013}]x", false),
            (r"\d{4}", false),
            ("café|паспорт", false),
        ] {
            let outcome = Pattern::from_regex(pattern, None);
            assert_eq!(matches!(outcome, Err(ScanError::Folded { .. })), refused, "{pattern}");
        }
        let large = Pattern::from_regex(r"(?:\w{90}){90}x", None);
        assert!(matches!(large, Err(ScanError::Pattern { .. })));
    }
}
