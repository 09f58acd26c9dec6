//! `cargo xtask bench`: Parlour beside its peers from Debian, in alternation, on loopback: processor time of the server
//! for each unit of work, and memory for each thing that it holds.

mod case;
mod measure;
mod server;
mod table;
mod xdp;

use crate::install;
use crate::shell::{cargo, run};
use anyhow::{Context, Result, bail};
use case::{Case, Service};
use server::{Kind, Server};
use std::time::Duration;
use table::Figures;

const USAGE: &str =
    "usage: cargo xtask bench turn|sip|xmpp|xdp [--quick] [--runs N] [--only SERVER] [--write]";

/// Some servers answer before they have done all that they do at their start.
const SETTLE: Duration = Duration::from_secs(2);

/// What was asked for on the command line.
struct Wish {
    service: Service,
    quick: bool,
    runs: usize,
    only: Option<String>,
    /// Whether the tables go into docs/performance.md.
    write: bool,
}

/// Runs the benchmark of one service.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    if let Some(("xdp", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        let runs = read(&[&["turn".to_owned()], rest].concat())?.runs;
        return xdp::bench(runs);
    }
    let wish = read(arguments)?;
    install::for_benches()?;
    measure::two_cores()?;
    let kinds: Vec<Kind> = Kind::of(wish.service)
        .iter()
        .copied()
        .filter(|kind| wish.only.as_deref().is_none_or(|only| kind.name() == only))
        .collect();
    if kinds.is_empty() {
        bail!("no such server takes part: {}", wish.only.unwrap_or_default());
    }
    build(&kinds)?;
    let cases = case::of(wish.service, wish.quick);
    let mut figures = Figures::new(&kinds);
    for number in 0..wish.runs {
        println!("round {} of {}", number + 1, wish.runs);
        round(number, &kinds, &cases, &mut figures)?;
    }
    let tables = figures.markdown(&cases);
    println!("\n{tables}");
    if wish.write { table::publish(arguments[0].as_str(), &tables) } else { Ok(()) }
}

/// What is measured and what measures, as released.
fn build(kinds: &[Kind]) -> Result<()> {
    // One after the other: together they would be built with one another's features, and everything anew.
    run(&cargo(), &["build", "--release", "--package", "load"])?;
    if kinds.iter().any(|kind| matches!(kind, Kind::Parlour(_) | Kind::ParlourGathering)) {
        run(&cargo(), &["build", "--release", "--package", "parlour"])?;
    }
    Ok(())
}

fn read(arguments: &[String]) -> Result<Wish> {
    let mut words = arguments.iter().map(String::as_str);
    let service = match words.next() {
        Some("turn") => Service::Turn,
        Some("sip") => Service::Sip,
        Some("xmpp") => Service::Xmpp,
        _ => bail!("{USAGE}"),
    };
    let mut wish = Wish { service, quick: false, runs: 3, only: None, write: false };
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} wants a value"));
        match word {
            "--quick" => (wish.quick, wish.runs) = (true, 1),
            "--write" => wish.write = true,
            "--runs" => wish.runs = value()?.parse()?,
            "--only" => wish.only = Some(value()?.to_owned()),
            _ => bail!("{USAGE}"),
        }
    }
    Ok(wish)
}

/// Every case once on every server. They run side by side, so that each case is done on one right after the other:
/// what else the machine has to do then weighs on all alike. What is held is measured on a server that has done
/// nothing else.
fn round(number: usize, kinds: &[Kind], cases: &[Case], figures: &mut Figures) -> Result<()> {
    let servers = kinds.iter().map(|kind| Server::start(*kind)).collect::<Result<Vec<_>>>()?;
    std::thread::sleep(SETTLE);
    for (i, case) in cases.iter().filter(|case| !case.is_memory()).enumerate() {
        for j in 0..servers.len() {
            // Each goes first as often as the others.
            one(&servers[(number + i + j) % servers.len()], case, figures)?;
        }
    }
    servers.into_iter().try_for_each(Server::stop)?;
    for case in cases.iter().filter(|case| case.is_memory()) {
        for kind in kinds.iter().filter(|kind| kind.takes_part(case)) {
            let server = Server::start(*kind)?;
            one(&server, case, figures)?;
            server.stop()?;
        }
    }
    Ok(())
}

fn one(server: &Server, case: &Case, figures: &mut Figures) -> Result<()> {
    if server.kind.takes_part(case) {
        let figure = measure::case(server, case)?;
        println!("  {:<30} {:<64} {}", server.kind.name(), case.title, figure.line(case));
        figures.add(server.kind, case, &figure);
    }
    Ok(())
}
