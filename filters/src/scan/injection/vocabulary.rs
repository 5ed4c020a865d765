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
}

impl Vocabulary {
    pub(super) fn new() -> Self {
        Self { words: Trie::new(), anywhere: Trie::new() }
    }

    /// `word` is folded.
    pub(super) fn insert(&mut self, word: &str, classes: Classes) -> Result<(), String> {
        let (word, stem) = word.strip_suffix('*').map_or((word, false), |w| (w, true));
        let first = word.chars().next().ok_or("a word is empty")?;
        if !is_anywhere(first) {
            return self.words.insert(word, classes, stem);
        }
        // In marks `_` stands for a space.
        self.anywhere.insert(&word.replace('_', " "), classes, false)?;
        self.anywhere.insert(word, classes, false)
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

/// Whether what begins with `c` is found without a boundary before it.
pub(super) fn is_anywhere(c: char) -> bool {
    matches!(c, '<' | '[' | '#' | '(') || is_unspaced(c)
}

/// Letters of scripts that put no spaces between words.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{3040}'..='\u{30FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}')
}
