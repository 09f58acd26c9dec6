//! `parlour dns push` on zones of BIND, Knot and PowerDNS.

use crate::command::{House, Said};
use domain::base::iana::Rtype;
use domains::message::{Answer, Manner, question};
use domains::record::Data;
use std::net::UdpSocket;
use std::time::Duration;
use testkit::nameserver::{Changed, KEY, NameServer, SECRET, zone};

/// A house whose zone is at this server.
fn house(server: &NameServer, more: &str) -> House {
    let house = House::new("");
    house.write("key", SECRET);
    configure(&house, server, more);
    house
}

fn configure(house: &House, server: &NameServer, more: &str) {
    let push = format!(
        "push = {{ server = \"{}\", key = \"{KEY}\", secret = {{ file = \"key\" }} }}",
        server.address
    );
    house.write(
        "parlour.toml",
        &format!(
            "[[domains]]\nname = \"falcot.com\"\nrooms = \"rooms.falcot.com\"\n[network]\naddresses = [\"192.0.2.1\", \
             \"2001:db8::1\"]\n[sip]\nudp = [\":5060\"]\n{more}\n[dns]\nttl = \"1m\"\n{push}\n"
        ),
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(house.path().join("key"), mode).expect("ours");
}

fn check(house: &House, server: &NameServer) -> Said {
    let address = server.address.to_string();
    house.run(&["dns", "check", "--server", &address, "--authority", &address])
}

/// Somebody else's records, of which two are in the way of ours.
const THEIRS: &str = "www IN A 192.0.2.80\n_turn._udp IN SRV 5 5 3478 relay.example.net.\nfalcot.com. IN CAA 0 issue \"ca.example\"\n\
                      _parlour IN TXT \"what does this say?\"\nsip IN A 192.0.2.99";

fn comes_changes_and_goes(server: &NameServer) {
    let house = house(server, "tcp = [\":5060\"]");
    let shown = house.run(&["dns", "push", "--dry-run"]).done();
    assert!(shown.contains("+ _sip._tcp.falcot.com. 60 IN SRV 0 0 5060 sip.falcot.com."), "{shown}");
    assert!(!shown.contains("\n- "), "{shown}");
    assert_eq!(check(&house, server).code, 1, "nothing was changed:\n{}", server.output());
    let done = house.run(&["dns", "push", "--apply"]).done();
    assert!(done.contains(" 0 taken out, 0 as they should be"), "{done}");
    check(&house, server).done();
    let again = house.run(&["dns", "push", "--apply"]).done();
    assert!(again.contains("  0 put in, 0 taken out, "), "{again}");

    configure(&house, server, "tcp = [\":5070\"]");
    let shown = house.run(&["dns", "push", "--dry-run"]).done();
    let lines: Vec<&str> = shown.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    let expected = [
        "- _sip._tcp.falcot.com. 60 IN SRV 0 0 5060 sip.falcot.com.",
        "+ _sip._tcp.falcot.com. 60 IN SRV 0 0 5070 sip.falcot.com.",
    ];
    assert_eq!(lines, expected);
    house.run(&["dns", "push", "--apply"]).done();
    check(&house, server).done();
    let json = house.run(&["dns", "push", "--dry-run", "--json"]).json();
    assert_eq!(json["zones"][0]["zone"], "falcot.com");
    assert_eq!(json["zones"][0]["add"].as_array().map(Vec::len), Some(0), "{json}");
}

/// A domain that is not ours any more leaves nothing of ours behind, and everything of others.
#[test]
fn a_domain_that_is_gone_is_withdrawn() {
    let zones = [
        ("falcot.com", zone("falcot.com", 1, "")),
        ("example.org", zone("example.org", 1, "www IN A 192.0.2.7")),
    ];
    let zones = zones.each_ref().map(|(name, text)| (*name, text.as_str()));
    let server = NameServer::bind(&zones, Changed::ByKey);
    let house = house(&server, "[turn]\nudp = [\":3478\"]");
    let alone = std::fs::read_to_string(house.path().join("parlour.toml")).expect("ours");
    house.write("parlour.toml", &format!("[[domains]]\nname = \"example.org\"\n{alone}"));
    house.run(&["dns", "push", "--apply"]).done();
    let withdraw = |how: &str| house.run(&["dns", "push", "--withdraw", "example.org", how]);
    withdraw("--apply").refused(2, "take example.org out of it first");
    house.write("parlour.toml", &alone);
    house
        .run(&["dns", "push", "--withdraw", "example.org", "falcot.com", "--apply"])
        .refused(2, "take example.org out");
    for how in ["--dry-run", "--apply"] {
        let done = withdraw(how).done();
        assert!(
            done.contains("- turn.example.org. 60 IN A 192.0.2.1") && !done.contains("falcot.com"),
            "{done}"
        );
        assert!(!done.contains("+ ") && !done.contains("www"), "{done}");
    }
    assert!(withdraw("--apply").done().contains("0 put in, 0 taken out"));
    assert!(ask(&server, "_parlour.example.org", Rtype::TXT).is_empty(), "marks go as well");
    assert!(ask(&server, "turn.example.org", Rtype::A).is_empty());
    for kept in ["www.example.org", "turn.falcot.com"] {
        assert_eq!(ask(&server, kept, Rtype::A).len(), 1, "{kept}");
    }
}

#[test]
fn in_bind_ours_comes_and_changes() {
    let server = NameServer::bind(&[("falcot.com", &zone("falcot.com", 1, ""))], Changed::ByKey);
    comes_changes_and_goes(&server);
}

#[test]
fn in_knot_ours_comes_and_changes() {
    let server = NameServer::knot(&[("falcot.com", &zone("falcot.com", 1, ""))], Changed::ByKey);
    comes_changes_and_goes(&server);
}

#[test]
fn in_powerdns_ours_comes_and_changes() {
    comes_changes_and_goes(&NameServer::powerdns("falcot.com", &zone("falcot.com", 1, "")));
}

fn what_others_have_put_there_stays(server: &NameServer) {
    let house = house(server, "[turn]\nudp = [\":3478\"]");
    let done = house.run(&["dns", "push", "--apply"]);
    assert_eq!(done.code, 1, "something is in the way: {}{}", done.out, done.err);
    for line in [
        "! _turn._udp.falcot.com. 60 IN SRV 5 5 3478 relay.example.net.",
        "! sip.falcot.com. 60 IN A 192.0.2.99",
        "+ _stun._udp.falcot.com. 60 IN SRV 0 0 3478 turn.falcot.com.",
    ] {
        assert!(done.out.contains(line), "{line} is missing in\n{}", done.out);
    }
    assert!(!done.out.contains("+ sip.falcot.com."), "{}", done.out);
    // Everything of ours goes again: the domain has moved to another name.
    let text = std::fs::read_to_string(house.path().join("parlour.toml")).expect("ours");
    let text = text.replace(
        "name = \"falcot.com\"\nrooms = \"rooms.falcot.com\"",
        "name = \"x.falcot.com\"\naliases = [\"falcot.com\"]",
    );
    house.write("parlour.toml", &text);
    let moved = house.run(&["dns", "push", "--apply"]);
    assert!(moved.out.contains("- turn.falcot.com. 60 IN A 192.0.2.1"), "{}", moved.out);
    assert!(moved.out.contains("x.falcot.com in the zone falcot.com at"), "{}", moved.out);
    let seen = check(&house, server);
    let json: Vec<_> = seen.out.lines().filter(|line| line.contains("relay.example.net.")).collect();
    assert!(!json.is_empty(), "theirs is still there: {}", seen.out);
    let dry = house.run(&["dns", "push", "--dry-run"]);
    assert!(
        dry.out.contains("! _turn._udp.falcot.com. 60 IN SRV 5 5 3478 relay.example.net."),
        "{}",
        dry.out
    );
}

#[test]
fn in_bind_what_others_have_put_there_stays() {
    let server = NameServer::bind(&[("falcot.com", &zone("falcot.com", 1, THEIRS))], Changed::ByKey);
    what_others_have_put_there_stays(&server);
}

#[test]
fn in_knot_what_others_have_put_there_stays() {
    let server = NameServer::knot(&[("falcot.com", &zone("falcot.com", 1, THEIRS))], Changed::ByKey);
    what_others_have_put_there_stays(&server);
}

#[test]
fn in_powerdns_what_others_have_put_there_stays() {
    what_others_have_put_there_stays(&NameServer::powerdns("falcot.com", &zone("falcot.com", 1, THEIRS)));
}

/// What the server says of a name, with the time that it may be remembered.
fn ask(server: &NameServer, owner: &str, kind: Rtype) -> Vec<(Data, u32)> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
    let asked = question(7, owner, kind, Manner::default()).expect("short");
    socket.send_to(&asked, server.address).expect("sent");
    let mut buffer = vec![0; 65_535];
    let length = socket.recv(&mut buffer).expect("an answer");
    let answer = Answer::read(&buffer[..length], 7).expect("an answer");
    answer.records.into_iter().map(|(record, ttl)| (record.data, ttl)).collect()
}

