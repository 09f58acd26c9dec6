//! What `[turn]` and `[admin]` may say, and what is said of what they must not.

use super::{DOMAIN, TLS, check, house, plan, read, write};
use std::time::Duration;
use wire::Secret;

#[test]
fn what_absence_means() {
    let turn = plan(DOMAIN).turn;
    assert!(turn.dtls.is_empty() && turn.secrets.is_empty() && turn.relay_addresses.is_empty());
    assert!(turn.mobility && !turn.software && turn.xdp.is_none() && turn.oauth_server.is_none());
    assert_eq!((turn.quota.user, turn.quota.domain, turn.quota.total), (4_096, 100_000, 100_000));
    assert_eq!((turn.bandwidth.session, turn.bandwidth.user), (0, 0));
    assert_eq!((turn.drain, turn.gathering), (Duration::ZERO, Duration::ZERO));
    assert_eq!((turn.limits.permissions, turn.limits.channels), (256, 256));
    assert_eq!((turn.limits.lifetime.as_secs(), turn.limits.lifetime_max.as_secs()), (600, 3600));
    assert_eq!(turn.limits.strangers, 500);
    assert!(plan(DOMAIN).admin.metrics.is_empty());
}

#[test]
fn everything_that_can_be_written() {
    let text = format!(
        "{DOMAIN}{TLS}[turn]\ndtls = [\":5349\"]\nrelay-addresses = [\"127.0.0.1\"]\ndeny-peers = [\"203.0.113.0/24\"]\n\
         mobility = false\nalternate-server = [\"192.0.2.2:3478\", \"[2001:db8::2]:3478\"]\ndrain = \"5m\"\n\
         gathering = \"500us\"\nxdp = \"lo\"\nsoftware = true\nbandwidth = {{ session = \"8 Mbit/s\", user = 2_000_000 }}\n\
         [turn.quota]\nuser = 10\ntotal = 500\n[turn.limits]\npermissions = 16\nchannels = 8\nlifetime = \"5m\"\n\
         lifetime-max = \"30m\"\nstrangers = 0\n[admin]\nmetrics = [\"127.0.0.1:9641\", \":0\"]\n"
    );
    let plan = plan(&text);
    let turn = &plan.turn;
    assert_eq!(turn.dtls[0].port, 5349);
    assert_eq!(turn.relay_addresses, ["127.0.0.1".parse::<std::net::IpAddr>().expect("an address")]);
    assert_eq!(turn.deny_peers[0].to_string(), "203.0.113.0/24");
    assert!(!turn.mobility && turn.software);
    assert_eq!(turn.alternate_servers[1].to_string(), "[2001:db8::2]:3478");
    assert_eq!((turn.drain, turn.gathering), (Duration::from_secs(300), Duration::from_micros(500)));
    assert_eq!(turn.xdp.as_deref(), Some("lo"));
    assert_eq!((turn.bandwidth.session, turn.bandwidth.user), (1_000_000, 2_000_000));
    assert_eq!((turn.quota.user, turn.quota.domain, turn.quota.total), (10, 500, 500));
    assert_eq!((turn.limits.permissions, turn.limits.channels), (16, 8));
    assert_eq!((turn.limits.lifetime.as_secs(), turn.limits.lifetime_max.as_secs()), (300, 1800));
    assert_eq!(turn.limits.strangers, 0);
    assert_eq!(plan.admin.metrics.len(), 2);
    let warning =
        "admin.metrics: :0 answers whoever reaches this host, without a password; \"127.0.0.1:0\" does not";
    assert_eq!(plan.warnings, [warning]);
}

#[test]
fn secrets_from_the_file_itself_and_from_another() {
    let dir = house();
    write(dir.path(), "turn.secret", b"north wind\n");
    write(dir.path(), "north.key", b"AAECAwQFBgcICQoLDA0ODw==\n");
    let text = format!(
        "{DOMAIN}[turn]\nsecrets = [\"sea\", {{ file = \"turn.secret\" }}]\n\
         oauth-keys = [{{ kid = \"north\", key = {{ file = \"north.key\" }} }}, {{ kid = \"short\", key = \"c2hvcnQ=\" }}]\n"
    );
    let plan = read(dir.path(), &text).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(plan.turn.secrets, [Secret::new("sea"), Secret::new("north wind")]);
    let key: Vec<u8> = (0..16).collect();
    assert_eq!(
        (plan.turn.oauth_keys[0].kid.as_str(), &plan.turn.oauth_keys[0].key),
        ("north", &Secret::new(key))
    );
    assert_eq!(plan.turn.oauth_server.as_deref(), Some("falcot.com"));
    assert_eq!(plan.warnings, ["turn.oauth-keys: the key `short` is shorter than 16 octets"]);
    let shown = format!("{plan:?}");
    assert!(!shown.contains("sea") && !shown.contains("north wind") && !shown.contains("c2hvcnQ"), "{shown}");
}

#[test]
fn a_credential_is_left_out_where_systemd_gave_none() {
    let plan = plan(&format!("{DOMAIN}[turn]\nsecrets = [{{ credential = \"turn\" }}]\n"));
    assert!(plan.turn.secrets.is_empty());
    let expected =
        "turn.secrets: the credential `turn` is left out, for $CREDENTIALS_DIRECTORY is not set here";
    assert_eq!(plan.warnings, [expected]);
}

