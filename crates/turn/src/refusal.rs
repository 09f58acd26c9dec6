//! Why a request is refused; each reason knows its code (RFC 8489 §18.4, RFC 8656 §19).

use std::net::SocketAddr;
use stun::Kind;
use stun::credential::Denied;
use stun::message::Malformed;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another server is to be asked: this one (RFC 8489 §10).
    TryAlternate(SocketAddr),
    /// It breaks a rule of its own.
    BadRequest,
    /// It shows no valid credential.
    Unauthenticated,
    /// The peer's address is one that relays may not write to.
    Forbidden,
    /// The allocation may not move to another address (RFC 8016 §3.1).
    MobilityForbidden,
    /// It has attributes that must be understood and are not.
    UnknownAttributes(Vec<Kind>),
    /// There is an allocation where there must be none, or none where there must be one.
    AllocationMismatch,
    /// The nonce is no longer good.
    StaleNonce,
    /// No relay of that address family is to be had here.
    AddressFamilyNotSupported,
    /// The allocation belongs to another account.
    WrongCredentials,
    /// Only UDP is relayed.
    UnsupportedTransport,
    /// The peer's address is not of the relay's family.
    PeerAddressFamilyMismatch,
    /// There is a connection to this peer already (RFC 6062 §5.2).
    ConnectionAlreadyExists,
    /// The peer did not take the connection (RFC 6062 §5.2).
    ConnectionTimeoutOrFailure,
    /// The account, its domain or everybody together has all the allocations there may be.
    AllocationQuotaReached,
    /// No port, socket or room is left.
    InsufficientCapacity,
}

impl Refusal {
    /// Its ERROR-CODE.
    pub const fn code(&self) -> u16 {
        match self {
            Self::TryAlternate(_) => 300,
            Self::BadRequest => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::MobilityForbidden => 405,
            Self::UnknownAttributes(_) => 420,
            Self::AllocationMismatch => 437,
            Self::StaleNonce => 438,
            Self::AddressFamilyNotSupported => 440,
            Self::WrongCredentials => 441,
            Self::UnsupportedTransport => 442,
            Self::PeerAddressFamilyMismatch => 443,
            Self::ConnectionAlreadyExists => 446,
            Self::ConnectionTimeoutOrFailure => 447,
            Self::AllocationQuotaReached => 486,
            Self::InsufficientCapacity => 508,
        }
    }

    /// Its reason phrase.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TryAlternate(_) => "Try Alternate",
            Self::BadRequest => "Bad Request",
            Self::Unauthenticated => "Unauthenticated",
            Self::Forbidden => "Forbidden",
            Self::MobilityForbidden => "Mobility Forbidden",
            Self::UnknownAttributes(_) => "Unknown Attribute",
            Self::AllocationMismatch => "Allocation Mismatch",
            Self::StaleNonce => "Stale Nonce",
            Self::AddressFamilyNotSupported => "Address Family not Supported",
            Self::WrongCredentials => "Wrong Credentials",
            Self::UnsupportedTransport => "Unsupported Transport Protocol",
            Self::PeerAddressFamilyMismatch => "Peer Address Family Mismatch",
            Self::ConnectionAlreadyExists => "Connection Already Exists",
            Self::ConnectionTimeoutOrFailure => "Connection Timeout or Failure",
            Self::AllocationQuotaReached => "Allocation Quota Reached",
            Self::InsufficientCapacity => "Insufficient Capacity",
        }
    }

    /// Whether the answer must tell realm and a fresh nonce (RFC 8489 §9.2.4).
    pub(crate) const fn is_challenge(&self) -> bool {
        matches!(self, Self::Unauthenticated | Self::StaleNonce)
    }
}

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Self {
        Self::BadRequest
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unauthenticated => Self::Unauthenticated,
            Denied::Incomplete => Self::BadRequest,
            Denied::Stale => Self::StaleNonce,
        }
    }
}
