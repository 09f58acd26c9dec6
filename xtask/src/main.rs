//! Every chore of the project: `cargo xtask run | test | ci | tidy | bench | docs | fuzz`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]

mod bench;
mod ci;
mod docs;
mod fuzz;
mod install;
mod run;
mod shell;
mod test;
mod tidy;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  run [--dir DIR]            install what the build lacks, build in release mode, make a local
                             domain on first start, serve it and print how to log in
  test [ARGUMENT …]          install the programs that the tests drive, run every test
                             (arguments go to `cargo test`)
  ci                         what has to pass before a change lands: test, formatting, clippy,
                             tidy, documentation, licences
  tidy                       hold the house's rules: who may know whom, sizes, words
  bench turn|sip|xmpp        Parlour beside its peer from Debian, CPU time and memory
  bench xdp                  relaying in the kernel beside relaying in the server (as root)
  docs                       write docs/commands.md and docs/configuration.md from the code
  fuzz TARGET [SECONDS]      fuzz one reader from its corpus (needs cargo-fuzz and nightly)
";

fn main() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    shell::enter_root()?;
    match arguments.first().map(String::as_str) {
        Some("run") => run::run(rest),
        Some("test") => test::test(rest),
        Some("ci") => ci::ci(),
        Some("tidy") => tidy::tidy(),
        Some("bench") => bench::bench(rest),
        Some("docs") => docs::docs(),
        Some("fuzz") => fuzz::fuzz(rest),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("no such command: {}\n\n{USAGE}", other.unwrap_or("(none)")),
    }
}
