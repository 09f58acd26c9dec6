//! Streams to messages: where each one ends, keep-alives in between, bounded in size (RFC 3261 §18.3, RFC 5626 §3.5.1).
//!
//! Messages that arrive whole are handed on where they lie; only a message that is cut by the end of what was
//! read is kept, until the rest comes.

use crate::message::{Fault, HeaderName, Index, Malformed, Message, content_length, lex, line_end};
use memchr::memmem;

/// A client's keep-alive on a stream (RFC 5626 §3.5.1).
pub const PING: &[u8] = b"\r\n\r\n";

/// What a client's keep-alive on a stream is answered with (RFC 5626 §4.4.1).
pub const PONG: &[u8] = b"\r\n";

/// A buffer of more than this is given back once it is empty: most connections are idle most of the time.
const KEPT: usize = 2048;

/// How much a peer may send before its message is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Start line and header fields together, in bytes.
    pub head: usize,
    /// The body, in bytes.
    pub body: usize,
}

impl Limits {
    /// The message that `data` begins with, if it is whole, well made, and within these limits: its lines are read once, for where it
    /// ends and for what it says.
    fn read<'d>(&self, data: &'d [u8]) -> Option<Message<'d>> {
        let message = Message::parse(data).ok().filter(|_| lex::is_token(data[0]))?;
        let (head, whole) = (message.head().len(), message.bytes().len());
        let fits = head <= self.head && whole - head <= self.body;
        (fits && message.has(HeaderName::ContentLength)).then_some(message)
    }
}

