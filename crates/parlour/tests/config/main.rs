//! Configurations and what is said of them: each fault with its line, column, key and the nearest right spelling.

mod certificates;
mod dns;
mod media;
mod sip;
mod turn;
mod xmpp;

use parlour::authority::Authority;
use parlour::config::plan::{DomainPlan, Host, Plan};
use parlour::config::{Refusal, keys, parse, template};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with the certificate that a configuration names.
fn house() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let issued =
        Authority::new("falcot.com").and_then(|authority| authority.issue(&["falcot.com".into()], &[]));
    let issued = issued.expect("a certificate");
    write(dir.path(), "c.pem", issued.certificate.as_bytes());
    write(dir.path(), "c.key", issued.key.expose());
    dir
}

fn write(dir: &Path, name: &str, content: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(dir.join(name), content).expect("written");
    std::fs::set_permissions(dir.join(name), PermissionsExt::from_mode(0o600)).expect("ours");
}

fn read(dir: &Path, text: &str) -> Result<Plan, Refusal> {
    parse(&dir.join("parlour.toml"), text.to_owned())
}

const DOMAIN: &str = "[[domains]]\nname = \"falcot.com\"\n";
const TLS: &str = "[tls]\ncertificate = \"c.pem\"\nkey = \"c.key\"\n";

/// Faults as `line:column key: message | help`.
fn check(text: &str, expected: &[&str]) {
    let dir = house();
    let refusal = read(dir.path(), text).err().unwrap_or_else(|| panic!("not refused:\n{text}"));
    let place = format!("{}/", dir.path().display());
    let found: Vec<String> = refusal
        .findings()
        .iter()
        .map(|f| format!("{}:{} {}: {} | {}", f.line, f.column, f.key, f.message, f.help).replace(&place, ""))
        .collect();
    assert_eq!(found, expected, "{text}");
}

fn plan(text: &str) -> Plan {
    read(house().path(), text).unwrap_or_else(|refusal| panic!("{refusal}"))
}

#[test]
fn the_least_that_is_needed_and_what_it_means() {
    let plan = plan(DOMAIN);
    assert_eq!(plan.domains[0].name.as_str(), "falcot.com");
    assert_eq!(plan.listeners().count(), 0);
    assert_eq!(plan.turn.relay_ports, 49_152..=65_535);
    assert!(plan.network.workers >= 1 && !plan.network.listed && plan.tls.is_none());
    assert_eq!(plan.storage.url, format!("sqlite:{}", plan.data.join("parlour.db").display()));
    assert_eq!(plan.admin.socket, plan.dir.join("data/admin.sock"));
}

#[test]
fn rooms_are_below_each_domain_unless_it_names_them() {
    let rooms = |text: &str| -> Vec<String> {
        let name = |domain: &DomainPlan| domain.rooms.as_ref().map_or("-".to_owned(), ToString::to_string);
        plan(text).domains.iter().map(name).collect()
    };
    let domains = "[[domains]]\nname = \"a.org\"\n[[domains]]\nname = \"b.org\"\nrooms = \"talk.b.org\"\n";
    assert_eq!(rooms(domains), ["rooms.a.org", "talk.b.org"]);
    assert_eq!(rooms(&format!("{domains}[xmpp]\nrooms = \"muc\"\n")), ["muc.a.org", "talk.b.org"]);
    assert_eq!(rooms(&format!("{domains}[xmpp]\nrooms = \"\"\n")), ["-", "talk.b.org"]);
    // A name that somebody has stays theirs.
    assert_eq!(rooms("[[domains]]\nname = \"a.org\"\naliases = [\"rooms.a.org\"]\n"), ["-"]);
}

