//! `parlour dns push` and dns-01 through the interfaces of providers.

mod standin;

use crate::command::{House, Said};
use domains::record::Data;
use standin::{StandIn, TOKEN, ZONE};
use std::time::{Duration, Instant};
use testkit::house::free_port;
use testkit::nameserver::{Changed, NameServer, zone};
use testkit::pebble::{Pebble, Settings};

/// The providers that have a stand-in.
const PROVIDERS: [&str; 2] = ["desec", "cloudflare"];

/// BIND, the provider that writes into it, and a house of its customer.
fn scene(provider: &str) -> (NameServer, StandIn, House) {
    let dns = NameServer::bind(&[(ZONE, &zone(ZONE, 1, ""))], Changed::ByKey);
    let (standin, house) = (StandIn::new(&dns), House::new(""));
    write_token(house.path(), TOKEN);
    configure(&house, &dns, provider, "udp = [\":5060\"]", "");
    (dns, standin, house)
}

fn write_token(folder: &std::path::Path, token: &str) {
    let file = folder.join("token");
    std::fs::write(&file, format!("{token}\n")).expect("ours");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, mode).expect("ours");
}

fn configure(house: &House, dns: &NameServer, provider: &str, sip: &str, more: &str) {
    let network = format!("addresses = [\"192.0.2.1\", \"2001:db8::1\"]\nresolver = [\"{}\"]", dns.address);
    let provider = format!("provider = {{ name = \"{provider}\", token = {{ file = \"token\" }} }}");
    house.write(
        "parlour.toml",
        &format!(
            "[[domains]]\nname = \"{ZONE}\"\n[network]\n{network}\n[sip]\n{sip}\n[dns]\n{provider}\n\
             caa = [\"ca.example; validationmethods=dns-01\"]\n{more}\n"
        ),
    );
}

fn push(house: &House, standin: &StandIn, how: &str) -> Said {
    house.run_with(&standin.environment(), &["dns", "push", how])
}

/// The lines of what is done, without those that say it in words.
fn marked(said: &str, mark: char) -> Vec<&str> {
    said.lines().filter_map(|line| line.strip_prefix(mark)).map(str::trim).collect()
}

#[test]
fn ours_comes_changes_and_goes() {
    for provider in PROVIDERS {
        let (dns, standin, house) = scene(provider);
        let shown = push(&house, &standin, "--dry-run").done();
        let naptr = "falcot.com. 3600 IN NAPTR 30 0 \"s\" \"SIP+D2U\" \"\" _sip._udp.falcot.com.";
        assert!(marked(&shown, '?')[0].starts_with(naptr), "{shown}");
        assert!(
            marked(&shown, '+').contains(&"_sip._udp.falcot.com. 3600 IN SRV 0 0 5060 sip.falcot.com."),
            "{shown}"
        );
        assert!(shown.contains(&format!("falcot.com in the zone falcot.com at {provider}")), "{shown}");
        assert_eq!(standin.lines(), [""; 0], "nothing was changed");
        assert!(standin.seen().iter().all(|request| request.starts_with("GET ")), "{:?}", standin.seen());

        push(&house, &standin, "--apply").done();
        let there = standin.lines();
        for line in [
            "sip.falcot.com A 192.0.2.1",
            "_sip._udp.falcot.com SRV 0 0 5060 sip.falcot.com.",
            "_turn._udp.falcot.com SRV 0 0 0 .",
            "falcot.com CAA 0 issue \"ca.example; validationmethods=dns-01\"",
        ] {
            assert!(there.iter().any(|there| there == line), "{line}\n{there:#?}");
        }
        let marks = there.iter().filter(|line| line.starts_with("_parlour.falcot.com TXT \"v=parlour1 "));
        assert_eq!(marks.count() * 2, there.len(), "one for each: {there:#?}");

        standin.publish(
            ZONE,
            Data::Naptr {
                order: 30,
                preference: 0,
                service: "SIP+D2U".into(),
                replacement: "_sip._udp.falcot.com".into(),
            },
        );
        let address = dns.address.to_string();
        house.run(&["dns", "check", "--server", &address, "--authority", &address]).done();
        let again = push(&house, &standin, "--apply").done();
        assert!(again.contains("  0 put in, 0 taken out, ") && !again.contains("\n?"), "{again}");

        configure(&house, &dns, provider, "udp = [\":5070\"]", "ttl = \"2h\"");
        let done = push(&house, &standin, "--apply").done();
        assert_eq!(marked(&done, '-'), ["_sip._udp.falcot.com. 7200 IN SRV 0 0 5060 sip.falcot.com."]);
        assert_eq!(marked(&done, '+'), ["_sip._udp.falcot.com. 7200 IN SRV 0 0 5070 sip.falcot.com."]);
        assert!(marked(&done, '~').contains(&"sip.falcot.com. 7200 IN A 192.0.2.1"), "{done}");
        if provider == "desec" {
            assert_eq!(standin.ttl("sip.falcot.com"), Some(7200));
        }
        assert_eq!(standin.lines().len(), there.len());
    }
}

