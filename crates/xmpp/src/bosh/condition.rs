//! Why a session ends, or never begins (XEP-0124 §17.2).

use super::wrapper;

/// A terminal binding condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The request is not what it should be.
    BadRequest,
    /// The domain is not served here any more.
    HostGone,
    /// The domain is not served here.
    HostUnknown,
    /// The first request does not say which domain it wants.
    ImproperAddressing,
    /// Our own fault.
    InternalServerError,
    /// There is no such session, or no such place for a request in it.
    ItemNotFound,
    /// Another request has ended the session.
    OtherRequest,
    /// Too many requests, or too often.
    PolicyViolation,
    /// The stream inside has ended with an error, which stands in the answer.
    RemoteStreamError,
    /// The server goes down.
    SystemShutdown,
}

impl Condition {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::HostGone => "host-gone",
            Self::HostUnknown => "host-unknown",
            Self::ImproperAddressing => "improper-addressing",
            Self::InternalServerError => "internal-server-error",
            Self::ItemNotFound => "item-not-found",
            Self::OtherRequest => "other-request",
            Self::PolicyViolation => "policy-violation",
            Self::RemoteStreamError => "remote-stream-error",
            Self::SystemShutdown => "system-shutdown",
        }
    }

    /// What a client hears instead that never said which version it speaks (XEP-0124 §17.1).
    pub(super) const fn status(self) -> Option<u16> {
        match self {
            Self::BadRequest => Some(400),
            Self::PolicyViolation => Some(403),
            Self::ItemNotFound => Some(404),
            _ => None,
        }
    }

    /// What a request hears that belongs to no session.
    pub fn answer(self) -> String {
        wrapper::Answer { condition: Some(self), terminate: true, ..wrapper::Answer::default() }.write(&[])
    }

    /// What a fault of the stream is, before there is a session.
    pub(super) fn of_stream(fault: &str) -> Self {
        match fault {
            "host-gone" => Self::HostGone,
            "host-unknown" => Self::HostUnknown,
            "improper-addressing" => Self::ImproperAddressing,
            "system-shutdown" => Self::SystemShutdown,
            _ => Self::RemoteStreamError,
        }
    }
}