#[test]
fn everything_that_can_be_written() {
    let text = template::text(|section, key| match (section, key) {
        ("tls", "source") => Some("\"files\"".into()),
        ("tls", "certificate") => Some("\"c.pem\"".into()),
        ("tls", "key") => Some("\"c.key\"".into()),
        ("network", "external") => Some("[\"203.0.113.5=192.0.2.5\"]".into()),
        ("network", "addresses") => Some("[\"192.0.2.5\", \"2001:db8::5\"]".into()),
        ("turn", "dtls") => Some("[\":5350\"]".into()),
        ("turn", "allow-peers") => Some("[\"10.0.0.0/8\", \"::1\"]".into()),
        ("sip", "udp") => Some("[\"192.0.2.5:5060\", \"[2001:db8::5]:5060\", \"127.0.0.1:0\"]".into()),
        _ => None,
    });
    for section in keys::SECTIONS {
        assert!(section.keys.iter().all(|key| text.contains(&format!("\n{} = ", key.name))), "{text}");
    }
    let plan = plan(&text);
    assert_eq!(plan.domains[0].admins[0].as_str(), "joe@falcot.com");
    assert_eq!(plan.domains[0].rooms.as_ref().map(wire::Domain::as_str), Some("conference.falcot.com"));
    assert_eq!(plan.listeners().count(), 24, "those of HTTPS are everybody's");
    assert_eq!(plan.sip.origins, ["https://falcot.com"]);
    assert_eq!(plan.admin.metrics.len(), 1);
    assert_eq!(plan.sip.udp[1].host, Host::One("2001:db8::5".parse().expect("valid")));
    assert_eq!(plan.turn.allow_peers[1].to_string(), "::1/128");
    let ip = |text: &str| -> IpAddr { text.parse().expect("valid") };
    let network = &plan.network;
    assert_eq!(network.public(ip("192.0.2.5")), ip("203.0.113.5"));
    assert_eq!(network.public_addresses(), [ip("203.0.113.5"), ip("2001:db8::5")]);
    assert!(
        network.listed && network.own.contains(&ip("192.0.2.5")) && network.own.contains(&ip("203.0.113.5"))
    );
    let every = parlour::config::host::all_addresses();
    assert!(every.iter().all(|address| network.own.contains(address)), "listed or not, they are ours");
    assert!(plan.tls.is_some_and(|tls| tls.names().eq(["falcot.com"])));
}

#[test]
fn without_a_list_the_addresses_are_those_of_the_host() {
    let network = plan(DOMAIN).network;
    assert!(!network.listed);
    assert_eq!(network.addresses, parlour::config::host::addresses());
}

#[test]
fn unknown_keys_are_met_with_the_nearest_right_spelling() {
    check(
        "[[domains]]\nname = \"falcot.com\"\nalias = []\n[trun]\n[turn]\nupd = []\nrelay_ports = \"1-2\"\ncertificate = \"x\"\nbanana = 1\n",
        &[
            "3:1 domains.alias: there is no key `alias` under `[[domains]]` | did you mean `aliases`?",
            "4:2 trun: there is no table or key `trun` here | did you mean `[turn]`?",
            "6:1 turn.upd: there is no key `upd` under `[turn]` | did you mean `udp`?",
            "7:1 turn.relay_ports: there is no key `relay_ports` under `[turn]` | did you mean `relay-ports`?",
            "8:1 turn.certificate: there is no key `certificate` under `[turn]` | `certificate` belongs under `[tls]`",
            "9:1 turn.banana: there is no key `banana` under `[turn]` | there are `udp`, `tcp`, `tls`, `dtls`, `relay-ports`, `relay-addresses`, `allow-peers`, `deny-peers`, `secrets`, `oauth-keys`, `oauth-server`, `quota`, `bandwidth`, `limits`, `mobility`, `alternate-server`, `drain`, `gathering`, `xdp`, `software`",
        ],
    );
}

#[test]
fn tables_and_values_of_the_wrong_kind() {
    check("[domains]\nname = \"falcot.com\"\n", &["1:2 domains: domains is written as [[domains]] | "]);
    check(
        &format!(
            "{DOMAIN}aliases = \"sip.falcot.com\"\n[network]\nworkers = \"2\"\naddresses = [5]\n[storage]\nurl = []\n"
        ),
        &[
            "3:11 domains.aliases: `aliases` takes a list of texts | as in `aliases = [\"sip.falcot.com\"]`",
            "5:11 network.workers: `workers` takes a whole number | as in `workers = 0`",
            "6:14 network.addresses: `addresses` takes a list of texts | as in `addresses = [\"…\"]`",
            "8:7 storage.url: `url` takes a text in quotes | as in `url = \"sqlite:data/parlour.db\"`",
        ],
    );
}

