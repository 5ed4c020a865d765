//! Structured fields (RFC 9651), as far as signatures and digests are written in them: dictionaries of byte sequences and of
//! lists with parameters.
//!
//! Narrower than the standard, which is why it is ours. A key or parameter that occurs twice is refused, where the standard has the
//! last one win: somebody else might take the first. What can be written in several ways is read in the one that the standard
//! writes, so that the text that was signed is the text that came; only the commas between members may stand among spaces.

/// Longest field that is looked at, all its lines together.
pub const MAX_BYTES: usize = 16 << 10;

/// Most members of a dictionary, items of a list, and parameters of one item.
const MAX_PARTS: usize = 64;

/// The field is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a structured field with unique names in its normal spelling")]
pub struct Malformed;

/// A value without its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bare<'f> {
    Integer(i64),
    /// Between the quotes. Without escapes: nobody here needs them.
    Text(&'f str),
    Token(&'f str),
    /// Base64, between the colons.
    Bytes(&'f str),
    Flag(bool),
}

pub type Parameters<'f> = Vec<(&'f str, Bare<'f>)>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<'f> {
    pub value: Bare<'f>,
    pub parameters: Parameters<'f>,
}

/// What a key of a dictionary stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member<'f> {
    Item(Item<'f>),
    List {
        items: Vec<Item<'f>>,
        parameters: Parameters<'f>,
        /// The whole list, parameters included.
        text: &'f str,
    },
}

/// Reads a dictionary; several lines of a header are joined with a comma before.
///
/// # Errors
/// [`Malformed`] also for what is only too large or says something twice.
pub fn dictionary(text: &str) -> Result<Vec<(&str, Member<'_>)>, Malformed> {
    if text.len() > MAX_BYTES {
        return Err(Malformed);
    }
    let mut reader = Reader(text.trim_matches(' '));
    let mut members: Vec<(&str, Member<'_>)> = Vec::new();
    if reader.0.is_empty() {
        return Ok(members);
    }
    loop {
        let key = reader.key()?;
        if members.len() >= MAX_PARTS || members.iter().any(|(known, _)| *known == key) {
            return Err(Malformed);
        }
        members.push((key, reader.member()?));
        reader.0 = reader.0.trim_start_matches([' ', '\t']);
        if reader.0.is_empty() {
            return Ok(members);
        }
        reader.expect(",")?;
        reader.0 = reader.0.trim_start_matches([' ', '\t']);
    }
}

/// What is left to read.
struct Reader<'f>(&'f str);

impl<'f> Reader<'f> {
    fn member(&mut self) -> Result<Member<'f>, Malformed> {
        if !self.takes("=") {
            let parameters = self.parameters()?;
            return Ok(Member::Item(Item { value: Bare::Flag(true), parameters }));
        }
        let whole = self.0;
        if !self.takes("(") {
            return self.item().map(Member::Item);
        }
        let mut items = Vec::new();
        while !self.takes(")") {
            if !items.is_empty() {
                self.expect(" ")?;
            }
            if items.len() >= MAX_PARTS {
                return Err(Malformed);
            }
            items.push(self.item()?);
        }
        let parameters = self.parameters()?;
        let text = whole.get(..whole.len().saturating_sub(self.0.len())).ok_or(Malformed)?;
        Ok(Member::List { items, parameters, text })
    }

    fn item(&mut self) -> Result<Item<'f>, Malformed> {
        Ok(Item { value: self.bare()?, parameters: self.parameters()? })
    }

    fn parameters(&mut self) -> Result<Parameters<'f>, Malformed> {
        let mut found: Parameters<'f> = Vec::new();
        while self.takes(";") {
            let key = self.key()?;
            if found.len() >= MAX_PARTS || found.iter().any(|(known, _)| *known == key) {
                return Err(Malformed);
            }
            let value = if self.takes("=") { self.bare()? } else { Bare::Flag(true) };
            found.push((key, value));
        }
        Ok(found)
    }

    fn key(&mut self) -> Result<&'f str, Malformed> {
        let first = |c: char| c.is_ascii_lowercase() || c == '*';
        if !self.0.starts_with(first) {
            return Err(Malformed);
        }
        Ok(self.while_is(|c| first(c) || c.is_ascii_digit() || matches!(c, '_' | '-' | '.')))
    }

    fn bare(&mut self) -> Result<Bare<'f>, Malformed> {
        match self.0.chars().next().ok_or(Malformed)? {
            '"' => {
                self.expect("\"")?;
                let text = self.while_is(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\'));
                self.expect("\"").map(|()| Bare::Text(text))
            }
            ':' => {
                self.expect(":")?;
                let bytes = self.while_is(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='));
                self.expect(":").map(|()| Bare::Bytes(bytes))
            }
            '?' => {
                self.expect("?")?;
                if self.takes("1") {
                    return Ok(Bare::Flag(true));
                }
                self.expect("0").map(|()| Bare::Flag(false))
            }
            '-' | '0'..='9' => self.integer(),
            '*' | 'a'..='z' | 'A'..='Z' => {
                let of_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c);
                Ok(Bare::Token(self.while_is(of_token)))
            }
            _ => Err(Malformed),
        }
    }

    fn integer(&mut self) -> Result<Bare<'f>, Malformed> {
        let minus = self.takes("-");
        let digits = self.while_is(|c| c.is_ascii_digit());
        let plain = (1..=15).contains(&digits.len()) && (digits == "0" || !digits.starts_with('0'));
        // A fraction, or a zero below zero.
        if !plain || self.0.starts_with('.') || (minus && digits == "0") {
            return Err(Malformed);
        }
        let value: i64 = digits.parse().map_err(|_too_large| Malformed)?;
        Ok(Bare::Integer(if minus { value.saturating_neg() } else { value }))
    }

    /// The text up to the first character that is not `wanted`.
    fn while_is(&mut self, wanted: impl Fn(char) -> bool) -> &'f str {
        let end = self.0.find(|c| !wanted(c)).unwrap_or(self.0.len());
        let (text, rest) = self.0.split_at_checked(end).unwrap_or((self.0, ""));
        self.0 = rest;
        text
    }

    fn takes(&mut self, text: &str) -> bool {
        let rest = self.0.strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, text: &str) -> Result<(), Malformed> {
        if self.takes(text) { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_signatures_are_written_in() {
        let text = r#"sig1=("@method" "x-a";sf;key="b");created=-5;keyid="k 1";x;y=?0;t=a/b:c,  s=:aGk=: ,flag"#;
        let read = dictionary(text).unwrap();
        let item = |value, parameters: &[_]| Item { value, parameters: parameters.to_vec() };
        let list = Member::List {
            items: vec![
                item(Bare::Text("@method"), &[]),
                item(Bare::Text("x-a"), &[("sf", Bare::Flag(true)), ("key", Bare::Text("b"))]),
            ],
            parameters: vec![
                ("created", Bare::Integer(-5)),
                ("keyid", Bare::Text("k 1")),
                ("x", Bare::Flag(true)),
                ("y", Bare::Flag(false)),
                ("t", Bare::Token("a/b:c")),
            ],
            text: r#"("@method" "x-a";sf;key="b");created=-5;keyid="k 1";x;y=?0;t=a/b:c"#,
        };
        let bytes = Member::Item(item(Bare::Bytes("aGk="), &[]));
        let flag = Member::Item(item(Bare::Flag(true), &[]));
        assert_eq!(read, [("sig1", list), ("s", bytes), ("flag", flag)]);
        assert_eq!(dictionary(" "), Ok(Vec::new()));
    }

    #[test]
    fn attack_48_refuses_what_two_readers_could_take_differently() {
        for text in [
            "a=1, a=2",
            r#"a=();b=1;b=2"#,
            r#"a=("x";p;p)"#,
            r#"a=("x"  "y")"#,
            r#"a=( "x")"#,
            r#"a=("x" )"#,
            r#"a=("x"); b=1"#,
            r#"a=("x") ;b=1"#,
            r#"a=("\"x")"#,
            r#"a="x"#,
            "a=01",
            "a=-0",
            "a=1.5",
            "a=1234567890123456",
            "a=@1",
            "a=?2",
            "a=:aGk=",
            "a=:a b:",
            "A=1",
            "1=1",
            "a=1,",
            "a=1,,b=2",
            "a=1 b=2",
            ",a=1",
            "a=",
            "a=(1",
            "a=((1))",
            "ä=1",
            "a=\"ä\"",
            "a=\"\t\"",
        ] {
            assert_eq!(dictionary(text), Err(Malformed), "{text}");
        }
        let many = |n: usize| (0..n).map(|i| format!("k{i}")).collect::<Vec<_>>().join(",");
        assert!(dictionary(&many(MAX_PARTS)).is_ok());
        assert!(dictionary(&many(MAX_PARTS + 1)).is_err());
        assert!(dictionary(&format!("a=\"{}\"", "x".repeat(MAX_BYTES))).is_err());
    }

    fn bare() -> impl Strategy<Value = String> {
        prop_oneof![
            (-999_999_999_999_999_i64..=999_999_999_999_999).prop_map(|n| n.to_string()),
            "[ !#-\\[\\]-~]{0,12}".prop_map(|text| format!("\"{text}\"")),
            "[A-Za-z*][!#$%&'*+.^_`|~:/A-Za-z0-9-]{0,8}",
            "[A-Za-z0-9+/]{0,8}".prop_map(|text| format!(":{text}:")),
            prop_oneof![Just("?1".to_owned()), Just("?0".to_owned())],
        ]
    }

    fn parameters() -> impl Strategy<Value = String> {
        proptest::collection::btree_map("[a-z*][a-z0-9_.*-]{0,5}", bare(), 0..4)
            .prop_map(|all| all.into_iter().map(|(key, value)| format!(";{key}={value}")).collect())
    }

    fn list() -> impl Strategy<Value = String> {
        let item = (bare(), parameters()).prop_map(|(value, parameters)| format!("{value}{parameters}"));
        (proptest::collection::vec(item, 0..5), parameters())
            .prop_map(|(items, parameters)| format!("({}){parameters}", items.join(" ")))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn a_list_is_read_whole_and_gives_back_its_text(lists in proptest::collection::btree_map("[a-z]{1,6}", list(), 1..4)) {
            let text = lists.iter().map(|(key, list)| format!("{key}={list}")).collect::<Vec<_>>().join(", ");
            let read = dictionary(&text).unwrap();
            let texts: Vec<(&str, &str)> = read.iter().map(|(key, member)| match member {
                Member::List { text, .. } => (*key, *text),
                Member::Item(_) => panic!("{text}"),
            }).collect();
            let want: Vec<(&str, &str)> = lists.iter().map(|(key, list)| (key.as_str(), list.as_str())).collect();
            prop_assert_eq!(texts, want);
        }

        #[test]
        fn no_text_is_too_much_for_it(text in "[ -~\\t]{0,80}|(a|=|\\(|\\)|\"|;|:|,| |1|\\?){0,40}") {
            let _ = dictionary(&text);
        }
    }
}
