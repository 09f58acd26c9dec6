//! NAT behaviour discovery (RFC 5780) of the real binary: Debian's clients find out that there is no NAT on loopback.

use std::process::Command;
use std::time::Duration;
use testkit::House;
use testkit::house::free_port;
use testkit::process::run;

const PACKAGE: &str = "apt install coturn";

/// A house that listens at two addresses with two ports each, and the ports.
fn house() -> (House, u16, u16) {
    let (first, second) = (free_port(), free_port());
    let corner = |address: &str, port: u16| format!("\"{address}:{port}\"");
    let list = [
        corner("127.0.0.1", first),
        corner("127.0.0.1", second),
        corner("127.0.0.2", first),
        corner("127.0.0.2", second),
    ];
    let house = House::of(env!("CARGO_BIN_EXE_parlour"));
    (house.set("turn", "udp", &format!("[{}]", list.join(", "))).start(), first, second)
}

/// Each from an address of its own, as a source's budget of long answers is a small one.
fn natdiscovery(from: &str, port: u16, flags: &[&str]) -> String {
    let mut command = Command::new("turnutils_natdiscovery");
    command.args(flags).args(["-L", from, "-p", &port.to_string(), "127.0.0.1"]);
    run(&mut command, PACKAGE, Duration::from_secs(30)).1
}

/// What the client prints of the addresses, `… Response origin: : 127.0.0.1:3478` say.
fn says(output: &str, what: &str, address: &str) -> bool {
    output.lines().any(|line| line.contains(what) && line.ends_with(address))
}

#[test]
fn natdiscovery_finds_out_how_no_nat_behaves() {
    let (house, first, second) = house();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let output = natdiscovery("127.0.0.11", first, &["-m"]);
            assert!(output.contains("No NAT! (Endpoint Independent Mapping)"), "{output}");
            assert!(output.contains("NAT with Endpoint Independent Mapping!"), "{output}");
            assert!(output.contains("No ALG: Mapped == XOR-Mapped"), "{output}");
            assert!(says(&output, "Response origin", &format!("127.0.0.1:{first}")), "{output}");
            assert!(says(&output, "Other addr", &format!("127.0.0.2:{second}")), "{output}");
            // The second request goes to the other address with the first port.
            assert!(says(&output, "Response origin", &format!("127.0.0.2:{first}")), "{output}");
        });
        scope.spawn(|| {
            let output = natdiscovery("127.0.0.12", first, &["-f"]);
            assert!(output.contains("NAT with Endpoint Independent Filtering!"), "{output}");
            assert!(says(&output, "Response origin", &format!("127.0.0.2:{second}")), "{output}");
        });
        scope.spawn(|| {
            // Of both addresses and ports, padded into fragments.
            let output = natdiscovery("127.0.0.13", second, &["-m", "-f", "-P"]);
            assert!(output.contains("NAT with Endpoint Independent Mapping!"), "{output}");
            assert!(output.contains("NAT with Endpoint Independent Filtering!"), "{output}");
        });
        scope.spawn(|| {
            let output = natdiscovery("127.0.0.14", first, &["-H"]);
            assert!(output.contains("successful hairpinning"), "{output}");
        });
        scope.spawn(|| {
            // The second answer comes to the first port, by RESPONSE-PORT.
            let output = natdiscovery("127.0.0.15", first, &["-t", "-T", "1"]);
            assert!(output.contains("RFC 5780 response 2"), "{output}");
        });
        scope.spawn(|| {
            let output = natdiscovery("127.0.0.16", first, &["-c", "-A", "127.0.0.3"]);
            assert!(output.contains("RFC 5780 response 2"), "{output}");
        });
    });
    drop(house);
}

#[test]
fn stunclient_asks_for_answers_from_elsewhere() {
    let (house, first, second) = house();
    let mut command = Command::new("turnutils_stunclient");
    command.args(["-f", "-p", &first.to_string(), "-L", "127.0.0.1", "127.0.0.1"]);
    let (_, output) = run(&mut command, PACKAGE, Duration::from_secs(30));
    // Plain, then with both flags of CHANGE-REQUEST, then with them and RESPONSE-PORT.
    assert!(output.contains("RFC 5780 response 3") && !output.contains("error"), "{output}");
    for (address, port) in [("127.0.0.1", first), ("127.0.0.2", second)] {
        assert!(says(&output, "Response origin", &format!("{address}:{port}")), "{address}:{port}\n{output}");
    }
    drop(house);
}

#[test]
fn check_says_whether_discovery_is_on_and_what_it_lacks() {
    let check = |list: &str| {
        let house = House::of(env!("CARGO_BIN_EXE_parlour")).set("turn", "udp", list).prepare();
        String::from_utf8(house.cli(&["check"], "").stdout).unwrap()
    };
    let whole = check(r#"["127.0.0.1:3478", "127.0.0.1:3479", "127.0.0.2:3478", "127.0.0.2:3479"]"#);
    let line = "discovery    of NAT behaviour (RFC 5780) by 127.0.0.1:3478, 127.0.0.1:3479, 127.0.0.2:3478, 127.0.0.2:3479";
    assert!(whole.contains(line), "{whole}");
    let half = check(r#"["127.0.0.1:3478", "127.0.0.1:3479", "127.0.0.2:3478"]"#);
    assert!(!half.contains("discovery") && half.contains("with \"127.0.0.2:3479\" there would be"), "{half}");
    let plain = check(r#"["127.0.0.1:3478", "127.0.0.2:3478"]"#);
    assert!(!plain.contains("discovery") && !plain.contains("5780"), "{plain}");
}
