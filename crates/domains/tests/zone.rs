//! The zones of whole sites, judged by the checkers of BIND, NSD and Knot where the rules are not ours.

use domains::record::TTL;
use domains::{Authority, Host, Ports, Site, zones};
use testkit::zone::check;
use wire::Domain;

fn domain(name: &str) -> Domain {
    Domain::new(name).expect("valid")
}

fn host(name: &str, udp: &[u16], tcp: &[u16], tls: &[u16]) -> Host {
    let ports = Ports { udp: udp.into(), tcp: tcp.into(), tls: tls.into(), ..Ports::default() };
    Host {
        name: name.into(),
        addresses: vec![
            "198.51.100.19".parse().expect("valid"),
            "2001:db8:1000:2000::19".parse().expect("valid"),
        ],
        ports,
        ..Host::default()
    }
}

fn falcot() -> Site {
    let mut turn = host("turn.falcot.com", &[3478], &[3478], &[5349, 443]);
    turn.ports.dtls = vec![5349];
    let mut xmpp = host("xmpp.falcot.com", &[], &[5222], &[5223]);
    xmpp.ports.web = vec![5280];
    Site {
        name: domain("falcot.com"),
        aliases: vec![domain("sip.falcot.com"), domain("bücher.example")],
        components: vec![domain("conference.falcot.com"), domain("irc.example.net")],
        turn,
        sip: host("sip.falcot.com", &[5060], &[5060], &[]),
        xmpp,
        federation: Host { name: "xmpp.falcot.com".into(), ..Host::default() },
        issuers: vec![],
        ttl: TTL,
    }
}

/// Everything that there is, under names of every kind.
fn everything() -> Site {
    let mut site = falcot();
    site.sip = host("voice.example.com", &[5060], &[5060], &[5061, 443]);
    site.sip.ports.web = vec![443];
    site.federation = host("xmpp.falcot.com", &[], &[5269], &[5270]);
    site.turn.keys = vec![[7; 32]];
    site.sip.keys = vec![[7; 32]];
    site.xmpp.keys = vec![[7; 32], [8; 32]];
    site.federation.keys = vec![[7; 32]];
    site.issuers = vec!["ca.example; accounturi=https://ca.example/acct/1".into(), "other.example".into()];
    site
}

fn authority(servers: &[&str]) -> Authority {
    Authority { servers: servers.iter().map(|name| domain(name)).collect(), serial: 2_026_112_100 }
}

#[test]
fn bind_nsd_and_knot_take_every_zone_without_a_warning() {
    for site in [falcot(), everything()] {
        for zone in zones(&site) {
            check(zone.apex.as_str(), &zone.text(&site, &authority(&[])).unwrap());
        }
        let elsewhere = authority(&["ns1.example.net", "ns2.example.net"]);
        check("falcot.com", &zones(&site)[0].text(&site, &elsewhere).unwrap());
    }
}

/// The records of section 11.8.1 of the Debian Administrator's Handbook, with STUN's port as RFC 8489 has it.
#[test]
fn the_zone_of_the_debian_administrators_handbook() {
    let named = |host: Host, priority, weight| Host { priority, weight, ..host };
    let mut site = Site {
        aliases: vec![],
        components: vec![],
        turn: named(host("turn-server.falcot.com", &[3478], &[], &[]), 0, 1),
        sip: named(host("sip-proxy.falcot.com", &[], &[], &[5061]), 0, 1),
        xmpp: named(host("xmpp-gw.falcot.com", &[], &[5222], &[]), 5, 0),
        federation: named(host("xmpp-gw.falcot.com", &[], &[5269], &[]), 5, 0),
        ..falcot()
    };
    site.turn.addresses.retain(std::net::IpAddr::is_ipv4);
    let zone = &zones(&site)[0];
    check("falcot.com", &zone.text(&site, &authority(&[])).unwrap());
    let text = zone.fragment().unwrap();
    let offered: Vec<&str> = text.lines().filter(|line| !line.ends_with(" SRV 0 0 0 .")).collect();
    let expected = [
        "turn-server.falcot.com. 3600 IN A 198.51.100.19",
        "sip-proxy.falcot.com. 3600 IN A 198.51.100.19",
        "sip-proxy.falcot.com. 3600 IN AAAA 2001:db8:1000:2000::19",
        "xmpp-gw.falcot.com. 3600 IN A 198.51.100.19",
        "xmpp-gw.falcot.com. 3600 IN AAAA 2001:db8:1000:2000::19",
        "falcot.com. 3600 IN NAPTR 10 0 \"s\" \"SIPS+D2T\" \"\" _sips._tcp.falcot.com.",
        "falcot.com. 3600 IN NAPTR 10 0 \"s\" \"RELAY:turn.udp\" \"\" _turn._udp.falcot.com.",
        "_stun._udp.falcot.com. 3600 IN SRV 0 1 3478 turn-server.falcot.com.",
        "_turn._udp.falcot.com. 3600 IN SRV 0 1 3478 turn-server.falcot.com.",
        "_sips._tcp.falcot.com. 3600 IN SRV 0 1 5061 sip-proxy.falcot.com.",
        "_xmpp-client._tcp.falcot.com. 3600 IN SRV 5 0 5222 xmpp-gw.falcot.com.",
        "_xmpp-server._tcp.falcot.com. 3600 IN SRV 5 0 5269 xmpp-gw.falcot.com.",
    ];
    assert_eq!(offered, expected);
    assert_eq!(text.lines().count() - offered.len(), 10, "what is off is denied:\n{text}");
}