fn edit(house: &House, from: &str, to: &str) {
    let text = std::fs::read_to_string(house.path().join("parlour.toml")).expect("ours");
    assert!(text.contains(from), "{from} is not in {text}");
    house.write("parlour.toml", &text.replace(from, to));
}

fn a_changed_time_alone_is_pushed(server: &NameServer) {
    let house = house(server, "");
    house.run(&["dns", "push", "--apply"]).done();
    let before = ask(server, "sip.falcot.com", Rtype::A);
    assert_eq!(before, [(Data::Address([192, 0, 2, 1].into()), 60)]);
    edit(&house, "ttl = \"1m\"", "ttl = \"2h\"");
    let shown = house.run(&["dns", "push", "--dry-run"]).done();
    assert!(shown.contains("~ sip.falcot.com. 7200 IN A 192.0.2.1\n"), "{shown}");
    assert!(!shown.contains("\n+ ") && !shown.contains("\n- "), "{shown}");
    house.run(&["dns", "push", "--apply"]).done();
    assert_eq!(ask(server, "sip.falcot.com", Rtype::A), [(before[0].0.clone(), 7200)]);
    assert!(ask(server, "_sip._udp.falcot.com", Rtype::SRV).iter().all(|(_, ttl)| *ttl == 7200));
    let again = house.run(&["dns", "push", "--apply"]).done();
    assert!(again.contains("  0 put in, 0 taken out, "), "{again}");
    check(&house, server).done();
}

