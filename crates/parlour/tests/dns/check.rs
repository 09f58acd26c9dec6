//! `parlour dns check` on zones of BIND with faults planted in them.

use crate::command::House;
use serde_json::Value;
use testkit::nameserver::{Changed, NameServer, zone};

pub(crate) const CONFIG: &str = "[[domains]]\nname = \"falcot.com\"\n[network]\naddresses = [\"192.0.2.1\", \"2001:db8::1\"]\n\
                      [turn]\nudp = [\":3478\"]\n[sip]\nudp = [\":5060\"]\ntcp = [\":5060\"]\n";

fn serve(lines: &str) -> NameServer {
    NameServer::bind(&[("falcot.com", &zone("falcot.com", 1, lines))], Changed::ByNobody)
}

/// A house with the lines that its zone should have.
fn house() -> (House, String) {
    let house = House::new(CONFIG);
    let lines = house.run(&["dns", "zone", "--records"]).done();
    (house, lines)
}

fn look(house: &House, resolver: &NameServer, own: &[&NameServer]) -> (i32, Value) {
    let resolver = resolver.address.to_string();
    let own: Vec<String> = own.iter().map(|server| server.address.to_string()).collect();
    let mut arguments = vec!["dns", "check", "--json", "--server", &resolver];
    own.iter().for_each(|server| arguments.extend(["--authority", server]));
    let said = house.run(&arguments);
    (said.code, said.json())
}

/// Findings as `severity what name`.
pub(crate) fn findings(json: &Value) -> Vec<String> {
    let word = |finding: &Value, key: &str| finding[key].as_str().expect("a text").to_owned();
    let all = json["findings"].as_array().expect("a list").iter();
    all.map(|f| format!("{} {} {}", word(f, "severity"), word(f, "what"), word(f, "name"))).collect()
}

#[test]
fn a_good_zone_and_what_is_said_of_it() {
    let (house, lines) = house();
    let server = serve(&lines);
    let (code, json) = look(&house, &server, &[&server]);
    assert_eq!((code, &json["good"]), (0, &Value::Bool(true)), "{json:#}");
    assert!(findings(&json).is_empty(), "{json:#}");
    let zone = &json["zones"][0];
    assert_eq!((&zone["zone"], &zone["dnssec"]), (&"falcot.com".into(), &"unsigned".into()));
    assert!(
        zone["records"].as_array().is_some_and(|all| all.len() > 20 && all.iter().all(|r| r["good"] == true))
    );
    let address = server.address.to_string();
    let said =
        house.run(&["dns", "check", "falcot.com", "--server", &address, "--authority", &address]).done();
    assert!(said.contains("ok       _sip._udp.falcot.com. 3600 IN SRV 0 0 5060 sip.falcot.com."), "{said}");
    house
        .run(&["dns", "check", "--server", "nowhere"])
        .refused(2, "`nowhere` is not the address of a name server");
}

#[test]
fn each_planted_fault_is_found() {
    let (house, lines) = house();
    let without =
        |what: &str| lines.lines().filter(|line| !line.starts_with(what)).collect::<Vec<_>>().join("\n");
    let but = |what: &str, instead: &str| format!("{}\n{instead}", without(what));
    let udp = "_sip._udp.falcot.com.";
    let cases: [(String, &[&str]); 9] = [
        (without(udp), &["error missing _sip._udp.falcot.com"]),
        (
            but(udp, "_sip._udp IN SRV 0 0 5070 sip"),
            &["error missing _sip._udp.falcot.com", "error foreign _sip._udp.falcot.com"],
        ),
        (but("sip.falcot.com. 3600 IN", "sip IN CNAME ns"), &["error alias sip.falcot.com"]),
        (format!("{lines}\nsip IN A 192.0.2.7"), &["error foreign sip.falcot.com"]),
        (but("sip.falcot.com. 3600 IN AAAA", ""), &["error missing sip.falcot.com"]),
        (
            but("_xmpp-client._tcp.falcot.com.", "_xmpp-client._tcp IN SRV 0 0 5222 chat.example.net."),
            &["warning foreign _xmpp-client._tcp.falcot.com", "notice missing _xmpp-client._tcp.falcot.com"],
        ),
        (without("falcot.com. 3600 IN NAPTR 10 0"), &["error missing falcot.com"]),
        (
            format!("{lines}\nfalcot.com. IN NAPTR 5 0 \"s\" \"SIPS+D2T\" \"\" _sips._tcp.example.net."),
            &["warning foreign falcot.com"],
        ),
        (but("turn.falcot.com.", ""), &["error missing turn.falcot.com"; 2]),
    ];
    for (lines, expected) in cases {
        let server = serve(&lines);
        let (code, json) = look(&house, &server, &[&server]);
        assert_eq!(findings(&json), expected, "{lines}");
        assert_eq!(code, i32::from(expected[0].starts_with("error")), "{json:#}");
        let fix = json["findings"][0]["fix"].as_str().expect("a text");
        assert!(fix.contains("falcot.com."), "{fix}");
    }
}

