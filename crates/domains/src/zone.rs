//! The records of a domain, gathered into the zones that they belong to.

use crate::record::{Data, NameTooLong, Record};
use crate::site::{Host, Ports, Site};
use std::fmt::Write;
use std::net::IpAddr;
use wire::Domain;

/// The records of one zone, its own first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The zone's name.
    pub apex: Domain,
    /// Its records; SOA and NS are not among them.
    pub records: Vec<Record>,
    /// How long others may remember them, in seconds.
    pub ttl: u32,
}

/// Who serves a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The name servers; empty = `ns.` in the zone, at the addresses of a service.
    pub servers: Vec<Domain>,
    /// The version of the zone.
    pub serial: u32,
}

/// The zones that a domain needs records in: its own, and one for each alias or component that does not lie below it.
pub fn zones(site: &Site) -> Vec<Zone> {
    let mut zones = vec![];
    for name in site.account_domains() {
        zone_of(site, &mut zones, name);
    }
    hosts(site, &mut zones);
    for name in site.account_domains() {
        zone_of(site, &mut zones, name).extend(services(site, name));
    }
    for name in &site.components {
        zone_of(site, &mut zones, name).extend(servers(site, name));
    }
    for zone in &mut zones {
        let issuers = site.issuers.iter().map(|issuer| Data::Caa(issuer.clone()));
        zone.records.extend(issuers.map(|data| Record { owner: zone.apex.to_string(), data }));
    }
    zones
}

/// Where the records of `name` go.
fn zone_of<'a>(site: &Site, zones: &'a mut Vec<Zone>, name: &Domain) -> &'a mut Vec<Record> {
    let place = zones.iter().position(|zone| lies_in(name.as_str(), &zone.apex)).unwrap_or_else(|| {
        zones.push(Zone { apex: name.clone(), records: vec![], ttl: site.ttl });
        zones.len() - 1
    });
    &mut zones[place].records
}

