//! One domain of the house with what it offers, and the names that follow from that.

use std::net::IpAddr;
use wire::Domain;

/// A domain and what is offered in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The main name.
    pub name: Domain,
    /// Further names of the same accounts.
    pub aliases: Vec<Domain>,
    /// XMPP services under names of their own: rooms, components. Other servers look for them; clients do not.
    pub components: Vec<Domain>,
    /// Where STUN and TURN are reached.
    pub turn: Host,
    /// Where SIP is reached. `web` is WebSockets inside TLS.
    pub sip: Host,
    /// Where clients reach XMPP. `tcp` is STARTTLS, `tls` is TLS at once; `udp` stays empty.
    pub xmpp: Host,
    /// Where other servers reach XMPP, in the same way. Its addresses are those of `xmpp`, if it has the same name.
    pub federation: Host,
    /// The authorities that may issue certificates for the domain; none: whichever.
    pub issuers: Vec<String>,
    /// How long others may remember a record, in seconds.
    pub ttl: u32,
}

/// Where a service is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// By which name, in full: `turn.falcot.com`.
    pub name: String,
    /// At which addresses, as the world sees them.
    pub addresses: Vec<IpAddr>,
    /// At which ports; none is "off".
    pub ports: Ports,
    /// The priority of the first of several ports of one transport; the others follow.
    pub priority: u16,
    /// The weight of each.
    pub weight: u16,
    /// What clients find pinned to each of its ports that speaks TLS, where they ask for that: SHA-256 of each public key that one of
    /// them may be shown there; none: nothing.
    pub keys: Vec<[u8; 32]>,
    /// Hosts of further names: where a port is not reached at each of these addresses, it stands there.
    pub others: Vec<Host>,
}

/// The ports of a service by transport, the preferred first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Datagrams.
    pub udp: Vec<u16>,
    /// Plain streams.
    pub tcp: Vec<u16>,
    /// TLS.
    pub tls: Vec<u16>,
    /// DTLS.
    pub dtls: Vec<u16>,
    /// HTTP inside TLS.
    pub web: Vec<u16>,
    /// Those of `web` that speak HTTP/2 too.
    pub h2: Vec<u16>,
}

impl Host {
    /// This one and the others.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.others)
    }

    /// Whether anything is offered.
    pub fn is_on(&self) -> bool {
        let Ports { udp, tcp, tls, dtls, web, h2: _ } = &self.ports;
        [udp, tcp, tls, dtls, web].iter().any(|ports| !ports.is_empty())
    }
}

/// The services whose host names begin with these unless it is said.
pub const LABELS: [&str; 3] = ["turn", "sip", "xmpp"];

impl Site {
    /// Whether any keys are pinned.
    pub fn is_pinned(&self) -> bool {
        self.hosts().into_iter().any(|(_, host)| !host.keys.is_empty())
    }

    /// The hosts of the services, with what those are called.
    pub fn hosts(&self) -> Vec<(&'static str, &Host)> {
        let services = [
            ("turn", &self.turn),
            ("sip", &self.sip),
            ("xmpp", &self.xmpp),
            ("federation", &self.federation),
        ];
        services.into_iter().flat_map(|(label, host)| host.all().map(move |host| (label, host))).collect()
    }

    /// The main name and its aliases: what stands behind the `@` of addresses.
    pub fn account_domains(&self) -> impl Iterator<Item = &Domain> {
        std::iter::once(&self.name).chain(&self.aliases)
    }

    /// Every name that the domain's certificate needs (RFC 6125: clients compare what the user typed, and the host
    /// name where they followed no secure pointer).
    pub fn certificate_names(&self) -> Vec<String> {
        let typed = self.account_domains().chain(&self.components).map(Domain::to_string);
        unique(typed.chain(self.hosts().into_iter().map(|(_, host)| host.name.clone())))
    }
}

/// [`Site::certificate_names`] of a domain that does not offer anything yet.
pub fn certificate_names(name: &Domain, aliases: &[Domain], components: &[Domain]) -> Vec<String> {
    let typed = std::iter::once(name).chain(aliases).chain(components).map(Domain::to_string);
    unique(typed.chain(LABELS.iter().map(|label| format!("{label}.{name}"))))
}

fn unique(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for name in all.filter(|name| !name.is_empty()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