#[test]
fn servers_that_differ_lag_or_do_not_serve() {
    let (house, lines) = house();
    let good = serve(&lines);
    let zones: &[(&str, &str)] = &[("falcot.com", &zone("falcot.com", 2, &lines))];
    let newer = NameServer::bind(zones, Changed::ByNobody);
    let (code, json) = look(&house, &good, &[&good, &newer]);
    assert_eq!((code, findings(&json)), (0, vec!["warning serial falcot.com".into()]));

    let old = lines.replace("SRV 0 0 5060", "SRV 0 0 5059");
    let behind = serve(&old);
    let (code, json) = look(&house, &behind, &[&good]);
    assert_eq!(code, 0, "the domain's own servers have it right: {json:#}");
    assert!(
        findings(&json).iter().all(|finding| finding.starts_with("warning remembered _sip._")),
        "{json:#}"
    );

    let empty: &[(&str, &str)] = &[("example.org", &zone("example.org", 1, ""))];
    let other = NameServer::knot(empty, Changed::ByNobody);
    let (code, json) = look(&house, &good, &[&good, &other]);
    assert_eq!(code, 1);
    assert!(findings(&json).contains(&"error refused falcot.com".into()), "{json:#}");
    let (code, json) = look(&house, &good, &[&other]);
    assert_eq!((code, findings(&json)), (1, vec!["error refused falcot.com".into()]));
    let above = NameServer::bind(&[("com", &zone("com", 1, ""))], Changed::ByNobody);
    let (code, json) = look(&house, &good, &[&above]);
    assert_eq!(
        (code, findings(&json)),
        (1, vec!["error zone falcot.com".into()]),
        "nobody has registered it"
    );
}

#[test]
fn a_server_that_does_not_answer_is_named_once() {
    let (house, lines) = house();
    let good = serve(&lines);
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let (good_at, silent_at) = (good.address.to_string(), silent.local_addr().expect("bound").to_string());
    let arguments =
        ["dns", "check", "--json", "--server", &good_at, "--authority", &good_at, "--authority", &silent_at];
    let said = house.run(&arguments);
    assert_eq!((said.code, findings(&said.json())), (1, vec!["error silent falcot.com".into()]));
    assert_eq!(said.json()["findings"][0]["seen_by"], Value::from(vec![silent_at]));
}

/// That nobody answers does not mean that there is no such domain.
#[test]
fn who_asks_nobody_is_told_so() {
    let (house, lines) = house();
    let nobody =
        std::net::UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").to_string();
    let said = house.run(&["dns", "check", "--json", "--server", &nobody]);
    assert_eq!((said.code, findings(&said.json())), (1, vec!["error silent falcot.com".into()]));
    assert!(said.json()["findings"][0]["fix"].as_str().is_some_and(|fix| fix.contains("network.resolver")));
    let (good, refuses) =
        (serve(&lines), NameServer::bind(&[("example.org", &zone("example.org", 1, ""))], Changed::ByNobody));
    let said = house.run(&["dns", "check", "--json", "--server", &refuses.address.to_string()]);
    assert_eq!(findings(&said.json())[0], "error refused falcot.com");
    assert_eq!(said.json()["findings"][0]["evidence"], "REFUSED");
    // Of several name servers, the first one that answers says which zone it is.
    let good_at = good.address.to_string();
    let arguments =
        ["dns", "check", "--json", "--server", &good_at, "--authority", &nobody, "--authority", &good_at];
    let said = house.run(&arguments);
    assert_eq!(findings(&said.json()), ["error silent falcot.com"]);
    assert_eq!(said.json()["zones"][0]["zone"], "falcot.com");
}

/// A zone signed by BIND's own tools, and its key as a resolver trusts it.
fn signed(lines: &str) -> (String, String) {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("zone"), zone("falcot.com", 1, lines)).expect("ours");
    let run = |program: &str, arguments: &[&str]| {
        let output = std::process::Command::new(program).args(arguments).current_dir(dir.path()).output();
        let output = output.unwrap_or_else(|error| panic!("{program} ({error}): Debian: bind9-utils"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a name")
    };
    let name = run("dnssec-keygen", &["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "falcot.com"]);
    run("dnssec-signzone", &["-q", "-z", "-S", "-o", "falcot.com", "-f", "signed", "zone"]);
    let read = |file: &str| std::fs::read_to_string(dir.path().join(file)).expect("it was made");
    let key = read(&format!("{}.key", name.trim()));
    let key =
        key.lines().find_map(|line| line.strip_prefix("falcot.com. IN DNSKEY 257 3 13 ")).expect("a key");
    (
        read("signed"),
        format!("trust-anchors {{ \"falcot.com.\" static-key 257 3 13 \"{}\"; }};", key.replace(' ', "")),
    )
}

#[test]
fn signatures_are_verified_and_broken_ones_named() {
    let house = House::new(&format!("{CONFIG}[dns]\nturn = {{ host = \"relay\" }}\n"));
    let lines = house.run(&["dns", "zone", "--records"]).done();
    let ((zone, anchor), (_, other)) = (signed(&lines), signed(&lines));
    let server = NameServer::bind(&[("falcot.com", &zone)], Changed::ByNobody);
    let forward = format!("forward only; forwarders {{ 127.0.0.1 port {}; }};", server.address.port());
    let verifier = |anchor: &str| {
        NameServer::resolver(&format!("recursion yes; dnssec-validation yes; {forward}"), anchor)
    };
    let (code, json) = look(&house, &verifier(&anchor), &[&server]);
    assert_eq!(
        (code, findings(&json), &json["zones"][0]["dnssec"]),
        (0, vec![], &"verified".into()),
        "{json:#}"
    );
    let (code, json) = look(&house, &verifier(&other), &[&server]);
    assert_eq!((code, &json["zones"][0]["dnssec"]), (1, &"broken".into()), "{json:#}");
    assert!(findings(&json).contains(&"error dnssec falcot.com".into()), "{json:#}");
    let (code, json) = look(&house, &server, &[&server]);
    assert_eq!(
        (code, findings(&json)),
        (0, vec!["notice dnssec falcot.com".into()]),
        "nobody above vouches for it"
    );
}
