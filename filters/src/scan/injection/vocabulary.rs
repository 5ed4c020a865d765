//! Words to classes: a trie that is walked as letters arrive.

use std::collections::HashMap;

/// One bit per class.
pub(crate) type Classes = u128;

/// A place in the trie.
pub(crate) type Node = u16;

const LETTERS: usize = 26;
const NONE: Node = Node::MAX;

#[derive(Debug, Default, Clone)]
struct Entry {
    /// The word ends here.
    exact: Classes,
    /// Every word that comes by here.
    stem: Classes,
}

#[derive(Debug)]
struct Trie {
    letters: Vec<[Node; LETTERS]>,
    others: HashMap<(Node, char), Node>,
    entries: Vec<Entry>,
    /// Whether the entry has a stem: asked for every letter, so kept small.
    stems: Vec<bool>,
}

impl Trie {
    fn new() -> Self {
        Self {
            letters: vec![[NONE; LETTERS]],
            others: HashMap::new(),
            entries: vec![Entry::default()],
            stems: vec![false],
        }
    }

    #[inline]
    fn next(&self, node: Node, c: char) -> Option<Node> {
        let next = match letter(c) {
            Some(i) => *self.letters.get(usize::from(node))?.get(i)?,
            None => *self.others.get(&(node, c))?,
        };
        (next != NONE).then_some(next)
    }

    fn insert(&mut self, word: &str, classes: Classes, stem: bool) -> Result<(), String> {
        let mut node: Node = 0;
        for c in word.chars() {
            node = match self.next(node, c) {
                Some(next) => next,
                None => self.grow(node, c)?,
            };
        }
        if let Some(entry) = self.entries.get_mut(usize::from(node)) {
            *(if stem { &mut entry.stem } else { &mut entry.exact }) |= classes;
        }
        if let Some(has) = self.stems.get_mut(usize::from(node)) {
            *has |= stem;
        }
        Ok(())
    }

    fn grow(&mut self, node: Node, c: char) -> Result<Node, String> {
        let new = Node::try_from(self.entries.len()).ok().filter(|n| *n != NONE).ok_or("too many words")?;
        self.entries.push(Entry::default());
        self.stems.push(false);
        self.letters.push([NONE; LETTERS]);
        match letter(c) {
            Some(i) => {
                if let Some(slot) = self.letters.get_mut(usize::from(node)).and_then(|row| row.get_mut(i)) {
                    *slot = new;
                }
            }
            None => {
                self.others.insert((node, c), new);
            }
        }
        Ok(new)
    }

    fn entry(&self, node: Node) -> (Classes, Classes) {
        self.entries.get(usize::from(node)).map_or((0, 0), |e| (e.exact, e.stem))
    }
}

fn letter(c: char) -> Option<usize> {
    c.is_ascii_alphabetic().then(|| usize::from(u8::try_from(c).unwrap_or(b'a').to_ascii_lowercase() - b'a'))
}

/// All words, in two tries: those that stand between spaces, and those found anywhere.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    words: Trie,
    anywhere: Trie,
    /// Of those in `words`.
    short: Short,
}

impl Vocabulary {
    pub(super) fn new() -> Self {
        Self { words: Trie::new(), anywhere: Trie::new(), short: Short::new() }
    }

    /// `word` is folded.
    pub(super) fn insert(&mut self, word: &str, classes: Classes) -> Result<(), String> {
        let (word, stem) = word.strip_suffix('*').map_or((word, false), |w| (w, true));
        let first = word.chars().next().ok_or("a word is empty")?;
        if !is_anywhere(first) {
            self.short.insert(word.as_bytes(), classes, stem);
            return self.words.insert(word, classes, stem);
        }
        // In marks `_` stands for a space.
        self.anywhere.insert(&word.replace('_', " "), classes, false)?;
        self.anywhere.insert(word, classes, false)
    }

    /// What is known of a word of ASCII letters without a walk through the trie. `eight` are its first letters in small, the
    /// first in the lowest byte; it has `length` in all.
    #[inline]
    pub(super) fn glance(&self, eight: u64, length: usize) -> Glance {
        self.short.glance(eight, length)
    }

    pub(super) fn next(&self, node: Node, c: char) -> Option<Node> {
        self.words.next(node, c)
    }

    /// Classes of the word that ends at `node`.
    pub(super) fn exact(&self, node: Node) -> Classes {
        self.words.entry(node).0
    }

    /// Classes of every word that comes by `node`.
    #[inline]
    pub(super) fn stem(&self, node: Node) -> Classes {
        match self.words.stems.get(usize::from(node)) {
            Some(true) => self.words.entry(node).1,
            _ => 0,
        }
    }

    pub(super) fn next_anywhere(&self, node: Node, c: char) -> Option<Node> {
        self.anywhere.next(node, c)
    }

    pub(super) fn found_anywhere(&self, node: Node) -> Classes {
        self.anywhere.entry(node).0
    }
}

/// What a glance at a word tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Glance {
    Unknown,
    Known(Classes),
    /// The trie has to say.
    Unsure,
}

/// Words of ASCII letters, told by their first eight; few texts have many of them.
struct Short {
    /// A set of bits that has the beginnings of all words, and few others.
    bits: Vec<u64>,
    /// Words of up to eight letters, by their letters; where they stand in `words`.
    places: Vec<u16>,
    words: Vec<(u64, Classes)>,
}

impl std::fmt::Debug for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Short({} words)", self.words.len())
    }
}

