//! What the DNS is to say.

use domains::tsig::Key;
use std::net::SocketAddr;
use wire::Domain;

/// What the DNS is to say.
#[derive(Clone, Debug)]
pub struct DnsPlan {
    /// Where STUN and TURN are reached.
    pub turn: HostPlan,
    /// Where SIP is reached.
    pub sip: HostPlan,
    /// Where XMPP is reached.
    pub xmpp: HostPlan,
    /// How long others may remember a record, in seconds.
    pub ttl: u32,
    /// The authorities that may issue certificates; none: whichever.
    pub caa: Vec<String>,
    /// Whether keys are published.
    pub tlsa: bool,
    /// Where `parlour dns push` writes. `None`: nowhere.
    pub push: Option<PushPlan>,
}

/// Where `parlour dns push` writes.
#[derive(Clone, Debug)]
pub struct PushPlan {
    /// The primary name server.
    pub server: SocketAddr,
    /// What changes are signed with.
    pub key: Key,
}

/// How a service is pointed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPlan {
    /// The name of its host.
    pub name: HostName,
    /// The priority of the first port in SRV records.
    pub priority: u16,
    /// The weight of each.
    pub weight: u16,
}

/// The name of a service's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostName {
    /// This label in front of each domain.
    Below(String),
    /// This name.
    Whole(Domain),
}

impl HostPlan {
    /// The host's name for a domain.
    pub fn name_for(&self, domain: &Domain) -> String {
        match &self.name {
            HostName::Below(label) => format!("{label}.{domain}"),
            HostName::Whole(name) => name.to_string(),
        }
    }
}
