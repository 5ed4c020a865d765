//! The protocol of Redis and Valkey (RESP2), as far as a few commands take it, and bounded: what answers is software of
//! somebody else's machine.
//!
//! Of our own, as the client crate brings three dozen others (a URL parser with its Unicode tables, a parser framework, locks)
//! where four commands over a stream that we dial and verify ourselves take two hundred lines.

use std::io;

use bytes::{BufMut as _, BytesMut};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// Longest line, and longest text, that is read.
const LINE: usize = 1024;
const TEXT: usize = 64 * 1024;
/// Items of a list, and lists in each other.
const ITEMS: usize = 256;
const DEPTH: usize = 3;

/// What the store says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    Status(String),
    /// Not an error of the connection: the store could not do what it was asked.
    Error(String),
    Integer(i64),
    Text(Vec<u8>),
    Nothing,
    List(Vec<Self>),
}

/// Writes a command: its name and arguments.
pub(super) fn command(out: &mut BytesMut, parts: &[&[u8]]) {
    out.put_slice(format!("*{}\r\n", parts.len()).as_bytes());
    for part in parts {
        out.put_slice(format!("${}\r\n", part.len()).as_bytes());
        out.put_slice(part);
        out.put_slice(b"\r\n");
    }
}

/// Reads one reply.
///
/// # Errors
/// Of the connection, or of a reply that is not one or too large; nothing can be read after it.
pub(super) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Reply> {
    // The lists that are open, each with how many items it lacks: no recursion on what comes from outside.
    let mut open: Vec<(Vec<Reply>, usize)> = Vec::new();
    loop {
        let mut reply = match item(from).await? {
            Item::Whole(reply) => reply,
            Item::List(0) => Reply::List(Vec::new()),
            Item::List(count) if open.len() < DEPTH => {
                open.push((Vec::with_capacity(count), count));
                continue;
            }
            Item::List(_) => return Err(wrong("lists in lists")),
        };
        loop {
            let Some((mut items, missing)) = open.pop() else { return Ok(reply) };
            items.push(reply);
            if missing > 1 {
                open.push((items, missing - 1));
                break;
            }
            reply = Reply::List(items);
        }
    }
}

enum Item {
    Whole(Reply),
    List(usize),
}

async fn item(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Item> {
    let line = line(from).await?;
    let Some((kind, rest)) = line.split_at_checked(1) else { return Err(wrong("an empty line")) };
    let number = || rest.parse::<i64>().map_err(|_| wrong("a length that is no number"));
    Ok(match kind {
        "+" => Item::Whole(Reply::Status(rest.to_owned())),
        "-" => Item::Whole(Reply::Error(rest.to_owned())),
        ":" => Item::Whole(Reply::Integer(number()?)),
        "$" | "*" if number()? == -1 => Item::Whole(Reply::Nothing),
        "$" => Item::Whole(Reply::Text(text(from, bounded(number()?, TEXT)?).await?)),
        "*" => Item::List(bounded(number()?, ITEMS)?),
        _ => return Err(wrong("no reply")),
    })
}

fn bounded(number: i64, most: usize) -> io::Result<usize> {
    usize::try_from(number).ok().filter(|number| *number <= most).ok_or_else(|| wrong("a reply that is too large"))
}

async fn text(from: &mut (impl AsyncBufRead + Unpin), length: usize) -> io::Result<Vec<u8>> {
    let mut text = vec![0; length + 2];
    from.read_exact(&mut text).await?;
    if !text.ends_with(b"\r\n") {
        return Err(wrong("a text without its end"));
    }
    text.truncate(length);
    Ok(text)
}

async fn line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut line = Vec::new();
    from.take(LINE as u64).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = line.strip_suffix(b"\r\n").ok_or_else(|| wrong("a line without its end"))?;
    String::from_utf8(line.to_vec()).map_err(|_| wrong("a line that is not UTF-8"))
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(bytes: &[u8]) -> io::Result<Reply> {
        futures::FutureExt::now_or_never(read(&mut &*bytes)).unwrap()
    }

    #[test]
    fn replies_are_read_whole_or_not_at_all() {
        let text = |text: &str| Reply::Text(text.as_bytes().to_vec());
        for (bytes, want) in [
            ("+OK\r\n", Some(Reply::Status("OK".to_owned()))),
            ("-NOSCRIPT No matching script\r\n", Some(Reply::Error("NOSCRIPT No matching script".to_owned()))),
            (":-12\r\n", Some(Reply::Integer(-12))),
            ("$2\r\nab\r\n", Some(text("ab"))),
            ("$4\r\na\r\nb\r\n", Some(text("a\r\nb"))),
            ("$-1\r\n", Some(Reply::Nothing)),
            ("*0\r\n", Some(Reply::List(Vec::new()))),
            ("*2\r\n*1\r\n:1\r\n$1\r\nx\r\n", Some(Reply::List(vec![Reply::List(vec![Reply::Integer(1)]), text("x")]))),
            ("", None),
            ("+OK\n", None),
            ("+OK", None),
            ("$3\r\nab\r\n", None),
            ("$2\r\nabcd", None),
            ("$-2\r\n", None),
            ("$99999999\r\n", None),
            ("*99999999\r\n", None),
            ("*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", None),
            (":x\r\n", None),
            ("%1\r\n", None),
            ("*2\r\n:1\r\n", None),
        ] {
            assert_eq!(parse(bytes.as_bytes()).ok(), want, "{bytes:?}");
        }
    }

    #[test]
    fn a_command_is_written_with_the_lengths_of_its_parts() {
        let mut out = BytesMut::new();
        command(&mut out, &[b"SET", b"a\r\nb", b""]);
        assert_eq!(&out[..], b"*3\r\n$3\r\nSET\r\n$4\r\na\r\nb\r\n$0\r\n\r\n");
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'*'), Just(b'$'), b'0'..=b'9', any::<u8>()], 0..64)) {
            let _ = parse(&bytes);
        }
    }
}
