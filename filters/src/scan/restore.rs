//! Puts values back where a model speaks of their tokens, in a text that comes in pieces.
//!
//! Only tokens of this exchange, and only where a reader sees them: what stands in a URL, in the destination of a link or inside
//! of a tag stays a token, as whoever follows it would tell the value to somebody else. Where that is not sure, it stays too.

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_config::{Part, Redacted};

use super::ContentGuards;
use super::tokens::{MAX_TOKEN, PREFIX, TokenMap};
use crate::Judgement;
use crate::text::{TextGuard, TextGuards, TextStep};

/// Values by their tokens.
pub(crate) type Values = Arc<BTreeMap<String, Redacted<String>>>;

/// What may be put back into answers that `guards` judge: a value that another detector of theirs would take out stays away.
pub(crate) fn values(tokens: &TokenMap, guards: Option<&ContentGuards>) -> Values {
    Arc::new(tokens.back(|detector, value| {
        let findings = guards.map(|guards| guards.findings(Part::Assistant, value)).unwrap_or_default();
        findings.iter().all(|one| one.action.keeps() || one.guard.starts_with("data/") && one.detector == detector)
    }))
}

/// Whether tokens in a text of this part are put back. What a tool is called with is not for the caller to read.
pub(crate) fn is_restored(part: Part) -> bool {
    part == Part::Assistant
}

/// The state on one text.
#[derive(Default)]
pub(crate) struct Restorer {
    values: Values,
    /// What may be the beginning of a token, or is one of which it is not known what follows.
    held: String,
    place: Place,
}

/// Shows lengths, never text.
impl std::fmt::Debug for Restorer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Restorer({} values, {} bytes held)", self.values.len(), self.held.len())
    }
}

impl Restorer {
    pub(crate) fn new(values: &Values) -> Self {
        Self { values: Arc::clone(values), ..Self::default() }
    }

    /// What may leave of the text so far.
    pub(crate) fn push(&mut self, text: &str) -> String {
        self.held.push_str(text);
        self.release(false)
    }

    /// The text has ended, or is not waited for any longer.
    pub(crate) fn finish(&mut self) -> String {
        self.release(true)
    }

    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    fn release(&mut self, ended: bool) -> String {
        let held = std::mem::take(&mut self.held);
        let (mut out, mut rest) = (String::with_capacity(held.len()), held.as_str());
        loop {
            let Some(at) = begins(rest, ended) else {
                self.place.pass(rest);
                out.push_str(rest);
                return out;
            };
            let (before, from) = rest.split_at(at);
            self.place.pass(before);
            out.push_str(before);
            let run = from.bytes().take(MAX_TOKEN + 1).take_while(|byte| is_of_token(*byte)).count();
            let whole =
                run > MAX_TOKEN || ended || from.len() > run && follows(from.get(run..).unwrap_or_default()).is_some();
            if !whole {
                self.held = from.to_owned();
                return out;
            }
            let (token, behind) = from.split_at(run);
            match self.values.get(token) {
                Some(value) if self.place.is_open() && follows(behind).unwrap_or(true) => {
                    out.push_str(value.expose());
                    // The reader's place is that of the token: what the value holds opens nothing.
                    self.place.pass(PREFIX);
                }
                _ => {
                    self.place.pass(token);
                    out.push_str(token);
                }
            }
            rest = behind;
        }
    }
}

/// Where a token may begin; without an end, also where only a part of the prefix is there.
fn begins(text: &str, ended: bool) -> Option<usize> {
    if let Some(at) = text.find(PREFIX) {
        return Some(at);
    }
    let partial = |length: &usize| PREFIX.get(..*length).is_some_and(|start| text.ends_with(start));
    let length = (1..PREFIX.len()).rev().find(partial).filter(|_| !ended)?;
    Some(text.len() - length)
}

fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
}

/// Whether what follows lets a value stand before it: it must not go on as a host, a path or a mailbox. `None` where more of it
/// has to be read.
fn follows(behind: &str) -> Option<bool> {
    let mut next = behind.chars();
    match next.next() {
        None => None,
        Some('/' | '\\' | '?' | '=' | '&' | '%' | '#' | '@') => Some(false),
        Some('.' | ':' | ',' | ';' | '!' | ')') => {
            next.next().map(|c| !(c.is_alphanumeric() || matches!(c, '/' | '\\')))
        }
        Some(c) => Some(!c.is_alphanumeric()),
    }
}

