//! `--name value` pairs.

use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// What was asked for.
pub(crate) struct Options(HashMap<String, String>);

impl Options {
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut pairs = HashMap::new();
        while let Some(name) = arguments.next() {
            let Some(name) = name.strip_prefix("--") else { bail!("`{name}` is not an option") };
            let value = arguments.next().with_context(|| format!("--{name} wants a value"))?;
            pairs.insert(name.to_owned(), value);
        }
        Ok(Self(pairs))
    }

    /// The value of an option, or `default` where it was not given.
    pub(crate) fn get<T: FromStr>(&self, name: &str, default: T) -> Result<T> {
        match self.0.get(name) {
            Some(text) => text.parse().ok().with_context(|| format!("--{name} {text}: not a value for it")),
            None => Ok(default),
        }
    }

    pub(crate) fn server(&self) -> Result<SocketAddr> {
        self.0.get("server").context("--server is needed")?.parse().context("--server ADDRESS:PORT")
    }

    pub(crate) fn password(&self) -> Result<String> {
        self.get("password", "load".to_owned())
    }

    pub(crate) fn domain(&self) -> Result<String> {
        self.get("domain", "bench.example".to_owned())
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value == "yes")
    }

    /// After how long a measurement ends, done or not.
    pub(crate) fn limit(&self) -> Result<Duration> {
        Ok(Duration::from_secs(self.get("limit", 60)?))
    }
}
