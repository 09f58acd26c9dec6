//! Whose certificate a client is shown that says whom it means in its stream alone, by `openssl s_client`.

use std::process::{Command, Stdio};
use testkit::House;

/// The names in what a client is shown that asks for none inside TLS.
fn shown(house: &House, to: &str) -> String {
    let connect = format!("127.0.0.1:{}", house.port("xmpp.client"));
    let mut command = Command::new("openssl");
    command.args(["s_client", "-starttls", "xmpp", "-xmpphost", to, "-noservername", "-connect", &connect]);
    let said = command.stdin(Stdio::null()).stderr(Stdio::null()).output().expect("install openssl").stdout;
    let certificate = openssl::x509::X509::from_pem(&said).unwrap_or_else(|error| {
        panic!("{to}: {error}: {}", String::from_utf8_lossy(&said));
    });
    let names = certificate.subject_alt_names().expect("it has names");
    names.iter().filter_map(|name| name.dnsname()).collect::<Vec<_>>().join(" ")
}

#[test]
fn by_the_domain_that_the_stream_is_to() {
    let mut house = House::of(env!("CARGO_BIN_EXE_parlour")).prepare();
    let text = std::fs::read_to_string(house.config()).unwrap();
    let second = "\n[[domains]]\nname = \"second.test\"\naliases = [\"alias.test\"]\n";
    std::fs::write(house.config(), text + second).unwrap();
    house.start();
    for (to, expected) in
        [("falcot.com", "falcot.com"), ("second.test", "second.test"), ("alias.test", "second.test")]
    {
        let names = shown(&house, to);
        assert!(names.split(' ').any(|name| name == expected), "{to}: {names}");
    }
}