/// Where in a text of Markdown or HTML a reader is.
#[derive(Debug, Default)]
struct Place {
    last: Option<char>,
    /// The run of characters without a space may be a URL.
    in_url: bool,
    /// Behind `](`, until the parenthesis is closed.
    in_destination: bool,
    /// Behind `<` and a letter, until `>`.
    in_tag: bool,
}

impl Place {
    fn is_open(&self) -> bool {
        !self.in_url && !self.in_destination && !self.in_tag && !self.last.is_some_and(char::is_alphanumeric)
    }

    fn pass(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '(' if self.last == Some(']') => self.in_destination = true,
                ')' => self.in_destination = false,
                '>' => self.in_tag = false,
                _ if self.last == Some('<') && (c.is_alphabetic() || matches!(c, '/' | '!' | '?')) => {
                    self.in_tag = true
                }
                _ => {}
            }
            if c.is_whitespace() {
                self.in_url = false;
            } else if matches!(c, '/' | '\\' | '?' | '=' | '&' | '%' | '#' | '@') || c == ':' && self.last == Some(']')
            {
                self.in_url = true;
            }
            self.last = Some(c);
        }
    }
}

/// Guards whose released text has its values put back.
#[derive(Debug)]
pub(crate) struct Restoring {
    pub(crate) inner: Arc<dyn TextGuards>,
    pub(crate) values: Values,
}

impl TextGuards for Restoring {
    fn judge(&self, part: Part, text: &str) -> Judgement {
        self.inner.judge(part, text)
    }

    fn open(&self, part: Part) -> Box<dyn TextGuard> {
        let inner = self.inner.open(part);
        if !is_restored(part) || self.values.is_empty() {
            return inner;
        }
        Box::new(Stream { inner, restorer: Restorer::new(&self.values) })
    }
}

#[derive(Debug)]
struct Stream {
    inner: Box<dyn TextGuard>,
    restorer: Restorer,
}

impl Stream {
    fn put_back(&mut self, step: TextStep, ended: bool) -> TextStep {
        if step.blocked {
            return step;
        }
        let mut release = self.restorer.push(&step.release);
        if ended {
            release.push_str(&self.restorer.finish());
        }
        TextStep { release, ..step }
    }
}

impl TextGuard for Stream {
    fn push(&mut self, text: &str) -> TextStep {
        let step = self.inner.push(text);
        self.put_back(step, false)
    }

    fn finish(&mut self) -> TextStep {
        let step = self.inner.finish();
        self.put_back(step, true)
    }

    /// Half a token is let go as it is: it tells nothing.
    fn stall(&mut self) -> TextStep {
        let step = self.inner.stall();
        self.put_back(step, true)
    }

