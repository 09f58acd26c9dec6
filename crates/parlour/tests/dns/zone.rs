//! `parlour dns zone`: what follows from a configuration, loaded by BIND, NSD and Knot.

use crate::command::House;
use std::path::Path;
use testkit::spaces::Spaces;
use testkit::zone::check;

/// Section 11.8.1 of the Debian Administrator's Handbook: an address for each service, names of its own for each.
const HANDBOOK: &str = r#"
[[domains]]
name = "falcot.com"

[network]
addresses = ["198.51.100.19", "2001:db8:1000:2000::19"]

[turn]
udp = ["198.51.100.19:3478"]

[sip]
udp = ["198.51.100.20:5060"]
tcp = ["198.51.100.20:5060", "[2001:db8:1000:2000::20]:5060"]

[xmpp]
web = ["198.51.100.21:5280"]

[dns]
turn = { host = "turn-server", weight = 1 }
sip = { host = "sip-proxy", priority = 3, weight = 2 }
xmpp = { host = "xmpp-gw.falcot.com", priority = 5 }
ttl = "10m"
caa = ["letsencrypt.org; validationmethods=dns-01"]
"#;

#[test]
fn the_handbooks_zone() {
    let house = House::new(HANDBOOK);
    let zone = house.run(&["dns", "zone"]).done();
    check("falcot.com", &zone);
    for line in [
        "turn-server.falcot.com. 600 IN A 198.51.100.19",
        "sip-proxy.falcot.com. 600 IN A 198.51.100.20",
        "sip-proxy.falcot.com. 600 IN AAAA 2001:db8:1000:2000::20",
        "_stun._udp.falcot.com. 600 IN SRV 0 1 3478 turn-server.falcot.com.",
        "_turn._udp.falcot.com. 600 IN SRV 0 1 3478 turn-server.falcot.com.",
        "falcot.com. 600 IN NAPTR 10 0 \"s\" \"RELAY:turn.udp\" \"\" _turn._udp.falcot.com.",
        "_sip._tcp.falcot.com. 600 IN SRV 3 2 5060 sip-proxy.falcot.com.",
        "_sips._tcp.falcot.com. 600 IN SRV 0 0 0 .",
        "_xmpp-client._tcp.falcot.com. 600 IN SRV 0 0 0 .",
        "falcot.com. 600 IN CAA 0 issue \"letsencrypt.org; validationmethods=dns-01\"",
    ] {
        assert!(zone.lines().any(|found| found == line), "{line} is missing in\n{zone}");
    }
}

/// What listens for HTTPS is everybody's who is on, and the records say so behind each one's own port.
#[test]
fn the_zone_of_one_port_for_everything() {
    let records = |share: &str| {
        let house = House::init("falcot.com");
        let text = std::fs::read_to_string(house.path().join("parlour.toml")).expect("init has written it");
        let own = |line: &&str| !["https = ", "share = "].iter().any(|key| line.contains(key));
        let text: Vec<_> = text.lines().filter(own).collect();
        let ours = format!("[web]\nhttps = [\":443\"]\nshare = {share}");
        house.write("parlour.toml", &text.join("\n").replace("[web]", &ours));
        house.run(&["dns", "zone"]).done()
    };
    let shared = records("true");
    check("falcot.com", &shared);
    let alone = records("false");
    for (name, port) in [
        ("_turns._tcp", "SRV 1 0 443 turn"),
        ("_turn._udp", "SRV 1 0 443 turn"),
        ("_turns._udp", "SRV 1 0 443 turn"),
        ("_sips._tcp", "SRV 1 0 443 sip"),
        ("_xmpps-client._tcp", "SRV 1 0 443 xmpp"),
    ] {
        let line = format!("{name}.falcot.com. 3600 IN {port}.falcot.com.");
        assert!(shared.lines().any(|found| found == line), "{line} is missing in\n{shared}");
        assert!(!alone.contains(&line), "{line} is in\n{alone}");
    }
    let browsers = "xmpp.falcot.com. 3600 IN HTTPS 1 xmpp.falcot.com. alpn=h2";
    assert!(shared.lines().any(|found| found == browsers), "{shared}");
    assert!(!alone.contains("alpn="), "{alone}");
}

