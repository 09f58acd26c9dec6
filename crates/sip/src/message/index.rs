//! Where each header field stands in a message: found in one pass, kept without a copy or an allocation.

use super::lex;
use super::{Fault, HeaderName};

/// How many header fields fit without an allocation. Ordinary messages have 12 to 25.
const INLINE: usize = 32;

/// The most header fields a message may have.
pub const MAX_HEADERS: usize = 250;

/// The largest start line and header fields together, in bytes: offsets are kept in 16 bits.
pub const MAX_HEAD: usize = 65_535;

/// No header field of that name.
const NONE: u8 = u8::MAX;

const _: () = assert!(HeaderName::COUNT <= u64::BITS as usize, "a bit for each name");

/// One header field, as offsets into the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Where its line begins.
    pub(crate) start: u16,
    /// Where its name ends.
    pub(crate) name_end: u16,
    /// Where its value begins, white space left out.
    pub(crate) value: u16,
    /// Where its value ends, white space left out.
    pub(crate) value_end: u16,
    /// Which it is.
    pub(crate) name: HeaderName,
}

/// All zeros: quickly written.
const EMPTY: Entry = Entry { start: 0, name_end: 0, value: 0, value_end: 0, name: HeaderName::Via };

/// The header fields of one message, in order.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    count: u8,
    /// The first field of each name.
    first: [u8; HeaderName::COUNT],
    /// A bit for each name that is there more than once.
    repeated: u64,
    inline: [Entry; INLINE],
    more: Vec<Entry>,
}

impl Index {
    pub(crate) fn new() -> Self {
        Self {
            count: 0,
            first: [NONE; HeaderName::COUNT],
            repeated: 0,
            inline: [EMPTY; INLINE],
            more: Vec::new(),
        }
    }

    /// Reads the header fields that begin at `at`, up to the empty line. Says where the body begins.
    pub(crate) fn read(&mut self, bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
        loop {
            match bytes.get(at..) {
                Some([b'\r', b'\n', ..]) => return Ok(at + 2),
                None | Some([]) => return Err(Fault::NoEmptyLine),
                Some(_) => at = self.field(bytes, at)?,
            }
        }
    }

    /// The same, past lines that break the grammar: what can be read of a message that is refused.
    pub(crate) fn salvage(&mut self, bytes: &[u8], mut at: usize) {
        while usize::from(self.count) < MAX_HEADERS && at < bytes.len() {
            at = match self.field(bytes, at) {
                Ok(next) => next,
                Err(_) if bytes[at..].starts_with(b"\r\n") => return,
                Err(_) => match memchr::memchr(b'\n', &bytes[at..]) {
                    Some(end) => at + end + 1,
                    None => return,
                },
            };
        }
    }

    /// Reads one header field. Says where the next line begins.
    #[inline(always)]
    fn field(&mut self, bytes: &[u8], at: usize) -> Result<usize, Fault> {
        let line = &bytes[at..];
        let colon = lex::find(line, b':').ok_or_else(|| without_colon(line))?;
        let written = lex::trim_blanks_end(&line[..colon]);
        let name = HeaderName::at(line, written.len());
        if name == HeaderName::Other && !lex::all_token(written) {
            return Err(without_colon(line));
        }
        let behind = lex::trim_blanks_start(&line[colon + 1..]);
        let end = line_end(behind, 0)?;
        let value = lex::trim(&behind[..end]);
        let (start, end) = (bytes.len() - behind.len(), bytes.len() - behind.len() + end);
        let value_at = start + super::offset(behind, value);
        if end > MAX_HEAD {
            return Err(Fault::HeadTooLarge);
        }
        // Nothing is cut off: all of them are at most `end`.
        let small = |n: usize| n as u16;
        self.push(Entry {
            start: small(at),
            name_end: small(at + written.len()),
            value: small(value_at),
            value_end: small(value_at + value.len()),
            name,
        })?;
        Ok(end + 2)
    }

    #[inline]
    fn push(&mut self, entry: Entry) -> Result<(), Fault> {
        let place = usize::from(self.count);
        if place == MAX_HEADERS {
            return Err(Fault::TooManyHeaders);
        }
        match self.inline.get_mut(place) {
            Some(slot) => *slot = entry,
            None => self.more.push(entry),
        }
        let first = &mut self.first[entry.name as usize];
        if *first == NONE {
            *first = self.count;
        } else {
            self.repeated |= 1 << entry.name as u8;
        }
        self.count += 1;
        Ok(())
    }

    fn get(&self, place: u8) -> &Entry {
        let place = usize::from(place);
        self.inline.get(place).unwrap_or_else(|| &self.more[place - INLINE])
    }

    /// All fields, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        (0..self.count).map(|place| self.get(place))
    }

    /// The first field of that name.
    pub(crate) fn first(&self, name: HeaderName) -> Option<&Entry> {
        match self.first[name as usize] {
            NONE => None,
            place => Some(self.get(place)),
        }
    }

    /// Whether there is more than one field of that name.
    pub(crate) fn is_repeated(&self, name: HeaderName) -> bool {
        self.repeated & (1 << name as u8) != 0
    }

    /// All fields of that name, in order.
    pub(crate) fn all(&self, name: HeaderName) -> impl Iterator<Item = &Entry> {
        let from = self.first[name as usize];
        let to = match from {
            NONE => NONE,
            _ if self.is_repeated(name) => self.count,
            _ => from + 1,
        };
        (from..to).map(|place| self.get(place)).filter(move |entry| entry.name == name)
    }
}

/// What is wrong with a line that does not begin with a token and a colon.
#[cold]
fn without_colon(line: &[u8]) -> Fault {
    match line.get(lex::token(line)) {
        None => Fault::NoEmptyLine,
        Some(_) => Fault::HeaderField,
    }
}

/// Where the line that holds `at` ends, folded lines included: the place of its CR.
#[inline(always)]
pub(crate) fn line_end(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        at += lex::find_line_end(&bytes[at..]).ok_or(Fault::NoEmptyLine)?;
        match bytes[at..] {
            [b'\r', b'\n', b' ' | b'\t', ..] => at += 3,
            [b'\r', b'\n', ..] => return Ok(at),
            _ => return Err(Fault::LineEnd),
        }
    }
}
