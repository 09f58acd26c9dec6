//! A STUN message as it lies in a buffer (RFC 8489 §5, §14): checked once when parsed, then read without copies.

use crate::attribute::Attribute;
use crate::{HEADER, Kind, MAGIC_COOKIE, ParseError, fingerprint};
use std::fmt;

/// The most attributes a message may have. The longest honest one (ICE within TURN) has about fifteen.
pub const MAX_ATTRIBUTES: usize = 48;

/// What a message wants (RFC 8489 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// An answer: done.
    Success,
    /// An answer: refused.
    Error,
}

impl Class {
    const fn bits(self) -> u16 {
        match self {
            Self::Request => 0x000,
            Self::Indication => 0x010,
            Self::Success => 0x100,
            Self::Error => 0x110,
        }
    }

    const fn of(message_type: u16) -> Self {
        match message_type & 0x110 {
            0x000 => Self::Request,
            0x010 => Self::Indication,
            0x100 => Self::Success,
            _ => Self::Error,
        }
    }
}

/// What a message is about: twelve bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method(u16);

impl Method {
    /// Binding (RFC 8489 §18.2).
    pub const BINDING: Self = Self(0x001);
    /// Allocate (RFC 8656 §17).
    pub const ALLOCATE: Self = Self(0x003);
    /// Refresh.
    pub const REFRESH: Self = Self(0x004);
    /// Send: an indication from a client.
    pub const SEND: Self = Self(0x006);
    /// Data: an indication to a client.
    pub const DATA: Self = Self(0x007);
    /// CreatePermission.
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// ChannelBind.
    pub const CHANNEL_BIND: Self = Self(0x009);
    /// Connect (RFC 6062 §6.1).
    pub const CONNECT: Self = Self(0x00A);
    /// ConnectionBind.
    pub const CONNECTION_BIND: Self = Self(0x00B);
    /// ConnectionAttempt: an indication to a client.
    pub const CONNECTION_ATTEMPT: Self = Self(0x00C);

    /// The method of a number, cut to its twelve bits.
    pub const fn new(number: u16) -> Self {
        Self(number & 0xFFF)
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The method's bits spread around those of the class (RFC 8489 §5, figure 3).
    const fn bits(self) -> u16 {
        (self.0 & 0xF80) << 2 | (self.0 & 0x070) << 1 | (self.0 & 0x00F)
    }

    const fn of(message_type: u16) -> Self {
        Self((message_type & 0x3E00) >> 2 | (message_type & 0x00E0) >> 1 | (message_type & 0x000F))
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BINDING => f.write_str("Binding"),
            Self::ALLOCATE => f.write_str("Allocate"),
            Self::REFRESH => f.write_str("Refresh"),
            Self::SEND => f.write_str("Send"),
            Self::DATA => f.write_str("Data"),
            Self::CREATE_PERMISSION => f.write_str("CreatePermission"),
            Self::CHANNEL_BIND => f.write_str("ChannelBind"),
            Self::CONNECT => f.write_str("Connect"),
            Self::CONNECTION_BIND => f.write_str("ConnectionBind"),
            Self::CONNECTION_ATTEMPT => f.write_str("ConnectionAttempt"),
            Self(number) => write!(f, "Method({number:#05x})"),
        }
    }
}

/// The sixteen bits that open a message.
pub(crate) const fn message_type(class: Class, method: Method) -> u16 {
    class.bits() | method.bits()
}

/// What joins an answer to its request (RFC 8489 §5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId(pub [u8; 12]);

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A message in somebody's buffer. That its attributes fit in it was seen to when it was parsed.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// Where the attributes end that a receiver may believe: at the first integrity attribute or FINGERPRINT,
    /// else at the end of the message (RFC 8489 §14.5: what follows is ignored).
    signed: usize,
    /// Where MESSAGE-INTEGRITY starts.
    sha1: Option<usize>,
    /// Where MESSAGE-INTEGRITY-SHA256 starts.
    sha256: Option<usize>,
    /// Where FINGERPRINT starts.
    fingerprint: Option<usize>,
}

impl<'a> Message<'a> {
    /// How long the message at the start of `bytes` is, header included; `None` while that is not to be seen yet.
    /// For streams, where a message arrives in pieces.
    pub fn length(bytes: &[u8]) -> Result<Option<usize>, ParseError> {
        let cookie = &bytes[bytes.len().min(4)..bytes.len().min(8)];
        if bytes.first().is_some_and(|first| first & 0xC0 != 0)
            || bytes.get(3).is_some_and(|low| low & 3 != 0)
            || !MAGIC_COOKIE.starts_with(cookie)
        {
            return Err(ParseError::NotStun);
        }
        match bytes {
            [_, _, high, low, _, _, _, _, ..] => {
                Ok(Some(HEADER + usize::from(u16::from_be_bytes([*high, *low]))))
            }
            _ => Ok(None),
        }
    }

    /// Whether bytes may be STUN by their first bits and cookie: for telling protocols apart on a port (RFC 7983).
    pub fn looks_like(bytes: &[u8]) -> bool {
        bytes.len() >= HEADER && matches!(Self::length(bytes), Ok(Some(_)))
    }

