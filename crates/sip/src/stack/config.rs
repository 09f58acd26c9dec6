//! What the stack is told at start; there are no defaults below the plan.

use crate::digest::Digest;
use crate::framing;
use crate::proxy::media::Relaying;
use crate::registrar::Rules;
use crate::transaction::Timing;
use crate::transport::Listeners;
use crate::transport::inside::Range;
use std::time::Duration;
use wire::{Address, Secret, WorkerId};

/// How one worker's stack is to work.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which worker this is.
    pub me: WorkerId,
    /// How many there are.
    pub workers: u16,
    /// Our own addresses.
    pub listeners: Listeners,
    /// The secret of nonces, branches and routes: the same on every worker and after a restart.
    pub secret: Secret,
    /// Whether users must prove who they are. Only a closed laboratory does without.
    pub authenticate: bool,
    /// Who may call under other names of its domain than its own.
    pub speakers: Vec<Speaker>,
    /// Which calls' media are relayed.
    pub relaying: Relaying,
    /// How long a digest nonce is good for.
    pub nonce: Duration,
    /// The timer values.
    pub timing: Timing,
    /// How often phones behind NAT that do not keep their way open themselves are asked for a sign of life, over UDP; `None`:
    /// never.
    pub ping: Option<Duration>,
    /// What a registration may ask for.
    pub rules: Rules,
    /// Ranges inside (see [`inside`](crate::transport::inside)) that requests may be sent to though nobody registered
    /// from there.
    pub targets: Vec<Range>,
    /// What peers may cost.
    pub limits: Limits,
}

/// An account that may call under another name of its domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// Which.
    pub account: Address,
    /// The name; `None`: any.
    pub name: Option<Address>,
}

impl Speaker {
    fn may(&self, account: &Address, name: &Address) -> bool {
        let of_domain = || account.domain() == name.domain();
        self.account == *account && self.name.as_ref().map_or_else(of_domain, |own| own == name)
    }
}

/// What peers may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Transactions at a time; more are refused with 503.
    pub transactions: usize,
    /// Of those, requests of one source.
    pub per_source: usize,
    /// Rows of the trace that tells why calls failed.
    pub trace: usize,
    /// Calls that stand, as far as an administrator sees them.
    pub calls: usize,
    /// Connections that are being opened at a time.
    pub dials: usize,
    /// The longest start line and header fields.
    pub head: usize,
    /// The longest message.
    pub message: usize,
    /// Max-Forwards of a request that has none.
    pub max_forwards: u8,
    /// What Retry-After says when there is too much to do.
    pub retry_after: Duration,
    /// How long a stream may be silent.
    pub idle: Duration,
    /// How long a connection may take to open, a name to be looked up, a user to be found.
    pub answer: Duration,
}

impl Config {
    /// Whether an account may call under a name.
    pub(crate) fn may_speak(&self, account: &Address, name: &Address) -> bool {
        account == name || self.speakers.iter().any(|speaker| speaker.may(account, name))
    }

    pub(super) fn framing(&self) -> framing::Limits {
        let head = self.limits.head;
        framing::Limits { head, body: self.limits.message.saturating_sub(head) }
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::new((self.me, self.workers), self.secret.clone(), self.nonce)
    }
}
