//! Where clients reach STUN and TURN, and the credentials that they are given for it: what browsers are told by
//! `parlour turn credentials`, and XMPP's clients by XEP-0215.

use crate::config::covers;
use crate::config::plan::{Listener, Plan};
use crate::site::reached_at;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use turn::credentials::temporary::{Issued, issue};
use wire::{Address, Secret};
use xmpp::router::{Credential, External, Externals, Issuer};

/// What a TURN secret of the house's own is a key for, where none is configured.
pub(crate) const HOUSE_SECRET: &str = "turn credentials";

/// For how long a credential is good that an XMPP client is given; what is relayed by then goes on.
const GOOD_FOR: Duration = Duration::from_secs(12 * 3600);

/// A place where a client reaches TURN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reached {
    /// Whether it is inside TLS or DTLS.
    pub(crate) secure: bool,
    /// A name, or an address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `udp` or `tcp`.
    pub(crate) transport: &'static str,
}

impl Reached {
    /// As browsers want it (RFC 7065).
    pub(crate) fn url(&self) -> String {
        let place = match self.host.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, self.port).to_string(),
            Err(_) => format!("{}:{}", self.host, self.port),
        };
        let scheme = if self.secure { "turns" } else { "turn" };
        format!("{scheme}:{place}?transport={}", self.transport)
    }
}

/// Every place, each once: by UDP, by TCP, inside TLS, inside DTLS.
pub(crate) fn turn(plan: &Plan) -> Vec<Reached> {
    let turn = &plan.turn;
    let mut all = [
        plain(plan, &turn.udp, "udp"),
        plain(plan, &turn.tcp, "tcp"),
        secure(plan, &turn.tls, "tcp"),
        secure(plan, &turn.dtls, "udp"),
    ]
    .concat();
    let mut seen = BTreeSet::new();
    all.retain(|place| seen.insert(place.clone()));
    all
}

fn each(plan: &Plan, listeners: &[Listener]) -> impl Iterator<Item = (IpAddr, u16)> {
    let named = listeners.iter().filter(|listener| listener.port != 0);
    named.flat_map(|at| reached_at(plan, at).into_iter().map(|ip| (ip, at.port)))
}

fn plain(plan: &Plan, listeners: &[Listener], transport: &'static str) -> Vec<Reached> {
    let place = |(ip, port): (IpAddr, u16)| Reached { secure: false, host: ip.to_string(), port, transport };
    each(plan, listeners).map(place).collect()
}

/// Those inside TLS: by a name that the certificate is for, by the address only where it is for that.
fn secure(plan: &Plan, listeners: &[Listener], transport: &'static str) -> Vec<Reached> {
    let names: Vec<_> = plan.tls.iter().flat_map(|tls| tls.names().map(str::to_owned)).collect();
    let domains = plan.domains.iter().map(|domain| domain.name.as_str());
    let hosts = domains.flat_map(|domain| [format!("turn.{domain}"), domain.to_owned()]);
    let name = hosts.into_iter().find(|host| covers(&names, host));
    let place = |(ip, port): (IpAddr, u16)| {
        let address = ip.to_string();
        let host = name.clone().filter(|_| !names.contains(&address)).unwrap_or(address);
        Reached { secure: true, host, port, transport }
    };
    each(plan, listeners).map(place).collect()
}

/// What makes credentials that end.
#[derive(Debug)]
pub(crate) struct Office(pub(crate) Secret);

impl Office {
    /// By the first of the configured secrets, or by the house's own.
    pub(crate) fn new(plan: &Plan, own: impl FnOnce() -> Secret) -> Self {
        Self(plan.turn.secrets.first().cloned().unwrap_or_else(own))
    }

    /// One for an account, good until so many seconds after 1970.
    pub(crate) fn until(&self, account: &Address, expires: Duration) -> Issued {
        issue(self.0.expose(), expires.as_secs(), account.as_str())
    }
}

impl Issuer for Office {
    fn issue(&self, account: &Address, now: Duration) -> Credential {
        let expires = now + GOOD_FOR;
        let Issued { username, credential } = self.until(account, expires);
        Credential { username, password: Secret::new(credential), expires }
    }
}

/// What XMPP's clients are told.
pub(crate) fn externals(plan: &Plan, office: Office) -> Externals {
    let places = turn(plan);
    let service = |place: &Reached, kind, restricted| {
        let Reached { host, port, transport, .. } = place.clone();
        External { kind, host, port, transport, restricted }
    };
    let stun = places.iter().filter(|place| !place.secure && place.transport == "udp");
    let stun = stun.map(|place| service(place, "stun", false));
    let turn = places.iter().map(|place| service(place, if place.secure { "turns" } else { "turn" }, true));
    Externals { services: stun.chain(turn).collect(), issuer: Some(std::sync::Arc::new(office)) }
}
