//! Rules that are regular expressions, with one that is quickly asked whether any of them can match.

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind, Look, Repetition};

use super::prose::{PROSE, is_prose};
use super::{DOUBT, SURE};

/// Patterns over bytes: blanks, letters and digits are those of ASCII, and other characters of no kind. Automata are small and
/// fast so, and what stands behind knows no other blanks; [`super::layers`] folds those that something might.
pub(super) struct Rules {
    /// Those that look at the start of a text alone: they end soon.
    anchored: Vec<Regex>,
    others: Vec<Regex>,
    /// Matches wherever one of the others does, and in a little more.
    any: Option<Regex>,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rules({})", self.anchored.len() + self.others.len())
    }
}

impl Rules {
    pub(super) fn new(patterns: &[impl AsRef<str>]) -> Self {
        let parsed = patterns.iter().filter_map(|pattern| Some((pattern.as_ref(), parse(pattern.as_ref())?)));
        let (anchored, others): (Vec<_>, Vec<_>) =
            parsed.partition(|(_, hir)| hir.properties().look_set_prefix().contains(Look::Start));
        let compiled = |rules: &[(&str, Hir)]| rules.iter().filter_map(|(pattern, _)| compile(pattern)).collect();
        let any = Hir::alternation(others.iter().map(|(_, hir)| loosened(hir)).collect()).to_string();
        let rules = Self { anchored: compiled(&anchored), others: compiled(&others), any: compile(&any) };
        debug_assert_eq!(rules.anchored.len() + rules.others.len(), patterns.len(), "a rule does not compile");
        rules
    }

    pub(super) fn score(&self, text: &str) -> u8 {
        self.score_behind(text, PROSE)
    }

    /// As [`Self::score`], where it takes `words` to make it prose.
    pub(super) fn score_behind(&self, text: &str, words: usize) -> u8 {
        match self.first(text) {
            Some(at) if is_prose(text, at, words) => DOUBT,
            Some(_) => SURE,
            None => 0,
        }
    }

    /// Where the first match of any rule begins.
    fn first(&self, text: &str) -> Option<usize> {
        let bytes = text.as_bytes();
        if self.anchored.iter().any(|rule| rule.is_match(bytes)) {
            return Some(0);
        }
        // Most texts end here.
        if self.any.as_ref().is_some_and(|any| !any.is_match(bytes)) {
            return None;
        }
        self.others.iter().filter_map(|rule| rule.find(bytes)).map(|found| found.start()).min()
    }

    #[cfg(test)]
    pub(super) fn assert_compiled(&self, count: usize) {
        assert_eq!(self.anchored.len() + self.others.len(), count);
        assert!(self.any.is_some());
    }
}

fn parse(pattern: &str) -> Option<Hir> {
    ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).ok()
}

/// Over bytes, as all of these are.
pub(super) fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).unicode(false).build().ok()
}

/// Repetitions that are kept as they are written.
const FEW: u32 = 4;

/// An expression that matches wherever `hir` does: what comes more than a few times may come any number of times. Its automaton
/// is small.
fn loosened(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Look(_) | HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => hir.clone(),
        HirKind::Repetition(one) => {
            let sub = Box::new(loosened(&one.sub));
            let max = one.max.filter(|max| *max <= FEW);
            Hir::repetition(Repetition { min: one.min.min(FEW), max, greedy: one.greedy, sub })
        }
        HirKind::Capture(one) => loosened(&one.sub),
        HirKind::Concat(subs) => Hir::concat(subs.iter().map(loosened).collect()),
        HirKind::Alternation(subs) => Hir::alternation(subs.iter().map(loosened).collect()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_rule_finds_may_be_found() {
        for (pattern, text) in [
            (r"(?i)\bcat\s{2}x", "a cAt\t x"),
            (r"(?i)sk\w{1,9}=", "éSK1é=sk_="),
            (r"^\s{0,4}\d{2}$", " 12"),
            (r"a[^\s]{1,2}/", "aé/"),
            (r"a(?:b|\x00){3}c?", "ab\0b"),
        ] {
            let rules = Rules::new(&[pattern]);
            rules.assert_compiled(1);
            assert_eq!(rules.score(text), SURE, "{pattern} {text:?}");
            assert_eq!(rules.score("nothing of the kind"), 0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_let_go_that_a_rule_would_find(
            text in "([;|&`$({/.\\\\ =\n'\"<]|or|1=1|union|select|sleep\\(1|cat|sh|onx=|alert\\(1|\\.\\./|/etc/|passwd|\u{a0}|é|％|id|IFS|boot\\.ini|http://|\\PC){0,10}",
        ) {
            use super::super::{command, script, sql, traversal};
            for rules in [command::rules(), traversal::rules(), sql::rules(), script::rules()] {
                let found = rules.anchored.iter().chain(&rules.others).any(|rule| rule.is_match(text.as_bytes()));
                prop_assert_eq!(rules.score(&text) > 0, found, "{:?}", text);
            }
        }
    }
}
