//! DTLS 1.2 (RFC 6347, RFC 7350) by OpenSSL: the server's side only. A client gets no state before it has returned a
//! cookie; its session lives on the listener's socket of one worker, to which the kernel keeps its datagrams.

mod carry;
mod hello;
mod session;
mod sessions;
mod side;

pub(crate) use hello::{Cookies, Hello};
pub(crate) use session::{LARGEST_MESSAGE, Next, Pipe, Session};
pub(crate) use sessions::{Entrance, Newcomer, Path, Sessions, Stage, is_dtls};
pub(crate) use side::Side;

/// Whether a datagram that begins with this octet is DTLS where other protocols come in by the same socket (RFC 7983 §7).
pub(crate) fn begins_with(octet: u8) -> bool {
    (20..=63).contains(&octet)
}
