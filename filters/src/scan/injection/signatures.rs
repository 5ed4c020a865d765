//! The file of signatures, read into classes and rules.

use std::collections::HashMap;
use std::fmt;

use super::vocabulary::{Classes, Vocabulary};
use crate::scan::fold::{Form, fold_str};

/// Class of a word that a colon follows.
pub(super) const COLON: Classes = 1;
/// Class of the first word of a line.
pub(super) const LINE: Classes = 2;

/// Units that a rule may span.
pub(super) const MAX_SPAN: u64 = 24;

/// Words and rules.
pub(crate) struct Signatures {
    pub(super) vocabulary: Vocabulary,
    pub(super) rules: Vec<Rule>,
    /// Names of the families of rules.
    families: Vec<String>,
    /// Talk about attacks.
    pub(super) discuss: Classes,
    /// By class: the rules that a word of it can complete.
    completed: Vec<Vec<usize>>,
    /// Classes of words that can complete a rule.
    completing: Classes,
    /// By class: how far the longest rule reaches that a word of it can begin, in units; 0 where there is none.
    reaches: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) family: usize,
    pub(super) score: u8,
    /// From the first to the last word, in units of half a word.
    pub(super) span: u64,
    pub(super) ordered: bool,
    pub(super) unless: Classes,
    pub(super) slots: Vec<Slot>,
    /// Classes of words that can come last.
    last: Classes,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    any: Classes,
    all: Classes,
}

impl Slot {
    pub(super) fn takes(self, classes: Classes) -> bool {
        classes & self.any != 0 && classes & self.all == self.all
    }
}

impl Rule {
    /// Whether words of these classes could fulfil it, wherever they stand.
    pub(super) fn could_be(&self, recent: Classes) -> bool {
        self.slots.iter().all(|s| s.any & recent != 0)
    }
}

/// Shows how many rules there are.
impl fmt::Debug for Signatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signatures({} rules)", self.rules.len())
    }
}

impl Signatures {
    /// Names of the families in a set of them.
    pub(crate) fn names(&self, families: u64) -> impl Iterator<Item = &str> {
        let in_set =
            move |(place, _): &(usize, &String)| families.checked_shr(*place as u32).is_some_and(|rest| rest & 1 == 1);
        self.families.iter().enumerate().filter(in_set).map(|(_, name)| name.as_str())
    }

    /// The rules that a word of `classes` can complete, each once.
    pub(super) fn completed_by(&self, classes: Classes) -> impl Iterator<Item = &Rule> {
        bits(classes).flat_map(move |bit| {
            let rules = self.completed.get(bit).map_or(&[][..], Vec::as_slice).iter();
            let first = move |r: &&Rule| (r.last & classes).trailing_zeros() as usize == bit;
            rules.filter_map(|i| self.rules.get(*i)).filter(first)
        })
    }

    #[inline]
    pub(super) fn completes_any(&self, classes: Classes) -> bool {
        classes & self.completing != 0
    }

    /// How far a rule reaches that a word of `classes` can begin, in units; 0 where there is none.
    pub(super) fn reach(&self, classes: Classes) -> u64 {
        bits(classes).filter_map(|bit| self.reaches.get(bit)).copied().max().unwrap_or(0)
    }

    /// # Errors
    /// The line that is not understood.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = FileReader::new();
        for (number, line) in text.lines().enumerate() {
            reader.line(line.trim()).map_err(|why| format!("line {}: {why}", number + 1))?;
        }
        reader.build()
    }
}

fn bits(mut classes: Classes) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (classes != 0).then(|| classes.trailing_zeros())?;
        classes &= classes - 1;
        Some(bit as usize)
    })
}

struct FileReader {
    classes: HashMap<String, Classes>,
    words: HashMap<String, Classes>,
    families: Vec<String>,
    rules: Vec<Rule>,
}

impl FileReader {
    fn new() -> Self {
        let classes = HashMap::from([("colon".to_owned(), COLON), ("line".to_owned(), LINE)]);
        Self { classes, words: HashMap::new(), families: Vec::new(), rules: Vec::new() }
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with("# ") || line == "#" {
            return Ok(());
        }
        if let Some(class) = line.strip_prefix('@') {
            let (name, words) = class.split_once(':').ok_or("a class has no words")?;
            return self.class(name, words);
        }
        let rule = line.strip_prefix("rule ").ok_or("neither a class nor a rule")?;
        let (head, slots) = rule.rsplit_once(": ").ok_or("a rule has no slots")?;
        self.rule(head, slots)
    }

