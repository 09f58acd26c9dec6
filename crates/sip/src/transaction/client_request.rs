//! The client transaction of every method but INVITE: RFC 3261 §17.1.2 (figure 6).

use super::{Alarm, Fired, Received, Timer};
use std::time::Duration;

/// Where the transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Sent, nothing heard.
    Trying,
    /// A provisional response came.
    Proceeding,
    /// The final response came; its retransmissions are absorbed.
    Completed,
    /// Over.
    Terminated,
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct ClientRequest {
    state: State,
    reliable: bool,
    interval: Duration,
}

impl ClientRequest {
    /// A machine that waits for [`Self::start`].
    pub fn new(reliable: bool) -> Self {
        Self { state: State::Trying, reliable, interval: Duration::ZERO }
    }

    /// The request is being sent.
    pub fn start(&mut self, alarm: &mut Alarm<'_>) {
        self.interval = alarm.timing.t1;
        if !self.reliable {
            alarm.start(Timer::E, self.interval);
        }
        alarm.start(Timer::F, alarm.timing.patience());
    }

    /// Whether a final response came.
    pub fn is_answered(&self) -> bool {
        !matches!(self.state, State::Trying | State::Proceeding)
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// A response with this status came.
    pub fn received(&mut self, status: u16, alarm: &mut Alarm<'_>) -> Received {
        match (self.state, status) {
            (State::Trying | State::Proceeding, 100..=199) => {
                self.state = State::Proceeding;
                Received::Pass
            }
            (State::Trying | State::Proceeding, _) => {
                self.stop(alarm);
                self.state = State::Completed;
                alarm.start(Timer::K, if self.reliable { Duration::ZERO } else { alarm.timing.t4 });
                Received::Pass
            }
            _ => Received::Absorb,
        }
    }

    /// One of its timers is due.
    pub fn fired(&mut self, timer: Timer, alarm: &mut Alarm<'_>) -> Fired {
        match (timer, self.state) {
            (Timer::E(_), State::Trying) => self.again((self.interval * 2).min(alarm.timing.t2), alarm),
            (Timer::E(_), State::Proceeding) => self.again(alarm.timing.t2, alarm),
            (Timer::F(_), State::Trying | State::Proceeding) => {
                self.end(alarm);
                Fired::TimedOut
            }
            (Timer::K(_), State::Completed) => {
                self.end(alarm);
                Fired::Ended
            }
            _ => Fired::Nothing,
        }
    }

    fn again(&mut self, interval: Duration, alarm: &mut Alarm<'_>) -> Fired {
        self.interval = interval;
        alarm.start(Timer::E, interval);
        Fired::Resend
    }

    /// Ends it: the transport failed, or its owner gave up.
    pub fn end(&mut self, alarm: &mut Alarm<'_>) {
        self.stop(alarm);
        alarm.stop(Timer::K);
        self.state = State::Terminated;
    }

    fn stop(&self, alarm: &mut Alarm<'_>) {
        alarm.stop(Timer::E);
        alarm.stop(Timer::F);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Bench, ID};
    use super::*;

    fn started(reliable: bool, bench: &mut Bench) -> ClientRequest {
        let mut machine = ClientRequest::new(reliable);
        machine.start(&mut bench.alarm());
        machine
    }

    #[test]
    fn sends_again_up_to_t2_until_timer_f() {
        let mut bench = Bench::new();
        let mut machine = started(false, &mut bench);
        let mut seen = Vec::new();
        while let Some((timer, at)) = bench.next() {
            seen.push((at, machine.fired(timer, &mut bench.alarm())));
        }
        let times: Vec<u128> = seen.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500, 32000]);
        assert_eq!(seen.last(), Some(&(32000, Fired::TimedOut)));
    }

    #[test]
    fn after_a_provisional_response_every_t2() {
        let mut bench = Bench::new();
        let mut machine = started(false, &mut bench);
        assert_eq!(machine.received(100, &mut bench.alarm()), Received::Pass);
        assert_eq!(bench.next(), Some((Timer::E(ID), 500)));
        assert_eq!(machine.fired(Timer::E(ID), &mut bench.alarm()), Fired::Resend);
        assert_eq!(bench.next(), Some((Timer::E(ID), 4500)));
    }

    #[test]
    fn a_final_response_passes_once() {
        for (reliable, ends) in [(false, 5000), (true, 0)] {
            let mut bench = Bench::new();
            let mut machine = started(reliable, &mut bench);
            assert_eq!(machine.received(404, &mut bench.alarm()), Received::Pass);
            assert_eq!(machine.received(404, &mut bench.alarm()), Received::Absorb);
            assert_eq!(bench.next(), Some((Timer::K(ID), ends)));
            assert_eq!(machine.fired(Timer::K(ID), &mut bench.alarm()), Fired::Ended);
            assert_eq!((machine.state(), bench.next()), (State::Terminated, None));
        }
    }
}
