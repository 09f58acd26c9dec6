//! What a domain needs outside this house: DNS records, zone text, certificates and the names in them.
//!
//! And whom a peer's certificate names.
//!
//! Pure: a [`Site`] says what is offered where, and everything follows from it. Nothing here asks the DNS.

pub mod certificate;
pub mod changes;
pub mod check;
pub mod identity;
pub mod message;
pub mod record;
pub mod site;
pub mod tsig;
pub mod zone;

pub use record::{Data, Record};
pub use site::{Host, Ports, Site};
pub use zone::{Authority, Zone, zones};
