//! Patterns of schemas are ECMA-262; ours is a linear-time engine with another spelling. What both would read differently is
//! written out, and what only one of them has is refused.

use std::iter::Peekable;
use std::str::Chars;

/// Bytes of one pattern, and of the automaton it compiles to.
const MAX_PATTERN: usize = 1 << 10;
const MAX_COMPILED: usize = 1 << 20;

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
/// White space and line ends of ECMA-262, which knows U+FEFF and does not know U+0085.
const SPACE: &str = r"\t\n\x0b\x0c\r \u{a0}\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}";
const LINE_END: &str = r"\n\r\u{2028}\u{2029}";

/// The pattern as the regex crate has to read it.
///
/// # Errors
/// What stands in its way.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("it has {} bytes, more than {MAX_PATTERN}", pattern.len()));
    }
    let mut translator =
        Translator { rest: pattern.chars().peekable(), out: String::with_capacity(pattern.len() + 16) };
    translator.all()?;
    let out = translator.out;
    match regex::RegexBuilder::new(&out).size_limit(MAX_COMPILED).build() {
        Ok(_) => Ok(out),
        Err(regex::Error::CompiledTooBig(_)) => Err("it compiles to more than 1Mi".to_owned()),
        Err(error) => {
            let told = error.to_string();
            Err(told.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
        }
    }
}

struct Translator<'p> {
    rest: Peekable<Chars<'p>>,
    out: String,
}

/// What a class may put beside a `-`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing, a range or several characters.
    Whole,
    Char,
    RangeOpen,
}

