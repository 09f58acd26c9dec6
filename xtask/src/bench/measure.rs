//! Runs the load generator against a server, and reads from `/proc` what the server spent and holds.

use crate::bench::case::{Case, Measure};
use crate::bench::server::Server;
use crate::bench::table::Figure;
use crate::shell;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The server has this core for itself, or shares both; the generator has that one.
pub(crate) const SERVER_CORE: &str = "0";
pub(crate) const BOTH_CORES: &str = "0,1";
const LOAD_CORE: &str = "1";
/// For how long the database is held while calls and registrations go on, and after how long that begins.
const STALL: Duration = Duration::from_secs(10);
const BEFORE_STALL: Duration = Duration::from_secs(2);

/// Whether there is a core for each.
pub(crate) fn two_cores() -> Result<()> {
    if std::thread::available_parallelism()?.get() < 2 {
        bail!("a benchmark needs two cores: one for the server, one for the generator");
    }
    Ok(())
}

/// Runs one case.
pub(crate) fn case(server: &Server, case: &Case) -> Result<Figure> {
    begin(server, case)?.end(case)
}

/// Does what comes before a case.
pub(crate) fn prepare(server: &Server, words: &str) -> Result<()> {
    let mut load = Load::start(server, &words.split(' ').collect::<Vec<_>>(), false)?;
    load.expect_ready()?;
    load.go_on()?;
    load.line()?;
    load.end()
}

/// A case whose work is done; what the server holds is still held.
pub(crate) struct Held<'a> {
    server: &'a Server,
    load: Load,
    result: Value,
    spent: f64,
    memory: f64,
}

/// Does the work of a case.
pub(crate) fn begin<'a>(server: &'a Server, case: &Case) -> Result<Held<'a>> {
    let mut load = ready(server, case)?;
    let (time, memory) = (processor_time(server.id())?, memory(server.id())?);
    load.go_on()?;
    let result = load.line()?;
    let spent = processor_time(server.id())?.since(time);
    Ok(Held { server, load, result, spent, memory })
}

impl Held<'_> {
    /// Measures what is held, and lets it go.
    pub(crate) fn end(self, case: &Case) -> Result<Figure> {
        let all = match case.measure {
            Measure::Memory(_) => memory(self.server.id())? - self.memory,
            _ => self.spent,
        };
        self.load.end()?;
        let mut figure = figure(&self.result)?;
        figure.each = match case.measure {
            Measure::Wait => figure.median / 1000.0,
            _ => all / (figure.units as f64).max(1.0),
        };
        Ok(figure)
    }
}

/// Runs several cases at once while another process holds the server's database.
pub(crate) fn stalled(server: &Server, cases: &[&Case]) -> Result<Vec<Figure>> {
    let mut loads = cases.iter().map(|case| ready(server, case)).collect::<Result<Vec<_>>>()?;
    loads.iter_mut().try_for_each(Load::go_on)?;
    std::thread::sleep(BEFORE_STALL);
    hold(&server.database)?;
    let mut figures = Vec::new();
    for mut load in loads {
        let result = load.line()?;
        load.end()?;
        let mut figure = figure(&result)?;
        figure.each = figure.failures as f64;
        figures.push(figure);
    }
    Ok(figures)
}

/// Holds a database so that nobody can write it, nor read it where readers wait for writers.
fn hold(database: &Path) -> Result<()> {
    let mut command = Command::new("sqlite3");
    let mut child = command.arg(database).stdin(Stdio::piped()).spawn().context("sqlite3")?;
    let mut input = child.stdin.take().context("the input of sqlite3")?;
    writeln!(input, ".timeout 5000\nBEGIN EXCLUSIVE;")?;
    std::thread::sleep(STALL);
    writeln!(input, "ROLLBACK;")?;
    drop(input);
    if child.wait()?.success() { Ok(()) } else { bail!("the database could not be held") }
}

fn ready(server: &Server, case: &Case) -> Result<Load> {
    let arguments: Vec<&str> = case.load.split(' ').chain(server.kind.words().iter().copied()).collect();
    let mut load = Load::start(server, &arguments, case.tls)?;
    load.expect_ready()?;
    Ok(load)
}

fn figure(result: &Value) -> Result<Figure> {
    let number = |name: &str| result[name].as_f64().with_context(|| format!("{name} in {result}"));
    Ok(Figure {
        each: 0.0,
        units: number("units")? as u64,
        failures: result["failures"].as_u64().context("failures")?,
        seconds: number("seconds")?,
        median: number("median")?,
        slowest: number("slowest")?,
    })
}

