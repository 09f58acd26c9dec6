//! What the administrator decides: where relays are bound, what they may reach, how much anybody may use.

use crate::discovery::Rectangle;
use crate::{Credentials, Policy};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;
use stun::attribute::Family;

/// How long a permission lasts (RFC 8656 §9).
pub const PERMISSION: Duration = Duration::from_secs(300);

/// How long a channel stays bound (RFC 8656 §12).
pub const CHANNEL: Duration = Duration::from_secs(600);

/// How long a reserved port is kept (RFC 8656 §7.2: at least 30 seconds).
pub const RESERVATION: Duration = Duration::from_secs(30);

/// What one server is to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where relays are bound and what the world calls these addresses.
    pub relays: Relays,
    /// The ports that relays are bound to.
    pub ports: RangeInclusive<u16>,
    /// Whom they may write to.
    pub peers: Policy,
    /// Whose credentials are taken beside those of accounts.
    pub credentials: Credentials,
    /// How much anybody may use.
    pub limits: Limits,
    /// Whether no new allocation is made any more: clients are sent elsewhere.
    pub draining: bool,
    /// Where clients are sent then; the first of a client's family. None: nowhere.
    pub alternates: Vec<SocketAddr>,
    /// Listeners that answer for one another (RFC 5780).
    pub discovery: Vec<Rectangle>,
    /// Whether something below may relay channels by itself (see [`crate::offload`]).
    pub offload: bool,
    /// An allocation's life where the client names none, or a shorter one (RFC 8656 §7.2).
    pub lifetime: Duration,
    /// An allocation's longest life without a refresh.
    pub lifetime_max: Duration,
}

/// Every map that a client can make grow, and how far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Allocations of this server.
    pub allocations: usize,
    /// Allocations of one account on this server.
    pub per_user: usize,
    /// Permissions of one allocation.
    pub permissions: usize,
    /// Channels of one allocation.
    pub channels: usize,
    /// Answers in a second to one source that has shown no credential; zero for any number.
    pub strangers: u32,
}

/// Where relays are bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Relays {
    /// Addresses of ours.
    pub addresses: Vec<IpAddr>,
    /// Whether a relay may be bound at the address that its client wrote to, though it is not among `addresses`.
    pub anywhere: bool,
    /// One-to-one NAT: what the world writes to, and which of our addresses that reaches.
    pub external: Vec<(IpAddr, IpAddr)>,
}

impl Relays {
    /// The address to bind a relay of this family at, for a client that wrote to `local`.
    pub fn bind(&self, local: IpAddr, family: Family) -> Option<IpAddr> {
        let local = local.to_canonical();
        if Family::of_ip(local) == family && (self.anywhere || self.addresses.contains(&local)) {
            return Some(local);
        }
        self.addresses.iter().copied().find(|address| Family::of_ip(*address) == family)
    }

    /// What the world calls an address of ours.
    pub fn advertised(&self, bound: IpAddr) -> IpAddr {
        self.external.iter().find(|(_, private)| *private == bound).map_or(bound, |(public, _)| *public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn where_a_relay_is_bound() {
        let addresses = vec![ip("198.51.100.1"), ip("198.51.100.2"), ip("2001:db8::1")];
        let relays =
            Relays { addresses, anywhere: false, external: vec![(ip("203.0.113.9"), ip("198.51.100.2"))] };
        assert_eq!(relays.bind(ip("198.51.100.2"), Family::V4), Some(ip("198.51.100.2")));
        assert_eq!(relays.bind(ip("::ffff:198.51.100.2"), Family::V4), Some(ip("198.51.100.2")));
        assert_eq!(relays.bind(ip("127.0.0.1"), Family::V4), Some(ip("198.51.100.1")));
        assert_eq!(relays.bind(ip("198.51.100.2"), Family::V6), Some(ip("2001:db8::1")));
        assert_eq!(relays.advertised(ip("198.51.100.2")), ip("203.0.113.9"));
        assert_eq!(relays.advertised(ip("198.51.100.1")), ip("198.51.100.1"));

        let anywhere = Relays { anywhere: true, ..Relays::default() };
        assert_eq!(anywhere.bind(ip("127.0.0.1"), Family::V4), Some(ip("127.0.0.1")));
        assert_eq!(anywhere.bind(ip("127.0.0.1"), Family::V6), None);
    }
}
