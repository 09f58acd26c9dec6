//! Cuts a stream into its header, its first-level elements and its end, wherever the bytes are split.
//!
//! An element is handed out as the bytes that came, with what routing needs to know of it. Prefixes that only
//! the stream header declares are declared on the element itself, so that it stands alone.

use super::head::Head;
use super::lex::{self, Attribute, Tag};
use super::scope::{NsRef, Scope};
use super::text::{self, unescape_attribute};
use super::walk::Walk;
use super::{Element, Fault, Limits};
use std::borrow::Cow;

/// What came of a stream.
#[derive(Debug)]
pub enum Event<'a> {
    /// The header.
    Open(Header<'a>),
    /// A first-level element, whole.
    Element(Fragment<'a>),
    /// The closing tag of the stream.
    Close,
}

/// The header of a stream: its attributes, references resolved.
#[derive(Debug)]
pub struct Header<'a> {
    text: &'a str,
    tag: Tag,
    attributes: &'a [Attribute],
    scope: &'a Scope,
}

impl<'a> Header<'a> {
    /// The name without prefix.
    pub fn name(&self) -> &'a str {
        self.tag.name.local_span().str(self.text)
    }

    /// The prefix of the name, empty where there is none.
    pub fn prefix(&self) -> &'a str {
        std::str::from_utf8(self.tag.name.prefix(self.text.as_bytes())).unwrap_or_default()
    }

    /// The namespace of the header itself.
    pub fn namespace(&self) -> Cow<'a, str> {
        self.scope.uri(self.text, self.scope.resolve(self.text.as_bytes(), &self.tag.name))
    }

    /// The namespace of first-level elements that say nothing else; empty where the header declares none.
    pub fn content(&self) -> Cow<'a, str> {
        self.scope.uri(self.text, self.scope.resolve(self.text.as_bytes(), &lex::Name::default()))
    }

    /// The value of an attribute, by its name with prefix (`xml:lang`).
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        let found = self.attributes.iter().find(|a| a.name.span().str(self.text) == name)?;
        Some(unescape_attribute(found.value.str(self.text)))
    }

    /// The value of an attribute that has a prefix, whichever stands for that namespace.
    pub fn get_in(&self, namespace: &str, name: &str) -> Option<Cow<'a, str>> {
        let bytes = self.text.as_bytes();
        let is_it = |a: &&Attribute| {
            let here = |at| self.scope.uri(self.text, at) == namespace;
            a.name.has_prefix()
                && a.name.local(bytes) == name.as_bytes()
                && here(self.scope.resolve(bytes, &a.name))
        };
        Some(unescape_attribute(self.attributes.iter().find(is_it)?.value.str(self.text)))
    }
}

/// A first-level element: its bytes, and what routing needs to know of it.
#[derive(Debug)]
pub struct Fragment<'a> {
    raw: &'a str,
    head: &'a Head,
    scope: &'a Scope,
}

impl<'a> Fragment<'a> {
    /// The element as it came.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// The name without prefix.
    pub fn name(&self) -> &'a str {
        self.head.name.str(self.raw)
    }

    /// The namespace.
    pub fn namespace(&self) -> Cow<'a, str> {
        self.uri(self.head.namespace)
    }

    /// Whether it has this name in this namespace.
    pub fn is(&self, name: &str, namespace: &str) -> bool {
        self.name() == name && self.namespace() == namespace
    }

    /// The whole element as a tree.
    pub fn element(&self) -> Result<Element, Fault> {
        let surroundings = self.scope.resolve(b"", &lex::Name::default());
        Element::parse(self.raw, &self.uri(surroundings))
    }

    pub(crate) fn head(&self) -> &'a Head {
        self.head
    }

    pub(crate) fn uri(&self, namespace: NsRef) -> Cow<'a, str> {
        self.scope.uri(self.raw, namespace)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Before the header.
    Start,
    /// Between header and closing tag.
    Inside,
    /// Behind the closing tag, or behind a fault.
    Over,
}

/// Reads a stream, whatever the pieces in which it comes. After a fault it takes nothing more.
#[derive(Clone, Debug)]
pub struct Reader {
    stage: Stage,
    walk: Walk,
    head: Head,
    /// The beginning of what is not whole yet; also what the last event was made of.
    partial: Vec<u8>,
    /// The last element with the header's prefixes declared on it.
    alone: String,
    /// The name of the stream's root, for its closing tag.
    root: Box<[u8]>,
    attributes: Vec<Attribute>,
    /// Whether `partial` was handed out.
    spent: bool,
}

/// The XML declaration with all that may stand in it is far shorter.
const LONGEST_DECLARATION: usize = 200;

