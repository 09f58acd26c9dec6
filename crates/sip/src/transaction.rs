//! Transactions: the four machines of RFC 3261 §17 with RFC 6026's Accepted state and RFC 4320's rules.
//!
//! A machine only decides: what to send and whom to tell is its verdict, when to be asked again its alarm. It holds no bytes.

pub mod client_invite;
pub mod client_request;
pub mod key;
pub mod server_invite;
pub mod server_request;

pub use crate::slab::Id;
pub use key::{Key, Keyring};

use std::time::{Duration, Instant};
use wire::{ConnectionId, Timers};

/// The timer values of RFC 3261 §17.1.1.1 and table 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// T1: an estimate of the round trip.
    pub t1: Duration,
    /// T2: the longest interval between retransmissions of requests and final responses.
    pub t2: Duration,
    /// T4: how long a message may stay in the network.
    pub t4: Duration,
    /// Timer C: how long a called phone may ring without a word (more than three minutes, RFC 3261 §16.6).
    pub c: Duration,
    /// How long one group of contacts may ring before the less preferred ones are tried (RFC 3261 §16.6 step 11).
    pub serial: Duration,
    /// Timer D: how long a client absorbs final responses to INVITE on unreliable transports (at least 32 s).
    pub d: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            c: Duration::from_secs(185),
            serial: Duration::from_secs(20),
            d: Duration::from_secs(32),
        }
    }
}

impl Timing {
    /// How long a transaction waits for its other end: 64 times T1.
    pub fn patience(&self) -> Duration {
        self.t1 * 64
    }

    /// When a request other than INVITE that went to several is answered with what there is: while its client still waits, on whose
    /// clock more time has passed than on ours.
    pub fn last_word(&self) -> Duration {
        self.patience() * 15 / 16
    }

    /// When a request other than INVITE must be answered with 100: when the client's Timer E reaches T2 (RFC 4320 §4.1).
    pub fn trying(&self) -> Duration {
        let (mut interval, mut sum) = (self.t1, Duration::ZERO);
        while interval < self.t2 {
            sum += interval;
            interval *= 2;
        }
        sum
    }
}

/// Every timer of the machine, by the name that the RFCs give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// INVITE client: send again.
    A(Id),
    /// INVITE client: nobody answered.
    B(Id),
    /// Proxy: the called phone has been ringing too long.
    C(Id),
    /// INVITE client: stop absorbing final responses.
    D(Id),
    /// Client: send again.
    E(Id),
    /// Client: nobody answered.
    F(Id),
    /// INVITE server: send the final response again.
    G(Id),
    /// INVITE server: the ACK did not come.
    H(Id),
    /// INVITE server: stop absorbing ACKs.
    I(Id),
    /// Server: stop absorbing requests.
    J(Id),
    /// Client: stop absorbing responses.
    K(Id),
    /// INVITE server: stop accepting 2xx from above (RFC 6026 §7.1).
    L(Id),
    /// INVITE client: stop accepting 2xx from the network (RFC 6026 §7.2).
    M(Id),
    /// Server: say 100 now (RFC 4320 §4.1).
    Trying(Id),
    /// Proxy: these contacts had their time, the less preferred ones are tried (RFC 3261 §16.6 step 11), or, of requests other than
    /// INVITE, what others have said is the answer.
    Serial(Id),
    /// INVITE client: the CANCEL had no effect (RFC 3261 §9.1).
    Cancelled(Id),
    /// Registrar: a binding may have ended.
    Bindings,
    /// Registrar: some phones behind NAT are asked for a sign of life.
    Pings,
    /// A question was not answered.
    Asked(Id),
    /// The disk has not answered a registration in time.
    Patience,
    /// The disk did not take something: it is tried again.
    Storage,
    /// Other workers are to be told what has become of calls at home there.
    Calls,
    /// Transport: nobody took the call for a connection.
    Dialling(Id),
    /// Transport: a stream may have been silent for too long.
    Idle(ConnectionId),
    /// Transport: a message on a stream has begun and does not end.
    Partial(ConnectionId),
}

/// The clock of one transaction, lent to its machine.
#[derive(Debug)]
pub struct Alarm<'a> {
    /// All timers.
    pub timers: &'a mut Timers<Timer>,
    /// The transaction.
    pub id: Id,
    /// The moment.
    pub now: Instant,
    /// The values.
    pub timing: &'a Timing,
}

impl Alarm<'_> {
    /// Starts or moves a timer of this transaction.
    fn start(&mut self, timer: fn(Id) -> Timer, after: Duration) {
        self.timers.set(timer(self.id), self.now + after);
    }

    /// Stops a timer of this transaction.
    fn stop(&mut self, timer: fn(Id) -> Timer) {
        self.timers.cancel(timer(self.id));
    }
}

/// What becomes of a response that reached a client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Whoever owns the transaction sees it.
    Pass,
    /// The owner sees it, and an ACK answers it.
    PassAndAck,
    /// An ACK answers it; the owner has seen it before.
    Ack,
    /// It changes nothing.
    Absorb,
}

/// What a timer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// Send the last message again.
    Resend,
    /// The other end is silent: tell the owner, then end.
    TimedOut,
    /// The transaction is over.
    Ended,
    /// Say 100 Trying.
    Trying,
    /// Nothing.
    Nothing,
}

#[cfg(test)]
pub(crate) mod bench {
    //! One machine, its timers and a clock that a test turns by hand.

    use super::{Alarm, Id, Timer, Timing};
    use std::time::{Duration, Instant};
    use wire::Timers;

    pub(crate) const ID: Id = Id { index: 7, generation: 1 };

    pub(crate) struct Bench {
        pub(crate) timers: Timers<Timer>,
        pub(crate) timing: Timing,
        start: Instant,
        now: Instant,
    }

    impl Bench {
        #[expect(clippy::disallowed_methods, reason = "a test needs some moment to start from")]
        pub(crate) fn new() -> Self {
            let now = Instant::now();
            Self { timers: Timers::default(), timing: Timing::default(), start: now, now }
        }

        pub(crate) fn alarm(&mut self) -> Alarm<'_> {
            Alarm { timers: &mut self.timers, id: ID, now: self.now, timing: &self.timing }
        }

        /// Goes on to the next timer: which, and how many milliseconds after the start.
        pub(crate) fn next(&mut self) -> Option<(Timer, u128)> {
            self.now = self.timers.next()?;
            let timer = self.timers.pop(self.now)?;
            Some((timer, (self.now - self.start).as_millis()))
        }

        pub(crate) fn wait(&mut self, milliseconds: u64) {
            self.now += Duration::from_millis(milliseconds);
        }
    }

    #[test]
    fn a_hundred_is_due_when_timer_e_reaches_t2() {
        assert_eq!(Timing::default().trying(), Duration::from_millis(3500));
        assert_eq!(Timing::default().patience(), Duration::from_secs(32));
    }
}
