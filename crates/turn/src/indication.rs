//! Send and Data indications (RFC 8656 §11): how a datagram, or what the network said to one, travels between client and
//! server without a channel.

use std::net::SocketAddr;
use std::ops::Range;
use stun::attribute::{Attribute, Icmp, XorPeerAddress};
use stun::message::padded;
use stun::{Class, HEADER, Kind, MAGIC_COOKIE, Message, Method, TransactionId, Writer};

/// The most octets that a Data indication puts in front of its data: with an IPv6 peer.
pub const MAX_HEADER: usize = HEADER + 4 + 20 + 4;

/// What a Send indication asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// Whom it is for.
    pub peer: SocketAddr,
    /// Where in it the data lies.
    pub data: Range<usize>,
    /// Whether the datagram is to arrive in one piece or not at all (RFC 8656 §14).
    pub dont_fragment: bool,
}

/// Reads a Send indication. `None` where it is to be dropped (RFC 8656 §11.2).
pub fn read_send(message: &Message<'_>) -> Option<Send> {
    if (message.class(), message.method()) != (Class::Indication, Method::SEND) {
        return None;
    }
    let (mut peer, mut data, mut dont_fragment) = (None, None, false);
    for raw in message.attributes() {
        match raw.kind {
            Kind::XOR_PEER_ADDRESS if peer.is_none() => {
                peer = Some(XorPeerAddress::read(raw.value, message.transaction())?.0);
            }
            Kind::DATA if data.is_none() => data = Some(raw.at..raw.at + raw.value.len()),
            Kind::DONT_FRAGMENT => dont_fragment = true,
            Kind::XOR_PEER_ADDRESS | Kind::DATA => {}
            kind if kind.is_required() => return None,
            _ => {}
        }
    }
    Some(Send { peer: peer?, data: data?, dont_fragment })
}

/// Writes a Data indication without data, which says what the network said (RFC 8656 §11.5).
pub(crate) fn write_icmp(out: &mut Vec<u8>, peer: SocketAddr, icmp: Icmp, transaction: TransactionId) {
    Writer::new(out, Class::Indication, Method::DATA, transaction)
        .with(&XorPeerAddress(peer))
        .with(&icmp)
        .finish();
}

/// Turns a datagram into a Data indication where it lies: the header goes in front, and as the padding behind the data
/// has no room, the data moves forward by as much. `frame` has `headroom` octets before the datagram.
/// Says where in `frame` the indication lies; `None` where it would be too long or has no room.
pub fn write_data(
    frame: &mut [u8],
    headroom: usize,
    peer: SocketAddr,
    transaction: TransactionId,
) -> Option<Range<usize>> {
    let length = frame.len() - headroom;
    let padding = padded(length) - length;
    let (address, address_length) = peer_address(peer, transaction);
    let body = 4 + address_length + 4 + padded(length);
    let start = headroom.checked_sub(HEADER + 4 + address_length + 4 + padding)?;
    let field = u16::try_from(body).ok()?.to_be_bytes();

    frame.copy_within(headroom.., headroom - padding);
    let end = frame.len();
    frame[end - padding..].fill(0);
    let head = &mut frame[start..];
    head[..2].copy_from_slice(&DATA_INDICATION);
    head[2..4].copy_from_slice(&field);
    head[4..8].copy_from_slice(&MAGIC_COOKIE);
    head[8..HEADER].copy_from_slice(&transaction.0);
    put_head(&mut head[HEADER..], Kind::XOR_PEER_ADDRESS, address_length)?;
    head[HEADER + 4..][..address_length].copy_from_slice(&address[..address_length]);
    put_head(&mut head[HEADER + 4 + address_length..], Kind::DATA, length)?;
    Some(start..end)
}

/// The message type of a Data indication.
const DATA_INDICATION: [u8; 2] = [0x00, 0x17];

fn put_head(at: &mut [u8], kind: Kind, length: usize) -> Option<()> {
    at[..2].copy_from_slice(&kind.0.to_be_bytes());
    at[2..4].copy_from_slice(&u16::try_from(length).ok()?.to_be_bytes());
    Some(())
}

