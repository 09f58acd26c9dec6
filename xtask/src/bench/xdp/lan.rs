//! Two namespaces joined by a pair of virtual Ethernet interfaces: the server in one, its clients and their peer in the
//! other. Taken down when dropped.

use super::program;
use crate::bench::measure::{Load, SERVER_CORE, binary, exact_time, pinned};
use crate::bench::server::{DOMAIN, accounts};
use crate::bench::{case::Service, xdp::settle};
use crate::shell::{self, root};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// XDP_PASS and XDP_DROP.
const PROGRAMS: [(&str, &str); 2] = [("pass.o", "2"), ("drop.o", "1")];

pub(super) struct Lan {
    server: String,
    clients: String,
    folder: PathBuf,
}

impl Lan {
    pub(super) fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("pb{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = root().join("target/bench/xdp");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        let lan = Self { server: format!("{name}-s"), clients: format!("{name}-c"), folder };
        let (s, c) = (&lan.server, &lan.clients);
        let script = format!(
            "netns add {s}\nnetns add {c}\n\
             link add s0 netns {s} type veth peer name c0 netns {c}\n\
             -n {s} addr add 10.99.0.1/24 dev s0\n-n {c} addr add 10.99.0.2/24 dev c0\n-n {c} addr add 10.99.0.3/24 dev c0\n\
             -n {s} link set lo up\n-n {c} link set lo up\n-n {s} link set s0 up\n-n {c} link set c0 up"
        );
        script.lines().try_for_each(ip)?;
        for (name, verdict) in PROGRAMS {
            program(verdict, &lan.file(name))?;
        }
        // Only then does the other end take what XDP sends.
        lan.attach(&lan.clients, "c0", "pass.o")?;
        lan.introduce()?;
        Ok(lan)
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn attach(&self, space: &str, interface: &str, object: &str) -> Result<()> {
        let object = self.file(object);
        ip(&format!("-n {space} -force link set dev {interface} xdpdrv obj {object} sec xdp"))
    }

    /// Each end knows the other's hardware address, also when nothing arrives any more.
    fn introduce(&self) -> Result<()> {
        for (space, own, at, addresses) in [
            (&self.clients, "c0", (&self.server, "s0"), &["10.99.0.2", "10.99.0.3"][..]),
            (&self.server, "s0", (&self.clients, "c0"), &["10.99.0.1"]),
        ] {
            let file = format!("/sys/class/net/{own}/address");
            let link = shell::output("ip", &["netns", "exec", space, "cat", &file])?;
            for address in addresses {
                let (space, link, interface) = (at.0, link.trim(), at.1);
                ip(&format!(
                    "-n {space} neigh replace {address} lladdr {link} nud permanent dev {interface}"
                ))?;
            }
        }
        Ok(())
    }

    /// Starts a server with one worker.
    pub(super) fn serve(&self, xdp: bool) -> Result<Server> {
        let program = binary("parlour")?;
        let house = self.file("house");
        shell::output(&program, &["init", DOMAIN, "--dir", &house, "--address", "127.0.0.1"])?;
        let config = self.file("house/parlour.toml");
        let xdp = if xdp { "xdp = \"s0\"\n" } else { "" };
        let text = format!(
            "[[domains]]\nname = \"{DOMAIN}\"\n\n[storage]\nurl = \"sqlite:data/parlour.db\"\n\n\
             [network]\nworkers = 1\naddresses = [\"10.99.0.1\"]\n\n\
             [turn]\nudp = [\"10.99.0.1:3478\"]\nallow-peers = [\"10.0.0.0/8\"]\nlimits = {{ strangers = 0 }}\n{xdp}"
        );
        std::fs::write(&config, text)?;
        let list = self.folder.join("accounts.csv");
        accounts(Service::Turn, "parlour", &list)?;
        shell::output(&program, &["--config", &config, "user", "import", &list.display().to_string()])?;
        let log = std::fs::File::create(self.file("output.log"))?;
        let child = pinned(SERVER_CORE, "ip")
            .args(["netns", "exec", &self.server, &program, "--config", &config, "serve"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("parlour")?;
        settle();
        Ok(Server { child, program, config })
    }

    /// Starts a generator in the clients' namespace.
    pub(super) fn load(&self, words: &str) -> Result<Load> {
        let before = ["netns", "exec", &self.clients];
        Load::within("ip", &before, words, &["--server", "10.99.0.1:3478", "--peer", "10.99.0.3:0"])
    }

    /// Sends as fast as it goes, and takes nothing back. Microseconds of the sender's time for each packet, and how many it
    /// were.
    pub(super) fn flood(&self, server: &Server, words: &str, dropped: bool) -> Result<(f64, f64)> {
        let mut load = self.load(words)?;
        load.expect_ready()?;
        self.attach(&self.clients, "c0", "drop.o")?;
        if dropped {
            self.attach(&self.server, "s0", "drop.o")?;
        }
        ensure!(exact_time(server.id()).is_ok(), "the server has ended: see {}", self.file("output.log"));
        let (time, sent) = (exact_time(load.id())?, self.sent()?);
        load.go_on()?;
        load.line()?;
        let (time, sent) = (exact_time(load.id())? - time, self.sent()? - sent);
        load.end()?;
        Ok((time / sent, sent))
    }

    fn sent(&self) -> Result<f64> {
        let file = "/sys/class/net/c0/statistics/tx_packets";
        let text = shell::output("ip", &["netns", "exec", &self.clients, "cat", file])?;
        text.trim().parse().context("packets sent")
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for space in [&self.server, &self.clients] {
            // What was not made cannot be taken down.
            let _ = ip(&format!("netns del {space}"));
        }
    }
}

fn ip(words: &str) -> Result<()> {
    shell::output("ip", &words.split_whitespace().collect::<Vec<_>>()).map(drop)
}

/// A server that is running. Dropping it ends it.
pub(super) struct Server {
    child: Child,
    program: String,
    config: String,
}

impl Server {
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// One of the counters of `parlour status`.
    pub(super) fn counter(&self, name: &str) -> Result<f64> {
        let text = shell::output(&self.program, &["--config", &self.config, "status", "--json"])?;
        let status: Value = serde_json::from_str(&text)?;
        status["counters"][name].as_f64().with_context(|| name.to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It holds nothing but this measurement.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
