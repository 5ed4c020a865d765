//! HTML in a text, as it arrives: taken out, or made visible.
//!
//! A `<` before a letter, `/`, `!` or `?` begins a tag, whatever stands around it: whether a fence makes it code is for whoever
//! renders the text to say, and renderers differ. A tag ends at the first `>`. One in which another `<` comes, or that does not
//! end within reach, stays as text: its `<` becomes `&lt;`. So what leaves has no `<` before any of these characters, also where
//! what stood between them was taken out.

use std::ops::Range;

use postern_config::Markup;

/// The state on one text.
#[derive(Debug)]
pub(super) struct Reader {
    mode: Markup,
    /// Bytes of a tag, and of a script.
    reach: usize,
    /// A run of `<`, and the tag that it may begin.
    held: String,
    /// How many of the characters held are that run.
    opening: usize,
    /// Held since a script or style began, with its name. Read again as text if its end is not within reach.
    inside: Option<(&'static str, String)>,
    /// What is read is read again, and no script or style begins in it.
    again: bool,
    /// Bytes taken before what is held.
    position: usize,
}

/// Where text goes, and what is told of it.
#[derive(Debug, Default)]
pub(super) struct Sink {
    pub(super) text: String,
    pub(super) found: Vec<Range<usize>>,
}

impl Reader {
    pub(super) fn new(mode: Markup, reach: usize) -> Self {
        Self { mode, reach, held: String::new(), opening: 0, inside: None, again: false, position: 0 }
    }

    pub(super) fn push(&mut self, text: &str, out: &mut Sink) {
        let mut rest = text;
        while !rest.is_empty() {
            // Most text holds no tag.
            if self.held.is_empty() && self.inside.is_none() {
                let plain = rest.find('<').unwrap_or(rest.len());
                let (before, from) = rest.split_at(plain);
                out.text.push_str(before);
                self.position += before.len();
                rest = from;
            }
            let mut letters = rest.chars();
            if let Some(letter) = letters.next() {
                self.take(letter, out);
            }
            rest = letters.as_str();
        }
    }

    pub(super) fn finish(&mut self, out: &mut Sink) {
        self.open_up(out);
        self.give_up(out);
    }

    pub(super) fn is_holding(&self) -> bool {
        !self.held.is_empty() || self.inside.is_some()
    }

    fn take(&mut self, letter: char, out: &mut Sink) {
        if let Some((name, held)) = &mut self.inside {
            held.push(letter);
            if letter == '>' && ends(held, name) {
                let whole = held.len();
                self.position += whole;
                self.inside = None;
            } else if held.len() >= self.reach {
                self.open_up(out);
            }
            return;
        }
        let in_tag = self.held.len() > self.opening;
        match letter {
            '<' if in_tag => {
                self.give_up(out);
                self.open();
            }
            '<' => self.open(),
            _ if self.held.is_empty() => {
                out.text.push(letter);
                self.position += letter.len_utf8();
            }
            _ if !in_tag && !begins_tag(letter) => {
                self.held.push(letter);
                self.release(out);
            }
            _ if self.mode == Markup::Escape => {
                self.give_up(out);
                out.text.push(letter);
                self.position += letter.len_utf8();
            }
            '>' => self.tag(out),
            _ => {
                self.held.push(letter);
                if self.held.len() >= self.reach {
                    self.give_up(out);
                }
            }
        }
    }

    /// The end of a script is too far away: what it holds is text.
    fn open_up(&mut self, out: &mut Sink) {
        let Some((_, held)) = self.inside.take() else { return };
        self.again = true;
        self.push(&held, out);
        self.again = false;
    }

    fn open(&mut self) {
        self.held.push('<');
        self.opening += 1;
    }

    /// A whole tag.
    fn tag(&mut self, out: &mut Sink) {
        let inner = self.held.get(self.opening..).unwrap_or_default();
        if is_address(inner) {
            // Markdown has addresses in brackets, and for HTML they are tags: without the brackets they are neither.
            out.text.push_str(inner);
        } else {
            out.found.push(self.position..self.position + self.held.len() + 1);
            let name = inner.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
            let raw = ["script", "style"].into_iter().find(|raw| name.eq_ignore_ascii_case(raw));
            self.inside = raw.filter(|_| !self.again && !inner.ends_with('/')).map(|raw| (raw, String::new()));
        }
        self.position += self.held.len() + 1;
        self.clear();
    }

    /// What is held is no tag, or not one that ends: its `<` must not begin one.
    fn give_up(&mut self, out: &mut Sink) {
        if self.held.is_empty() {
            return;
        }
        out.found.push(self.position..self.position + self.opening);
        out.text.push_str(&"&lt;".repeat(self.opening));
        out.text.push_str(self.held.get(self.opening..).unwrap_or_default());
        self.position += self.held.len();
        self.clear();
    }

    /// What is held stays as it is.
    fn release(&mut self, out: &mut Sink) {
        out.text.push_str(&self.held);
        self.position += self.held.len();
        self.clear();
    }

