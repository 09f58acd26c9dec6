//! Media through the relay of the real binary: agents at different loopback addresses that say they are elsewhere, as
//! phones behind NATs do.

use crate::agent::{A_WHILE, Agent, Heard, SOON, proof};
use crate::{PASSWORD, house};
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;
use testkit::House;

const JOE: &str = "sip:joe@falcot.com";

/// Where a phone behind a NAT says it is.
pub(crate) const HOME: &str = "192.168.1.5";

/// A phone's two ports for sound.
pub(crate) struct Ear {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
}

impl Ear {
    pub(crate) fn at(ip: &str) -> Self {
        let bind = || {
            let socket = UdpSocket::bind((ip, 0)).unwrap();
            socket.set_read_timeout(Some(A_WHILE)).unwrap();
            socket
        };
        Self { rtp: bind(), rtcp: bind() }
    }

    fn port(&self) -> u16 {
        self.rtp.local_addr().unwrap().port()
    }

    /// What it offers, or answers, as if it were at `ip`.
    pub(crate) fn sdp(&self, ip: &str) -> String {
        let (rtp, rtcp) = (self.port(), self.rtcp.local_addr().unwrap().port());
        let family = if ip.contains(':') { "IP6" } else { "IP4" };
        format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {rtp} RTP/AVP 0\r\n\
             a=rtcp:{rtcp}\r\na=sendrecv\r\n"
        )
    }

    pub(crate) fn hears(&self) -> Option<(Vec<u8>, SocketAddr)> {
        hear(&self.rtp)
    }
}

pub(crate) fn hear(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buffer = [0; 2048];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    Some((buffer[..length].to_vec(), from))
}

/// A packet of sound.
pub(crate) fn rtp(number: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, number];
    packet.resize(172, number);
    packet
}

/// Where a description says that sound is received, and its RTCP.
pub(crate) fn told(sdp: &str) -> (SocketAddr, SocketAddr) {
    let line = |begin: &str| sdp.lines().find_map(|line| line.strip_prefix(begin)).unwrap_or_default();
    let ip = line("c=IN IP").split(' ').nth(1).unwrap().parse().unwrap();
    let port = |text: &str| text.split(' ').next().unwrap().parse().unwrap();
    (SocketAddr::new(ip, port(line("m=audio "))), SocketAddr::new(ip, port(line("a=rtcp:"))))
}

fn is_relay(at: (SocketAddr, SocketAddr)) -> bool {
    let (rtp, rtcp) = at;
    (30_000..40_000).contains(&rtp.port()) && rtp.port() % 2 == 0 && rtcp.port() == rtp.port() + 1
}

/// Sends an INVITE to joe with credentials and a body, without waiting for its end.
fn invite(roland: &mut Agent, body: &str) {
    let first = roland.request("INVITE", JOE, JOE, "", "");
    roland.send(&first);
    let challenge = roland.answer();
    let ack = first.replacen("INVITE", "ACK", 1).replace(" INVITE\r\n", " ACK\r\n");
    roland.send(ack.replace("To: <sip:joe@falcot.com>", &format!("To: {}", challenge.header("To"))));
    let proof = proof(challenge.header("Proxy-Authenticate"), "roland", PASSWORD, "INVITE", JOE);
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let more = format!("Proxy-Authorization: {proof}\r\n{kind}");
    let second = roland.request("INVITE", JOE, JOE, &more, body);
    roland.send(&second);
}

/// Two people at addresses of their own, of whom the first says that it is at home.
pub(crate) struct Call {
    pub(crate) house: House,
    pub(crate) roland: Agent,
    pub(crate) joe: Agent,
    pub(crate) ears: [Ear; 2],
    /// What joe got.
    asked: Heard,
    /// What roland got.
    pub(crate) answered: Heard,
}

impl Call {
    pub(crate) fn new(house: House, offer: impl Fn(&Ear) -> String) -> Self {
        let mut roland = Agent::udp_from(&house, "roland", [127, 0, 0, 2]);
        let mut joe = Agent::udp_from(&house, "joe", [127, 0, 0, 3]);
        let ears = [Ear::at("127.0.0.2"), Ear::at("127.0.0.3")];
        joe.register();
        invite(&mut roland, &offer(&ears[0]));
        let asked = joe.expect("INVITE ");
        joe.reply_with(&asked, "200 OK", &ears[1].sdp("127.0.0.3"));
        let answered = roland.expect("SIP/2.0 200");
        roland.within("ACK", &answered);
        joe.expect("ACK ");
        Self { house, roland, joe, ears, asked, answered }
    }

    fn relayed() -> Self {
        Self::new(house(), |ear| ear.sdp(HOME))
    }

