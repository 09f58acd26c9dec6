//! Options that `socket2` does not know, and the limit of open files.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd};

/// Makes a datagram socket report ICMP errors with their cause and, where asked, the address each datagram came to.
pub(crate) fn prepare_datagrams(socket: &impl AsFd, v6: bool, tell_destination: bool) -> io::Result<()> {
    let (level, errors, destination) = if v6 {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR, libc::IPV6_RECVPKTINFO)
    } else {
        (libc::IPPROTO_IP, libc::IP_RECVERR, libc::IP_PKTINFO)
    };
    switch_on(socket, level, errors)?;
    if tell_destination {
        switch_on(socket, level, destination)?;
    }
    Ok(())
}

/// Whether routers (IPv4), or this host, may cut what the socket sends into fragments. If not, what is too big for the
/// path is not sent, and the error queue says so.
pub(crate) fn allow_fragments(socket: &impl AsFd, v6: bool, allow: bool) -> io::Result<()> {
    let (level, option, value) = match (v6, allow) {
        (false, true) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT),
        (false, false) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO),
        (true, true) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT),
        (true, false) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO),
    };
    set(socket, level, option, value)
}

/// From now on what is too big for the path leaves in fragments, which this host makes.
pub(crate) fn cut_what_does_not_fit(socket: &impl AsFd, v6: bool) -> io::Result<()> {
    match v6 {
        false => set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_WANT),
        true => set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_WANT),
    }
}

/// Lets the kernel hand over datagrams of one sender and one size as one (UDP GRO, Linux 5.0).
pub(crate) fn join_datagrams(socket: &impl AsFd) -> io::Result<()> {
    switch_on(socket, libc::SOL_UDP, libc::UDP_GRO)
}

/// Leaves out checksums, which makes the kernel refuse segmentation (UDP GSO).
#[cfg(test)]
pub(crate) fn without_checksums(socket: &impl AsFd) -> io::Result<()> {
    switch_on(socket, libc::SOL_SOCKET, libc::SO_NO_CHECK)
}

fn switch_on(socket: &impl AsFd, level: i32, option: i32) -> io::Result<()> {
    set(socket, level, option, 1)
}

fn set(socket: &impl AsFd, level: i32, option: i32, value: libc::c_int) -> io::Result<()> {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is borrowed and so open; the kernel only reads the integer, within the call.
    let result = unsafe {
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, (&raw const value).cast(), size)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Raises this process's limit of open files as far as the system lets it; returns what holds now.
pub(crate) fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes into the one structure, within the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the kernel only reads the structure, within the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}
