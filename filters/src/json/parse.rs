//! The reader itself: one pass, no recursion, no copy.

use super::document::{Kind, Limits, Node};
use super::{JsonError, JsonErrorKind as E, keys, scan};

/// Reads one JSON text into an arena whose first node is the root.
pub(super) fn parse(bytes: &[u8], limits: Limits) -> Result<Vec<Node>, JsonError> {
    // Spans are 32-bit.
    let most = limits.bytes.min(u32::MAX as usize);
    if bytes.len() > most {
        return Err(E::TooLarge.at(most));
    }
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(E::ByteOrderMark.at(0));
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(E::InvalidUtf8.at(error.valid_up_to()));
    }
    // A guess that is right for small bodies; large ones grow.
    let nodes = Vec::with_capacity((bytes.len() / 6).clamp(1, 256));
    let mut parser = Parser { bytes, at: 0, limits, nodes, open: Vec::with_capacity(8) };
    parser.run()?;
    Ok(parser.nodes)
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    limits: Limits,
    nodes: Vec<Node>,
    /// Indices of the arrays and objects that have not ended.
    open: Vec<usize>,
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), JsonError> {
        self.space();
        loop {
            // A value has to begin here.
            if !self.value()? {
                continue;
            }
            // A value has ended; so may what it stands in.
            loop {
                self.space();
                let Some(&container) = self.open.last() else {
                    return if self.at == self.bytes.len() { Ok(()) } else { Err(E::TrailingData.at(self.at)) };
                };
                if self.after_item(container)? {
                    break;
                }
            }
        }
    }

    /// Reads a value, or the opening of one with children. Whether the value has ended.
    fn value(&mut self) -> Result<bool, JsonError> {
        match self.peek()? {
            b'{' => self.enter(Kind::Object, b'}'),
            b'[' => self.enter(Kind::Array, b']'),
            b'"' => self.string().map(|()| true),
            b'-' | b'0'..=b'9' => {
                let end = scan::number(self.bytes, self.at)?;
                self.leaf(Kind::Number, end, false).map(|()| true)
            }
            b't' => self.word(b"true", Kind::Bool),
            b'f' => self.word(b"false", Kind::Bool),
            b'n' => self.word(b"null", Kind::Null),
            _ => Err(E::UnexpectedByte.at(self.at)),
        }
    }

    /// Opens an array or object. Whether it ended at once.
    fn enter(&mut self, kind: Kind, close: u8) -> Result<bool, JsonError> {
        if self.open.len() >= self.limits.depth {
            return Err(E::TooDeep.at(self.at));
        }
        let index = self.nodes.len();
        self.push(kind, self.at + 1, false)?;
        self.open.push(index);
        self.at += 1;
        self.space();
        if self.peek()? == close {
            self.leave(index)?;
            return Ok(true);
        }
        self.begin_child(index, kind)?;
        Ok(false)
    }

    /// After a child: a comma and the next child (`true`), or the end of the container (`false`).
    fn after_item(&mut self, container: usize) -> Result<bool, JsonError> {
        let kind = self.nodes.get(container).map_or(Kind::Null, |node| node.kind);
        match (self.peek()?, kind) {
            (b',', _) => {
                self.at += 1;
                self.space();
                self.begin_child(container, kind)?;
                Ok(true)
            }
            (b']', Kind::Array) | (b'}', Kind::Object) => {
                self.leave(container)?;
                Ok(false)
            }
            _ => Err(E::UnexpectedByte.at(self.at)),
        }
    }

    /// Counts one more child, and reads its key if the container is an object.
    fn begin_child(&mut self, container: usize, kind: Kind) -> Result<(), JsonError> {
        if let Some(node) = self.nodes.get_mut(container) {
            node.children += 1;
        }
        if kind != Kind::Object {
            return Ok(());
        }
        if self.peek()? != b'"' {
            return Err(E::UnexpectedByte.at(self.at));
        }
        self.string()?;
        self.space();
        if self.peek()? != b':' {
            return Err(E::UnexpectedByte.at(self.at));
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    fn leave(&mut self, container: usize) -> Result<(), JsonError> {
        self.at += 1;
        let (end, next) = (narrow(self.at), narrow(self.nodes.len()));
        if let Some(node) = self.nodes.get_mut(container) {
            node.end = end;
            node.next = next;
            if node.kind == Kind::Object {
                let (members, first) = (node.children as usize, container + 1);
                keys::check(self.bytes, self.nodes.get(first..).unwrap_or_default(), first, members)?;
            }
        }
        self.open.pop();
        Ok(())
    }

    fn string(&mut self) -> Result<(), JsonError> {
        let (end, escaped) = scan::string(self.bytes, self.at)?;
        self.leaf(Kind::String, end, escaped)
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<bool, JsonError> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end) != Some(word) {
            return Err(E::UnexpectedByte.at(self.at));
        }
        self.leaf(kind, end, false).map(|()| true)
    }

    fn leaf(&mut self, kind: Kind, end: usize, escaped: bool) -> Result<(), JsonError> {
        self.push(kind, end, escaped)?;
        self.at = end;
        Ok(())
    }

    fn push(&mut self, kind: Kind, end: usize, escaped: bool) -> Result<(), JsonError> {
        if self.nodes.len() >= self.limits.nodes {
            return Err(E::TooManyNodes.at(self.at));
        }
        let next = narrow(self.nodes.len() + 1);
        self.nodes.push(Node { start: narrow(self.at), end: narrow(end), next, children: 0, kind, escaped });
        Ok(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Result<u8, JsonError> {
        self.bytes.get(self.at).copied().ok_or(E::UnexpectedEnd.at(self.at))
    }
}

/// INVARIANT: the body is at most `u32::MAX` bytes, and it has fewer nodes than bytes.
fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
