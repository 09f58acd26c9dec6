//! What `[turn]` means.

use super::fault::Fault;
use super::file::{Table, Typed};
use super::listener::Place;
use super::meaning::{Judge, ip_address, network, port_range};
use super::plan::{DomainPlan, OauthKey, TurnBandwidth, TurnLimits, TurnPlan, TurnQuota};
use super::secret::{self, Found, Source};
use super::{host, quantity, tls};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;
use wire::{Secret, Transport};

/// Gathered for longer, a voice would be late.
const GATHERING_MAX: Duration = Duration::from_millis(20);
/// A key of AES-128; whatever is shorter can be guessed sooner.
const SHORT_KEY: usize = 16;
const DAY: Duration = Duration::from_secs(86_400);
/// How many relays one server can be asked to have: each has a socket.
const RELAYS_MAX: u32 = 10_000_000;

impl<'a> Judge<'a> {
    /// The whole table.
    pub(super) fn turn(&mut self, domains: &[DomainPlan], places: &mut Vec<Place<'a>>) -> TurnPlan {
        let table = self.file.section("turn");
        let ports = table.text("relay-ports").and_then(|typed| self.note(port_range(typed)));
        let oauth_keys = self.oauth_keys(table);
        self.warn_about_inline_secrets(table);
        TurnPlan {
            udp: self.listeners("turn", "udp", Transport::Udp, places),
            tcp: self.listeners("turn", "tcp", Transport::Tcp, places),
            tls: self.listeners("turn", "tls", Transport::Tls, places),
            dtls: self.listeners("turn", "dtls", Transport::Dtls, places),
            relay_ports: ports.unwrap_or(49_152..=65_535),
            relay_addresses: self.relay_addresses(table),
            allow_peers: self.each(table.texts("allow-peers"), network),
            deny_peers: self.each(table.texts("deny-peers"), network),
            secrets: table.secrets("secrets").iter().filter_map(|typed| self.secret(typed)).collect(),
            oauth_server: self.oauth_server(table, domains).filter(|_| !oauth_keys.is_empty()),
            oauth_keys,
            quota: self.quota(table.fields("quota")),
            bandwidth: self.bandwidth(table.fields("bandwidth")),
            mobility: table.flag("mobility", true),
            alternate_servers: self.each(table.texts("alternate-server"), server),
            drain: self.duration(table, "drain", Duration::ZERO, Duration::ZERO..=DAY),
            gathering: self.duration(table, "gathering", Duration::ZERO, Duration::ZERO..=GATHERING_MAX),
            xdp: self.xdp(table),
            software: table.flag("software", false),
            limits: self.turn_limits(table.fields("limits")),
        }
    }

    pub(super) fn secret(&mut self, typed: &Typed<Source>) -> Option<Secret> {
        let fetched = secret::fetch(self.dir, typed, &mut self.warnings);
        match self.note(fetched)? {
            Found::Secret(secret) => Some(secret),
            Found::Elsewhere(why) => {
                self.warnings.push(why);
                None
            }
        }
    }

    fn warn_about_inline_secrets(&mut self, table: &Table) {
        let keys = table.rows("oauth-keys").iter().filter_map(|row| row.secret("key"));
        let mut secrets = table.secrets("secrets").iter().chain(keys);
        let inline = secrets.find(|typed| matches!(typed.value, Source::Inline(_)));
        if let Some(typed) = inline.filter(|_| tls::others_may_read(self.path)) {
            let warning = format!("{}: others may read {}; chmod 600 it", typed.key, self.path.display());
            self.warnings.push(warning);
        }
    }

    fn oauth_keys(&mut self, table: &'a Table) -> Vec<OauthKey> {
        let mut keys: Vec<OauthKey> = vec![];
        for row in table.rows("oauth-keys") {
            let Some((kid, source)) = self.oauth_row(row) else { continue };
            let Some(text) = self.secret(source) else { continue };
            let Some(key) = self.note(oauth_key(source, &text)) else { continue };
            if keys.iter().any(|earlier| earlier.kid == kid.value) {
                let fault = kid.fault(format!("the key `{}` is there already", kid.value));
                self.faults.push(fault.help("each key has a name of its own"));
            } else if key.expose().len() < SHORT_KEY {
                self.warnings
                    .push(format!("turn.oauth-keys: the key `{}` is shorter than 16 octets", kid.value));
            }
            keys.push(OauthKey { kid: kid.value.clone(), key });
        }
        keys
    }

    fn oauth_row(&mut self, row: &'a Table) -> Option<(&'a Typed<String>, &'a Typed<Source>)> {
        let (kid, key) = (row.text("kid"), row.secret("key"));
        let kid = kid.filter(|kid| !kid.value.is_empty());
        for (name, there) in [("kid", kid.is_some()), ("key", key.is_some())] {
            let known = self.faults.iter().any(|fault| fault.key == format!("turn.oauth-keys.{name}"));
            if !there && !known {
                let path = format!("turn.oauth-keys.{name}");
                let fault = Fault::new(row.span.clone(), path, format!("a key without `{name}`"));
                self.faults.push(fault.help("write { kid = \"north\", key = { file = \"north.key\" } }"));
            }
        }
        Some((kid?, key?))
    }

