//! What the table `xmpp` means.

use super::fault::Fault;
use super::file::{Table, Typed};
use super::listener::{self, Place};
use super::meaning::{Judge, domain_name};
use super::plan::{ComponentPlan, DomainPlan, Host, Listener, XmppLimits};
use super::quantity;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use wire::{Domain, Transport};

/// Where components connect to unless they are told something else.
const COMPONENT_LISTENER: Listener =
    Listener { host: Host::One(IpAddr::V4(Ipv4Addr::LOCALHOST)), port: 5347 };

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

impl<'a> Judge<'a> {
    /// How long archives keep what they have.
    pub(super) fn archive_for(&mut self, table: &'a Table) -> Duration {
        self.duration(table, "archive-for", 365 * DAY, Duration::ZERO..=36_500 * DAY)
    }

    /// External components: each serves a name that nobody else has.
    pub(super) fn components(
        &mut self,
        domains: &[DomainPlan],
        places: &mut Vec<Place<'a>>,
    ) -> Vec<ComponentPlan> {
        let mut found: Vec<ComponentPlan> = Vec::new();
        for row in self.file.section("xmpp").rows("components") {
            let Some((typed, name)) = self.component_name(row) else { continue };
            let taken = domains.iter().any(|domain| {
                domain.name == name || domain.aliases.contains(&name) || domain.rooms.as_ref() == Some(&name)
            });
            if taken || found.iter().any(|other| other.name == name) {
                let fault = typed.fault(format!("`{name}` is somebody's already"));
                self.faults
                    .push(fault.help("a component serves a domain that is no other's name, alias or rooms"));
                continue;
            }
            let listen = self.component_listener(row, &found, places);
            let Some(source) = row.secret("secret") else {
                self.component_lacks(row, "secret", "write secret = { file = \"irc.secret\" }");
                continue;
            };
            if let Some(secret) = self.secret(source) {
                found.push(ComponentPlan { name, secret, listen });
            }
        }
        found
    }

    fn component_name(&mut self, row: &'a Table) -> Option<(&'a Typed<String>, Domain)> {
        let Some(typed) = row.text("name") else {
            self.component_lacks(row, "name", "write name = \"irc.example.org\"");
            return None;
        };
        Some((typed, self.note(domain_name(typed))?))
    }

    /// Says what a component is without, unless something was said of it already.
    fn component_lacks(&mut self, row: &Table, key: &str, help: &str) {
        let path = format!("xmpp.components.{key}");
        let is_here = |fault: &Fault| fault.span.as_ref().is_some_and(|span| row.span.contains(&span.start));
        if !self.faults.iter().any(|fault| fault.key == path && is_here(fault)) {
            let fault = Fault::new(row.span.clone(), path, format!("a component without `{key}`"));
            self.faults.push(fault.help(help));
        }
    }

    /// Several may share one listener.
    fn component_listener(
        &mut self,
        row: &'a Table,
        found: &[ComponentPlan],
        places: &mut Vec<Place<'a>>,
    ) -> Listener {
        let Some(typed) = row.text("listen") else { return COMPONENT_LISTENER };
        let Some(listener) = self.note(listener::parse(typed)) else { return COMPONENT_LISTENER };
        if !found.iter().any(|other| other.listen == listener) {
            places.push(Place { transport: Transport::Tcp, listener, typed });
        }
        if !matches!(listener.host, Host::One(address) if address.is_loopback()) {
            self.warnings.push(format!(
                "xmpp.components: {listener} is reached from other hosts, and what components say is not encrypted"
            ));
        }
        listener
    }

    /// What XMPP's clients may cost.
    pub(super) fn xmpp_limits(&mut self, table: &'a Table) -> XmppLimits {
        let usual = XmppLimits::default();
        let rates =
            (self.rate(table, "rate", usual.rate), self.rate(table, "account-rate", usual.account_rate));
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        XmppLimits {
            sessions: count(self.count(table, "sessions", 64, 1..=65_536)),
            idle: self.duration(table, "idle", usual.idle, SECOND..=DAY),
            pong: self.duration(table, "pong", usual.pong, SECOND..=HOUR),
            resume: self.duration(table, "resume", usual.resume, Duration::ZERO..=DAY),
            archive_messages: self.count(table, "archive-messages", 200_000, 16..=u32::MAX).into(),
            archive_octets: self.count(table, "archive-octets", 268_435_456, 65_536..=u32::MAX).into(),
            bosh_wait: self.duration(table, "bosh-wait", usual.bosh_wait, SECOND..=HOUR),
            bosh_inactivity: self.duration(table, "bosh-inactivity", usual.bosh_inactivity, SECOND..=HOUR),
            unacknowledged: count(self.count(table, "unacknowledged", 1_000, 10..=1_000_000)),
            nodes: count(self.count(table, "nodes", 500, 0..=100_000)),
            node_items: count(self.count(table, "node-items", 1_000, 1..=100_000)),
            item: count(self.count(table, "item", 131_072, 1_024..=1_000_000)),
            rate: rates.0,
            account_rate: rates.1,
            rooms: count(self.count(table, "rooms", 10_000, 0..=1_000_000)),
            rooms_of_account: count(self.count(table, "rooms-of-account", 100, 0..=1_000_000)),
            occupants: count(self.count(table, "occupants", 1_000, 1..=100_000)),
            ..usual
        }
    }

    fn rate(&mut self, table: &'a Table, key: &str, usual: u64) -> u64 {
        table.text(key).and_then(|typed| self.note(quantity::rate(typed))).unwrap_or(usual)
    }
}
