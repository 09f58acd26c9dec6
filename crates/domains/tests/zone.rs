//! The zones of whole sites, judged by BIND's own checker where the rules are not ours.

use domains::{Authority, Host, Ports, Site, zones};
use std::io::Write;
use std::process::{Command, Stdio};
use wire::Domain;

fn domain(name: &str) -> Domain {
    Domain::new(name).expect("valid")
}

fn host(udp: &[u16], tcp: &[u16], tls: &[u16]) -> Host {
    let ports = Ports { udp: udp.into(), tcp: tcp.into(), tls: tls.into(), dtls: vec![] };
    Host {
        addresses: vec!["198.51.100.19".parse().expect("valid"), "2001:db8::19".parse().expect("valid")],
        ports,
    }
}

fn secure_datagrams(mut host: Host) -> Host {
    host.ports.dtls = vec![5349];
    host
}

fn falcot() -> Site {
    Site {
        name: domain("falcot.com"),
        aliases: vec![domain("sip.falcot.com"), domain("bücher.example")],
        rooms: Some(domain("conference.falcot.com")),
        turn: secure_datagrams(host(&[3478], &[3478], &[5349, 443])),
        sip: host(&[5060], &[5060], &[]),
        xmpp: host(&[], &[5222], &[5223]),
    }
}

fn authority(servers: &[&str]) -> Authority {
    Authority { servers: servers.iter().map(|name| domain(name)).collect(), serial: 2_026_112_100 }
}

/// `named-checkzone -S fail`: also refuses SRV records that point at an alias or at nothing.
fn check_with_bind(apex: &str, text: &str) {
    let mut command = Command::new("named-checkzone");
    command.args([
        "-S",
        "fail",
        "-M",
        "fail",
        "-n",
        "fail",
        "-k",
        "ignore",
        "-i",
        "local",
        apex,
        "/dev/stdin",
    ]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("named-checkzone is installed (cargo xtask test does; Debian: bind9-utils)");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{text}");
    assert!(!said.contains("has no"), "{said}");
}

#[test]
fn bind_takes_every_zone() {
    let site = falcot();
    for zone in zones(&site) {
        check_with_bind(zone.apex.as_str(), &zone.text(&site, &authority(&[])).unwrap());
    }
    let zone = &zones(&site)[0];
    check_with_bind(
        "falcot.com",
        &zone.text(&site, &authority(&["ns1.example.net", "ns2.example.net"])).unwrap(),
    );
}

#[test]
fn names_outside_the_domain_have_zones_of_their_own() {
    let apexes: Vec<_> = zones(&falcot()).into_iter().map(|zone| zone.apex.to_string()).collect();
    assert_eq!(apexes, ["falcot.com", "xn--bcher-kva.example"]);
}

#[test]
fn what_is_on_is_pointed_at_and_what_is_off_is_denied() {
    let zones = zones(&falcot());
    let text = zones[0].fragment().unwrap();
    for line in [
        "turn.falcot.com. 3600 IN A 198.51.100.19",
        "turn.falcot.com. 3600 IN AAAA 2001:db8::19",
        "_stun._udp.falcot.com. 3600 IN SRV 0 0 3478 turn.falcot.com.",
        "_turns._tcp.falcot.com. 3600 IN SRV 0 0 5349 turn.falcot.com.",
        "_turns._tcp.falcot.com. 3600 IN SRV 1 0 443 turn.falcot.com.",
        "_turns._udp.falcot.com. 3600 IN SRV 0 0 5349 turn.falcot.com.",
        "_stuns._udp.falcot.com. 3600 IN SRV 0 0 5349 turn.falcot.com.",
        "falcot.com. 3600 IN NAPTR 115 10 \"s\" \"RELAY:turn.dtls\" \"\" _turns._udp.falcot.com.",
        "_sip._udp.falcot.com. 3600 IN SRV 0 0 5060 sip.falcot.com.",
        "_sips._tcp.falcot.com. 3600 IN SRV 0 0 0 .",
        "_xmpp-client._tcp.falcot.com. 3600 IN SRV 0 0 5222 xmpp.falcot.com.",
        "_xmpps-client._tcp.sip.falcot.com. 3600 IN SRV 0 0 5223 xmpp.falcot.com.",
        "_xmpp-server._tcp.falcot.com. 3600 IN SRV 0 0 0 .",
        "_xmpp-server._tcp.conference.falcot.com. 3600 IN SRV 0 0 0 .",
        "falcot.com. 3600 IN NAPTR 30 10 \"s\" \"SIP+D2U\" \"\" _sip._udp.falcot.com.",
        "falcot.com. 3600 IN NAPTR 100 10 \"s\" \"RELAY:turn.udp\" \"\" _turn._udp.falcot.com.",
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
    check_with_bind("falcot.com", &zone.text(&site, &authority(&[])).unwrap());
}

#[test]
fn the_certificate_has_every_name_once() {
    let names = falcot().certificate_names();
    let expected = [
        "falcot.com",
        "sip.falcot.com",
        "xn--bcher-kva.example",
        "conference.falcot.com",
        "turn.falcot.com",
        "xmpp.falcot.com",
    ];
    assert_eq!(names, expected);
}