/// The value of XOR-PEER-ADDRESS, without a buffer on the heap.
fn peer_address(peer: SocketAddr, transaction: TransactionId) -> ([u8; 20], usize) {
    let mut out = [0; 20];
    let mask = MAGIC_COOKIE.into_iter().chain(transaction.0);
    let [high, low] = peer.port().to_be_bytes();
    (out[2], out[3]) = (high ^ MAGIC_COOKIE[0], low ^ MAGIC_COOKIE[1]);
    let mix = |octets: &[u8]| {
        out[4..].iter_mut().zip(octets).zip(mask).for_each(|((out, octet), mask)| *out = octet ^ mask);
        4 + octets.len()
    };
    let length = match peer {
        SocketAddr::V4(peer) => mix(&peer.ip().octets()),
        SocketAddr::V6(peer) => mix(&peer.ip().octets()),
    };
    out[1] = if length == 8 { 1 } else { 2 };
    (out, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stun::attribute::{Data, DontFragment, Software};

    const TRANSACTION: TransactionId = TransactionId(*b"twelve bytes");

    #[test]
    fn data_indications_are_written_where_the_datagram_lies() {
        for peer in ["203.0.113.7:4000", "[2001:db8::7]:4000"] {
            let peer: SocketAddr = peer.parse().unwrap();
            for length in 0..40 {
                let payload: Vec<u8> = (1..=length).collect();
                let mut frame = [&[0xEE; 64][..], &payload].concat();
                let range = write_data(&mut frame, 64, peer, TRANSACTION).unwrap();
                assert!(range.start >= 64 - MAX_HEADER - 3 && range.end == frame.len());
                let mut expected = Vec::new();
                Writer::new(&mut expected, Class::Indication, Method::DATA, TRANSACTION)
                    .with(&XorPeerAddress(peer))
                    .with(&Data(&payload))
                    .finish();
                assert_eq!(frame[range], expected);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_no_indication() {
        let peer: SocketAddr = "[2001:db8::7]:4000".parse().unwrap();
        assert_eq!(write_data(&mut vec![0; 64 + 65_535], 64, peer, TRANSACTION), None);
        assert_eq!(write_data(&mut [0; 20 + 4], 20, peer, TRANSACTION), None);
    }

    #[test]
    fn send_indications() {
        let peer: SocketAddr = "203.0.113.7:4000".parse().unwrap();
        let send = |build: &dyn Fn(Writer<'_>) -> usize| {
            let mut out = Vec::new();
            build(Writer::new(&mut out, Class::Indication, Method::SEND, TRANSACTION));
            let found = read_send(&Message::parse(&out).unwrap());
            found.map(|send| (send.peer, out[send.data].to_vec(), send.dont_fragment))
        };
        let to = XorPeerAddress(peer);
        let good = Some((peer, b"hello".to_vec(), false));
        assert_eq!(send(&|w| w.with(&to).with(&Data(b"hello")).finish()), good);
        assert_eq!(
            send(&|w| w.with(&Data(b"hello")).with(&Software("x")).with(&to).fingerprint().finish()),
            good
        );
        assert_eq!(send(&|w| w.with(&to).with(&Data(b"")).finish()), Some((peer, vec![], false)));
        assert_eq!(send(&|w| w.with(&to).finish()), None);
        assert_eq!(send(&|w| w.with(&Data(b"hello")).finish()), None);
        assert_eq!(send(&|w| w.raw(Kind::XOR_PEER_ADDRESS, &[0; 5]).with(&Data(b"hello")).finish()), None);
        assert_eq!(send(&|w| w.with(&to).with(&Data(b"hello")).raw(Kind::LIFETIME, &[0; 4]).finish()), None);
        let whole = send(&|w| w.with(&to).with(&Data(b"hello")).with(&DontFragment).finish());
        assert_eq!(whole, Some((peer, b"hello".to_vec(), true)));
    }
}
