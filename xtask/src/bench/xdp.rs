//! `cargo xtask bench xdp`: what a relayed packet costs in user space and in the kernel, over a pair of virtual Ethernet
//! interfaces between two namespaces that this makes and takes down.
//!
//! In the kernel nothing is billed to the server's process: the program runs on the time of whoever sends. So the sender's
//! processor time is measured, once with the packets thrown away as they arrive (by another XDP program), once with
//! them relayed and thrown away at the far end: the difference is what relaying costs, the sending included. In the same
//! way the stack's part of receiving, without XDP, is added to what the server's process spends on a packet.

mod lan;

use crate::bench::measure::{exact_time, two_cores};
use crate::install;
use crate::shell::{self, cargo, run};
use anyhow::{Context, Result, ensure};
use lan::Lan;
use std::time::Duration;

/// How many packets are sent as fast as they go.
const FLOOD: u32 = 400_000;

/// One line of the table.
struct Row {
    title: &'static str,
    load: String,
}

fn echoed() -> [Row; 3] {
    let row = |title, load: &str| Row { title, load: format!("turn-relay {load}") };
    [
        row(
            "160 octets, 100 flows, as fast as it goes",
            "--units 300000 --size 160 --clients 100 --window 100",
        ),
        row("1200 octets, deep queues", "--units 300000 --size 1200 --clients 16 --window 512"),
        row("160 octets, 100 flows, 20 000 packets/s", "--units 60000 --size 160 --clients 100 --rate 20000"),
    ]
}

fn flood(size: u16) -> String {
    format!("turn-relay --units 100000000 --limit 2 --clients 16 --window {FLOOD} --size {size}")
}

/// Builds, measures `rounds` times in alternation, and prints the middle of each.
pub(crate) fn bench(rounds: usize) -> Result<()> {
    install::for_tests()?;
    two_cores()?;
    for package in ["load", "parlour"] {
        run(&cargo(), &["build", "--release", "--package", package])?;
    }
    let mut process = vec![Vec::new(); echoed().len()];
    let mut entry = Vec::new();
    let mut kernel = [Vec::new(), Vec::new()];
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        for (row, figures) in echoed().iter().zip(&mut process) {
            figures.push(server_time(row)?);
        }
        for (size, figures) in [160, 1200].into_iter().zip(&mut kernel) {
            let arriving = arriving(size)?;
            figures.push(relaying(size)? - arriving);
            entry.push(receiving(size)? - arriving);
        }
    }
    print_table(&process, middle(&entry), &kernel);
    Ok(())
}

/// Microseconds of the server's processor time for each packet that it relays itself.
fn server_time(row: &Row) -> Result<f64> {
    let lan = Lan::new()?;
    let server = lan.serve(false)?;
    let mut load = lan.load(&row.load)?;
    load.expect_ready()?;
    let before = exact_time(server.id())?;
    load.go_on()?;
    let result = load.line()?;
    let spent = exact_time(server.id())? - before;
    load.end()?;
    let each = spent / result["units"].as_f64().context("units")?;
    println!("  in the server, {}: {each:.2} µs", row.title);
    Ok(each)
}

/// Microseconds of the sender's time for each packet that is thrown away as it arrives.
fn arriving(size: u16) -> Result<f64> {
    let lan = Lan::new()?;
    let server = lan.serve(false)?;
    let (each, _) = lan.flood(&server, &flood(size), true)?;
    println!("  thrown away on arrival, {size} octets: {each:.3} µs");
    Ok(each)
}

/// Microseconds of the sender's time for each packet that the stack takes in for the server.
fn receiving(size: u16) -> Result<f64> {
    let lan = Lan::new()?;
    let server = lan.serve(false)?;
    let (each, _) = lan.flood(&server, &flood(size), false)?;
    println!("  taken in for the server, {size} octets: {each:.3} µs");
    Ok(each)
}

/// Microseconds of the sender's time for each packet that the kernel relays.
fn relaying(size: u16) -> Result<f64> {
    let lan = Lan::new()?;
    let server = lan.serve(true)?;
    let (each, sent) = lan.flood(&server, &flood(size), false)?;
    let relayed = server.counter("turn.xdp-packets")?;
    ensure!(relayed > 0.99 * sent, "the kernel relayed {relayed} of {sent} packets");
    println!("  relayed in the kernel, {size} octets: {each:.3} µs");
    Ok(each)
}

fn print_table(process: &[Vec<f64>], entry: f64, kernel: &[Vec<f64>; 2]) {
    let [small, large] = kernel.each_ref().map(|figures| middle(figures));
    println!(
        "\n| µs for each packet | server's process | stack, receiving | relayed in the kernel | ratio |"
    );
    println!("|---|---|---|---|---|");
    for (row, figures) in echoed().iter().zip(process) {
        let (user, own) = (middle(figures), if row.title.starts_with("1200") { large } else { small });
        let ratio = (user + entry) / own;
        println!("| {} | {user:.2} | {entry:.2} | {own:.2} | 1/{ratio:.1} |", row.title);
    }
}

fn middle(figures: &[f64]) -> f64 {
    let mut all = figures.to_vec();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Sends what is on its way to its end before the next measurement.
fn settle() {
    std::thread::sleep(Duration::from_millis(1500));
}

fn program(source: &str, to: &str) -> Result<()> {
    let code = format!(
        "__attribute__((section(\"xdp\"), used)) int one(void *context) {{ return {source}; }}\n\
         char licence[] __attribute__((section(\"license\"), used)) = \"MIT\";\n"
    );
    let file = format!("{to}.c");
    std::fs::write(&file, code)?;
    shell::output("clang", &["-O2", "-g", "-target", "bpf", "-c", &file, "-o", to]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::middle;

    #[test]
    fn the_middle_of_few() {
        assert_eq!([middle(&[3.0, 1.0, 2.0]), middle(&[4.0])], [2.0, 4.0]);
    }
}
