//! Certificates by ACME from Pebble, which is strict, and asks BIND for names.

mod faults;
mod front;
mod load;

use std::net::UdpSocket;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use testkit::House;
use testkit::house::free_port;
use testkit::nameserver::{Changed, KEY, NameServer, SECRET, zone};
use testkit::pebble::{Pebble, Settings};

/// How long a slow machine may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Every name of the domain is this host, but for what these lines say.
fn dns(lines: &str) -> NameServer {
    let lines = format!("falcot.com. IN A 127.0.0.1\n*.falcot.com. IN A 127.0.0.1\n{lines}");
    NameServer::bind(&[("falcot.com", &zone("falcot.com", 1, &lines))], Changed::ByKey)
}

/// A house that has its certificates from nobody yet, and what an authority has to know of it.
fn house(dns: &NameServer) -> (House, Settings) {
    let push = format!(
        "{{ server = \"{}\", key = \"{KEY}\", secret = {{ file = \"data/dns.secret\" }} }}",
        dns.address
    );
    let house = House::of(env!("CARGO_BIN_EXE_parlour")).set("dns", "push", &push).prepare();
    let file = house.dir().join("data/dns.secret");
    std::fs::write(&file, SECRET).expect("ours");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).expect("ours");
    let settings = Settings::new(dns.address, house.port("sip.tls"), house.port("web.http"));
    (house, settings)
}

/// The house is to have its certificates from there.
fn follow(house: &House, pebble: &Pebble) {
    house.set("tls", "source", "\"acme\"");
    house.set("acme", "directory", &format!("\"{}\"", pebble.directory()));
    house.set("acme", "roots", &format!("[\"{}\"]", pebble.root().display()));
    house.set("acme", "terms-accepted", "true");
    house.set("acme", "contact", "[\"joe@falcot.com\"]");
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {}", text(output)))
}

/// What a client is shown that asks for a name: issuer, serial number, names.
fn shown(house: &House, name: &str) -> String {
    let port = house.port("sip.tls");
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} -servername {name} </dev/null 2>/dev/null | \
         openssl x509 -noout -issuer -serial -ext subjectAltName"
    );
    let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn wait_for(house: &mut House, pebble: &Pebble, done: impl Fn(&House) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done(house) {
        assert!(Instant::now() < end, "{}\n{}", house.server().output(), pebble.output());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn is_pebbles(house: &House) -> bool {
    shown(house, "falcot.com").contains("Pebble")
}

/// Whoever has looked for the key goes on to connect: after the first certificate from an authority, and after each further one.
#[test]
fn what_is_published_of_the_key_stays_true() {
    let dns = dns("");
    let (mut house, settings) = house(&dns);
    house.set("dns", "tlsa", "true");
    let published = |house: &House| {
        let zone = text(&house.cli(&["dns", "zone", "--records"], ""));
        let lines = zone.lines().filter(|line| line.contains(" TLSA ")).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    house.start();
    let before = published(&house);
    assert!(!before.is_empty());
    let pebble = Pebble::start(&settings);
    follow(&house, &pebble);
    house.set("acme", "challenge", "\"tls-alpn-01\"");
    assert!(house.cli(&["reload"], "").status.success());
    wait_for(&mut house, &pebble, is_pebbles);
    assert_eq!(published(&house), before, "in the place of our own authority's");
    let first = shown(&house, "falcot.com");
    let renewed = house.cli(&["cert", "renew", "falcot.com"], "");
    assert!(renewed.status.success(), "{}\n{}", text(&renewed), pebble.output());
    assert_ne!(shown(&house, "falcot.com"), first);
    assert_eq!(published(&house), before, "in the place of its own");
}

/// Each challenge from an authority of its own, which finds nothing where the others would be.
#[test]
fn all_three_challenges_while_nonces_are_rejected() {
    // One name's record has to be put elsewhere.
    let dns =
        dns("sip.falcot.com. IN A 127.0.0.1\n_acme-challenge.sip.falcot.com. IN CNAME proofs.falcot.com.");
    let (mut house, settings) = house(&dns);
    let (mut seen, mut pebbles): (Vec<String>, _) = (vec![], vec![]);
    for challenge in ["tls-alpn-01", "http-01", "dns-01"] {
        let mut only = Settings { rejects: 30, ..settings.clone() };
        for (name, port) in [("tls-alpn-01", &mut only.tls_port), ("http-01", &mut only.http_port)] {
            *port = if name == challenge { *port } else { free_port() };
        }
        let pebble = Pebble::start(&only);
        follow(&house, &pebble);
        house.set("acme", "challenge", &format!("\"{challenge}\""));
        if seen.is_empty() {
            house.start();
        } else {
            assert!(house.cli(&["reload"], "").status.success());
        }
        wait_for(&mut house, &pebble, |house| {
            is_pebbles(house) && !seen.contains(&shown(house, "falcot.com"))
        });
        seen.push(shown(&house, "falcot.com"));
        let renewed = house.cli(&["cert", "renew", "falcot.com"], "");
        assert!(renewed.status.success(), "{challenge}: {}\n{}", text(&renewed), pebble.output());
        let now = shown(&house, "turn.falcot.com");
        assert!(is_pebbles(&house) && !seen.contains(&now), "{challenge}: {now} again");
        for name in ["falcot.com", "sip.falcot.com", "xmpp.falcot.com", "rooms.falcot.com", "turn.falcot.com"]
        {
            assert!(now.contains(&format!("DNS:{name}")), "{now}");
        }
        seen.push(now);
        // Its files are needed for as long as the configuration names them.
        pebbles.push(pebble);
    }
    let listed = json(&house.cli(&["cert", "list", "--json"], ""));
    assert_eq!(listed["house"][0]["late"], false, "{listed}");
    assert!(listed["house"][0]["issuer"].as_str().is_some_and(|name| name.contains("Pebble")), "{listed}");
    assert_eq!(
        (&listed["orders"][0]["fault"], &listed["orders"][0]["missing"]),
        (&"".into(), &serde_json::json!([]))
    );
    assert!(!is_in_dns(&dns), "what was put into the DNS is gone again");
    files_are_closed(&house);
}

/// Whether something is left of dns-01.
fn is_in_dns(dns: &NameServer) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    let name = b"\x0f_acme-challenge\x06falcot\x03com\0";
    let question = [&[1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], name, &[0, 16, 0, 1]].concat();
    socket.send_to(&question, dns.address).expect("sent");
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).expect("an answer");
    length > 8 && answer[6..8] != [0, 0]
}

/// Keys and accounts are their owner's alone.
fn files_are_closed(house: &House) {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let folder = house.dir().join("data/acme");
    assert_eq!(mode(&folder), 0o700);
    for file in std::fs::read_dir(&folder).expect("there") {
        let file = file.expect("there").path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        assert!(file.extension().is_some_and(|kind| kind == "json"), "{} is left behind", file.display());
    }
    assert_eq!(mode(&house.dir().join("data/certs/falcot.com.acme.pem")), 0o600);
}
