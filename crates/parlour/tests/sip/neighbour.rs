//! Kamailio as the proxy next to this one: calls through both, in either direction, with what follows in their dialogs.

use crate::agent::{A_WHILE, Agent, Heard};
use crate::{PASSWORD, house};
use std::process::Command;
use std::time::Duration;
use testkit::House;
use testkit::house::free_port;
use testkit::process::Program;

const JOE: &str = "sip:joe@falcot.com";

/// Kamailio, its port, and the telephone that is its own.
struct Neighbour {
    port: u16,
    phone: Agent,
    program: Program,
}

impl Neighbour {
    fn start(house: &House, way: &str) -> Self {
        let port = free_port();
        let mut phone = Agent::udp_to(port, "phone", 0);
        phone.domain = "example.org";
        let text = std::fs::read_to_string(format!("{}/tests/sip/neighbour.cfg", env!("CARGO_MANIFEST_DIR")))
            .unwrap();
        let own = phone.local.port().to_string();
        let text = text.replace("PORT", &port.to_string()).replace("PHONE", &own);
        let text =
            text.replace("NEIGHBOUR", &house.port(&format!("sip.{way}")).to_string()).replace("WAY", way);
        let file = house.dir().join("neighbour.cfg");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("kamailio");
        command.arg("-f").arg(&file).args(["-DD", "-E", "-m", "32", "-M", "8", "-Y"]).arg(house.dir());
        let program = Program::start(&mut command, "kamailio");
        let mut neighbour = Self { port, phone, program };
        neighbour.awake();
        neighbour
    }

    /// Waits until it answers.
    fn awake(&mut self) {
        for _ in 0..50 {
            let nowhere = self.phone.request("OPTIONS", "sip:phone@127.0.0.1", "sip:phone@127.0.0.1", "", "");
            self.phone.send(nowhere.replace("Max-Forwards: 70", "Max-Forwards: 0"));
            if self.phone.hear(Duration::from_millis(200)).is_some_and(|heard| heard.line().contains(" 483 "))
            {
                while self.phone.hear(A_WHILE).is_some() {}
                return;
            }
        }
        panic!("kamailio does not answer:\n{}", self.program.output());
    }

    fn uri(&self, way: &str) -> String {
        format!("sip:phone@127.0.0.1:{};transport={way}", self.port)
    }
}

impl Drop for Neighbour {
    /// Its many processes end with the first one alone when that is asked to; killed, it leaves them behind.
    fn drop(&mut self) {
        self.program.terminate();
        self.program.wait(Duration::from_secs(5));
    }
}

/// What follows a 200 in both directions, until the called one hangs up.
fn talk(caller: &mut Agent, called: &mut Agent, invite: &Heard) {
    called.reply(invite, "180 Ringing", "");
    called.reply(invite, "200 OK", "v=0\r\n");
    let answer = caller.expect("SIP/2.0 200");
    assert_eq!(answer.body(), "v=0\r\n");
    caller.within("ACK", &answer);
    called.expect("ACK ");
    caller.within("INFO", &answer);
    let info = called.expect("INFO ");
    called.reply(&info, "200 OK", "");
    caller.expect("SIP/2.0 200");
    called.back("UPDATE", invite);
    let update = caller.expect("UPDATE ");
    caller.reply(&update, "491 Request Pending", "");
    called.expect("SIP/2.0 491");
    called.back("BYE", invite);
    let bye = caller.expect("BYE ");
    caller.reply(&bye, "200 OK", "");
    called.expect("SIP/2.0 200");
}

#[test]
fn a_call_goes_out_by_the_neighbour() {
    let house = house();
    for way in ["udp", "tcp"] {
        let mut neighbour = Neighbour::start(&house, way);
        let uri = neighbour.uri(way);
        for make in [Agent::udp, Agent::tls] {
            let mut roland = make(&house, "roland");
            crate::calls::invite_to(&mut roland, &uri);
            let invite = neighbour.phone.expect("INVITE ");
            assert!(invite.all("Record-Route").len() >= 2, "{}", invite.0);
            assert!(!invite.0.contains(PASSWORD) && invite.all("Proxy-Authorization").is_empty());
            talk(&mut roland, &mut neighbour.phone, &invite);
        }
    }
}

#[test]
fn a_call_comes_in_by_the_neighbour() {
    let house = house();
    for way in ["udp", "tcp"] {
        let mut neighbour = Neighbour::start(&house, way);
        for make in [Agent::udp, Agent::tls] {
            let mut joe = make(&house, "joe");
            joe.register();
            let first = neighbour.phone.request("INVITE", JOE, JOE, "", "");
            neighbour.phone.send(&first);
            let invite = joe.expect("INVITE ");
            talk(&mut neighbour.phone, &mut joe, &invite);
            joe.ask("REGISTER", "sip:falcot.com", JOE, "Expires: 0\r\n", "");
        }
    }
}

#[test]
fn a_call_through_the_neighbour_is_refused_or_given_up() {
    let house = house();
    let mut neighbour = Neighbour::start(&house, "udp");
    let uri = neighbour.uri("udp");
    let mut roland = Agent::udp(&house, "roland");
    crate::calls::invite_to(&mut roland, &uri);
    let invite = neighbour.phone.expect("INVITE ");
    neighbour.phone.reply(&invite, "486 Busy Here", "");
    neighbour.phone.expect("ACK ");
    assert_eq!(roland.answer().line(), "SIP/2.0 486 Busy Here");
    // The other way round, and given up while it rings.
    let mut joe = Agent::udp(&house, "joe");
    joe.register();
    let sent = neighbour.phone.request("INVITE", JOE, JOE, "", "");
    neighbour.phone.send(&sent);
    let invite = joe.expect("INVITE ");
    joe.reply(&invite, "180 Ringing", "");
    neighbour.phone.expect("SIP/2.0 180");
    neighbour.phone.send(sent.replace("INVITE sip:", "CANCEL sip:").replace(" INVITE\r\n", " CANCEL\r\n"));
    let cancel = joe.expect("CANCEL ");
    joe.reply(&cancel, "200 OK", "");
    joe.reply(&invite, "487 Request Terminated", "");
    joe.expect("ACK ");
    let mut lines = [neighbour.phone.answer().line().to_owned(), neighbour.phone.answer().line().to_owned()];
    lines.sort_unstable();
    assert!(lines[0].starts_with("SIP/2.0 200") && lines[1] == "SIP/2.0 487 Request Terminated", "{lines:?}");
}