#[test]
fn in_bind_a_changed_time_alone_is_pushed() {
    let server = NameServer::bind(&[("falcot.com", &zone("falcot.com", 1, ""))], Changed::ByKey);
    a_changed_time_alone_is_pushed(&server);
}

#[test]
fn in_knot_a_changed_time_alone_is_pushed() {
    let server = NameServer::knot(&[("falcot.com", &zone("falcot.com", 1, ""))], Changed::ByKey);
    a_changed_time_alone_is_pushed(&server);
}

#[test]
fn in_powerdns_a_changed_time_alone_is_pushed() {
    a_changed_time_alone_is_pushed(&NameServer::powerdns("falcot.com", &zone("falcot.com", 1, "")));
}

#[test]
fn two_installations_in_one_zone_leave_one_another_alone() {
    let server = NameServer::bind(&[("falcot.com", &zone("falcot.com", 1, ""))], Changed::ByKey);
    let (one, other) = (house(&server, ""), house(&server, "[turn]\nudp = [\":3478\"]"));
    one.run(&["dns", "push", "--apply"]).done();
    edit(&other, "192.0.2.1", "192.0.2.2");
    let name = std::fs::read_to_string(one.path().join("data/installation")).expect("made by the push");
    let shown = other.run(&["dns", "push", "--apply"]);
    let foreign = format!("! sip.falcot.com. 60 IN A 192.0.2.1    ; of the installation {}", name.trim());
    assert!(shown.code == 1 && shown.out.contains(&foreign), "{}{}", shown.out, shown.err);
    assert!(shown.out.contains("+ turn.falcot.com. 60 IN A 192.0.2.2"), "{}", shown.out);
    assert!(!shown.out.contains("\n- "), "{}", shown.out);
    // Each still knows its own, whoever has the name.
    edit(&one, "udp = [\":5060\"]", "udp = [\":5070\"]");
    let moved = one.run(&["dns", "push", "--apply"]);
    assert!(moved.out.contains("- _sip._udp.falcot.com. 60 IN SRV 0 0 5060"), "{}{}", moved.out, moved.err);
    edit(&other, "[dns]", &format!("[dns]\ninstallation = \"{}\"", name.trim()));
    let taken = other.run(&["dns", "push", "--dry-run"]);
    assert!(taken.out.contains("- _sip._udp.falcot.com. 60 IN SRV 0 0 5070"), "{}", taken.out);
}

/// Wildcards of each kind that may answer for one of our names.
const WILDCARDS: [&str; 2] = [
    "www IN A 192.0.2.80\n* IN CNAME www",
    "* IN A 192.0.2.80\n* IN TXT \"v=spf1 -all\"\n*._udp IN SRV 5 5 9 x.example.",
];

