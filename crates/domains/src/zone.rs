//! The records of a domain, gathered into the zones that they belong to.

use crate::record::{Data, NameTooLong, Record};
use crate::site::{Host, Site};
use std::fmt::Write;
use wire::Domain;

/// The records of one zone, its own first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The zone's name.
    pub apex: Domain,
    /// Its records; SOA and NS are not among them.
    pub records: Vec<Record>,
}

/// Who serves a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The name servers; empty = `ns.` in the zone, at the addresses of the SIP host.
    pub servers: Vec<Domain>,
    /// The version of the zone.
    pub serial: u32,
}

/// The zones that a domain needs records in: its own, and one for each alias or rooms name that does not lie below it.
pub fn zones(site: &Site) -> Vec<Zone> {
    let mut zones = vec![Zone { apex: site.name.clone(), records: hosts(site) }];
    for name in site.account_domains() {
        zone_of(&mut zones, name).extend(services(site, name));
    }
    if let Some(rooms) = &site.rooms {
        zone_of(&mut zones, rooms).extend(servers_off(rooms));
    }
    zones
}

/// Where the records of `name` go.
fn zone_of<'a>(zones: &'a mut Vec<Zone>, name: &Domain) -> &'a mut Vec<Record> {
    let lies_in = |apex: &Domain| {
        let before = name.as_str().strip_suffix(apex.as_str());
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    let place = zones.iter().position(|zone| lies_in(&zone.apex)).unwrap_or_else(|| {
        zones.push(Zone { apex: name.clone(), records: vec![] });
        zones.len() - 1
    });
    &mut zones[place].records
}

/// The addresses of the host names.
fn hosts(site: &Site) -> Vec<Record> {
    let on = site.hosts().into_iter().filter(|(_, host)| host.is_on());
    let addresses = on.flat_map(|(label, host)| {
        let owner = site.host_name(label);
        host.addresses.iter().map(move |a| Record { owner: owner.clone(), data: Data::Address(*a) })
    });
    addresses.collect()
}

/// The pointers of one name behind the `@`.
fn services(site: &Site, name: &Domain) -> Vec<Record> {
    let Site { turn, sip, xmpp, .. } = site;
    let mut records = pointers(site, name);
    let mut add = |service: &str, protocol: &str, label: &str, host: &Host, ports: &[u16]| {
        let owner = format!("_{service}._{protocol}.{name}");
        records.extend(srv(&owner, &site.host_name(label), host, ports));
    };
    // RFC 8489 §8, RFC 8656 §4; over DTLS RFC 7350 §3 …
    add("stun", "udp", "turn", turn, &turn.ports.udp);
    add("stun", "tcp", "turn", turn, &turn.ports.tcp);
    add("stuns", "tcp", "turn", turn, &turn.ports.tls);
    add("stuns", "udp", "turn", turn, &turn.ports.dtls);
    add("turn", "udp", "turn", turn, &turn.ports.udp);
    add("turn", "tcp", "turn", turn, &turn.ports.tcp);
    add("turns", "tcp", "turn", turn, &turn.ports.tls);
    add("turns", "udp", "turn", turn, &turn.ports.dtls);
    // RFC 3263 §4 …
    add("sip", "udp", "sip", sip, &sip.ports.udp);
    add("sip", "tcp", "sip", sip, &sip.ports.tcp);
    add("sips", "tcp", "sip", sip, &sip.ports.tls);
    // RFC 6120 §3.2.1, XEP-0368.
    add("xmpp-client", "tcp", "xmpp", xmpp, &xmpp.ports.tcp);
    add("xmpps-client", "tcp", "xmpp", xmpp, &xmpp.ports.tls);
    records.extend(servers_off(name));
    records
}

/// One record for each port, or the one that says "not offered" (RFC 2782).
fn srv(owner: &str, target: &str, host: &Host, ports: &[u16]) -> Vec<Record> {
    let record =
        |priority, port, target| Record { owner: owner.into(), data: Data::Srv { priority, port, target } };
    if ports.is_empty() || host.addresses.is_empty() {
        return vec![record(0, 0, None)];
    }
    (0..).zip(ports).map(|(priority, port)| record(priority, *port, Some(target.to_owned()))).collect()
}

/// XMPP between servers is not offered yet.
fn servers_off(name: &Domain) -> Vec<Record> {
    let off = |service: &str| Record {
        owner: format!("_{service}._tcp.{name}"),
        data: Data::Srv { priority: 0, port: 0, target: None },
    };
    vec![off("xmpp-server"), off("xmpps-server")]
}

/// NAPTR for what is offered, TLS first: SIP (RFC 3263 §4.1), TURN (RFC 5928 §3, RFC 7350).
fn pointers(site: &Site, name: &Domain) -> Vec<Record> {
    let (turn, sip) = (&site.turn.ports, &site.sip.ports);
    let rows = [
        (10, "SIPS+D2T", "_sips._tcp", &sip.tls),
        (20, "SIP+D2T", "_sip._tcp", &sip.tcp),
        (30, "SIP+D2U", "_sip._udp", &sip.udp),
        (100, "RELAY:turn.udp", "_turn._udp", &turn.udp),
        (110, "RELAY:turn.tls", "_turns._tcp", &turn.tls),
        (115, "RELAY:turn.dtls", "_turns._udp", &turn.dtls),
        (120, "RELAY:turn.tcp", "_turn._tcp", &turn.tcp),
    ];
    let on = rows.into_iter().filter(|(.., ports)| !ports.is_empty());
    on.map(|(order, service, label, _)| Record {
        owner: name.to_string(),
        data: Data::Naptr { order, service, replacement: format!("{label}.{name}") },
    })
    .collect()
}

impl Zone {
    /// The lines alone, to be pasted into a zone that somebody keeps already.
    pub fn fragment(&self) -> Result<String, NameTooLong> {
        lines(&self.records)
    }

    /// A whole zone file, with SOA and NS.
    pub fn text(&self, site: &Site, authority: &Authority) -> Result<String, NameTooLong> {
        let mut records = self.authority(site, authority);
        records.extend(self.records.iter().cloned());
        lines(&records)
    }

    fn authority(&self, site: &Site, authority: &Authority) -> Vec<Record> {
        let apex = self.apex.to_string();
        let own = format!("ns.{apex}");
        let servers: Vec<String> = match &authority.servers[..] {
            [] => vec![own.clone()],
            servers => servers.iter().map(Domain::to_string).collect(),
        };
        let mut data = vec![Data::Soa { server: servers[0].clone(), serial: authority.serial }];
        data.extend(servers.into_iter().map(Data::Ns));
        let mut records: Vec<_> = data.into_iter().map(|data| Record { owner: apex.clone(), data }).collect();
        if authority.servers.is_empty() {
            let addresses = site.sip.addresses.iter();
            records.extend(addresses.map(|a| Record { owner: own.clone(), data: Data::Address(*a) }));
        }
        records
    }
}

fn lines(records: &[Record]) -> Result<String, NameTooLong> {
    let mut text = String::new();
    for record in records {
        writeln!(text, "{}", record.to_line()?).expect("writing to a String does not fail");
    }
    Ok(text)
}
