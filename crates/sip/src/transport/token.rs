//! What our Record-Route says in its user part: the flow to whoever stands on that side of the dialog (as RFC 5626
//! §5.2 does it), or the one host inside that it leads to, and who pays for the relay of its media; sealed with the
//! Call-ID, so that a Route of ours opens only the dialog it was made for.

use super::branch::WORTH;
use super::inside::Depth;
use super::{Arrival, Seal};
use std::net::{IpAddr, SocketAddr};
use wire::{ConnectionId, Flow, SocketId, Transport, WorkerId};

/// What a user part is sealed for: it costs no octet to say that the media are not relayed.
const PLAIN: &str = "route";
const RELAYED: &str = "route of a relayed call";

/// Marks a host in the place of a flow.
const HOST: u8 = 5;

/// Who stands on one side of a dialog, as far as a plain address would not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Whoever the other side names, on the Internet.
    #[default]
    Open,
    /// Whoever is at the other end of this flow.
    Flow(Arrival),
    /// Whoever the other side names at this host, which lies inside.
    Host(IpAddr),
}

impl Side {
    /// The flow to it.
    pub fn flow(self) -> Option<Arrival> {
        match self {
            Self::Flow(arrival) => Some(arrival),
            _ => None,
        }
    }

    /// The host inside that it is; what else lies inside is not reached by its Route from outside.
    pub fn host(self) -> Option<IpAddr> {
        let host = match self {
            Self::Open => None,
            Self::Flow(arrival) => Some(arrival.peer.ip()),
            Self::Host(ip) => Some(ip),
        };
        host.map(|ip| ip.to_canonical()).filter(|ip| Depth::of(*ip) == Depth::Inside)
    }
}

/// What a Record-Route of ours says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Who stands on that side.
    pub side: Side,
    /// The dialog's media go by a relay, of which somebody who has proved it has a seat: whose.
    pub seat: Option<Seat>,
}

/// An account, as a number that names it nowhere else.
pub type Seat = u64;

/// The user part of a Record-Route URI for this dialog.
pub fn write(seal: &Seal, call_id: &[u8], sealed: &Sealed) -> String {
    let mut bytes = Vec::with_capacity(64);
    if let Some(seat) = sealed.seat {
        bytes.extend_from_slice(&seat.to_be_bytes());
    }
    match sealed.side {
        Side::Open => {}
        Side::Flow(arrival) => write_arrival(&mut bytes, &arrival),
        Side::Host(ip) => {
            bytes.push(HOST);
            write_ip(&mut bytes, ip);
        }
    }
    let purpose = if sealed.seat.is_some() { RELAYED } else { PLAIN };
    let mac = seal.hash(purpose, [call_id, &bytes[..]]);
    bytes.extend_from_slice(&mac.to_be_bytes());
    let mut text = String::with_capacity(bytes.len() * 2);
    push_hex(&mut text, &bytes);
    text
}

/// Appends bytes in lower-case hexadecimal digits.
pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for bytes in bytes.chunks(16) {
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        text.push_str(std::str::from_utf8(&digits[..2 * bytes.len()]).expect("digits are ASCII"));
    }
}

/// Reads a user part back: `None` where it is not of our making or not for this dialog.
pub fn read(seal: &Seal, call_id: &[u8], user: &[u8]) -> Option<Sealed> {
    let bytes = unhex(user)?;
    let (said, mac) = bytes.split_at_checked(bytes.len().checked_sub(8)?)?;
    let is_for = |purpose| seal.hash(purpose, [call_id, said]).to_be_bytes() == mac;
    if is_for(PLAIN) {
        return Some(Sealed { side: read_side(said)?, seat: None });
    }
    let (seat, side) = said.split_first_chunk().filter(|_| is_for(RELAYED))?;
    Some(Sealed { side: read_side(side)?, seat: Some(Seat::from_be_bytes(*seat)) })
}

fn read_side(bytes: &[u8]) -> Option<Side> {
    match bytes {
        [] => Some(Side::Open),
        [HOST, rest @ ..] => {
            let rest = &mut { rest };
            let ip = read_ip(rest)?;
            rest.is_empty().then_some(Side::Host(ip))
        }
        flow => read_arrival(flow).map(Side::Flow),
    }
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || text.len() > 256 {
        return None;
    }
    let (mut bytes, mut all) = (Vec::with_capacity(text.len() / 2), 0);
    for pair in text.as_chunks::<2>().0 {
        let [high, low] = pair.map(|byte| WORTH[usize::from(byte)]);
        all |= high | low;
        bytes.push(high << 4 | low & 15);
    }
    (all < 16).then_some(bytes)
}

