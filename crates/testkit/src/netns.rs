//! Network namespaces that a test makes for itself: a server's and a LAN with a client and a peer in it, joined by a pair
//! of virtual Ethernet interfaces. The test runs once more, inside the LAN.
//!
//! ```text
//!  server namespace          LAN namespace (the test)
//!  s0 10.99.0.1, fd99::1 ──── l0 10.99.0.2, 10.99.0.3, fd99::2, fd99::3     l0 also routes for 10.98.0.1
//! ```

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

const INSIDE: &str = "PARLOUR_TEST_NETNS";

/// The place of a test that runs inside.
#[derive(Clone, Debug)]
pub struct Lan {
    /// The name of the server's namespace, for `ip netns exec`.
    pub server: String,
}

/// What every virtual Ethernet interface needs at its other end, so that an XDP program here can send: some program.
const PASS: &str = "__attribute__((section(\"xdp\"), used)) int pass(void *context) { return 2; }\n\
                    char licence[] __attribute__((section(\"license\"), used)) = \"MIT\";\n";

/// Where the calling test is to go on, if this is its run inside. Otherwise it makes the namespaces, runs the test (by
/// its full name, `xdp::relays`) inside, and takes them down; then there is nothing left to do. Where namespaces cannot
/// be made, it says so.
///
/// # Panics
/// When the run inside fails.
pub fn lan(test: &str) -> Option<Lan> {
    run_inside(test, &[])
}

/// [`lan`], with no more than these of the process's capabilities inside: `["bpf", "net_admin"]`.
///
/// # Panics
/// When the run inside fails.
pub fn lan_with(test: &str, capabilities: &[&str]) -> Option<Lan> {
    let kept: String = capabilities.iter().map(|name| format!(",+{name}")).collect();
    run_inside(test, &["setpriv", &format!("--bounding-set=-all{kept}")])
}

#[expect(clippy::print_stdout, reason = "a test that does nothing says so")]
fn run_inside(test: &str, before: &[&str]) -> Option<Lan> {
    if let Ok(server) = std::env::var(INSIDE) {
        return Some(Lan { server });
    }
    for program in ["ip", "clang"] {
        if Command::new(program).arg("--version").output().is_err() {
            println!("skipped: {program} is not installed");
            return None;
        }
    }
    let spaces = match Namespaces::new() {
        Ok(spaces) => spaces,
        Err(fault) => {
            println!("skipped: no network namespaces here (root is needed): {fault}");
            return None;
        }
    };
    let own = std::env::current_exe().expect("a test is a program");
    let status = Command::new("ip")
        .args(["netns", "exec", &spaces.lan])
        .args(before)
        .arg(own)
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, &spaces.server)
        .status()
        .expect("ip was there just now");
    assert!(status.success(), "the run inside the namespace failed");
    None
}

/// Runs `ip` with words, in the namespace where the caller is.
///
/// # Panics
/// When it fails.
pub fn ip(words: &str) {
    done("ip", Command::new("ip").args(words.split_whitespace()).output()).expect("ip does it");
}

fn done(what: &str, output: std::io::Result<Output>) -> Result<(), String> {
    let output = output.map_err(|error| format!("{what}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{what}: {}", said.trim())) }
}

/// Two namespaces, taken down when dropped.
struct Namespaces {
    server: String,
    lan: String,
}

impl Namespaces {
    fn new() -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("pt{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let spaces = Self { server: format!("{name}-s"), lan: format!("{name}-l") };
        let (server, lan) = (&spaces.server, &spaces.lan);
        let script = format!(
            "netns add {server}\nnetns add {lan}\n\
             link add s0 netns {server} type veth peer name l0 netns {lan}\n\
             -n {server} addr add 10.99.0.1/24 dev s0\n-n {server} addr add fd99::1/64 dev s0 nodad\n\
             -n {lan} addr add 10.99.0.2/24 dev l0\n-n {lan} addr add 10.99.0.3/24 dev l0\n\
             -n {lan} addr add fd99::2/64 dev l0 nodad\n-n {lan} addr add fd99::3/64 dev l0 nodad\n\
             -n {lan} addr add 10.98.0.1/32 dev lo\n\
             -n {server} link set lo up\n-n {lan} link set lo up\n\
             -n {server} link set s0 up\n-n {lan} link set l0 up\n\
             -n {server} route add 10.98.0.0/24 via 10.99.0.2\n"
        );
        for line in script.lines() {
            done(line, Command::new("ip").args(line.split_whitespace()).output())?;
        }
        let object = pass_program()?;
        let attach = Command::new("ip")
            .args(["-n", lan, "link", "set", "dev", "l0", "xdpdrv", "obj"])
            .arg(&object)
            .args(["sec", "xdp"])
            .output();
        let _ = std::fs::remove_file(object);
        done("the program at the other end", attach)?;
        Ok(spaces)
    }
}

fn pass_program() -> Result<PathBuf, String> {
    let (source, object) = (crate::house::scratch(), crate::house::scratch());
    std::fs::write(&source, PASS).map_err(|error| error.to_string())?;
    let compile = Command::new("clang")
        .args(["-O2", "-g", "-target", "bpf", "-x", "c", "-c"])
        .arg(&source)
        .arg("-o")
        .arg(&object)
        .output();
    let _ = std::fs::remove_file(source);
    done("clang", compile).map(|()| object)
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in [&self.server, &self.lan] {
            // What was not made cannot be taken down.
            let _ = Command::new("ip").args(["netns", "del", name]).output();
        }
    }
}
