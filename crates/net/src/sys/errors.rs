//! The error queue of a datagram socket: which earlier datagram met which ICMP error, or was too big for a path whose MTU
//! is known here.

use super::names::{self, Control};
use crate::IcmpError;
use std::mem::size_of;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

/// Takes the next entry from the error queue; `None` when it is empty. Entries that are no ICMP errors, or do not say whom
/// they concern, are `Some(None)`.
pub(crate) fn next_error(socket: &impl AsFd) -> Option<Option<(SocketAddr, IcmpError)>> {
    let mut name = names::empty_name();
    let mut control = Control([0; Control::SIZE]);
    let mut header = names::empty_header();
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = size_of::<names::Name>() as libc::socklen_t;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = Control::SIZE;
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: the header points at a name and a control buffer of the lengths it says, both alive for the whole call;
    // it has no buffer for the datagram itself.
    let got = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut header, flags) };
    if got < 0 {
        return None;
    }
    let peer = names::read_name(&name);
    let error = names::controls(&control, header.msg_controllen).find_map(|m| icmp(&m));
    Some(peer.zip(error))
}

/// Reads a `struct sock_extended_err`: errno (4 octets), origin, type, code, padding, info (4), data (4).
fn icmp(message: &names::ControlMessage<'_>) -> Option<IcmpError> {
    let is_error = matches!(
        (message.level, message.kind),
        (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
    );
    let data = message.data.get(..16).filter(|_| is_error)?;
    let info = u32::from_ne_bytes([data[8], data[9], data[10], data[11]]);
    match data[4] {
        libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6 => {
            Some(IcmpError { kind: data[5], code: data[6], info: if is_too_big(data) { info } else { 0 } })
        }
        // Said as the router on the way would have said it.
        libc::SO_EE_ORIGIN_LOCAL if data[..4] == libc::EMSGSIZE.to_ne_bytes() => {
            let (kind, code) = if message.level == libc::IPPROTO_IP { FRAGMENTATION_NEEDED } else { TOO_BIG };
            Some(IcmpError { kind, code, info })
        }
        _ => None,
    }
}

/// RFC 1191.
const FRAGMENTATION_NEEDED: (u8, u8) = (3, 4);

/// RFC 4443 §3.2.
const TOO_BIG: (u8, u8) = (2, 0);

fn is_too_big(data: &[u8]) -> bool {
    match data[4] {
        libc::SO_EE_ORIGIN_ICMP => (data[5], data[6]) == FRAGMENTATION_NEEDED,
        _ => data[5] == TOO_BIG.0,
    }
}
