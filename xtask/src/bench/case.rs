//! What is measured: each case is one call of the load generator.

use std::time::Duration;

/// Whose benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    Turn,
    Sip,
    Xmpp,
    Media,
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
    /// The peer from Debian, in the setting to compare with.
    Peer,
    /// The cheapest of the bare forwarders.
    BestFloor,
    /// ejabberd.
    Ejabberd,
    /// The cheapest of the peers from Debian.
    BestPeer,
    /// One system call for each datagram.
    Plain,
    /// Batches.
    Gso,
    /// A figure of its own.
    Fixed,
}

/// How the servers of a case are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Setting {
    /// One worker, which asks for passwords.
    Usual,
    /// Calls are not asked for a password.
    Open,
    /// One worker, which keeps every message in an archive.
    Archived,
    /// Two workers on both cores, which they share with the generator.
    Two,
    /// With TLS, where that is not so anyway.
    Tls,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Processor time for each unit.
    Time,
    /// Memory for each unit, after so many seconds: until what is not held is forgotten.
    Memory(u64),
    /// How long half of the units took.
    Wait,
    /// How many units fail while the database is held by another process.
    Stall,
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
    pub(crate) measure: Measure,
    pub(crate) setting: Setting,
    /// What is done before memory is looked at, and before it is held; the cases behind it follow on the same servers.
    pub(crate) before: Option<String>,
    /// What is to be reached.
    pub(crate) goal: Option<Goal>,
    /// Whether a bare forwarder can do it.
    pub(crate) bare: bool,
}

impl Case {
    fn work(title: &'static str, load: String) -> Self {
        Self {
            title,
            load,
            tls: false,
            measure: Measure::Time,
            setting: Setting::Usual,
            before: None,
            goal: None,
            bare: false,
        }
    }

    fn over_tls(title: &'static str, load: String) -> Self {
        Self { tls: true, ..Self::work(title, load) }
    }

    fn memory(self, hold: u64) -> Self {
        Self { measure: Measure::Memory(hold), ..self }
    }

    /// To be compared with the bare forwarders.
    fn bare(self) -> Self {
        Self { bare: true, ..self }
    }

    fn goal(self, factor: f64, of: Mark) -> Self {
        Self { goal: Some(Goal { factor, of }), ..self }
    }

    fn with(self, setting: Setting) -> Self {
        Self { setting, ..self }
    }

    fn measuring(self, measure: Measure) -> Self {
        Self { measure, ..self }
    }

    /// Whether memory is measured.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.measure, Measure::Memory(_))
    }

    /// For how long it is held.
    pub(crate) fn hold(&self) -> Duration {
        match self.measure {
            Measure::Memory(seconds) => Duration::from_secs(seconds),
            _ => Duration::ZERO,
        }
    }

    /// What a figure of it is in.
    pub(crate) fn unit(&self) -> &'static str {
        match self.measure {
            Measure::Time => "µs",
            Measure::Memory(_) => "KiB",
            Measure::Wait => "ms",
            Measure::Stall => "failed",
        }
    }
}

/// So many accounts register, and those behind them call: nobody calls a contact that is no longer there.
const SIP_CONTACTS: usize = 20_000;
const SIP_CALLERS: usize = 200;

