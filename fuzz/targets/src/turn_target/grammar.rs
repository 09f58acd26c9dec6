//! Messages that a server may get, from a tape's decisions: mostly sensible, with something odd now and then.

use super::house::at;
use super::people::Person;
use crate::tape::Tape;
use std::net::SocketAddr;
use stun::attribute::{
    Attribute, ChannelNumber, Data, EvenPort, Lifetime, MobilityTicket, Nonce, PeerConnection, Realm,
    RequestedTransport, ReservationToken, Username, XorPeerAddress,
};
use stun::{Algorithm, Class, Key, Kind, Method, TransactionId, Writer};

/// An attribute as raw bytes.
pub(super) type Raw = (Kind, Vec<u8>);

/// What a message is made of.
pub(super) struct Draft {
    pub(super) class: Class,
    pub(super) method: Method,
    pub(super) attributes: Vec<Raw>,
}

/// What a grammar may name: what the tape cannot know.
pub(super) struct Lexicon<'a> {
    pub(super) transaction: TransactionId,
    pub(super) tokens: &'a [ReservationToken],
    /// Relays of everybody, so that clients write to one another.
    pub(super) relays: &'a [SocketAddr],
    pub(super) connections: &'a [PeerConnection],
    pub(super) ticket: &'a [u8],
}

/// Where peers are: allowed ones, and all kinds of forbidden ones.
const PEERS: [&str; 10] = [
    "203.0.113.5:4000",
    "203.0.113.5:4001",
    "203.0.113.6:4000",
    "[2001:db8:7::1]:4000",
    "203.0.113.7:0",
    "127.0.0.1:53",
    "9.9.9.9:50001",
    "9.9.9.9:53",
    "[::ffff:127.0.0.1]:80",
    "[64:ff9b::7f00:1]:80",
];

pub(super) fn peer(tape: &mut Tape<'_>, relays: &[SocketAddr]) -> SocketAddr {
    let choice = tape.below(PEERS.len() + 3);
    match PEERS.get(choice) {
        Some(peer) => at(peer),
        None => tape.pick(relays).unwrap_or_else(|| at(PEERS[0])),
    }
}

/// The attributes of each kind of request as a good client sends them, and a few more.
pub(super) fn request(tape: &mut Tape<'_>, lexicon: &Lexicon<'_>) -> Draft {
    let mut draft = Draft { class: Class::Request, method: Method::BINDING, attributes: vec![] };
    match tape.below(14) {
        10 => {
            draft.method = Method::ALLOCATE;
            draft.put(lexicon, &RequestedTransport(6));
        }
        11 | 12 => {
            draft.method = Method::CONNECT;
            draft.peer(peer(tape, lexicon.relays), lexicon);
        }
        13 => {
            draft.method = Method::CONNECTION_BIND;
            let connection = tape.pick(lexicon.connections).unwrap_or(PeerConnection(tape.byte().into()));
            draft.put(lexicon, &connection);
        }
        0..=2 => {
            draft.method = Method::ALLOCATE;
            draft.put(lexicon, &RequestedTransport(17));
            if tape.byte() & 1 == 0 {
                draft.put(lexicon, &MobilityTicket(b""));
            }
        }
        3 | 4 => {
            draft.method = Method::CREATE_PERMISSION;
            draft.peer(peer(tape, lexicon.relays), lexicon);
        }
        5 | 6 => {
            draft.method = Method::CHANNEL_BIND;
            draft.put(lexicon, &ChannelNumber(channel(tape)));
            draft.peer(peer(tape, lexicon.relays), lexicon);
        }
        7 => {
            draft.method = Method::REFRESH;
            draft.put(lexicon, &Lifetime(lifetime(tape)));
        }
        8 => draft.method = Method::BINDING,
        _ => {
            draft.method = Method::new(tape.number() & 0x0F);
            draft.peer(peer(tape, lexicon.relays), lexicon);
        }
    }
    // Something more in every fourth.
    for _ in 0..tape.byte() & 3 {
        if tape.byte() & 1 == 0 {
            draft.odd(tape, lexicon);
        }
    }
    draft
}

/// A Refresh with a ticket, as somebody sends it from a new place.
pub(super) fn announcement(tape: &mut Tape<'_>, lexicon: &Lexicon<'_>) -> Draft {
    let mut draft = Draft { class: Class::Request, method: Method::REFRESH, attributes: vec![] };
    draft.put(lexicon, &MobilityTicket(lexicon.ticket));
    if tape.byte() & 7 == 7 {
        draft.odd(tape, lexicon);
    }
    draft
}

/// A Send indication, or some other one.
pub(super) fn indication(tape: &mut Tape<'_>, lexicon: &Lexicon<'_>) -> Draft {
    let method = tape.pick(&[Method::SEND, Method::SEND, Method::SEND, Method::DATA, Method::BINDING]);
    let method = method.unwrap_or(Method::SEND);
    let mut draft = Draft { class: Class::Indication, method, attributes: vec![] };
    draft.peer(peer(tape, lexicon.relays), lexicon);
    let length = tape.below(64);
    draft.put(lexicon, &Data(tape.take(length)));
    if tape.byte() & 7 == 0 {
        draft.odd(tape, lexicon);
    }
    draft
}

/// A Send indication without a fault.
pub(super) fn send(peer: SocketAddr, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let writer = Writer::new(&mut bytes, Class::Indication, Method::SEND, TransactionId([7; 12]));
    writer.with(&XorPeerAddress(peer)).with(&Data(data)).finish();
    bytes
}

