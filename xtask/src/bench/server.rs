//! The servers: Parlour, and its peers as Debian packages them, each with its files in a folder of its own.

use crate::bench::case::{Case, Measure, NEW_CONTACT, Service, Setting, users};
use crate::bench::measure::{self, BOTH_CORES, SERVER_CORE, binary, pinned};
use crate::shell::{self, root};
use anyhow::{Context, Result, bail};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

mod peers;

/// The domain of all accounts.
pub(super) const DOMAIN: &str = "bench.example";
/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server in one of its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Parlour(Service),
    /// Allowed to gather packets.
    ParlourGathering,
    Coturn,
    /// A bare forwarder: one system call for each datagram.
    FloorPlain,
    /// A bare forwarder: batches in and out.
    FloorGso,
    /// A bare forwarder of SIP.
    FloorSip,
    /// A bare relay for RTP, a port for each end.
    FloorRtp,
    /// In user space.
    Rtpengine,
    /// As packaged.
    Kamailio,
    /// With its fast allocator.
    KamailioFast,
    /// With its fast allocator, and contacts written before they are acknowledged.
    KamailioThrough,
    /// As packaged.
    Prosody,
    /// With Lua's generational garbage collector.
    ProsodyGenerational,
    /// The same with archives in SQLite.
    ProsodySql,
    /// As packaged, but for what would slow down one client.
    Ejabberd,
    /// A bare pipe between pairs of TLS connections.
    FloorTls,
}

impl Kind {
    /// Who takes part in a benchmark.
    pub(crate) const fn of(service: Service) -> &'static [Self] {
        match service {
            Service::Turn => &[
                Self::Parlour(Service::Turn),
                Self::ParlourGathering,
                Self::Coturn,
                Self::FloorPlain,
                Self::FloorGso,
            ],
            Service::Sip => &[
                Self::Parlour(Service::Sip),
                Self::Kamailio,
                Self::KamailioFast,
                Self::KamailioThrough,
                Self::FloorSip,
            ],
            Service::Media => &[Self::Parlour(Service::Media), Self::Rtpengine, Self::FloorRtp],
            Service::Xmpp => &[
                Self::Parlour(Service::Xmpp),
                Self::Prosody,
                Self::ProsodyGenerational,
                Self::ProsodySql,
                Self::Ejabberd,
                Self::FloorTls,
            ],
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Parlour(_) => "Parlour",
            Self::ParlourGathering => "Parlour, gathering 500 µs",
            Self::Coturn => "coturn",
            Self::FloorPlain => "bare recvfrom, sendto",
            Self::FloorGso => "bare recvmmsg, GSO",
            Self::FloorSip => "bare forwarder",
            Self::FloorRtp => "bare RTP relay",
            Self::Rtpengine => "rtpengine",
            Self::Kamailio => "Kamailio",
            Self::KamailioFast => "Kamailio -x fm",
            Self::KamailioThrough => "Kamailio -x fm, written through",
            Self::Prosody => "Prosody",
            Self::ProsodyGenerational => "Prosody, generational GC",
            Self::ProsodySql => "Prosody, generational GC, SQLite",
            Self::Ejabberd => "ejabberd",
            Self::FloorTls => "bare TLS pipe",
        }
    }

    /// Whether it is asked for this case: how contacts are written makes a difference in one only, a bare forwarder can do
    /// no more than forward, and Kamailio's package calls all contacts at once, so that it needs no next one.
    pub(crate) fn takes_part(self, case: &Case) -> bool {
        match self {
            Self::KamailioThrough => case.title == NEW_CONTACT,
            Self::Kamailio => {
                matches!(case.measure, Measure::Time) && case.setting != Setting::Two
                    || case.is_held() && !case.tls
            }
            Self::KamailioFast => case.measure != Measure::Wait,
            Self::FloorPlain | Self::FloorGso | Self::FloorSip | Self::FloorRtp | Self::FloorTls => case.bare,
            // It is one process, with one thread.
            Self::Prosody | Self::ProsodyGenerational => case.setting != Setting::Two,
            Self::ProsodySql => case.setting == Setting::Archived,
            Self::ParlourGathering => case.load.contains("--rate"),
            _ => true,
        }
    }

    /// What the generator is told besides: how calls are made where that is not by SIP; less of what the disk decides how long
    /// it takes.
    pub(crate) const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Rtpengine => &["--how", "ng"],
            Self::FloorRtp | Self::FloorTls => &["--how", "bare"],
            Self::Prosody | Self::ProsodyGenerational | Self::ProsodySql | Self::Ejabberd => {
                &["--rooms", "conference.bench.example"]
            }
            Self::KamailioThrough => &["--units", "1000", "--users", "1000"],
            _ => &[],
        }
    }

    const fn service(self) -> Service {
        match self {
            Self::Parlour(service) => service,
            Self::ParlourGathering | Self::Coturn | Self::FloorPlain | Self::FloorGso => Service::Turn,
            Self::Kamailio | Self::KamailioFast | Self::KamailioThrough | Self::FloorSip => Service::Sip,
            Self::Rtpengine | Self::FloorRtp => Service::Media,
            Self::Prosody
            | Self::ProsodyGenerational
            | Self::ProsodySql
            | Self::Ejabberd
            | Self::FloorTls => Service::Xmpp,
        }
    }
}

