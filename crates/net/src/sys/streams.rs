//! Octets from and to a stream, by the calls that cost least: one buffer, no path through the files of the kernel, and not by
//! the C library's functions, which are places where threads may be cancelled (see `Events::wait`).

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

/// Receives what is there, at most as much as `bytes` holds; 0 is the end.
pub(crate) fn receive(socket: &TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
    let (fd, room, length) = (socket.as_raw_fd(), bytes.as_mut_ptr(), bytes.len());
    let (flags, none) = (libc::MSG_DONTWAIT, null_mut::<u8>());
    // SAFETY: the kernel writes at most `length` octets into the buffer, which is borrowed for the call; no address is asked for.
    let got = unsafe { libc::syscall(libc::SYS_recvfrom, fd, room, length, flags, none, none) };
    usize::try_from(got).map_err(|_| io::Error::last_os_error())
}

/// Sends as much as the kernel takes; how much that is.
pub(crate) fn send(socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let (fd, start, length) = (socket.as_raw_fd(), bytes.as_ptr(), bytes.len());
    let (flags, none) = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL, null_mut::<u8>());
    // SAFETY: the kernel only reads the octets, which are borrowed for the call; no address is given.
    let sent = unsafe { libc::syscall(libc::SYS_sendto, fd, start, length, flags, none, 0usize) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}