impl Translator<'_> {
    fn all(&mut self) -> Result<(), String> {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => {
                    self.escape(false)?;
                }
                '[' => self.class()?,
                '.' => self.set("^", LINE_END),
                '(' => self.group()?,
                '{' => self.count()?,
                ']' | '}' => return Err(format!("`{c}` without its opening")),
                c if c == '#' || c == '&' || c == '~' || c == '-' || !c.is_ascii_punctuation() => self.literal(c),
                // What both read alike: `^ $ * + ? | )` and plain punctuation.
                c => self.out.push(c),
            }
        }
        Ok(())
    }

    fn literal(&mut self, c: char) {
        self.out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }

    fn set(&mut self, not: &str, members: &str) {
        self.out.push('[');
        self.out.push_str(not);
        self.out.push_str(members);
        self.out.push(']');
    }

    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        if self.rest.peek() != Some(&'?') {
            return Ok(());
        }
        self.rest.next();
        match (self.rest.next(), self.rest.peek()) {
            (Some(':'), _) => self.out.push_str("?:"),
            (Some('<'), Some(c)) if *c != '=' && *c != '!' => self.out.push_str("?<"),
            (Some('='), _) | (Some('!'), _) | (Some('<'), _) => {
                return Err("look-around takes no linear time".to_owned());
            }
            _ => return Err("`(?` begins something that patterns of schemas do not have".to_owned()),
        }
        Ok(())
    }

    /// `{2}`, `{2,}` and `{2,5}`.
    fn count(&mut self) -> Result<(), String> {
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some('}') => break,
                Some(c) if c.is_ascii_digit() || c == ',' => text.push(c),
                _ => return Err("`{` that begins no count; write `\\{` for the character".to_owned()),
            }
        }
        let (least, most) = text.split_once(',').unwrap_or((&text, ""));
        if least.is_empty() || most.contains(',') {
            return Err("`{` that begins no count; write `\\{` for the character".to_owned());
        }
        self.out.push('{');
        self.out.push_str(&text);
        self.out.push('}');
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.peek() == Some(&'^') {
            self.rest.next();
            self.out.push('^');
        }
        if self.rest.peek() == Some(&']') {
            return Err("an empty class".to_owned());
        }
        let mut before = Before::Whole;
        loop {
            let c = self.rest.next().ok_or("a class without its end")?;
            match c {
                ']' => break,
                '-' if before == Before::Char && self.rest.peek() != Some(&']') => {
                    self.out.push('-');
                    before = Before::RangeOpen;
                    continue;
                }
                '\\' => {
                    let single = self.escape(true)?;
                    if !single && before == Before::RangeOpen {
                        return Err("a range that ends with several characters".to_owned());
                    }
                    before = if single && before != Before::RangeOpen { Before::Char } else { Before::Whole };
                    continue;
                }
                c => self.literal(c),
            }
            before = if before == Before::RangeOpen { Before::Whole } else { Before::Char };
        }
        self.out.push(']');
        Ok(())
    }

    /// What stands behind a backslash. Whether it is one character.
    fn escape(&mut self, in_class: bool) -> Result<bool, String> {
        let c = self.rest.next().ok_or("a backslash at the end")?;
        let members = match c.to_ascii_lowercase() {
            'd' => Some(DIGIT),
            'w' => Some(WORD),
            's' => Some(SPACE),
            _ => None,
        };
        if let Some(members) = members {
            match (in_class, c.is_ascii_uppercase()) {
                (true, false) => self.out.push_str(members),
                (_, true) => self.set("^", members),
                (false, false) => self.set("", members),
            }
            return Ok(false);
        }
        let single = match c {
            'b' if in_class => '\u{8}',
            'b' => {
                self.out.push_str(r"(?-u:\b)");
                return Ok(false);
            }
            'p' | 'P' => {
                self.property(c)?;
                return Ok(false);
            }
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '0' if !self.rest.peek().is_some_and(char::is_ascii_digit) => '\0',
            'x' => self.hex(2)?,
            'u' if self.rest.peek() == Some(&'{') => self.braced()?,
            'u' => self.hex(4)?,
            c if c.is_ascii_digit() || c == 'k' => return Err("back references take no linear time".to_owned()),
            c if c.is_ascii_alphanumeric() => return Err(format!("`\\{c}` is not an escape that is read here")),
            c => c,
        };
        self.literal(single);
        Ok(true)
    }

    fn property(&mut self, c: char) -> Result<(), String> {
        if self.rest.next() != Some('{') {
            return Err(format!("`\\{c}` without `{{`"));
        }
        self.out.extend(['\\', c, '{']);
        loop {
            match self.rest.next() {
                Some('}') => break,
                Some(c) if c.is_ascii_alphanumeric() || c == '_' || c == '=' => self.out.push(c),
                _ => return Err("a property of characters without its end".to_owned()),
            }
        }
        self.out.push('}');
        Ok(())
    }

    fn hex(&mut self, digits: usize) -> Result<char, String> {
        let mut value = 0;
        for _ in 0..digits {
            let digit =
                self.rest.next().and_then(|c| c.to_digit(16)).ok_or("an escape with too few hexadecimal digits")?;
            value = value * 16 + digit;
        }
        char::from_u32(value).ok_or_else(|| "half of a surrogate pair".to_owned())
    }

    fn braced(&mut self) -> Result<char, String> {
        self.rest.next();
        let mut value: u32 = 0;
        loop {
            match self.rest.next() {
                Some('}') => break,
                Some(c) if value < 0x11_0000 => {
                    let digit = c.to_digit(16).ok_or("`\\u{` without its end")?;
                    value = value * 16 + digit;
                }
                _ => return Err("`\\u{` without its end".to_owned()),
            }
        }
        char::from_u32(value).ok_or_else(|| "no character has this number".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::translate;

    fn matches(pattern: &str, text: &str) -> bool {
        regex::Regex::new(&translate(pattern).unwrap()).unwrap().is_match(text)
    }

    #[test]
    fn a_pattern_means_what_it_means_in_ecma_262() {
        for (pattern, text, want) in [
            (r"^\d+$", "42", true),
            (r"^\d+$", "٤٢", false),
            (r"^\w+$", "é", false),
            (r"^[\w.-]+$", "a.b-c", true),
            (r"^[a-f\d-]+$", "1-f", true),
            (r"^[^\d]+$", "ab", true),
            (r"^[\D]+$", "a1", false),
            (r"^\S+$", "a\u{feff}b", false),
            (r"^\S+$", "a\u{85}b", true),
            (r"^.$", "\n", false),
            (r"^.$", "\u{2028}", false),
            (r"^.$", "é", true),
            (r"^a$", "a\n", false),
            (r"^[[]$", "[", true),
            (r"^[a&&b]+$", "&", true),
            (r"^[a~~b]+$", "~", true),
            (r"^[+--]+$", ",", true),
            (r"^[a\-z]+$", "b", false),
            (r"^[-a]+$", "-", true),
            (r"^[a-]+$", "-", true),
            (r"^[^^]$", "^", false),
            (r"^a#b c$", "a#b c", true),
            (r"^\/a\.b$", "/a.b", true),
            (r"^(?:a|b){2,3}$", "aba", true),
            (r"^(?<year>\d{4})$", "2026", true),
            (r"^\u0041\x42\u{1F600}$", "AB😀", true),
            (r"^\p{Lu}$", "É", true),
            (r"\bcat\b", "a cat", true),
            (r"\bcat\b", "écat", true),
            (r"cat", "concatenate", true),
            (r"", "", true),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn what_takes_no_linear_time_or_two_readers_differ_on_is_refused() {
        for pattern in [
            r"(?=a)",
            r"(?!a)",
            r"(?<=a)",
            r"(?<!a)",
            r"(a)\1",
            r"(?<a>b)\k<a>",
            r"(?i)a",
            r"[]",
            r"[^]",
            r"a{",
            r"a{,3}",
            r"a{2, 3}",
            r"a{x}",
            r"a]",
            r"a}",
            r"\",
            r"\q",
            r"\ud83d",
            r"\u12",
            r"[\d-z-\d]\",
            r"[a-\d]",
            r"(",
            r"a)",
            r"[z-a]",
            r"\p{Nope}",
            r"\pL",
            r"\u{110000}",
            "(a{1000}){1000}",
        ] {
            assert!(translate(pattern).is_err(), "{pattern}");
        }
        assert!(translate(&"a".repeat(1025)).is_err());
    }
}