#[test]
fn names_outside_the_domain_have_zones_of_their_own() {
    let apexes: Vec<_> = zones(&falcot()).into_iter().map(|zone| zone.apex.to_string()).collect();
    assert_eq!(apexes, ["falcot.com", "xn--bcher-kva.example", "irc.example.net"]);
}

#[test]
fn components_are_found_by_other_servers_keys_and_authorities_are_named() {
    let site = everything();
    let zones = zones(&site);
    let text = zones[0].fragment().unwrap();
    let key = "07".repeat(32);
    for line in [
        "_xmpp-server._tcp.conference.falcot.com. 3600 IN SRV 0 0 5269 xmpp.falcot.com.",
        "_xmpps-server._tcp.conference.falcot.com. 3600 IN SRV 0 0 5270 xmpp.falcot.com.",
        "_5280._https.xmpp.falcot.com. 3600 IN HTTPS 1 xmpp.falcot.com.",
        &format!("_5269._tcp.xmpp.falcot.com. 3600 IN TLSA 3 1 1 {key}"),
        &format!("_5222._tcp.xmpp.falcot.com. 3600 IN TLSA 3 1 1 {key}"),
        &format!("_5222._tcp.xmpp.falcot.com. 3600 IN TLSA 3 1 1 {}", "08".repeat(32)),
        &format!("_5349._udp.turn.falcot.com. 3600 IN TLSA 3 1 1 {key}"),
        "falcot.com. 3600 IN CAA 0 issue \"ca.example; accounturi=https://ca.example/acct/1\"",
        "_sips._tcp.falcot.com. 3600 IN SRV 1 0 443 voice.example.com.",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    let foreign =
        |line: &&str| line.starts_with("voice.example.com.") || line.contains("_tcp.voice.example.com.");
    assert_eq!(text.lines().find(foreign), None, "that zone is somebody else's");
    assert!(!text.contains("_3478._tcp.turn"), "what speaks no TLS shows no key");
    let component = zones[2].fragment().unwrap();
    assert!(component.contains("_xmpp-server._tcp.irc.example.net. 3600 IN SRV 0 0 5269 xmpp.falcot.com."));
    assert!(component.contains("irc.example.net. 3600 IN CAA 0 issue \"other.example\""));
}

#[test]
fn what_is_on_is_pointed_at_and_what_is_off_is_denied() {
    let zones = zones(&falcot());
    let text = zones[0].fragment().unwrap();
    for line in [
        "turn.falcot.com. 3600 IN A 198.51.100.19",
        "turn.falcot.com. 3600 IN AAAA 2001:db8:1000:2000::19",
        "_stun._udp.falcot.com. 3600 IN SRV 0 0 3478 turn.falcot.com.",
        "_turns._tcp.falcot.com. 3600 IN SRV 0 0 5349 turn.falcot.com.",
        "_turns._tcp.falcot.com. 3600 IN SRV 1 0 443 turn.falcot.com.",
        "_turns._udp.falcot.com. 3600 IN SRV 0 0 5349 turn.falcot.com.",
        "_stuns._udp.falcot.com. 3600 IN SRV 0 0 5349 turn.falcot.com.",
        "falcot.com. 3600 IN NAPTR 10 10 \"s\" \"RELAY:turn.dtls\" \"\" _turns._udp.falcot.com.",
        "_sip._udp.falcot.com. 3600 IN SRV 0 0 5060 sip.falcot.com.",
        "_sips._tcp.falcot.com. 3600 IN SRV 0 0 0 .",
        "_xmpp-client._tcp.falcot.com. 3600 IN SRV 0 0 5222 xmpp.falcot.com.",
        "_xmpps-client._tcp.sip.falcot.com. 3600 IN SRV 0 0 5223 xmpp.falcot.com.",
        "_xmpp-server._tcp.falcot.com. 3600 IN SRV 0 0 0 .",
        "_xmpp-server._tcp.conference.falcot.com. 3600 IN SRV 0 0 0 .",
        "falcot.com. 3600 IN NAPTR 30 0 \"s\" \"SIP+D2U\" \"\" _sip._udp.falcot.com.",
        "falcot.com. 3600 IN NAPTR 10 0 \"s\" \"RELAY:turn.udp\" \"\" _turn._udp.falcot.com.",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("SIPS+D2T"), "{text}");
    let alias = zones[1].fragment().unwrap();
    assert!(
        alias.contains("_sip._udp.xn--bcher-kva.example. 3600 IN SRV 0 0 5060 sip.falcot.com."),
        "{alias}"
    );
}

#[test]
fn a_service_that_is_off_has_no_host() {
    let site = Site { turn: Host::default(), ..falcot() };
    let zone = &zones(&site)[0];
    assert!(!zone.fragment().unwrap().contains("\nturn.falcot.com."));
    assert!(zone.fragment().unwrap().contains("_turn._udp.falcot.com. 3600 IN SRV 0 0 0 ."));
    check("falcot.com", &zone.text(&site, &authority(&[])).unwrap());
}

#[test]
fn the_certificate_has_every_name_once() {
    let names = falcot().certificate_names();
    let expected = [
        "falcot.com",
        "sip.falcot.com",
        "xn--bcher-kva.example",
        "conference.falcot.com",
        "irc.example.net",
        "turn.falcot.com",
        "xmpp.falcot.com",
    ];
    assert_eq!(names, expected);
}