#[test]
fn what_is_not_toml() {
    let dir = house();
    let refusal = read(dir.path(), "[[domains]]\nname = falcot.com\n[turn\n").expect_err("refused");
    let findings = refusal.findings();
    assert!(findings.len() >= 2, "{refusal}");
    assert_eq!((findings[0].line, findings[0].column), (2, 8), "{refusal}");
    assert!(findings[0].message.starts_with("this is not TOML: "), "{refusal}");
}

#[test]
fn domains() {
    check(
        "",
        &[
            "0:0 domains.name: no domain is configured | add a table `[[domains]]` with `name = \"example.org\"`",
        ],
    );
    check("[[domains]]\n", &["1:1 domains.name: a domain without a name | add `name = \"example.org\"`"]);
    check("[[domains]]\nname = \"fal cot\"\n", &["2:8 domains.name: `fal cot` is not a domain name | "]);
    check(
        "[[domains]]\nname = \"192.0.2.1\"\n",
        &["2:8 domains.name: `192.0.2.1` is not a domain name | it is an address; give the house a name"],
    );
    let twice = "a name belongs to one domain, as its name, alias or rooms";
    check(
        "[[domains]]\nname = \"falcot.com\"\naliases = [\"Falcot.COM\"]\n[[domains]]\nname = \"a.org\"\nrooms = \"falcot.com.\"\n",
        &[
            &format!("3:12 domains.aliases: `falcot.com` is named twice, first in line 2 | {twice}"),
            &format!("6:9 domains.rooms: `falcot.com` is named twice, first in line 2 | {twice}"),
        ],
    );
    check(
        &format!("{DOMAIN}admins = [\"joe@falcott.com\", \"joe\"]\n"),
        &[
            "3:11 domains.admins: falcott.com is not a domain of this house | did you mean \"joe@falcot.com\"?",
            "3:30 domains.admins: no user part: an address is written user@domain | ",
        ],
    );
}

#[test]
fn listeners() {
    let syntax = "write \":5060\", \"192.0.2.1:5060\" or \"[2001:db8::1]:5060\"";
    check(
        &format!(
            "{DOMAIN}[sip]\nudp = [\"5060\", \":99999\", \"::1:5060\", \"127.0.0.1\", \"localhost:5060\", \"[::1]:x\", \"?\"]\n"
        ),
        &[
            "4:8 sip.udp: `5060` is not a listener | did you mean \":5060\"?",
            "4:16 sip.udp: `99999` is not a port | a port is a number from 1 to 65535; 0 is any free one",
            "4:26 sip.udp: `::1:5060` is not a listener | did you mean \"[::1]:5060\"?",
            &format!("4:38 sip.udp: `127.0.0.1` is not a listener | a port is missing; {syntax}"),
            "4:51 sip.udp: `localhost:5060` is not a listener | did you mean \"127.0.0.1:5060\"? names are not looked up",
            "4:69 sip.udp: `x` is not a port | a port is a number from 1 to 65535; 0 is any free one",
            &format!("4:80 sip.udp: `?` is not a listener | {syntax}"),
        ],
    );
}

#[test]
fn the_web_server_behind_is_another_one() {
    let text = |upstream: &str| {
        let web = "http = [\":8080\"]\nhttps = [\"127.0.0.2:8443\"]";
        format!("{DOMAIN}{TLS}[web]\n{web}\nupstream = \"{upstream}\"\n")
    };
    for (upstream, place) in [
        ("127.0.0.1:8080", "`:8080` of web.http"),
        ("[::1]:8080", "`:8080` of web.http"),
        ("127.0.0.2:8443", "`127.0.0.2:8443` of web.https"),
    ] {
        let fault = format!(
            "9:12 web.upstream: `{upstream}` is this server itself, by {place} | give the other web server a port of its own"
        );
        check(&text(upstream), &[&fault]);
    }
    for other in ["127.0.0.1:8081", "192.0.2.99:8080", "127.0.0.1:8443"] {
        assert_eq!(
            plan(&text(other)).web.upstream.map(|address| address.to_string()).as_deref(),
            Some(other)
        );
    }
}

