//! Name servers of others on loopback ports: BIND, which also resolves, Knot and PowerDNS. Their zones may be changed by whoever has
//! the key.

mod powerdns;

use crate::house::{free_port, scratch};
use crate::process::Program;
use crate::spaces::Spaces;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The name of the key that zones are changed with.
pub const KEY: &str = "parlour";

/// The key itself, in base64.
pub const SECRET: &str = "c2l4dGVlbiBvY3RldHMgb3IgdHdpY2UgYXMgbWFueSE=";

/// Where one listens.
const HERE: &str = "127.0.0.1";

/// How long one may take to start on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running name server. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub struct NameServer {
    program: Program,
    dir: PathBuf,
    /// Where it is asked, by UDP and TCP.
    pub address: SocketAddr,
}

/// What zones may be changed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Nobody.
    ByNobody,
    /// Whoever has the key.
    ByKey,
}

/// A zone file with no more than must be, and these lines.
pub fn zone(apex: &str, serial: u32, lines: &str) -> String {
    format!(
        "$TTL 60\n{apex}. IN SOA ns.{apex}. hostmaster.{apex}. {serial} 3600 600 86400 60\n{apex}. IN NS ns.{apex}.\n\
         ns.{apex}. IN A 127.0.0.1\n{lines}\n"
    )
}

/// The configuration of BIND.
fn bind_text(
    dir: &Path,
    (listen, port): (&str, u16),
    zones: &[(&str, &str)],
    changed: Changed,
    options: &str,
    more: &str,
) -> String {
    let place = dir.display();
    let policy = match changed {
        Changed::ByNobody => String::new(),
        Changed::ByKey => format!("allow-update {{ key {KEY}; }}; "),
    };
    let zones = zones.iter().map(|(apex, _)| {
        format!("zone \"{apex}\" {{ type primary; file \"{apex}.zone\"; notify no; {policy}}};\n")
    });
    format!(
        "options {{ directory \"{place}\"; listen-on port {port} {{ {listen}; }}; listen-on-v6 {{ none; }};\n\
         pid-file none; session-keyfile \"{place}/session.key\"; {options}\n\
         managed-keys-directory \"{place}\"; empty-zones-enable no; }};\n\
         controls {{ }};\nkey {KEY} {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n{more}\n{}",
        zones.collect::<String>()
    )
}

impl NameServer {
    /// BIND with these zones, by apex.
    ///
    /// # Panics
    /// When it does not start.
    pub fn bind(zones: &[(&str, &str)], changed: Changed) -> Self {
        Self::named(zones, changed, "recursion no; dnssec-validation no;", "")
    }

    /// BIND that asks others on behalf of its clients; `options` and `more` are what else stands in its configuration.
    ///
    /// # Panics
    /// When it does not start.
    pub fn resolver(options: &str, more: &str) -> Self {
        Self::named(&[], Changed::ByNobody, options, more)
    }

    fn named(zones: &[(&str, &str)], changed: Changed, options: &str, more: &str) -> Self {
        let text = |dir: &Path, port: u16| bind_text(dir, (HERE, port), zones, changed, options, more);
        Self::start(zones, "named.conf", text, |conf| {
            let mut command = Command::new("named");
            command.args(["-g", "-c"]).arg(conf);
            (command, "bind9")
        })
    }

    /// BIND at port 53 of a namespace.
    ///
    /// # Panics
    /// When it does not start.
    pub fn bind_within(spaces: &Spaces, word: &str, zones: &[(&str, &str)]) -> Self {
        let options = "recursion no; dnssec-validation no;";
        let dir = Self::folder(zones);
        let conf = dir.join("named.conf");
        std::fs::write(&conf, bind_text(&dir, (HERE, 53), zones, Changed::ByNobody, options, ""))
            .expect("ours");
        let program = Program::start(spaces.command(word, "named").args(["-g", "-c"]).arg(&conf), "bind9");
        program.expect("all zones loaded", PATIENCE);
        Self { program, dir, address: ([127, 0, 0, 1], 53).into() }
    }

