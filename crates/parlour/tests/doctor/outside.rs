//! What the world sees: addresses, listeners, the DNS, and a client of each protocol.

use crate::world::{OTHER, PUBLIC, World};
use testkit::House;
use testkit::nameserver::{NameServer, zone};

/// Asks the name server inside, in the place of those that the world would name.
const DNS: [&str; 4] = ["--server", "127.0.0.1", "--authority", "127.0.0.1"];

#[test]
fn silent_on_a_good_installation() {
    let Some(world) = World::new() else { return };
    all_is_well(&world);
    // The guests are gone.
    let users = world.house.cli(&["user", "list"], "");
    assert_eq!(String::from_utf8_lossy(&users.stdout).trim(), "roland@falcot.com");
}

/// The host itself is among those whose streams begin with a proxy's header.
#[test]
fn silent_in_the_network_of_the_proxy() {
    let Some(world) = World::with(&[("web", "proxy-protocol", "[\"11.0.0.0/8\"]")]) else { return };
    all_is_well(&world);
    for via in ["tcp", "tls"] {
        let done = world.command(&["turn", "test", "--via", via, "--count", "3"]).output().expect("it runs");
        assert!(done.status.success(), "{via}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

/// Everything is looked at, and nothing found.
fn all_is_well(world: &World) {
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
fn others_that_speak_the_protocol_in_our_place() {
    let Some(world) = World::new() else { return };
    world.house.set("network", "external", &format!("[\"{OTHER}={PUBLIC}\"]"));
    let look = || world.visit(&["--only", "network,web"]);
    let other = House::of(crate::visit::BINARY).domain("elsewhere.test").prepare();
    let file = |end: &str| other.dir().join(format!("data/certs/elsewhere.test.{end}")).display().to_string();
    let (certificate, key, at) = (file("pem"), file("key"), format!("{OTHER}:5061"));
    let words = ["s_server", "-quiet", "-accept", &at, "-cert", &certificate, "-key", &key];
    let mut command = world.spaces.command("house", "openssl");
    let rival = command.args(words).stdin(std::process::Stdio::piped()).spawn();
    let mut rival = Rival(rival.expect("openssl"));
    let said = wait(look, "error certificate-shown");
    rival.end();
    said.says("certificate-shown", "evidence", "elsewhere.test");
    // A web server where our way to https should be.
    let mut command = world.spaces.command("house", "python3");
    let rival = command.args(["-m", "http.server", "--bind", OTHER, "80"]).current_dir(other.dir());
    let rival = rival.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn();
    let mut rival = Rival(rival.expect("Python"));
    let said = wait(look, "error web-page");
    rival.end();
    said.says("web-page", "evidence", "/ answers 200");
}

/// A server with two addresses outside (RFC 5780), a NAT, and a host behind it.
const NAT: &str = "
    link add s1 netns @server type veth peer name w netns @nat
    link add lan netns @nat type veth peer name e netns @host
    -n @server addr add 11.0.0.1/24 dev s1
    -n @server addr add 11.0.0.2/24 dev s1
    -n @nat addr add 11.0.0.3/24 dev w
    -n @nat addr add 192.168.1.1/24 dev lan
    -n @host addr add 192.168.1.5/24 dev e
    -n @server link set s1 up
    -n @nat link set w up
    -n @nat link set lan up
    -n @host link set e up
    -n @host route add default via 192.168.1.1
";

#[test]
fn a_nat_that_gives_each_destination_another_port() {
    let Some(spaces) = testkit::spaces::Spaces::make(&["server", "nat", "host"], NAT) else { return };
    spaces.nat("nat", "w");
    let corners = "[\"11.0.0.1:3478\", \"11.0.0.1:3479\", \"11.0.0.2:3478\", \"11.0.0.2:3479\"]";
    let _server = crate::visit::house().set("turn", "udp", corners).within(&spaces.name("server")).start();
    let house = crate::visit::house().set("network", "addresses", "[\"192.168.1.5\"]").prepare();
    let look = || {
        let mut command = spaces.command("host", crate::visit::BINARY);
        command.arg("--config").arg(house.config());
        command.args(["doctor", "--json", "--only", "network", "--stun", "11.0.0.1"]);
        crate::visit::visit_by(&house, command, "yes")
    };
    // Ports by chance are the same now and then.
    let said = wait(look, "warning nat-symmetric");
    said.found(&["error external", "warning nat-symmetric", "warning private"]);
    said.says("external", "fix", "external = [\"11.0.0.3=192.168.1.5\"]");
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
    said.found(&["error silent"]);
    said.says("silent", "fix", "see that the name server runs");
}

#[test]
fn another_domain_by_way_of_the_server() {
    let Some(world) = World::with(&[("network", "resolver", "[\"127.0.0.1\"]")]) else { return };
    let root = |house: &House| {
        let root = house.dir().join("data/certs/authority.pem");
        format!("[\"{}\"]", root.display())
    };
    let other = House::of(crate::visit::BINARY).domain("falcot.org").within(&world.spaces.name("house"));
    let other =
        other.set("tls", "roots", &root(&world.house)).set("sip", "tls", &format!("[\"{OTHER}:5061\"]"));
    let other = other.set("network", "workers", "1").start();
    let zones = [
        ("falcot.com", zone("falcot.com", 1, &world.lines())),
        ("falcot.org", zone("falcot.org", 1, &format!("_sips._tcp IN SRV 0 0 5061 sip\nsip IN A {OTHER}"))),
    ];
    let zones: Vec<(&str, &str)> = zones.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let _dns = NameServer::bind_within(&world.spaces, "house", &zones);
    let ask = || world.visit(&["--only", "federation", "--federation", "falcot.org"]);
    let said = ask();
    said.found(&["error federation-sip"]);
    said.says("federation-sip", "fix", "tls.roots");
    world.house.set("tls", "roots", &root(&other));
    assert!(world.house.cli(&["reload"], "").status.success());
    let said = ask();
    said.found(&[]);
    let said = format!("{:#}", said.json);
    assert!(said.contains("falcot.org answers in SIP"), "{said}");
}

/// A stranger at this domain, who trusts no authority, or that of the house.
fn stranger(world: &World, trusting: bool) -> crate::visit::Said {
    let mut command = world.spaces.command("house", crate::visit::BINARY);
    command.args(["doctor", "--json", "--outside", "falcot.com", "--server", "127.0.0.1"]);
    if trusting {
        command.env("SSL_CERT_FILE", world.house.dir().join("data/certs/authority.pem"));
    }
    crate::visit::visit_by(&world.house, command, "yes")
}

#[test]
fn a_stranger_follows_the_dns_and_finds_everybody() {
    let Some(world) = World::new() else { return };
    let lines = world.lines();
    let without =
        |what: &str| lines.lines().filter(|line| !line.starts_with(what)).collect::<Vec<_>>().join("\n");
    {
        let _dns = world.serve(&lines);
        let said = stranger(&world, true);
        said.found(&[]);
        let seen = said.json["areas"][0]["seen"].as_array().expect("a list").iter();
        let answers =
            seen.filter(|line| line.as_str().is_some_and(|line| line.ends_with(" answers"))).count();
        assert!(answers >= 9, "{:#}", said.json);
        stranger(&world, false).found(&["warning certificate-untrusted"]);
    }
    {
        let _dns = world.serve(&without("sip.falcot.com."));
        stranger(&world, true).found(&["error no-address"]);
    }
    {
        let other = format!("{}\n_sips._tcp IN SRV 0 0 5222 sip", without("_sips._tcp.falcot.com."));
        let _dns = world.serve(&other);
        let said = stranger(&world, true);
        said.found(&["error silent"]);
        said.says("silent", "fix", "ufw allow 5222/tcp");
    }
    {
        let _dns = world.serve("");
        stranger(&world, true).found(&["error nothing"]);
    }
    stranger(&world, true).found(&["error resolver"]);
}
