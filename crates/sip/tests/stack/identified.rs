//! Users who have proven who they are by a certificate need no password, on the connection that they have shown it on.

use crate::house::{House, directory};
use crate::request;
use sip::stack::Input;
use std::sync::Arc;
use std::time::Duration;
use wire::{Address, ConnectionId, Transport};

const BOB: &str = "198.51.100.2:5061";
const HOUR: Duration = Duration::from_secs(3600);

fn address(user: &str) -> Address {
    Address::new(user, "falcot.com").unwrap()
}

fn register(user: &str, number: u32) -> String {
    let to = format!("<sip:{user}@falcot.com>");
    let contact = format!("Contact: <sip:{user}@{BOB};transport=tls>\r\n");
    let branch = format!("{user}{number}");
    let text = request("REGISTER", "sip:falcot.com", BOB, &branch, (&format!("{to};tag=r"), &to), &contact);
    text.replace("SIP/2.0/UDP", "SIP/2.0/TLS").replace("CSeq: 1 ", &format!("CSeq: {number} "))
}

fn message(user: &str, number: u32) -> String {
    let parties = (&*format!("<sip:{user}@falcot.com>;tag=a"), "<sip:carol@falcot.com>");
    let text = request("MESSAGE", "sip:carol@falcot.com", BOB, &format!("m{number}"), parties, "");
    text.replace("SIP/2.0/UDP", "SIP/2.0/TLS")
}

/// A house of two workers with a connection of somebody who has shown a certificate of these users, good for an hour.
fn shown(worker: usize, users: &[&str]) -> (House, ConnectionId) {
    let mut house = House::with(2, |config| config.authenticate = true);
    let conn = house.connect(u16::try_from(worker).unwrap(), Transport::Tls, BOB);
    let until = testkit::epoch(house.now).unix(house.now) + HOUR;
    let users = users.iter().map(|user| address(user)).collect();
    house.input(worker, Input::Identified { conn, users, until });
    (house, conn)
}

fn answered(house: &mut House, conn: ConnectionId, text: &str) -> u16 {
    let sent = house.stream(conn, text);
    let line = sent.iter().find(|sent| sent.to == BOB).expect("an answer").first_line().to_owned();
    line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
}

#[test]
fn whoever_has_shown_a_certificate_registers_and_speaks_without_a_password_at_home_and_elsewhere() {
    for worker in [0, 1] {
        let (mut house, conn) = shown(worker, &["bob"]);
        assert_eq!(answered(&mut house, conn, &register("bob", 1)), 200);
        assert_eq!(
            house.stacks[usize::from(address("bob").home(2).0)].contacts(house.now, &address("bob")).len(),
            1
        );
        assert_eq!(house.proofs.last(), Some(&(Some("bob@falcot.com".to_owned()), true)));
        assert_eq!(
            answered(&mut house, conn, &message("bob", 1)),
            480,
            "carol is nowhere; who asks is known"
        );
        // Of nobody else, and on no other way.
        assert_eq!(answered(&mut house, conn, &register("alice", 1)), 401);
        assert_eq!(answered(&mut house, conn, &message("alice", 2)), 407);
        let other = house.connect(u16::try_from(worker).unwrap(), Transport::Tls, BOB);
        assert_eq!(answered(&mut house, other, &register("bob", 2)), 401);
        assert_eq!(answered(&mut house, conn, &register("bob", 3)), 200, "it is still known on its own");
    }
}

#[test]
fn a_certificate_that_ends_is_taken_back_or_is_of_nobody_proves_nothing() {
    for worker in [0, 1] {
        let (mut house, conn) = shown(worker, &["bob", "nobody"]);
        assert_eq!(answered(&mut house, conn, &register("bob", 1)), 200);
        assert_eq!(answered(&mut house, conn, &register("nobody", 1)), 401, "there is no such account");
        house.wait(HOUR - Duration::from_secs(60));
        assert_eq!(answered(&mut house, conn, &register("bob", 2)), 200);
        house.wait(Duration::from_secs(60));
        assert_eq!(answered(&mut house, conn, &register("bob", 3)), 401, "it has ended");
        let (mut house, conn) = shown(worker, &["bob"]);
        house.stacks.iter_mut().for_each(|stack| stack.forget_identity(&address("alice")));
        assert_eq!(answered(&mut house, conn, &register("bob", 1)), 200);
        house.stacks.iter_mut().for_each(|stack| stack.forget_identity(&address("bob")));
        assert_eq!(answered(&mut house, conn, &register("bob", 2)), 401, "it was taken back");
        let (mut house, conn) = shown(worker, &["bob"]);
        for directory in [Arc::new(directory().with([(address("bob"), None)])), directory()] {
            let now = house.now;
            house.stacks.iter_mut().for_each(|stack| stack.set_directory(now, Arc::clone(&directory)));
        }
        assert_eq!(answered(&mut house, conn, &register("bob", 1)), 401, "another bob has come instead");
        let (mut house, conn) = shown(worker, &["bob"]);
        house.lock("bob@falcot.com", None);
        assert_eq!(answered(&mut house, conn, &register("bob", 1)), 401, "the account is locked");
    }
}