#[test]
fn a_port_is_published_with_the_addresses_that_it_is_reached_at() {
    let house = House::new(
        "[[domains]]\nname = \"falcot.com\"\n[network]\naddresses = [\"192.0.2.1\", \"192.0.2.2\"]\n\
         [sip]\nudp = [\":5060\"]\ntcp = [\"192.0.2.2:5070\", \":5060\", \"192.0.2.1:5080\"]\n",
    );
    let zone = house.run(&["dns", "zone"]).done();
    check("falcot.com", &zone);
    let mut found: Vec<&str> =
        zone.lines().filter(|line| line.contains("sip") && !line.contains("NAPTR")).collect();
    found.retain(|line| !line.contains("_sips"));
    let expected = [
        "sip.falcot.com. 3600 IN A 192.0.2.1",
        "sip.falcot.com. 3600 IN A 192.0.2.2",
        "sip-2.falcot.com. 3600 IN A 192.0.2.2",
        "sip-3.falcot.com. 3600 IN A 192.0.2.1",
        "_sip._udp.falcot.com. 3600 IN SRV 0 0 5060 sip.falcot.com.",
        "_sip._tcp.falcot.com. 3600 IN SRV 0 0 5060 sip.falcot.com.",
        "_sip._tcp.falcot.com. 3600 IN SRV 1 0 5070 sip-2.falcot.com.",
        "_sip._tcp.falcot.com. 3600 IN SRV 2 0 5080 sip-3.falcot.com.",
    ];
    assert_eq!(found, expected, "{zone}");
}

#[test]
fn the_zone_of_a_new_house() {
    let house = House::init("falcot.com");
    let zone = house.run(&["dns", "zone"]).done();
    check("falcot.com", &zone);
    assert!(zone.contains("_sip._udp.falcot.com. 3600 IN SRV 0 0 5060 sip.falcot.com."), "{zone}");
    assert!(zone.contains("; turn: the world does not reach 127.0.0.1"), "{zone}");
    let records = house.run(&["dns", "zone", "falcot.com", "--records"]).done();
    assert!(!records.contains(" SOA ") && !records.contains(" NS "), "{records}");
    let other = house.run(&["dns", "zone", "--name-server", "ns1.example.net"]).done();
    assert!(
        other.contains("falcot.com. 3600 IN NS ns1.example.net.") && !other.contains("ns.falcot.com"),
        "{other}"
    );
    let json = house.run(&["dns", "zone", "--json"]).json();
    assert!(json["text"].as_str().is_some_and(|text| text.contains(" SOA ")));
    house.run(&["dns", "zone", "example.org"]).refused(2, "example.org is not a domain of this house");
    house.run(&["dns", "zone", "--name-server", "a b"]).refused(2, "`a b` is not a name server's name");
}

#[test]
fn components_belong_to_the_domain_that_they_lie_in() {
    let secret = "secret = \"of the component\"";
    let house = House::new(&format!(
        "[[domains]]\nname = \"falcot.com\"\n[[domains]]\nname = \"lab.falcot.com\"\n[xmpp]\nrooms = \"talk\"\n\
         [[xmpp.components]]\nname = \"irc.lab.falcot.com\"\n{secret}\n[[xmpp.components]]\nname = \"sms.example.net\"\n{secret}\n"
    ));
    let first = house.run(&["dns", "zone", "falcot.com", "--records"]).done();
    let second = house.run(&["dns", "zone", "lab.falcot.com", "--records"]).done();
    for (zone, name, there) in [
        (&first, "talk.falcot.com", true),
        (&first, "sms.example.net", true),
        (&first, "irc.lab.falcot.com", false),
        (&second, "irc.lab.falcot.com", true),
        (&second, "talk.lab.falcot.com", true),
        (&second, "sms.example.net", false),
    ] {
        assert_eq!(
            zone.contains(&format!("_xmpp-server._tcp.{name}. 3600 IN SRV 0 0 0 .")),
            there,
            "{name}\n{zone}"
        );
    }
}

/// The addresses that a zone has of a service, on a host with these.
fn published_on_a_host_with(addresses: &[&str]) -> Option<Vec<String>> {
    let lines: Vec<String> =
        addresses.iter().map(|address| format!("-n @host addr add {address} dev lo nodad")).collect();
    let spaces = Spaces::make(&["host"], &lines.join("\n"))?;
    let house = House::init("falcot.com");
    let text =
        "[[domains]]\nname = \"falcot.com\"\n[turn]\nudp = [\":3478\"]\n[sip]\nudp = [\"172.17.0.1:5060\"]\n";
    house.write("parlour.toml", text);
    let mut command = spaces.command("host", env!("CARGO_BIN_EXE_parlour"));
    let config = house.path().join("parlour.toml");
    let output =
        command.arg("--config").arg(config).args(["dns", "zone", "--records"]).output().expect("it runs");
    let zone = String::from_utf8(output.stdout).expect("text");
    assert!(zone.contains("sip.falcot.com. 3600 IN A 172.17.0.1"), "a listener's own address stays: {zone}");
    let of =
        |line: &str| Some(line.strip_prefix("turn.falcot.com. 3600 IN A")?.rsplit_once(' ')?.1.to_owned());
    Some(zone.lines().filter_map(of).collect())
}

