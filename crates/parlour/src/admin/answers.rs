//! What commands return: the same value as JSON for programs and in words for people.

pub mod bans;
pub mod certificates;
pub mod dns;
pub mod doctor;
mod ladder;
pub mod sip;
pub mod turn;
mod words;
pub mod xmpp;

pub use bans::{Banned, Bans, LockedOut};

use super::answer::Answer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use utoipa::ToSchema;

/// Text that is its own answer: completions, pages, zone text.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Text {
    /// The text.
    pub text: String,
}

impl Answer for Text {
    fn human(&self) -> String {
        self.text.clone()
    }
}

/// A document in JSON.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Document(pub serde_json::Value);

impl Answer for Document {
    fn human(&self) -> String {
        format!("{:#}", self.0)
    }
}

/// Something was done, and there is nothing more to say.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Done {
    /// What was done.
    pub done: String,
}

impl Answer for Done {
    fn human(&self) -> String {
        self.done.clone()
    }
}

/// An account was added, or its password was set.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PasswordSet {
    /// The account.
    pub address: String,
    /// What became of it: `added` or `changed`.
    pub result: String,
    /// The generated password. It is shown this once; only keys are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl Answer for PasswordSet {
    fn human(&self) -> String {
        match &self.password {
            Some(password) => {
                format!("{} {}; its password, shown this once: {password}", self.result, self.address)
            }
            None => format!("{} {}", self.result, self.address),
        }
    }
}

/// An account was removed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Removed {
    /// The account.
    pub address: String,
}

impl Answer for Removed {
    fn human(&self) -> String {
        format!("removed {}", self.address)
    }
}

/// Accounts were imported.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// How many rows the file has; each is an account now.
    pub imported: usize,
}

impl Answer for Imported {
    fn human(&self) -> String {
        format!("imported {} accounts", self.imported)
    }
}

/// Accounts, in the order of their names.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Users {
    /// Each account.
    pub users: Vec<User>,
}

/// An account in a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Its name.
    pub address: String,
    /// The protocols that its keys suffice for: `sip`, `turn`, `xmpp`.
    pub works: Vec<String>,
}

impl Answer for Users {
    fn human(&self) -> String {
        let wide = self.users.iter().map(|user| user.address.chars().count()).max().unwrap_or(0);
        let line = |user: &User| {
            let works = user.works.join(" ");
            if user.works.len() == ALL_PROTOCOLS {
                user.address.clone()
            } else {
                format!("{:wide$}  {works} only", user.address)
            }
        };
        self.users.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// How many protocols an account can be used in.
const ALL_PROTOCOLS: usize = 3;

/// Everything about one account but its secrets.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UserDetails {
    /// Its name.
    pub address: String,
    /// When it was added (RFC 3339).
    pub created: String,
    /// When its keys were last set (RFC 3339).
    pub changed: String,
    /// The keys that are there.
    pub keys: Vec<String>,
    /// The keys that are missing.
    pub missing: Vec<String>,
    /// The protocols that the keys suffice for.
    pub works: Vec<String>,
    /// What does not work for want of a key, in words.
    pub limits: Vec<String>,
}

impl Answer for UserDetails {
    fn human(&self) -> String {
        let mut text = format!("{}\n  added    {}\n  changed  {}", self.address, self.created, self.changed);
        let works = if self.works.is_empty() { "nothing".into() } else { self.works.join(", ") };
        let _ = write!(text, "\n  works    {works}\n  keys     {}", self.keys.join(", "));
        if !self.missing.is_empty() {
            let _ = write!(text, "\n  missing  {}", self.missing.join(", "));
        }
        for limit in &self.limits {
            let _ = write!(text, "\n           {limit}");
        }
        text
    }
}

/// What a configuration means.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Checked {
    /// The file that was read.
    pub file: String,
    /// The domains.
    pub domains: Vec<CheckedDomain>,
    /// The listeners.
    pub listeners: Vec<Listening>,
    /// Where relays are bound: first and last port.
    pub relay_ports: [u16; 2],
    /// Where this host is reached.
    pub addresses: Vec<String>,
    /// Special address ranges that are allowed as TURN peers.
    pub allow_peers: Vec<String>,
    /// NAT behaviour discovery (RFC 5780): the four listeners of each pair of addresses that is tested from.
    pub discovery: Vec<Vec<String>>,
    /// How many threads serve clients.
    pub workers: u16,
    /// Where things are kept.
    pub storage: String,
    /// The certificates that there are, the first for clients that ask for no name.
    pub certificates: Vec<CheckedCertificate>,
    /// What is valid but deserves a look.
    pub warnings: Vec<String>,
}

/// A domain as it is served.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CheckedDomain {
    /// Its main name.
    pub name: String,
    /// Further names of the same accounts.
    pub aliases: Vec<String>,
    /// Who may administer it.
    pub admins: Vec<String>,
    /// The name of its chat rooms.
    pub rooms: Option<String>,
}

/// Where somebody listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Listening {
    /// `turn`, `sip`, `xmpp` or `metrics`.
    pub service: String,
    /// `udp`, `tcp`, `tls`, `dtls` or `http`.
    pub transport: String,
    /// `address:port`; `:port` is every address.
    pub address: String,
}

