//! The INVITE server transaction: RFC 3261 §17.2.1 as corrected by RFC 6026 §8.5 (figure 7).

use super::{Alarm, Fired, Timer};
use std::time::Duration;

/// Where the transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not finally answered.
    Proceeding,
    /// Refused; waiting for the ACK.
    Completed,
    /// Refused and acknowledged; further ACKs are absorbed.
    Confirmed,
    /// Answered with 2xx; further 2xx pass, requests are absorbed.
    Accepted,
    /// Over.
    Terminated,
}

/// What becomes of a request that belongs to the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeated {
    /// Send the last response again.
    Resend,
    /// Whoever owns the transaction sees it (an ACK that belongs to a 2xx).
    Pass,
    /// Nothing.
    Absorb,
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct ServerInvite {
    state: State,
    reliable: bool,
    interval: Duration,
}

impl ServerInvite {
    /// The request has just come.
    pub fn new(reliable: bool) -> Self {
        Self { state: State::Proceeding, reliable, interval: Duration::ZERO }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// The INVITE came again.
    pub fn repeated(&self) -> Repeated {
        match self.state {
            State::Proceeding | State::Completed => Repeated::Resend,
            _ => Repeated::Absorb,
        }
    }

    /// An ACK with the transaction's branch came.
    pub fn acknowledged(&mut self, alarm: &mut Alarm<'_>) -> Repeated {
        match self.state {
            State::Completed => {
                alarm.stop(Timer::G);
                alarm.stop(Timer::H);
                self.state = State::Confirmed;
                alarm.start(Timer::I, if self.reliable { Duration::ZERO } else { alarm.timing.t4 });
                Repeated::Absorb
            }
            State::Accepted => Repeated::Pass,
            _ => Repeated::Absorb,
        }
    }

    /// The owner answers with this status; whether the response may leave.
    pub fn respond(&mut self, status: u16, alarm: &mut Alarm<'_>) -> bool {
        match (self.state, status) {
            (State::Proceeding, 100..=199) | (State::Accepted, 200..=299) => true,
            (State::Proceeding, 200..=299) => {
                self.state = State::Accepted;
                alarm.start(Timer::L, alarm.timing.patience());
                true
            }
            (State::Proceeding, 300..) => {
                self.state = State::Completed;
                self.interval = alarm.timing.t1;
                if !self.reliable {
                    alarm.start(Timer::G, self.interval);
                }
                alarm.start(Timer::H, alarm.timing.patience());
                true
            }
            _ => false,
        }
    }

    /// One of its timers is due.
    pub fn fired(&mut self, timer: Timer, alarm: &mut Alarm<'_>) -> Fired {
        match (timer, self.state) {
            (Timer::G(_), State::Completed) => {
                self.interval = (self.interval * 2).min(alarm.timing.t2);
                alarm.start(Timer::G, self.interval);
                Fired::Resend
            }
            (Timer::H(_), State::Completed)
            | (Timer::I(_), State::Confirmed)
            | (Timer::L(_), State::Accepted) => {
                self.end(alarm);
                Fired::Ended
            }
            _ => Fired::Nothing,
        }
    }

    /// Ends it.
    pub fn end(&mut self, alarm: &mut Alarm<'_>) {
        for timer in [Timer::G, Timer::H, Timer::I, Timer::L] {
            alarm.stop(timer);
        }
        self.state = State::Terminated;
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, ID};
    use super::*;

    #[test]
    fn a_refusal_is_repeated_up_to_t2_until_timer_h() {
        let mut bench = Bench::new();
        let mut machine = ServerInvite::new(false);
        assert!(machine.respond(486, &mut bench.alarm()));
        let mut times = Vec::new();
        while let Some((timer, at)) = bench.next() {
            times.push((at, machine.fired(timer, &mut bench.alarm())));
        }
        let wanted = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
        assert_eq!(times[..10], wanted.map(|at| (at, Fired::Resend)));
        assert_eq!(times[10..], [(32000, Fired::Ended)]);
    }

    #[test]
    fn an_ack_ends_the_repetition() {
        for (reliable, ends) in [(false, 5000), (true, 0)] {
            let mut bench = Bench::new();
            let mut machine = ServerInvite::new(reliable);
            machine.respond(603, &mut bench.alarm());
            assert_eq!(machine.repeated(), Repeated::Resend);
            assert_eq!(machine.acknowledged(&mut bench.alarm()), Repeated::Absorb);
            assert_eq!((machine.state(), machine.repeated()), (State::Confirmed, Repeated::Absorb));
            assert_eq!(machine.acknowledged(&mut bench.alarm()), Repeated::Absorb);
            assert_eq!(bench.next(), Some((Timer::I(ID), ends)));
            assert_eq!(machine.fired(Timer::I(ID), &mut bench.alarm()), Fired::Ended);
        }
    }

    #[test]
    fn every_2xx_leaves_and_requests_are_absorbed_until_timer_l() {
        let mut bench = Bench::new();
        let mut machine = ServerInvite::new(false);
        assert!(machine.respond(180, &mut bench.alarm()) && machine.respond(200, &mut bench.alarm()));
        assert_eq!((machine.state(), machine.repeated()), (State::Accepted, Repeated::Absorb));
        assert_eq!(machine.acknowledged(&mut bench.alarm()), Repeated::Pass);
        assert!(machine.respond(200, &mut bench.alarm()));
        assert!(!machine.respond(486, &mut bench.alarm()) && !machine.respond(180, &mut bench.alarm()));
        assert_eq!(bench.next(), Some((Timer::L(ID), 32000)));
        assert_eq!(machine.fired(Timer::L(ID), &mut bench.alarm()), Fired::Ended);
    }

    #[test]
    fn an_early_ack_changes_nothing() {
        let mut bench = Bench::new();
        let mut machine = ServerInvite::new(false);
        assert_eq!(machine.acknowledged(&mut bench.alarm()), Repeated::Absorb);
        assert_eq!((machine.state(), machine.repeated()), (State::Proceeding, Repeated::Resend));
    }
}
