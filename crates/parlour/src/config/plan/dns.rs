//! What the DNS is to say.

use crate::providers::{Given, Provider};
use domains::tsig::Key;
use std::fmt;
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
    /// What this installation calls itself in the DNS. `None`: as it is kept in the data folder.
    pub installation: Option<String>,
}

/// Where `parlour dns push` writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushPlan {
    /// At a name server, by dynamic update (RFC 2136).
    Server(ServerPlan),
    /// In the books of a provider, by its interface.
    Provider(ProviderPlan),
}

impl fmt::Display for PushPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(server) => server.server.fmt(f),
            Self::Provider(provider) => f.write_str(provider.provider.name),
        }
    }
}

/// Whether a word can be an installation's name: one word of a mark, and of no other use there.
pub(crate) fn is_installation(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(is_letter) && text != "-"
}

/// A provider, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderPlan {
    pub(crate) provider: &'static Provider,
    pub(crate) given: Given,
    /// Who is asked for what the provider's books do not say. `None`: the system's resolver.
    pub(crate) resolver: Option<SocketAddr>,
}

/// A name server that takes dynamic updates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerPlan {
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
