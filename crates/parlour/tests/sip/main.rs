//! SIP of the real binary: Debian's baresip and sipp through it, agents of our own, and what strangers send it.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it should be")]
#![expect(clippy::disallowed_types, reason = "a test is a client with sockets of its own")]

mod admin;
mod agent;
mod bans;
mod calls;
mod conformance;
mod crash;
mod failover;
mod federation;
mod flood;
mod houses;
mod identity;
mod keepalive;
mod limits;
mod media;
mod names;
mod nat;
mod neighbour;
mod peers;
mod phones;
mod policy;
mod reload;
mod restart;
mod sipp;
mod sipvicious;
mod storage;
mod strangers;
mod transports;
mod upheaval;
mod web;
mod why;

use testkit::House;
use testkit::house::Builder;

/// The password of everybody.
const PASSWORD: &str = "tr0mbone";

/// A house with roland and joe. Tests have no other hosts than this one, so that requests may be sent to it.
fn house() -> House {
    configured(|house| house)
}

/// A house of two accounts, configured further.
fn configured(further: impl FnOnce(Builder) -> Builder) -> House {
    let house = House::of(env!("CARGO_BIN_EXE_parlour"))
        .set("sip", "allow-targets", "[\"127.0.0.1\", \"::1\"]")
        .account("roland@falcot.com", PASSWORD)
        .account("joe@falcot.com", PASSWORD);
    further(house).start()
}
