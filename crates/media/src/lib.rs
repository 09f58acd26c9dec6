//! Media of calls: session descriptions read and edited in place (RFC 8866, RFC 3264), and the relay that carries RTP,
//! RTCP and what else comes in datagrams between two ends that cannot reach one another.
//!
//! Packets are bytes here: SRTP and DTLS pass as they are. Left out so far: codecs, SRTP of our own, conferences.

pub mod relay;
pub mod sdp;

pub use relay::{Config, Hands, Relay};