/// A certificate that is shown.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CheckedCertificate {
    /// Its file.
    pub file: String,
    /// What it is for.
    pub names: Vec<String>,
    /// The day on which it ends.
    pub ends: String,
    /// How many days that is from now.
    pub days: i64,
}

impl Answer for Checked {
    fn human(&self) -> String {
        let mut text = format!("{} is valid. It means:", self.file);
        for domain in &self.domains {
            let _ = write!(text, "\n  domain       {}", domain.name);
            let mut more = |what: &str, list: &[String]| {
                if !list.is_empty() {
                    let _ = write!(text, "\n    {what:10} {}", list.join(", "));
                }
            };
            more("aliases", &domain.aliases);
            more("admins", &domain.admins);
            more("rooms", domain.rooms.as_slice());
        }
        for listener in &self.listeners {
            let Listening { service, transport, address } = listener;
            let _ = write!(text, "\n  {service:12} {transport} {}", describe(address));
        }
        let [first, last] = self.relay_ports;
        let _ = write!(text, "\n  relays       ports {first}-{last} of {}", or_none(&self.addresses));
        let _ = write!(
            text,
            "\n  peers        special address ranges are refused, but: {}",
            or_none(&self.allow_peers)
        );
        for listeners in &self.discovery {
            let _ = write!(text, "\n  discovery    of NAT behaviour (RFC 5780) by {}", listeners.join(", "));
        }
        let _ = write!(text, "\n  workers      {}", self.workers);
        let _ = write!(text, "\n  storage      {}", self.storage);
        for CheckedCertificate { names, ends, days, .. } in &self.certificates {
            let _ = write!(text, "\n  certificate  ends {ends} ({days} days), for {}", names.join(", "));
        }
        if self.certificates.is_empty() {
            text.push_str("\n  certificate  none");
        }
        for warning in &self.warnings {
            let _ = write!(text, "\nwarning: {warning}");
        }
        text
    }
}

fn describe(address: &str) -> String {
    match address.strip_prefix(':') {
        Some("0") => "any free port of every address".into(),
        Some(port) => format!("port {port} of every address"),
        None => address.to_owned(),
    }
}

fn or_none(list: &[String]) -> String {
    if list.is_empty() { "none".into() } else { list.join(", ") }
}

/// How the running server is.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// How long it has been running, in seconds.
    pub uptime: u64,
    /// How many threads serve clients.
    pub workers: u16,
    /// How many accounts there are.
    pub accounts: u64,
    /// When it has read the configuration, in milliseconds since 1970.
    pub read: u64,
    /// Where it listens, with the ports that were bound.
    pub listeners: Vec<Listening>,
    /// What is wrong, or will be, as far as it sees without asking anybody; `parlour doctor` looks further.
    pub findings: Vec<doctor::DoctorFinding>,
    /// Counts by service and name, all workers together.
    pub counters: BTreeMap<String, u64>,
}

impl Answer for Status {
    fn human(&self) -> String {
        let Self { version, pid, uptime, workers, accounts, .. } = self;
        let (hours, minutes, seconds) = (uptime / 3600, uptime / 60 % 60, uptime % 60);
        let mut text =
            format!("parlour {version} runs as process {pid} for {hours}:{minutes:02}:{seconds:02}");
        let _ = write!(text, "\n  workers   {workers}\n  accounts  {accounts}");
        for Listening { service, transport, address } in &self.listeners {
            let _ = write!(text, "\n  {service:9} {transport} {address}");
        }
        let wide = self.counters.keys().map(String::len).max().unwrap_or(0);
        for (name, count) in &self.counters {
            let _ = write!(text, "\n  {name:wide$}  {count}");
        }
        for finding in &self.findings {
            let _ = write!(text, "\n{}", finding.paragraph().trim_end());
        }
        text
    }
}

/// The configuration was read again.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Reloaded {
    /// Keys that have changed but are heeded only after a restart.
    pub after_restart: Vec<String>,
    /// What is valid but deserves a look.
    pub warnings: Vec<String>,
}

impl Answer for Reloaded {
    fn human(&self) -> String {
        let mut text = "reloaded".to_owned();
        for key in &self.after_restart {
            let _ = write!(text, "\nneeds a restart: {key}");
        }
        for warning in &self.warnings {
            let _ = write!(text, "\nwarning: {warning}");
        }
        text
    }
}

/// A new house was made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Made {
    /// The configuration file.
    pub config: String,
    /// The certificate of our own authority: what clients are to trust.
    pub authority: String,
    /// The certificate of the domain.
    pub certificate: String,
    /// What it is for.
    pub names: Vec<String>,
    /// What to do next.
    pub next: Vec<String>,
}

impl Answer for Made {
    fn human(&self) -> String {
        let mut text = format!("made {}", self.config);
        let _ = write!(text, "\n     {} (for {})", self.certificate, self.names.join(", "));
        let _ = write!(text, "\n     {} (clients are to trust it)\nnext:", self.authority);
        for line in &self.next {
            let _ = write!(text, "\n  {line}");
        }
        text
    }
}

/// Files were written.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Written {
    /// Each of them.
    pub files: Vec<String>,
}

impl Answer for Written {
    fn human(&self) -> String {
        self.files.join("\n")
    }
}
