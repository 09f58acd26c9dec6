//! What the signalling tells of a call.

use std::net::IpAddr;
use wire::WorkerId;

/// Whoever answers for a call, as a number: each may have so many at a time.
pub type Seat = u64;

/// A message of a call that is to be relayed, from one end to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The Call-ID.
    pub call: Box<[u8]>,
    /// Of what began the dialog, and of its answers: which branch of which fork.
    pub branch: Option<Branch>,
    /// Whoever sent it.
    pub by: End,
    /// Whoever gets it.
    pub to: End,
    /// What it is.
    pub kind: Kind,
    /// Whose seat it takes, where it begins.
    pub seat: Option<Seat>,
    /// The session description, or nothing.
    pub body: Vec<u8>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request.
    Request,
    /// A provisional response, or a 2xx to something else than INVITE.
    Response,
    /// A 2xx to INVITE: the call is taken.
    Answer,
}

/// One end of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Its tag; empty where it has none yet.
    pub tag: Box<[u8]>,
    /// Where its signalling comes from or goes to, where that is known.
    pub source: Option<IpAddr>,
    /// At which address of ours that is, where it is known.
    pub local: Option<IpAddr>,
}

/// One way of a forked request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Branch {
    /// The worker that forks it.
    pub worker: WorkerId,
    /// Its number for the request.
    pub request: u64,
    /// Its number for the way.
    pub index: u32,
}

impl Branch {
    /// Whether both are ways of one request.
    pub(super) fn is_of_same(&self, other: &Self) -> bool {
        (self.worker, self.request) == (other.worker, other.request)
    }
}