/// ChannelData, with a length that may lie.
pub(super) fn channel_data(tape: &mut Tape<'_>, is_stream: bool) -> Vec<u8> {
    let number = channel(tape);
    let length = tape.below(40);
    let data = tape.take(length);
    let told = if tape.byte() & 15 == 0 { tape.number() } else { u16::try_from(data.len()).unwrap_or(0) };
    let mut bytes = [&number.to_be_bytes()[..], &told.to_be_bytes(), data].concat();
    if is_stream {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

fn channel(tape: &mut Tape<'_>) -> u16 {
    match tape.below(12) {
        11 => tape.number(),
        10 => 0x5000,
        9 => 0x4FFF,
        low => 0x4000 + u16::try_from(low).unwrap_or(0),
    }
}

fn lifetime(tape: &mut Tape<'_>) -> u32 {
    tape.pick(&[0, 0, 1, 600, 3600, u32::MAX]).unwrap_or(0)
}

impl Draft {
    fn put<'a>(&mut self, lexicon: &Lexicon<'_>, attribute: &impl Attribute<'a>) {
        self.attributes.push(value(lexicon, attribute));
    }

    fn peer(&mut self, peer: SocketAddr, lexicon: &Lexicon<'_>) {
        self.put(lexicon, &XorPeerAddress(peer));
    }

    fn odd(&mut self, tape: &mut Tape<'_>, lexicon: &Lexicon<'_>) {
        match tape.below(16) {
            0 => self.put(lexicon, &EvenPort { reserve: tape.byte() & 1 == 0 }),
            1 | 2 => {
                let token = tape.pick(lexicon.tokens).unwrap_or(ReservationToken([tape.byte(); 8]));
                self.put(lexicon, &token);
            }
            3 => {
                let family = tape.pick(&[1, 2, 2, 3]).unwrap_or(2);
                self.attributes.push((Kind::REQUESTED_ADDRESS_FAMILY, vec![family, 0, 0, 0]));
            }
            4 => self.attributes.push((Kind::ADDITIONAL_ADDRESS_FAMILY, vec![2, 0, 0, 0])),
            5 => self.attributes.push((Kind(0x8032), vec![2, 0, 0, 0])),
            6 => self.attributes.push((Kind::DONT_FRAGMENT, vec![])),
            7 => self.put(lexicon, &Lifetime(lifetime(tape))),
            8 => self.peer(peer(tape, lexicon.relays), lexicon),
            9 => self.attributes.push((Kind::CHANGE_REQUEST, vec![0, 0, 0, tape.byte()])),
            10 => self.attributes.push((Kind::RESPONSE_PORT, vec![tape.byte(), tape.byte()])),
            11 => self.attributes.push((Kind::PADDING, vec![0; tape.below(256) * 8])),
            12 => self.put(lexicon, &RequestedTransport(tape.pick(&[6, 17, 0]).unwrap_or(6))),
            13 => {
                let kind = Kind(tape.number() & 0x803F);
                let length = tape.below(40);
                self.attributes.push((kind, tape.take(length).to_vec()));
            }
            14 => {
                // Twice the same.
                let again = self.attributes.first().cloned();
                self.attributes.extend(again);
            }
            _ => drop(self.attributes.pop()),
        }
    }

    /// Its bytes, with whatever credential the tape wants it to show; whether that is the right one as far as the client
    /// knows.
    pub(super) fn write(
        &self,
        tape: &mut Tape<'_>,
        lexicon: &Lexicon<'_>,
        person: &Person,
        other: &Person,
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        let writer = Writer::new(&mut bytes, self.class, self.method, lexicon.transaction);
        let mut writer =
            self.attributes.iter().fold(writer, |writer, (kind, value)| writer.raw(*kind, value));
        let habit = tape.byte();
        let is_signed = self.class == Class::Request
            && self.method != Method::BINDING
            && !person.nonce.is_empty()
            && habit & 0x1F != 1;
        if is_signed {
            let (name, password) = match habit & 0x1F {
                2 => (other.name, other.password),
                3 => (person.name, "guess"),
                4 => ("nobody", person.password),
                _ => (person.name, person.password),
            };
            let nonce = if habit & 0x1F == 5 { &other.nonce } else { &person.nonce };
            let algorithm = if habit & 0x60 == 0x60 { Algorithm::Sha256 } else { Algorithm::Sha1 };
            writer = writer.with(&Username(name)).with(&Realm(&person.realm)).with(&Nonce(nonce));
            writer = writer.sign(algorithm, &Key::md5(name, &person.realm, password));
        }
        if habit & 0x80 != 0 {
            writer.fingerprint().finish()
        } else {
            writer.finish()
        };
        if tape.byte() == 0xFF {
            bend(tape, &mut bytes);
        }
        bytes
    }
}

/// Changes a few octets.
fn bend(tape: &mut Tape<'_>, bytes: &mut Vec<u8>) {
    for _ in 0..1 + tape.below(3) {
        let at = usize::from(tape.number()) % bytes.len().max(1);
        if let Some(octet) = bytes.get_mut(at) {
            *octet ^= tape.byte();
        }
    }
    if tape.byte() & 3 == 0 {
        bytes.truncate(usize::from(tape.number()) % (bytes.len() + 1));
    }
}

fn value<'a>(lexicon: &Lexicon<'_>, attribute: &impl Attribute<'a>) -> Raw {
    fn kind_of<'a, A: Attribute<'a>>(_: &A) -> Kind {
        A::KIND
    }
    let mut bytes = Vec::new();
    attribute.write(lexicon.transaction, &mut bytes);
    (kind_of(attribute), bytes)
}