impl Reader {
    /// Waits for a stream header.
    pub fn new(limits: Limits) -> Self {
        Self {
            stage: Stage::Start,
            walk: Walk::new(Scope::default(), limits),
            head: Head::default(),
            partial: Vec::new(),
            alone: String::new(),
            root: Box::default(),
            attributes: Vec::new(),
            spent: false,
        }
    }

    /// Waits for the header of a new stream on the same connection.
    pub fn restart(&mut self) {
        *self = Self::new(self.walk.limits);
    }

    /// What holds from the next element on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.walk.limits = limits;
    }

    /// Whether something has come that is not whole yet.
    pub fn is_amid(&self) -> bool {
        !self.spent && !self.partial.is_empty()
    }

    /// Octets of memory in which bytes of the stream stand.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.partial.capacity() + self.alone.capacity()
    }

    /// Reads from `input`: how many bytes were taken, and what came of them. Call again with the rest until it
    /// is empty.
    pub fn next<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), Fault> {
        self.rest();
        // `begin` and `inside` put it right when they go on.
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        match stage {
            Stage::Start => self.begin(input),
            Stage::Inside => self.inside(input),
            Stage::Over => Ok((input.len(), None)),
        }
    }

    /// Gives back the memory of what was handed out; `next` does it as well. For a stream that waits.
    pub fn rest(&mut self) {
        if std::mem::take(&mut self.spent) {
            self.partial = Vec::new();
            self.alone = String::new();
            self.attributes = Vec::new();
            self.walk.scope.reset();
        }
    }

    /// The part of `input` that counts, and how much white space stands before it.
    fn skip<'a>(&self, input: &'a [u8]) -> (usize, &'a [u8]) {
        let white = if self.partial.is_empty() { lex::skip_white(input, 0) } else { 0 };
        (white, &input[white..])
    }

    fn begin<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), Fault> {
        let (white, rest) = self.skip(input);
        let before = self.partial.len();
        self.partial.extend_from_slice(rest);
        let start = declaration(&self.partial)?;
        let tag = match start {
            Some(start) => self.walk.header(&self.partial, start, &mut self.attributes)?,
            None => None,
        };
        let Some(tag) = tag else {
            self.stage = Stage::Start;
            return Ok((input.len(), None));
        };
        self.partial.truncate(tag.end);
        self.spent = true;
        self.stage = Stage::Inside;
        let text = text::check(&self.partial)?;
        self.walk.scope.begin(text, &tag.name, &self.attributes)?;
        self.root = tag.name.whole(&self.partial).into();
        let header = Header { text, tag, attributes: &self.attributes, scope: &self.walk.scope };
        Ok((white + tag.end - before, Some(Event::Open(header))))
    }

    fn inside<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), Fault> {
        let (white, rest) = self.skip(input);
        let before = self.partial.len();
        if before > 0 {
            self.partial.extend_from_slice(rest);
        }
        let view = if before == 0 { rest } else { &self.partial };
        match look(&mut self.walk, &mut self.head, &self.root, view)? {
            Found::Nothing => {
                self.stage = Stage::Inside;
                if before == 0 {
                    self.partial.extend_from_slice(rest);
                }
                Ok((input.len(), None))
            }
            Found::Close(end) => {
                self.spent = true;
                Ok((white + end - before, Some(Event::Close)))
            }
            Found::Element(end) => {
                self.stage = Stage::Inside;
                self.spent = true;
                let view = if before == 0 { rest } else { &self.partial };
                let mut raw = text::check(&view[..end])?;
                if self.walk.scope.leans() {
                    stand_alone(raw, &self.walk, &mut self.head, &mut self.alone)?;
                    raw = &self.alone;
                }
                let fragment = Fragment { raw, head: &self.head, scope: &self.walk.scope };
                Ok((white + end - before, Some(Event::Element(fragment))))
            }
        }
    }
}

/// What stands at the beginning of some bytes.
enum Found {
    /// Nothing whole yet.
    Nothing,
    /// An element that ends there.
    Element(usize),
    /// The closing tag of the stream, which ends there.
    Close(usize),
}

fn look(walk: &mut Walk, head: &mut Head, root: &[u8], view: &[u8]) -> Result<Found, Fault> {
    if view.first().is_some_and(|b| *b != b'<') {
        return Err(Fault::Format);
    }
    if view.starts_with(b"</") {
        let end = closing(view, root, walk.limits)?;
        return Ok(end.map_or(Found::Nothing, Found::Close));
    }
    Ok(walk.go(view, head)?.map_or(Found::Nothing, Found::Element))
}

