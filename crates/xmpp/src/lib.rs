//! XMPP as machines (RFC 6120, 6121): streams, sign-in, stanzas, and what the server itself answers.
//!
//! Nothing here knows a socket, a clock or a database: bytes, time and answers come in, effects go out.

pub mod archive;
pub mod bosh;
pub mod component;
pub mod framed;
pub mod jid;
pub mod managed;
pub mod muc;
pub mod ns;
pub mod offline;
pub mod presence;
pub mod pubsub;
pub mod roster;
pub mod router;
pub mod sasl;
mod settings;
pub mod stanza;
pub mod stream;
mod xep;
pub mod xml;

pub use jid::{Bare, Jid, JidError};
pub use stanza::{Condition, Draft, Kind, Stanza, StanzaError};
pub use stream::{Stream, StreamCondition, StreamError};
pub use xml::Element;
