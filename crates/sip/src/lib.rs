//! SIP as values: messages read in place, edited by splicing, framed, and authenticated (RFC 3261).
//!
//! Nothing here opens a socket or reads a clock; bytes, time and keys come in, bytes and verdicts go out.

pub mod digest;
pub mod framing;
pub mod message;
pub mod uri;

pub use message::{Fault, HeaderName, Malformed, Message, Method};
pub use uri::{Host, SipUri, Uri};
