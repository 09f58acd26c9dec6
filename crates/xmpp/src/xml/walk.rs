//! Walks over one element, token by token, as far as its bytes have come; well-formedness is checked here.
//!
//! No byte is looked at more than three times, however the bytes are cut: a tag is read at once where it is
//! whole; otherwise its end is looked for, going on where the last look ended, and then it is read.

use super::lex::{self, Attribute, Name, Tag};
use super::scope::{NsRef, Scope};
use super::{Fault, Limits, Span, text};

/// Is told what the walk passes.
pub(crate) trait Visitor {
    /// An element begins; one that is empty is closed at once.
    fn open(&mut self, opened: &Opened<'_>);
    /// Text of the element that was opened last; `literal` where it stood in a CDATA section.
    fn text(&mut self, bytes: &[u8], at: Span, literal: bool);
    /// The element that was opened last, at this depth, ends; its bytes end before `end`.
    fn close(&mut self, depth: usize, end: usize);
}

/// An element that begins.
pub(crate) struct Opened<'a> {
    pub(crate) bytes: &'a [u8],
    /// 0 for the outermost.
    pub(crate) depth: usize,
    pub(crate) tag: Tag,
    pub(crate) attributes: &'a [Attribute],
    pub(crate) scope: &'a Scope,
}

impl Opened<'_> {
    /// The namespace of the element.
    pub(crate) fn namespace(&self) -> NsRef {
        self.scope.resolve(self.bytes, &self.tag.name)
    }
}

#[derive(Clone, Copy, Debug)]
struct Element {
    name: Span,
    /// What `Scope::mark` said before it.
    mark: u32,
}

/// Where the look for the end of a token that is not whole yet goes on.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    /// 0 for a token that nobody has looked at.
    from: usize,
    /// Inside a value that ends with this quote.
    quote: Option<u8>,
}

/// A walk over one element after the other. The bytes given to `go` begin where the element does.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub(crate) scope: Scope,
    pub(crate) limits: Limits,
    open: Vec<Element>,
    attributes: Vec<Attribute>,
    /// Where the next token begins.
    at: usize,
    look: Look,
}

/// How a step went.
enum Step {
    Done,
    More,
}

impl Walk {
    pub(crate) fn new(scope: Scope, limits: Limits) -> Self {
        Self { scope, limits, open: Vec::new(), attributes: Vec::new(), at: 0, look: Look::default() }
    }

    /// Goes on as far as `bytes` reach: where the element ends, or `None` as long as it does not.
    pub(crate) fn go(&mut self, bytes: &[u8], visitor: &mut impl Visitor) -> Result<Option<usize>, Fault> {
        while self.at < bytes.len() {
            match self.token(bytes, visitor)? {
                Step::More => break,
                Step::Done if self.open.is_empty() => return Ok(Some(self.finish())),
                Step::Done => {}
            }
        }
        if bytes.len() > self.limits.size as usize { Err(Fault::TooBig) } else { Ok(None) }
    }

    /// Reads the opening tag of the root, whose `<` stands at `start`, once it is whole.
    pub(crate) fn header(
        &mut self,
        bytes: &[u8],
        start: usize,
        attributes: &mut Vec<Attribute>,
    ) -> Result<Option<Tag>, Fault> {
        self.at = start;
        let Some(end) = self.tag_end(bytes)? else {
            let too_big = bytes.len() > self.limits.size as usize;
            return if too_big { Err(Fault::TooBig) } else { Ok(None) };
        };
        let tag = lex::tag(&bytes[..end], start, self.limits, attributes)?.ok_or(Fault::NotWellFormed)?;
        if tag.empty {
            return Err(Fault::Format);
        }
        self.at = 0;
        self.look = Look::default();
        Ok(Some(tag))
    }

    /// Ready for the next element: how long the last was.
    fn finish(&mut self) -> usize {
        // Rare giants must not cost memory for as long as a connection lasts.
        self.attributes.shrink_to(16);
        self.open.shrink_to(16);
        std::mem::take(&mut self.at)
    }

    fn token(&mut self, bytes: &[u8], visitor: &mut impl Visitor) -> Result<Step, Fault> {
        if bytes[self.at] != b'<' {
            return self.text(bytes, visitor);
        }
        match bytes.get(self.at + 1) {
            None => Ok(Step::More),
            Some(b'/') => self.closing(bytes, visitor),
            Some(b'!') => self.cdata(bytes, visitor),
            Some(b'?') => Err(Fault::Restricted),
            Some(_) => self.opening(bytes, visitor),
        }
    }

    /// The token that ends at `end` is read.
    fn read(&mut self, end: usize) -> Result<Step, Fault> {
        if end > self.limits.size as usize {
            return Err(Fault::TooBig);
        }
        self.at = end;
        self.look = Look::default();
        Ok(Step::Done)
    }

