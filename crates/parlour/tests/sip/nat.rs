//! Phones behind NATs of their own, and phones of different address families: each must hear the other's tone, by the relay
//! where there is no other way, and without it where there is.
//!
//! ```text
//!  server s  198.51.100.1 ── 198.51.100.2 n1 192.168.1.1 ── 192.168.1.5 p1, 192.168.1.6 p3
//!            203.0.113.1  ── 203.0.113.2  n2 192.168.1.1 ── 192.168.1.5 p2
//!            2001:db8:6::1 ── 2001:db8:6::2 p6
//! ```

use crate::PASSWORD;
use crate::media::{count, released};
use crate::phones::{Phone, Place};
use std::time::Duration;
use testkit::House;
use testkit::spaces::Spaces;

/// Nothing is routed between the networks of different lines but by way of the NATs, and the server routes nothing.
const LINES: &str = "
    link add s1 netns @s type veth peer name w netns @n1
    link add s2 netns @s type veth peer name w netns @n2
    link add s6 netns @s type veth peer name e netns @p6
    link add b1 netns @n1 type veth peer name e netns @p1
    link add b3 netns @n1 type veth peer name e netns @p3
    link add b2 netns @n2 type veth peer name e netns @p2
    -n @n1 link add name lan type bridge
    -n @n1 link set b1 master lan
    -n @n1 link set b3 master lan
    -n @s addr add 198.51.100.1/24 dev s1
    -n @s addr add 203.0.113.1/24 dev s2
    -n @s addr add 2001:db8:6::1/64 dev s6 nodad
    -n @n1 addr add 198.51.100.2/24 dev w
    -n @n2 addr add 203.0.113.2/24 dev w
    -n @n1 addr add 192.168.1.1/24 dev lan
    -n @n2 addr add 192.168.1.1/24 dev b2
    -n @p1 addr add 192.168.1.5/24 dev e
    -n @p3 addr add 192.168.1.6/24 dev e
    -n @p2 addr add 192.168.1.5/24 dev e
    -n @p6 addr add 2001:db8:6::2/64 dev e nodad
    -n @s link set s1 up
    -n @s link set s2 up
    -n @s link set s6 up
    -n @n1 link set w up
    -n @n2 link set w up
    -n @n1 link set b1 up
    -n @n1 link set b3 up
    -n @n1 link set lan up
    -n @n2 link set b2 up
    -n @p1 link set e up
    -n @p2 link set e up
    -n @p3 link set e up
    -n @p6 link set e up
    -n @p1 route add default via 192.168.1.1
    -n @p2 route add default via 192.168.1.1
    -n @p3 route add default via 192.168.1.1
    -n @n1 route add default via 198.51.100.1
    -n @n2 route add default via 203.0.113.1
";

struct World {
    house: House,
    spaces: Spaces,
}

impl World {
    fn make() -> Option<Self> {
        let spaces = Spaces::make(&["s", "n1", "n2", "p1", "p2", "p3", "p6"], LINES)?;
        spaces.nat("n1", "w");
        spaces.nat("n2", "w");
        let house = House::of(env!("CARGO_BIN_EXE_parlour"))
            .set("network", "addresses", "[\"198.51.100.1\", \"203.0.113.1\", \"2001:db8:6::1\"]")
            .set("sip", "udp", "[\"198.51.100.1:5060\", \"203.0.113.1:5060\", \"[2001:db8:6::1]:5060\"]")
            .account("roland@falcot.com", PASSWORD)
            .account("joe@falcot.com", PASSWORD)
            .within(&spaces.name("s"))
            .start();
        Some(Self { house, spaces })
    }

    /// Which phone stands where.
    fn place(&self, word: &str) -> Place {
        let (host, server) = match word {
            "p1" => ("192.168.1.5", "198.51.100.1"),
            "p3" => ("192.168.1.6", "198.51.100.1"),
            "p2" => ("192.168.1.5", "203.0.113.1"),
            _ => ("[2001:db8:6::2]", "[2001:db8:6::1]"),
        };
        let server = format!("sip:{server}:5060;transport=udp");
        Place { domain: "falcot.com", netns: Some(self.spaces.name(word)), host, port: 5060, server }
    }

    /// Roland calls joe, both hear the other and not themselves, and roland hangs up. How many packets were relayed.
    fn call(&self, roland: &str, joe: &str, media: &str) -> u64 {
        let joe = Phone::start_at(&self.place(joe), "joe", media, 1000.0, None).registered();
        let dial = Some("sip:joe@falcot.com");
        let roland = Phone::start_at(&self.place(roland), "roland", media, 440.0, dial);
        let at_joe = (joe.hears(440.0), joe.hears(1000.0));
        let at_roland = (roland.hears(1000.0), roland.hears(440.0));
        assert!(at_joe.0 > 8000.0 && at_joe.1 < 1000.0, "joe hears {at_joe:?}");
        assert!(at_roland.0 > 8000.0 && at_roland.1 < 1000.0, "roland hears {at_roland:?}");
        roland.program.terminate();
        joe.program.expect("terminated", Duration::from_secs(10));
        released(&self.house);
        count(&self.house, "media.packets")
    }
}

#[test]
fn two_phones_behind_different_nats_hear_one_another() {
    let Some(world) = World::make() else { return };
    // Two seconds of fifty packets each way.
    assert!(world.call("p1", "p2", "") > 200);
}

#[test]
fn two_phones_behind_different_nats_hear_one_another_through_srtp() {
    let Some(world) = World::make() else { return };
    assert!(world.call("p2", "p1", "mediaenc=srtp-mand;") > 200);
}

#[test]
fn a_phone_of_ipv4_and_one_of_ipv6_hear_one_another() {
    let Some(world) = World::make() else { return };
    assert!(world.call("p1", "p6", "") > 200);
}

#[test]
fn two_phones_behind_one_nat_need_no_relay() {
    let Some(world) = World::make() else { return };
    assert_eq!(world.call("p1", "p3", ""), 0);
    assert_eq!(count(&world.house, "media.calls-relayed"), 0);
}
