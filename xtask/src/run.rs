//! `cargo xtask run`: from a fresh clone to a server that one can log in to.

use crate::install;
use crate::shell::{self, cargo};
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PROFILE: &str = "trial";
const BINARY: &str = "target/trial/parlour";
const DOMAIN: &str = "parlour.localhost";
const USERS: [&str; 2] = ["alice", "bob"];

/// Builds, prepares `DIR` (`parlour-data`) on first start, prints how to log in, and becomes the server.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let dir = match arguments {
        [] => PathBuf::from("parlour-data"),
        [flag, dir] if flag == "--dir" => PathBuf::from(dir),
        _ => bail!("usage: cargo xtask run [--dir DIR]"),
    };
    install::for_build()?;
    shell::run(&cargo(), &["build", "--profile", PROFILE, "--package", "parlour"])?;
    let config = dir.join("parlour.toml");
    if !config.exists() {
        prepare(&dir, &config)?;
    }
    println!("{}", welcome(&dir)?);
    let error = Command::new(BINARY).arg("--config").arg(&config).arg("serve").exec();
    Err(error).context(BINARY)
}

/// A domain on loopback with two accounts.
fn prepare(dir: &Path, config: &Path) -> Result<()> {
    let place = dir.to_string_lossy();
    call(&["init", DOMAIN, "--dir", &place, "--address", "127.0.0.1"], "")?;
    let text = std::fs::read_to_string(config)?;
    // A first look is for this machine alone: listen on loopback, and let TURN relay to it.
    let text = text.replace("[\":", "[\"127.0.0.1:");
    let text = text.replacen("allow-peers = []", "allow-peers = [\"127.0.0.0/8\"]", 1);
    std::fs::write(config, text)?;
    for user in USERS {
        let password = password()?;
        let address = format!("{user}@{DOMAIN}");
        call(&["--config", &config.to_string_lossy(), "user", "add", &address], &format!("{password}\n"))?;
        private(&dir.join(format!("{user}.password")), &password)?;
    }
    Ok(())
}

/// Sixteen letters and digits from the system's randomness.
fn password() -> Result<String> {
    let mut bytes = [0_u8; 16];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(bytes.iter().map(|b| char::from(b"abcdefghijkmnpqrstuvwxyz23456789"[usize::from(b & 31)])).collect())
}

/// A file that only its owner reads.
fn private(path: &Path, text: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create_new(true), 0o600);
    writeln!(options.open(path).with_context(|| path.display().to_string())?, "{text}")
        .context("a password file")
}

/// Runs the binary with `input`.
fn call(arguments: &[&str], input: &str) -> Result<()> {
    let mut child = Command::new(BINARY).args(arguments).stdin(Stdio::piped()).spawn().context(BINARY)?;
    child.stdin.take().expect("piped").write_all(input.as_bytes())?;
    let status = child.wait()?;
    if !status.success() {
        bail!("parlour {}: {status}", arguments.join(" "));
    }
    Ok(())
}

/// What a newcomer needs: the accounts, and one line to try for each protocol.
fn welcome(dir: &Path) -> Result<String> {
    let read = |user: &str| std::fs::read_to_string(dir.join(format!("{user}.password"))).unwrap_or_default();
    let [alice, bob] = USERS.map(|user| read(user).trim().to_owned());
    let here = dir.display();
    Ok(format!(
        "
Parlour serves {DOMAIN} on 127.0.0.1. Ctrl-C ends it; everything is kept in {here}.

  account                    password
  alice@{DOMAIN}    {alice}
  bob@{DOMAIN}      {bob}

  STUN/TURN  (Debian: coturn)
    turnutils_peer -L 127.0.0.1 &
    turnutils_uclient -u alice -w {alice} -e 127.0.0.1 -n 100 127.0.0.1
  SIP        any phone: user alice, domain {DOMAIN}, proxy 127.0.0.1 port 5060 (UDP, TCP) or 5061 (TLS)
    baresip -e '/uanew <sip:alice@{DOMAIN}>;auth_pass={alice};outbound=\"sip:127.0.0.1:5060\"'
  XMPP       any app: alice@{DOMAIN}, server 127.0.0.1 port 5222 (STARTTLS) or 5223 (TLS)
    profanity -a alice@{DOMAIN}      then: /connect alice@{DOMAIN} server 127.0.0.1 port 5222
  certificates are signed by the server's own authority: {here}/data/certs
  administration
    {BINARY} --config {here}/parlour.toml status
    {BINARY} --config {here}/parlour.toml user add carol@{DOMAIN}
"
    ))
}