    /// Where each of them is told to send.
    pub(crate) fn told(&self) -> [(SocketAddr, SocketAddr); 2] {
        [told(self.answered.body()), told(self.asked.body())]
    }

    pub(crate) fn hang_up(&mut self) {
        self.roland.within("BYE", &self.answered);
        let bye = self.joe.expect("BYE ");
        self.joe.reply(&bye, "200 OK", "");
        self.roland.expect("SIP/2.0 200");
    }
}

/// A counter of the server.
pub(crate) fn count(house: &House, name: &str) -> u64 {
    let output = house.cli(&["status"], "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
    line.split_whitespace().last().and_then(|word| word.parse().ok()).unwrap()
}

/// Waits until no call is relayed.
pub(crate) fn released(house: &House) {
    let end = Instant::now() + SOON;
    while count(house, "media.calls") > 0 {
        assert!(Instant::now() < end, "the call is still relayed");
        std::thread::sleep(A_WHILE / 8);
    }
}

#[test]
fn sound_of_a_phone_behind_nat_goes_both_ways_by_the_relay() {
    let mut call = Call::relayed();
    let [to_joe, to_roland] = call.told();
    assert!(is_relay(to_joe) && is_relay(to_roland), "{to_joe:?} {to_roland:?}");
    let [roland, joe] = &call.ears;
    // Roland's NAT is open once he has sent; joe's packets before that have nowhere to go.
    joe.rtp.send_to(&rtp(1), to_roland.0).unwrap();
    assert!(roland.hears().is_none());
    roland.rtp.send_to(&rtp(2), to_joe.0).unwrap();
    assert_eq!(joe.hears(), Some((rtp(2), to_roland.0)));
    joe.rtp.send_to(&rtp(3), to_roland.0).unwrap();
    assert_eq!(roland.hears(), Some((rtp(3), to_joe.0)));
    roland.rtcp.send_to(b"\x80\xc8report", to_joe.1).unwrap();
    assert_eq!(hear(&joe.rtcp), Some((b"\x80\xc8report".to_vec(), to_roland.1)));
    joe.rtcp.send_to(b"\x80\xc9back", to_roland.1).unwrap();
    assert_eq!(hear(&roland.rtcp), Some((b"\x80\xc9back".to_vec(), to_joe.1)));
    assert_eq!(count(&call.house, "media.calls"), 1);
    call.hang_up();
    released(&call.house);
    assert!(count(&call.house, "media.packets") >= 4);
    call.ears[1].rtp.send_to(&rtp(4), to_roland.0).unwrap();
    assert!(call.ears[0].hears().is_none());
}

#[test]
fn calls_at_home_on_either_worker_are_relayed() {
    let house = house();
    let mut roland = Agent::udp_from(&house, "roland", [127, 0, 0, 2]);
    let mut joe = Agent::udp_from(&house, "joe", [127, 0, 0, 3]);
    let ears = [Ear::at("127.0.0.2"), Ear::at("127.0.0.3")];
    joe.register();
    for n in 0..8 {
        roland.call_id = format!("home-{n}@roland");
        invite(&mut roland, &ears[0].sdp(HOME));
        let asked = joe.expect("INVITE ");
        joe.reply_with(&asked, "200 OK", &ears[1].sdp("127.0.0.3"));
        let answered = roland.expect("SIP/2.0 200");
        assert!(is_relay(told(asked.body())) && is_relay(told(answered.body())));
        roland.within("ACK", &answered);
        joe.expect("ACK ");
        ears[0].rtp.send_to(&rtp(n), told(answered.body()).0).unwrap();
        assert_eq!(ears[1].hears().map(|(bytes, _)| bytes), Some(rtp(n)));
        roland.within("BYE", &answered);
        let bye = joe.expect("BYE ");
        joe.reply(&bye, "200 OK", "");
        roland.expect("SIP/2.0 200");
    }
    released(&house);
    assert_eq!(count(&house, "media.calls-relayed"), 8);
}

#[test]
fn who_reach_one_another_are_told_of_one_another() {
    let call = Call::new(house(), |ear| ear.sdp("127.0.0.2"));
    let [roland, joe] = call.ears.each_ref().map(Ear::port);
    assert_eq!(call.told().map(|(rtp, _)| rtp.port()), [joe, roland]);
    assert_eq!(count(&call.house, "media.calls-relayed"), 0);
}

#[test]
fn nobody_takes_over_a_call() {
    let call = Call::relayed();
    let [to_joe, to_roland] = call.told();
    let [roland, joe] = &call.ears;
    let thief = Ear::at("127.0.0.66");
    roland.rtp.send_to(&rtp(1), to_joe.0).unwrap();
    joe.rtp.send_to(&rtp(1), to_roland.0).unwrap();
    assert!(joe.hears().is_some() && roland.hears().is_some());
    for _ in 0..50 {
        thief.rtp.send_to(&rtp(66), to_joe.0).unwrap();
        thief.rtp.send_to(&rtp(66), to_roland.0).unwrap();
        std::thread::sleep(A_WHILE / 40);
    }
    joe.rtp.send_to(&rtp(2), to_roland.0).unwrap();
    roland.rtp.send_to(&rtp(3), to_joe.0).unwrap();
    assert_eq!(roland.hears().map(|(bytes, _)| bytes), Some(rtp(2)));
    assert_eq!(joe.hears().map(|(bytes, _)| bytes), Some(rtp(3)));
    assert!(thief.hears().is_none());
    assert!(count(&call.house, "media.dropped") >= 100);
}

/// A second call of roland's goes on as it is, and is not broken by that.
fn second_call_goes_straight(house: House, counter: &str) {
    let call = Call::new(house, |ear| ear.sdp(HOME));
    assert!(is_relay(call.told()[0]));
    let (mut roland, mut joe) = (call.roland, call.joe);
    let ear = Ear::at("127.0.0.2");
    roland.call_id += "-second";
    invite(&mut roland, &ear.sdp(HOME));
    let asked = joe.expect("INVITE ");
    assert_eq!(asked.body(), ear.sdp(HOME));
    joe.reply_with(&asked, "200 OK", &call.ears[1].sdp("127.0.0.3"));
    let answered = roland.expect("SIP/2.0 200");
    assert_eq!(answered.body(), call.ears[1].sdp("127.0.0.3"));
    assert_eq!((count(&call.house, "media.calls"), count(&call.house, counter)), (1, 1));
}

fn limited(key: &str, value: &str) -> House {
    House::of(env!("CARGO_BIN_EXE_parlour"))
        .set("network", "workers", "1")
        .set("media", key, value)
        .account("roland@falcot.com", PASSWORD)
        .account("joe@falcot.com", PASSWORD)
        .start()
}

#[test]
fn an_account_that_has_its_share_calls_without_a_relay() {
    second_call_goes_straight(limited("account", "1"), "media.over-quota");
}

#[test]
fn a_call_for_which_there_are_no_ports_goes_without_a_relay() {
    second_call_goes_straight(limited("rtp-ports", "\"39990-39993\""), "media.without-ports");
}

#[test]
fn a_call_that_is_silent_is_relayed_no_more() {
    let call = Call::new(limited("silence", "\"5s\""), |ear| ear.sdp(HOME));
    assert_eq!(count(&call.house, "media.calls"), 1);
    let began = Instant::now();
    released(&call.house);
    assert!(began.elapsed().as_secs() >= 3, "{:?}", began.elapsed());
}

#[test]
fn a_call_that_nobody_takes_is_relayed_no_more() {
    let house = house();
    let mut roland = Agent::udp_from(&house, "roland", [127, 0, 0, 2]);
    let mut joe = Agent::udp_from(&house, "joe", [127, 0, 0, 3]);
    joe.register();
    invite(&mut roland, &Ear::at("127.0.0.2").sdp(HOME));
    let asked = joe.expect("INVITE ");
    assert_eq!(count(&house, "media.calls"), 1);
    joe.reply(&asked, "486 Busy Here", "");
    roland.expect("SIP/2.0 486");
    released(&house);
}

#[test]
fn the_administrator_says_which_calls_are_relayed() {
    for (value, relayed) in [("\"always\"", true), ("\"never\"", false)] {
        let claims = if relayed { "127.0.0.2" } else { HOME };
        let call = Call::new(limited("relay", value), |ear| ear.sdp(claims));
        assert_eq!(call.told().map(is_relay), [relayed; 2], "{value}");
    }
}

/// Roland says that he is where the house itself listens: joe's packets do not reach it.
#[test]
fn the_relay_is_not_aimed_at_the_house() {
    let house = house();
    let sip = house.port("sip.udp");
    let call = Call::new(house, |_| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 {HOME}\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {sip} RTP/AVP 0\r\n\
             a=rtcp:{sip}\r\na=sendrecv\r\n"
        )
    });
    let [_, (at_relay, _)] = call.told();
    let until = Instant::now() + SOON;
    while count(&call.house, "media.dropped") < 3 {
        assert!(Instant::now() < until, "they went on");
        call.ears[1].rtp.send_to(&rtp(1), at_relay).unwrap();
    }
    assert_eq!(count(&call.house, "media.packets"), 0);
}
