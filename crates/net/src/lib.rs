//! The only crate with sockets, TLS, DTLS and clocks. It knows no protocol: bytes come in and go out, and whose they are
//! is told by a [`Tag`] that the product chose.
//!
//! [`listen`] binds everything for all workers, all or nothing; [`run`] starts one thread per worker, each with its own
//! twin of every listener, and calls one [`Handler`] per worker. A handler acts through [`Net`], the hands that are lent
//! to it for one callback. Between workers there is only bounded mail ([`Net::post`], [`Net::migrate`], [`Postbox`]).
//!
//! Linux only (`recvmmsg`, `sendmmsg`, UDP GSO and GRO, the error queue). Left out: HTTP beyond the opening of WebSockets.

mod admission;
mod appetite;
mod batch;
mod choice;
mod core;
pub mod counters;
mod datagram;
mod dtls;
pub mod entropy;
mod gate;
mod gathering;
mod halves;
mod handler;
mod hands;
mod limits;
mod listen;
mod outbox;
mod pace;
mod proxy;
mod reception;
mod running;
mod stream;
#[expect(unsafe_code, reason = "calls of the kernel that no library offers")]
mod sys;
pub mod tls;
mod token;
mod web;
mod worker;
pub mod xdp;

pub use batch::{Batch, HEADROOM, PacketRef};
pub use choice::{Begins, Choice};
pub use datagram::Loose;
pub use handler::{CloseReason, ConnectionInfo, Full, Handler, IcmpError, Tag, TlsFacts, TlsVersion};
pub use hands::Net;
pub use limits::Limits;
pub use listen::{Bound, Endpoint, Kind, ListenError, Listeners, Spec, listen};
pub use proxy::Proxies;
pub use reception::{ChangeError, Reception};
pub use running::{Ended, Postbox, Running, Setup, Start, run};
pub use web::{Subprotocol, Unwanted, WebFacts, WebRequest};

/// Raises this process's limit of open files as far as the system lets it; returns what holds now.
///
/// # Errors
/// The kernel's, if it refuses; the old limit holds then.
pub fn raise_open_files() -> std::io::Result<u64> {
    sys::raise_open_files()
}
