//! The only crate with sockets, TLS and clocks. It knows no protocol: bytes come in and go out, and whose they are
//! is told by a [`Tag`] that the product chose.
//!
//! [`listen`] binds everything for all workers, all or nothing; [`run`] starts one thread per worker, each with its own
//! twin of every listener, and calls one [`Handler`] per worker. A handler acts through [`Net`], the hands that are lent
//! to it for one callback. Between workers there is only bounded mail ([`Net::post`], [`Net::migrate`], [`Postbox`]).
//!
//! Linux only (`recvmmsg`, `sendmmsg`, UDP GSO, the error queue). Left out so far: UDP GRO, WebSocket, HTTPS, DTLS.

#![expect(
    clippy::unimplemented,
    dead_code,
    reason = "the face of the crate comes first, so that services can be written against it"
)]

pub mod batch;
pub mod counters;
pub mod entropy;
pub mod handler;
pub mod hands;
pub mod limits;
pub mod listen;
pub mod running;
pub mod tls;

pub use batch::{Batch, HEADROOM, PacketRef};
pub use handler::{CloseReason, ConnectionInfo, Full, Handler, IcmpError, Tag, TlsFacts, TlsVersion};
pub use hands::Net;
pub use limits::Limits;
pub use listen::{Bound, Endpoint, Kind, ListenError, Listeners, Spec, listen};
pub use running::{Ended, Postbox, Running, Setup, Start, run};
