//! The real binary, started by a test on free loopback ports with a data folder of its own.

use crate::process::Program;
use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What a test wants of the server.
#[derive(Debug)]
pub struct Builder {
    binary: PathBuf,
    domain: String,
    accounts: Vec<(String, String)>,
    settings: Vec<(String, String, String)>,
    netns: Option<String>,
    environment: Vec<(String, String)>,
}

/// A running server. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub struct House {
    binary: PathBuf,
    netns: Option<String>,
    environment: Vec<(String, String)>,
    dir: PathBuf,
    ports: BTreeMap<String, u16>,
    server: Option<Program>,
}

/// The listeners that a house has: table and key in the configuration.
const LISTENERS: [&str; 14] = [
    "turn.udp",
    "turn.tcp",
    "turn.tls",
    "turn.dtls",
    "sip.udp",
    "sip.tcp",
    "sip.tls",
    "sip.ws",
    "sip.wss",
    "xmpp.client",
    "xmpp.client-tls",
    "xmpp.web",
    "web.https",
    "web.http",
];

impl House {
    /// Begins a house of `binary` (`env!("CARGO_BIN_EXE_parlour")`) with the domain `falcot.com`.
    pub fn of(binary: &str) -> Builder {
        let settings = vec![setting("network", "workers", "2")];
        Builder {
            binary: binary.into(),
            domain: "falcot.com".into(),
            accounts: vec![],
            settings,
            netns: None,
            environment: vec![],
        }
    }

    /// The loopback port of a listener: `port("sip.udp")`. All listen on 127.0.0.1.
    ///
    /// # Panics
    /// When there is no such listener.
    pub fn port(&self, listener: &str) -> u16 {
        *self.ports.get(listener).unwrap_or_else(|| panic!("no listener {listener}"))
    }

    /// Its folder: `parlour.toml`, `data/`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.join("parlour.toml")
    }

    /// Changes a key of the configuration, as [`Builder::set`] does; a reload reads it.
    ///
    /// # Panics
    /// When the file cannot be read or written.
    pub fn set(&self, table: &str, key: &str, value: &str) {
        let text = std::fs::read_to_string(self.config()).expect("it is there");
        std::fs::write(self.config(), replace(&text, table, key, value)).expect("the folder is ours");
    }

    /// The running process.
    ///
    /// # Panics
    /// When the server has been ended by the test.
    pub fn server(&mut self) -> &mut Program {
        self.server.as_mut().expect("the server runs")
    }

    /// Runs an administrative command on it: `house.cli(&["user", "list", "--json"], "")`.
    ///
    /// # Panics
    /// When the binary cannot be started.
    pub fn cli(&self, arguments: &[&str], input: &str) -> Output {
        cli(&self.binary, &["--config", &self.config().to_string_lossy()], arguments, input)
    }

    /// Adds an account while the server runs.
    ///
    /// # Panics
    /// When the command fails.
    pub fn add(&self, address: &str, password: &str) {
        succeed(&self.cli(&["user", "add", address], &format!("{password}\n")), "user add");
    }

    /// Ends the server as a power failure would, and starts it again on the same ports.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.start();
    }

    /// Ends the server as a power failure would.
    pub fn kill(&mut self) {
        self.server().kill();
    }

    /// Starts the server (again) and waits until it serves.
    ///
    /// # Panics
    /// When it does not serve within 20 seconds.
    pub fn start(&mut self) {
        let mut command = Command::new(self.netns.as_ref().map_or(self.binary.as_path(), |_| "ip".as_ref()));
        if let Some(name) = &self.netns {
            command.args(["netns", "exec", name]).arg(&self.binary);
        }
        command.arg("--config").arg(self.config()).arg("serve").env_remove("NOTIFY_SOCKET");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut server = Program::start(&mut command, "cargo build");
        let end = Instant::now() + Duration::from_secs(20);
        while !self.cli(&["status", "--json"], "").status.success() {
            let fate = if server.is_running() { "does not serve" } else { "has ended" };
            assert!(server.is_running() && Instant::now() < end, "the server {fate}:\n{}", server.output());
            std::thread::sleep(Duration::from_millis(30));
        }
        self.server = Some(server);
    }
}

