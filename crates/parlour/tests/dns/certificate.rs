//! Our own authority: shown to whoever installs it, and what it has issued renewed before it ends.

use crate::command::House;
use parlour::authority::Authority;
use parlour::{config, renewal};
use rcgen::{CertificateParams, Issuer, KeyPair};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use time::OffsetDateTime;

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join("data/certs").join(name)).expect("it is there")
}

/// Puts a certificate into the house that began and ends so many days from now.
fn age(folder: &Path, authority: (&str, &str), begins: i64, ends: i64) {
    let wanted = ["falcot.com", "old.falcot.com", "*.falcot.com", "localhost", "127.0.0.1", "::1"];
    put(folder, authority, (begins, ends), &wanted);
}

/// The same for these names.
fn put(folder: &Path, authority: (&str, &str), (begins, ends): (i64, i64), names: &[&str]) {
    let day = |days| OffsetDateTime::now_utc() + time::Duration::days(days);
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    (params.not_before, params.not_after) = (day(begins), day(ends));
    let issuer = Issuer::from_ca_cert_pem(authority.0, KeyPair::from_pem(authority.1).expect("a key"));
    let key = KeyPair::from_pem(&read(folder, "falcot.com.key")).expect("a key");
    let aged = params.signed_by(&key, &issuer.expect("an authority")).expect("signed").pem();
    std::fs::write(folder.join("data/certs/falcot.com.pem"), aged).expect("ours");
}

fn renew(folder: &Path) -> Option<std::path::PathBuf> {
    let plan = config::load(&folder.join("parlour.toml")).expect("valid");
    let (mut written, faults) = renewal::renew(&plan);
    assert_eq!((faults, written.len() <= 1), (Vec::new(), true));
    written.pop()
}

#[test]
fn the_root_is_shown_with_its_fingerprint() {
    let house = House::init("falcot.com");
    let said = house.run(&["ca", "show"]).done();
    let openssl = "openssl x509 -in data/certs/authority.pem -noout -fingerprint -sha256 | sed 's/.*=//'";
    let output =
        Command::new("sh").args(["-c", openssl]).current_dir(house.path()).output().expect("a shell");
    let fingerprint = String::from_utf8(output.stdout).expect("hexadecimal");
    assert!(said.contains(&format!("SHA-256 {}", fingerprint.trim())), "{said}");
    assert!(said.contains(read(house.path(), "authority.pem").trim()), "{said}");
    assert_eq!(house.run(&["ca", "show", "--json"]).json()["subject"], "CN=Parlour of falcot.com");
    std::fs::remove_file(house.path().join("data/certs/authority.pem")).expect("ours");
    house.run(&["ca", "show"]).refused(1, "this house has no authority of its own");
}

/// A sudden end while the authority was made leaves its key; a lost certificate of it is made again for the same key, so that
/// those who trust the one of before go on.
#[test]
fn an_authority_of_which_there_is_a_key_alone_is_made_whole() {
    let house = House::init("falcot.com");
    let (folder, certs) = (house.path(), house.path().join("data/certs"));
    let (key, issued) = (read(folder, "authority.key"), read(folder, "falcot.com.pem"));
    let before = read(folder, "authority.pem");
    std::fs::remove_file(certs.join("falcot.com.pem")).expect("ours");
    std::fs::remove_file(certs.join("falcot.com.key")).expect("ours");
    std::fs::remove_file(certs.join("authority.pem")).expect("ours");
    assert!(renew(folder).is_some());
    assert_eq!(read(folder, "authority.key"), key, "it stays");
    assert_ne!(read(folder, "authority.pem"), before);
    let verified = |root: &str, chain: &str| {
        for (name, text) in [("root", root), ("chain", chain)] {
            std::fs::write(folder.join(name), text).expect("ours");
        }
        let done =
            Command::new("openssl").args(["verify", "-CAfile", "root", "chain"]).current_dir(folder).output();
        done.expect("openssl").status.success()
    };
    let (root, new) = (read(folder, "authority.pem"), read(folder, "falcot.com.pem"));
    for (root, chain) in [(&root, &new), (&root, &issued), (&before, &new)] {
        assert!(verified(root, chain));
    }
    std::fs::remove_file(certs.join("authority.pem")).expect("ours");
    std::fs::remove_file(certs.join("falcot.com.pem")).expect("ours");
    std::fs::write(certs.join("authority.key"), "?").expect("ours");
    let plan = config::load(&folder.join("parlour.toml"));
    let faults = plan.map(|plan| renewal::renew(&plan).1.concat()).unwrap_or_else(|fault| fault.to_string());
    assert!(faults.contains("authority.key"), "{faults}");
}

