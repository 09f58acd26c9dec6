//! The conversation with whoever measures: ready, go, done, let go.

use anyhow::Result;
use std::io::BufRead;
use std::time::{Duration, Instant};

/// What a measurement came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Units done.
    pub(crate) units: u64,
    /// Units that were refused or never answered.
    pub(crate) failures: u64,
    /// Requests sent again because nothing came.
    pub(crate) again: u64,
    /// Half of the round trips took no longer than this, and 99 of 100 no longer than that, in microseconds; 0 where it was
    /// not looked at.
    pub(crate) median: f64,
    pub(crate) slowest: f64,
}

impl Tally {
    /// Notes how long round trips took, in nanoseconds.
    pub(crate) fn trips(&mut self, trips: &mut [u64]) {
        trips.sort_unstable();
        let at = |part: usize| trips.get(trips.len() * part / 100).map_or(0.0, |n| *n as f64 / 1000.0);
        (self.median, self.slowest) = (at(50), at(99));
    }
}

/// Says that all is prepared, waits for the word, measures, says what was done, and waits until it may let go.
pub(crate) fn measure(work: impl FnOnce() -> Result<Tally>) -> Result<()> {
    println!("{{\"ready\":true}}");
    wait();
    let start = Instant::now();
    let tally = work()?;
    say(&tally, start.elapsed());
    wait();
    Ok(())
}

fn say(tally: &Tally, took: Duration) {
    println!(
        "{{\"units\":{},\"failures\":{},\"again\":{},\"median\":{:.1},\"slowest\":{:.1},\"seconds\":{:.6}}}",
        tally.units,
        tally.failures,
        tally.again,
        tally.median,
        tally.slowest,
        took.as_secs_f64()
    );
}

/// A line, or the end of the input.
fn wait() {
    let mut line = String::new();
    // An input that cannot be read has ended.
    let _ = std::io::stdin().lock().read_line(&mut line);
}
