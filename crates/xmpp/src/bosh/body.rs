//! The `<body/>` of a request (XEP-0124 §6): what it says to us, and what it carries for the stream inside.

use super::Condition;
use crate::framed;
use crate::ns;
use crate::xml::reader::declaration;
use crate::xml::{Event, Fault, Header, Limits, Reader, lex};
use std::borrow::Cow;

/// The highest number of a request (XEP-0124 §14.1).
const HIGHEST: u64 = (1 << 53) - 1;
/// The longest type that answers are wanted in.
const LONGEST_TYPE: usize = 100;

/// What a client sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// The number of the request.
    pub rid: u64,
    /// The session, in all requests but the first.
    pub sid: Option<Box<str>>,
    /// Up to where the client has had answers.
    pub ack: Option<u64>,
    /// Shows whose session it is …
    pub key: Option<Box<str>>,
    /// … and what the next key will hash to.
    pub newkey: Option<Box<str>>,
    /// For how many seconds the client wants to be away.
    pub pause: Option<u64>,
    /// Whether the client takes leave.
    pub terminate: bool,
    /// Whether the stream inside begins anew (XEP-0206 §5).
    pub restart: bool,
    /// What a first request wants, or one that begins the stream anew.
    pub wish: Wish,
    /// The elements for the stream, one behind the other.
    pub payload: String,
}

/// What a client wants of a session or of its stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The domain.
    pub to: Option<Box<str>>,
    /// Who it says it is.
    pub from: Option<Box<str>>,
    /// Its language.
    pub lang: Option<Box<str>>,
    /// The version of XMPP.
    pub version: Option<Box<str>>,
    /// The version of XEP-0124 that it speaks.
    pub ver: Option<(u32, u32)>,
    /// For how many seconds its requests may wait.
    pub wait: Option<u64>,
    /// How many of them.
    pub hold: Option<usize>,
    /// The type that it wants answers to have.
    pub content: Option<Box<str>>,
}

impl Wish {
    /// As the header of a stream; 1.0 is meant by a client that names no version (XEP-0206 §9).
    pub(super) fn header(&self) -> String {
        framed::write_header(|name| {
            Some(Cow::from(match name {
                "to" => self.to.as_deref()?,
                "from" => self.from.as_deref()?,
                "xml:lang" => self.lang.as_deref()?,
                "version" => self.version.as_deref().unwrap_or("1.0"),
                _ => return None,
            }))
        })
    }

    /// The same where less is said than with the first request.
    pub(super) fn or(&self, first: &Self) -> Self {
        Self {
            to: self.to.clone().or_else(|| first.to.clone()),
            from: self.from.clone().or_else(|| first.from.clone()),
            lang: self.lang.clone().or_else(|| first.lang.clone()),
            version: self.version.clone().or_else(|| first.version.clone()),
            ..first.clone()
        }
    }
}

impl Body {
    /// Reads a request.
    pub fn parse(bytes: &[u8], limits: Limits) -> Result<Self, Condition> {
        let whole = opened(bytes, limits).map_err(|_| Condition::BadRequest)?;
        Self::read(&whole, limits).map_err(|_| Condition::BadRequest)
    }

    fn read(bytes: &[u8], limits: Limits) -> Result<Self, Fault> {
        let mut reader = Reader::new(limits);
        let (mut body, mut rest) = (Self::default(), bytes);
        let mut surroundings = String::new();
        loop {
            let (used, event) = reader.next(rest)?;
            rest = &rest[used..];
            match event {
                Some(Event::Open(header)) => {
                    body = Self::said(&header).ok_or(Fault::Format)?;
                    surroundings = header.content().into_owned();
                }
                Some(Event::Element(element)) => {
                    body.payload.push_str(&stanza(element.raw(), &surroundings));
                }
                Some(Event::Close) if rest.iter().copied().all(lex::is_white) => return Ok(body),
                // Bytes that end before the wrapper does, or go on behind it.
                Some(Event::Close) | None => return Err(Fault::Format),
            }
        }
    }

    /// What the attributes say; none where one of them cannot be.
    fn said(header: &Header<'_>) -> Option<Self> {
        if header.name() != "body" || header.namespace() != ns::HTTP_BIND {
            return None;
        }
        let text = |name: &str| header.get(name).map(|value| value.into_owned().into_boxed_str());
        let kind = header.get("type");
        Some(Self {
            rid: header.get("rid").and_then(|rid| number(&rid)).filter(|rid| (1..=HIGHEST).contains(rid))?,
            sid: text("sid"),
            ack: optional(header.get("ack"), number)?,
            key: text("key"),
            newkey: text("newkey"),
            pause: optional(header.get("pause"), number)?,
            terminate: kind.is_some_and(|kind| kind == "terminate"),
            restart: header.get_in(ns::XBOSH, "restart").is_some_and(|is| is == "true" || is == "1"),
            wish: Wish {
                to: text("to"),
                from: text("from"),
                lang: text("xml:lang"),
                version: header.get_in(ns::XBOSH, "version").map(|value| value.into_owned().into()),
                ver: optional(header.get("ver"), version)?,
                wait: optional(header.get("wait"), number)?,
                hold: optional(header.get("hold"), |hold| usize::try_from(number(hold)?).ok())?,
                content: optional(header.get("content"), content)?,
            },
            payload: String::new(),
        })
    }

    /// Whether it asks for nothing but what there is for the client.
    pub(super) fn is_empty(&self) -> bool {
        self.payload.is_empty() && !self.restart
    }

    /// Whether it may come beside as many others as there may be (XEP-0124 §11).
    pub(super) const fn is_extra(&self) -> bool {
        self.pause.is_some() || self.terminate
    }
}

/// The bytes with a wrapper that is opened and closed, where it is one empty tag.
fn opened(bytes: &[u8], limits: Limits) -> Result<Cow<'_, [u8]>, Fault> {
    let white = lex::skip_white(bytes, 0);
    let start = white + declaration(&bytes[white..])?.ok_or(Fault::Format)?;
    let mut attributes = Vec::new();
    let tag = lex::tag(bytes, start, limits, &mut attributes)?.ok_or(Fault::Format)?;
    if !tag.empty {
        return Ok(bytes.into());
    }
    let inner = &bytes[..tag.end - 2];
    Ok([inner, b"></", tag.name.whole(bytes), b">", &bytes[tag.end..]].concat().into())
}

/// An element as it stands in a stream of `jabber:client`, which is taken to be a part of the wrapper's namespace
/// (XEP-0206 §2).
fn stanza<'a>(raw: &'a str, surroundings: &str) -> Cow<'a, str> {
    match surroundings {
        ns::HTTP_BIND | ns::CLIENT | "" => raw.into(),
        other => framed::within(raw, other),
    }
}

/// What an attribute says that need not be there: none where it makes no sense.
fn optional<T>(value: Option<Cow<'_, str>>, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match value {
        Some(value) => read(&value).map(Some),
        None => Some(None),
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `1.11`, which is later than `1.6`.
fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((number(major)?.try_into().ok()?, number(minor)?.try_into().ok()?))
}

/// A type with its parameters, as it may stand in a header field (RFC 9110 §8.3.1).
fn content(text: &str) -> Option<Box<str>> {
    let plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    let kind = text.split(';').next().unwrap_or_default();
    let is_type = kind.split_once('/').is_some_and(|(kind, sub)| !kind.is_empty() && !sub.is_empty());
    (is_type && text.len() <= LONGEST_TYPE && text.bytes().all(plain)).then(|| text.into())
}