/// A load generator that is running.
pub(crate) struct Load {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Load {
    /// Starts it on its own core.
    pub(crate) fn start(server: &Server, arguments: &[&str], tls: bool) -> Result<Self> {
        let address = if tls { server.tls } else { server.plain };
        let mut command = pinned(LOAD_CORE, &binary("load")?);
        command.args(arguments).args(["--server", &address.to_string()]);
        Self::spawn(&mut command)
    }

    /// Starts it by another program, `ip netns exec` say.
    pub(crate) fn within(program: &str, before: &[&str], words: &str, behind: &[&str]) -> Result<Self> {
        let mut command = pinned(LOAD_CORE, program);
        command.args(before).arg(binary("load")?).args(words.split(' ')).args(behind);
        Self::spawn(&mut command)
    }

    fn spawn(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("load")?;
        let lines = BufReader::new(child.stdout.take().context("the generator's output")?);
        Ok(Self { child, lines })
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn expect_ready(&mut self) -> Result<()> {
        if self.line()?["ready"] == true { Ok(()) } else { bail!("the generator is not ready") }
    }

    pub(crate) fn go_on(&mut self) -> Result<()> {
        Ok(writeln!(self.child.stdin.as_mut().context("the generator's input")?)?)
    }

    pub(crate) fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        serde_json::from_str(&line).context("the generator failed")
    }

    pub(crate) fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It has ended by itself, unless something went wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program on one core, that may open as many files as it needs.
pub(crate) fn pinned(core: &str, program: &str) -> Command {
    let mut command = Command::new("sh");
    let script = "ulimit -n 65536 2>/dev/null || ulimit -n \"$(ulimit -Hn)\"; exec taskset -c \"$0\" \"$@\"";
    command.args(["-c", script, core, program]);
    command
}

/// A binary of ours, built for release.
pub(crate) fn binary(name: &str) -> Result<String> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| shell::root().join("target"), PathBuf::from);
    let path = target.join("release").join(name);
    path.to_str().map(str::to_owned).context("a path that is text")
}

/// Processor time, in microseconds, as both accounts have it.
#[derive(Clone, Copy, Debug)]
struct Spent {
    /// The scheduler's own, exact; but threads that have ended are no longer in it.
    exact: f64,
    /// Everything, but in hundredths of a second.
    whole: f64,
}

const TICK: f64 = 10_000.0;

impl Spent {
    fn since(self, before: Self) -> f64 {
        let (exact, whole) = (self.exact - before.exact, self.whole - before.whole);
        let has_lost_threads = whole - exact > 3.0 * TICK;
        if has_lost_threads { whole } else { exact }
    }
}

/// Processor time of a process whose threads all live on, in microseconds.
pub(crate) fn exact_time(id: u32) -> Result<f64> {
    Ok(processor_time(id)?.exact)
}

/// Processor time of a process and its children so far.
fn processor_time(id: u32) -> Result<Spent> {
    let mut spent = Spent { exact: 0.0, whole: 0.0 };
    for (id, stat) in family(id)? {
        spent.whole += (stat[11].parse::<f64>()? + stat[12].parse::<f64>()?) * TICK;
        for thread in std::fs::read_dir(format!("/proc/{id}/task"))?.flatten() {
            // One that has ended in the meantime is passed over.
            let Ok(text) = std::fs::read_to_string(thread.path().join("schedstat")) else { continue };
            spent.exact += text.split(' ').next().context("schedstat")?.parse::<f64>()? / 1000.0;
        }
    }
    Ok(spent)
}

/// Memory of a process and its children, what they share counted once, in KiB.
fn memory(id: u32) -> Result<f64> {
    let of = |id: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("Pss")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()?)
    };
    family(id)?.iter().map(|(id, _)| of(id)).sum()
}

/// A process with its children and theirs: the ids, and the fields of `/proc/PID/stat` behind the name.
pub(crate) fn family(id: u32) -> Result<Vec<(u32, Vec<String>)>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // One that has ended in the meantime is passed over.
        let Ok(text) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, fields)) = text.rsplit_once(')') else { continue };
        all.push((id, fields.split_whitespace().map(str::to_owned).collect::<Vec<_>>()));
    }
    let mut family: Vec<(u32, Vec<String>)> = all.iter().filter(|(one, _)| *one == id).cloned().collect();
    if family.is_empty() {
        bail!("the server has ended");
    }
    let mut next = 0;
    while next < family.len() {
        let parent = family[next].0.to_string();
        family.extend(all.iter().filter(|(_, stat)| stat[1] == parent).cloned());
        next += 1;
    }
    Ok(family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_threads_spent_is_not_lost() {
        let before = Spent { exact: 1000.0, whole: 0.0 };
        assert_eq!(Spent { exact: 6500.0, whole: 10_000.0 }.since(before), 5500.0);
        assert_eq!(Spent { exact: 6500.0, whole: 90_000.0 }.since(before), 90_000.0);
    }
}
