//! SIP as values: messages read in place, edited by splicing, framed and authenticated; transactions, a registrar
//! and a stateful proxy as one machine, [`Stack`] (RFC 3261).
//!
//! Nothing here opens a socket or reads a clock; bytes, time and keys come in, bytes and verdicts go out.

pub mod dialog;
pub mod digest;
pub mod framing;
pub mod message;
pub mod page;
pub mod proxy;
pub mod registrar;
pub mod shown;
mod slab;
pub mod stack;
pub mod trace;
pub mod transaction;
pub mod transport;
pub mod uri;

pub use message::{Fault, HeaderName, Malformed, Message, Method};
pub use page::{Found, Page};
pub use slab::Id;
pub use stack::{Config, Input, Limits, Output, Parcel, Stack};
pub use uri::{Host, SipUri, Uri};
