//! The attributes that the house reads and writes, one small codec each.
//!
//! Reading says only whether a value keeps its own rules; what to do about one that does not is the caller's business.

use crate::{Kind, TransactionId};

pub mod access;
pub mod address;
pub mod algorithm;
pub mod behaviour;
pub mod channel;
pub mod connection;
pub mod data;
pub mod error_code;
pub mod even_port;
pub mod family;
pub mod flag;
pub mod icmp;
pub mod lifetime;
pub mod mobility;
pub mod text;
pub mod token;
pub mod transport;
pub mod unknown;
pub mod userhash;

pub use access::AccessToken;
pub use address::{
    AlternateServer, MappedAddress, OtherAddress, ResponseOrigin, XorMappedAddress, XorPeerAddress,
    XorRelayedAddress,
};
pub use algorithm::{PasswordAlgorithm, PasswordAlgorithms};
pub use behaviour::{ChangeRequest, Padding, ResponsePort};
pub use channel::ChannelNumber;
pub use connection::PeerConnection;
pub use data::Data;
pub use error_code::{AddressErrorCode, ErrorCode};
pub use even_port::EvenPort;
pub use family::{AdditionalAddressFamily, DraftAdditionalAddressFamily, Family, RequestedAddressFamily};
pub use flag::DontFragment;
pub use icmp::Icmp;
pub use lifetime::Lifetime;
pub use mobility::MobilityTicket;
pub use text::{AlternateDomain, Nonce, Realm, Software, ThirdPartyAuthorization, Username};
pub use token::ReservationToken;
pub use transport::RequestedTransport;
pub use unknown::UnknownAttributes;
pub use userhash::UserHash;

/// A value that travels as an attribute.
pub trait Attribute<'a>: Sized {
    /// The type it travels under.
    const KIND: Kind;

    /// Reads the value, without padding. `None` where it breaks its own rules.
    fn read(value: &'a [u8], transaction: TransactionId) -> Option<Self>;

    /// Appends the value, without padding.
    fn write(&self, transaction: TransactionId, out: &mut Vec<u8>);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fmt::Debug;

    pub(crate) const TRANSACTION: TransactionId =
        TransactionId([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);

    /// The value is these bytes, and these bytes are the value.
    pub(crate) fn both_ways<'a, A: Attribute<'a> + PartialEq + Debug>(value: &A, bytes: &'a [u8]) {
        let mut out = Vec::new();
        value.write(TRANSACTION, &mut out);
        assert_eq!(out, bytes, "{value:?} is written otherwise");
        assert_eq!(A::read(bytes, TRANSACTION).as_ref(), Some(value));
    }

    /// None of these is a value.
    pub(crate) fn refuses<'a, A: Attribute<'a> + Debug>(values: &[&'a [u8]]) {
        for value in values {
            assert!(A::read(value, TRANSACTION).is_none(), "{value:?} is taken for a value");
        }
    }
}
