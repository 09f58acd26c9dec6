//! What our Record-Route says in its user part: the flow to whoever stands on that side of the dialog (as RFC 5626
//! §5.2 does it), sealed with the Call-ID, so that a Route of ours opens only the dialog it was made for.

use super::{Arrival, Seal};
use std::net::{IpAddr, SocketAddr};
use wire::{ConnectionId, Flow, SocketId, Transport, WorkerId};

/// What a user part is sealed for: it costs no octet to say that the media are relayed.
const PLAIN: &str = "route";
const RELAYED: &str = "route of a relayed call";

/// The user part of a Record-Route URI for this dialog. `flow`: how to reach whoever stands on that side, where
/// a plain address would not do. `relayed`: whether the dialog's media go by a relay.
pub fn write(seal: &Seal, call_id: &[u8], flow: Option<&Arrival>, relayed: bool) -> String {
    let mut bytes = Vec::with_capacity(64);
    if let Some(arrival) = flow {
        write_arrival(&mut bytes, arrival);
    }
    let purpose = if relayed { RELAYED } else { PLAIN };
    let mac = seal.hash(purpose, [call_id, &bytes[..]]);
    bytes.extend_from_slice(&mac.to_be_bytes());
    let mut text = String::with_capacity(bytes.len() * 2);
    push_hex(&mut text, &bytes);
    text
}

/// Appends bytes in lower-case hexadecimal digits.
pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// Reads a user part back, and whether the media are relayed: `None` where it is not of our making or not for this dialog.
pub fn read(seal: &Seal, call_id: &[u8], user: &[u8]) -> Option<(Option<Arrival>, bool)> {
    let bytes = unhex(user)?;
    let (flow, mac) = bytes.split_at_checked(bytes.len().checked_sub(8)?)?;
    let is_for = |purpose| seal.hash(purpose, [call_id, flow]).to_be_bytes() == mac;
    let relayed = !is_for(PLAIN);
    if relayed && !is_for(RELAYED) {
        return None;
    }
    let flow = if flow.is_empty() { None } else { Some(read_arrival(flow)?) };
    Some((flow, relayed))
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || text.len() > 256 {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|n| u8::try_from(n).ok());
    text.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
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
    match address.ip() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&address.port().to_be_bytes());
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
    let ip = match take::<1>(rest)? {
        [4] => IpAddr::from(take::<4>(rest)?),
        [6] => IpAddr::from(take::<16>(rest)?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(take(rest)?)))
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
            let relayed = transport == Transport::Tcp;
            let text = write(&seal, b"call-1", Some(&arrival), relayed);
            assert_eq!(read(&seal, b"call-1", text.as_bytes()), Some((Some(arrival), relayed)));
            assert_eq!(read(&seal, b"call-2", text.as_bytes()), None);
            assert_eq!(read(&seal, b"call-1", &text.as_bytes()[2..]), None);
        }
        for relayed in [false, true] {
            let text = write(&seal, b"call-1", None, relayed);
            assert_eq!(read(&seal, b"call-1", text.as_bytes()), Some((None, relayed)));
        }
        for bad in ["", "0", "roland", "é", &"0".repeat(300)] {
            assert_eq!(read(&seal, b"call-1", bad.as_bytes()), None, "{bad}");
        }
    }
}
