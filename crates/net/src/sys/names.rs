//! Socket addresses and control messages as the kernel writes them.

use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for any socket address.
pub(super) type Name = libc::sockaddr_storage;

/// Room for the control messages of one datagram: packet information, segment size, or an extended error.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control(pub(super) [u8; Self::SIZE]);

impl Control {
    pub(super) const SIZE: usize = 128;
}

pub(super) fn empty_name() -> Name {
    // SAFETY: a socket address is plain data for which all zeros is a value (family "unspecified").
    unsafe { zeroed() }
}

pub(super) fn empty_iovec() -> libc::iovec {
    libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }
}

pub(super) fn empty_header() -> libc::msghdr {
    // SAFETY: a message header is plain data for which all zeros is a value (null pointers, no lengths).
    unsafe { zeroed() }
}

/// Reads an address; `None` when its family is neither IPv4 nor IPv6.
pub(super) fn read_name(name: &Name) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that this is an IPv4 address, and the storage is large and aligned enough.
            let v4 = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(v4.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that this is an IPv6 address, and the storage is large and aligned enough.
            let v6 = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddr::V6(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id)))
        }
        _ => None,
    }
}

/// Writes an address; returns its length.
pub(super) fn write_name(name: &mut Name, address: SocketAddr) -> libc::socklen_t {
    match address {
        SocketAddr::V4(v4) => {
            // SAFETY: the storage is large and aligned enough for an IPv4 address.
            unsafe { std::ptr::from_mut(name).cast::<libc::sockaddr_in>().write(v4_name(v4)) };
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(v6) => {
            // SAFETY: the storage is large and aligned enough for an IPv6 address.
            unsafe { std::ptr::from_mut(name).cast::<libc::sockaddr_in6>().write(v6_name(v6)) };
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

pub(super) fn v4_name(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: in_addr(*address.ip()),
        sin_zero: [0; 8],
    }
}

pub(super) fn v6_name(address: SocketAddrV6) -> libc::sockaddr_in6 {
    libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as libc::sa_family_t,
        sin6_port: address.port().to_be(),
        sin6_flowinfo: address.flowinfo(),
        sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
        sin6_scope_id: address.scope_id(),
    }
}

fn in_addr(ip: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from(ip).to_be() }
}

/// Appends the control message that names the source address of a datagram; returns the new length.
pub(super) fn push_source(control: &mut Control, used: usize, source: IpAddr) -> usize {
    match source {
        IpAddr::V4(ip) => {
            let zero = libc::in_addr { s_addr: 0 };
            let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: in_addr(ip), ipi_addr: zero };
            push_control(control, used, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
        }
        IpAddr::V6(ip) => {
            let info =
                libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
            push_control(control, used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
        }
    }
}

/// Appends the control message that asks for segmentation (UDP GSO); returns the new length.
pub(super) fn push_segment(control: &mut Control, used: usize, size: u16) -> usize {
    push_control(control, used, libc::SOL_UDP, libc::UDP_SEGMENT, size)
}

fn push_control<T: Copy>(control: &mut Control, used: usize, level: i32, kind: i32, value: T) -> usize {
    // SAFETY: these only compute sizes from a size.
    let (space, length) =
        unsafe { (libc::CMSG_SPACE(size_of::<T>() as u32), libc::CMSG_LEN(size_of::<T>() as u32)) };
    let end = used + space as usize;
    assert!(end <= Control::SIZE, "control messages of a datagram fit");
    let head = control.0[used..end].as_mut_ptr().cast::<libc::cmsghdr>();
    // SAFETY: `head` starts a part of the buffer as long as this message; the buffer is aligned to 8 and `used` is a sum
    // of CMSG_SPACEs, so it is aligned as a header must be; the value is written without alignment being assumed.
    unsafe {
        (*head).cmsg_len = length as usize;
        (*head).cmsg_level = level;
        (*head).cmsg_type = kind;
        libc::CMSG_DATA(head).cast::<T>().write_unaligned(value);
    }
    end
}

/// One control message: level, type and what it carries.
pub(super) struct ControlMessage<'a> {
    pub(super) level: i32,
    pub(super) kind: i32,
    pub(super) data: &'a [u8],
}

/// The control messages that the kernel wrote, in order.
pub(super) fn controls(control: &Control, used: usize) -> impl Iterator<Item = ControlMessage<'_>> {
    let head = size_of::<libc::cmsghdr>();
    let mut rest = &control.0[..used.min(Control::SIZE)];
    std::iter::from_fn(move || {
        if rest.len() < head {
            return None;
        }
        // SAFETY: there are as many octets as a header has, any octets are a valid header, and it is read unaligned.
        let header = unsafe { rest.as_ptr().cast::<libc::cmsghdr>().read_unaligned() };
        let (level, kind, length) = (header.cmsg_level, header.cmsg_type, header.cmsg_len);
        if length < head || length > rest.len() {
            return None;
        }
        let data = &rest[head..length];
        rest = &rest[rest.len().min(length.next_multiple_of(size_of::<usize>()))..];
        Some(ControlMessage { level, kind, data })
    })
}

/// The address of ours that a datagram was sent to, if the control message tells.
pub(super) fn destination(message: &ControlMessage<'_>) -> Option<IpAddr> {
    match (message.level, message.kind) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            // struct in_pktinfo: interface, local address, destination in the header (what we want), 4 octets each.
            let ip: [u8; 4] = message.data.get(8..12)?.try_into().ok()?;
            Some(IpAddr::from(ip))
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            let ip: [u8; 16] = message.data.get(..16)?.try_into().ok()?;
            Some(IpAddr::from(ip))
        }
        _ => None,
    }
}

/// The size of the datagrams that the kernel has joined, if the control message tells (UDP GRO).
pub(super) fn joined(message: &ControlMessage<'_>) -> Option<usize> {
    let is_size = (message.level, message.kind) == (libc::SOL_UDP, libc::UDP_GRO);
    let size: [u8; 4] = message.data.get(..4).filter(|_| is_size)?.try_into().ok()?;
    usize::try_from(i32::from_ne_bytes(size)).ok().filter(|size| *size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_both_ways() {
        for text in ["192.0.2.7:65535", "[2001:db8::1]:3478", "[fe80::1%7]:1"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut name = empty_name();
            write_name(&mut name, address);
            assert_eq!(read_name(&name), Some(address));
        }
        assert_eq!(read_name(&empty_name()), None);
    }

    #[test]
    fn control_messages_are_found_again() {
        let mut control = Control([0; Control::SIZE]);
        let ip: IpAddr = "2001:db8::7".parse().unwrap();
        let used = push_source(&mut control, 0, ip);
        let used = push_segment(&mut control, used, 1200);
        let found: Vec<_> = controls(&control, used).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(destination(&found[0]), Some(ip));
        assert_eq!((found[1].level, found[1].data), (libc::SOL_UDP, &1200u16.to_ne_bytes()[..]));
        assert_eq!(controls(&control, 5).count(), 0);
    }
}
