//! `parlour serve`: logs, then the server.

use super::table::COMMANDS;
use crate::admin::answers::Done;
use crate::admin::arguments::Arguments;
use crate::admin::command::{Invocation, reply};
use crate::admin::failure::Failure;
use crate::admin::here::plan;
use crate::clock::milliseconds;
use serde_json::Value;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Serves until it is told to end.
pub fn run(invocation: &Invocation, _: &Arguments) -> Result<Value, Failure> {
    let read = milliseconds();
    let plan = plan(invocation)?;
    logs()?;
    crate::serve::run(plan, read, COMMANDS).map_err(|error| Failure::failed(format!("{error:#}")))?;
    reply(&Done { done: String::new() })
}

/// Logs to the standard error: coloured for a terminal, without the time for the journal, which has its own.
fn logs() -> Result<(), Failure> {
    let wanted = std::env::var("PARLOUR_LOG").unwrap_or_else(|_| "info".into());
    let filter = EnvFilter::try_new(&wanted)
        .map_err(|error| Failure::usage(format!("PARLOUR_LOG is `{wanted}`: {error}")))?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let logs =
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).with_ansi(colour);
    let started = if std::env::var_os("JOURNAL_STREAM").is_some() {
        logs.without_time().try_init()
    } else {
        logs.try_init()
    };
    started.map_err(|error| Failure::failed(format!("logs: {error}")))
}