    fn text(&mut self, bytes: &[u8], visitor: &mut impl Visitor) -> Result<Step, Fault> {
        let from = self.look.from.max(self.at);
        let Some(found) = memchr::memchr(b'<', &bytes[from..]) else {
            self.look.from = bytes.len();
            return Ok(Step::More);
        };
        let span = Span::new(self.at, from + found);
        let step = self.read(from + found)?;
        text::check_content(span.of(bytes))?;
        visitor.text(bytes, span, false);
        Ok(step)
    }

    fn cdata(&mut self, bytes: &[u8], visitor: &mut impl Visitor) -> Result<Step, Fault> {
        const OPEN: &[u8] = b"<![CDATA[";
        let have = &bytes[self.at..bytes.len().min(self.at + OPEN.len())];
        // `<!--` and `<!DOCTYPE` are told from it at the third octet; outside of an element it is neither.
        if !OPEN.starts_with(have) || self.open.is_empty() {
            return Err(Fault::Restricted);
        }
        let start = self.at + OPEN.len();
        let from = self.look.from.max(start);
        let Some(found) = bytes.get(from..).and_then(|rest| memchr::memmem::find(rest, b"]]>")) else {
            // The end may be cut after its first or second octet.
            self.look.from = from.max(bytes.len().saturating_sub(2));
            return Ok(Step::More);
        };
        let step = self.read(from + found + 3)?;
        visitor.text(bytes, Span::new(start, from + found), true);
        Ok(step)
    }

    fn opening(&mut self, bytes: &[u8], visitor: &mut impl Visitor) -> Result<Step, Fault> {
        if self.look.from == 0
            && let Ok(Some(tag)) = lex::tag(bytes, self.at, self.limits, &mut self.attributes)
        {
            return self.opened(bytes, tag, visitor);
        }
        // Cut, or wrong: told only when it is whole, so that every way of cutting ends in the same events.
        let Some(end) = self.tag_end(bytes)? else { return Ok(Step::More) };
        let tag = lex::tag(&bytes[..end], self.at, self.limits, &mut self.attributes)?;
        self.opened(bytes, tag.ok_or(Fault::NotWellFormed)?, visitor)
    }

    fn opened(&mut self, bytes: &[u8], tag: Tag, visitor: &mut impl Visitor) -> Result<Step, Fault> {
        let step = self.read(tag.end)?;
        let depth = self.open.len();
        if depth >= usize::from(self.limits.depth) {
            return Err(Fault::TooDeep);
        }
        let mark = self.scope.mark();
        self.scope.enter(bytes, &tag.name, &self.attributes, self.limits.attributes)?;
        visitor.open(&Opened { bytes, depth, tag, attributes: &self.attributes, scope: &self.scope });
        if tag.empty {
            visitor.close(depth, tag.end);
            self.scope.leave(mark);
        } else {
            self.open.push(Element { name: tag.name.span(), mark });
        }
        Ok(step)
    }

    fn closing(&mut self, bytes: &[u8], visitor: &mut impl Visitor) -> Result<Step, Fault> {
        if self.look.from == 0
            && let Ok(Some((name, end))) = lex::closing_tag(bytes, self.at, self.limits)
        {
            return self.closed(bytes, name, end, visitor);
        }
        let Some(end) = self.tag_end(bytes)? else { return Ok(Step::More) };
        let tag = lex::closing_tag(&bytes[..end], self.at, self.limits)?;
        let (name, end) = tag.ok_or(Fault::NotWellFormed)?;
        self.closed(bytes, name, end, visitor)
    }

    fn closed(
        &mut self,
        bytes: &[u8],
        name: Name,
        end: usize,
        visitor: &mut impl Visitor,
    ) -> Result<Step, Fault> {
        let step = self.read(end)?;
        match self.open.pop() {
            Some(element) if element.name.of(bytes) == name.whole(bytes) => {
                self.scope.leave(element.mark);
                visitor.close(self.open.len(), end);
                Ok(step)
            }
            _ => Err(Fault::NotWellFormed),
        }
    }

    /// Looks for the `>` of the tag at hand: where it ends, or `None` as long as it has not come.
    fn tag_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        let mut at = self.look.from.max(self.at + 1);
        while at < bytes.len() {
            let found = match self.look.quote {
                Some(quote) => memchr::memchr(quote, &bytes[at..]),
                None => memchr::memchr3(b'>', b'\'', b'"', &bytes[at..]),
            };
            let Some(found) = found.map(|found| at + found) else { break };
            at = found + 1;
            match (self.look.quote.take(), bytes[found]) {
                (None, b'>') if at > self.limits.size as usize => return Err(Fault::TooBig),
                (None, b'>') => return Ok(Some(at)),
                (None, quote) => self.look.quote = Some(quote),
                (Some(_), _) => {}
            }
        }
        self.look.from = bytes.len();
        Ok(None)
    }
}
