//! Why bytes are not a STUN message. A reader needs to know which: others share the port, and streams bring pieces.

use std::fmt;

/// Why bytes are not a STUN message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The first bits, the magic cookie or the length's last bits say that this is another protocol.
    NotStun,
    /// The header is cut short or announces more bytes than there are.
    Truncated,
    /// More bytes than the header announces.
    Trailing,
    /// An attribute reaches over the end of the message.
    BadAttribute,
    /// More attributes than any honest message has ([`crate::message::MAX_ATTRIBUTES`]).
    TooMany,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotStun => "not a STUN message",
            Self::Truncated => "a STUN message cut short",
            Self::Trailing => "bytes behind the STUN message",
            Self::BadAttribute => "an attribute reaches over the end of the STUN message",
            Self::TooMany => "more attributes than a STUN message may have here",
        })
    }
}

impl std::error::Error for ParseError {}
