//! One open WebSocket: what was agreed on, what has come of a message, and whether the client is still there.

use super::WebFacts;
use super::frames::{self, Opcode, Reader};
use std::time::{Duration, Instant};

/// An open WebSocket.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) facts: WebFacts,
    pub(crate) reader: Reader,
    /// When anything last came.
    pub(crate) heard: Instant,
    /// Since when a message has begun that has not ended.
    partial: Option<Instant>,
    /// It was asked whether it is still there, and has not said so.
    pinged: bool,
    /// We have said that we close.
    closed: bool,
    /// The code with which we close, where there is a better one than "done".
    pub(crate) code: Option<u16>,
}

/// What to do about a client that may have been silent for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Look again then.
    Wait(Instant),
    /// Ask it, and look again then.
    Ask(Instant),
    /// It is gone.
    Over,
}

impl Session {
    pub(crate) fn new(facts: WebFacts, reader: Reader, now: Instant) -> Self {
        Self { facts, reader, heard: now, partial: None, pinged: false, closed: false, code: None }
    }

    /// Something came.
    pub(crate) fn hear(&mut self, now: Instant) {
        (self.heard, self.pinged) = (now, false);
    }

    /// Nobody has read what it may have sent.
    pub(crate) fn excuse(&mut self, now: Instant) {
        self.hear(now);
        self.partial = self.partial.map(|_| now);
    }

    /// More has to come, or a message is whole: whoever sends a little of a long one now and then holds room for nothing.
    pub(crate) fn note_partial(&mut self, now: Instant) {
        self.partial = self.reader.is_amid().then(|| self.partial.unwrap_or(now));
    }

    /// What to do now about a client that may be silent for no longer than `interval` without being asked, and may take
    /// twice that for a message.
    pub(crate) fn beat(&mut self, now: Instant, interval: Duration) -> Beat {
        if self.partial.is_some_and(|since| since + 2 * interval <= now) {
            return Beat::Over;
        }
        match self.heard + interval {
            due if due > now => Beat::Wait(due),
            _ if std::mem::replace(&mut self.pinged, true) => Beat::Over,
            _ => Beat::Ask(now + interval),
        }
    }

    /// How many octets a message of ours takes.
    pub(crate) fn size(length: usize) -> usize {
        frames::head(Opcode::Text, length).1 + length
    }

    /// Writes a message of ours: text where it is text, which every script can read.
    pub(crate) fn write(message: &[u8], out: &mut Vec<u8>) {
        let is_text = std::str::from_utf8(message).is_ok();
        Self::write_frame(if is_text { Opcode::Text } else { Opcode::Binary }, message, out);
    }

    pub(crate) fn write_frame(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
        let (head, size) = frames::head(opcode, payload.len());
        out.extend_from_slice(&head[..size]);
        out.extend_from_slice(payload);
    }

    /// Says that we close, once (RFC 6455 §5.5.1); `usual` is the code where there is none better.
    pub(crate) fn write_close(&mut self, usual: u16, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.closed, true) {
            let code = self.code.unwrap_or(usual).to_be_bytes();
            Self::write_frame(Opcode::Close, &code, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_is_asked_once() {
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        let facts = WebFacts { protocol: "sip", target: "/".into(), origin: None };
        let mut session = Session::new(facts, Reader::new(10, false), start);
        let beat = |session: &mut Session, n| session.beat(second(n), Duration::from_secs(10));
        assert_eq!(beat(&mut session, 9), Beat::Wait(second(10)));
        assert_eq!(beat(&mut session, 10), Beat::Ask(second(20)));
        session.hear(second(15));
        assert_eq!(beat(&mut session, 20), Beat::Wait(second(25)));
        assert_eq!(beat(&mut session, 25), Beat::Ask(second(35)));
        assert_eq!(beat(&mut session, 35), Beat::Over);
        let mut out = Vec::new();
        session.write_close(1000, &mut out);
        session.write_close(1000, &mut out);
        assert_eq!(out, [0x88, 2, 3, 232]);
    }
}
