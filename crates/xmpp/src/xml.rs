//! Restricted XML (RFC 6120 §11): a framer that keeps raw bytes, a small element tree, a writer.
//!
//! No DTD, comment, processing instruction or entity ever gets past the reader, and everything has a limit.

pub mod element;
pub mod reader;
pub mod writer;

pub(crate) mod head;
pub(crate) mod lex;
pub(crate) mod scope;
pub(crate) mod text;
pub(crate) mod walk;

pub use element::{Element, Node};
pub use reader::{Event, Fragment, Header, Reader};
pub use text::unescape_text;
pub use writer::Writer;

/// What one stream may cost. A peer that wants more gets `policy-violation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a first-level element or of the stream header.
    pub size: u32,
    /// How deep elements may be nested inside a first-level element.
    pub depth: u16,
    /// Attributes of one element.
    pub attributes: u16,
    /// Octets of a name.
    pub name: u16,
}

impl Limits {
    /// What somebody may send who has not logged in yet: RFC 6120 §13.12 wants 10 000 octets at least.
    pub const STRANGER: Self = Self { size: 10_000, depth: 16, attributes: 32, name: 256 };
    /// What an account may send.
    pub const MEMBER: Self = Self { size: 256 * 1024, depth: 64, attributes: 64, name: 512 };
    /// For what came through a reader already, or was written here, wrapped in whatever else. An element that is written
    /// anew declares a prefix for each foreign attribute, and all that enclose it do.
    pub(crate) const OWN: Self = Self { size: u32::MAX, depth: 1024, attributes: u16::MAX, name: u16::MAX };
}

/// Why XML is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Tags that do not match, characters that XML does not have, undeclared prefixes, attributes given twice …
    NotWellFormed,
    /// A DTD, comment, processing instruction or entity (RFC 6120 §11.1).
    Restricted,
    /// Not UTF-8 (RFC 6120 §11.6).
    Encoding,
    /// Text between the elements of a stream, or a second root.
    Format,
    /// Longer than [`Limits::size`].
    TooBig,
    /// Deeper than [`Limits::depth`].
    TooDeep,
    /// More than [`Limits::attributes`].
    TooManyAttributes,
    /// A name longer than [`Limits::name`].
    NameTooLong,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotWellFormed => "not well-formed",
            Self::Restricted => "DTDs, comments, processing instructions and entities are not allowed",
            Self::Encoding => "not UTF-8",
            Self::Format => "text or a second root between the elements of a stream",
            Self::TooBig => "too long",
            Self::TooDeep => "nested too deeply",
            Self::TooManyAttributes => "too many attributes",
            Self::NameTooLong => "a name is too long",
        })
    }
}

impl std::error::Error for Fault {}

/// A piece of a text that is at hand elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let short = |at| u32::try_from(at).expect("every text is below 4 GiB: the size limit is a u32");
        Self { start: short(start), end: short(end) }
    }

    /// For a piece that is nowhere where it is at 0.
    pub(crate) fn somewhere(self) -> Option<Self> {
        (self.start != 0).then_some(self)
    }

    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.range()]
    }

    pub(crate) fn str(self, text: &str) -> &str {
        &text[self.range()]
    }
}
