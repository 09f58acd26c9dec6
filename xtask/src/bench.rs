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
use case::{Case, Measure, Service, Setting};
use server::{Environment, Kind, Server};
use std::time::Duration;
use table::{Figure, Figures};

const USAGE: &str =
    "usage: cargo xtask bench turn|sip|xmpp|media|xdp [--quick] [--runs N] [--only SERVER] [--write]";

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
        Some("media") => Service::Media,
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
/// what else the machine has to do then weighs on all alike. What is held is measured on servers that have done
/// nothing else, and what takes long is done once.
fn round(number: usize, kinds: &[Kind], cases: &[Case], figures: &mut Figures) -> Result<()> {
    for setting in [Setting::Usual, Setting::Open, Setting::Archived, Setting::Two, Setting::Tls] {
        let cases: Vec<&Case> = cases.iter().filter(|case| case.setting == setting).collect();
        let quick = |case: &&&Case| matches!(case.measure, Measure::Time | Measure::Wait);
        let quick: Vec<&Case> = cases.iter().filter(quick).copied().collect();
        compare(number, kinds, (setting, &quick), figures)?;
        let held: Vec<&Case> = cases.iter().filter(|case| case.is_held()).copied().collect();
        match held.first().and_then(|case| case.before.as_deref()) {
            Some(before) if number == 0 => memory(kinds, &held, Some(before), figures)?,
            Some(_) => {}
            None => held.iter().try_for_each(|case| memory(kinds, &[case], None, figures))?,
        }
        let stalled: Vec<&Case> = cases.into_iter().filter(|case| case.measure == Measure::Stall).collect();
        if number == 0 && !stalled.is_empty() {
            stall(kinds, (setting, &stalled), figures)?;
        }
    }
    Ok(())
}

/// Starts the servers that take part in any of these cases, and lets them come to rest.
fn start(
    kinds: &[Kind],
    setting: Setting,
    cases: &[&Case],
    environment: &Environment,
) -> Result<Vec<Server>> {
    let taking = kinds.iter().filter(|kind| cases.iter().any(|case| kind.takes_part(case)));
    let servers =
        taking.map(|kind| Server::start(*kind, setting, environment)).collect::<Result<Vec<_>>>()?;
    if !servers.is_empty() {
        std::thread::sleep(SETTLE);
    }
    Ok(servers)
}

fn compare(
    number: usize,
    kinds: &[Kind],
    (setting, cases): (Setting, &[&Case]),
    figures: &mut Figures,
) -> Result<()> {
    let servers = start(kinds, setting, cases, &[])?;
    for (i, case) in cases.iter().enumerate() {
        for j in 0..servers.len() {
            // Each goes first as often as the others.
            let server = &servers[(number + i + j) % servers.len()];
            if server.kind.takes_part(case) {
                note(server.kind, case, &measure::case(server, case)?, figures);
            }
        }
    }
    servers.into_iter().try_for_each(Server::stop)
}

/// What a server of ours has freed goes back to the system at once: what is used again later would hide what is held.
const FREED_AT_ONCE: &Environment = &[("MIMALLOC_PURGE_DELAY", "0")];

/// All servers do their work, and are looked at when all have held it for long enough; then comes the next case. What is
/// done `before` is in no figure: it shakes off what a server holds of its start, and takes it to where it works.
fn memory(kinds: &[Kind], cases: &[&Case], before: Option<&str>, figures: &mut Figures) -> Result<()> {
    let Some(first) = cases.first() else { return Ok(()) };
    let servers = start(kinds, first.setting, cases, FREED_AT_ONCE)?;
    if let Some(before) = before {
        servers.iter().try_for_each(|server| measure::prepare(server, before))?;
        std::thread::sleep(first.hold());
    }
    for case in cases {
        let taking: Vec<&Server> = servers.iter().filter(|server| server.kind.takes_part(case)).collect();
        let held = taking.iter().map(|server| measure::begin(server, case)).collect::<Result<Vec<_>>>()?;
        std::thread::sleep(case.hold());
        for (server, held) in taking.iter().zip(held) {
            note(server.kind, case, &held.end(case)?, figures);
        }
    }
    servers.into_iter().try_for_each(Server::stop)
}

fn stall(kinds: &[Kind], (setting, cases): (Setting, &[&Case]), figures: &mut Figures) -> Result<()> {
    for server in start(kinds, setting, cases, &[])? {
        for (case, figure) in cases.iter().zip(measure::stalled(&server, cases)?) {
            note(server.kind, case, &figure, figures);
        }
        server.stop()?;
    }
    Ok(())
}

fn note(kind: Kind, case: &Case, figure: &Figure, figures: &mut Figures) {
    println!("  {:<30} {:<64} {}", kind.name(), case.title, figure.line(case));
    figures.add(kind, case, figure);
}
