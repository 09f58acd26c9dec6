//! What is measured: each case is one call of the load generator.

/// Whose benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    Turn,
    Sip,
    Xmpp,
}

/// What a row is to reach: no more than so many times what a column of the same run shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Goal {
    pub(crate) factor: f64,
    pub(crate) of: Mark,
}

/// What a goal is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The peer from Debian.
    Peer,
    /// The cheapest of the bare forwarders.
    BestFloor,
    /// One system call for each datagram.
    Plain,
    /// Batches.
    Gso,
    /// A figure of its own.
    Fixed,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// What is done, and the unit in brackets.
    pub(crate) title: &'static str,
    /// The generator's command and options, without the server.
    pub(crate) load: String,
    /// Over TLS: it goes to the other port.
    pub(crate) tls: bool,
    /// For memory: how long to wait until what is not held is forgotten, in seconds.
    pub(crate) hold: Option<u64>,
    /// What is to be reached.
    pub(crate) goal: Option<Goal>,
    /// Whether a bare forwarder can do it.
    pub(crate) bare: bool,
}

impl Case {
    fn work(title: &'static str, load: String) -> Self {
        Self { title, load, tls: false, hold: None, goal: None, bare: false }
    }

    fn over_tls(title: &'static str, load: String) -> Self {
        Self { tls: true, ..Self::work(title, load) }
    }

    fn memory(self, hold: u64) -> Self {
        Self { hold: Some(hold), ..self }
    }

    /// To be compared with the bare forwarders.
    fn bare(self) -> Self {
        Self { bare: true, ..self }
    }

    fn goal(self, factor: f64, of: Mark) -> Self {
        Self { goal: Some(Goal { factor, of }), ..self }
    }

    /// Whether memory is measured, not processor time.
    pub(crate) fn is_memory(&self) -> bool {
        self.hold.is_some()
    }
}

/// So many accounts register, and those behind them call: nobody calls a contact that is no longer there.
const SIP_CONTACTS: usize = 20_000;
const SIP_CALLERS: usize = 200;

/// How many accounts each server has.
pub(crate) const fn users(service: Service) -> usize {
    match service {
        Service::Turn => 8,
        Service::Sip => SIP_CONTACTS + SIP_CALLERS,
        Service::Xmpp => 2_000,
    }
}

/// The cases of a service; `quick` does less of each.
pub(crate) fn of(service: Service, quick: bool) -> Vec<Case> {
    let n = |full: usize, short: usize| if quick { short } else { full };
    match service {
        Service::Turn => turn(n),
        Service::Sip => sip(n),
        Service::Xmpp => xmpp(n),
    }
}

/// At a fixed rate the generator's clock decides how long a run takes: no more packets than figures need.
fn turn(n: impl Fn(usize, usize) -> usize) -> Vec<Case> {
    let relay = |units: usize, rest: &str| format!("turn-relay --units {units} {rest}");
    let paced = |rest: &str| relay(n(60_000, 20_000), &format!("--clients 100 --rate 20000 {rest}"));
    vec![
        Case::work("STUN binding (request)", format!("stun --units {}", n(400_000, 50_000)))
            .bare()
            .goal(1.2, Mark::Plain),
        Case::work(
            "TURN allocation made, bound to a channel, released (allocation)",
            format!("turn-setup --units {}", n(10_000, 2_000)),
        )
        .goal(0.3, Mark::Peer),
        Case::work(
            "TURN relay, 160 octets, as fast as it goes (packet)",
            relay(n(600_000, 60_000), "--size 160 --clients 100 --window 100"),
        )
        .bare()
        .goal(1.1, Mark::BestFloor),
        Case::work(
            "TURN relay, 1200 octets, as fast as it goes (packet)",
            relay(n(500_000, 60_000), "--size 1200"),
        )
        .bare()
        .goal(1.1, Mark::BestFloor),
        Case::work(
            "TURN relay, 1200 octets, deep queues: 32 on their way on each of 16 flows (packet)",
            relay(n(500_000, 60_000), "--size 1200 --window 512"),
        )
        .bare()
        .goal(1.1, Mark::Gso),
        Case::work("TURN relay, 160 octets, 100 flows, 20 000 packets/s (packet)", paced("--size 160"))
            .bare()
            .goal(1.1, Mark::Plain),
        Case::work(
            "TURN relay, 160 octets, 20 000 packets/s in bursts of 8 (packet)",
            paced("--size 160 --burst 8"),
        )
        .bare()
        .goal(1.1, Mark::BestFloor),
        Case::work(
            "TURN relay, 160 octets, 20 000 packets/s in bursts of 32 (packet)",
            paced("--size 160 --burst 32"),
        )
        .bare()
        .goal(1.1, Mark::BestFloor),
        Case::over_tls(
            "TURN over TLS, relay, 160 octets, as fast as it goes (packet)",
            relay(n(300_000, 40_000), "--size 160 --tls yes"),
        )
        .goal(0.62, Mark::Peer),
        Case::work("idle TURN allocation", format!("turn-idle --clients {}", n(5_000, 1_000)))
            .memory(1)
            .goal(2.0, Mark::Fixed),
        Case::work(
            "unauthenticated TURN Allocate, distinct sources",
            format!("turn-strangers --units {}", n(20_000, 4_000)),
        )
        .memory(1)
        .goal(0.05, Mark::Fixed),
    ]
}

/// The case that tells how contacts are written.
pub(crate) const NEW_CONTACT: &str = "SIP REGISTER with digest, 401 and 200, new contact (registration)";

fn sip(n: impl Fn(usize, usize) -> usize) -> Vec<Case> {
    let register = |units, users| format!("sip-register --units {units} --users {users} --window 64");
    let (some, all) = (n(8_000, 4_000), n(SIP_CONTACTS, 4_000));
    vec![
        Case::work(
            "SIP OPTIONS to the server (request)",
            format!("sip-options --units {}", n(40_000, 10_000)),
        ),
        Case::work("SIP REGISTER with digest, 401 and 200, refresh (registration)", register(some, 1_000)),
        Case::work(
            "SIP call, 407, INVITE to BYE (call)",
            format!("sip-call --units {} --users {SIP_CALLERS} --first {SIP_CONTACTS}", n(6_000, 1_000)),
        ),
        // The last one: Kamailio writes new contacts back after a minute, and does little else meanwhile.
        Case::work(NEW_CONTACT, register(some, some)),
        Case::work("registered SIP contact", register(all, all)).memory(40),
    ]
}

fn xmpp(n: impl Fn(usize, usize) -> usize) -> Vec<Case> {
    let users = users(Service::Xmpp);
    vec![
        Case::over_tls(
            "XMPP login over TLS, SCRAM-SHA-1, binding (login)",
            format!("xmpp-login --units {} --users {users}", n(2_000, 300)),
        ),
        Case::over_tls(
            "XMPP chat over TLS between pairs (message)",
            format!("xmpp-chat --units {} --clients 40 --window 40 --users {users}", n(60_000, 8_000)),
        ),
        Case::over_tls(
            "idle XMPP connection over TLS",
            format!("xmpp-idle --clients {} --users {users}", n(2_000, 300)),
        )
        .memory(2),
    ]
}