/// Writes a way in few bytes.
pub fn write_arrival(out: &mut Vec<u8>, arrival: &Arrival) {
    match arrival.flow {
        Flow::Datagram { socket, .. } => {
            out.push(0);
            out.extend_from_slice(&socket.0.to_be_bytes());
        }
        Flow::Stream(id) => {
            out.push(match arrival.transport {
                Transport::Tls => 2,
                Transport::Ws => 3,
                Transport::Wss => 4,
                Transport::Tcp | Transport::Udp | Transport::Dtls => 1,
            });
            out.extend_from_slice(&id.worker.0.to_be_bytes());
            out.extend_from_slice(&id.slot.to_be_bytes());
            out.extend_from_slice(&id.generation.to_be_bytes());
        }
    }
    write_address(out, arrival.local);
    write_address(out, arrival.peer);
}

fn write_address(out: &mut Vec<u8>, address: SocketAddr) {
    write_ip(out, address.ip());
    out.extend_from_slice(&address.port().to_be_bytes());
}

fn write_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
}

/// Reads what [`write_arrival`] wrote.
pub fn read_arrival(mut bytes: &[u8]) -> Option<Arrival> {
    let rest = &mut bytes;
    let kind = take::<1>(rest)?[0];
    let (transport, id) = match kind {
        0 => (Transport::Udp, Err(SocketId(u32::from_be_bytes(take(rest)?)))),
        1 => (Transport::Tcp, Ok(connection(rest)?)),
        2 => (Transport::Tls, Ok(connection(rest)?)),
        3 => (Transport::Ws, Ok(connection(rest)?)),
        4 => (Transport::Wss, Ok(connection(rest)?)),
        _ => return None,
    };
    let (local, peer) = (read_address(rest)?, read_address(rest)?);
    let flow = match id {
        Ok(id) => Flow::Stream(id),
        Err(socket) => Flow::Datagram { socket, local: local.ip(), peer },
    };
    rest.is_empty().then_some(Arrival { flow, transport, local, peer })
}

fn connection(rest: &mut &[u8]) -> Option<ConnectionId> {
    Some(ConnectionId {
        worker: WorkerId(u16::from_be_bytes(take(rest)?)),
        slot: u32::from_be_bytes(take(rest)?),
        generation: u32::from_be_bytes(take(rest)?),
    })
}

fn read_address(rest: &mut &[u8]) -> Option<SocketAddr> {
    Some(SocketAddr::new(read_ip(rest)?, u16::from_be_bytes(take(rest)?)))
}

fn read_ip(rest: &mut &[u8]) -> Option<IpAddr> {
    match take::<1>(rest)? {
        [4] => Some(IpAddr::from(take::<4>(rest)?)),
        [6] => Some(IpAddr::from(take::<16>(rest)?)),
        _ => None,
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Secret;

    #[test]
    fn every_kind_of_flow_comes_back_for_its_own_dialog_only() {
        let seal = Seal::new(&Secret::new("s"));
        let peer: SocketAddr = "[2001:db8::5]:41000".parse().expect("valid");
        let local: SocketAddr = "192.0.2.7:5060".parse().expect("valid");
        let datagram = Flow::Datagram { socket: SocketId(3), local: local.ip(), peer };
        let stream = Flow::Stream(ConnectionId { worker: WorkerId(1), slot: 77, generation: 5 });
        let streams = [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];
        let streams = streams.into_iter().map(|transport| (stream, transport));
        for (flow, transport) in streams.chain([(datagram, Transport::Udp)]) {
            let arrival = Arrival { flow, transport, local, peer };
            let seat = (transport == Transport::Tcp).then_some(u64::MAX - 7);
            let sealed = Sealed { side: Side::Flow(arrival), seat };
            let text = write(&seal, b"call-1", &sealed);
            assert_eq!(read(&seal, b"call-1", text.as_bytes()), Some(sealed));
            assert_eq!(read(&seal, b"call-2", text.as_bytes()), None);
            assert_eq!(read(&seal, b"call-1", &text.as_bytes()[2..]), None);
        }
        let host = |text: &str| Side::Host(text.parse().expect("valid"));
        for side in [Side::Open, host("10.0.0.5"), host("fd00::5")] {
            for seat in [None, Some(9)] {
                let sealed = Sealed { side, seat };
                let text = write(&seal, b"call-1", &sealed);
                assert_eq!(read(&seal, b"call-1", text.as_bytes()), Some(sealed));
            }
        }
        for bad in ["", "0", "roland", "é", &"0".repeat(300)] {
            assert_eq!(read(&seal, b"call-1", bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_host_of_a_side_is_told_where_it_lies_inside_alone() {
        let host = |text: &str| Side::Host(text.parse().expect("valid")).host().map(|ip| ip.to_string());
        assert_eq!(host("::ffff:10.0.0.5").as_deref(), Some("10.0.0.5"));
        for other in ["198.51.100.7", "127.0.0.1", "169.254.169.254", "fe80::1"] {
            assert_eq!(host(other), None);
        }
        assert_eq!(Side::Open.host(), None);
    }
}