#[test]
fn clashes() {
    let help = "choose another port, or another address on both sides";
    check(
        &format!(
            "{DOMAIN}{TLS}[turn]\nudp = [\":3478\"]\ntcp = [\":3478\"]\ntls = [\"127.0.0.1:3478\"]\n[sip]\nudp = [\"[::1]:3478\", \"127.0.0.1:5060\", \"127.0.0.2:5060\", \":0\"]\ntcp = [\"0.0.0.0:5060\", \"127.0.0.1:5060\", \"[::1]:5060\", \":0\"]\n"
        ),
        &[
            &format!(
                "9:8 turn.tls: `127.0.0.1:3478` of turn.tls clashes with `:3478` of turn.tcp in line 8 | {help}"
            ),
            &format!(
                "11:8 sip.udp: `[::1]:3478` of sip.udp clashes with `:3478` of turn.udp in line 7 | {help}"
            ),
            &format!(
                "12:24 sip.tcp: `127.0.0.1:5060` of sip.tcp clashes with `0.0.0.0:5060` of sip.tcp in line 12 | {help}"
            ),
        ],
    );
}

#[test]
fn services_share_a_port_when_it_is_written_alike() {
    let help = "choose another port, or another address on both sides";
    let text = |tcp: &str, sealed: &str| {
        format!(
            "{DOMAIN}{TLS}[turn]\nudp = [\"{tcp}\"]\ntcp = [\"{tcp}\"]\ntls = [\"{sealed}\"]\ndtls = [\"{sealed}\"]\n"
        )
    };
    assert_eq!(plan(&text(":3478", ":3478")).listeners().count(), 4);
    check(
        &text(":3478", "127.0.0.1:3478"),
        &[
            &format!(
                "9:8 turn.tls: `127.0.0.1:3478` of turn.tls clashes with `:3478` of turn.tcp in line 8 | {help}"
            ),
            &format!(
                "10:9 turn.dtls: `127.0.0.1:3478` of turn.dtls clashes with `:3478` of turn.udp in line 7 | {help}"
            ),
        ],
    );
    let sip = "[sip]\ntcp = [\":5060\"]\ntls = [\":5060\"]\nws = [\":5060\"]\n";
    assert_eq!(plan(&format!("{DOMAIN}{TLS}{sip}")).listeners().count(), 3);
    let others = "[turn]\ntcp = [\":5060\"]\ntls = [\":5060\"]\n[xmpp]\nclient = [\":5060\"]\nclient-tls = [\":5060\"]\n";
    assert_eq!(plan(&format!("{DOMAIN}{TLS}{sip}{others}")).listeners().count(), 7);
    let apart = "udp = [\":5060\"]\n[turn]\nudp = [\":5060\"]\ntcp = [\":5060\", \":5060\"]\n[admin]\nmetrics = [\":5060\"]\n";
    check(
        &format!("{DOMAIN}{TLS}{sip}{apart}"),
        &[
            &format!("10:8 sip.udp: `:5060` of sip.udp clashes with `:5060` of turn.udp in line 12 | {help}"),
            &format!(
                "13:17 turn.tcp: `:5060` of turn.tcp clashes with `:5060` of turn.tcp in line 13 | {help}"
            ),
            &format!(
                "15:12 admin.metrics: `:5060` of admin.metrics clashes with `:5060` of turn.tcp in line 13 | {help}"
            ),
        ],
    );
}

