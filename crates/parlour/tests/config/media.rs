//! What `[media]` may say, and what is said of what it must not.

use super::{DOMAIN, check, plan};
use sip::proxy::media::Relaying;
use std::time::Duration;

#[test]
fn what_absence_means_and_everything_that_can_be_written() {
    let media = plan(DOMAIN).media;
    assert_eq!((media.relaying, media.addresses.len(), media.account), (Relaying::Needed, 0, 32));
    assert_eq!((media.rtp_ports, media.silence), (30_000..=39_999, Duration::from_secs(60)));
    let text = "[media]\nrelay = \"always\"\naddresses = [\"127.0.0.1\"]\nrtp-ports = \"20000-20003\"\nsilence = \"5m\"\naccount = 0\n";
    let media = plan(&format!("{DOMAIN}{text}")).media;
    assert_eq!((media.relaying, media.addresses.len(), media.account), (Relaying::Always, 1, 0));
    assert_eq!((media.rtp_ports, media.silence), (20_000..=20_003, Duration::from_secs(300)));
}

#[test]
fn what_is_refused() {
    let check = |line: &str, expected: &str| check(&format!("{DOMAIN}[media]\n{line}\n"), &[expected]);
    check(
        "relay = \"auto\"",
        "4:9 media.relay: `auto` does not say which calls are relayed | write \"needed\", \"always\" or \"never\"",
    );
    check(
        "rtp-ports = \"30001-30004\"",
        "4:13 media.rtp-ports: `30001-30004` has no room for a call | a call takes four ports, the first an even one",
    );
}

#[test]
fn ports_that_two_relays_would_take_from_one_another() {
    let text = |media: &str, turn: &str| format!("{DOMAIN}[media]\n{media}[turn]\n{turn}");
    let (ports, udp) = ("rtp-ports = \"49000-50000\"\n", "udp = [\"127.0.0.1:3478\"]\n");
    check(
        &text(ports, udp),
        &[
            "4:13 media.rtp-ports: `49000-50000` overlaps turn.relay-ports, 49152-65535 | each would take ports from the other: choose ranges that are apart",
        ],
    );
    let never = format!("{ports}relay = \"never\"\n");
    let apart = format!("{udp}relay-ports = \"50001-60000\"\n");
    for (media, turn) in [(&*never, udp), (ports, &*apart), (ports, "")] {
        assert!(!plan(&text(media, turn)).warnings.iter().any(|warning| warning.contains("overlaps")));
    }
    // Nobody has chosen those of calls.
    let warnings = plan(&text("", &format!("{udp}relay-ports = \"39999-50000\"\n"))).warnings;
    let warning = "turn.relay-ports: 39999-50000 overlaps media.rtp-ports (30000-39999 unless set); each takes ports from the other";
    assert!(warnings.iter().any(|one| one == warning), "{warnings:?}");
}
