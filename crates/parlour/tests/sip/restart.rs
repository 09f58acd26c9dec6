//! Calls through the relay while the server is ended and comes back: both sides are heard, and the call ends as any other.

use crate::agent::SOON;
use crate::configured;
use crate::media::{Call, Ear, HOME, count, hear, released, rtp, told};
use crate::phones::Phone;
use crate::storage::hold;
use std::net::UdpSocket;
use std::time::{Duration, Instant};
use testkit::House;
use testkit::house::{Builder, free_ports};

/// Ports for the relay that no other test's server takes while this one is away.
const PORTS: u16 = 40;

fn house(further: impl FnOnce(Builder) -> Builder) -> House {
    let first = free_ports(PORTS);
    let range = format!("\"{first}-{}\"", first + PORTS - 1);
    configured(|house| further(house.set("media", "rtp-ports", &range)))
}

/// A call of somebody who says that it is at home.
fn relayed() -> Call {
    Call::new(house(|house| house), |ear| ear.sdp(HOME))
}

/// How the server ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// As before an upgrade.
    InOrder,
    /// As in a power failure.
    Killed,
}

fn end(house: &mut House, end: End) {
    match end {
        End::InOrder => {
            house.server().terminate();
            assert_eq!(house.server().wait(SOON), Some(0));
        }
        End::Killed => {
            kept(house);
            house.kill();
        }
    }
}

/// Waits until what is known of relayed calls is in the database.
fn kept(house: &House) {
    let until = Instant::now() + SOON;
    while count(house, "media.calls-unsaved") > 0 {
        assert!(Instant::now() < until, "it is not kept");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Both have been heard, at both of their ports.
fn speak(call: &Call) {
    let [to_joe, to_roland] = call.told();
    let [roland, joe] = &call.ears;
    roland.rtp.send_to(&rtp(1), to_joe.0).unwrap();
    assert!(joe.hears().is_some());
    joe.rtp.send_to(&rtp(2), to_roland.0).unwrap();
    assert!(roland.hears().is_some());
    roland.rtcp.send_to(b"\x80\xc8report", to_joe.1).unwrap();
    assert!(hear(&joe.rtcp).is_some());
}

/// The first packet of either is heard by the other, and nobody else's is.
fn hear_at_once(call: &Call) {
    let [to_joe, to_roland] = call.told();
    let [roland, joe] = &call.ears;
    Ear::at("127.0.0.66").rtp.send_to(&rtp(66), to_joe.0).unwrap();
    joe.rtp.send_to(&rtp(3), to_roland.0).unwrap();
    assert_eq!(roland.hears(), Some((rtp(3), to_joe.0)));
    roland.rtp.send_to(&rtp(4), to_joe.0).unwrap();
    assert_eq!(joe.hears(), Some((rtp(4), to_roland.0)));
    joe.rtcp.send_to(b"\x80\xc9back", to_roland.1).unwrap();
    assert_eq!(hear(&roland.rtcp), Some((b"\x80\xc9back".to_vec(), to_joe.1)));
}

/// Roland says anew where he is: where both are told to send after that.
fn invite_again(call: &mut Call) -> [(std::net::SocketAddr, std::net::SocketAddr); 2] {
    call.roland.within_with("INVITE", &call.answered, &call.ears[0].sdp(HOME));
    let asked = call.joe.expect("INVITE ");
    call.joe.reply_with(&asked, "200 OK", &call.ears[1].sdp("127.0.0.3"));
    let answered = call.roland.expect("SIP/2.0 200");
    call.roland.within("ACK", &call.answered);
    call.joe.expect("ACK ");
    [told(answered.body()), told(asked.body())]
}

fn goes_on(how: End, workers: &str) {
    let mut call = relayed();
    speak(&call);
    end(&mut call.house, how);
    call.house.set("network", "workers", workers);
    call.house.start();
    assert_eq!(count(&call.house, "media.calls"), 1);
    hear_at_once(&call);
    let told = call.told();
    assert_eq!(invite_again(&mut call), told, "it is the same relay");
    hear_at_once(&call);
    call.hang_up();
    released(&call.house);
    for (rtp, rtcp) in told {
        assert!(UdpSocket::bind(rtp).is_ok() && UdpSocket::bind(rtcp).is_ok(), "the ports are free");
    }
    kept(&call.house);
    end(&mut call.house, End::Killed);
    call.house.start();
    assert_eq!(count(&call.house, "media.calls"), 0, "what is over stays over");
}

#[test]
fn a_relayed_call_outlives_an_upgrade() {
    goes_on(End::InOrder, "2");
}

#[test]
fn a_relayed_call_outlives_a_sudden_end() {
    goes_on(End::Killed, "2");
}

#[test]
fn a_relayed_call_outlives_a_restart_with_other_workers() {
    goes_on(End::Killed, "5");
    goes_on(End::InOrder, "1");
}

#[test]
fn a_call_whose_ports_are_taken_meanwhile_is_relayed_anew() {
    let mut call = relayed();
    speak(&call);
    let before = call.told();
    end(&mut call.house, End::Killed);
    let thief = UdpSocket::bind(before[0].1).unwrap();
    call.house.start();
    assert_eq!(count(&call.house, "media.calls"), 0);
    let said = call.house.server().output();
    assert!(said.contains("calls lose their relay"), "{said}");
    let now = invite_again(&mut call);
    assert!(now.iter().all(|one| !before.contains(one)), "{now:?} {before:?}");
    call.ears[0].rtp.send_to(&rtp(1), now[0].0).unwrap();
    assert_eq!(call.ears[1].hears(), Some((rtp(1), now[1].0)));
    call.hang_up();
    released(&call.house);
    drop(thief);
    kept(&call.house);
    end(&mut call.house, End::Killed);
    call.house.start();
    assert_eq!(count(&call.house, "media.calls"), 0);
}

/// The database is held while a call begins, until it is said to have failed: nobody waits for it, and the call is kept when it is
/// free again.
#[test]
fn a_held_database_holds_up_no_relayed_call() {
    let house = house(|house| house);
    let mut holder = hold(&house);
    let mut call = Call::new(house, |ear| ear.sdp(HOME));
    speak(&call);
    call.house.server().expect("the database cannot be written", SOON);
    assert_eq!(count(&call.house, "media.calls-unsaved"), 1);
    holder.kill();
    end(&mut call.house, End::Killed);
    call.house.start();
    hear_at_once(&call);
}

/// Two telephones with a tone each way, which know nothing of the server's end.
fn tones_go_on(how: End) {
    let mut house = house(|house| house.set("media", "relay", "\"always\""));
    let joe = Phone::start(&house, "joe", ("udp", ""), 1000.0, None).registered();
    let roland = Phone::start(&house, "roland", ("udp", ""), 440.0, Some("sip:joe@falcot.com"));
    assert!(joe.hears(440.0) > 8000.0 && roland.hears(1000.0) > 8000.0);
    end(&mut house, how);
    house.start();
    let heard = [joe.heard().len(), roland.heard().len()];
    assert!(joe.hears_after(heard[0], 440.0) > 8000.0 && roland.hears_after(heard[1], 1000.0) > 8000.0);
    assert_eq!(count(&house, "media.calls"), 1);
    roland.program.terminate();
    joe.program.expect("terminated", Duration::from_secs(10));
    released(&house);
}

#[test]
fn two_phones_hear_one_another_after_an_upgrade() {
    tones_go_on(End::InOrder);
}

#[test]
fn two_phones_hear_one_another_after_a_sudden_end() {
    tones_go_on(End::Killed);
}