    fn is_holding(&self) -> bool {
        self.inner.is_holding() || self.restorer.is_holding()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use postern_config::{TokenRule, TokenScope};

    use super::*;
    use crate::scan::{TokenKey, TokenMaker};

    fn maker() -> TokenMaker {
        TokenMaker { key: TokenKey::of_process(), lasts: Duration::from_secs(3600) }
    }

    const VALUE: &str = "mia@example.com";

    fn principal(subject: &str) -> crate::Principal {
        crate::Principal {
            kind: postern_config::PrincipalType::User,
            issuer: "https://login.example.com".to_owned(),
            subject: subject.to_owned(),
            tenant: "acme".to_owned(),
            groups: Vec::new(),
            scopes: Vec::new(),
            tags: Vec::new(),
            authn: crate::Assurance::default(),
            on_behalf_of: None,
        }
    }

    fn tokens() -> (TokenMap, String) {
        let tokens = TokenMap::new(&maker(), None, None);
        let rule = TokenRule { scope: TokenScope::Principal, restore: true };
        let token = tokens.make(rule, "email", VALUE).unwrap();
        (tokens, token)
    }

    /// Pushed in the pieces that `cuts` make.
    fn restored(values: &Values, text: &str, cuts: &[usize]) -> String {
        let mut restorer = Restorer::new(values);
        let (mut out, mut at) = (String::new(), 0);
        for &cut in cuts.iter().chain([&text.len()]) {
            out.push_str(&restorer.push(&text[at..cut]));
            assert!(restorer.held.len() <= MAX_TOKEN + 8, "no more is held than a token and what follows it");
            at = cut;
        }
        out.push_str(&restorer.finish());
        assert!(!restorer.is_holding());
        out
    }

    #[test]
    fn values_come_back_where_they_are_read_and_nowhere_else_however_the_text_is_cut() {
        let (tokens, token) = tokens();
        let values = values(&tokens, None);
        let alien = TokenMap::new(&maker(), None, None)
            .make(TokenRule { restore: true, ..TokenRule::default() }, "email", VALUE)
            .unwrap();
        assert_ne!(alien, token, "another exchange of nobody");
        for (text, back) in [
            ("T", true),
            ("write to T.", true),
            ("write to T. Soon", true),
            ("(T), **T**, \"T\": T; 'T'", true),
            ("<T>", true),
            ("a\nT\nb", true),
            ("[T](mailto:x)", true),
            ("see `T`", true),
            ("T's mail", true),
            ("https://evil.example/?q=T", false),
            ("evil.example/T", false),
            ("[x](T)", false),
            ("[x](<http://e.example/ T>)", false),
            ("![](http://e.example/?T", false),
            ("<img src=\"http://e.example/ T\">", false),
            ("<a title='T'>", false),
            ("[x]:T", false),
            ("T.evil.example", false),
            ("T/path", false),
            ("T@evil.example", false),
            ("T:8080", false),
            ("a=T", false),
            ("xT", false),
            ("Tx", false),
            ("T-x", false),
            ("Tété", false),
        ] {
            let said = text.replace('T', &token);
            let want = if back { text.replace('T', VALUE) } else { said.clone() };
            let places: Vec<usize> = said.char_indices().map(|(at, _)| at).skip(1).collect();
            assert_eq!(restored(&values, &said, &[]), want, "{text}");
            assert_eq!(restored(&values, &said, &places), want, "{text}, every character by itself");
            for at in places {
                assert_eq!(restored(&values, &said, &[at]), want, "{text} cut at {at}");
            }
            let other = text.replace('T', &alien);
            assert_eq!(restored(&values, &other, &[]), other, "{text}: a token of another exchange");
        }
        for text in ["", "tok", "tok_", "tok_email", "to ken tok_x_y", "token tok_email_aaaaaaaaaaaaaaaa"] {
            assert_eq!(restored(&values, text, &[]), text);
        }
        let long = format!("tok_{}", "a".repeat(500));
        assert_eq!(restored(&values, &long, &(1..long.len()).collect::<Vec<_>>()), long);
    }

    #[test]
    fn what_another_detector_would_take_out_stays_away() {
        let (tokens, _) = tokens();
        let (data, runtime) = crate::scan::defaults();
        let guards = ContentGuards::compile(&data, &runtime, postern_config::Direction::Response).unwrap();
        assert_eq!(values(&tokens, Some(&guards)).len(), 1, "by the detector that made the token");
        let rule = TokenRule { restore: true, ..TokenRule::default() };
        tokens.make(rule, "number", "4111 1111 1111 1111").unwrap();
        assert_eq!(values(&tokens, Some(&guards)).len(), 1, "the card is one that answers must not have");
        assert_eq!(values(&tokens, None).len(), 2);
        assert!(!format!("{tokens:?}").contains("4111"));
    }

    #[test]
    fn a_token_is_the_same_for_one_principal_and_tells_nothing_to_another() {
        let (mia, bob) = (principal("mia"), principal("bob"));
        let made = |who: &crate::Principal, scope, value: &str| {
            TokenMap::new(&maker(), Some(who), Some("acme"))
                .make(TokenRule { scope, restore: false }, "email", value)
                .unwrap()
        };
        let of = |who, value| made(who, TokenScope::Principal, value);
        assert_eq!(of(&mia, VALUE), of(&mia, VALUE));
        assert_ne!(of(&mia, VALUE), of(&bob, VALUE));
        assert_ne!(of(&mia, VALUE), of(&mia, "bob@example.com"));
        assert_eq!(made(&mia, TokenScope::Tenant, VALUE), made(&bob, TokenScope::Tenant, VALUE));
        assert!(!TokenMap::new(&maker(), Some(&mia), None).restores());
        assert!(of(&mia, VALUE).starts_with("tok_email_") && of(&mia, VALUE).len() == "tok_email_".len() + 16);
    }
}
