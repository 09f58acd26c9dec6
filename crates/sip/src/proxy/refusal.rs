//! Why a request is refused, and what the answer says.

use crate::digest::{Algorithms, Role};
use std::time::Duration;
use wire::{Domain, WorkerId};

/// A refusal by this server. Whose fault it is shows in its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A part that matters cannot be read.
    BadRequest(&'static str),
    /// A Contact that cannot be kept, or `*` with something beside it.
    BadContact,
    /// No good credentials: a challenge.
    Challenge {
        /// Whether the registrar asks or the proxy.
        role: Role,
        /// Which account list.
        realm: Domain,
        /// The credentials were good once.
        stale: bool,
        /// The worker that will hear the answer.
        at: WorkerId,
        /// What the account can be asked for.
        algorithms: Algorithms,
    },
    /// Good credentials of somebody else.
    NotYours,
    /// Neither end is ours.
    Relaying,
    /// More contacts in one request than an address may have.
    TooManyContacts,
    /// Nobody of that name.
    NotFound,
    /// Addressed to us, and we do not do this.
    MethodNotAllowed,
    /// Nobody answered in time.
    Timeout,
    /// A scheme other than sip and sips.
    Scheme,
    /// An extension that we do not know is required: its tags.
    Extension(Vec<u8>),
    /// A binding would live shorter than this.
    IntervalTooBrief(Duration),
    /// A sips request, and whoever it is for cannot be reached so, or it has not come so (RFC 5630 §5.3).
    SipsNotAllowed,
    /// A sips Contact that is not sips all the way (RFC 5630 §5.2).
    SipsContact,
    /// Somebody of that name, but nowhere.
    Unavailable,
    /// The proxy that a phone's flow would end at does not know flows (RFC 5626 §11.6).
    NoOutbound,
    /// The flow that a Route of ours names is gone (RFC 5626 §11.5).
    FlowFailed,
    /// A CANCEL of nothing.
    NoTransaction,
    /// It has been here before.
    Loop,
    /// Max-Forwards has run out.
    TooManyHops,
    /// More branches than it may have (RFC 5393 §5.3.3).
    Breadth,
    /// No user part.
    Incomplete,
    /// The caller gave up.
    Cancelled,
    /// An older REGISTER than the one that made the binding (RFC 3261 §10.3).
    OutOfOrder,
    /// What the next element answered is not for the caller to know (503, RFC 3261 §16.7).
    Upstream,
    /// Too much to do.
    Overload,
    /// No way to the next element.
    Unreachable,
    /// The same, where it is known why.
    Failed(String),
}

impl Refusal {
    /// The status code.
    pub fn code(&self) -> u16 {
        match self {
            Self::BadRequest(_) | Self::BadContact | Self::SipsContact => 400,
            Self::Challenge { role, .. } => role.code(),
            Self::NotYours | Self::Relaying | Self::TooManyContacts => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Timeout => 408,
            Self::Scheme => 416,
            Self::Extension(_) => 420,
            Self::IntervalTooBrief(_) => 423,
            Self::Unavailable | Self::SipsNotAllowed => 480,
            Self::FlowFailed => 430,
            Self::NoOutbound => 439,
            Self::Breadth => 440,
            Self::NoTransaction => 481,
            Self::Loop => 482,
            Self::TooManyHops => 483,
            Self::Incomplete => 484,
            Self::Cancelled => 487,
            Self::OutOfOrder | Self::Upstream => 500,
            Self::Overload | Self::Unreachable | Self::Failed(_) => 503,
        }
    }

    /// The reason phrase, where the usual one would say too little.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadRequest(text) => text,
            Self::BadContact => "Malformed Contact",
            Self::SipsContact => "SIPS Contact Without SIPS",
            Self::NotYours => "Not Your Account",
            Self::Relaying => "Relaying Denied",
            Self::TooManyContacts => "Too Many Contacts",
            Self::OutOfOrder => "Out Of Order",
            Self::Unreachable | Self::Failed(_) => "Destination Unreachable",
            other => crate::message::reply::reason(other.code()),
        }
    }
}
