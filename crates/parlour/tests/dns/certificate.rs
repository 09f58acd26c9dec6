//! Our own authority: shown to whoever installs it, and what it has issued renewed before it ends.

use crate::command::House;
use parlour::authority::Authority;
use parlour::{config, renewal};
use rcgen::{CertificateParams, Issuer, KeyPair};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use time::OffsetDateTime;

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join("data/certs").join(name)).expect("it is there")
}

/// Puts a certificate into the house that began and ends so many days from now.
fn age(folder: &Path, authority: (&str, &str), begins: i64, ends: i64) {
    let day = |days| OffsetDateTime::now_utc() + time::Duration::days(days);
    let mut params =
        CertificateParams::new(vec!["falcot.com".to_owned(), "old.falcot.com".to_owned()]).expect("names");
    (params.not_before, params.not_after) = (day(begins), day(ends));
    let issuer = Issuer::from_ca_cert_pem(authority.0, KeyPair::from_pem(authority.1).expect("a key"));
    let key = KeyPair::from_pem(&read(folder, "falcot.com.key")).expect("a key");
    let aged = params.signed_by(&key, &issuer.expect("an authority")).expect("signed").pem();
    std::fs::write(folder.join("data/certs/falcot.com.pem"), aged).expect("ours");
}

fn renew(folder: &Path) -> Option<std::path::PathBuf> {
    let plan = config::load(&folder.join("parlour.toml")).expect("valid");
    renewal::renew(&plan).expect("nothing is in the way")
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
    let names = plan.tls.expect("it is on").names;
    for name in ["old.falcot.com", "turn.falcot.com", "rooms.falcot.com"] {
        assert!(names.iter().any(|has| has == name), "{name} is missing in {names:?}");
    }
    assert_eq!(before, read(folder, "falcot.com.key"), "what is published of it stays true");
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
