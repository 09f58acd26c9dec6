//! The SIP reader: every view of whatever parses, a reply to it, and the same bytes as a stream cut anywhere.

use sip::framing::{Frame, Framer, Limits};
use sip::message::edit::Edit;
use sip::message::reply::Reply;
use sip::{HeaderName, Message};

/// Reads `data` as a datagram and as a stream.
///
/// # Panics
/// When a reader breaks its promise.
pub fn sip(data: &[u8]) {
    match Message::parse(data) {
        Ok(message) => views(&message),
        Err(malformed) => {
            malformed.reply(&mut Vec::new(), "192.0.2.1:5060".parse().ok(), "tag");
        }
    }
    let cut = data.first().map_or(0, |first| usize::from(*first).min(data.len()));
    let whole = stream(&[data]);
    assert_eq!(whole, stream(&[&data[..cut], &data[cut..]]), "where a stream is cut does not matter");
}

/// Looks at everything that is read lazily.
fn views(message: &Message<'_>) {
    let _ = (message.via(), message.from().uri(), message.to().tag(), message.cseq(), message.max_forwards());
    let _ = (message.expires(), message.vias().count(), message.routes().count());
    for contact in message.contacts().flatten() {
        let _ = format!("{contact:?}");
    }
    for header in message.headers() {
        let _ = (header.name, header.value);
    }
    let mut same = Vec::new();
    Edit::new(message, &mut same).finish();
    assert_eq!(same, message.bytes(), "forwarding without a change changes nothing");
    if message.is_request() {
        let mut reply = Vec::new();
        Reply::begin(&mut reply, message, None, 404, "tag").end();
        let answer = Message::parse(&reply);
        assert!(answer.is_ok_and(|a| a.code() == Some(404)), "what we answer can be read");
        let mut out = Vec::new();
        let mut edit = Edit::new(message, &mut out);
        edit.push(HeaderName::Via, "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKfuzz").max_forwards(69);
        edit.finish();
        assert!(Message::parse(&out).is_ok(), "what we forward can be read");
    }
}

/// The messages of a stream that comes in these pieces.
fn stream(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut framer = Framer::new(Limits { head: 4096, body: 4096 });
    let mut found = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while let Some(frame) = framer.next(&mut rest) {
            match frame {
                Frame::Message(message) => found.push(message.bytes().to_vec()),
                Frame::Bytes(bytes) => found.push(bytes.to_vec()),
                Frame::Ping => found.push(b"ping".to_vec()),
                Frame::Bad(_) => {
                    found.push(b"bad".to_vec());
                    return found;
                }
            }
        }
    }
    found
}
