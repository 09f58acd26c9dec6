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
    /// The name of the chat rooms. `None`: no rooms.
    pub rooms: Option<Domain>,
    /// Where STUN and TURN are reached.
    pub turn: Host,
    /// Where SIP is reached.
    pub sip: Host,
    /// Where XMPP is reached. `tcp` is STARTTLS, `tls` is TLS at once; `udp` stays empty.
    pub xmpp: Host,
}

/// Where a service is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// At which addresses, as the world sees them.
    pub addresses: Vec<IpAddr>,
    /// At which ports; none is "off".
    pub ports: Ports,
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
}

impl Host {
    /// Whether anything is offered.
    pub fn is_on(&self) -> bool {
        let Ports { udp, tcp, tls, dtls } = &self.ports;
        !(udp.is_empty() && tcp.is_empty() && tls.is_empty() && dtls.is_empty())
    }
}

impl Site {
    /// The services by the label of their host name: `turn` is reached at `turn.falcot.com`.
    pub fn hosts(&self) -> [(&'static str, &Host); 3] {
        [("turn", &self.turn), ("sip", &self.sip), ("xmpp", &self.xmpp)]
    }

    /// The host name of a service: `turn.falcot.com`.
    pub fn host_name(&self, label: &str) -> String {
        format!("{label}.{}", self.name)
    }

    /// The main name and its aliases: what stands behind the `@` of addresses.
    pub fn account_domains(&self) -> impl Iterator<Item = &Domain> {
        std::iter::once(&self.name).chain(&self.aliases)
    }

    /// Every name that the domain's certificate needs (RFC 6125: clients compare what the user typed, and the host
    /// name where they followed no secure pointer).
    pub fn certificate_names(&self) -> Vec<String> {
        certificate_names(&self.name, &self.aliases, self.rooms.as_ref())
    }
}

/// [`Site::certificate_names`] of a domain that does not offer anything yet.
pub fn certificate_names(name: &Domain, aliases: &[Domain], rooms: Option<&Domain>) -> Vec<String> {
    let typed = std::iter::once(name).chain(aliases).chain(rooms).map(Domain::to_string);
    let hosts = ["turn", "sip", "xmpp"].map(|label| format!("{label}.{name}"));
    let mut names: Vec<String> = vec![];
    for name in typed.chain(hosts) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
