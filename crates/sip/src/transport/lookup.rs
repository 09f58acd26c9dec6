//! From a domain to addresses: NAPTR, then SRV, then A and AAAA, one question at a time (RFC 3263 §4.1, §4.2). What an
//! answer means is worked out here; the answer itself comes from outside.

use super::{Hop, default_port, is_somebody};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use wire::Transport;
use wire::names::{self, Found, Naptr, Question, Srv};

/// The most records of one answer that are tried.
const MAX_RECORDS: usize = 8;

/// The transports that a domain without NAPTR records is asked for, in the order of RFC 3263 §4.1.
const PLAIN: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

impl Hop {
    /// What must be asked before this way can be taken.
    pub fn question(&self) -> Option<Question> {
        match self {
            Self::Flow(_) | Self::Address { .. } => None,
            Self::Domain { transport: None, name, .. } => Some(Question::Naptr(name.clone())),
            Self::Domain { transport: Some(transport), name, .. } => {
                Some(Question::Srv(service(*transport, name)))
            }
            Self::Service { owner, .. } => Some(Question::Srv(owner.clone())),
            Self::Name { host, .. } | Self::LastResort { host, .. } => {
                Some(Question::Addresses(host.clone()))
            }
        }
    }
}

/// Puts what was found in the place of the hop that asked, before the `others`. `random` decides among SRV records of
/// the same priority.
pub fn answered(hop: &Hop, found: &Found, random: u64, others: &mut VecDeque<Hop>) {
    let next = match (hop, found) {
        (Hop::Domain { transport: None, secure, name }, Found::Naptr(records)) => {
            services(name, *secure, records)
        }
        (Hop::Domain { transport: Some(transport), name, .. }, Found::Srv(records)) if records.is_empty() => {
            vec![last_resort(*transport, name)]
        }
        (
            Hop::Domain { transport: Some(transport), name, .. } | Hop::Service { transport, name, .. },
            Found::Srv(records),
        ) => {
            // Where there are SRV records the name's own addresses are not for SIP.
            if !records.is_empty() {
                others.retain(|hop| !matches!(hop, Hop::LastResort { .. }));
            }
            targets(*transport, name, records, random)
        }
        (
            Hop::Name { transport, name, port, .. } | Hop::LastResort { transport, name, port, .. },
            Found::Addresses(found),
        ) => addresses((*transport, *port), name, found),
        _ => Vec::new(),
    };
    next.into_iter().rev().for_each(|hop| others.push_front(hop));
}

fn service(transport: Transport, name: &str) -> Box<str> {
    let prefix = match transport {
        Transport::Tls => "_sips._tcp",
        Transport::Tcp => "_sip._tcp",
        _ => "_sip._udp",
    };
    format!("{prefix}.{name}").into()
}

fn last_resort(transport: Transport, name: &str) -> Hop {
    Hop::LastResort { transport, host: name.into(), name: name.into(), port: default_port(transport) }
}

/// Where the services are: as NAPTR records say, the lowest order that is understood alone; else wherever they usually
/// are, and the name itself where there are none at all.
fn services(name: &str, secure: bool, records: &[Naptr]) -> Vec<Hop> {
    let is_fit = |transport: Transport| !secure || transport.is_secure();
    let mut known: Vec<(u16, u16, Transport, &str)> = records
        .iter()
        .filter_map(|r| Some((r.order, r.preference, transport_of(&r.service)?, &*r.replacement)))
        .filter(|(_, _, transport, _)| is_fit(*transport))
        .collect();
    known.sort_by_key(|(order, preference, ..)| (*order, *preference));
    let first = known.first().map(|record| record.0);
    let chosen = known.iter().filter(|record| Some(record.0) == first).take(MAX_RECORDS);
    let chosen: Vec<Hop> = chosen
        .map(|(_, _, transport, owner)| Hop::Service {
            transport: *transport,
            owner: (*owner).into(),
            name: name.into(),
        })
        .collect();
    if !chosen.is_empty() {
        return chosen;
    }
    let usual = PLAIN.into_iter().filter(|transport| is_fit(*transport));
    let usual = usual.map(|t| Hop::Service { transport: t, owner: service(t, name), name: name.into() });
    let itself = if secure { Transport::Tls } else { Transport::Udp };
    usual.chain([last_resort(itself, name)]).collect()
}

fn transport_of(service: &str) -> Option<Transport> {
    [("SIP+D2U", Transport::Udp), ("SIP+D2T", Transport::Tcp), ("SIPS+D2T", Transport::Tls)]
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(service))
        .map(|(_, transport)| transport)
}

/// The servers in the order in which to try them. The name that a certificate has to prove stays the domain's (RFC 5922
/// §4): whoever answers for DNS does not choose it.
fn targets(transport: Transport, name: &str, records: &[Srv], random: u64) -> Vec<Hop> {
    let servers = names::in_order(records, random, MAX_RECORDS).into_iter();
    servers
        .map(|server| Hop::Name { transport, host: server.host(), name: name.into(), port: server.port })
        .collect()
}