#[test]
fn where_browsers_come_in() {
    let text = |more: &str| format!("{DOMAIN}{TLS}[sip]\nws = [\":5080\"]\nwss = [\":5080\"]\n{more}");
    assert_eq!(
        plan(&text("origins = [\"HTTPS://Falcot.com:8443\"]")).sip.origins,
        ["https://falcot.com:8443"]
    );
    let all = plan(&text("origins = [\"*\"]"));
    assert_eq!(all.sip.origins, ["*"]);
    let warned = |text: &&String| text.starts_with("sip.origins: scripts of every page may open WebSockets");
    assert_eq!(all.warnings.iter().filter(warned).count(), 1, "{:?}", all.warnings);
    assert_eq!(plan(&text("")).warnings.iter().filter(warned).count(), 0);
    check(
        &text("tcp = [\":5080\"]\norigins = [\"falcot.com\", \"https://falcot.com/\"]"),
        &[
            "10:12 sip.origins: `falcot.com` is not the origin of a page | write scheme and host alone, as in \"https://falcot.com\"",
            "10:26 sip.origins: `https://falcot.com/` is not the origin of a page | write scheme and host alone, as in \"https://falcot.com\"",
        ],
    );
}

#[test]
fn peers_and_handshakes() {
    let text = |more: &str| format!("{DOMAIN}[sip]\nudp = [\":5060\"]\n{more}");
    let peers =
        plan(&text("peers = [\"Example.ORG = *.Provider.net\", \"example.net=sbc.provider.net\"]")).sip.peers;
    let expected = [("example.org", "*.provider.net"), ("example.net", "sbc.provider.net")];
    assert_eq!(peers, expected.map(|(domain, name)| (domain.to_owned(), name.to_owned())));
    let help = "write \"DOMAIN=NAME\", as in \"example.org=sbc.provider.net\"";
    check(
        &text("peers = [\"example.org\", \"example.org=192.0.2.1\"]"),
        &[
            &format!("5:10 sip.peers: `example.org` is not a domain and a name | {help}"),
            &format!("5:25 sip.peers: `example.org=192.0.2.1` is not a domain and a name | {help}"),
        ],
    );
    let limits =
        |more: &str| plan(&format!("{DOMAIN}[network]\n{more}")).network.limits.handshakes_per_source;
    assert_eq!((limits(""), limits("limits = { handshakes-per-source = 0 }")), (200, 0));
}

#[test]
fn an_address_of_ours_has_one_public_side_alone() {
    check(
        &format!(
            "{DOMAIN}[network]\naddresses = [\"127.0.0.1\", \"127.0.0.2\"]\nexternal = [\"203.0.113.5=127.0.0.1\", \"203.0.113.5=127.0.0.2\", \"home.dyn.example=127.0.0.1\", \"203.0.113.6=127.0.0.2\"]\n"
        ),
        &[
            "5:63 network.external: 127.0.0.1 has a public side already | leave one of them: an address, or a name that is followed",
            "5:93 network.external: 127.0.0.2 has a public side already | leave one of them: an address, or a name that is followed",
        ],
    );
}

#[test]
fn numbers_addresses_and_ranges() {
    check(
        &format!(
            "{DOMAIN}[network]\nworkers = -1\naddresses = [\"0.0.0.0\", \"host\"]\nexternal = [\"192.0.2.1\", \"192.0.2.1=::1\", \"a b.example=192.0.2.5\"]\n[turn]\nrelay-ports = \"5-3\"\nallow-peers = [\"10.1.2.3/8\", \"10.0.0.0/33\", \"x\"]\n[storage]\nurl = \"postgres://x\"\n"
        ),
        &[
            "4:11 network.workers: -1 workers cannot be had | a number from 1 to 1024, or 0 for one per core",
            "5:14 network.addresses: `0.0.0.0` is not an address of a host | write \"192.0.2.1\" or \"2001:db8::1\"",
            "5:25 network.addresses: `host` is not an address of a host | write \"192.0.2.1\" or \"2001:db8::1\"",
            "6:13 network.external: `192.0.2.1` is not a pair of addresses | write \"PUBLIC=PRIVATE\", as in \"203.0.113.5=192.0.2.5\"",
            "6:26 network.external: one address is IPv4, the other IPv6 | write \"PUBLIC=PRIVATE\", as in \"203.0.113.5=192.0.2.5\"",
            "6:43 network.external: `a b.example` is not an address of a host | write \"192.0.2.1\" or \"2001:db8::1\"",
            "8:15 turn.relay-ports: `5-3` ends before it begins | write \"49152-65535\"",
            "9:16 turn.allow-peers: `10.1.2.3/8` has bits behind its prefix | did you mean \"10.0.0.0/8\"?",
            "9:30 turn.allow-peers: a prefix of 33 bits is longer than the address | ",
            "9:45 turn.allow-peers: `x` is not a network | write \"192.0.2.0/24\", \"2001:db8::/32\" or one address",
            "11:7 storage.url: `postgres://x` is not a storage that parlour knows | write \"sqlite:PATH\", as in \"sqlite:data/parlour.db\"",
        ],
    );
}