/// Declares on the element itself what it takes from the stream header. Rare: clients declare where they use.
fn stand_alone(raw: &str, walk: &Walk, head: &mut Head, alone: &mut String) -> Result<(), Fault> {
    let (name, rest) = raw.split_at(head.name_end as usize);
    alone.push_str(name);
    for (prefix, uri) in walk.scope.leaned_on() {
        alone.push_str(" xmlns:");
        alone.push_str(prefix);
        alone.push_str("='");
        super::writer::escape_attribute(uri, alone);
        alone.push('\'');
    }
    alone.push_str(rest);
    let size = u32::try_from(alone.len()).map_err(|_| Fault::TooBig)?;
    let attributes = walk.limits.attributes.saturating_mul(2);
    let limits = Limits { size, attributes, ..walk.limits };
    let mut scope = walk.scope.clone();
    scope.reset();
    let whole = Walk::new(scope, limits).go(alone.as_bytes(), head)?;
    debug_assert_eq!(whole, Some(alone.len()), "it was well-formed before");
    Ok(())
}

/// Reads the XML declaration, if there is one: where the root begins. `None`: not all of it is here.
pub(crate) fn declaration(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    const OPEN: &[u8] = b"<?xml";
    match (bytes.first(), bytes.get(1)) {
        (None, _) | (Some(b'<'), None) => return Ok(None),
        (Some(b'<'), Some(b'!')) => return Err(Fault::Restricted),
        (Some(b'<'), Some(b'?')) => {}
        (Some(b'<'), Some(_)) => return Ok(Some(0)),
        (Some(_), _) => return Err(Fault::NotWellFormed),
    }
    let window = &bytes[..bytes.len().min(LONGEST_DECLARATION)];
    let Some(end) = memchr::memmem::find(window, b"?>") else {
        return if window.len() == LONGEST_DECLARATION { Err(Fault::Restricted) } else { Ok(None) };
    };
    if !window.starts_with(OPEN) || !window.get(OPEN.len()).is_some_and(|b| lex::is_white(*b)) {
        return Err(Fault::Restricted);
    }
    check_declaration(&window[OPEN.len()..end])?;
    let root = lex::skip_white(bytes, end + 2);
    match (bytes.get(root), bytes.get(root + 1)) {
        (None, _) | (Some(b'<'), None) => Ok(None),
        (Some(b'<'), Some(b'!' | b'?')) => Err(Fault::Restricted),
        (Some(b'<'), Some(_)) => Ok(Some(root)),
        (Some(_), _) => Err(Fault::NotWellFormed),
    }
}

/// XML 1.0 §2.8: version, then perhaps encoding and standalone. Only UTF-8 will do (RFC 6120 §11.6).
fn check_declaration(inner: &[u8]) -> Result<(), Fault> {
    let mut tag = b"<xml".to_vec();
    tag.extend_from_slice(inner);
    tag.extend_from_slice(b"/>");
    let mut attributes = Vec::new();
    let read = lex::tag(&tag, 0, Limits::STRANGER, &mut attributes)?;
    if read.is_none_or(|read| read.end != tag.len()) {
        return Err(Fault::NotWellFormed);
    }
    let mut expected: &[&[u8]] = &[b"version", b"encoding", b"standalone"];
    for (at, attribute) in attributes.iter().enumerate() {
        let (name, value) = (attribute.name.whole(&tag), attribute.value.of(&tag));
        let Some(place) = expected.iter().position(|n| *n == name) else {
            return Err(Fault::NotWellFormed);
        };
        expected = &expected[place + 1..];
        match name {
            b"version" if value == b"1.0" => {}
            b"encoding" if value.eq_ignore_ascii_case(b"utf-8") => {}
            b"encoding" => return Err(Fault::Encoding),
            b"standalone" if at > 0 && matches!(value, b"yes" | b"no") => {}
            _ => return Err(Fault::NotWellFormed),
        }
    }
    if attributes.first().is_some_and(|a| a.name.whole(&tag) == b"version") {
        Ok(())
    } else {
        Err(Fault::NotWellFormed)
    }
}

/// Reads the closing tag of the stream: where it ends, or `None` as long as it is not all here.
fn closing(bytes: &[u8], root: &[u8], limits: Limits) -> Result<Option<usize>, Fault> {
    let most = root.len() + 64;
    let window = &bytes[..bytes.len().min(most)];
    match lex::closing_tag(window, 0, limits)? {
        Some((name, end)) if name.whole(window) == root => Ok(Some(end)),
        None if window.len() < most => Ok(None),
        _ => Err(Fault::NotWellFormed),
    }
}

#[cfg(test)]
mod tests;
