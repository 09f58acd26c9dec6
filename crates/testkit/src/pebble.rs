//! Pebble: a certificate authority for tests that speaks ACME and is strict about it, on loopback ports.

use crate::house::{free_port, scratch};
use crate::process::Program;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long it may take to start on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a test wants of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who it asks for names.
    pub dns: SocketAddr,
    /// Where it looks for tls-alpn-01.
    pub tls_port: u16,
    /// Where it looks for http-01.
    pub http_port: u16,
    /// How many nonces of a hundred it does not take.
    pub rejects: u8,
    /// A customer (kid, and a key in base64url) without which it makes no account.
    pub customer: Option<(String, String)>,
    /// Whether it takes its time, up to three seconds for each name.
    pub sleeps: bool,
    /// For how many seconds its certificates are good.
    pub validity: u64,
}

impl Settings {
    /// The usual: it looks at these ports for what this server has the names of.
    pub fn new(dns: SocketAddr, tls_port: u16, http_port: u16) -> Self {
        let (customer, sleeps) = (None, false);
        Self { dns, tls_port, http_port, rejects: 0, customer, sleeps, validity: 90 * 86_400 }
    }
}

/// A running authority. Dropping it ends it and removes its folder; what it knew is gone then.
#[derive(Debug)]
pub struct Pebble {
    program: Program,
    dir: PathBuf,
    port: u16,
}

impl Pebble {
    /// Starts it.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(settings: &Settings) -> Self {
        let mut said = String::new();
        for _ in 0..5 {
            let pebble = Self::begin(settings, free_port());
            if pebble.program.wait_for("ACME directory available", PATIENCE) {
                return pebble;
            }
            said = pebble.program.output();
        }
        panic!("pebble does not start:\n{said}");
    }

    /// Starts it at a port where one of before has ended.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_at(settings: &Settings, port: u16) -> Self {
        let pebble = Self::begin(settings, port);
        pebble.program.expect("ACME directory available", PATIENCE);
        pebble
    }

    fn begin(settings: &Settings, port: u16) -> Self {
        let dir = scratch();
        std::fs::create_dir_all(&dir).expect("a folder for temporary files");
        own_certificate(&dir);
        let conf = dir.join("pebble.json");
        std::fs::write(&conf, text(settings, &dir, port)).expect("ours");
        let mut command = Command::new("pebble");
        command
            .args(["-strict", "-dnsserver", &settings.dns.to_string(), "-config"])
            .arg(&conf)
            .env("PEBBLE_VA_NOSLEEP", if settings.sleeps { "0" } else { "1" })
            .env("PEBBLE_VA_SLEEPTIME", "3")
            .env("PEBBLE_AUTHZREUSE", "0")
            .env("PEBBLE_WFE_NONCEREJECT", settings.rejects.to_string());
        Self { program: Program::start(&mut command, "pebble"), dir, port }
    }

    /// Its port, for one that comes in its place.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }

    /// The authority of its own certificate (a PEM file): not the one that it issues by.
    pub fn root(&self) -> PathBuf {
        self.dir.join("root.pem")
    }

    /// What it has said so far.
    pub fn output(&self) -> String {
        self.program.output()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.program.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn text(settings: &Settings, dir: &Path, port: u16) -> String {
    let place = dir.display();
    let (required, keys) = match &settings.customer {
        Some((kid, key)) => (true, format!("\"{kid}\": \"{key}\"")),
        None => (false, String::new()),
    };
    format!(
        "{{\"pebble\": {{\"listenAddress\": \"127.0.0.1:{port}\", \"managementListenAddress\": \"127.0.0.1:0\",\n\
         \"certificate\": \"{place}/own.pem\", \"privateKey\": \"{place}/own.key\", \"httpPort\": {}, \"tlsPort\": {},\n\
         \"ocspResponderURL\": \"\", \"externalAccountBindingRequired\": {required}, \"externalAccountMACKeys\": {{{keys}}},\n\
         \"retryAfter\": {{\"authz\": 1, \"order\": 1}}, \"certificateValidityPeriod\": {}}}}}\n",
        settings.http_port, settings.tls_port, settings.validity,
    )
}

/// A root, and by it a certificate for 127.0.0.1.
fn own_certificate(dir: &Path) {
    let script = "set -e; new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n\
        openssl req -x509 $new -keyout root.key -out root.pem -days 30 -subj /CN=root\n\
        openssl req $new -keyout own.key -out own.csr -subj /CN=own\n\
        echo subjectAltName=IP:127.0.0.1 > own.ext\n\
        openssl x509 -req -in own.csr -CA root.pem -CAkey root.key -CAcreateserial -days 20 -extfile own.ext -out own.pem";
    let made = Command::new("sh").args(["-c", script]).current_dir(dir).stderr(Stdio::null()).status();
    assert!(made.expect("a shell").success(), "openssl makes no certificates");
}
