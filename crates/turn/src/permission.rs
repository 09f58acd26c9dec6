//! Permissions (RFC 8656 §3.3, §9): which addresses may write to the client through its relay, and be written to.

use crate::config::PERMISSION;
use crate::policy::{Policy, Scope};
use rustc_hash::FxHashMap;
use std::net::IpAddr;
use std::time::Instant;
use stun::attribute::Family;

/// One address that traffic with is permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// When it ends.
    pub until: Instant,
    /// Which ports may be written to.
    pub scope: Scope,
}

/// The permissions of one allocation.
#[derive(Debug, Default)]
pub struct Permissions(FxHashMap<IpAddr, Permission>);

impl Permissions {
    /// The permission for a peer's address, if it holds at `now`.
    pub fn get(&self, now: Instant, peer: IpAddr) -> Option<Permission> {
        self.0.get(&peer).copied().filter(|permission| now < permission.until)
    }

    /// Whether there is room for all of these.
    pub fn has_room(&mut self, now: Instant, peers: &[(IpAddr, Scope)], limit: usize) -> bool {
        self.0.retain(|_, permission| now < permission.until);
        let new = peers.iter().filter(|(peer, _)| !self.0.contains_key(peer)).count();
        self.0.len() + new <= limit
    }

    /// Installs or refreshes one; says until when it holds.
    pub fn install(&mut self, now: Instant, peer: IpAddr, scope: Scope) -> Instant {
        let until = now + PERMISSION;
        self.0.insert(peer, Permission { until, scope });
        until
    }

    /// Forgets those of peers that are refused by now, and takes note of what else has changed.
    pub(crate) fn judge_anew(&mut self, policy: &Policy) {
        self.0.retain(|peer, permission| {
            let scope = policy.scope(*peer);
            permission.scope = scope.unwrap_or(permission.scope);
            scope.is_some()
        });
    }

    /// Forgets those of a family whose relay is gone.
    pub(crate) fn forget_family(&mut self, family: Family) {
        self.0.retain(|peer, _| Family::of_ip(*peer) != family);
    }

    /// Those that hold at `now`, in no order.
    pub fn iter(&self, now: Instant) -> impl Iterator<Item = (IpAddr, Permission)> {
        let all = self.0.iter().map(|(peer, permission)| (*peer, *permission));
        all.filter(move |(_, permission)| now < permission.until)
    }

    /// How many there are, ended ones included that nobody has looked for since.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
