//! From what was typed to what it means: the one place that declares a configuration valid.

use super::fault::{Fault, nearest, position};
use super::file::{File, Table, Typed};
use super::listener::{self, Place};
use super::plan::{
    AdminLimits, AdminPlan, DomainPlan, External, Host, Listener, NamedExternal, Network, NetworkLimits,
    NetworkPlan, Plan, SipPlan, StoragePlan, TurnPlan, WebPlan, XmppPlan,
};
use super::{host, sharing};
use crate::clock;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::{Address, Domain, Transport};

/// What a file means, or all that is wrong with it, what the reader found included.
pub(super) fn plan(path: &Path, text: &str, file: &File, faults: Vec<Fault>) -> Result<Plan, Vec<Fault>> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let dir = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let mut judge = Judge { text, path: &path, dir: &dir, file, faults, warnings: vec![] };
    let domains = judge.domains();
    let (url, data) = judge.storage();
    let network = judge.network();
    let (turn, sip, xmpp, web, metrics) = judge.services(&domains);
    let media = judge.media(&turn);
    let wanted = [&turn.tls, &turn.dtls, &sip.tls, &sip.wss, &xmpp.client, &xmpp.client_tls, &web.https];
    let wanted = wanted.iter().any(|listeners| !listeners.is_empty());
    let dns = judge.dns(network.resolver.first().copied());
    let tls = judge.tls(&domains, &data, dns.push.is_some(), wanted);
    let (roots, domain_roots) = (judge.roots(), judge.domain_roots());
    judge.warn_about_wildcards(&domains, &sip, tls.as_ref());
    let Judge { faults, warnings, .. } = judge;
    if !faults.is_empty() {
        return Err(faults);
    }
    let admin = AdminPlan { socket: data.join("admin.sock"), metrics, limits: AdminLimits::default() };
    let storage = StoragePlan { url };
    let mut plan = Plan {
        file: path.clone(),
        dir,
        data,
        domains,
        storage,
        network,
        tls,
        roots,
        domain_roots,
        turn,
        sip,
        media,
        xmpp,
        web,
        dns,
        admin,
        warnings,
    };
    plan.warnings.extend(super::acme::unanswered(&plan));
    Ok(plan)
}

/// What each service has, and where metrics are told.
type Services = (TurnPlan, SipPlan, XmppPlan, WebPlan, Vec<Listener>);

