//! Phrase grammars: what `grammar/*.txt` make texts of.
//!
//! `@name` begins a slot, each line after it is an alternative. In an alternative `{name}` stands for any of a slot, `{a|b}` for one
//! of these, `{?a}` for it or nothing; `\n`, `\{` and `\}` are what they say. Texts come from the slot `root`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use crate::random::Random;

#[derive(Debug)]
enum Piece {
    Text(String),
    Slot(String),
    Choice(Vec<Vec<Piece>>),
    Maybe(Vec<Piece>),
}

pub(crate) struct Grammar {
    slots: BTreeMap<String, Vec<Vec<Piece>>>,
}

/// Slots inside each other; more is a circle.
const DEPTH: usize = 40;

impl Grammar {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut slots: BTreeMap<String, Vec<Vec<Piece>>> = BTreeMap::new();
        let mut slot = None;
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with("# ") || line == "#" {
                continue;
            }
            if let Some(name) = line.strip_prefix('@') {
                slot = Some(name.trim().to_owned());
                continue;
            }
            let at = || format!("line {}", number + 1);
            let name = slot.clone().with_context(|| format!("{}: no slot", at()))?;
            let chars: Vec<char> = line.chars().collect();
            slots.entry(name).or_default().push(pieces(&chars).with_context(at)?);
        }
        let grammar = Self { slots };
        ensure!(grammar.slots.contains_key("root"), "no slot `root`");
        grammar.slots.values().flatten().try_for_each(|pieces| grammar.check(pieces))?;
        Ok(grammar)
    }

    fn check(&self, pieces: &[Piece]) -> Result<()> {
        pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(_) => Ok(()),
            Piece::Slot(name) if self.slots.contains_key(name) => Ok(()),
            Piece::Slot(name) => bail!("no slot `{name}`"),
            Piece::Choice(choices) => choices.iter().try_for_each(|pieces| self.check(pieces)),
            Piece::Maybe(pieces) => self.check(pieces),
        })
    }

    /// Any text.
    pub(crate) fn text(&self, random: &mut Random) -> Result<String> {
        let mut out = String::new();
        let pieces = random.pick(&self.slots["root"]);
        self.write(pieces, random, 0, &mut out)?;
        Ok(out)
    }

    fn write(&self, pieces: &[Piece], random: &mut Random, depth: usize, out: &mut String) -> Result<()> {
        ensure!(depth < DEPTH, "slots go in a circle");
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Slot(name) => {
                    let pieces = random.pick(&self.slots[name]);
                    self.write(pieces, random, depth + 1, out)?;
                }
                Piece::Choice(choices) => {
                    let pieces = random.pick(choices);
                    self.write(pieces, random, depth + 1, out)?;
                }
                Piece::Maybe(pieces) => {
                    if random.chance(50) {
                        self.write(pieces, random, depth + 1, out)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn pieces(chars: &[char]) -> Result<Vec<Piece>> {
    let (mut out, mut text, mut i) = (Vec::new(), String::new(), 0);
    while i < chars.len() {
        match chars[i] {
            '\\' if i + 1 < chars.len() => {
                text.push(match chars[i + 1] {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                });
                i += 2;
            }
            '{' => {
                let end = closing(chars, i)?;
                if !text.is_empty() {
                    out.push(Piece::Text(std::mem::take(&mut text)));
                }
                out.push(braced(&chars[i + 1..end])?);
                i = end + 1;
            }
            c => {
                text.push(c);
                i += 1;
            }
        }
    }
    if !text.is_empty() {
        out.push(Piece::Text(text));
    }
    Ok(out)
}

fn closing(chars: &[char], open: usize) -> Result<usize> {
    let (mut depth, mut i) = (0, open);
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 1,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(i);
                }
            }
            _ => {}
        }
        i += 1;
    }
    bail!("a brace is not closed")
}

fn braced(inner: &[char]) -> Result<Piece> {
    if let Some(('?', rest)) = inner.split_first().map(|(first, rest)| (*first, rest)) {
        return Ok(Piece::Maybe(pieces(rest)?));
    }
    let (mut parts, mut depth, mut from, mut i) = (Vec::new(), 0, 0, 0);
    while i < inner.len() {
        match inner[i] {
            '\\' => i += 1,
            '{' => depth += 1,
            '}' => depth -= 1,
            '|' if depth == 0 => {
                parts.push(&inner[from..i]);
                from = i + 1;
            }
            _ => {}
        }
        i += 1;
    }
    parts.push(&inner[from.min(inner.len())..]);
    match parts.as_slice() {
        [one] if !one.contains(&'{') => Ok(Piece::Slot(one.iter().collect())),
        many => Ok(Piece::Choice(many.iter().map(|part| pieces(part)).collect::<Result<_>>()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grammar_makes_what_it_says() {
        let grammar =
            Grammar::parse("# a comment\n@root\n{greeting}, {a|b}{?!}\\n\\{x\\}\n@greeting\nhello\nhi\n").unwrap();
        let mut random = Random::new(1);
        for _ in 0..50 {
            let text = grammar.text(&mut random).unwrap();
            let (first, rest) = text.split_once(", ").unwrap();
            assert!(matches!(first, "hello" | "hi"));
            assert!(matches!(rest, "a\n{x}" | "b\n{x}" | "a!\n{x}" | "b!\n{x}"), "{rest}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        for (text, want) in [
            ("x", "line 1: no slot"),
            ("@a\nx", "no slot `root`"),
            ("@root\n{b}", "no slot `b`"),
            ("@root\n{b", "line 2"),
        ] {
            assert_eq!(Grammar::parse(text).err().unwrap().to_string(), want);
        }
        let circle = Grammar::parse("@root\n{root}").unwrap();
        assert!(circle.text(&mut Random::new(1)).is_err());
    }
}
