//! The server transaction of every method but INVITE: RFC 3261 §17.2.2 (figure 8) under RFC 4320's rules:
//! no 1xx but 100, that one late on unreliable transports, and never 408.

use super::server_invite::Repeated;
use super::{Alarm, Fired, Timer};
use std::time::Duration;

/// Where the transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not answered.
    Trying,
    /// Answered with 100.
    Proceeding,
    /// Answered; the answer is sent again when the request comes again.
    Completed,
    /// There is no answer that may leave (RFC 4320 §4.2); the request coming again is still the same.
    Silent,
    /// Over.
    Terminated,
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct ServerRequest {
    state: State,
    reliable: bool,
}

impl ServerRequest {
    /// A machine that waits for [`Self::start`].
    pub fn new(reliable: bool) -> Self {
        Self { state: State::Trying, reliable }
    }

    /// The request has just come.
    pub fn start(&mut self, alarm: &mut Alarm<'_>) {
        alarm.start(Timer::Trying, alarm.timing.trying());
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// The request came again.
    pub fn repeated(&self) -> Repeated {
        match self.state {
            State::Proceeding | State::Completed => Repeated::Resend,
            State::Trying | State::Silent | State::Terminated => Repeated::Absorb,
        }
    }

    /// The owner answers with this status; whether the response may leave.
    pub fn respond(&mut self, status: u16, alarm: &mut Alarm<'_>) -> bool {
        match (self.state, status) {
            (State::Trying, 100) => {
                self.state = State::Proceeding;
                true
            }
            (State::Trying | State::Proceeding, 200..) if status != 408 => {
                alarm.stop(Timer::Trying);
                self.state = State::Completed;
                let wait = if self.reliable { Duration::ZERO } else { alarm.timing.patience() };
                alarm.start(Timer::J, wait);
                true
            }
            _ => false,
        }
    }

    /// Nothing more is said to the request, which is so old. Whether it is over: where its client may send it again it is kept, so
    /// that it is not taken for another.
    pub fn fall_silent(&mut self, age: Duration, alarm: &mut Alarm<'_>) -> bool {
        let left = alarm.timing.patience().saturating_sub(age);
        if self.reliable || left.is_zero() {
            return true;
        }
        alarm.stop(Timer::Trying);
        self.state = State::Silent;
        alarm.start(Timer::J, left);
        false
    }

    /// One of its timers is due.
    pub fn fired(&mut self, timer: Timer, alarm: &mut Alarm<'_>) -> Fired {
        match (timer, self.state) {
            (Timer::Trying(_), State::Trying) => Fired::Trying,
            (Timer::J(_), State::Completed | State::Silent) => {
                self.end(alarm);
                Fired::Ended
            }
            _ => Fired::Nothing,
        }
    }

    /// Ends it, also without an answer (RFC 4320 §4.2).
    pub fn end(&mut self, alarm: &mut Alarm<'_>) {
        alarm.stop(Timer::Trying);
        alarm.stop(Timer::J);
        self.state = State::Terminated;
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, ID};
    use super::*;

    fn started(reliable: bool, bench: &mut Bench) -> ServerRequest {
        let mut machine = ServerRequest::new(reliable);
        machine.start(&mut bench.alarm());
        machine
    }

    #[test]
    fn says_100_only_when_timer_e_has_reached_t2() {
        let mut bench = Bench::new();
        let mut machine = started(false, &mut bench);
        assert_eq!(machine.repeated(), Repeated::Absorb);
        assert_eq!(bench.next(), Some((Timer::Trying(ID), 3500)));
        assert_eq!(machine.fired(Timer::Trying(ID), &mut bench.alarm()), Fired::Trying);
        assert!(machine.respond(100, &mut bench.alarm()));
        assert_eq!(machine.repeated(), Repeated::Resend);
        assert!(!machine.respond(180, &mut bench.alarm()) && !machine.respond(408, &mut bench.alarm()));
    }

    #[test]
    fn what_is_never_answered_is_not_taken_for_another_while_it_comes_again() {
        let mut bench = Bench::new();
        let mut machine = started(false, &mut bench);
        bench.wait(2000);
        assert!(!machine.fall_silent(Duration::from_secs(2), &mut bench.alarm()));
        assert_eq!((machine.repeated(), machine.state()), (Repeated::Absorb, State::Silent));
        assert!(!machine.respond(200, &mut bench.alarm()));
        assert_eq!(bench.next(), Some((Timer::J(ID), 32000)));
        assert_eq!(machine.fired(Timer::J(ID), &mut bench.alarm()), Fired::Ended);
        for (reliable, age) in [(true, 0), (false, 32)] {
            let mut machine = started(reliable, &mut bench);
            assert!(machine.fall_silent(Duration::from_secs(age), &mut bench.alarm()), "{reliable} {age}");
        }
    }

    #[test]
    fn the_answer_is_repeated_until_timer_j() {
        for (reliable, ends) in [(false, 32000), (true, 0)] {
            let mut bench = Bench::new();
            let mut machine = started(reliable, &mut bench);
            assert!(machine.respond(200, &mut bench.alarm()) && !machine.respond(404, &mut bench.alarm()));
            assert_eq!((machine.repeated(), machine.state()), (Repeated::Resend, State::Completed));
            assert_eq!(bench.next(), Some((Timer::J(ID), ends)));
            assert_eq!(machine.fired(Timer::J(ID), &mut bench.alarm()), Fired::Ended);
            assert_eq!((machine.state(), machine.repeated()), (State::Terminated, Repeated::Absorb));
        }
    }
}