    /// Reads exactly one message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let length = Self::length(bytes)?.ok_or(ParseError::Truncated)?;
        if bytes.len() < length.max(HEADER) {
            return Err(ParseError::Truncated);
        }
        if bytes.len() > length {
            return Err(ParseError::Trailing);
        }
        let mut message = Self { bytes, signed: length, sha1: None, sha256: None, fingerprint: None };
        message.walk()?;
        Ok(message)
    }

    /// Sees to it that every attribute fits, and finds those that guard the message.
    fn walk(&mut self) -> Result<(), ParseError> {
        let (mut at, mut count) = (HEADER, 0);
        while at < self.bytes.len() {
            count += 1;
            if count > MAX_ATTRIBUTES {
                return Err(ParseError::TooMany);
            }
            let (kind, value) = split(&self.bytes[at..]).ok_or(ParseError::BadAttribute)?;
            self.note(kind, at);
            at += 4 + padded(value.len());
            if at > self.bytes.len() {
                return Err(ParseError::BadAttribute);
            }
        }
        Ok(())
    }

    /// Remembers where the first of each guarding attribute stands; none counts behind a FINGERPRINT.
    fn note(&mut self, kind: Kind, at: usize) {
        if self.fingerprint.is_some() {
            return;
        }
        let place = match kind {
            Kind::MESSAGE_INTEGRITY if self.sha256.is_none() => &mut self.sha1,
            Kind::MESSAGE_INTEGRITY_SHA256 => &mut self.sha256,
            Kind::FINGERPRINT => &mut self.fingerprint,
            _ => return,
        };
        if place.is_none() {
            *place = Some(at);
            self.signed = self.signed.min(at);
        }
    }

    /// What it wants.
    pub fn class(&self) -> Class {
        Class::of(self.message_type())
    }

    /// What it is about.
    pub fn method(&self) -> Method {
        Method::of(self.message_type())
    }

    fn message_type(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    /// What its answer must repeat.
    pub fn transaction(&self) -> TransactionId {
        TransactionId(self.bytes[8..HEADER].try_into().expect("twelve bytes, and the header was checked"))
    }

    /// All of it, as it came.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The attributes that may be believed, in order: those before the first integrity attribute or FINGERPRINT.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes { rest: &self.bytes[HEADER..self.signed], at: HEADER }
    }

    /// The first attribute of a type, as raw bytes.
    pub fn raw(&self, kind: Kind) -> Option<Raw<'a>> {
        self.attributes().find(|raw| raw.kind == kind)
    }

    /// The first attribute of a type: `None` where there is none, an error where its value is malformed.
    pub fn get<A: Attribute<'a>>(&self) -> Result<Option<A>, Malformed> {
        match self.raw(A::KIND) {
            None => Ok(None),
            Some(raw) => match A::read(raw.value, self.transaction()) {
                Some(value) => Ok(Some(value)),
                None => Err(Malformed(A::KIND)),
            },
        }
    }

    /// The types of the attributes that must be understood and that `known` does not know (RFC 8489 §6.3.1).
    pub fn unknown(&self, known: impl Fn(Kind) -> bool) -> impl Iterator<Item = Kind> {
        self.attributes().map(|raw| raw.kind).filter(move |kind| kind.is_required() && !known(*kind))
    }

    /// Where MESSAGE-INTEGRITY starts, and its value.
    pub(crate) fn sha1(&self) -> Option<(usize, &'a [u8])> {
        self.guard(self.sha1)
    }

    /// Where MESSAGE-INTEGRITY-SHA256 starts, and its value.
    pub(crate) fn sha256(&self) -> Option<(usize, &'a [u8])> {
        self.guard(self.sha256)
    }

    fn guard(&self, place: Option<usize>) -> Option<(usize, &'a [u8])> {
        place.and_then(|at| split(&self.bytes[at..]).map(|(_, value)| (at, value)))
    }

    /// Whether there is a FINGERPRINT, and whether it is right (RFC 8489 §14.7).
    pub fn fingerprint(&self) -> Option<bool> {
        let (at, value) = self.guard(self.fingerprint)?;
        Some(value.len() == 4 && value == fingerprint::of(self.bytes, at))
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {:?} ", self.method(), self.class(), self.transaction())?;
        f.debug_list().entries(self.attributes().map(|raw| raw.kind)).finish()
    }
}

/// The value of an attribute breaks its own rules: a 400, not a message to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub Kind);

/// An attribute as it lies in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    /// Its type.
    pub kind: Kind,
    /// Its value without the padding.
    pub value: &'a [u8],
    /// Where the value starts, counted from the message's first byte.
    pub at: usize,
}

/// The attributes of a message, one after the other.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let (kind, value) = split(self.rest)?;
        let raw = Raw { kind, value, at: self.at + 4 };
        let whole = 4 + padded(value.len());
        self.rest = self.rest.get(whole..).unwrap_or_default();
        self.at += whole;
        Some(raw)
    }
}

/// The attribute at the start of `bytes`.
fn split(bytes: &[u8]) -> Option<(Kind, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    Some((Kind(u16::from_be_bytes([head[0], head[1]])), rest.get(..length)?))
}

/// A length filled up to the next multiple of four (RFC 8489 §14).
pub const fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}