#[test]
fn what_our_authority_has_issued_is_renewed_when_a_third_is_left() {
    let house = House::init("falcot.com");
    let folder = house.path();
    let (root, key) = (read(folder, "authority.pem"), read(folder, "authority.key"));
    assert_eq!(renew(folder), None, "it is new");
    age(folder, (&root, &key), -50, 40);
    assert_eq!(renew(folder), None, "more than a third is left");
    age(folder, (&root, &key), -60, 29);
    let before = read(folder, "falcot.com.key");
    assert_eq!(renew(folder), Some(folder.canonicalize().expect("there").join("data/certs/falcot.com.pem")));
    let plan = config::load(&folder.join("parlour.toml")).expect("the key is still this certificate's");
    let names: Vec<_> = plan.tls.expect("it is on").names().map(str::to_owned).collect();
    for name in ["old.falcot.com", "turn.falcot.com", "rooms.falcot.com"] {
        assert!(names.iter().any(|has| has == name), "{name} is missing in {names:?}");
    }
    assert_eq!(before, read(folder, "falcot.com.key"), "what is published of it stays true");
    assert_eq!(renew(folder), None, "once is enough");
    put(folder, (&root, &key), (-1, 89), &["falcot.com"]);
    assert!(renew(folder).is_some(), "it lacks what the configuration wants");
    assert_eq!(renew(folder), None, "once is enough");
    let other = Authority::new("example.org").expect("an authority").own();
    let key = String::from_utf8(other.key.expose().to_vec()).expect("PEM");
    age(folder, (&other.certificate, &key), -60, 1);
    assert_eq!(renew(folder), None, "that is another's to renew");
    std::fs::remove_file(folder.join("data/certs/authority.key")).expect("ours");
    assert_eq!(renew(folder), None, "nobody can");
}

#[test]
fn a_running_server_renews_it_and_shows_the_new_one() {
    let mut house = testkit::House::of(env!("CARGO_BIN_EXE_parlour")).prepare();
    let folder = house.dir().to_owned();
    age(&folder, (&read(&folder, "authority.pem"), &read(&folder, "authority.key")), -60, 2);
    house.start();
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{} -CAfile data/certs/authority.pem -verify_return_error </dev/null | \
         openssl x509 -noout -ext subjectAltName",
        house.port("sip.tls")
    );
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let output = Command::new("sh").args(["-c", &script]).current_dir(&folder).output().expect("a shell");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        if shown.contains("DNS:turn.falcot.com") && shown.contains("DNS:old.falcot.com") {
            break;
        }
        assert!(Instant::now() < end, "{shown}\n{}", house.server().output());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What a client is shown that asks for a name (`None`: for none), as far as it can be verified.
