//! Secrets as they are configured: in the file itself, in a file of their own, or as a credential of systemd. What is
//! secret is never part of a fault, a warning or a log line.

use super::fault::Fault;
use super::file::Typed;
use std::path::{Path, PathBuf};
use wire::Secret;

/// The folder of systemd's credentials (`LoadCredential=`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Where a secret is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Here.
    Inline(Secret),
    /// In this file, relative to the configuration.
    File(String),
    /// In the credential of this name.
    Credential(String),
}

impl Source {
    /// A secret that stands in the configuration itself.
    pub fn inline(text: &str) -> Self {
        Self::Inline(Secret::new(text))
    }

    /// `{ file = "…" }` or `{ credential = "…" }`.
    pub fn found(key: &str, place: &str) -> Option<Self> {
        match key {
            "file" => Some(Self::File(place.to_owned())),
            "credential" => Some(Self::Credential(place.to_owned())),
            _ => None,
        }
    }
}

/// What a configured secret turned out to be.
pub(super) enum Found {
    /// The secret.
    Secret(Secret),
    /// Only a process that systemd starts for the service has it: why it is left out.
    Elsewhere(String),
}

/// Fetches a secret; `dir` is where the configuration lies. The line end of a file is no part of it.
pub(super) fn fetch(dir: &Path, typed: &Typed<Source>, warnings: &mut Vec<String>) -> Result<Found, Fault> {
    let secret = match &typed.value {
        Source::Inline(secret) => secret.clone(),
        Source::File(path) => {
            let path = dir.join(path);
            if super::tls::others_may_read(&path) {
                warnings.push(format!("{}: others may read {}; chmod 600 it", typed.key, path.display()));
            }
            read(&path, typed)?
        }
        Source::Credential(name) => match credential(name, typed)? {
            Some(path) => read(&path, typed)?,
            None => return Ok(Found::Elsewhere(elsewhere(name, typed))),
        },
    };
    if secret.expose().is_empty() {
        return Err(typed.fault("the secret is empty").help("an empty secret is known to everybody"));
    }
    Ok(Found::Secret(secret))
}

/// The credential's file; `None` where this process was given no credentials at all.
fn credential(name: &str, typed: &Typed<Source>) -> Result<Option<PathBuf>, Fault> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(typed.fault(format!("`{name}` is not the name of a credential")));
    }
    Ok(std::env::var_os(CREDENTIALS).map(|folder| PathBuf::from(folder).join(name)))
}

fn elsewhere(name: &str, typed: &Typed<Source>) -> String {
    format!("{}: the credential `{name}` is left out, for ${CREDENTIALS} is not set here", typed.key)
}

fn read(path: &Path, typed: &Typed<Source>) -> Result<Secret, Fault> {
    let mut bytes = std::fs::read(path).map_err(|error| {
        let fault = typed.fault(format!("{} cannot be read: {error}", path.display()));
        match &typed.value {
            Source::Credential(name) => fault.help(format!("the unit needs LoadCredential={name}:PATH")),
            _ => fault,
        }
    })?;
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    Ok(Secret::new(bytes))
}
