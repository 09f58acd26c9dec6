//! Two houses in networks of their own, each with its own BIND, which has the zone that `parlour dns zone` prints: telephones of
//! one call those of the other, by names, TLS and certificates alone.

use crate::PASSWORD;
use crate::phones::{Phone, Place};
use std::time::Duration;
use testkit::House;
use testkit::nameserver::NameServer;
use testkit::spaces::Spaces;

const LINES: &str = "
    -n @a link add e type veth peer name e netns @b
    -n @a addr add 203.0.113.1/24 dev e
    -n @b addr add 203.0.113.2/24 dev e
    -n @a link set e up
    -n @b link set e up
";

/// Where a house is: its domain, its namespace, its address.
type At = (&'static str, &'static str, &'static str);

const ALPHA: At = ("falcot.com", "a", "203.0.113.1");
const BETA: At = ("beta.test", "b", "203.0.113.2");

fn prepared((domain, word, address): At, spaces: &Spaces, user: &str) -> House {
    House::of(env!("CARGO_BIN_EXE_parlour"))
        .domain(domain)
        .set("network", "addresses", &format!("[\"{address}\"]"))
        .set("network", "resolver", "[\"127.0.0.1\"]")
        .set("sip", "udp", "[]")
        .set("sip", "tcp", "[]")
        .set("sip", "tls", &format!("[\"{address}:5061\"]"))
        .account(&format!("{user}@{domain}"), PASSWORD)
        .within(&spaces.name(word))
        .prepare()
}

/// Its zone, as an administrator has it printed.
fn zone(house: &House) -> String {
    let printed = house.cli(&["dns", "zone"], "");
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    String::from_utf8(printed.stdout).unwrap()
}

/// The authority of a house is trusted for its domain, and for nobody else.
fn trust(house: &House, (domain, ..): At, other: &House) {
    let authority = other.dir().join("data/certs/authority.pem");
    house.set("tls", "domain-roots", &format!("[\"{domain}={}\"]", authority.display()));
}

fn place((domain, word, address): At, spaces: &Spaces, port: u16) -> Place {
    let server = format!("sip:{address}:5061;transport=tls");
    Place { domain, netns: Some(spaces.name(word)), host: address, port, server }
}

#[test]
fn telephones_of_two_houses_call_one_another_in_both_directions() {
    let Some(spaces) = Spaces::make(&["a", "b"], LINES) else { return };
    let mut alpha = prepared(ALPHA, &spaces, "roland");
    let mut beta = prepared(BETA, &spaces, "joe");
    trust(&alpha, BETA, &beta);
    trust(&beta, ALPHA, &alpha);
    let zones = [zone(&alpha), zone(&beta)];
    let named = |(domain, word, _): At, zone: &str, (other, _, address): At| {
        NameServer::bind_among(&spaces, word, &[(domain, zone)], &[(other, address)])
    };
    let _servers = (named(ALPHA, &zones[0], BETA), named(BETA, &zones[1], ALPHA));
    alpha.start();
    beta.start();
    for (here, caller, there, called) in [(ALPHA, "roland", BETA, "joe"), (BETA, "joe", ALPHA, "roland")] {
        let phone = Phone::start_at(&place(there, &spaces, 5070), called, "", 1000.0, None).registered();
        let uri = format!("sip:{called}@{}", there.0);
        let dialling = Phone::start_at(&place(here, &spaces, 5080), caller, "", 440.0, Some(&uri));
        let (at_called, at_caller) = (phone.hears(440.0), dialling.hears(1000.0));
        assert!(at_called > 8000.0 && at_caller > 8000.0, "{called} hears {at_called}, {caller} {at_caller}");
        dialling.program.terminate();
        phone.program.expect("terminated", Duration::from_secs(20));
    }
}
