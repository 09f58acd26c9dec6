//! STUN and TURN of the real binary: Debian's coturn clients through it, and what strangers send it.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it should be")]
#![expect(clippy::disallowed_types, reason = "a test is a client with sockets of its own")]

mod client;
mod conformance;
mod coturn;
mod credentials;
mod discovery;
mod dtls;
mod fleet;
mod flood;
mod icmp;
mod independent;
mod issued;
mod live;
mod metrics;
mod mobility;
mod modes;
mod names;
mod policy;
mod relay_test;
mod reload;
mod sessions;
mod strangers;
mod tcp;
mod webrtc;
mod xdp;

use std::time::{Duration, Instant};
use testkit::House;

/// A house with roland and joe, where peers on loopback are allowed.
fn house() -> House {
    let mut house = prepare();
    house.start();
    house
}

/// The same before it starts.
fn prepare() -> House {
    let house = House::of(env!("CARGO_BIN_EXE_parlour"))
        .account("roland@falcot.com", "tr0mbone")
        .account("joe@falcot.com", "tr0mbone")
        .set("turn", "allow-peers", r#"["127.0.0.0/8", "::1/128"]"#)
        .set("network", "addresses", r#"["127.0.0.1", "::1"]"#)
        // Its own listeners, and none beside them.
        .set("web", "share", "false");
    house.prepare()
}

/// A counter of the running server, from its own mouth.
fn counter(house: &House, name: &str) -> u64 {
    let output = house.cli(&["status", "--json"], "");
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    status["counters"][name].as_u64().unwrap()
}

/// Waits until a counter has this value.
fn expect_counter(house: &House, name: &str, value: u64) {
    let end = Instant::now() + Duration::from_secs(20);
    while counter(house, name) != value {
        assert!(Instant::now() < end, "{name} is {}, not {value}", counter(house, name));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sets a key in the house's configuration file: that of `[turn]` where several tables have the name.
fn configure(house: &House, key: &str, value: &str) {
    let text = std::fs::read_to_string(house.config()).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let turn = lines.iter().position(|line| line == "[turn]").unwrap();
    let end =
        lines[turn + 1..].iter().position(|line| line.starts_with('[')).map_or(lines.len(), |n| turn + 1 + n);
    let sets = |line: &String| line.starts_with(&format!("{key} = "));
    let here = lines[turn..end].iter().position(sets).map(|n| turn + n);
    let at = here.or_else(|| lines.iter().position(sets)).unwrap();
    lines[at] = format!("{key} = {value}");
    std::fs::write(house.config(), lines.join("\n") + "\n").unwrap();
}