/// A server that is running. Dropping it ends it.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    child: Child,
    /// Where it listens without TLS.
    pub(crate) plain: SocketAddr,
    /// Where it listens with TLS.
    pub(crate) tls: SocketAddr,
    /// The file of its database, where it has one.
    pub(crate) database: PathBuf,
}

/// What a server is started with.
struct Place {
    folder: PathBuf,
    plain: u16,
    tls: u16,
    setting: Setting,
}

impl Place {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn workers(&self) -> u8 {
        if self.setting == Setting::Two { 2 } else { 1 }
    }

    fn text(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }
}

/// What is set in the environment of a server.
pub(crate) type Environment = [(&'static str, &'static str)];

impl Server {
    /// Starts a server with an empty memory, and waits until it answers.
    pub(crate) fn start(kind: Kind, setting: Setting, environment: &Environment) -> Result<Self> {
        let folder = root().join("target/bench").join(kind.name().replace([' ', ','], "-").to_lowercase());
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let place = Place { folder, plain: free_port()?, tls: free_port()?, setting };
        let line = match kind {
            Kind::Parlour(service) => parlour(&place, service, "")?,
            Kind::ParlourGathering => parlour(&place, Service::Turn, "gathering = \"500us\"\n")?,
            Kind::Coturn => peers::coturn(&place)?,
            Kind::FloorPlain => floor(&place, "plain")?,
            Kind::FloorGso => floor(&place, "gso")?,
            Kind::FloorSip if setting == Setting::Open => floor(&place, "sip-open")?,
            Kind::FloorSip => floor(&place, "sip")?,
            Kind::FloorRtp => floor(&place, "rtp")?,
            Kind::Rtpengine => peers::rtpengine(&place),
            Kind::Kamailio => peers::kamailio(&place, "qm", 2)?,
            Kind::KamailioFast => peers::kamailio(&place, "fm", 2)?,
            Kind::KamailioThrough => peers::kamailio(&place, "fm", 1)?,
            Kind::Prosody => peers::prosody(&place, "")?,
            Kind::ProsodyGenerational => peers::prosody(&place, peers::GENERATIONAL)?,
            Kind::ProsodySql => peers::prosody(&place, &[peers::GENERATIONAL, peers::SQL].concat())?,
            Kind::Ejabberd => peers::ejabberd(&place)?,
            Kind::FloorTls => floor_tls(&place)?,
        };
        let log = std::fs::File::create(place.file("output.log"))?;
        let cores = if setting == Setting::Two { BOTH_CORES } else { SERVER_CORE };
        let child = pinned(cores, &line[0])
            .args(&line[1..])
            .envs(environment.iter().copied())
            .current_dir(&place.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| line[0].clone())?;
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let database = match kind {
            Kind::Parlour(_) => place.file("house/data/parlour.db"),
            _ => place.file("kamailio.db"),
        };
        let mut server = Self { kind, child, plain: at(place.plain), tls: at(place.tls), database };
        server.wait(&place)?;
        Ok(server)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in order, so that it ends its children, too.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let family = measure::family(self.id())?;
        shell::output("kill", &["-TERM", &self.id().to_string()])?;
        let end = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > end {
                // Children first: without their parent nobody would end them.
                let ids: Vec<String> = family.iter().rev().map(|(id, _)| id.to_string()).collect();
                let script = "kill -KILL \"$@\" 2>/dev/null || true";
                let arguments: Vec<&str> =
                    ["-c", script, "sh"].into_iter().chain(ids.iter().map(String::as_str)).collect();
                shell::output("sh", &arguments)?;
                self.child.wait()?;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn wait(&mut self, place: &Place) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at once ({status}): see {}", self.kind.name(), place.text("output.log"));
            }
            if self.answers()? {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("{} does not answer: see {}", self.kind.name(), place.text("output.log"))
    }

    fn answers(&self) -> Result<bool> {
        let command = match self.kind.service() {
            Service::Turn => "stun",
            Service::Sip => "sip-options",
            Service::Xmpp => return Ok(TcpStream::connect(self.tls).is_ok()),
            Service::Media => return self.relays(),
        };
        let output = Command::new(binary("load")?)
            .args([command, "--units", "1", "--limit", "1", "--server", &self.plain.to_string()])
            .stdin(Stdio::null())
            .output()?;
        Ok(String::from_utf8_lossy(&output.stdout).contains("\"units\":1,"))
    }
}

impl Server {
    /// Whether it makes a call and carries its sound.
    fn relays(&self) -> Result<bool> {
        let output = Command::new(binary("load")?)
            .args(["rtp-relay", "--units", "1", "--clients", "1", "--server", &self.plain.to_string()])
            .args(self.kind.words())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()?;
        Ok(String::from_utf8_lossy(&output.stdout).contains("ready"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `stop` there is nothing left to end; after an error this is the most that can be done.
        let _ = self.end();
    }
}

/// A port that nobody uses, for datagrams and streams.
fn free_port() -> Result<u16> {
    for _ in 0..100 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port")
}

/// Writes the accounts for a server.
pub(super) fn accounts(service: Service, server: &str, to: &Path) -> Result<()> {
    let to = to.display().to_string();
    let count = users(service).to_string();
    shell::output(&binary("load")?, &["accounts", "--users", &count, "--for", server, "--to", &to]).map(drop)
}

fn floor(place: &Place, how: &str) -> Result<Vec<String>> {
    let at = format!("127.0.0.1:{}", place.plain);
    let words = ["floor", "--how", how, "--server", &at].map(str::to_owned);
    Ok(std::iter::once(binary("load")?).chain(words).collect())
}

fn floor_tls(place: &Place) -> Result<Vec<String>> {
    peers::certificate(place)?;
    let (at, chain, key) =
        (format!("127.0.0.1:{}", place.tls), place.text("chain.pem"), place.text("key.pem"));
    let words = ["floor", "--how", "tls", "--server", &at, "--chain", &chain, "--key", &key];
    Ok(std::iter::once(binary("load")?).chain(words.map(str::to_owned)).collect())
}

/// `extra` is one more line for TURN.
fn parlour(place: &Place, service: Service, extra: &str) -> Result<Vec<String>> {
    let program = binary("parlour")?;
    let house = place.text("house");
    shell::output(&program, &["init", DOMAIN, "--dir", &house, "--address", "127.0.0.1"])?;
    let config = place.text("house/parlour.toml");
    std::fs::write(&config, parlour_config(place, service, extra)?)?;
    let list = place.file("accounts.csv");
    accounts(service, "parlour", &list)?;
    shell::output(&program, &["--config", &config, "user", "import", &list.display().to_string()])?;
    Ok(vec![program, "--config".into(), config, "serve".into()])
}

/// Every call is relayed, and nobody is asked for a password.
const CALLS: &str = "authenticate = false\n\n[media]\nrelay = \"always\"\naddresses = [\"127.0.0.1\"]\n\
                     rtp-ports = \"21000-29999\"\naccount = 4096\n";

/// Requests of one source a second, more than it can send: all are counted, as they are everywhere, and answered.
const FAST: u32 = 1_000_000_000;

/// One worker, and every service on, as an organisation has them; those that are not measured on any port.
fn parlour_config(place: &Place, service: Service, extra: &str) -> Result<String> {
    let own = (place.plain, place.tls);
    let ports =
        |of| if of == service { Ok::<_, anyhow::Error>(own) } else { Ok((free_port()?, free_port()?)) };
    let (turn, turn_tls) = ports(Service::Turn)?;
    let (sip, sip_tls) = if service == Service::Media { own } else { ports(Service::Sip)? };
    // Nobody registers or calls who would have to prove anything: only packets are measured there.
    let calls = if service == Service::Media { CALLS } else { "" };
    let (xmpp, xmpp_tls) = ports(Service::Xmpp)?;
    let workers = place.workers();
    // As Prosody, which is packaged without archives.
    let archive = place.setting == Setting::Archived;
    let open = if place.setting == Setting::Open { "authenticate = false\n" } else { "" };
    Ok(format!(
        "[[domains]]\nname = \"{DOMAIN}\"\n\n[storage]\nurl = \"sqlite:data/parlour.db\"\n\n\
         [network]\nworkers = {workers}\nlimits = {{ handshakes-per-source = 0 }}\n\n\
         [tls]\ncertificate = \"data/certs/{DOMAIN}.pem\"\nkey = \"data/certs/{DOMAIN}.key\"\n\n\
         [turn]\nudp = [\"127.0.0.1:{turn}\"]\ntls = [\"127.0.0.1:{turn_tls}\"]\nrelay-ports = \"10000-20999\"\n\
         limits = {{ strangers = 0 }}\n\
         allow-peers = [\"127.0.0.0/8\"]\n{extra}\n\
         [sip]\nudp = [\"127.0.0.1:{sip}\"]\ntls = [\"127.0.0.1:{sip_tls}\"]\n\
         bans = {{ rate = {FAST} }}\n{open}{calls}\n\
         [xmpp]\nclient = [\"127.0.0.1:{xmpp}\"]\nclient-tls = [\"127.0.0.1:{xmpp_tls}\"]\n\
         archive = {archive}\n"
    ))
}
