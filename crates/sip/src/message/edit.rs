//! Forwarding by splicing: only what a proxy must change is written anew, every other byte goes out as it came in
//! (RFC 3261 §16.6, §16.7).

use super::index::line_end;
use super::reply::{offset, push_field, push_number, stamp};
use super::{HeaderName, Message, lex};
use std::net::SocketAddr;
use std::ops::Range;

/// How many changes fit without an allocation.
const INLINE: usize = 16;

/// One change: these bytes of the message make way for that text.
#[derive(Clone, Copy, Debug, Default)]
struct Splice {
    from: usize,
    to: usize,
    text: (usize, usize),
}

/// A message being changed on its way out. Say what changes, in any order, then [`Edit::finish`].
/// Change each thing once: two changes of the same bytes do not add up.
#[derive(Debug)]
#[must_use = "nothing is written before finish()"]
pub struct Edit<'o, 'm, 'a> {
    message: &'m Message<'a>,
    /// New texts gather behind `base`; `finish` puts the message there and takes them out again.
    out: &'o mut Vec<u8>,
    base: usize,
    inline: [Splice; INLINE],
    count: usize,
    more: Vec<Splice>,
}

impl<'o, 'm, 'a> Edit<'o, 'm, 'a> {
    /// Begins with the message as it is; it will be appended to `out`.
    pub fn new(message: &'m Message<'a>, out: &'o mut Vec<u8>) -> Self {
        let base = out.len();
        out.reserve(message.bytes().len() + 1024);
        Self { message, out, base, inline: [Splice::default(); INLINE], count: 0, more: Vec::new() }
    }

    /// Replaces the Request-URI.
    pub fn request_uri(&mut self, uri: &[u8]) -> &mut Self {
        if let Some(old) = self.message.uri_bytes() {
            let from = offset(self.message.bytes(), old);
            self.splice(from..from + old.len(), |out| out.extend_from_slice(uri));
        }
        self
    }

    /// Writes what the receiver adds into the topmost Via: `received`, `rport` (RFC 3261 §18.2.1, RFC 3581 §4).
    pub fn stamp_via(&mut self, source: SocketAddr) -> &mut Self {
        let via = *self.message.via();
        let from = offset(self.message.bytes(), via.as_bytes());
        self.splice(from..from + via.as_bytes().len(), |out| stamp(out, &via, source));
        self
    }

    /// Puts a header field line above the first of its name. Where there is none, it comes behind the Vias.
    /// For Via, Record-Route, Route and Path.
    pub fn push(&mut self, name: HeaderName, value: impl AsRef<[u8]>) -> &mut Self {
        let at = match self.message.index().first(name) {
            Some(first) => usize::from(first.start),
            None => self.after_vias(),
        };
        self.splice(at..at, |out| push_field(out, name.as_str(), value.as_ref()));
        self
    }

    /// Puts a header field line below all others.
    pub fn append(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        let at = self.message.head().len() - 2;
        self.splice(at..at, |out| push_field(out, name, value.as_ref()));
        self
    }

    /// Replaces the value of the first header field of that name, or appends one where there is none.
    pub fn set(&mut self, name: HeaderName, value: impl AsRef<[u8]>) -> &mut Self {
        match self.message.header(name) {
            Some(old) => self.replace(old, value.as_ref()),
            None => self.append(name.as_str(), value),
        }
    }

    /// Replaces a part of the message: a slice that came out of one of its views (an address in a Contact, say).
    pub fn replace(&mut self, old: &[u8], new: &[u8]) -> &mut Self {
        let from = offset(self.message.bytes(), old);
        self.splice(from..from + old.len(), |out| out.extend_from_slice(new));
        self
    }

    /// Sets Max-Forwards.
    pub fn max_forwards(&mut self, hops: u8) -> &mut Self {
        if let Some(old) = self.message.header(HeaderName::MaxForwards) {
            let from = offset(self.message.bytes(), old);
            self.splice(from..from + old.len(), |out| push_number(out, hops.into()));
        } else {
            let at = self.after_vias();
            self.splice(at..at, |out| {
                out.extend_from_slice(b"Max-Forwards: ");
                push_number(out, hops.into());
                out.extend_from_slice(b"\r\n");
            });
        }
        self
    }

