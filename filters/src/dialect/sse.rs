//! Server-sent events as the WHATWG HTML standard §9.2.6 reads them, with a bound on memory.
//!
//! Lines end in LF, CR or CRLF, also where the two come in different reads; a byte order mark at the start is skipped;
//! several `data` lines join with LF. Fields other than `data` and `event` carry nothing for us and are dropped.

/// Something complete in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SseItem {
    Event {
        /// `event`, empty if not given.
        name: Vec<u8>,
        /// Not empty.
        data: Vec<u8>,
    },
    /// A comment line, by convention a keep-alive.
    Comment,
}

/// An event or line longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than allowed")]
pub struct SseTooLarge;

/// Cuts a stream into events. Holds at most one event and one line, together within the limit.
#[derive(Debug)]
pub struct SseReader {
    limit: usize,
    line: Vec<u8>,
    data: Vec<u8>,
    name: Vec<u8>,
    has_data: bool,
    /// The last line ended in CR: an LF right after it belongs to it.
    after_cr: bool,
    started: bool,
}

impl SseReader {
    /// A reader of events of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            data: Vec::new(),
            name: Vec::new(),
            has_data: false,
            after_cr: false,
            started: false,
        }
    }

    /// Takes from the front of `input` up to the end of the next item. `None` once all input is taken.
    ///
    /// # Errors
    /// [`SseTooLarge`]; the reader is of no use afterwards.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<SseItem>, SseTooLarge> {
        while let Some((first, rest)) = input.split_first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                *input = rest;
                continue;
            }
            let end = memchr::memchr2(b'\r', b'\n', input);
            let (text, rest) = input.split_at(end.unwrap_or(input.len()));
            if self.line.len() + self.data.len() + self.name.len() + text.len() > self.limit {
                return Err(SseTooLarge);
            }
            self.line.extend_from_slice(text);
            let Some((terminator, rest)) = rest.split_first() else {
                *input = rest;
                return Ok(None);
            };
            *input = rest;
            self.after_cr = *terminator == b'\r';
            if let Some(item) = self.end_line() {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// Whether an event has begun and not ended.
    #[must_use]
    pub fn in_event(&self) -> bool {
        self.has_data || !self.line.is_empty()
    }

    fn end_line(&mut self) -> Option<SseItem> {
        let whole = std::mem::take(&mut self.line);
        let line = match std::mem::replace(&mut self.started, true) {
            false => whole.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&whole),
            true => &whole,
        };
        let item = self.field(line);
        // Keep the allocation for the next line.
        self.line = whole;
        self.line.clear();
        item
    }

    fn field(&mut self, line: &[u8]) -> Option<SseItem> {
        if line.is_empty() {
            return self.dispatch();
        }
        let (name, value) = match memchr::memchr(b':', line) {
            Some(0) => return Some(SseItem::Comment),
            Some(colon) => (line.get(..colon)?, line.get(colon + 1..)?),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"event" => self.name = value.to_vec(),
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<SseItem> {
        self.has_data = false;
        let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        (!data.is_empty()).then_some(SseItem::Event { name, data })
    }
}