/// Whether a name is `apex`, or lies below it.
pub fn lies_in(name: &str, apex: &Domain) -> bool {
    let before = name.strip_suffix(apex.as_str());
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Addresses of the host names, the web servers there and the keys that they show; of those names alone that lie in
/// the domain. Others are somebody else's business, or another domain's.
fn hosts(site: &Site, zones: &mut [Zone]) {
    let mut done: Vec<&str> = vec![];
    for (service, host) in site.hosts().into_iter().filter(|(_, host)| host.is_on()) {
        let Some(zone) = zones.iter_mut().find(|zone| lies_in(&host.name, &zone.apex)) else { continue };
        let own = |data| Record { owner: host.name.clone(), data };
        if !done.contains(&host.name.as_str()) {
            done.push(&host.name);
            zone.records.extend(addresses_of(site, &host.name).into_iter().map(|a| own(Data::Address(a))));
        }
        for record in web(host).into_iter().chain(keys(service, host)) {
            if !zone.records.contains(&record) {
                zone.records.push(record);
            }
        }
    }
}

/// The addresses of host names that lie outside of the domain: in a zone that is somebody else's, or another domain's.
pub fn elsewhere(site: &Site) -> Vec<Record> {
    let own: Vec<&Domain> = site.account_domains().chain(&site.components).collect();
    let mut all: Vec<Record> = vec![];
    for (_, host) in site.hosts().into_iter().filter(|(_, host)| host.is_on()) {
        if own.iter().any(|apex| lies_in(&host.name, apex))
            || all.iter().any(|record| record.owner == host.name)
        {
            continue;
        }
        let record = |address| Record { owner: host.name.clone(), data: Data::Address(address) };
        all.extend(addresses_of(site, &host.name).into_iter().map(record));
    }
    all
}

/// Those of all services under this name.
fn addresses_of(site: &Site, name: &str) -> Vec<IpAddr> {
    let mut all = vec![];
    for (_, host) in site.hosts().into_iter().filter(|(_, host)| host.is_on() && host.name == name) {
        for address in &host.addresses {
            if !all.contains(address) {
                all.push(*address);
            }
        }
    }
    all.sort_by_key(IpAddr::is_ipv6);
    all
}

/// What tells browsers that there is nothing but TLS at a port (RFC 9460 §2.3, §9).
fn web(host: &Host) -> Vec<Record> {
    let record = |port: &u16| {
        let owner = if *port == 443 { host.name.clone() } else { format!("_{port}._https.{}", host.name) };
        let h2 = host.ports.h2.contains(port);
        Record { owner, data: Data::Https { host: host.name.clone(), h2 } }
    };
    if host.addresses.is_empty() { vec![] } else { host.ports.web.iter().map(record).collect() }
}

/// The keys that each port shows, to one client or another (RFC 7671, RFC 7673 §3).
fn keys(service: &str, host: &Host) -> Vec<Record> {
    if host.addresses.is_empty() {
        return vec![];
    }
    let ports = &host.ports;
    // XMPP's plain ports speak TLS after STARTTLS.
    let plain = if matches!(service, "xmpp" | "federation") { &ports.tcp[..] } else { &[] };
    let streams = plain.iter().chain(&ports.tls).chain(&ports.web).map(|port| ("tcp", port));
    let all = streams.chain(ports.dtls.iter().map(|port| ("udp", port)));
    let owners = all.map(|(protocol, port)| format!("_{port}._{protocol}.{}", host.name));
    let of = |owner: String| {
        host.keys.iter().map(move |key| Record { owner: owner.clone(), data: Data::Tlsa(*key) })
    };
    owners.flat_map(of).collect()
}

/// The pointers of one name behind the `@`.
fn services(site: &Site, name: &Domain) -> Vec<Record> {
    let Site { turn, sip, xmpp, .. } = site;
    let rows: [(&str, &str, &Host, Of); 13] = [
        // RFC 8489 §8, RFC 8656 §4; over DTLS RFC 7350 §3 …
        ("stun", "udp", turn, |ports| &ports.udp),
        ("stun", "tcp", turn, |ports| &ports.tcp),
        ("stuns", "tcp", turn, |ports| &ports.tls),
        ("stuns", "udp", turn, |ports| &ports.dtls),
        ("turn", "udp", turn, |ports| &ports.udp),
        ("turn", "tcp", turn, |ports| &ports.tcp),
        ("turns", "tcp", turn, |ports| &ports.tls),
        ("turns", "udp", turn, |ports| &ports.dtls),
        // RFC 3263 §4 …
        ("sip", "udp", sip, |ports| &ports.udp),
        ("sip", "tcp", sip, |ports| &ports.tcp),
        ("sips", "tcp", sip, |ports| &ports.tls),
        // RFC 6120 §3.2.1, XEP-0368.
        ("xmpp-client", "tcp", xmpp, |ports| &ports.tcp),
        ("xmpps-client", "tcp", xmpp, |ports| &ports.tls),
    ];
    let mut records = pointers(site, name);
    for (service, protocol, host, of) in rows {
        records.extend(srv(&format!("_{service}._{protocol}.{name}"), host, of));
    }
    records.extend(servers(site, name));
    records
}

/// Which of a host's ports.
type Of = fn(&Ports) -> &Vec<u16>;

/// Where other servers find XMPP (RFC 6120 §3.2.1, XEP-0368).
fn servers(site: &Site, name: &Domain) -> Vec<Record> {
    let host = &site.federation;
    let mut records = srv(&format!("_xmpp-server._tcp.{name}"), host, |ports| &ports.tcp);
    records.extend(srv(&format!("_xmpps-server._tcp.{name}"), host, |ports| &ports.tls));
    records
}

/// Whether a service is reached somewhere at ports of a kind.
fn is_offered(host: &Host, of: Of) -> bool {
    host.all().any(|host| !host.addresses.is_empty() && !of(&host.ports).is_empty())
}

/// One record for each port, or the one that says "not offered" (RFC 2782).
fn srv(owner: &str, host: &Host, of: Of) -> Vec<Record> {
    let record = |data| Record { owner: owner.into(), data };
    if !is_offered(host, of) {
        return vec![record(Data::Srv { priority: 0, weight: 0, port: 0, target: None })];
    }
    let reached = host.all().filter(|host| !host.addresses.is_empty());
    let ports = reached.flat_map(|host| of(&host.ports).iter().map(move |port| (host, *port)));
    let one = |(n, (at, port)): (u16, (&Host, u16))| Data::Srv {
        priority: host.priority.saturating_add(n),
        weight: host.weight,
        port,
        target: Some(at.name.clone()),
    };
    (0..).zip(ports).map(one).map(record).collect()
}

/// NAPTR for what is offered: SIP, where a lower order rules out a higher one, TLS first (RFC 3263 §4.1); TURN, where
/// all of one order are tried by preference (RFC 5928 §3, RFC 7350).
fn pointers(site: &Site, name: &Domain) -> Vec<Record> {
    let (turn, sip) = (&site.turn, &site.sip);
    let rows: [(u16, u16, &str, &str, &Host, Of); 7] = [
        (10, 0, "SIPS+D2T", "_sips._tcp", sip, |ports| &ports.tls),
        (20, 0, "SIP+D2T", "_sip._tcp", sip, |ports| &ports.tcp),
        (30, 0, "SIP+D2U", "_sip._udp", sip, |ports| &ports.udp),
        (10, 0, "RELAY:turn.udp", "_turn._udp", turn, |ports| &ports.udp),
        (10, 10, "RELAY:turn.dtls", "_turns._udp", turn, |ports| &ports.dtls),
        (10, 20, "RELAY:turn.tls", "_turns._tcp", turn, |ports| &ports.tls),
        (10, 30, "RELAY:turn.tcp", "_turn._tcp", turn, |ports| &ports.tcp),
    ];
    let on = rows.into_iter().filter(|(.., host, of)| is_offered(host, *of));
    on.map(|(order, preference, service, label, ..)| Record {
        owner: name.to_string(),
        data: Data::Naptr {
            order,
            preference,
            service: service.into(),
            replacement: format!("{label}.{name}"),
        },
    })
    .collect()
}

impl Zone {
    /// The lines alone, to be pasted into a zone that somebody keeps already.
    pub fn fragment(&self) -> Result<String, NameTooLong> {
        lines(&self.records, self.ttl)
    }

    /// A whole zone file, with SOA and NS.
    pub fn text(&self, site: &Site, authority: &Authority) -> Result<String, NameTooLong> {
        let mut records = self.authority(site, authority);
        records.extend(self.records.iter().cloned());
        lines(&records, self.ttl)
    }

    fn authority(&self, site: &Site, authority: &Authority) -> Vec<Record> {
        let apex = self.apex.to_string();
        let own = format!("ns.{apex}");
        let servers: Vec<String> = match &authority.servers[..] {
            [] => vec![own.clone()],
            servers => servers.iter().map(Domain::to_string).collect(),
        };
        let soa = Data::Soa {
            server: servers[0].clone(),
            contact: format!("hostmaster.{apex}"),
            serial: authority.serial,
        };
        let mut data = vec![soa];
        data.extend(servers.into_iter().map(Data::Ns));
        let mut records: Vec<_> = data.into_iter().map(|data| Record { owner: apex.clone(), data }).collect();
        if authority.servers.is_empty() {
            let somewhere = site.hosts().into_iter().find(|(_, host)| !host.addresses.is_empty());
            let addresses = somewhere.map_or(&[][..], |(_, host)| &host.addresses);
            records.extend(addresses.iter().map(|a| Record { owner: own.clone(), data: Data::Address(*a) }));
        }
        records
    }
}

fn lines(records: &[Record], ttl: u32) -> Result<String, NameTooLong> {
    let mut text = String::new();
    for record in records {
        writeln!(text, "{}", record.to_line(ttl)?).expect("writing to a String does not fail");
    }
    Ok(text)
}
