//! The next target after one that is not there, with real sockets.

use crate::agent::{A_WHILE, Agent};
use crate::calls::invite;
use crate::house;
use std::time::{Duration, Instant};

/// The most that it may cost; machines may be busy, so the best of many calls counts.
const LIMIT: Duration = Duration::from_millis(20);

/// A desk phone that was unplugged without a word, and one in the pocket that is liked less.
#[test]
fn a_closed_port_costs_a_call_no_more_than_20_ms() {
    let house = house();
    let mut desk = Agent::udp(&house, "joe");
    let mut pocket = Agent::udp(&house, "joe");
    let more = format!("Contact: {};q=0.5\r\n", pocket.contact());
    let answer = desk.ask("REGISTER", "sip:falcot.com", "sip:joe@falcot.com", &more, "");
    assert_eq!((answer.line(), answer.all("Contact").len()), ("SIP/2.0 200 OK", 2));
    drop(desk);
    let mut best = Duration::MAX;
    for _ in 0..40 {
        let mut roland = Agent::udp(&house, "roland");
        let begin = Instant::now();
        invite(&mut roland);
        let heard = pocket.expect("INVITE ");
        best = best.min(begin.elapsed());
        pocket.reply(&heard, "486 Busy Here", "");
        roland.expect("SIP/2.0 486");
        pocket.expect("ACK ");
        if best <= LIMIT {
            break;
        }
    }
    assert!(best <= LIMIT, "{best:?} at best, with the challenge before it");
    assert!(pocket.hear(A_WHILE).is_none());
}