/// Bridges to guests of the host are nobody's business, unless there is nothing else.
#[test]
fn addresses_that_the_world_does_not_reach_are_left_out_where_it_reaches_others() {
    let near = ["172.17.0.1/32", "198.18.0.1/32", "fd00::2/128"];
    let Some(found) = published_on_a_host_with(&[&near[..], &["11.0.0.1/32"]].concat()) else { return };
    assert_eq!(found, ["11.0.0.1"]);
    assert_eq!(published_on_a_host_with(&near).expect("as before"), ["172.17.0.1", "198.18.0.1", "fd00::2"]);
}

/// Runs a script in a folder: what it says.
fn script(folder: &Path, script: &str) -> String {
    let output = std::process::Command::new("sh").args(["-ec", script]).current_dir(folder).output();
    let output = output.expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// What is published of a certificate's key.
fn digest(folder: &Path, file: &str) -> String {
    let said = script(
        folder,
        &format!(
            "openssl x509 -in {file} -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -hex | sed 's/.*= //'"
        ),
    );
    said.trim().to_uppercase()
}

/// A client that looks for keys at a host is shown one of those: of the certificate for the host or for the domain that has led it
/// there, of one kind of key or another.
#[test]
fn the_keys_of_all_certificates_that_are_shown_at_a_host_are_published_there() {
    let house = House::init("falcot.com");
    let kinds = [
        ("first", "ec -pkeyopt ec_paramgen_curve:P-256", "falcot.com,DNS:xmpp.falcot.com,DNS:sip.falcot.com"),
        ("second", "rsa:2048", "falcot.com,DNS:xmpp.falcot.com"),
        ("turn", "ec -pkeyopt ec_paramgen_curve:P-256", "turn.falcot.com"),
        ("other", "ec -pkeyopt ec_paramgen_curve:P-256", "example.org"),
    ];
    let mut rows = String::new();
    for (name, key, names) in kinds {
        script(
            house.path(),
            &format!(
                "openssl req -x509 -newkey {key} -nodes -keyout data/{name}.key -out data/{name}.pem -days 30 -subj /CN=x \
                 -addext subjectAltName=DNS:{names} 2>&1; chmod 600 data/{name}.key"
            ),
        );
        let pair = format!("certificate = \"data/{name}.pem\"\nkey = \"data/{name}.key\"\n");
        rows.push_str(if rows.is_empty() { "" } else { "[[tls.certificates]]\n" });
        rows.push_str(&pair);
    }
    let text = format!(
        "[[domains]]\nname = \"falcot.com\"\n[[domains]]\nname = \"example.org\"\n[network]\naddresses = [\"192.0.2.1\"]\n\
         [tls]\nsource = \"files\"\n{rows}[turn]\ntls = [\":5349\"]\n[sip]\ntls = [\":5061\"]\n[xmpp]\nclient = [\":5222\"]\n\
         [dns]\ntlsa = true\nsip = {{ host = \"voice.falcot.com\" }}\n"
    );
    house.write("parlour.toml", &text);
    let zone = house.run(&["dns", "zone", "falcot.com"]).done();
    check("falcot.com", &zone);
    let published = |owner: &str| {
        let begin = format!("{owner}.falcot.com. 3600 IN TLSA 3 1 1 ");
        let mut found: Vec<_> = zone.lines().filter_map(|line| line.strip_prefix(&begin)).collect();
        found.sort_unstable();
        found.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let of = |names: &[&str]| {
        let mut all: Vec<_> =
            names.iter().map(|name| digest(house.path(), &format!("data/{name}.pem"))).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(published("_5222._tcp.xmpp"), of(&["first", "second"]));
    assert_eq!(published("_5349._tcp.turn"), of(&["first", "second", "turn"]));
    assert_eq!(published("_5061._tcp.voice"), of(&["first", "second", "other"]), "two domains share it");
}

#[test]
fn the_key_of_the_certificate_is_published_where_it_is_wanted() {
    let house = House::init("falcot.com");
    let config = std::fs::read_to_string(house.path().join("parlour.toml")).expect("there");
    house.write("parlour.toml", &config.replace("tlsa = false", "tlsa = true"));
    let zone = house.run(&["dns", "zone"]).done();
    check("falcot.com", &zone);
    let digest = digest(house.path(), "data/certs/falcot.com.pem");
    for owner in
        ["_5061._tcp.sip", "_5222._tcp.xmpp", "_5223._tcp.xmpp", "_5349._tcp.turn", "_5349._udp.turn"]
    {
        let line = format!("{owner}.falcot.com. 3600 IN TLSA 3 1 1 {digest}");
        assert!(zone.lines().any(|found| found == line), "{line} is missing in\n{zone}");
    }
    assert!(zone.contains("_5280._https.xmpp.falcot.com. 3600 IN HTTPS 1 xmpp.falcot.com."), "{zone}");
}