fn addresses((transport, port): (Transport, u16), name: &str, found: &[IpAddr]) -> Vec<Hop> {
    let hop = |ip: &IpAddr| Hop::Address { transport, to: SocketAddr::new(*ip, port), name: name.into() };
    found.iter().filter(|ip| is_somebody(**ip)).take(MAX_RECORDS).map(hop).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(transport: Option<Transport>, secure: bool) -> Hop {
        Hop::Domain { transport, secure, name: "example.org".into() }
    }

    fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Naptr {
        Naptr { order, preference, service: service.into(), replacement: replacement.into() }
    }

    fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
        Srv { priority, weight, port, target: target.into() }
    }

    fn step(hop: &Hop, found: &Found, random: u64) -> VecDeque<Hop> {
        let mut hops = VecDeque::new();
        answered(hop, found, random, &mut hops);
        hops
    }

    fn questions(hops: &VecDeque<Hop>) -> Vec<Question> {
        hops.iter().filter_map(Hop::question).collect()
    }

    #[test]
    fn naptr_chooses_the_transport() {
        assert_eq!(domain(None, false).question(), Some(Question::Naptr("example.org".into())));
        let records = Found::Naptr(vec![
            naptr(90, 50, "SIP+D2T", "_sip._tcp.a"),
            naptr(50, 60, "sip+d2u", "_sip._udp.a"),
            naptr(50, 50, "SIPS+D2T", "_sips._tcp.a"),
            naptr(10, 10, "SIP+D2S", "_sip._sctp.a"),
        ]);
        let hops = step(&domain(None, false), &records, 0);
        let srv = |name: &str| Question::Srv(name.into());
        assert_eq!(questions(&hops), [srv("_sips._tcp.a"), srv("_sip._udp.a")]);
        assert_eq!(hops[0].transport(), Transport::Tls);
        let hops = step(&domain(None, true), &records, 0);
        assert_eq!(questions(&hops), [srv("_sips._tcp.a")]);
    }

    #[test]
    fn without_naptr_the_usual_services_and_then_the_name_itself() {
        let hops = step(&domain(None, false), &Found::Naptr(vec![]), 0);
        let srv = |name: &str| Question::Srv(name.into());
        let name = Question::Addresses("example.org".into());
        let usual = [
            srv("_sip._udp.example.org"),
            srv("_sip._tcp.example.org"),
            srv("_sips._tcp.example.org"),
            name.clone(),
        ];
        assert_eq!(questions(&hops), usual);
        let hops = step(&domain(None, true), &Found::Naptr(vec![]), 0);
        assert_eq!(questions(&hops), [srv("_sips._tcp.example.org"), name.clone()]);
        assert_eq!(hops[1].transport(), Transport::Tls);
        let tcp = domain(Some(Transport::Tcp), false);
        assert_eq!(tcp.question(), Some(srv("_sip._tcp.example.org")));
        let hops = step(&tcp, &Found::Srv(vec![]), 0);
        assert_eq!((questions(&hops), hops[0].transport()), (vec![name], Transport::Tcp));
    }

    #[test]
    fn srv_records_rule_the_name_itself_out() {
        let mut hops = step(&domain(None, false), &Found::Naptr(vec![]), 0);
        let udp = hops.pop_front().unwrap();
        answered(&udp, &Found::Srv(vec![srv(1, 0, 5070, "Host.Example.net.")]), 0, &mut hops);
        assert_eq!(questions(&hops).len(), 3);
        let Hop::Name { host, name, port, .. } = &hops[0] else { panic!("{hops:?}") };
        assert_eq!((&**host, &**name, *port), ("host.example.net", "example.org", 5070));
        let found = Found::Addresses(vec!["224.0.0.1".parse().unwrap(), "203.0.113.9".parse().unwrap()]);
        let addresses = step(&hops[0], &found, 0);
        let to = "203.0.113.9:5070".parse().unwrap();
        assert_eq!(addresses, [Hop::Address { transport: Transport::Udp, to, name: "example.org".into() }]);
        // A service that is decidedly not there.
        let none = step(&domain(Some(Transport::Udp), false), &Found::Srv(vec![srv(0, 0, 0, ".")]), 0);
        assert!(none.is_empty());
    }

    #[test]
    fn priorities_are_kept_and_weights_are_shares() {
        let records = Found::Srv(vec![srv(20, 9, 3, "c"), srv(10, 30, 1, "a"), srv(10, 10, 2, "b")]);
        let mut first = [0_u32; 4];
        for random in 0..4000 {
            let hops = step(&domain(Some(Transport::Udp), false), &records, random);
            let ports: Vec<u16> = hops
                .iter()
                .filter_map(|hop| if let Hop::Name { port, .. } = hop { Some(*port) } else { None })
                .collect();
            assert_eq!((ports.len(), ports[2]), (3, 3));
            first[usize::from(ports[0])] += 1;
        }
        assert!((2700..3300).contains(&first[1]), "three of four: {first:?}");
        let many = Found::Srv((0..100).map(|n| srv(1, 0, n + 1, "x")).collect());
        assert_eq!(step(&domain(Some(Transport::Udp), false), &many, 7).len(), MAX_RECORDS);
    }
}