#[test]
fn secrets_that_are_none() {
    check(
        &format!(
            "{DOMAIN}[turn]\nsecrets = [\"\", {{ file = \"none\" }}, {{ flie = \"x\" }}, {{ credential = \"../x\" }}, 5]\n"
        ),
        &[
            "4:12 turn.secrets: the secret is empty | an empty secret is known to everybody",
            "4:16 turn.secrets: none cannot be read: No such file or directory (os error 2) | ",
            "4:35 turn.secrets: `secrets` takes a list of secrets, each a text, `{ file = \"…\" }` or `{ credential = \"…\" }` | as in `secrets = [{ file = \"…\" }]`",
            "4:51 turn.secrets: `../x` is not the name of a credential | ",
            "4:76 turn.secrets: `secrets` takes a list of secrets, each a text, `{ file = \"…\" }` or `{ credential = \"…\" }` | as in `secrets = [{ file = \"…\" }]`",
        ],
    );
    let form = "write { kid = \"north\", key = { file = \"north.key\" } }";
    check(
        &format!(
            "{DOMAIN}[turn]\noauth-keys = [{{ kid = \"a\" }}, {{ kid = \"b\", key = \"?\" }}, {{ kid = \"c\", key = \"YQ==\" }}, {{ kid = \"c\", key = \"YQ==\" }}, {{ kdi = \"d\", key = \"YQ==\" }}]\n"
        ),
        &[
            &format!("4:15 turn.oauth-keys.key: a key without `key` | {form}"),
            "4:49 turn.oauth-keys.key: the key is not written in base64 | openssl rand -base64 32 makes one",
            "4:93 turn.oauth-keys.kid: the key `c` is there already | each key has a name of its own",
            "4:116 turn.oauth-keys.kdi: there is no key `kdi` under `[[turn.oauth-keys]]` | did you mean `kid`?",
        ],
    );
}

/// Neither a fault about a secret, nor one beside it, nor a misspelt key shows it.
#[test]
fn no_refusal_shows_a_secret() {
    for text in [
        "[turn]\nsecrets = [\"hunter2\", \"\"]\n",
        "[turn]\nsecret = [\"hunter2\"]\n",
        "[turn]\nSecrets = \"hunter2\"\n",
        "[turn]\nsecrets = \"hunter2\"\n",
        "secrets = [\"hunter2\"]\n",
        "[turn]\nsecrets = [\"hunter2\" \"x\"]\n",
        "[turn]\nsecrets = [\n\"hunter2\n\"]\n",
        "[turn]\noauth-keys = [{ kid = \"a\", key = \"hunter2\", x = 1 }]\n",
        "[turn]\noauth-key = [{ kid = \"a\", key = \"hunter2\" }]\n",
        "turn = { secrets = [\"hunter2\"], upd = [] }\n",
        "[turn.secrets]\nfirst = \"hunter2\"\n",
    ] {
        let dir = house();
        let refusal = read(dir.path(), &format!("{DOMAIN}{text}")).expect_err(text);
        let shown = format!("{refusal} {:?}", refusal.findings());
        assert!(!shown.contains("hunter2"), "{text}\n{shown}");
    }
}

#[test]
fn numbers_and_units() {
    check(
        &format!(
            "{DOMAIN}[turn]\ndrain = \"soon\"\ngathering = \"1s\"\nquota = {{ user = 0, totl = 5 }}\n\
             bandwidth = {{ session = \"8 Mb/s\", user = true }}\nmobility = \"yes\"\nxdp = \"eth0/1\"\n\
             alternate-server = [\"192.0.2.2\", \"turn.falcot.org:3478\"]\nlimits = {{ channels = 5000, lifetime = \"2h\" }}\n"
        ),
        &[
            "4:9 turn.drain: `soon` is not a length of time | write a whole number and us, ms, s, m, h or d, as in \"10s\"",
            "5:13 turn.gathering: `1s` is out of bounds | from 0s to 20ms",
            "6:18 turn.quota.user: 0 is out of bounds | from 1 to 10000000",
            "6:21 turn.quota.totl: there is no key `totl` under `[turn.quota]` | did you mean `total`?",
            "7:25 turn.bandwidth.session: `8 Mb/s` is not a rate | write \"8 Mbit/s\", \"1 MB/s\" or octets in a second, as in 1000000; 0 is without a bound",
            "7:42 turn.bandwidth.user: `user` takes a whole number, or a text with a unit | as in `user = \"8 Mbit/s\"`",
            "8:12 turn.mobility: `mobility` takes true or false | as in `mobility = true`",
            "9:7 turn.xdp: `eth0/1` is not the name of a network interface | ",
            "10:21 turn.alternate-server: `192.0.2.2` is not the address of a server | did you mean \"192.0.2.2:3478\"?",
            "10:34 turn.alternate-server: `turn.falcot.org:3478` is not the address of a server | write \"192.0.2.2:3478\" or \"[2001:db8::2]:3478\"",
            "11:23 turn.limits.channels: 5000 is out of bounds | from 1 to 4096",
            "11:40 turn.limits.lifetime: `2h` is longer than lifetime-max | at most 1h",
        ],
    );
    check(
        &format!("{DOMAIN}[turn]\nquota = 5\noauth-keys = \"x\"\n"),
        &[
            "4:9 turn.quota: `quota` takes a table | as in `quota = { user = 4096, domain = 100000, total = 100000 }`",
            "5:14 turn.oauth-keys: `oauth-keys` takes a list of tables | as in `oauth-keys = [{ kid = \"…\", key = \"…\" }]`",
        ],
    );
}

#[test]
fn metrics_must_not_take_another_listener_s_port() {
    check(
        &format!("{DOMAIN}[turn]\ntcp = [\":3478\"]\n[admin]\nmetrics = [\"127.0.0.1:3478\"]\n"),
        &[
            "6:12 admin.metrics: `127.0.0.1:3478` of admin.metrics clashes with `:3478` of turn.tcp in line 4 | choose another port, or another address on both sides",
        ],
    );
}