fn wildcards_are_not_in_the_way(start: impl Fn(&str) -> NameServer) {
    for lines in WILDCARDS {
        let server = start(&zone("falcot.com", 1, lines));
        let house = house(&server, "");
        let done = house.run(&["dns", "push", "--apply"]).done();
        assert!(done.contains("+ sip.falcot.com. 60 IN A 192.0.2.1") && !done.contains('!'), "{done}");
        check(&house, &server).done();
        let kept = ask(&server, "nobody.falcot.com", Rtype::A);
        assert!(kept.iter().any(|(data, _)| *data == Data::Address([192, 0, 2, 80].into())), "{kept:?}");
    }
    // It says the same as the wildcard, and is somebody's.
    let server = start(&zone("falcot.com", 1, "* IN A 192.0.2.80\nsip IN A 192.0.2.80"));
    let done = house(&server, "").run(&["dns", "push", "--apply"]);
    assert!(
        done.code == 1 && done.out.contains("! sip.falcot.com. 60 IN A 192.0.2.80"),
        "{}{}",
        done.out,
        done.err
    );
    assert_eq!(ask(&server, "sip.falcot.com", Rtype::A).len(), 1, "{}", done.out);
    assert!(!ask(&server, "_sip._udp.falcot.com", Rtype::SRV).is_empty(), "the rest is there");
}

#[test]
fn in_bind_wildcards_are_not_in_the_way() {
    wildcards_are_not_in_the_way(|text| NameServer::bind(&[("falcot.com", text)], Changed::ByKey));
}

#[test]
fn in_knot_wildcards_are_not_in_the_way() {
    wildcards_are_not_in_the_way(|text| NameServer::knot(&[("falcot.com", text)], Changed::ByKey));
}

#[test]
fn in_powerdns_wildcards_are_not_in_the_way() {
    wildcards_are_not_in_the_way(|text| NameServer::powerdns("falcot.com", text));
}

#[test]
fn what_is_refused_says_why_and_tells_no_secret() {
    let zones: &[(&str, &str)] = &[("falcot.com", &zone("falcot.com", 1, ""))];
    let bind = NameServer::bind(zones, Changed::ByKey);
    let knot = NameServer::knot(zones, Changed::ByKey);
    let closed = [NameServer::bind(zones, Changed::ByNobody), NameServer::knot(zones, Changed::ByNobody)];
    for server in [&bind, &knot] {
        let house = house(server, "");
        house.run(&["dns", "push"]).refused(2, "say --dry-run to see what would change, or --apply");
        house.run(&["dns", "push", "--dry-run", "--apply"]).refused(2, "say --dry-run");
        house.write("key", "YW5vdGhlciBzZWNyZXQgYWx0b2dldGhlcg==");
        let wrong = house.run(&["dns", "push", "--apply"]);
        assert!(wrong.code == 1 && wrong.out.contains("(BADSIG)"), "{}{}", wrong.out, wrong.err);
        house.write("key", SECRET);
        let text = std::fs::read_to_string(house.path().join("parlour.toml")).expect("ours");
        house.write("parlour.toml", &text.replace("key = \"parlour\"", "key = \"nobody\""));
        let wrong = house.run(&["dns", "push", "--apply"]);
        assert!(wrong.code == 1 && wrong.out.contains("(BADKEY)"), "{}{}", wrong.out, wrong.err);
        house.write(
            "parlour.toml",
            &text
                .replace("name = \"falcot.com\"", "name = \"example.org\"")
                .replace("rooms = \"rooms.falcot.com\"", ""),
        );
        let wrong = house.run(&["dns", "push", "--apply"]);
        assert!(
            wrong.code == 1 && wrong.out.contains("does not serve example.org"),
            "{}{}",
            wrong.out,
            wrong.err
        );
        for said in [&wrong.out, &wrong.err, &house.run(&["check", "--json"]).out] {
            assert!(!said.contains(SECRET), "{said}");
        }
        configure(&house, server, "");
        check(&house, server).out.contains("MISSING").then_some(()).expect("nothing was changed");
    }
    for server in &closed {
        let done = house(server, "").run(&["dns", "push", "--apply"]);
        assert!(done.code == 1 && done.out.contains("refuses the change"), "{}{}", done.out, done.err);
    }
    let house = House::new("[[domains]]\nname = \"falcot.com\"\n");
    house.run(&["dns", "push", "--dry-run"]).refused(2, "neither dns.push nor dns.provider is set");
}