impl Short {
    /// Letters that stems are told by.
    const STEM: usize = 4;
    const BITS: u32 = 16;
    /// Many more than words; those that do not fit are left to the trie.
    const PLACES: usize = 1 << 13;
    const MOST: usize = Self::PLACES / 4;
    const FREE: u16 = u16::MAX;

    fn new() -> Self {
        Self { bits: vec![0; (1 << Self::BITS) / 64], places: vec![Self::FREE; Self::PLACES], words: Vec::new() }
    }

    fn insert(&mut self, word: &[u8], classes: Classes, stem: bool) {
        if !word.iter().all(u8::is_ascii_lowercase) {
            return; // no run of letters is this word
        }
        if !stem {
            self.set(Self::of_word(eight(word)));
            if word.len() <= 8 {
                self.learn(eight(word), classes);
            }
            return;
        }
        match word.get(..Self::STEM) {
            Some(first) => self.set(Self::of_stem(eight(first))),
            // Whatever follows in the letters that are looked at.
            None => {
                self.set(Self::of_stem(eight(word)));
                (b'a'..=b'z').for_each(|letter| self.insert(&[word, &[letter]].concat(), classes, true));
            }
        }
    }

    fn learn(&mut self, eight: u64, classes: Classes) {
        let known = self.find(eight).and_then(|place| self.words.get_mut(usize::from(place)));
        if let Some((_, all)) = known {
            *all |= classes;
        } else if self.words.len() < Self::MOST
            && let Some(place) = Self::probes(eight).find(|place| self.places.get(*place) == Some(&Self::FREE))
            && let Some(slot) = self.places.get_mut(place)
            && let Ok(number) = u16::try_from(self.words.len())
        {
            *slot = number;
            self.words.push((eight, classes));
        } else {
            self.set(Self::of_stem(eight & 0xFFFF_FFFF));
        }
    }

    #[inline]
    fn glance(&self, eight: u64, length: usize) -> Glance {
        if self.has(Self::of_stem(eight & 0xFFFF_FFFF)) {
            return Glance::Unsure;
        }
        if !self.has(Self::of_word(eight)) {
            return Glance::Unknown;
        }
        if length > 8 {
            return Glance::Unsure;
        }
        let known = self.find(eight).and_then(|place| self.words.get(usize::from(place)));
        known.map_or(Glance::Unknown, |(_, classes)| Glance::Known(*classes))
    }

    fn find(&self, eight: u64) -> Option<u16> {
        let places = Self::probes(eight).filter_map(|place| self.places.get(place)).take_while(|n| **n != Self::FREE);
        places.copied().find(|number| self.words.get(usize::from(*number)).is_some_and(|word| word.0 == eight))
    }

    /// Where `eight` may stand, one place after the other.
    fn probes(eight: u64) -> impl Iterator<Item = usize> {
        let first = Self::of_word(eight);
        (0..Self::PLACES).map(move |step| (first + step) % Self::PLACES)
    }

    fn set(&mut self, bit: usize) {
        if let Some(word) = self.bits.get_mut(bit / 64) {
            *word |= 1 << (bit % 64);
        }
    }

    #[inline]
    fn has(&self, bit: usize) -> bool {
        self.bits.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 != 0)
    }

    #[inline]
    fn of_word(eight: u64) -> usize {
        (eight.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - Self::BITS)) as usize
    }

    #[inline]
    fn of_stem(four: u64) -> usize {
        (four.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> (64 - Self::BITS)) as usize
    }
}

/// The first letters of `word` in one number.
fn eight(word: &[u8]) -> u64 {
    word.iter().take(8).rev().fold(0, |sum, letter| sum << 8 | u64::from(*letter))
}

/// Whether what begins with `c` is found without a boundary before it.
pub(super) fn is_anywhere(c: char) -> bool {
    matches!(c, '<' | '[' | '#' | '(') || is_unspaced(c)
}

/// Letters of scripts that put no spaces between words.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{3040}'..='\u{30FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a word as the trie has it.
    fn walked(vocabulary: &Vocabulary, word: &str) -> Classes {
        let (mut node, mut stems) = (Some(0), 0);
        for c in word.chars() {
            node = node.and_then(|node| vocabulary.next(node, c));
            stems |= node.map_or(0, |node| vocabulary.stem(node));
        }
        node.map_or(0, |node| vocabulary.exact(node)) | stems
    }

    #[test]
    fn a_glance_says_what_the_trie_says() {
        let mut vocabulary = Vocabulary::new();
        let words =
            ["ihr*", "kein*", "instructions", "instruct*", "all", "a", "prompt", "prompts", "gpt4", "é", "abcdefgh"];
        for (class, word) in words.into_iter().enumerate() {
            vocabulary.insert(word, 1 << class).unwrap();
        }
        vocabulary.insert("all", 1 << 20).unwrap();
        let others =
            ["the", "committee", "met", "ih", "ihre", "ihrem", "kei", "keinesfalls", "instr", "al", "alle", "b"];
        let more = ["instructing", "instructionsx", "promptly", "abcdefghi", "abcdefg", "gpt"];
        let mut unsure = 0;
        for word in words.into_iter().map(|word| word.trim_end_matches('*')).chain(others).chain(more) {
            match vocabulary.glance(eight(word.as_bytes()), word.len()) {
                Glance::Known(classes) => assert_eq!(classes, walked(&vocabulary, word), "{word}"),
                Glance::Unknown => assert!(walked(&vocabulary, word) == 0 || word == "gpt4" || word == "é", "{word}"),
                Glance::Unsure => unsure += 1,
            }
        }
        assert!(unsure <= 14, "{unsure}");
    }
}