pub(super) struct Judge<'a> {
    text: &'a str,
    pub(super) path: &'a Path,
    pub(super) dir: &'a Path,
    pub(super) file: &'a File,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Judge<'a> {
    /// The value, or `None` with its fault noted.
    pub(super) fn note<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.faults.push(fault)).ok()
    }

    pub(super) fn each<T>(
        &mut self,
        typed: &'a [Typed<String>],
        read: impl Fn(&Typed<String>) -> Result<T, Fault>,
    ) -> Vec<T> {
        typed.iter().filter_map(|typed| self.note(read(typed))).collect()
    }

    fn domains(&mut self) -> Vec<DomainPlan> {
        if self.file.domains.is_empty() && !self.faults.iter().any(|fault| fault.key.starts_with("domain")) {
            let fault = Fault::missing("domains.name", "no domain is configured");
            self.faults.push(fault.help("add a table `[[domains]]` with `name = \"example.org\"`"));
        }
        let mut taken = BTreeMap::new();
        let tables = self.file.domains.iter();
        let mut domains: Vec<_> = tables.filter_map(|table| self.domain(table, &mut taken)).collect();
        for (table, domain) in self.file.domains.iter().zip(&mut domains) {
            domain.admins = self.admins(table, &taken);
        }
        self.rooms(&mut domains, &taken);
        domains
    }

    /// A domain that does not name its rooms has them below a label, unless that name is somebody's already.
    fn rooms(&mut self, domains: &mut [DomainPlan], taken: &BTreeMap<Domain, (usize, Domain)>) {
        let typed = self.file.section("xmpp").text("rooms");
        let label = typed.map_or("rooms", |typed| typed.value.as_str());
        if label.is_empty() {
            return;
        }
        for domain in domains.iter_mut().filter(|domain| domain.rooms.is_none()) {
            match Domain::new(&format!("{label}.{}", domain.name)) {
                Ok(rooms) => domain.rooms = Some(rooms).filter(|rooms| !taken.contains_key(rooms)),
                Err(_) => {
                    let fault = typed.map(|typed| typed.fault(format!("`{label}` is no label of a name")));
                    let fault =
                        fault.map(|fault| fault.help("one like `rooms` or `conference`; \"\" is off"));
                    return self.faults.extend(fault);
                }
            }
        }
    }

    fn domain(
        &mut self,
        table: &'a Table,
        taken: &mut BTreeMap<Domain, (usize, Domain)>,
    ) -> Option<DomainPlan> {
        let Some(name) = table.text("name") else {
            if !self.faults.iter().any(|fault| fault.key == "domains.name") {
                let fault = Fault::new(table.span.clone(), "domains.name", "a domain without a name");
                self.faults.push(fault.help("add `name = \"example.org\"`"));
            }
            return None;
        };
        let name_read = self.note(domain_name(name))?;
        self.take(name, &name_read, &name_read, taken);
        let mut aliases = vec![];
        for typed in table.texts("aliases") {
            if let Some(alias) = self.note(domain_name(typed)) {
                self.take(typed, &alias, &name_read, taken);
                aliases.push(alias);
            }
        }
        let rooms = table.text("rooms").and_then(|typed| {
            let rooms = self.note(domain_name(typed))?;
            self.take(typed, &rooms, &rooms, taken);
            Some(rooms)
        });
        Some(DomainPlan { name: name_read, aliases, admins: vec![], rooms })
    }

    /// Notes whose name `name` is (`main`), or that somebody has it already.
    fn take(
        &mut self,
        typed: &Typed<String>,
        name: &Domain,
        main: &Domain,
        taken: &mut BTreeMap<Domain, (usize, Domain)>,
    ) {
        let (line, _) = position(self.text, typed.span.start);
        if let Some((earlier, _)) = taken.get(name) {
            let fault = typed.fault(format!("`{name}` is named twice, first in line {earlier}"));
            self.faults.push(fault.help("a name belongs to one domain, as its name, alias or rooms"));
        } else {
            taken.insert(name.clone(), (line, main.clone()));
        }
    }

    fn admins(&mut self, table: &'a Table, ours: &BTreeMap<Domain, (usize, Domain)>) -> Vec<Address> {
        self.each(table.texts("admins"), |typed| {
            let address: Address = typed.value.parse().map_err(|error| typed.fault(format!("{error}")))?;
            let domain = ours.iter().find(|(name, _)| name.as_str() == address.domain());
            let Some((_, (_, main))) = domain else {
                let fault = typed.fault(format!("{} is not a domain of this house", address.domain()));
                let near = nearest(address.domain(), ours.keys().map(Domain::as_str));
                return Err(near.map_or(fault.clone(), |near| {
                    fault.help(format!("did you mean \"{}@{near}\"?", address.user()))
                }));
            };
            Ok(address.at(main))
        })
    }

    /// The URL with an absolute path, and our own directory.
    fn storage(&mut self) -> (String, PathBuf) {
        let table = self.file.section("storage");
        let typed = table.text("url");
        let text = typed.map_or("sqlite:data/parlour.db", |typed| typed.value.as_str());
        let path = text.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
        match path {
            Some(path) if !path.is_empty() && !path.starts_with(':') && !path.contains('?') => {
                let file = self.dir.join(path);
                let data = file.parent().map_or_else(|| self.dir.to_path_buf(), Path::to_path_buf);
                (format!("sqlite:{}", file.display()), data)
            }
            _ => {
                let fault = typed.map_or_else(
                    || Fault::missing("storage.url", "no storage"),
                    |typed| typed.fault(format!("`{text}` is not a storage that parlour knows")),
                );
                self.faults.push(fault.help("write \"sqlite:PATH\", as in \"sqlite:data/parlour.db\""));
                (String::new(), self.dir.to_path_buf())
            }
        }
    }

    fn network(&mut self) -> NetworkPlan {
        let table = self.file.section("network");
        let workers = table.number("workers").map_or(Ok(0), workers);
        let workers = match self.note(workers) {
            Some(0) | None => cores(),
            Some(number) => number,
        };
        let typed = self.each(table.texts("addresses"), ip_address);
        let (external, named) = self.pairs(table.texts("external"));
        let listed = !typed.is_empty();
        let addresses = if listed { typed } else { host::addresses() };
        for address in addresses.iter().filter(|address| listed && !host::has(**address)) {
            self.warnings.push(format!(
                "network.addresses: {address} is not an address of this host, so relays cannot be bound there; \
                 behind NAT write external = [\"{address}=PRIVATE\"]"
            ));
        }
        let private = external.iter().map(|pair| pair.private).chain(named.iter().map(|pair| pair.private));
        for private in private.filter(|private| !addresses.contains(private)) {
            self.warnings.push(format!("network.external: {private} is not an address of this host"));
        }
        let own = own_addresses(&addresses, &external);
        let resolver = self.each(table.texts("resolver"), name_server);
        let handshakes_per_source =
            self.count(table.fields("limits"), "handshakes-per-source", 200, 0..=1_000_000);
        let limits = NetworkLimits { handshakes_per_source, ..NetworkLimits::default() };
        NetworkPlan { workers, addresses, listed, own, external, named, resolver, limits }
    }

    /// The pairs of `network.external`, of which each address of ours has one alone: the world calls it one thing at a time.
    fn pairs(&mut self, typed: &'a [Typed<String>]) -> (Vec<External>, Vec<NamedExternal>) {
        let (mut external, mut named, mut known) = (Vec::new(), Vec::new(), BTreeSet::new());
        for typed in typed {
            let one = pair(typed).and_then(|pair| match known.insert(pair.private()) {
                true => Ok(pair),
                false => Err(typed
                    .fault(format!("{} has a public side already", pair.private()))
                    .help("leave one of them: an address, or a name that is followed")),
            });
            match self.note(one) {
                Some(Pair::Known(pair)) => external.push(pair),
                Some(Pair::Named(pair)) => named.push(pair),
                None => {}
            }
        }
        (external, named)
    }

    fn services(&mut self, domains: &[DomainPlan]) -> Services {
        let mut places = vec![];
        let mut turn = self.turn(domains, &mut places);
        let mut sip = SipPlan {
            udp: self.listeners("sip", "udp", Transport::Udp, &mut places),
            tcp: self.listeners("sip", "tcp", Transport::Tcp, &mut places),
            tls: self.listeners("sip", "tls", Transport::Tls, &mut places),
            ws: self.listeners("sip", "ws", Transport::Ws, &mut places),
            wss: self.listeners("sip", "wss", Transport::Wss, &mut places),
            origins: self.origins(self.file.section("sip")),
            peers: self.each(self.file.section("sip").texts("peers"), super::sip::peer),
            speak_for: self.each(self.file.section("sip").texts("speak-for"), |typed| {
                super::sip::speaker(typed, domains)
            }),
            allow_targets: self.each(self.file.section("sip").texts("allow-targets"), network),
            bans: self.bans(self.file.section("sip").fields("bans")),
            authenticate: self.sip_authenticate(self.file.section("sip")),
            limits: self.sip_limits(self.file.section("sip").fields("limits")),
        };
        let mut xmpp = XmppPlan {
            client: self.listeners("xmpp", "client", Transport::Tcp, &mut places),
            client_tls: self.listeners("xmpp", "client-tls", Transport::Tls, &mut places),
            web: self.listeners("xmpp", "web", Transport::Ws, &mut places),
            wss: Vec::new(),
            origins: self.origins(self.file.section("xmpp")),
            components: self.components(domains, &mut places),
            archive: self.file.section("xmpp").flag("archive", true),
            archive_for: self.archive_for(self.file.section("xmpp")),
            rooms_by_admins: self.file.section("xmpp").flag("rooms-by-admins", false),
            limits: self.xmpp_limits(self.file.section("xmpp").fields("limits")),
        };
        let web = self.web(&mut places);
        let metrics = self.listeners("admin", "metrics", Transport::Tcp, &mut places);
        self.warn_about_metrics(&metrics);
        self.faults.extend(listener::clashes(self.text, &places));
        self.warn_about_relay_ports(&places, &turn.relay_ports);
        for address in turn.discovery_lacks() {
            self.warnings.push(format!(
                "turn.udp: with \"{address}\" there would be two addresses with the same two ports, and clients could \
                 find out how their NAT behaves (RFC 5780)"
            ));
        }
        sharing::spread(&web, &places, &mut turn, &mut sip, &mut xmpp);
        (turn, sip, xmpp, web, metrics)
    }

    pub(super) fn listeners(
        &mut self,
        section: &str,
        key: &str,
        transport: Transport,
        places: &mut Vec<Place<'a>>,
    ) -> Vec<Listener> {
        let file = self.file;
        let mut found = vec![];
        for typed in file.section(section).texts(key) {
            let Some(listener) = self.note(listener::parse(typed)) else { continue };
            if let Host::One(address) = listener.host
                && !address.is_unspecified()
                && !host::has(address)
            {
                self.warnings.push(format!("{section}.{key}: {address} is not an address of this host"));
            }
            places.push(Place { transport, listener, typed });
            found.push(listener);
        }
        found
    }

    fn warn_about_metrics(&mut self, metrics: &[Listener]) {
        for all in metrics.iter().filter(|one| match one.host {
            Host::All => true,
            Host::One(address) => address.is_unspecified(),
        }) {
            self.warnings.push(format!(
                "admin.metrics: {all} answers whoever reaches this host, without a password; \"127.0.0.1:{0}\" does not",
                all.port
            ));
        }
    }

    fn warn_about_relay_ports(&mut self, places: &[Place<'_>], relays: &RangeInclusive<u16>) {
        let udp = places.iter().filter(|place| place.transport == Transport::Udp);
        for place in udp.filter(|place| relays.contains(&place.listener.port)) {
            self.warnings.push(format!(
                "{}: port {} lies among turn.relay-ports; no relay will get it",
                place.typed.key, place.listener.port
            ));
        }
    }
}

