//! The server's own secret, and its hold on the data folder.

use crate::config::Plan;
use anyhow::{Context, Result, bail};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use wire::Secret;

/// How many octets the secret has.
const LENGTH: usize = 32;

/// Keeps a second server from working on the same data; released when dropped, or when the process dies.
pub fn lock(plan: &Plan) -> Result<File> {
    let path = plan.data.join("server.lock");
    let file = private(&path).with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("a server runs already on {}", plan.data.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// The secret from which keys for nonces and the like are made: kept, so that what was given out before a restart is
/// still good after it.
pub fn load(plan: &Plan) -> Result<Secret> {
    let path = plan.data.join("server.secret");
    let mut file = private(&path).with_context(|| path.display().to_string())?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        bytes.resize(LENGTH, 0);
        getrandom::fill(&mut bytes).context("the system's randomness")?;
        file.write_all(&bytes)?;
        file.sync_all()?;
    }
    if bytes.len() != LENGTH {
        bail!("{} is damaged: remove it, a new one is made at the next start", path.display());
    }
    Ok(Secret::new(bytes))
}

/// A key for one purpose (`"turn nonce"`), made from the server's secret.
pub fn key(secret: &Secret, purpose: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose()).expect("HMAC takes a key of any length");
    mac.update(purpose.as_bytes());
    mac.finalize().into_bytes().into()
}

/// Opens or makes a file that only its owner reads.
fn private(path: &std::path::Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
