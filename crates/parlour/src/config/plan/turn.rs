//! What the configuration says of STUN and TURN.

use super::{Host, Listener, Network, TurnLimits};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;
use turn::discovery;
use wire::Secret;

/// STUN and TURN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnPlan {
    /// Datagram listeners.
    pub udp: Vec<Listener>,
    /// Stream listeners.
    pub tcp: Vec<Listener>,
    /// TLS listeners.
    pub tls: Vec<Listener>,
    /// DTLS listeners.
    pub dtls: Vec<Listener>,
    /// Where relays are bound.
    pub relay_ports: RangeInclusive<u16>,
    /// On which of our addresses relays are bound; empty: on the network's.
    pub relay_addresses: Vec<IpAddr>,
    /// Exceptions to the built-in refusal of special address ranges as peers.
    pub allow_peers: Vec<Network>,
    /// Further ranges that are refused as peers.
    pub deny_peers: Vec<Network>,
    /// Shared secrets of time-limited credentials; the first makes new ones.
    pub secrets: Vec<Secret>,
    /// Keys of access tokens (RFC 7635).
    pub oauth_keys: Vec<OauthKey>,
    /// The authorisation server's name as clients are told it. `None`: there are no keys, so no tokens are taken.
    pub oauth_server: Option<String>,
    /// How many allocations there may be.
    pub quota: TurnQuota,
    /// What may be relayed in a second.
    pub bandwidth: TurnBandwidth,
    /// Whether allocations may move to another client address (RFC 8016).
    pub mobility: bool,
    /// Where clients are sent while the server is drained or full (300): one of the client's family.
    pub alternate_servers: Vec<SocketAddr>,
    /// How long the end of the server waits for allocations.
    pub drain: Duration,
    /// For how long packets may be gathered under load, at most.
    pub gathering: Duration,
    /// The interface whose packets the kernel relays by itself. `None`: off.
    pub xdp: Option<String>,
    /// Whether answers carry SOFTWARE.
    pub software: bool,
    /// What clients may cost.
    pub limits: TurnLimits,
}

impl TurnPlan {
    /// The listeners that NAT behaviour discovery (RFC 5780) takes: two addresses with the same two ports.
    pub fn discovery(&self) -> Vec<[Listener; 4]> {
        let rectangles = discovery::rectangles(&self.udp_addresses());
        rectangles.into_iter().map(|corners| corners.map(|n| self.udp[n])).collect()
    }

    /// What lacks to a rectangle of which three corners are there.
    pub(in crate::config) fn discovery_lacks(&self) -> Vec<SocketAddr> {
        discovery::missing(&self.udp_addresses())
    }

    fn udp_addresses(&self) -> Vec<SocketAddr> {
        let address = |listener: &Listener| match listener.host {
            Host::All => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), listener.port),
            Host::One(address) => SocketAddr::new(address, listener.port),
        };
        self.udp.iter().map(address).collect()
    }
}

/// A key of access tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OauthKey {
    /// Its name, which comes with the token.
    pub kid: String,
    /// Its octets.
    pub key: Secret,
}

/// How many allocations there may be at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnQuota {
    /// Of one account.
    pub user: u32,
    /// Of all accounts of one domain.
    pub domain: u32,
    /// Of everybody.
    pub total: u32,
}

/// Octets that may be relayed in a second, each way; 0 is without a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnBandwidth {
    /// For one allocation.
    pub session: u64,
    /// For all allocations of one account.
    pub user: u64,
}
