//! Messages in a byte stream (RFC 8656 §12.5, RFC 8489 §6.2.2): STUN says its own length, ChannelData is padded to four octets.

use stun::Message;
use stun::message::padded;

/// The longest message of a client that has no allocation: room for a request with the longest credential.
pub const STRANGER: usize = 2048;

/// What the bytes received so far begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A whole message.
    Whole {
        /// Its octets without padding.
        length: usize,
        /// Its octets with padding: the next message begins there.
        taken: usize,
    },
    /// A part of a message.
    Part,
    /// Neither STUN nor ChannelData, or a message longer than the limit: nothing behind it can be understood.
    Bad,
}

/// Looks at the bytes received and not yet taken. Remembers nothing, so that a slow sender costs a look and no state.
pub fn first(bytes: &[u8], limit: usize) -> Frame {
    match announced(bytes) {
        Announced::Nothing => Frame::Part,
        Announced::Nonsense => Frame::Bad,
        Announced::Length(length) if padded(length) > limit => Frame::Bad,
        Announced::Length(length) if bytes.len() < padded(length) => Frame::Part,
        Announced::Length(length) => Frame::Whole { length, taken: padded(length) },
    }
}

enum Announced {
    Nothing,
    Nonsense,
    Length(usize),
}

/// How long the first message is.
fn announced(bytes: &[u8]) -> Announced {
    match *bytes {
        [] => Announced::Nothing,
        [0x40..=0x7F, _, high, low, ..] => {
            Announced::Length(crate::channel::HEADER + usize::from(u16::from_be_bytes([high, low])))
        }
        [0x40..=0x7F, ..] => Announced::Nothing,
        _ => match Message::length(bytes) {
            Ok(Some(length)) => Announced::Length(length),
            Ok(None) => Announced::Nothing,
            Err(_) => Announced::Nonsense,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stun::attribute::Software;
    use stun::{Class, Method, TransactionId, Writer};

    fn request() -> Vec<u8> {
        let mut out = Vec::new();
        let writer = Writer::new(&mut out, Class::Request, Method::BINDING, TransactionId([7; 12]));
        writer.with(&Software("parlour")).finish();
        out
    }

    #[test]
    fn one_message_after_the_other_in_any_pieces() {
        let channel = b"\x40\x01\0\x05hello\0\0\0".to_vec();
        let stream = [request(), channel, request()].concat();
        for piece in 1..stream.len() {
            let (mut buffer, mut found) = (Vec::new(), Vec::new());
            for bytes in stream.chunks(piece) {
                buffer.extend_from_slice(bytes);
                while let Frame::Whole { length, taken } = first(&buffer, STRANGER) {
                    found.push(length);
                    buffer.drain(..taken);
                }
            }
            assert_eq!((found, buffer.len()), (vec![32, 9, 32], 0), "pieces of {piece}");
        }
    }

    #[test]
    fn bad_bytes_are_known_at_once() {
        for bad in [
            &b"GET "[..],
            b"\x80",
            b"\xFF",
            b"\x16\x03\x01\x02",
            b"\0\x01\0\x01",
            b"\0\x01\0\0\x21\x12\xA4\x43",
        ] {
            assert_eq!(first(bad, STRANGER), Frame::Bad, "{bad:?}");
        }
        assert_eq!(first(b"\0\x01\0\0\x21", STRANGER), Frame::Part);
    }

    #[test]
    fn longer_than_the_limit() {
        assert_eq!(first(b"\0\x01\x07\xEC\x21\x12\xA4\x42", STRANGER), Frame::Part);
        assert_eq!(first(b"\0\x01\x07\xF0\x21\x12\xA4\x42", STRANGER), Frame::Bad);
        assert_eq!(first(b"\x40\x01\x07\xFC", STRANGER), Frame::Part);
        assert_eq!(first(b"\x40\x01\x07\xFD", STRANGER), Frame::Bad);
        assert_eq!(first(b"\x40\x01\xFF\xFF", 65_540), Frame::Part);
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Frame::Whole { length, taken } = first(&bytes, STRANGER) {
                prop_assert!(length <= taken && taken <= bytes.len() && taken >= 4);
            }
        }
    }
}
