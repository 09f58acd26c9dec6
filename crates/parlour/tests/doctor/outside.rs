//! What the world sees: addresses, listeners, the DNS, and a client of each protocol.

use crate::world::{OTHER, PUBLIC, World};

/// Asks the name server inside, in the place of those that the world would name.
const DNS: [&str; 4] = ["--server", "127.0.0.1", "--authority", "127.0.0.1"];

#[test]
fn silent_on_a_good_installation() {
    let Some(world) = World::new() else { return };
    let _dns = world.serve(&world.lines());
    let said = world.visit(&[&DNS[..], &["--stun", PUBLIC]].concat());
    said.found(&[]);
    let areas = said.json["areas"].as_array().expect("a list");
    assert!(areas.len() >= 12 && areas.iter().all(|area| area["skipped"] == ""), "{:#}", said.json);
    // Every transport of every protocol was tried, some of them at the port of HTTPS too.
    let seen = |name: &str| {
        let area = areas.iter().find(|area| area["name"] == name).expect("it was looked at");
        area["seen"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|line| line.as_str().unwrap_or_default().to_owned())
    };
    let tried = |name: &str, word: &str| seen(name).filter(|line| line.contains(word)).count();
    assert!(tried("turn", "a relay to itself") >= 4, "{:#}", said.json);
    assert!(tried("sip", "registered, asked and answered") >= 3, "{:#}", said.json);
    assert!(tried("xmpp", "a message there and back") >= 2, "{:#}", said.json);
    assert!(tried("web", " answers 101") >= 4, "{:#}", said.json);
    assert_eq!(tried("web", "/health answers 200"), 1, "{:#}", said.json);
    assert_eq!(tried("web", "/ answers 301"), 1, "{:#}", said.json);
    // The guests are gone.
    let users = world.house.cli(&["user", "list"], "");
    assert_eq!(String::from_utf8_lossy(&users.stdout).trim(), "roland@falcot.com");
}

#[test]
fn addresses_that_lead_elsewhere() {
    let Some(world) = World::new() else { return };
    let network = |words: &[&str]| world.visit(&[&["--only", "network"], words].concat());
    // As the house was told: it goes out by the address of the loopback, which it does not publish.
    world.house.set("network", "external", &format!("[\"{OTHER}={PUBLIC}\"]"));
    let said = network(&[]);
    said.found(&["warning hairpin"]);
    said.says("hairpin", "evidence", "5061");
    said.says("hairpin", "fix", &format!("forward these ports of {OTHER} to {PUBLIC}"));
    let said = network(&["--stun", PUBLIC]);
    said.found(&["error external", "warning hairpin"]);
    said.says("external", "fix", "external = [\"11.0.0.1=");
    let rival = world.spaces.command("house", "python3").args(["-c", RIVAL, OTHER, "5061"]).spawn();
    let mut rival = Rival(rival.expect("Python"));
    let said = wait(|| network(&[]), "error stranger");
    rival.end();
    said.found(&["warning hairpin", "error stranger"]);
    said.says("stranger", "message", "5061");
    world.house.set("network", "external", "[]");
    world.house.set("network", "addresses", "[\"10.1.2.3\"]");
    let said = network(&[]);
    assert!(said.kinds().contains("warning private"), "{:#}", said.json);
    let said = network(&["--stun", "11.0.0.9:3478"]);
    assert!(said.kinds().contains("warning stun-silent"), "{:#}", said.json);
}

/// Says hello as a mail server does, to whoever comes.
const RIVAL: &str = "import socket, sys\ns = socket.create_server((sys.argv[1], int(sys.argv[2])))\nwhile True:\n    \
                     c, _ = s.accept()\n    c.sendall(b'220 mail.example.org ESMTP\\r\\n')\n    c.close()\n";

struct Rival(std::process::Child);

impl Rival {
    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        self.end();
    }
}

/// Looks until that is found.
fn wait(mut look: impl FnMut() -> crate::visit::Said, kind: &str) -> crate::visit::Said {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let said = look();
        if said.kinds().contains(kind) || std::time::Instant::now() > end {
            return said;
        }
    }
}

#[test]
fn a_firewall_in_front_of_a_port() {
    let Some(world) = World::new() else { return };
    let rules = "table inet wall { chain in { type filter hook input priority 0; tcp dport 5223 drop; udp dport 5060 drop; }; }";
    let done = world.spaces.command("house", "nft").arg(rules).status();
    assert!(done.is_ok_and(|status| status.success()), "install it: nftables");
    let said = world.visit(&["--only", "network,sip,xmpp"]);
    said.found(&["error unreachable", "error sip-register"]);
    said.says("unreachable", "fix", "ufw allow 5223/tcp");
    said.says("sip-register", "fix", "ufw allow 5060/udp");
}

#[test]
fn clients_that_do_not_come_through() {
    let Some(world) = World::new() else { return };
    let password = world.house.dir().join("password");
    std::fs::write(&password, "never shown").expect("ours");
    let file = password.display().to_string();
    let roland = ["--only", "sip,xmpp", "--account", "roland@falcot.com", "--password-file", &file];
    world.visit(&roland).found(&[]);
    std::fs::write(&password, "another one").expect("ours");
    let said = world.visit(&roland);
    said.found(&["error sip-register", "error xmpp-login"]);
    said.says("xmpp-login", "fix", "parlour user passwd roland@falcot.com");
    assert!(world.house.cli(&["turn", "drain"], "").status.success());
    let said = world.visit(&["--only", "turn"]);
    said.found(&["error turn-allocate"]);
    said.says("turn-allocate", "fix", "parlour turn drain --off");
}

#[test]
fn a_relay_that_may_not_be_its_own_peer() {
    let peers = format!("[\"{PUBLIC}/32\"]");
    let Some(world) = World::with(&[("turn", "deny-peers", &peers)]) else { return };
    let said = world.visit(&["--only", "turn"]);
    said.found(&["error turn-permission"]);
    said.says("turn-permission", "evidence", "403");
}

#[test]
fn a_zone_that_says_something_else() {
    let Some(world) = World::new() else { return };
    let lines = world.lines();
    let without =
        |what: &str| lines.lines().filter(|line| !line.starts_with(what)).collect::<Vec<_>>().join("\n");
    let udp = "_sip._udp.falcot.com.";
    let cases: [(String, &[&str]); 4] = [
        (without(udp), &["error missing"]),
        (format!("{}\n_sip._udp IN SRV 0 0 5070 sip", without(udp)), &["error foreign", "error missing"]),
        (format!("{}\nsip IN CNAME ns", without("sip.falcot.com.")), &["error alias"]),
        (format!("{lines}\nsip IN A 11.0.0.77"), &["error foreign"]),
    ];
    for (lines, expected) in cases {
        let _dns = world.serve(&lines);
        world.visit(&[&["--only", "dns"][..], &DNS].concat()).found(expected);
    }
    let said = world.visit(&[&["--only", "dns"][..], &DNS].concat());
    assert_eq!(said.code, 1, "nobody answers: {:#}", said.json);
    said.says("zone", "fix", "parlour dns zone falcot.com");
}