#[test]
fn certificates() {
    let need = "a certificate of \"files\" has both, `certificate` and `key`";
    check(
        &format!("{DOMAIN}[tls]\nsource = \"files\"\n"),
        &[&format!("0:0 tls.certificate: `certificate` is missing under `[tls]` | {need}")],
    );
    check(
        &format!("{DOMAIN}[tls]\ncertificate = \"c.pem\"\n"),
        &[&format!("0:0 tls.key: `key` is missing under `[tls]` | {need}")],
    );
    check(
        &format!("{DOMAIN}[tls]\ncertificate = \"none.pem\"\nkey = \"none.key\"\n"),
        &[
            "4:15 tls.certificate: none.pem cannot be read: No such file or directory (os error 2) | ",
            "5:7 tls.key: none.key cannot be read: No such file or directory (os error 2) | ",
        ],
    );
    check(
        &format!("{DOMAIN}[tls]\ncertificate = \"c.key\"\nkey = \"c.pem\"\n"),
        &[
            "4:15 tls.certificate: no certificate is in c.key | ",
            "5:7 tls.key: no private key is in c.pem | ",
        ],
    );
    let (dir, other) = (house(), house());
    let key = other.path().join("c.key");
    let text = format!("{DOMAIN}[tls]\ncertificate = \"c.pem\"\nkey = \"{}\"\n", key.display());
    let refusal = read(dir.path(), &text).expect_err("refused");
    assert_eq!(refusal.faults[0].message, format!("the key in {} is not this certificate's", key.display()));
}

#[test]
fn what_is_valid_but_deserves_a_look() {
    use std::os::unix::fs::PermissionsExt;
    let dir = house();
    std::fs::set_permissions(dir.path().join("c.key"), PermissionsExt::from_mode(0o644)).expect("ours");
    let text = format!(
        "{DOMAIN}aliases = [\"falcot.org\"]\n{TLS}[turn]\nudp = [\":50000\"]\n[sip]\nudp = [\"203.0.113.77:5060\"]\n\
         [network]\naddresses = [\"203.0.113.77\"]\n"
    );
    let warnings = read(dir.path(), &text).expect("valid").warnings.join("\n");
    for part in [
        "others may read",
        "it is not for falcot.org",
        "port 50000 lies among turn.relay-ports",
        "sip.udp: 203.0.113.77 is not an address of this host",
        "network.addresses: 203.0.113.77 is not an address of this host",
    ] {
        assert!(warnings.contains(part), "{part}\n{warnings}");
    }
}

