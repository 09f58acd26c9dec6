//! The house that the stacks serve: accounts, configurations, what the names of the world stand for.

use sip::proxy::media::Relaying;
use sip::registrar::Rules;
use sip::stack::Strangers;
use sip::transaction::Timing;
use sip::transport::{Arrival, Listener, Listeners};
use sip::{Config, Limits};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use wire::names::{Found, Naptr, Question, Srv};
use wire::{Account, Address, Directory, Domain, Keys, Secret, SocketId, Transport, WorkerId};

pub(super) const WORKERS: u16 = 2;
pub(super) const REALM: &str = "falcot.com";
pub(super) const PASSWORD: &str = "tr0mbone";
pub(super) const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// How many contacts an address may have.
pub(super) const BINDINGS: usize = 3;

/// How many calls are remembered.
pub(super) const CALLS: usize = 4;

/// How many connections are opened at a time.
const DIALS: usize = 3;

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().expect("written as an address")
}

pub(super) fn at(text: &str) -> SocketAddr {
    text.parse().expect("written as an address and a port")
}

/// One of the configurations; the first byte of a play chooses. Each may follow any other with the same limits.
pub(super) fn config(me: usize, variant: u8) -> Config {
    let listener = |transport, socket: Option<u32>, bound: &str| Listener {
        transport,
        socket: socket.map(SocketId),
        bound: at(bound),
        host: REALM.into(),
    };
    Config {
        me: WorkerId(me as u16),
        workers: WORKERS,
        listeners: Listeners {
            all: vec![
                listener(Transport::Udp, Some(1), "192.0.2.1:5060"),
                listener(Transport::Udp, Some(2), "[2001:db8::1]:5060"),
                listener(Transport::Tcp, None, "192.0.2.1:5060"),
                listener(Transport::Tls, None, "192.0.2.1:5061"),
                listener(Transport::Ws, None, "192.0.2.1:5080"),
                listener(Transport::Wss, None, "192.0.2.1:5443"),
            ],
            addresses: vec![ip("192.0.2.1"), ip("2001:db8::1")],
            external: Vec::new(),
            ..Listeners::default()
        },
        secret: Secret::new("the same on every worker"),
        authenticate: variant & 3 == 3,
        speakers: Vec::new(),
        relaying: if variant & 8 == 0 { Relaying::Never } else { Relaying::Always },
        nonce: Duration::from_secs(300),
        timing: Timing::default(),
        ping: (variant & 32 != 0).then_some(Duration::from_secs(25)),
        rules: Rules {
            expires: Duration::from_secs(3600),
            expires_min: Duration::from_secs(60),
            expires_max: Duration::from_secs(7200),
            bindings: BINDINGS,
        },
        targets: Vec::new(),
        limits: Limits {
            transactions: transactions(variant),
            per_source: transactions(variant) * 3 / 4,
            dials: DIALS,
            trace: 50,
            calls: CALLS,
            head: 8 * 1024,
            message: 16 * 1024,
            max_forwards: 70,
            retry_after: Duration::from_secs(5),
            idle: Duration::from_secs(1800),
            answer: Duration::from_secs(10),
        },
    }
}

/// Turns every third request away that proves nothing.
#[derive(Debug, Default)]
pub(super) struct Crowded(AtomicU32);

impl Strangers for Crowded {
    fn takes(&self, _: Instant, _: &Arrival) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) % 3 < 2
    }

    fn has_room(&self, _: Instant, _: &Arrival) -> bool {
        self.0.load(Ordering::Relaxed) % 3 < 2
    }

    fn have_proven(&self, _: Instant, _: &Arrival, _: bool) {}
}

/// Few, so that they run out, or many.
pub(super) fn transactions(variant: u8) -> usize {
    if variant & 4 == 0 { 200 } else { 12 }
}

/// The accounts. Carol may be gone.
pub(super) fn accounts(with_carol: bool) -> Arc<Directory> {
    let account = |name: &str| {
        let address: Address = format!("{name}@{REALM}").parse().expect("an address");
        let md5 = Some(super::people::md5(&format!("{name}:{REALM}:{PASSWORD}")));
        let keys = Keys { md5, ..Keys::default() };
        (address.clone(), Some(Arc::new(Account { address, keys })))
    };
    let main = Domain::new(REALM).expect("a name");
    let alias = [Domain::new("sip.falcot.com").expect("a name")];
    let names = USERS.iter().filter(|name| with_carol || **name != "carol");
    Arc::new(Directory::new([(&main, &alias[..])]).with(names.map(|name| account(name))))
}

/// What the world's names stand for.
pub(super) fn find(question: &Question) -> Found {
    let srv = |priority, port, target: &str| Srv { priority, weight: 1, port, target: target.into() };
    let naptr = |service: &str, replacement: &str| Naptr {
        order: 1,
        preference: 1,
        service: service.into(),
        replacement: replacement.into(),
    };
    match question {
        Question::Naptr(name) if &**name == "many.example" => Found::Naptr(vec![
            naptr("SIP+D2T", "_sip._tcp.many.example"),
            naptr("SIP+D2U", "_sip._udp.many.example"),
        ]),
        Question::Naptr(_) => Found::Naptr(Vec::new()),
        Question::Srv(name) => Found::Srv(match &**name {
            "_sip._udp.peer.example" => vec![srv(1, 5070, "host.peer.example")],
            "_sip._udp.many.example" => (0..10).map(|n| srv(n / 3, 5060 + n, "host.many.example")).collect(),
            "_sip._tcp.many.example" => {
                vec![srv(1, 5060, "host.peer.example"), srv(2, 5061, "host.many.example")]
            }
            "_sips._tcp.peer.example" => vec![srv(1, 5061, "host.peer.example")],
            // A domain that points at us.
            "_sip._udp.mirror.example" => vec![srv(1, 5060, "falcot.com")],
            _ => Vec::new(),
        }),
        Question::Addresses(name) => Found::Addresses(match &**name {
            "host.peer.example" | "peer.example" => vec![ip("203.0.113.1")],
            "host.many.example" => {
                vec![ip("203.0.113.9"), ip("203.0.113.2"), ip("224.0.0.1"), ip("2001:db8:7::1")]
            }
            "falcot.com" | "sip.falcot.com" => vec![ip("192.0.2.1")],
            "inside.example" => vec![ip("127.0.0.1"), ip("10.0.0.7"), ip("169.254.169.254")],
            _ => Vec::new(),
        }),
    }
}
