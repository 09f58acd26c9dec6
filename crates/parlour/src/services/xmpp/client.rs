//! One client's connection: its stream, what waits for its turn, and what the connection has not taken yet.

use super::bosh::Visit;
use super::pace::Meter;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;
use wire::Address;
use xmpp::framed;
use xmpp::managed::Piece;
use xmpp::router::{Given, Receipt};
use xmpp::stream::{Output, Stream};

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: Stream,
    /// From where it comes.
    pub(super) source: IpAddr,
    /// Who it is, once it has signed in.
    pub(super) account: Option<Address>,
    /// When the stream wants its next tick.
    pub(super) due: Option<Instant>,
    /// Whether the router wants no more of it for now.
    pub(super) paused: bool,
    /// Whether it says more than it may for now (`pace`).
    pub(super) slowed: bool,
    /// What it has said lately.
    pub(super) meter: Meter,
    /// What the stream wanted done while it was paused, in order.
    pub(super) waiting: VecDeque<Output>,
    /// What does not fit into the connection's buffer yet.
    pub(super) unsent: Unsent,
    /// To be given back when the kernel has taken all that was written.
    pub(super) receipts: Vec<Receipt>,
    /// Whether it has left too much unread: its connection ends once what it said is done.
    pub(super) cut: bool,
    /// Whether the stream has ended: the connection has only to be flushed.
    pub(super) over: bool,
    /// Whether it is a WebSocket, where each element is a message of its own (RFC 7395).
    pub(super) framed: bool,
    /// Where it comes by requests: the session that stands for a connection (XEP-0124).
    pub(super) visit: Option<Box<Visit>>,
}

impl Client {
    pub(super) fn new(stream: Stream, source: IpAddr) -> Self {
        Self {
            stream,
            source,
            account: None,
            due: None,
            paused: false,
            slowed: false,
            meter: Meter::default(),
            waiting: VecDeque::new(),
            unsent: Unsent::default(),
            receipts: Vec::new(),
            cut: false,
            over: false,
            framed: false,
            visit: None,
        }
    }

    /// Whether something is still to be written, or to be confirmed once it is.
    pub(super) fn is_pending(&self) -> bool {
        !self.receipts.is_empty() || !self.unsent.is_empty()
    }
}

/// A piece as it goes out.
pub(super) fn written(piece: &Piece, framed: bool) -> Cow<'_, [u8]> {
    match piece {
        Piece::Given(Given { stanza, .. }) | Piece::Copy(stanza) if framed => {
            match framed::stanza(stanza.as_str()) {
                Cow::Borrowed(text) => text.as_bytes().into(),
                Cow::Owned(text) => text.into_bytes().into(),
            }
        }
        piece => piece.bytes().into(),
    }
}

/// Pieces that wait for room, in order.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    pieces: VecDeque<Piece>,
    octets: usize,
    /// How much of the first is written.
    written: usize,
}

impl Unsent {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Puts a piece behind the others; gives it back where that makes them longer than `most`.
    pub(super) fn push(&mut self, piece: Piece, most: usize) -> Option<Piece> {
        if self.octets + piece.bytes().len() > most {
            return Some(piece);
        }
        self.push_anyway(piece);
        None
    }

    /// Puts a piece behind the others, however long they are.
    pub(super) fn push_anyway(&mut self, piece: Piece) {
        self.octets += piece.bytes().len();
        self.pieces.push_back(piece);
    }

    /// The piece that comes next; it is whole as long as pieces are written whole.
    pub(super) fn first(&self) -> Option<&Piece> {
        self.pieces.front()
    }

    /// What comes next, at most `room` octets.
    pub(super) fn next(&self, room: usize) -> Option<&[u8]> {
        let rest = &self.pieces.front()?.bytes()[self.written..];
        Some(&rest[..rest.len().min(room)])
    }

    /// So many octets of what came next are written: the receipt, if that ends a piece which has one.
    pub(super) fn advance(&mut self, octets: usize) -> Option<Receipt> {
        self.written += octets;
        self.octets -= octets;
        if self.pieces.front().is_none_or(|piece| piece.bytes().len() > self.written) {
            return None;
        }
        self.written = 0;
        let piece = self.pieces.pop_front();
        if self.pieces.is_empty() {
            self.pieces = VecDeque::new();
        }
        piece?.receipt()
    }

    /// All that is not written, or not to its end.
    pub(super) fn into_pieces(self) -> Vec<Piece> {
        self.pieces.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_out_in_order_whatever_the_room() {
        for room in [1, 3, 7, 100] {
            let mut unsent = Unsent::default();
            for text in ["Two households,", " both alike", " in dignity"] {
                assert!(unsent.push(Piece::Bytes(text.into()), 37).is_none());
            }
            assert!(unsent.push(Piece::Bytes(" In".into()), 37).is_some());
            let mut said = Vec::new();
            while let Some(next) = unsent.next(room) {
                said.extend_from_slice(next);
                let octets = next.len();
                assert_eq!(unsent.advance(octets), None);
            }
            assert_eq!(String::from_utf8_lossy(&said), "Two households, both alike in dignity");
            assert!(unsent.is_empty() && unsent.octets == 0);
        }
    }
}
