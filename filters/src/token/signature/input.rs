//! What a signature says of itself: `Signature-Input` and `Signature` (RFC 9421 §4).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};

use super::SignatureProblem;
use crate::structured::{Bare, Member, dictionary};
use crate::token::Excerpt;

pub(super) const INPUT: HeaderName = HeaderName::from_static("signature-input");
pub(super) const SIGNATURE: HeaderName = HeaderName::from_static("signature");

/// Longest signature in base64: RSA of 8192 bits.
const MAX_SIGNATURE: usize = 1368;

/// Both headers as they came, several lines as one.
#[derive(Debug)]
pub(super) struct Lines<'h> {
    input: Cow<'h, str>,
    signature: Cow<'h, str>,
}

/// One signature.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Input<'h> {
    /// Names of what is covered, each once.
    pub(super) components: Vec<&'h str>,
    pub(super) created: i64,
    pub(super) expires: Option<i64>,
    pub(super) algorithm: Option<&'h str>,
    pub(super) key_id: &'h str,
    pub(super) tag: Option<&'h str>,
    /// What is signed last: the list of components with all parameters.
    pub(super) text: &'h str,
    pub(super) signature: Vec<u8>,
}

impl<'h> Lines<'h> {
    pub(super) fn of(headers: &'h HeaderMap) -> Result<Self, SignatureProblem> {
        let lines = |name| joined(headers, name).ok_or(SignatureProblem::Headers);
        Ok(Self { input: lines(&INPUT)?, signature: lines(&SIGNATURE)? })
    }

    /// The one signature in them. Of two, one would have to be ignored, and somebody else might believe that one.
    pub(super) fn sole(&self) -> Result<Input<'_>, SignatureProblem> {
        let wrong = SignatureProblem::Headers;
        let inputs = dictionary(&self.input).map_err(|_malformed| wrong.clone())?;
        let signatures = dictionary(&self.signature).map_err(|_malformed| wrong.clone())?;
        let ([(name, Member::List { items, parameters, text })], [(same, Member::Item(signature))]) =
            (inputs.as_slice(), signatures.as_slice())
        else {
            return Err(wrong);
        };
        let (Bare::Bytes(base64), true, true) = (signature.value, name == same, signature.parameters.is_empty()) else {
            return Err(wrong);
        };
        let bytes = Some(base64).filter(|text| text.len() <= MAX_SIGNATURE).and_then(|text| STANDARD.decode(text).ok());
        let mut components: Vec<&str> = Vec::with_capacity(items.len());
        for item in items {
            // A parameter changes what a component is: the value of another message, of a trailer, of one member.
            match item.value {
                Bare::Text(name) if item.parameters.is_empty() && !components.contains(&name) => components.push(name),
                Bare::Text(name) => return Err(SignatureProblem::Component(Excerpt::of(name))),
                _ => return Err(wrong),
            }
        }
        let mut found = Parameters::default();
        for (name, value) in parameters {
            found.take(name, *value)?;
        }
        Ok(Input {
            components,
            created: found.created.ok_or(SignatureProblem::Lacks("created"))?,
            expires: found.expires,
            algorithm: found.algorithm,
            key_id: found.key_id.ok_or(SignatureProblem::Lacks("keyid"))?,
            tag: found.tag,
            text,
            signature: bytes.ok_or(wrong)?,
        })
    }
}

impl Input<'_> {
    pub(super) fn covers(&self, name: &str) -> bool {
        self.components.contains(&name)
    }
}

#[derive(Default)]
struct Parameters<'h> {
    created: Option<i64>,
    expires: Option<i64>,
    algorithm: Option<&'h str>,
    key_id: Option<&'h str>,
    tag: Option<&'h str>,
}

impl<'h> Parameters<'h> {
    /// Those of RFC 9421 §2.3. Another one may narrow what the signature is for in a way that nobody here knows.
    fn take(&mut self, name: &str, value: Bare<'h>) -> Result<(), SignatureProblem> {
        match (name, value) {
            ("created", Bare::Integer(at @ 0..)) => self.created = Some(at),
            ("expires", Bare::Integer(at @ 0..)) => self.expires = Some(at),
            ("alg", Bare::Text(text)) => self.algorithm = Some(text),
            ("keyid", Bare::Text(text)) => self.key_id = Some(text),
            ("tag", Bare::Text(text)) => self.tag = Some(text),
            // It makes the signature another one, which is all it is for.
            ("nonce", Bare::Text(_)) => {}
            _ => return Err(SignatureProblem::Parameter(Excerpt::of(name))),
        }
        Ok(())
    }
}

/// The value of a field (RFC 9421 §2.1): all its lines in order, each without the spaces around it. `None` where there is none,
/// or a byte that is not visible ASCII, space or tab.
pub(super) fn joined<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Cow<'h, str>> {
    let mut lines =
        headers.get_all(name).iter().map(|line| line.to_str().ok().map(|text| text.trim_matches([' ', '\t'])));
    let first = lines.next()??;
    let mut whole = Cow::Borrowed(first);
    for line in lines {
        let text = whole.to_mut();
        text.push_str(", ");
        text.push_str(line?);
    }
    Some(whole)
}