#[test]
fn a_refusal_as_people_read_it() {
    let text = "[[domains]]\nname = \"fälcot.com\" # é\nroom = \"x\"\n[turn]\nudp = [\":3478\", \":3478\"]\n";
    let file = PathBuf::from("/etc/parlour/parlour.toml");
    let refusal = parse(&file, text.to_owned()).expect_err("refused");
    let expected = "\
error: there is no key `room` under `[[domains]]`
 --> /etc/parlour/parlour.toml:3:1
  |
3 | room = \"x\"
  | ^^^^
  = help: did you mean `rooms`?

error: `:3478` of turn.udp clashes with `:3478` of turn.udp in line 5
 --> /etc/parlour/parlour.toml:5:17
  |
5 | udp = [\":3478\", \":3478\"]
  |                 ^^^^^^^
  = help: choose another port, or another address on both sides
";
    assert_eq!(refusal.to_string(), expected);
}

/// Whatever a file holds, it is judged, and each fault can be shown.
#[test]
fn no_text_is_too_broken_to_be_judged() {
    let dir = house();
    let template = template::text(|_, _| None);
    let whole: Vec<char> = format!("{template}# ünïcödé → [[\n").chars().collect();
    let mut seeded = testkit::Seeded::new(7);
    let mut next = move |limit: usize| {
        let number = wire::Entropy::next_u64(&mut seeded) >> 32;
        usize::try_from(number).expect("32 bits") % limit
    };
    let pieces = ["\"", "[", "]", "[[", "=", "\n", "é", "'''", "0x", "-1", "{", "\0", ".", "\r", ":", "#"];
    for _ in 0..3000 {
        let mut text = whole.clone();
        for _ in 0..=next(4) {
            let begin = next(text.len());
            let end = (begin + next(30)).min(text.len());
            drop(text.splice(begin..end, pieces[next(pieces.len())].chars()));
        }
        if let Err(refusal) = read(dir.path(), &text.iter().collect::<String>()) {
            assert_eq!(refusal.findings().len(), refusal.faults.len());
            assert!(refusal.to_string().contains("error: "));
        }
    }
}

#[test]
fn what_listens_for_https_is_everybody_s_who_is_on() {
    let rows = |text: &str| -> Vec<String> {
        let plan = plan(&format!("{DOMAIN}{TLS}[web]\nhttps = [\":443\"]\n{text}"));
        plan.listeners()
            .map(|(service, transport, listener)| format!("{service} {transport} {listener}"))
            .collect()
    };
    assert_eq!(rows("[turn]\n"), ["web tls :443"], "nobody else is on");
    assert_eq!(rows("share = false\n[sip]\nudp = [\":5060\"]\n"), ["sip udp :5060", "web tls :443"]);
    assert_eq!(
        rows("[turn]\nudp = [\":3478\"]\n"),
        ["turn udp :3478", "turn udp :443", "turn tls :443", "turn dtls :443", "web tls :443"]
    );
    assert_eq!(
        rows("[turn]\ntcp = [\":3478\"]\n"),
        ["turn tcp :3478", "turn tls :443", "web tls :443"],
        "no datagrams where there are none elsewhere"
    );
    assert_eq!(
        rows("[sip]\nudp = [\":443\"]\n[turn]\ntls = [\":443\"]\n"),
        ["turn tls :443", "sip udp :443", "sip tls :443", "sip wss :443", "web tls :443"],
        "SIP's datagrams are not told apart from channels"
    );
    assert_eq!(
        rows("[xmpp]\nclient = [\":5222\"]\nweb = [\":5280\"]\n"),
        [
            "xmpp tcp :5222",
            "xmpp tls :443",
            "xmpp ws :5280",
            "xmpp wss :5280",
            "xmpp wss :443",
            "web tls :443"
        ]
    );
    // What only the kernel can say the port of is nobody else's.
    let plan = plan(&format!("{DOMAIN}{TLS}[web]\nhttps = [\":0\"]\n[sip]\nudp = [\":5060\"]\n"));
    assert_eq!(plan.listeners().count(), 2);
}

/// The page for administrators names every listener with its usual port.
#[test]
fn the_page_on_ports_has_every_listener() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ports.md"))
        .expect("the page is there");
    let is_listener = |key: &&keys::Key| key.example.starts_with("[\":") || key.name == "metrics";
    let mut count = 0;
    for section in keys::SECTIONS {
        for key in section.keys.iter().filter(is_listener) {
            let name = format!("`{}.{}` |", section.name, key.name);
            let port = key.example.rsplit(':').next().and_then(|text| text.split('"').next());
            let row = page.lines().find(|line| line.ends_with(&name)).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(row.split('|').nth(1).map(str::trim), port, "{row}");
            count += 1;
        }
    }
    assert!(count >= 15, "{count}");
}
