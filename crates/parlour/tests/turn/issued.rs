//! Credentials that end, as `parlour turn credentials` issues them, and secrets that change while the server runs.

use crate::client::{Client, Line};
use crate::sessions::{done, refused};
use crate::strangers::Talk;
use crate::{configure, house, prepare};
use std::time::Duration;
use testkit::House;

/// A new credential for roland: its name and password.
fn issue(house: &House, ttl: &str) -> (String, String) {
    let issued = done(house, &["turn", "credentials", "roland@falcot.com", "--ttl", ttl]);
    let text = |key: &str| issued[key].as_str().unwrap().to_owned();
    (text("username"), text("credential"))
}

fn allocate(house: &House, (name, password): &(String, String)) -> u16 {
    Client::new(Line::udp(house.port("turn.udp")), name, password).allocate()
}

#[test]
fn credentials_work_without_any_secret_configured() {
    let mut house = house();
    let issued = done(&house, &["turn", "credentials", "roland@falcot.com"]);
    let (udp, tls) = (house.port("turn.udp"), house.port("turn.tls"));
    let urls: Vec<_> = issued["urls"].as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
    assert!(urls.contains(&&*format!("turn:127.0.0.1:{udp}?transport=udp")), "{urls:?}");
    assert!(urls.contains(&&*format!("turns:127.0.0.1:{tls}?transport=tcp")), "{urls:?}");
    assert_eq!(allocate(&house, &issue(&house, "1h")), 0);
    assert_eq!(done(&house, &["turn", "sessions"])["sessions"][0]["user"], "roland@falcot.com");
    let (name, password) = issue(&house, "1h");
    assert_eq!(allocate(&house, &(format!("9{name}"), password)), 401, "a name of one's own making");
    let human = house.cli(&["turn", "credentials", "roland@sip.falcot.com"], "");
    let object: serde_json::Value = serde_json::from_slice(&human.stdout).unwrap();
    assert!(object["username"].as_str().unwrap().ends_with(":roland@falcot.com"), "{object}");
    refused(&house, &["turn", "credentials", "roland@example.org"], 2, "is not a domain of this house");
    refused(&house, &["turn", "credentials", "roland@falcot.com", "--ttl", "0s"], 2, "out of bounds");
    refused(
        &house,
        &["turn", "credentials", "roland@falcot.com", "--ttl", "soon"],
        2,
        "write a whole number",
    );
    house.kill();
    let issued = issue(&house, "1h");
    house.start();
    assert_eq!(allocate(&house, &issued), 0, "issued while no server ran");
}

#[test]
fn a_credential_ends() {
    let house = house();
    let issued = issue(&house, "1s");
    assert_eq!(allocate(&house, &issued), 0);
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(allocate(&house, &issued), 401);
}

/// The first secret makes new credentials, each takes them; a reload changes which, and no session ends.
#[test]
fn secrets_are_rotated_while_the_server_runs() {
    let mut house = prepare();
    std::fs::write(house.dir().join("old"), "north\n").unwrap();
    configure(&house, "secrets", r#"[{ file = "old" }]"#);
    house.start();
    let old = issue(&house, "1h");
    assert_eq!(allocate(&house, &old), 0);
    let mut talk = Talk::named(&house, &old.0, &old.1, Line::udp(house.port("turn.udp")));
    configure(&house, "secrets", r#"["east", { file = "old" }]"#);
    let reloaded = done(&house, &["reload"]);
    assert_eq!(reloaded["after_restart"], serde_json::json!([]));
    let new = issue(&house, "1h");
    assert_ne!(old.1, new.1);
    assert_eq!([allocate(&house, &old), allocate(&house, &new)], [0, 0]);
    configure(&house, "secrets", r#"["east"]"#);
    done(&house, &["reload"]);
    assert_eq!([allocate(&house, &old), allocate(&house, &new)], [401, 0]);
    talk.goes_on();
    let said = house.server().output();
    assert!(!said.contains("east") && !said.contains("north"), "{said}");
}