/// How many accounts each server has.
pub(crate) const fn users(service: Service) -> usize {
    match service {
        Service::Turn | Service::Media => 8,
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
        Service::Media => media(n),
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

const REFRESH: &str = "SIP REGISTER with digest, 401 and 200, refresh (registration)";
/// The case that tells how contacts are written.
pub(crate) const NEW_CONTACT: &str = "SIP REGISTER with digest, 401 and 200, new contact (registration)";

fn sip(n: impl Fn(usize, usize) -> usize) -> Vec<Case> {
    let register = |units, users| format!("sip-register --units {units} --users {users} --window 64");
    let refresh = |units| format!("{} --before yes", register(units, 1_000));
    let call = |units| format!("sip-call --units {units} --users {SIP_CALLERS} --first {SIP_CONTACTS}");
    let (some, half) = (n(8_000, 4_000), n(SIP_CONTACTS / 2, 4_000));
    let (two, calls) = (n(20_000, 4_000), n(6_000, 1_000));
    vec![
        Case::work(
            "SIP OPTIONS to the server (request)",
            format!("sip-options --units {}", n(40_000, 10_000)),
        )
        .bare()
        .goal(0.65, Mark::Peer),
        Case::work(REFRESH, refresh(n(20_000, 4_000))).bare().goal(0.5, Mark::Peer),
        Case::work("SIP call, 407, INVITE to BYE (call)", call(calls)).bare().goal(0.35, Mark::Peer),
        // The last one: Kamailio writes new contacts back after a minute, and does little else meanwhile.
        Case::work(NEW_CONTACT, register(some, some)).goal(0.5, Mark::Peer),
        Case::work("SIP call without a password, INVITE to BYE (call)", call(calls))
            .with(Setting::Open)
            .bare()
            .goal(0.5, Mark::Peer),
        Case::over_tls(
            "SIP REGISTER on standing TLS connections, 401 and 200, refresh (registration)",
            format!("{} --tls yes --clients 50", refresh(n(10_000, 2_000))),
        )
        .with(Setting::Tls)
        .goal(0.55, Mark::Peer),
        Case::work(
            "two workers: SIP REGISTER with digest, 401 and 200, refresh (registration)",
            refresh(two),
        )
        .with(Setting::Two)
        .goal(0.5, Mark::Peer),
        Case::work("two workers: SIP call, 407, INVITE to BYE (call)", call(calls))
            .with(Setting::Two)
            .goal(0.35, Mark::Peer),
        Case {
            before: Some(register(half, half)),
            ..Case::work("registered SIP contact", format!("{} --first {half}", register(half, half)))
        }
        .with(Setting::Tls)
        .memory(40)
        .goal(0.49, Mark::Fixed),
        Case::over_tls("idle TLS connection", format!("sip-idle --tls yes --clients {}", n(2_000, 300)))
            .with(Setting::Tls)
            .memory(3)
            .goal(12.0, Mark::Fixed),
        Case::work(
            "next target after a closed UDP port (ms until it rings)",
            format!("sip-call --units 50 --window 1 --users 100 --first {SIP_CONTACTS} --closed yes"),
        )
        .measuring(Measure::Wait)
        .goal(20.0, Mark::Fixed),
        Case::work(
            "database stalled for 10 s: registrations refreshed, 400/s (failed)",
            "sip-register --units 5600 --users 1000 --window 4000 --before yes --rate 400".to_owned(),
        )
        .measuring(Measure::Stall)
        .goal(0.0, Mark::Fixed),
        Case::work(
            "database stalled for 10 s: calls with 407, 50/s (failed)",
            format!("{} --rate 50 --window 600", call(700)),
        )
        .measuring(Measure::Stall)
        .goal(0.0, Mark::Fixed),
    ]
}

/// Calls that stand, whose called ends send back all that they hear.
fn media(n: impl Fn(usize, usize) -> usize) -> Vec<Case> {
    let relay = |units: usize, rest: &str| format!("rtp-relay --clients 100 --units {units} {rest}");
    let fast = |size: u16| relay(n(600_000, 60_000), &format!("--size {size} --window 100"));
    vec![
        Case::work("relayed RTP packet, 160 octets, as fast as it goes (packet)", fast(160))
            .bare()
            .goal(1.12, Mark::BestFloor),
        Case::work("relayed RTP packet, 1200 octets, as fast as it goes (packet)", fast(1200))
            .bare()
            .goal(1.12, Mark::BestFloor),
        Case::work(
            "relayed RTP packet, 160 octets, 100 calls, 10 000 packets/s (packet)",
            relay(n(60_000, 20_000), "--size 160 --rate 10000"),
        )
        .bare()
        .goal(1.12, Mark::BestFloor),
    ]
}

/// Without archives, as Prosody is packaged, where nothing else is said.
fn xmpp(n: impl Fn(usize, usize) -> usize) -> Vec<Case> {
    let users = users(Service::Xmpp);
    let chat = |units: usize| {
        format!("xmpp-chat --units {units} --clients 40 --window 40 --size 250 --users {users}")
    };
    let room = |units: usize| {
        format!("xmpp-room --units {units} --clients 100 --window 4 --size 250 --users {users}")
    };
    vec![
        Case::work(
            "XMPP login: TCP, STARTTLS, TLS, SCRAM-SHA-1, binding, presence (login)",
            format!("xmpp-login --starttls yes --units {} --users {users}", n(2_000, 300)),
        )
        .goal(0.2, Mark::Ejabberd),
        Case::over_tls("chat message of 250 octets, delivered over TLS (message)", chat(n(60_000, 8_000)))
            .bare()
            .goal(0.1, Mark::Ejabberd),
        Case::over_tls("what is said in a room of 100, over TLS (delivery)", room(n(200_000, 20_000)))
            .goal(0.15, Mark::Ejabberd),
        Case::over_tls(
            "chat message of 250 octets, delivered and in both archives (message)",
            chat(n(20_000, 2_000)),
        )
        .with(Setting::Archived)
        .goal(0.1, Mark::BestPeer),
        Case::over_tls(
            "two workers: chat message of 250 octets, delivered over TLS (message)",
            chat(n(60_000, 8_000)),
        )
        .with(Setting::Two)
        .goal(0.1, Mark::Ejabberd),
        Case::over_tls(
            "idle XMPP connection over TLS",
            format!("xmpp-idle --clients {} --users {users}", n(2_000, 300)),
        )
        .memory(2)
        .goal(12.0, Mark::Fixed),
    ]
}
