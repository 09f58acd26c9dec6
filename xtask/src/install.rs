//! Puts on the machine what the build, the tests and the benchmarks need: Debian packages, and packages for Python and Node.

use crate::shell::{has, output, run, run_with};
use anyhow::{Context, Result, bail};
use std::path::Path;

/// A program, and the Debian package that has it.
type Need = (&'static str, &'static str);

/// What the build needs beside Rust: the cryptographic library and SQLite are written in C.
const BUILD: &[Need] = &[("cc", "gcc"), ("make", "make"), ("pkg-config", "pkg-config")];

/// The libraries of the system that the build links with, as pkg-config and as Debian name them: DTLS is OpenSSL's.
const LIBRARIES: &[Need] = &[("openssl", "libssl-dev")];

/// The clients and checkers that the tests drive.
const TESTS: &[Need] = &[
    ("clang", "clang"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("turnutils_uclient", "coturn"),
    ("sipp", "sip-tester"),
    ("baresip", "baresip-core"),
    ("kamailio", "kamailio"),
    ("named-checkzone", "bind9-utils"),
    ("nsd-checkzone", "nsd"),
    ("kzonecheck", "knot-dnssecutils"),
    ("named", "bind9"),
    ("knotd", "knot"),
    ("pdns_server", "pdns-server"),
    ("pebble", "pebble"),
    ("openssl", "openssl"),
    ("sqlite3", "sqlite3"),
    ("python3", "python3"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("chromium", "chromium"),
    ("haproxy", "haproxy"),
    ("profanity", "profanity"),
    ("tmux", "tmux"),
];

/// The tables of PowerDNS's database, which come with the part of it that has no program.
const PDNS_SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

/// The servers to compare with.
const PEERS: &[Need] = &[
    ("turnserver", "coturn"),
    ("kamailio", "kamailio"),
    ("kamdbctl", "kamailio-sqlite-modules"),
    ("prosody", "prosody"),
    ("ejabberdctl", "ejabberd"),
    ("rtpengine", "rtpengine-daemon"),
    ("sqlite3", "sqlite3"),
];

/// The Python that the tests run their clients with.
pub(crate) const PYTHON: &str = "target/python/bin/python3";

/// What the tests' Python has, and how it says that it has that: slixmpp is an XMPP client, aiortc a WebRTC peer,
/// prometheus-client reads what Prometheus would, sipvicious looks for SIP accounts and guesses passwords.
const MODULES: &[(&str, &str)] = &[
    ("slixmpp>=1.17,<2", "import slixmpp; assert slixmpp.__version_info__[:2] >= (1, 17)"),
    ("aiortc>=1.13,<2", "from aiortc import RTCIceTransportPolicy"),
    ("sipvicious>=0.3.4,<0.4", "from sipvicious.libs import svhelper"),
    ("prometheus-client>=0.20,<1", "from prometheus_client.parser import text_string_to_metric_families"),
];

/// Where the packages for Node are, which the tests find by themselves.
const NODE: &str = "target/node";

/// What is there: JsSIP is a browser's SIP, stanza, strophe.js and converse.js a browser's XMPP; ws and xmldom give Node the WebSockets and
/// the XML that browsers have, esbuild makes one file of what a page loads.
const SCRIPTS: &[(&str, &str)] = &[
    ("jssip", "3.13.8"),
    ("ws", "8.23.0"),
    ("esbuild", "0.28.2"),
    ("stanza", "12.22.1"),
    ("converse.js", "14.0.0"),
    ("strophe.js", "5.0.0"),
    ("@xmldom/xmldom", "0.9.12"),
];

/// What `cargo xtask run` needs.
pub(crate) fn for_build() -> Result<()> {
    packages(BUILD)?;
    libraries()
}

/// What `cargo xtask test` needs.
pub(crate) fn for_tests() -> Result<()> {
    for_build()?;
    packages(TESTS)?;
    if !Path::new(PDNS_SCHEMA).exists() && has("apt-get") {
        apt(&["pdns-backend-sqlite3"])?;
    }
    python()?;
    node()
}

/// What `cargo xtask bench` needs.
pub(crate) fn for_benches() -> Result<()> {
    for_build()?;
    packages(PEERS)?;
    for (module, package) in [("db_sqlite", "kamailio-sqlite-modules"), ("tls", "kamailio-tls-modules")] {
        let path = format!("/usr/lib/x86_64-linux-gnu/kamailio/modules/{module}.so");
        if !Path::new(&path).exists() && has("apt-get") {
            apt(&[package])?;
        }
    }
    // Prosody's archives in SQLite.
    let driver = Path::new("/usr/lib/x86_64-linux-gnu/lua/5.4/dbd/sqlite3.so").exists();
    if !driver && has("apt-get") {
        apt(&["lua-dbi-sqlite3"])?;
    }
    Ok(())
}

/// Installs the packages of those programs that are not there.
fn packages(needs: &[Need]) -> Result<()> {
    let mut missing: Vec<&str> =
        needs.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect();
    missing.dedup();
    if missing.is_empty() { Ok(()) } else { apt(&missing) }
}

/// Installs the packages of those libraries that are not there; pkg-config is by then.
fn libraries() -> Result<()> {
    let lacks = |name: &str| output("pkg-config", &["--modversion", name]).is_err();
    let missing: Vec<&str> =
        LIBRARIES.iter().filter(|(name, _)| lacks(name)).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { apt(&missing) }
}

/// Installs Debian packages without letting any service of theirs start: a fresh coturn or Prosody would
/// take the very ports that the tests and the server want.
fn apt(packages: &[&str]) -> Result<()> {
    if !has("apt-get") {
        bail!("install these first (Debian's names): {}", packages.join(" "));
    }
    let guard = PolicyGuard::put()?;
    let sudo = if is_root() { vec![] } else { vec!["sudo"] };
    let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
    let call = |arguments: &[&str]| {
        let line: Vec<&str> =
            sudo.iter().copied().chain(["apt-get"]).chain(arguments.iter().copied()).collect();
        run_with(line[0], &line[1..], &quiet)
    };
    call(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(packages);
    call(&install)?;
    drop(guard);
    Ok(())
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

/// Debian's `policy-rc.d`: exit code 101 means "start no service". Taken away again, unless it was there.
struct PolicyGuard(bool);

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl PolicyGuard {
    fn put() -> Result<Self> {
        if !is_root() || Path::new(POLICY).exists() {
            return Ok(Self(false));
        }
        std::fs::write(POLICY, "#!/bin/sh\nexit 101\n").context(POLICY)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(POLICY, mode).context(POLICY)?;
        Ok(Self(true))
    }
}

impl Drop for PolicyGuard {
    fn drop(&mut self) {
        if self.0 {
            // Left behind it would only keep later services from starting by themselves.
            let _ = std::fs::remove_file(POLICY);
        }
    }
}

/// A Python environment of our own with the modules that tests need: Debian's Python takes no packages from elsewhere.
fn python() -> Result<()> {
    if !Path::new(PYTHON).exists() {
        std::fs::create_dir_all("target").context("target/")?;
        if run("python3", &["-m", "venv", "target/python"]).is_err() {
            let _ = std::fs::remove_dir_all("target/python");
            apt(&["python3-venv"])?;
            run("python3", &["-m", "venv", "target/python"])?;
        }
    }
    // Without asking the network, where what is there will do.
    for (module, there) in MODULES {
        if run(PYTHON, &["-c", there]).is_err() {
            run(PYTHON, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", module])?;
        }
    }
    Ok(())
}

/// The packages for Node, in a folder of our own. Without asking the network, where what is there will do.
fn node() -> Result<()> {
    let is_there = |(name, version): &(&str, &str)| {
        let about = Path::new(NODE).join("node_modules").join(name).join("package.json");
        std::fs::read_to_string(about).is_ok_and(|text| text.contains(&format!("\"version\": \"{version}\"")))
    };
    if SCRIPTS.iter().all(is_there) {
        return Ok(());
    }
    // npm adds nothing to what an earlier list has left: it fails at packages within packages.
    if Path::new(NODE).exists() {
        std::fs::remove_dir_all(NODE).context(NODE)?;
    }
    std::fs::create_dir_all(NODE).context(NODE)?;
    let wanted: Vec<String> = SCRIPTS.iter().map(|(name, version)| format!("{name}@{version}")).collect();
    let line = ["install", "--prefix", NODE, "--no-audit", "--no-fund", "--silent"];
    run("npm", &line.into_iter().chain(wanted.iter().map(String::as_str)).collect::<Vec<_>>())
}