/// Whole days until `ends`; negative when that is past.
pub(crate) fn days_left(ends: Duration) -> i64 {
    let now = clock::now();
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    (seconds(ends) - seconds(now)).div_euclid(86_400)
}

pub(super) fn domain_name(typed: &Typed<String>) -> Result<Domain, Fault> {
    let wrong = || typed.fault(format!("`{}` is not a domain name", typed.value));
    let domain = Domain::new(typed.value.trim()).map_err(|_| wrong())?;
    let is_address = domain.as_str().starts_with('[') || domain.as_str().parse::<IpAddr>().is_ok();
    if is_address { Err(wrong().help("it is an address; give the house a name")) } else { Ok(domain) }
}

fn workers(typed: &Typed<i64>) -> Result<u16, Fault> {
    match u16::try_from(typed.value) {
        Ok(number @ 0..=1024) => Ok(number),
        _ => Err(typed
            .fault(format!("{} workers cannot be had", typed.value))
            .help("a number from 1 to 1024, or 0 for one per core")),
    }
}

/// Every address that leads to this host.
pub(super) fn own_addresses(listed: &[IpAddr], external: &[External]) -> Vec<IpAddr> {
    let mut own = host::all_addresses();
    own.extend(listed);
    own.extend(external.iter().flat_map(|pair| [pair.public, pair.private]));
    own.sort_unstable();
    own.dedup();
    own
}