fn shown(house: &testkit::House, listener: &str, name: Option<&str>) -> String {
    let port = house.port(listener);
    let asks = name.map_or("-noservername".to_owned(), |name| format!("-servername {name}"));
    let dtls = if listener.ends_with(".dtls") { "-dtls" } else { "" };
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} {dtls} {asks} -CAfile data/certs/authority.pem -verify_return_error \
         </dev/null | openssl x509 -noout -ext subjectAltName"
    );
    let output = Command::new("sh").args(["-c", &script]).current_dir(house.dir()).output().expect("a shell");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn each_domain_has_a_certificate_of_its_own_and_a_new_one_gets_it_at_a_reload() {
    let mut house = testkit::House::of(env!("CARGO_BIN_EXE_parlour")).domain("falcot.com").prepare();
    let config = std::fs::read_to_string(house.config()).expect("ours");
    let second = |name: &str| {
        let component = format!("[{{ name = \"irc.{name}\", secret = \"x\", listen = \"127.0.0.1:0\" }}]");
        let config = config.replace("\ncomponents = []\n", &format!("\ncomponents = {component}\n"));
        format!("{config}\n[[domains]]\nname = \"{name}\"\n")
    };
    std::fs::write(house.config(), second("example.org")).expect("ours");
    house.start();
    for listener in ["sip.tls", "turn.tls", "turn.dtls"] {
        for (asked, is, is_not) in [
            (Some("example.org"), "DNS:rooms.example.org", "falcot.com"),
            (Some("irc.example.org"), "DNS:irc.example.org", "falcot.com"),
            (Some("turn.falcot.com"), "DNS:turn.falcot.com", "example.org"),
            (Some("unknown.example"), "DNS:falcot.com", "example.org"),
            (None, "DNS:localhost", "example.org"),
        ] {
            let names = shown(&house, listener, asked);
            assert!(names.contains(is) && !names.contains(is_not), "{asked:?} at {listener}: {names}");
        }
    }
    std::fs::write(house.config(), second("example.net")).expect("ours");
    let output = house.cli(&["reload"], "");
    assert!(output.status.success(), "{output:?}");
    assert!(shown(&house, "sip.tls", Some("example.net")).contains("DNS:irc.example.net"));
    assert!(shown(&house, "sip.tls", Some("example.org")).contains("DNS:falcot.com"), "it has left");
}

#[test]
fn a_house_without_an_authority_gets_one() {
    let mut house = testkit::House::of(env!("CARGO_BIN_EXE_parlour")).domain("falcot.com").prepare();
    std::fs::remove_dir_all(house.dir().join("data/certs")).expect("ours");
    house.start();
    assert!(shown(&house, "sip.tls", Some("sip.falcot.com")).contains("DNS:sip.falcot.com"));
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt;
        let facts = std::fs::metadata(house.dir().join("data/certs").join(name)).expect("it is there");
        facts.permissions().mode() & 0o777
    };
    assert_eq!(
        ["authority.key", "falcot.com.key", "authority.pem", ""].map(mode),
        [0o600, 0o600, 0o644, 0o700]
    );
}

#[test]
fn what_is_put_in_its_place_and_does_not_fit_is_not_shown() {
    let mut house = testkit::House::of(env!("CARGO_BIN_EXE_parlour")).domain("falcot.com").prepare();
    house.start();
    let file = house.dir().join("data/certs/falcot.com.pem");
    std::fs::write(&file, "nonsense").expect("ours");
    let end = Instant::now() + Duration::from_secs(60);
    while !house.server().output().contains("a certificate stays as it was") {
        assert!(Instant::now() < end, "{}", house.server().output());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(shown(&house, "sip.tls", None).contains("DNS:falcot.com"), "the last good one");
}

#[test]
fn one_that_nobody_renews_is_told_in_the_log_the_status_and_the_metrics() {
    let mut house = testkit::House::of(env!("CARGO_BIN_EXE_parlour"))
        .domain("falcot.com")
        .set("admin", "metrics", "[\"127.0.0.1:0\"]")
        .prepare();
    let other = Authority::new("example.org").expect("an authority").own();
    let key = String::from_utf8(other.key.expose().to_vec()).expect("PEM");
    age(house.dir(), (&other.certificate, &key), -60, 29);
    house.start();
    let end = Instant::now() + Duration::from_secs(60);
    while !house.server().output().contains("a certificate ends: a third of its life or less is left") {
        assert!(Instant::now() < end, "{}", house.server().output());
        std::thread::sleep(Duration::from_millis(50));
    }
    let status = house.cli(&["--json", "status"], "");
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert!(status.to_string().contains("certificate-ends"), "{status:#}");
    let listeners = status["listeners"].as_array().expect("a list");
    let door = listeners.iter().find(|one| one["service"] == "metrics").expect("it is open");
    let mut stream = TcpStream::connect(door["address"].as_str().expect("an address")).expect("it is open");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("answered");
    assert!(text.contains("\nparlour_certificates_due 1\n"), "{text}");
}