/// What came out of a stream.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are messages, and each lives for a moment")]
pub enum Frame<'a> {
    /// One whole message, read: it came in one piece, and nothing is wrong with it.
    Message(Message<'a>),
    /// One whole message, for [`Message::parse`].
    Bytes(&'a [u8]),
    /// A keep-alive: answer with [`PONG`].
    Ping,
    /// Nobody can say where this message ends: answer it if it gets an answer, then close. Nothing comes after it.
    Bad(Malformed<'a>),
}

/// Cuts one stream into messages.
#[derive(Clone, Debug)]
pub struct Framer {
    limits: Limits,
    /// A message that is not whole yet, or the one that was handed out last.
    kept: Vec<u8>,
    /// Whether `kept` was handed out.
    done: bool,
    /// How far the head was searched for its end.
    scanned: usize,
    /// How long the message is, once its head was read.
    whole: Option<usize>,
    broken: bool,
}

/// What the bytes at hand begin with.
enum Cut {
    /// Part of something.
    Part,
    /// An empty line to be left out.
    LineEnd,
    Ping,
    Message(usize),
    Bad(Fault),
}

impl Framer {
    /// For a stream that begins.
    pub fn new(limits: Limits) -> Self {
        Self { limits, kept: Vec::new(), done: false, scanned: 0, whole: None, broken: false }
    }

    /// Whether a message has begun that is not whole yet.
    pub fn is_partial(&self) -> bool {
        !self.done && !self.kept.is_empty()
    }

    /// The next thing in what was kept and `data`, which loses what was taken. Call until `None`: then all of
    /// `data` is taken.
    pub fn next<'s, 'd: 's>(&'s mut self, data: &mut &'d [u8]) -> Option<Frame<'s>> {
        self.forget_handed_out();
        while !self.broken && !data.is_empty() {
            let before = self.kept.len();
            if before == 0
                && let Some(message) = self.limits.read(data)
            {
                *data = &data[message.bytes().len()..];
                return Some(Frame::Message(message));
            }
            match self.begins_with(data) {
                Cut::Part if before == 0 => return self.keep(data),
                Cut::Part => break,
                Cut::LineEnd => {
                    self.take(2, before, data);
                    self.kept.drain(..self.kept.len().min(2));
                }
                Cut::Ping => {
                    self.take(4, before, data);
                    self.kept.clear();
                    return Some(Frame::Ping);
                }
                Cut::Message(length) => {
                    self.done = true;
                    let taken = self.take(length, before, data);
                    return Some(Frame::Bytes(if before == 0 { taken } else { &self.kept }));
                }
                Cut::Bad(fault) => {
                    (self.done, self.broken) = (true, true);
                    let taken = self.take(before + data.len(), before, data);
                    let bytes = if before == 0 { taken } else { &self.kept };
                    return Some(Frame::Bad(Malformed::new(bytes, fault)));
                }
            }
        }
        *data = &[];
        None
    }

    /// What is kept and `data` behind it begin with. What is kept has `data` behind it from then on.
    fn begins_with(&mut self, data: &[u8]) -> Cut {
        if self.kept.is_empty() {
            return self.cut(data);
        }
        let mut kept = std::mem::take(&mut self.kept);
        kept.extend_from_slice(data);
        let cut = self.cut(&kept);
        self.kept = kept;
        cut
    }

    /// Keeps what is only a part, until more comes.
    fn keep(&mut self, data: &mut &[u8]) -> Option<Frame<'_>> {
        self.kept.extend_from_slice(data);
        *data = &[];
        None
    }

    /// Takes what is `length` bytes long, of which `before` had been kept, off `data`.
    fn take<'d>(&mut self, length: usize, before: usize, data: &mut &'d [u8]) -> &'d [u8] {
        let (taken, rest) = data.split_at(length.saturating_sub(before));
        *data = rest;
        self.kept.truncate(length.max(before));
        (self.scanned, self.whole) = (0, None);
        taken
    }

    fn forget_handed_out(&mut self) {
        if self.done {
            self.done = false;
            self.kept.clear();
            if self.kept.capacity() > KEPT {
                self.kept = Vec::new();
            }
        }
    }

    /// Says what `bytes`, which are not empty, begin with.
    fn cut(&mut self, bytes: &[u8]) -> Cut {
        match bytes {
            [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => Cut::Part,
            [b'\r', b'\n', b'\r', b'\n', ..] => Cut::Ping,
            [b'\r', b'\n', ..] => Cut::LineEnd,
            [first, ..] if !lex::is_token(*first) => Cut::Bad(Fault::StartLine),
            _ => self.message(bytes),
        }
    }

    fn message(&mut self, bytes: &[u8]) -> Cut {
        let whole = match self.whole {
            Some(whole) => whole,
            None => match self.head(bytes) {
                Ok(Some(whole)) => *self.whole.insert(whole),
                Ok(None) => return Cut::Part,
                Err(fault) => return Cut::Bad(fault),
            },
        };
        if bytes.len() < whole { Cut::Part } else { Cut::Message(whole) }
    }

    /// How long the message is whose head may be whole by now.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        let from = self.scanned.saturating_sub(3);
        let end = memmem::find(&bytes[from..], b"\r\n\r\n").map(|at| from + at + 4);
        self.scanned = bytes.len();
        if end.unwrap_or(bytes.len()) > self.limits.head {
            return Err(Fault::HeadTooLarge);
        }
        let Some(end) = end else { return Ok(None) };
        let body = said_length(&bytes[..end])?;
        if body > self.limits.body { Err(Fault::BodyTooLarge) } else { Ok(Some(end + body)) }
    }
}

/// What the Content-Length of a whole head says. A line that breaks the grammar is for whoever reads the message,
/// as long as nobody can take its line ends for others.
fn said_length(head: &[u8]) -> Result<usize, Fault> {
    let start = line_end(head, 0).map_err(|_| Fault::StartLine)? + 2;
    let mut index = Index::new();
    match index.read(head, start) {
        Ok(_) => (),
        Err(Fault::HeaderField) if line_ends_are_whole(head) => {
            index = Index::new();
            index.salvage(head, start);
        }
        Err(fault) => return Err(fault),
    }
    content_length(head, &index)?.ok_or(Fault::NoContentLength)
}

fn line_ends_are_whole(head: &[u8]) -> bool {
    memchr::memchr2_iter(b'\r', b'\n', head).all(|at| match head[at] {
        b'\r' => head.get(at + 1) == Some(&b'\n'),
        _ => at > 0 && head[at - 1] == b'\r',
    })
}

#[cfg(test)]
mod tests;
