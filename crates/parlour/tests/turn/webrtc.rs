//! WebRTC through our relays alone: two aiortc peers in relay-only mode, over UDP, TCP and TLS.

use crate::{expect_counter, house};
use std::time::Duration;
use testkit::house::python;
use testkit::process::run;

const PACKAGE: &str = "cargo xtask test prepares a Python with aiortc";

#[test]
fn relay_only_over_every_transport() {
    let house = house();
    std::thread::scope(|scope| {
        for transport in ["udp", "tcp", "tls"] {
            let port = house.port(&format!("turn.{transport}")).to_string();
            let mut command = python("turn/relay_only.py");
            command.args([transport, &port, "roland", "tr0mbone"]);
            // For TLS: our own authority is the one to trust.
            command.env("SSL_CERT_FILE", house.dir().join("data/certs/authority.pem"));
            scope.spawn(move || {
                let (code, output) = run(&mut command, PACKAGE, Duration::from_secs(60));
                let is_heard = output.contains("the answer: heard: hello");
                assert!(code == Some(0) && is_heard, "{transport}: {code:?}\n{output}");
            });
        }
    });
    // They have said farewell.
    expect_counter(&house, "turn.allocations", 0);
}