    fn clear(&mut self) {
        self.held.clear();
        self.opening = 0;
    }
}

fn begins_tag(letter: char) -> bool {
    letter.is_ascii_alphabetic() || matches!(letter, '/' | '!' | '?')
}

/// Whether `held` ends with the closing tag of `name`.
fn ends(held: &str, name: &str) -> bool {
    let Some((_, tag)) = held.rsplit_once('<') else { return false };
    let Some(rest) = tag.strip_prefix('/') else { return false };
    let written = rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    written.eq_ignore_ascii_case(name)
}

/// `https://…` or `http://…`, and nothing around it.
fn is_address(inner: &str) -> bool {
    let lower = inner.get(..8).map(str::to_ascii_lowercase).unwrap_or_default();
    (lower.starts_with("https://") || lower.starts_with("http://")) && !inner.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mode: Markup, text: &str, cuts: &[usize]) -> (String, usize) {
        let (mut reader, mut out, mut at) = (Reader::new(mode, 64), Sink::default(), 0);
        for &cut in cuts.iter().chain([&text.len()]) {
            reader.push(&text[at..cut], &mut out);
            assert!(reader.held.len() <= 64 && reader.inside.as_ref().is_none_or(|(_, held)| held.len() <= 64));
            at = cut;
        }
        reader.finish(&mut out);
        assert!(!reader.is_holding());
        (out.text, out.found.len())
    }

    #[test]
    fn tags_are_taken_out_or_shown_however_the_text_is_cut() {
        let long = format!("<img alt=\"{}\" src=x>", "a".repeat(80));
        let shown = long.replacen('<', "&lt;", 1);
        for (text, stripped, escaped) in [
            ("plain", "plain", "plain"),
            (
                "1 < 2 and 2 > 1, a <= b, <3, x <- y",
                "1 < 2 and 2 > 1, a <= b, <3, x <- y",
                "1 < 2 and 2 > 1, a <= b, <3, x <- y",
            ),
            ("a<b>bold</b>c", "aboldc", "a&lt;b>bold&lt;/b>c"),
            ("<!-- hidden -->seen<?php x ?>", "seen", "&lt;!-- hidden -->seen&lt;?php x ?>"),
            ("<scr<b>ipt>x", "&lt;script>x", "&lt;scr&lt;b>ipt>x"),
            ("<<b>script>x", "script>x", "&lt;&lt;b>script>x"),
            ("<<<b>i<b>mg>", "img>", "&lt;&lt;&lt;b>i&lt;b>mg>"),
            ("a<script>alert(1)</script>b", "ab", "a&lt;script>alert(1)&lt;/script>b"),
            ("a<SCRIPT x>if(a<b){}</ScRiPt >b", "ab", "a&lt;SCRIPT x>if(a&lt;b){}&lt;/ScRiPt >b"),
            ("the <script> tag", "the  tag", "the &lt;script> tag"),
            ("<style>p{}</style><p>", "", "&lt;style>p{}&lt;/style>&lt;p>"),
            ("<script>a</style><b>", "a", "&lt;script>a&lt;/style>&lt;b>"),
            ("<img src=x onerror=y", "&lt;img src=x onerror=y", "&lt;img src=x onerror=y"),
            ("x <", "x &lt;", "x &lt;"),
            ("see <https://good.example/a>.", "see https://good.example/a.", "see &lt;https://good.example/a>."),
            ("<https://good.example/a onclick=x>", "", "&lt;https://good.example/a onclick=x>"),
            ("`<b>`", "``", "`&lt;b>`"),
            ("<é>", "<é>", "<é>"),
            (&long, &shown, &shown),
        ] {
            for (mode, want) in [(Markup::Strip, stripped), (Markup::Escape, escaped)] {
                let whole = read(mode, text, &[]);
                assert_eq!(whole.0, want, "{mode:?} {text}");
                let places: Vec<usize> = text.char_indices().map(|(at, _)| at).skip(1).collect();
                assert_eq!(read(mode, text, &places), whole, "{mode:?} {text}, every character by itself");
                for at in places {
                    assert_eq!(read(mode, text, &[at]), whole, "{mode:?} {text} cut at {at}");
                }
            }
        }
    }

    #[test]
    fn what_leaves_begins_no_tag() {
        let pieces = ["<", "<", "b", ">", "/", "!", "script", "</script>", "x", " ", "<!--", "-->", "https://a", "\""];
        let mut seed = 7_u64;
        for _ in 0..4000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
            }
            for mode in [Markup::Strip, Markup::Escape] {
                let (left, _) = read(mode, &text, &[text.len() / 2]);
                let begins = left.match_indices('<').any(|(at, _)| left[at + 1..].starts_with(begins_tag));
                assert!(!begins && !left.ends_with('<'), "{mode:?} {text} leaves {left}");
                assert_eq!(read(mode, &left, &[]).0, left, "{text}: there is nothing more to take out");
            }
        }
    }
}
