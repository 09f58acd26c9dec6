//! The command line: reads what was typed by the table of commands, carries it out here or lets the server do it,
//! and says what came of it.

pub mod init;
pub mod pages;
mod parser;
pub mod start;
pub mod table;

use crate::admin::arguments::Arguments;
use crate::admin::backend::{carry_out, no_server};
use crate::admin::command::{Command, Invocation, Run};
use crate::admin::here::{block_on, plan, settled};
use crate::admin::{Failure, Offline, client};
use crate::config::Plan;
use serde_json::Value;
use std::io::Write;
use std::process::ExitCode;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let matches = parser::parser().get_matches();
    let invocation = parser::invocation(&matches);
    let (command, matches) = parser::command(&matches);
    match run(command, &invocation, matches) {
        Ok(value) => show(command, &invocation, value),
        Err(failure) => refuse(&failure, &invocation),
    }
}

fn run(command: &Command, invocation: &Invocation, matches: &clap::ArgMatches) -> Result<Value, Failure> {
    let arguments = Arguments::new(command, parser::arguments(command, matches)?)?;
    match command.run {
        Run::CommandLine(run) => run(invocation, &arguments),
        Run::Plan(run) => run(&settled(invocation)?, &arguments),
        Run::House(_) | Run::Server(_) => block_on(on_house(command, plan(invocation)?, arguments))?,
    }
}

/// By the server if one answers, else on the database.
async fn on_house(command: &Command, plan: Plan, arguments: Arguments) -> Result<Value, Failure> {
    match client::reach(&plan.admin.socket).await? {
        Some(stream) => client::ask(stream, command, arguments).await,
        None if matches!(command.run, Run::Server(_)) => Err(no_server(&plan)),
        None => carry_out(&Offline::open(plan).await?, command, &arguments).await,
    }
}

fn show(command: &Command, invocation: &Invocation, value: Value) -> ExitCode {
    let json = invocation.json.then(|| format!("{value:#}"));
    match (command.returns.human)(value) {
        Ok((text, good)) => match (print(&json.unwrap_or(text)), good) {
            (printed, true) => printed,
            (_, false) => ExitCode::FAILURE,
        },
        Err(error) => refuse(&Failure::failed(format!("the answer is not understood: {error}")), invocation),
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let written = if text.is_empty() { Ok(()) } else { writeln!(out, "{text}") };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn refuse(failure: &Failure, invocation: &Invocation) -> ExitCode {
    if invocation.json {
        print(&format!("{:#}", failure.to_json()));
    } else {
        // Nothing is left to be told if even this cannot be written.
        drop(writeln!(std::io::stderr(), "error: {failure}"));
    }
    ExitCode::from(failure.kind.exit_code())
}
