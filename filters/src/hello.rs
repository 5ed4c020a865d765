//! Which server a TLS client asks for, read from the first bytes of its connection.
//!
//! A tunnel is opaque from then on, so this is the one moment at which what was permitted (a host) and what will be
//! spoken (TLS with that host) can be held against each other. Strict where servers are lenient: a hello that two
//! readers could take for two names is none (RFC 8446 §4.1.2, RFC 6066 §3). A hello that hides its name (ECH) names
//! nobody.

use std::sync::Arc;

use postern_config::Direction;

use crate::Context;

/// Most bytes in which a hello must have come, record headers included. With hybrid key shares one has about 2 KiB.
pub const MAX_HELLO: usize = 16 * 1024;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// Longest payload of a record (RFC 8446 §5.1).
const MAX_RECORD: usize = 1 << 14;

const SERVER_NAME: u16 = 0;
/// RFC 9849, and the drafts that were deployed.
const HIDDEN: [u16; 4] = [0xfe0d, 0xff02, 0xff03, 0xffce];

/// What is known of a connection so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hello {
    /// More bytes are needed.
    Partial,
    /// The name the client asks for, lower case.
    Names(String),
}

/// Why the bytes are not a hello that names one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    #[error("the first bytes are not TLS")]
    NotTls,
    #[error("the TLS hello has more than {MAX_HELLO} bytes")]
    TooLong,
    #[error("the TLS hello is malformed")]
    Malformed,
    #[error("the TLS hello says something twice")]
    Repeated,
    #[error("the TLS hello names no server")]
    NoName,
    #[error("the TLS hello hides the name of its server")]
    Hidden,
    #[error("the TLS hello names something that is not a host name")]
    NotAName,
    #[error("its TLS is for another host")]
    AnotherHost,
}

/// Reads what came first on a connection. `bytes` begin at its first byte; what follows the hello is not looked at.
///
/// # Errors
/// [`HelloError`] as soon as no further byte could make it right.
pub fn read(bytes: &[u8]) -> Result<Hello, HelloError> {
    let mut message = Vec::new();
    let mut rest = bytes.get(..bytes.len().min(MAX_HELLO)).unwrap_or(bytes);
    while let Some((fragment, after)) = record(rest)? {
        message.extend_from_slice(fragment);
        match hello(&message)? {
            Some(name) => return Ok(Hello::Names(name)),
            None => rest = after,
        }
    }
    // A record that is not whole yet may hold the rest.
    if bytes.len() >= MAX_HELLO { Err(HelloError::TooLong) } else { Ok(Hello::Partial) }
}

/// As [`read`], for a tunnel to `host`, and notes in `context` that it was read once it is for that host.
///
/// # Errors
/// [`HelloError`], also for another host.
pub fn judge(bytes: &[u8], host: &str, context: &mut Context) -> Result<Hello, HelloError> {
    let hello = read(bytes)?;
    match &hello {
        Hello::Partial => {}
        Hello::Names(name) if name == host => context.note(Direction::Request, &Arc::from("tunnel")),
        Hello::Names(_) => return Err(HelloError::AnotherHost),
    }
    Ok(hello)
}

/// What stands at the front, and what follows it.
type Split<'b> = (&'b [u8], &'b [u8]);

/// The payload of the record at the front, and what follows it. `None` until it has come whole.
fn record(bytes: &[u8]) -> Result<Option<Split<'_>>, HelloError> {
    // Every byte is judged when it comes: another protocol is seen at its first one.
    let good = |at: usize, good: fn(u8) -> bool| bytes.get(at).is_none_or(|byte| good(*byte));
    if !good(0, |byte| byte == HANDSHAKE) || !good(1, |byte| byte == 3) || !good(2, |byte| (1..=3).contains(&byte)) {
        return Err(HelloError::NotTls);
    }
    let Some(([_, _, _, high, low], payload)) = bytes.split_first_chunk::<5>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length == 0 || length > MAX_RECORD {
        return Err(HelloError::Malformed);
    }
    Ok(payload.split_at_checked(length))
}

/// The name in the handshake message at the front. `None` until it has come whole.
fn hello(message: &[u8]) -> Result<Option<String>, HelloError> {
    if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(HelloError::NotTls);
    }
    let Some(([_, high, middle, low], body)) = message.split_first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes([0, *high, *middle, *low])).unwrap_or(usize::MAX);
    if length > MAX_HELLO {
        return Err(HelloError::TooLong);
    }
    match body.len() {
        // Another message behind it, before the server has said a word.
        have if have > length => Err(HelloError::Malformed),
        have if have < length => Ok(None),
        _ => name(body).map(Some),
    }
}

fn name(body: &[u8]) -> Result<String, HelloError> {
    let mut fields = Reader(body);
    let version = fields.number()?;
    if !(0x0301..=0x0303).contains(&version) {
        return Err(HelloError::Malformed);
    }
    fields.take(32)?; // random
    let session = fields.short()?;
    let suites = fields.long()?;
    let compression = fields.short()?;
    let even = !suites.is_empty() && suites.len() % 2 == 0;
    if session.len() > 32 || !even || compression != [0] {
        return Err(HelloError::Malformed);
    }
    if fields.0.is_empty() {
        return Err(HelloError::NoName);
    }
    let mut extensions = Reader(fields.long()?);
    if !fields.0.is_empty() {
        return Err(HelloError::Malformed);
    }
    let mut seen = Vec::new();
    let mut found = None;
    while !extensions.0.is_empty() {
        let (kind, content) = (extensions.number()?, extensions.long()?);
        if seen.contains(&kind) {
            return Err(HelloError::Repeated);
        }
        seen.push(kind);
        if HIDDEN.contains(&kind) {
            return Err(HelloError::Hidden);
        }
        if kind == SERVER_NAME {
            found = Some(server_name(content)?);
        }
    }
    found.ok_or(HelloError::NoName)
}

/// RFC 6066 §3: a list, of which one entry of one type was ever defined.
fn server_name(content: &[u8]) -> Result<String, HelloError> {
    let mut outer = Reader(content);
    let mut list = Reader(outer.long()?);
    if !outer.0.is_empty() {
        return Err(HelloError::Malformed);
    }
    let [0] = list.take(1)? else { return Err(HelloError::NotAName) };
    let host = list.long()?;
    if !list.0.is_empty() {
        return Err(HelloError::Repeated);
    }
    let label = |label: &[u8]| {
        (1..=63).contains(&label.len())
            && label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let text = std::str::from_utf8(host).map_err(|_| HelloError::NotAName)?;
    let letter = text.rsplit('.').next().is_some_and(|last| last.bytes().any(|byte| byte.is_ascii_alphabetic()));
    if host.len() > 253 || !host.split(|byte| *byte == b'.').all(label) || !letter {
        return Err(HelloError::NotAName);
    }
    Ok(text.to_ascii_lowercase())
}

/// Length-prefixed fields, as TLS writes them.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], HelloError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(HelloError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u16, HelloError> {
        let bytes = self.take(2)?.try_into().map_err(|_| HelloError::Malformed)?;
        Ok(u16::from_be_bytes(bytes))
    }

    /// With a length of one byte.
    fn short(&mut self) -> Result<&'b [u8], HelloError> {
        let [length] = self.take(1)? else { return Err(HelloError::Malformed) };
        self.take(usize::from(*length))
    }

    /// With a length of two bytes.
    fn long(&mut self) -> Result<&'b [u8], HelloError> {
        let length = usize::from(self.number()?);
        self.take(length)
    }
}

#[cfg(test)]
mod tests;