#[test]
fn what_others_have_put_there_stays() {
    for provider in PROVIDERS {
        let (dns, standin, house) = scene(provider);
        let theirs = [
            ("sip.falcot.com", Data::Alias("www.falcot.com".into())),
            (
                "_turn._udp.falcot.com",
                Data::Srv { priority: 5, weight: 5, port: 3478, target: Some("relay.example.net".into()) },
            ),
            ("_parlour.falcot.com", Data::Text("what does this say?".into())),
        ];
        theirs.iter().for_each(|(owner, data)| standin.write(owner, data.clone()));
        let before = standin.lines();
        let done = push(&house, &standin, "--apply");
        assert_eq!(done.code, 1, "something is in the way: {}{}", done.out, done.err);
        let foreign = marked(&done.out, '!');
        assert_eq!(foreign.len(), 2, "{}", done.out);
        assert!(foreign[1].starts_with("sip.falcot.com. 3600 IN CNAME www.falcot.com."), "{}", done.out);
        assert!(!done.out.contains("+ sip.falcot.com."), "{}", done.out);
        assert!(before.iter().all(|line| standin.lines().contains(line)), "{:#?}", standin.lines());
        // Another installation has other ports, and takes nothing out.
        configure(&house, &dns, provider, "udp = [\":5070\"]", "installation = \"other\"");
        let kept = standin.lines();
        let other = push(&house, &standin, "--apply");
        let name = std::fs::read_to_string(house.path().join("data/installation")).expect("it was made");
        let whose = format!("; of the installation {}", name.trim());
        assert!(other.code == 1 && other.out.contains(&whose), "{}{}", other.out, other.err);
        assert_eq!(standin.lines(), kept);
        // The domain has moved: of ours everything goes, of theirs nothing.
        let text = std::fs::read_to_string(house.path().join("parlour.toml")).expect("ours");
        let text = text
            .replace("name = \"falcot.com\"", "name = \"x.falcot.com\"\naliases = [\"falcot.com\"]")
            .replace("installation = \"other\"", "");
        house.write("parlour.toml", &text);
        let moved = push(&house, &standin, "--apply");
        assert!(
            moved.out.contains("- _sip._udp.falcot.com. 3600 IN SRV 0 0 5060 sip.falcot.com."),
            "{}",
            moved.out
        );
        assert!(before.iter().all(|line| standin.lines().contains(line)), "{:#?}", standin.lines());
    }
}

#[test]
fn a_provider_that_refuses_is_quoted_without_the_token() {
    for (provider, words) in
        [("desec", "desec does not believe the token"), ("cloudflare", "Invalid access token")]
    {
        let (_dns, standin, house) = scene(provider);
        write_token(house.path(), "another-token");
        let refused = push(&house, &standin, "--apply");
        assert!(refused.code == 1 && refused.out.contains(words), "{}{}", refused.out, refused.err);
        // A proxy that nobody runs.
        let nowhere = ("HTTPS_PROXY", format!("http://127.0.0.1:{}", free_port()));
        let lost = house.run_with(&[nowhere], &["dns", "push", "--apply"]);
        assert!(lost.code == 1 && lost.out.contains(&format!("{provider}: ")), "{}{}", lost.out, lost.err);
        for said in [&refused, &lost, &house.run(&["check", "--json"])] {
            assert!(
                !said.out.contains("another-token") && !said.err.contains("another-token"),
                "{}",
                said.out
            );
        }
        assert_eq!(standin.lines(), [""; 0]);
    }
}

/// How long a slow machine may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn an_authority_finds_the_record_that_a_provider_has_put_there() {
    let lines = "falcot.com. IN A 127.0.0.1\n*.falcot.com. IN A 127.0.0.1";
    let dns = NameServer::bind(&[(ZONE, &zone(ZONE, 1, lines))], Changed::ByKey);
    let standin = StandIn::new(&dns);
    let mut builder = testkit::House::of(env!("CARGO_BIN_EXE_parlour"))
        .set("dns", "provider", "{ name = \"desec\", token = { file = \"token\" } }")
        .set("network", "resolver", &format!("[\"{}\"]", dns.address))
        .set("tls", "source", "\"acme\"")
        .set("acme", "terms-accepted", "true")
        .set("acme", "challenge", "\"dns-01\"");
    for (name, value) in standin.environment() {
        builder = builder.env(name, &value);
    }
    let mut house = builder.prepare();
    write_token(house.dir(), TOKEN);
    let pebble = Pebble::start(&Settings::new(dns.address, free_port(), free_port()));
    house.set("acme", "directory", &format!("\"{}\"", pebble.directory()));
    house.set("acme", "roots", &format!("[\"{}\"]", pebble.root().display()));
    house.start();
    let certificate = house.dir().join("data/certs/falcot.com.acme.pem");
    let end = Instant::now() + PATIENCE;
    while !certificate.exists() {
        assert!(
            Instant::now() < end,
            "{}\n{}\n{:?}",
            house.server().output(),
            pebble.output(),
            standin.seen()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let end = Instant::now() + PATIENCE;
    while !standin.lines().is_empty() {
        assert!(Instant::now() < end, "what was put there goes again: {:?}", standin.lines());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(standin.seen().iter().any(|request| request == "POST api/v1/domains/falcot.com/rrsets/"));
    // Five names, each put in and taken out: by one connection, which is opened anew only where it was idle for long.
    assert!(standin.connections() < 4, "{} connections for {:?}", standin.connections(), standin.seen());
}
