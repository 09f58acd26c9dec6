//! Streams in HTTP requests (BOSH: XEP-0124, XEP-0206): a client asks again and again, and what is for it comes in the
//! answers. The stream inside is the one that everything else here speaks.
//!
//! Left out: several streams in one session (XEP-0124 §16), other encodings than UTF-8, compression.

mod body;
mod condition;
mod keys;
mod session;
mod terms;
mod wrapper;

pub use body::{Body, Wish};
pub use condition::Condition;
pub use session::{Output, Payload, Session};
pub use terms::{CONTENT, Limits};

/// What a request hears that is to come again (XEP-0124 §17.3).
pub const AGAIN: &str = "<body xmlns='http://jabber.org/protocol/httpbind' type='error'/>";

use crate::framed::{self, Said};
use crate::managed::Piece;
use crate::ns;
use crate::router::Given;
use crate::xml::Element;
use std::borrow::Cow;

impl Payload for Piece {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Given(Given { stanza, .. }) | Self::Copy(stanza) => framed::stanza(stanza.as_str()),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes),
        }
    }

    fn octets(&self) -> usize {
        self.bytes().len()
    }
}

/// What a stream of ours says, as far as a session has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Its header: whom the client has reached, and the stream's id.
    Header {
        /// The domain.
        from: Option<String>,
        /// The id.
        id: String,
    },
    /// An element, which stands alone.
    Element(String),
    /// Why it ends, where that is a fault: the whole `<stream:error/>`.
    Error(String),
    /// Its end.
    End,
}

/// Takes what a stream of ours says into its words.
pub fn words(said: &[u8]) -> Vec<Word> {
    let mut words = Vec::new();
    framed::each(said, |part| {
        words.push(match part {
            Said::Header(header) => Word::Header {
                from: header.get("from").map(Into::into),
                id: header.get("id").unwrap_or_default().into_owned(),
            },
            Said::Element(text) if text.starts_with("<stream:error") => Word::Error(text.into_owned()),
            Said::Element(text) => Word::Element(text.into_owned()),
            Said::End => Word::End,
        });
    });
    words
}

/// The name of the condition in a `<stream:error/>`.
fn fault(error: &str) -> Option<String> {
    let error = Element::parse(error, ns::CLIENT).ok()?;
    let mut children = error.children().filter(|child| child.namespace() == ns::STREAM_ERRORS);
    children.find(|child| child.name() != "text").map(|child| child.name().to_owned())
}

#[cfg(test)]
mod tests;
