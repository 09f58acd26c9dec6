//! The host: its clock, how many files the server may open, the ports that relays are given.

use super::notes::{Finding, Notes};
use super::{Patient, Skipped};
use crate::clock;
use crate::config::Plan;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A server with fewer files than this turns clients away before its own limits do.
const FILES: u64 = 4096;
/// With fewer relays than this a handful of calls fill them.
const PORTS: usize = 64;
/// The clock was never before this: the day on which this was written, 2026-11-22.
const YOUNG: Duration = Duration::from_secs(1_795_305_600);

pub(super) fn look(patient: &mut Patient, notes: &mut Notes) -> Result<(), Skipped> {
    clock(notes);
    relay_ports(&patient.plan, notes);
    match patient.pid {
        Some(pid) => open_files(&pid.to_string(), notes),
        None => notes.fine("open files: no server runs"),
    }
    Ok(())
}

/// What is told at once, by the server of itself.
pub(super) fn quick(plan: &Plan, notes: &mut Notes) {
    relay_ports(plan, notes);
    open_files("self", notes);
}

fn clock(notes: &mut Notes) {
    let now = clock::now();
    let mend = "timedatectl set-ntp true   # or: apt install systemd-timesyncd";
    if now < YOUNG {
        let finding = Finding::error("clock", "the clock is wrong: certificates and credentials do not hold");
        return notes.found(finding.seen(format!("{} s after 1970", now.as_secs())).mend(mend));
    }
    let mut ask = Command::new("timedatectl");
    ask.args(["show", "--property=NTPSynchronized", "--value"]).stdin(Stdio::null()).stderr(Stdio::null());
    // Not every host has it, and containers have their host's clock.
    let said = ask.output().ok().filter(|output| output.status.success());
    match said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).as_deref() {
        Some("no") => {
            let message = "nobody sets the clock: credentials that end, certificates and nonces go by it";
            notes
                .found(Finding::warning("clock", message).seen("timedatectl: NTPSynchronized=no").mend(mend));
        }
        Some("yes") => notes.fine("the clock is set by NTP"),
        _ => notes.fine("the clock: nobody here knows who sets it"),
    }
}

fn relay_ports(plan: &Plan, notes: &mut Notes) {
    let turn = &plan.turn;
    let listens = [&turn.udp, &turn.tcp, &turn.tls, &turn.dtls].iter().any(|all| !all.is_empty());
    let (first, last) = (*turn.relay_ports.start(), *turn.relay_ports.end());
    let ports = turn.relay_ports.len();
    if listens && ports < PORTS {
        let finding =
            Finding::warning("relay-ports", format!("there are ports for {ports} relays, not for more"));
        let fix = "[turn]\nrelay-ports = \"49152-65535\"   # and open them: ufw allow 49152:65535/udp";
        notes.found(finding.seen(format!("turn.relay-ports = \"{first}-{last}\"")).mend(fix));
    } else if listens {
        notes.fine(format!("{ports} ports for relays"));
    }
}

/// How many files a process may open, and how many it has.
fn open_files(process: &str, notes: &mut Notes) {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap_or_default();
    let Some(most) = most_files(&limits) else { return };
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).map_or(0, |files| files.count() as u64);
    let seen = format!("{open} of {most} files are open (/proc/{process}/limits)");
    let mend = "systemctl edit parlour   # then: [Service]\nLimitNOFILE=524288\nsystemctl restart parlour";
    if open > most / 10 * 9 {
        let finding = Finding::error(
            "open-files",
            "the server has nearly no file left to open: clients are turned away",
        );
        notes.found(finding.seen(seen).mend(mend));
    } else if most < FILES {
        let message = format!("the server may open {most} files; each client, relay and call is one");
        notes.found(Finding::warning("open-files", message).seen(seen).mend(mend));
    } else {
        notes.fine(seen);
    }
}

/// From what the kernel says of a process's limits.
fn most_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_a_process() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max processes             63459                63459                processes\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(most_files(text), Some(1024));
        assert_eq!(most_files(""), None);
        assert!(most_files(&std::fs::read_to_string("/proc/self/limits").unwrap()).is_some());
    }
}
