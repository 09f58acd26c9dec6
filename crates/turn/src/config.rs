//! What the administrator decides: where relays are bound, what they may reach, how much anybody may use.

use crate::discovery::Rectangle;
use crate::quota::Quota;
use crate::{Bandwidth, Credentials, Policy};
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
    /// How many allocations there may be.
    pub quota: Quota,
    /// What may be relayed in a second.
    pub bandwidth: Bandwidth,
    /// How much one allocation may have.
    pub limits: Limits,
    /// What answers say that they come from (SOFTWARE), where they say so.
    pub software: Option<&'static str>,
    /// Whether no new allocations are made.
    pub draining: bool,
    /// Where clients are sent while none is to be had here (300), those of a client's own family.
    pub alternates: Vec<SocketAddr>,
    /// Listeners that answer for one another (RFC 5780).
    pub discovery: Vec<Rectangle>,
    /// Whether allocations may go on by another 5-tuple of their clients (RFC 8016).
    pub mobility: bool,
    /// Whether something below may relay channels by itself (see [`crate::offload`]).
    pub offload: bool,
    /// An allocation's life where the client names none, or a shorter one (RFC 8656 §7.2).
    pub lifetime: Duration,
    /// An allocation's longest life without a refresh.
    pub lifetime_max: Duration,
}

/// Every map of an allocation that a client can make grow, and how far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
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
    /// The addresses to bind a relay of this family at, for a client that wrote to `local`, in the order in which they are to
    /// be tried: that one if it serves, then the others, from a different one each `turn`.
    pub fn places(&self, local: IpAddr, family: Family, turn: u64) -> Vec<IpAddr> {
        let local = local.to_canonical();
        let is_place = Family::of_ip(local) == family && (self.anywhere || self.addresses.contains(&local));
        let is_other = |address: &IpAddr| Family::of_ip(*address) == family && *address != local;
        let mut others: Vec<_> = self.addresses.iter().copied().filter(is_other).collect();
        let first = usize::try_from(turn % others.len().max(1) as u64).unwrap_or(0);
        others.rotate_left(first);
        is_place.then_some(local).into_iter().chain(others).collect()
    }

    /// The address of ours that the world calls this.
    pub fn bound(&self, advertised: IpAddr) -> IpAddr {
        self.external.iter().find(|(public, _)| *public == advertised).map_or(advertised, |(_, own)| *own)
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
        let places = |relays: &Relays, local: &str, family, turn| {
            relays.places(ip(local), family, turn).iter().map(IpAddr::to_string).collect::<Vec<_>>()
        };
        assert_eq!(places(&relays, "198.51.100.2", Family::V4, 0), ["198.51.100.2", "198.51.100.1"]);
        assert_eq!(places(&relays, "::ffff:198.51.100.2", Family::V4, 1), ["198.51.100.2", "198.51.100.1"]);
        assert_eq!(places(&relays, "127.0.0.1", Family::V4, 6), ["198.51.100.1", "198.51.100.2"]);
        assert_eq!(places(&relays, "127.0.0.1", Family::V4, 7), ["198.51.100.2", "198.51.100.1"]);
        assert_eq!(places(&relays, "198.51.100.2", Family::V6, 1), ["2001:db8::1"]);
        assert_eq!(relays.advertised(ip("198.51.100.2")), ip("203.0.113.9"));
        assert_eq!(relays.advertised(ip("198.51.100.1")), ip("198.51.100.1"));
        assert_eq!(relays.bound(ip("203.0.113.9")), ip("198.51.100.2"));
        assert_eq!(relays.bound(ip("198.51.100.1")), ip("198.51.100.1"));

        let anywhere = Relays { anywhere: true, ..Relays::default() };
        assert_eq!(places(&anywhere, "127.0.0.1", Family::V4, 3), ["127.0.0.1"]);
        assert_eq!(places(&anywhere, "127.0.0.1", Family::V6, 3), [""; 0]);
    }
}
