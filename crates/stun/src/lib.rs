//! STUN messages (RFC 8489) and the attributes that TURN adds to them (RFC 8656): parse, write, integrity, credentials.
//!
//! Reading borrows and never allocates; writing appends to the caller's buffer. Nothing here knows what a message is for.

pub mod attribute;
pub mod credential;
pub mod error;
pub mod fingerprint;
pub mod integrity;
pub mod kind;
pub mod message;
pub mod nonce;
pub mod writer;

pub use attribute::Attribute;
pub use error::ParseError;
pub use integrity::{Algorithm, Key};
pub use kind::Kind;
pub use message::{Class, Message, Method, TransactionId};
pub use writer::Writer;

/// The fixed bytes 4 to 8 of every message (RFC 8489 §5).
pub const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

/// The length of the header (RFC 8489 §5).
pub const HEADER: usize = 20;
