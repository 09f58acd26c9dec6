//! TURN by XMPP (XEP-0215): Debian's client relays with what an XMPP client was handed out.

use super::raw::Raw;
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::process::run;

const PACKAGE: &str = "apt install coturn";

/// The value of an attribute behind some text.
fn value(text: &str, behind: &str, attribute: &str) -> String {
    let rest = text.split_once(behind).unwrap_or_else(|| panic!("no {behind} in {text}")).1;
    let rest = rest.split_once(&format!("{attribute}='")).expect("the attribute is there").1;
    rest.split('\'').next().unwrap_or_default().to_owned()
}

#[test]
fn turnutils_relays_with_a_credential_of_xmpp() {
    let house = super::builder()
        .set("turn", "allow-peers", r#"["127.0.0.0/8"]"#)
        .set("network", "addresses", r#"["127.0.0.1"]"#)
        .start();
    let mut roland = Raw::session(&house, "roland", "phone");
    roland.send(
        "<iq type='get' to='falcot.com' id='x'><services xmlns='urn:xmpp:extdisco:2' type='turn'/></iq>",
    );
    roland.expect("</services>");
    let told = roland.heard();
    let service = "<service type='turn' host='127.0.0.1'";
    let [name, password] = ["username", "password"].map(|attribute| value(&told, service, attribute));
    assert!(name.ends_with(":roland@falcot.com"), "{name}");
    for (transport, flag) in [("udp", None), ("tcp", Some("-t"))] {
        let listener = format!("turn.{transport}");
        let place = format!("{service} port='{}' transport='{transport}'", house.port(&listener));
        assert!(told.contains(&place), "no {place} in {told}");
        let mut client = Command::new("turnutils_uclient");
        client.args(flag).args(["-y", "-u", &name, "-w", &password, "-n", "25", "-z", "4", "-l", "161"]);
        client.args(["-p", &house.port(&listener).to_string(), "127.0.0.1"]);
        let (code, output) = run(&mut client, PACKAGE, Duration::from_secs(60));
        let lost = output.lines().rev().find(|line| line.contains("Total lost packets"));
        let all = lost.is_some_and(|line| line.contains("Total lost packets 0 "));
        assert!(code == Some(0) && all, "{transport}: {code:?}\n{output}");
    }
    let mut wrong = Command::new("turnutils_uclient");
    wrong.args(["-y", "-u", &name, "-w", "secret-roland", "-n", "1"]);
    wrong.args(["-p", &house.port("turn.udp").to_string(), "127.0.0.1"]);
    let (code, output) = run(&mut wrong, PACKAGE, Duration::from_secs(60));
    assert!(code != Some(0) && output.contains("Cannot complete Allocation"), "{code:?}\n{output}");
}

/// The host that clients are told of for TURN inside TLS, once it is not `other` any more.
fn told_of(raw: &mut Raw, other: &str) -> String {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        raw.send(
            "<iq type='get' to='falcot.com' id='x'><services xmlns='urn:xmpp:extdisco:2' type='turns'/></iq>",
        );
        raw.expect("</services>");
        let told = raw.heard();
        let last = told.rsplit("<services").next().unwrap_or_default().to_owned();
        let host = value(&last, "<service", "host");
        if host != other {
            return host;
        }
        assert!(Instant::now() < end, "{last}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whoever follows the address has to find it in the certificate.
#[test]
fn clients_are_told_another_host_when_the_certificate_names_another() {
    let house = super::builder().set("network", "addresses", r#"["127.0.0.1"]"#).start();
    let mut roland = Raw::session(&house, "roland", "phone");
    assert_eq!(told_of(&mut roland, ""), "127.0.0.1");
    let certs = house.dir().join("data/certs/falcot.com");
    let [chain, key] = ["pem", "key"].map(|end| certs.with_extension(format!("com.{end}")));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-nodes", "-days", "9", "-subj", "/CN=falcot.com", "-newkey", "rsa:2048"]);
    command
        .args(["-addext", "subjectAltName=DNS:turn.falcot.com", "-out"])
        .arg(chain)
        .arg("-keyout")
        .arg(key);
    assert!(command.output().expect("openssl is there").status.success());
    assert_eq!(told_of(&mut roland, "127.0.0.1"), "turn.falcot.com");
}
