//! WebSockets as a server has them (RFC 6455): a stream that begins as an HTTP request becomes messages, each handed to the
//! handler whole. What is spoken on one is for the handler to say. Left out: extensions (none is agreed to), and being a
//! client.

mod frames;
mod request;
mod session;

pub(crate) use frames::{Fault, Item, Opcode, Reader};
pub(crate) use request::{Answer, Asked};
pub use request::{Subprotocol, Unwanted, WebRequest};
pub(crate) use session::{Beat, Session};

/// What was agreed on when a WebSocket was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebFacts {
    /// The subprotocol.
    pub protocol: &'static str,
    /// What was asked for: path and query.
    pub target: String,
    /// The page whose script asked, where a browser did (RFC 6454).
    pub origin: Option<String>,
}

/// Whether streams of a listener may be WebSockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Admits {
    /// None is.
    #[default]
    Never,
    /// Those that begin as an HTTP request.
    Also,
    /// Nothing else comes in here.
    Only,
}

/// What a request for a WebSocket begins with (RFC 6455 §4.1).
const START: &[u8] = b"GET ";

/// Whether a stream that begins with `bytes` asks for a WebSocket; `None`: that cannot be said yet.
pub(crate) fn begins_with(bytes: &[u8]) -> Option<bool> {
    let length = bytes.len().min(START.len());
    match bytes[..length] == START[..length] {
        true if length < START.len() => None,
        same => Some(same),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_octets_tell() {
        assert_eq!((begins_with(b""), begins_with(b"GET")), (None, None));
        assert_eq!((begins_with(b"GET / HTTP/1.1"), begins_with(b"GETS")), (Some(true), Some(false)));
        assert_eq!((begins_with(b"R"), begins_with(b"<open")), (Some(false), Some(false)));
    }
}