fn cores() -> u16 {
    std::thread::available_parallelism()
        .map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(1024).min(1024))
}

pub(super) fn ip_address(typed: &Typed<String>) -> Result<IpAddr, Fault> {
    let text = typed.value.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(address) if !address.is_unspecified() && !address.is_multicast() => Ok(address.to_canonical()),
        _ => Err(typed
            .fault(format!("`{text}` is not an address of a host"))
            .help("write \"192.0.2.1\" or \"2001:db8::1\"")),
    }
}

/// What one pair of `network.external` may be.
enum Pair {
    Known(External),
    Named(NamedExternal),
}

impl Pair {
    fn private(&self) -> IpAddr {
        match self {
            Self::Known(pair) => pair.private,
            Self::Named(pair) => pair.private,
        }
    }
}

fn pair(typed: &Typed<String>) -> Result<Pair, Fault> {
    let syntax = "write \"PUBLIC=PRIVATE\", as in \"203.0.113.5=192.0.2.5\"";
    let Some((public, private)) = typed.value.split_once('=') else {
        return Err(typed.fault(format!("`{}` is not a pair of addresses", typed.value)).help(syntax));
    };
    let read = |text: &str| ip_address(&Typed { value: text.trim().to_owned(), ..typed.clone() });
    let private = read(private)?;
    if let Some(name) = host_name(public.trim()) {
        return Ok(Pair::Named(NamedExternal { name, private }));
    }
    let public = read(public)?;
    if public.is_ipv6() != private.is_ipv6() {
        return Err(typed.fault("one address is IPv4, the other IPv6").help(syntax));
    }
    Ok(Pair::Known(External { public, private }))
}

