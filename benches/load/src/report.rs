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
        "{{\"units\":{},\"failures\":{},\"again\":{},\"seconds\":{:.6}}}",
        tally.units,
        tally.failures,
        tally.again,
        took.as_secs_f64()
    );
}

/// A line, or the end of the input.
fn wait() {
    let mut line = String::new();
    // An input that cannot be read has ended.
    let _ = std::io::stdin().lock().read_line(&mut line);
}