    /// Takes away the first `count` elements of a list header field, over all its lines: the topmost Via, Routes
    /// that lead to us.
    pub fn pop(&mut self, name: HeaderName, mut count: usize) -> &mut Self {
        let message = self.message;
        for entry in message.index().all(name) {
            if count == 0 {
                break;
            }
            let text = &message.bytes()[usize::from(entry.value)..usize::from(entry.value_end)];
            match after_elements(text, &mut count) {
                Some(kept) => self.splice(entry.value.into()..usize::from(entry.value) + kept, |_| ()),
                None => self.splice(self.line(entry), |_| ()),
            }
        }
        self
    }

    /// Takes away every line of a header field whose value `goes`: credentials that were for us, say.
    pub fn remove(&mut self, name: HeaderName, mut goes: impl FnMut(&[u8]) -> bool) -> &mut Self {
        let message = self.message;
        for entry in message.index().all(name) {
            if goes(&message.bytes()[usize::from(entry.value)..usize::from(entry.value_end)]) {
                self.splice(self.line(entry), |_| ());
            }
        }
        self
    }

    /// Makes sure that the message says how long its body is: streams need it (RFC 3261 §18.3).
    pub fn content_length(&mut self) -> &mut Self {
        if !self.message.has(HeaderName::ContentLength) {
            let length = self.message.body().len();
            self.append_length(length);
        }
        self
    }

    /// Replaces the body, and says its new length.
    pub fn body(&mut self, body: &[u8]) -> &mut Self {
        let message = self.message;
        match message.header(HeaderName::ContentLength) {
            Some(_) => {
                for old in message.all(HeaderName::ContentLength) {
                    let from = offset(message.bytes(), old);
                    self.splice(from..from + old.len(), |out| push_number(out, body.len() as u64));
                }
            }
            None => self.append_length(body.len()),
        }
        let from = message.head().len();
        self.splice(from..message.bytes().len(), |out| out.extend_from_slice(body));
        self
    }

    fn append_length(&mut self, length: usize) {
        let at = self.message.head().len() - 2;
        self.splice(at..at, |out| {
            out.extend_from_slice(b"Content-Length: ");
            push_number(out, length as u64);
            out.extend_from_slice(b"\r\n");
        });
    }

    /// Writes the message.
    pub fn finish(mut self) {
        let bytes = self.message.bytes();
        let texts = self.out.len();
        let mut splices = std::mem::take(&mut self.more);
        let changes = if splices.is_empty() {
            &mut self.inline[..self.count]
        } else {
            splices.splice(0..0, self.inline);
            &mut splices[..]
        };
        // Stable: what was said first comes first where two texts go to one place.
        changes.sort_by_key(|splice| splice.from);
        let mut copied = 0;
        for change in changes {
            let from = change.from.max(copied);
            self.out.extend_from_slice(&bytes[copied..from]);
            self.out.extend_from_within(change.text.0..change.text.1);
            copied = change.to.max(copied);
        }
        self.out.extend_from_slice(&bytes[copied..]);
        self.out.drain(self.base..texts);
    }

    fn splice(&mut self, range: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        let begin = self.out.len();
        write(self.out);
        let splice = Splice { from: range.start, to: range.end, text: (begin, self.out.len()) };
        match self.inline.get_mut(self.count) {
            Some(slot) => *slot = splice,
            None => self.more.push(splice),
        }
        self.count += 1;
    }

    /// The whole line of a header field, its line end included.
    fn line(&self, entry: &super::index::Entry) -> Range<usize> {
        let bytes = self.message.bytes();
        let end = line_end(bytes, entry.value_end.into()).expect("every header line of a read message ends");
        entry.start.into()..end + 2
    }

    /// Where the line behind the last Via begins.
    fn after_vias(&self) -> usize {
        let last = self.message.index().all(HeaderName::Via).last();
        self.line(last.expect("every read message has a Via")).end
    }
}

/// Where the element behind the first `count` begins; `None` where the value has no more than `count`.
fn after_elements(text: &[u8], count: &mut usize) -> Option<usize> {
    let mut at = 0;
    loop {
        let end = at + lex::element(&text[at..]);
        if !lex::trim(&text[at..end]).is_empty() {
            *count -= 1;
        }
        let next = end + 1;
        lex::List::new(text.get(next..).unwrap_or_default()).next()?;
        at = next + lex::lws(&text[next..]);
        if *count == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests;