/// A name that has a dot in it and cannot be meant as an address.
fn host_name(text: &str) -> Option<Domain> {
    let (_, last) = text.trim_end_matches('.').rsplit_once('.')?;
    let may_be = last.contains(|c: char| c.is_ascii_alphabetic()) && !text.contains(['[', ':']);
    may_be.then(|| Domain::new(text).ok()).flatten()
}

pub(super) fn port_range(typed: &Typed<String>) -> Result<RangeInclusive<u16>, Fault> {
    let wrong = |why: &str| typed.fault(format!("`{}` {why}", typed.value)).help("write \"49152-65535\"");
    let (first, last) = typed.value.split_once('-').ok_or_else(|| wrong("is not a range of ports"))?;
    match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
        (Ok(0), _) => Err(wrong("begins with port 0")),
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        (Ok(_), Ok(_)) => Err(wrong("ends before it begins")),
        _ => Err(wrong("is not a range of ports")),
    }
}

pub(super) fn name_server(typed: &Typed<String>) -> Result<SocketAddr, Fault> {
    let text = typed.value.trim();
    let address = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    address.or_else(|_| text.parse()).map_err(|_| {
        let fault = typed.fault(format!("`{text}` is not the address of a name server"));
        fault.help("write \"192.0.2.53\" or \"192.0.2.53:5353\"")
    })
}

/// A range, or an address alone.
pub(super) fn network(typed: &Typed<String>) -> Result<Network, Fault> {
    let text = typed.value.trim();
    let wrong = || {
        let fault = typed.fault(format!("`{text}` is not a network"));
        fault.help("write \"192.0.2.0/24\", \"2001:db8::/32\" or one address")
    };
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let longest = if address.is_ipv6() { 128 } else { 32 };
    let prefix = prefix.map_or(Ok(longest), str::parse).map_err(|_| wrong())?;
    if prefix > longest {
        return Err(typed.fault(format!("a prefix of {prefix} bits is longer than the address")));
    }
    let network = Network { address, prefix }.masked();
    if network.address == address {
        return Ok(network);
    }
    Err(typed
        .fault(format!("`{text}` has bits behind its prefix"))
        .help(format!("did you mean \"{network}\"?")))
}