    fn oauth_server(&mut self, table: &'a Table, domains: &[DomainPlan]) -> Option<String> {
        let typed = table.text("oauth-server").filter(|typed| !typed.value.is_empty());
        match typed {
            // RFC 7635 §6.1 has it in a quoted string of at most 127 characters, as SERVER-NAME.
            Some(typed) if typed.value.chars().count() > 127 || typed.value.contains(char::is_control) => {
                self.faults.push(typed.fault("the name of the authorisation server is too long"));
                None
            }
            Some(typed) => Some(typed.value.clone()),
            None => domains.first().map(|domain| domain.name.to_string()),
        }
    }

    fn relay_addresses(&mut self, table: &'a Table) -> Vec<IpAddr> {
        let addresses = self.each(table.texts("relay-addresses"), ip_address);
        for address in addresses.iter().filter(|address| !host::has(**address)) {
            self.warnings.push(format!(
                "turn.relay-addresses: {address} is not an address of this host, so relays cannot be bound there"
            ));
        }
        addresses
    }

    fn quota(&mut self, table: &'a Table) -> TurnQuota {
        let total = self.count(table, "total", 100_000, 1..=RELAYS_MAX);
        TurnQuota {
            user: self.count(table, "user", 4_096, 1..=RELAYS_MAX),
            domain: self.count(table, "domain", total, 1..=RELAYS_MAX),
            total,
        }
    }

    fn bandwidth(&mut self, table: &'a Table) -> TurnBandwidth {
        let mut rate = |key| table.text(key).and_then(|typed| self.note(quantity::rate(typed))).unwrap_or(0);
        TurnBandwidth { session: rate("session"), user: rate("user") }
    }

    fn turn_limits(&mut self, table: &'a Table) -> TurnLimits {
        let usual = TurnLimits::default();
        let lifetime_max = self.duration(table, "lifetime-max", usual.lifetime_max, second()..=DAY);
        let lifetime = self.duration(table, "lifetime", usual.lifetime.min(lifetime_max), second()..=DAY);
        if let Some(typed) = table.text("lifetime").filter(|_| lifetime > lifetime_max) {
            let fault = typed.fault(format!("`{}` is longer than lifetime-max", typed.value));
            self.faults.push(fault.help(format!("at most {}", quantity::words(lifetime_max))));
        }
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        TurnLimits {
            permissions: count(self.count(table, "permissions", 256, 1..=65_536)),
            channels: count(self.count(table, "channels", 256, 1..=4_096)),
            lifetime,
            lifetime_max,
            strangers: self.count(table, "strangers", usual.strangers, 0..=1_000_000_000),
            ..usual
        }
    }

    fn xdp(&mut self, table: &'a Table) -> Option<String> {
        let typed = table.text("xdp").filter(|typed| !typed.value.is_empty())?;
        let name = typed.value.as_str();
        // As the kernel has it (IFNAMSIZ).
        if name.len() > 15 || name.contains(|c: char| c == '/' || c.is_whitespace()) {
            self.faults.push(typed.fault(format!("`{name}` is not the name of a network interface")));
            return None;
        }
        if let Err(missing) = net::xdp::built() {
            self.faults.push(typed.fault(missing.to_string()).help("or leave turn.xdp out".to_owned()));
            return None;
        }
        if !Path::new("/sys/class/net").join(name).exists() {
            self.warnings.push(format!("turn.xdp: this host has no network interface {name}"));
        }
        Some(name.to_owned())
    }

    pub(super) fn duration(
        &mut self,
        table: &'a Table,
        key: &str,
        absent: Duration,
        bounds: RangeInclusive<Duration>,
    ) -> Duration {
        let typed = table.text(key);
        typed.and_then(|typed| self.note(quantity::duration(typed, bounds))).unwrap_or(absent)
    }

    pub(super) fn count(
        &mut self,
        table: &'a Table,
        key: &str,
        absent: u32,
        bounds: RangeInclusive<u32>,
    ) -> u32 {
        let Some(typed) = table.number(key) else { return absent };
        match u32::try_from(typed.value) {
            Ok(number) if bounds.contains(&number) => number,
            _ => {
                let fault = typed.fault(format!("{} is out of bounds", typed.value));
                self.faults.push(fault.help(format!("from {} to {}", bounds.start(), bounds.end())));
                absent
            }
        }
    }
}

fn second() -> Duration {
    Duration::from_secs(1)
}

/// The octets of a key that was written in base64.
fn oauth_key(source: &Typed<Source>, text: &Secret) -> Result<Secret, Fault> {
    let key = STANDARD.decode(text.expose().trim_ascii()).ok().filter(|key| !key.is_empty());
    key.map(Secret::new).ok_or_else(|| {
        source.fault("the key is not written in base64").help("openssl rand -base64 32 makes one")
    })
}

/// `"192.0.2.2:3478"`
fn server(typed: &Typed<String>) -> Result<SocketAddr, Fault> {
    let text = typed.value.trim();
    let fault = typed.fault(format!("`{text}` is not the address of a server"));
    if let Ok(address) = text.parse::<IpAddr>() {
        return Err(fault.help(format!("did you mean \"{}\"?", SocketAddr::new(address, 3478))));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 && !address.ip().is_unspecified() => Ok(address),
        _ => Err(fault.help("write \"192.0.2.2:3478\" or \"[2001:db8::2]:3478\"")),
    }
}