    fn class(&mut self, name: &str, words: &str) -> Result<(), String> {
        let bit = u32::try_from(self.classes.len())
            .ok()
            .and_then(|n| Classes::from(1_u8).checked_shl(n))
            .ok_or("too many classes")?;
        if self.classes.insert(name.to_owned(), bit).is_some() {
            return Err(format!("class `{name}` is there twice"));
        }
        for word in words.split_whitespace() {
            let folded = fold_str(Form::Skeleton, word).to_ascii_lowercase();
            *self.words.entry(folded).or_default() |= bit;
        }
        Ok(())
    }

    fn rule(&mut self, head: &str, slots: &str) -> Result<(), String> {
        let mut fields = head.split_whitespace();
        let mut field = |what: &str| fields.next().ok_or(format!("a rule has no {what}"));
        let (family, score, span) = (field("family")?, field("score")?, field("span")?);
        let ordered = match field("order")? {
            "ordered" => true,
            "any" => false,
            other => return Err(format!("`{other}` is neither `ordered` nor `any`")),
        };
        let unless = match fields.next() {
            None => 0,
            Some(word) => self.class_of(word.strip_prefix('!').ok_or("an exception begins with `!`")?)?,
        };
        let score: u8 = score.parse().map_err(|e| format!("score: {e}"))?;
        let span = u64::from(span.parse::<u8>().map_err(|e| format!("span: {e}"))?);
        let slots = slots.split_whitespace().map(|s| self.slot(s)).collect::<Result<Vec<_>, _>>()?;
        if slots.is_empty() || score > 100 || span * 2 > MAX_SPAN {
            return Err("a rule needs slots, a score up to 100 and a span up to 12".into());
        }
        let family = self.family(family);
        let closers = if ordered { 1 } else { slots.len() };
        let last = slots.iter().rev().take(closers).fold(0, |sum, s| sum | s.any);
        self.rules.push(Rule { family, score, span: span * 2, ordered, unless, slots, last });
        Ok(())
    }

    fn family(&mut self, name: &str) -> usize {
        if let Some(known) = self.families.iter().position(|f| f == name) {
            return known;
        }
        self.families.push(name.to_owned());
        self.families.len() - 1
    }

    fn slot(&self, text: &str) -> Result<Slot, String> {
        let mut all = text.split('+');
        let mut any = 0;
        for name in all.next().unwrap_or_default().split('|') {
            any |= self.class_of(name)?;
        }
        let all = all.try_fold(0, |sum, name| self.class_of(name).map(|c| sum | c))?;
        Ok(Slot { any, all })
    }

    fn class_of(&self, name: &str) -> Result<Classes, String> {
        self.classes.get(name).copied().ok_or(format!("no class `{name}`"))
    }

    fn build(self) -> Result<Signatures, String> {
        let discuss = self.class_of("discuss")?;
        let mut vocabulary = Vocabulary::new();
        for (word, classes) in &self.words {
            vocabulary.insert(word, *classes)?;
        }
        let completing = self.rules.iter().fold(0, |sum, rule| sum | rule.last);
        let mut completed = vec![Vec::new(); self.classes.len()];
        let mut reaches = vec![0; self.classes.len()];
        for (i, rule) in self.rules.iter().enumerate() {
            for bit in bits(rule.last) {
                if let Some(rules) = completed.get_mut(bit) {
                    rules.push(i);
                }
            }
            let openers = if rule.ordered { 1 } else { rule.slots.len() };
            let first = rule.slots.iter().take(openers).fold(0, |sum, s| sum | s.any);
            for bit in bits(first) {
                if let Some(reach) = reaches.get_mut(bit) {
                    *reach = rule.span.max(*reach);
                }
            }
        }
        Ok(Signatures {
            vocabulary,
            rules: self.rules,
            families: self.families,
            discuss,
            completed,
            completing,
            reaches,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_is_understood() {
        crate::scan::injection::signatures().unwrap();
    }

    #[test]
    fn a_malformed_line_is_named() {
        for (text, want) in [
            ("@a", "line 1: a class has no words"),
            ("@a: x\n@a: y", "line 2: class `a` is there twice"),
            ("@discuss: x\nrule f 10 2 ordered: b", "line 2: no class `b`"),
            ("@discuss: x\nrule f 10 2 sorted: discuss", "line 2: `sorted` is neither `ordered` nor `any`"),
            ("what", "line 1: neither a class nor a rule"),
        ] {
            assert_eq!(Signatures::parse(text).unwrap_err(), want);
        }
    }
}
