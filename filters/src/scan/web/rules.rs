//! Rules that are regular expressions, with one that is quickly asked whether any of them can match.

use regex::{Regex, bytes};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, ClassUnicode, Hir, HirKind, Look, Repetition};

use super::{DOUBT, PROSE, SURE, is_prose};

pub(super) struct Rules {
    each: Vec<Regex>,
    /// Matches wherever one of them does, and in a little more.
    any: Option<bytes::Regex>,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rules({})", self.each.len())
    }
}

impl Rules {
    pub(super) fn new(patterns: &[impl AsRef<str>]) -> Self {
        let each = patterns.iter().filter_map(|pattern| Regex::new(pattern.as_ref()).ok()).collect();
        let loose = |pattern: &str| regex_syntax::parse(pattern).ok().map(|hir| loosened(&hir));
        let loose: Option<Vec<Hir>> = patterns.iter().map(|pattern| loose(pattern.as_ref())).collect();
        let any = loose.map(|loose| Hir::alternation(loose).to_string());
        Self { each, any: any.and_then(|any| bytes::Regex::new(&any).ok()) }
    }

    pub(super) fn score(&self, text: &str) -> u8 {
        // Most texts end here.
        if self.any.as_ref().is_some_and(|any| !any.is_match(text.as_bytes())) {
            return 0;
        }
        let found = self.each.iter().filter_map(|rule| rule.find(text)).map(|found| found.start()).min();
        match found {
            Some(at) if is_prose(text, at, PROSE) => DOUBT,
            Some(_) => SURE,
            None => 0,
        }
    }

    #[cfg(test)]
    pub(super) fn assert_compiled(&self, count: usize) {
        assert_eq!(self.each.len(), count);
        assert!(self.any.is_some());
    }
}

/// An expression over bytes that matches wherever `hir` does: what is not ASCII is any run of bytes, what is counted may come
/// any number of times, and no word has boundaries. Its automaton is small.
fn loosened(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Look(Look::Start | Look::End) | HirKind::Empty | HirKind::Literal(_) => hir.clone(),
        HirKind::Look(_) => Hir::empty(),
        HirKind::Class(Class::Unicode(class)) => of_bytes(class),
        HirKind::Class(Class::Bytes(class)) => Hir::class(Class::Bytes(class.clone())),
        HirKind::Repetition(one) => {
            let sub = Box::new(loosened(&one.sub));
            let many = one.max.is_none_or(|max| max > 1);
            let (min, max) = (one.min.min(1), if many { None } else { one.max });
            Hir::repetition(Repetition { min, max, greedy: one.greedy, sub })
        }
        HirKind::Capture(one) => loosened(&one.sub),
        HirKind::Concat(subs) => Hir::concat(subs.iter().map(loosened).collect()),
        HirKind::Alternation(subs) => Hir::alternation(subs.iter().map(loosened).collect()),
    }
}

/// A byte of the ASCII characters of `class`, or as many others as a character has.
fn of_bytes(class: &ClassUnicode) -> Hir {
    let mut bytes = ClassBytes::empty();
    let mut others = false;
    for range in class.ranges() {
        let ascii = |c: char| u8::try_from(c).ok().filter(u8::is_ascii);
        match (ascii(range.start()), ascii(range.end())) {
            (Some(first), Some(last)) => bytes.push(ClassBytesRange::new(first, last)),
            (Some(first), None) => {
                bytes.push(ClassBytesRange::new(first, 0x7F));
                others = true;
            }
            (None, _) => others = true,
        }
    }
    if !others {
        return Hir::class(Class::Bytes(bytes));
    }
    bytes.push(ClassBytesRange::new(0x80, 0xFF));
    // The bytes behind the first.
    let more = Hir::class(Class::Bytes(ClassBytes::new([ClassBytesRange::new(0x80, 0xBF)])));
    let more = Hir::repetition(Repetition { min: 0, max: None, greedy: true, sub: Box::new(more) });
    Hir::concat(vec![Hir::class(Class::Bytes(bytes)), more])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_rule_finds_may_be_found() {
        for (pattern, text) in [
            (r"(?i)\bcat\s{2}x", "a cAt\u{3000} x"),
            (r"(?i)sk\w{1,3}=", "\u{17f}\u{212a}é="),
            (r"^\s{0,4}\d{2}$", "\u{a0}\u{661}2"),
            (r"\x{FF0E}{2}[^\s]{1,2}/", "．．é/"),
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
            text in "([;|&`$({/.\\\\ =\n]|cat|sh|ſh|\\.\\./|/etc/|passwd|\u{a0}|\u{3000}|é|％|id|IFS|boot\\.ini|http://|\\PC){0,10}",
        ) {
            for rules in [super::super::command::rules(), super::super::traversal::rules()] {
                let found = rules.each.iter().any(|rule| rule.is_match(&text));
                prop_assert_eq!(rules.score(&text) > 0, found, "{:?}", text);
            }
        }
    }
}
