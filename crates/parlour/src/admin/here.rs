//! For commands that are carried out in the caller's own process: the configuration that is meant, and the waiting for others.

pub mod password;

use super::command::Invocation;
use super::failure::{Failure, Kind};
use crate::config::{self, Plan};
use crate::external;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a configuration is looked for, without `--config`.
const USUAL: [&str; 2] = ["parlour.toml", "/etc/parlour/parlour.toml"];

/// The configuration that was named, or the one where it usually is.
pub fn plan(invocation: &Invocation) -> Result<Plan, Failure> {
    let usual = || USUAL.iter().map(PathBuf::from).find(|path| path.exists());
    let path = invocation.config.clone().or_else(usual).ok_or_else(|| {
        let message = format!(
            "there is no configuration: neither {} exists; `--config FILE` names one, \
             `parlour init DOMAIN --dir DIR` makes one",
            USUAL.map(|path| format!("./{path}").replace(".//", "/")).join(" nor ")
        );
        Failure::new(Kind::Configuration, message)
    })?;
    Ok(config::load(&path)?)
}

/// The same with the addresses that its names of `network.external` have by now.
pub fn settled(invocation: &Invocation) -> Result<Plan, Failure> {
    let plan = Arc::new(plan(invocation)?);
    Ok(Arc::unwrap_or_clone(block_on(external::settle(plan, &[]))?))
}

/// Carries out in this process what waits for others.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(|error| Failure::failed(error.to_string()))?.block_on(work))
}