impl Drop for House {
    #[expect(clippy::print_stdout, reason = "a failing test shows what the server said")]
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(server) = &self.server
        {
            let said = server.output();
            let tail: Vec<_> = said.lines().rev().take(60).collect();
            println!("--- the server said last:");
            tail.iter().rev().for_each(|line| println!("{line}"));
        }
        self.server = None;
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Builder {
    /// Another main domain than `falcot.com`.
    #[must_use]
    pub fn domain(mut self, name: &str) -> Self {
        self.domain = name.into();
        self
    }

    /// An account that is there when the server starts.
    #[must_use]
    pub fn account(mut self, address: &str, password: &str) -> Self {
        self.accounts.push((address.into(), password.into()));
        self
    }

    /// A key of the configuration, as TOML: `set("turn", "allow-peers", r#"["127.0.0.0/8"]"#)`.
    #[must_use]
    pub fn set(mut self, table: &str, key: &str, value: &str) -> Self {
        self.settings.push(setting(table, key, value));
        self
    }

    /// The server lives in a network namespace (see [`crate::netns`]), the test where it is.
    #[must_use]
    pub fn within(mut self, netns: &str) -> Self {
        self.netns = Some(netns.into());
        self
    }

    /// A variable of the server's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Makes the folder, the accounts and the configuration, and starts the server.
    ///
    /// # Panics
    /// When any of it fails.
    pub fn start(self) -> House {
        let mut house = self.prepare();
        house.start();
        house
    }

    /// Everything but starting the server.
    ///
    /// # Panics
    /// When any of it fails.
    pub fn prepare(self) -> House {
        let dir = scratch();
        let place = dir.to_string_lossy().into_owned();
        let init = ["init", &self.domain, "--dir", &place, "--address", "127.0.0.1"];
        succeed(&cli(&self.binary, &[], &init, ""), "init");
        let ports: BTreeMap<String, u16> =
            LISTENERS.iter().map(|name| ((*name).to_owned(), free_port())).collect();
        let (netns, environment) = (self.netns, self.environment);
        let house = House { binary: self.binary, netns, environment, dir, ports, server: None };
        let mut text = std::fs::read_to_string(house.config()).expect("init has written it");
        for (name, port) in &house.ports {
            let (table, key) = name.split_once('.').expect("written table.key");
            text = replace(&text, table, key, &format!("[\"127.0.0.1:{port}\"]"));
        }
        for (table, key, value) in &self.settings {
            text = replace(&text, table, key, value);
        }
        std::fs::write(house.config(), text).expect("the folder is ours");
        self.accounts.iter().for_each(|(address, password)| house.add(address, password));
        house
    }
}

fn setting(table: &str, key: &str, value: &str) -> (String, String, String) {
    (table.into(), key.into(), value.into())
}

/// A Python script of the calling package's `tests` folder, run by the Python that `cargo xtask test` has prepared.
///
/// # Panics
/// Outside of `cargo test`, which says where the package lies.
pub fn python(script: &str) -> Command {
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the test");
    let mut command = Command::new(std::env::var("PARLOUR_PYTHON").unwrap_or_else(|_| "python3".into()));
    command.arg(Path::new(&package).join("tests").join(script)).env("PYTHONUNBUFFERED", "1");
    command
}

/// A script of the calling package's `tests` folder for Node, which finds the packages that `cargo xtask test` has installed.
///
/// # Panics
/// Outside of `cargo test`, which says where the package lies.
pub fn node(script: &str) -> Command {
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the test");
    let modules = Path::new(&package).join("../../target/node/node_modules");
    let mut command = Command::new("node");
    command.arg(Path::new(&package).join("tests").join(script)).env("NODE_PATH", modules);
    command
}

/// A new empty path under the system's folder for temporary files.
pub fn scratch() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("parlour-test-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

/// A port that is free for UDP and TCP on loopback, outside the ranges that kernels and relays choose from.
///
/// # Panics
/// When none is found.
pub fn free_port() -> u16 {
    free_ports(1)
}

/// The first of so many ports in a row, an even one where there are several: for programs that take ports beside the
/// one that they are told.
///
/// # Panics
/// When they are not found.
pub fn free_ports(count: u16) -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(131) % 20_000;
    let taken = if count == 1 { 1 } else { count + 1 };
    for _ in 0..20_000 {
        let step = NEXT.fetch_add(u32::from(taken), Ordering::Relaxed);
        let port = 10_000 + ((begin + step) % (20_000 - u32::from(taken))) as u16;
        let port = if count == 1 { port } else { port.next_multiple_of(2) };
        if (port..port + count).all(is_free) {
            return port;
        }
    }
    panic!("no {count} free ports between 10000 and 30000");
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// The configuration with `key` of `table` set to `value`: in place of the line that sets it, or commented sets it,
/// or as a new line of its table.
fn replace(text: &str, table: &str, key: &str, value: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let is_header = |line: &str| line.trim_start().starts_with('[') && !line.contains('=');
    let begin = lines.iter().position(|l| l.split('#').next().unwrap_or("").trim() == format!("[{table}]"));
    let begin = begin.unwrap_or_else(|| {
        lines.push(format!("[{table}]"));
        lines.len() - 1
    });
    let end = lines[begin + 1..].iter().position(|l| is_header(l)).map_or(lines.len(), |n| begin + 1 + n);
    let sets = |line: &String| line.trim_start().split('=').next().is_some_and(|k| k.trim() == key);
    let new = format!("{key} = {value}");
    match lines[begin + 1..end].iter().position(sets) {
        Some(n) => lines[begin + 1 + n] = new,
        None => lines.insert(begin + 1, new),
    }
    lines.join("\n") + "\n"
}

fn cli(binary: &Path, before: &[&str], arguments: &[&str], input: &str) -> Output {
    use std::io::Write;
    let mut child = Command::new(binary)
        .args(before)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary is built");
    // A command that does not read its input may have ended before it is written.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("it was started")
}

fn succeed(output: &Output, what: &str) {
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_replaces_its_line_or_joins_its_table() {
        let text = "[turn]\nudp = [\":3478\"]\n# tcp = [\"x\"]\n[sip]\nudp = [\":5060\"]\n";
        let new = replace(text, "sip", "udp", "[]");
        assert_eq!(new, "[turn]\nudp = [\":3478\"]\n# tcp = [\"x\"]\n[sip]\nudp = []\n");
        assert!(replace(text, "turn", "tls", "[]").starts_with("[turn]\ntls = []\n"));
        assert!(replace(text, "xmpp", "client", "[]").ends_with("[xmpp]\nclient = []\n"));
    }
}