    /// BIND at port 53 of every address of a namespace, which asks another server of its kind for other zones: by apex, at which
    /// address.
    ///
    /// # Panics
    /// When it does not start.
    pub fn bind_among(spaces: &Spaces, word: &str, zones: &[(&str, &str)], others: &[(&str, &str)]) -> Self {
        let options = "recursion yes; allow-recursion { any; }; dnssec-validation no;";
        let forward = others.iter().map(|(apex, address)| {
            format!("zone \"{apex}\" {{ type forward; forward only; forwarders {{ {address}; }}; }};\n")
        });
        let more: String = forward.collect();
        let dir = Self::folder(zones);
        let conf = dir.join("named.conf");
        let text = bind_text(&dir, ("any", 53), zones, Changed::ByNobody, options, &more);
        std::fs::write(&conf, text).expect("ours");
        let program = Program::start(spaces.command(word, "named").args(["-g", "-c"]).arg(&conf), "bind9");
        program.expect("all zones loaded", PATIENCE);
        Self { program, dir, address: ([127, 0, 0, 1], 53).into() }
    }

    /// Knot with these zones, by apex.
    ///
    /// # Panics
    /// When it does not start.
    pub fn knot(zones: &[(&str, &str)], changed: Changed) -> Self {
        let text = |dir: &Path, port: u16| {
            let place = dir.display();
            let acl = if changed == Changed::ByKey { "    acl: change\n" } else { "" };
            let zones =
                zones.iter().map(|(apex, _)| format!("  - domain: {apex}\n    file: {apex}.zone\n{acl}"));
            format!(
                "server:\n    rundir: {place}\n    listen: 127.0.0.1@{port}\n\
                 key:\n  - id: {KEY}\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
                 acl:\n  - id: change\n    key: {KEY}\n    action: update\n\
                 database:\n    storage: {place}/database\n\
                 template:\n  - id: default\n    storage: {place}\n\
                 log:\n  - target: stderr\n    any: info\nzone:\n{}",
                zones.collect::<String>()
            )
        };
        Self::start(zones, "knot.conf", text, |conf| {
            let mut command = Command::new("knotd");
            command.arg("-c").arg(conf);
            (command, "knot")
        })
    }

    fn folder(zones: &[(&str, &str)]) -> PathBuf {
        let dir = scratch();
        // Knot keeps changes in a folder that it does not make.
        std::fs::create_dir_all(dir.join("database")).expect("a folder for temporary files");
        for (apex, zone) in zones {
            std::fs::write(dir.join(format!("{apex}.zone")), zone).expect("ours");
        }
        dir
    }

    /// On a free port; on another, where somebody else was quicker.
    fn start(
        zones: &[(&str, &str)],
        file: &str,
        text: impl Fn(&Path, u16) -> String,
        command: impl Fn(&Path) -> (Command, &'static str),
    ) -> Self {
        let mut said = String::new();
        for _ in 0..5 {
            let (dir, port) = (Self::folder(zones), free_port());
            let conf = dir.join(file);
            std::fs::write(&conf, text(&dir, port)).expect("ours");
            let (mut command, package) = command(&conf);
            let program = Program::start(&mut command, package);
            let mut server = Self { program, dir, address: ([127, 0, 0, 1], port).into() };
            if server.serves(zones.first().map_or("", |(apex, _)| apex)) {
                return server;
            }
            said = server.program.output();
        }
        panic!("the name server does not serve:\n{said}");
    }

    /// Waits until it says something of a name; not for one that has ended.
    fn serves(&mut self, apex: &str) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time");
        let labels = apex.split('.').filter(|label| !label.is_empty());
        let name: Vec<u8> = labels.flat_map(|l| std::iter::once(l.len() as u8).chain(l.bytes())).collect();
        let question = [&[0x5a, 0x5a, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &name, &[0, 0, 6, 0, 1]].concat();
        let (end, mut buffer) = (Instant::now() + PATIENCE, [0; 512]);
        while Instant::now() < end && self.program.is_running() {
            // Nobody listens yet, perhaps.
            let _ = socket.send_to(&question, self.address);
            let answered =
                socket.recv(&mut buffer).is_ok_and(|length| length > 12 && buffer[..2] == [0x5a, 0x5a]);
            if answered && (apex.is_empty() || buffer[3] & 0x0f == 0) {
                return true;
            }
        }
        false
    }

    /// What it has said so far.
    pub fn output(&self) -> String {
        self.program.output()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.program.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
