//! The INVITE client transaction: RFC 3261 §17.1.1 as corrected by RFC 6026 §8.4 (figure 5).

use super::{Alarm, Fired, Received, Timer};
use std::time::Duration;

/// Where the transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Sent, nothing heard.
    Calling,
    /// A provisional response came.
    Proceeding,
    /// A refusal came and was acknowledged; its retransmissions are acknowledged again.
    Completed,
    /// A 2xx came; further ones, of other branches or again, are passed on.
    Accepted,
    /// Over.
    Terminated,
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct ClientInvite {
    state: State,
    reliable: bool,
    interval: Duration,
}

impl ClientInvite {
    /// A machine that waits for [`Self::start`].
    pub fn new(reliable: bool) -> Self {
        Self { state: State::Calling, reliable, interval: Duration::ZERO }
    }

    /// The request is being sent.
    pub fn start(&mut self, alarm: &mut Alarm<'_>) {
        self.interval = alarm.timing.t1;
        if !self.reliable {
            alarm.start(Timer::A, self.interval);
        }
        alarm.start(Timer::B, alarm.timing.patience());
    }

    /// Whether a final response came.
    pub fn is_answered(&self) -> bool {
        !matches!(self.state, State::Calling | State::Proceeding)
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// A response with this status came.
    pub fn received(&mut self, status: u16, alarm: &mut Alarm<'_>) -> Received {
        match (self.state, status) {
            (State::Calling | State::Proceeding, 100..=199) => self.proceed(alarm),
            (State::Calling | State::Proceeding, 200..=299) => self.accept(alarm),
            (State::Accepted, 200..=299) => Received::Pass,
            (State::Calling | State::Proceeding, 300..) => self.complete(alarm),
            (State::Completed, 300..) => Received::Ack,
            _ => Received::Absorb,
        }
    }

    fn proceed(&mut self, alarm: &mut Alarm<'_>) -> Received {
        if self.state == State::Calling {
            alarm.stop(Timer::A);
            alarm.stop(Timer::B);
            self.state = State::Proceeding;
        }
        Received::Pass
    }

    fn accept(&mut self, alarm: &mut Alarm<'_>) -> Received {
        self.stop(alarm);
        self.state = State::Accepted;
        alarm.start(Timer::M, alarm.timing.patience());
        Received::Pass
    }

    fn complete(&mut self, alarm: &mut Alarm<'_>) -> Received {
        self.stop(alarm);
        self.state = State::Completed;
        alarm.start(Timer::D, if self.reliable { Duration::ZERO } else { alarm.timing.d });
        Received::PassAndAck
    }

    /// One of its timers is due.
    pub fn fired(&mut self, timer: Timer, alarm: &mut Alarm<'_>) -> Fired {
        match (timer, self.state) {
            (Timer::A(_), State::Calling) => {
                self.interval *= 2;
                alarm.start(Timer::A, self.interval);
                Fired::Resend
            }
            (Timer::B(_), State::Calling) => {
                self.end(alarm);
                Fired::TimedOut
            }
            (Timer::D(_), State::Completed) | (Timer::M(_), State::Accepted) => {
                self.end(alarm);
                Fired::Ended
            }
            _ => Fired::Nothing,
        }
    }

    /// Ends it: the transport failed, or its owner gave up.
    pub fn end(&mut self, alarm: &mut Alarm<'_>) {
        self.stop(alarm);
        alarm.stop(Timer::D);
        alarm.stop(Timer::M);
        self.state = State::Terminated;
    }

    fn stop(&self, alarm: &mut Alarm<'_>) {
        for timer in [Timer::A, Timer::B, Timer::C, Timer::Cancelled] {
            alarm.stop(timer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, ID};
    use super::*;

    fn started(reliable: bool, bench: &mut Bench) -> ClientInvite {
        let mut machine = ClientInvite::new(reliable);
        machine.start(&mut bench.alarm());
        machine
    }

    #[test]
    fn sends_again_at_doubling_intervals_until_timer_b() {
        let mut bench = Bench::new();
        let mut machine = started(false, &mut bench);
        let mut seen = Vec::new();
        while let Some((timer, at)) = bench.next() {
            seen.push((at, machine.fired(timer, &mut bench.alarm())));
        }
        let resent = [500, 1500, 3500, 7500, 15500, 31500].map(|at| (at, Fired::Resend));
        assert_eq!((&seen[..6], seen[6]), (&resent[..], (32000, Fired::TimedOut)));
        assert_eq!((seen.len(), machine.state()), (7, State::Terminated));
    }

    #[test]
    fn a_reliable_transport_needs_no_retransmission() {
        let mut bench = Bench::new();
        let mut machine = started(true, &mut bench);
        assert_eq!(bench.next(), Some((Timer::B(ID), 32000)));
        assert_eq!(machine.fired(Timer::B(ID), &mut bench.alarm()), Fired::TimedOut);
    }

    #[test]
    fn provisional_responses_end_retransmission_for_good() {
        let mut bench = Bench::new();
        let mut machine = started(false, &mut bench);
        assert_eq!(machine.received(180, &mut bench.alarm()), Received::Pass);
        assert_eq!(machine.received(100, &mut bench.alarm()), Received::Pass);
        assert_eq!((bench.next(), machine.state()), (None, State::Proceeding));
    }

    #[test]
    fn every_2xx_passes_until_timer_m() {
        let mut bench = Bench::new();
        let mut machine = started(false, &mut bench);
        assert_eq!(machine.received(200, &mut bench.alarm()), Received::Pass);
        bench.wait(1000);
        assert_eq!(machine.received(200, &mut bench.alarm()), Received::Pass);
        assert_eq!(machine.received(180, &mut bench.alarm()), Received::Absorb);
        assert_eq!(machine.received(486, &mut bench.alarm()), Received::Absorb);
        assert_eq!(bench.next(), Some((Timer::M(ID), 32000)));
        assert_eq!(machine.fired(Timer::M(ID), &mut bench.alarm()), Fired::Ended);
    }

    #[test]
    fn a_refusal_is_passed_once_and_acknowledged_each_time() {
        let mut bench = Bench::new();
        let mut machine = started(false, &mut bench);
        machine.received(180, &mut bench.alarm());
        assert_eq!(machine.received(486, &mut bench.alarm()), Received::PassAndAck);
        assert_eq!(machine.received(486, &mut bench.alarm()), Received::Ack);
        assert_eq!(machine.received(200, &mut bench.alarm()), Received::Absorb);
        assert_eq!(bench.next(), Some((Timer::D(ID), 32000)));
        assert_eq!(machine.fired(Timer::D(ID), &mut bench.alarm()), Fired::Ended);
        assert_eq!(machine.received(486, &mut bench.alarm()), Received::Absorb);
    }

    #[test]
    fn timer_d_is_nothing_on_a_stream() {
        let mut bench = Bench::new();
        let mut machine = started(true, &mut bench);
        machine.received(603, &mut bench.alarm());
        assert_eq!(bench.next(), Some((Timer::D(ID), 0)));
    }
}
