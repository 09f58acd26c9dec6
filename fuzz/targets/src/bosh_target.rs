//! Sessions of requests (BOSH) by sequences: requests and answers that are lost, late, twice and out of order, pauses, keys, a
//! stream that stops reading or ends, and requests of strangers. What is carried is had once, or comes back.

mod client;
mod world;

use crate::tape::Tape;
use world::{Sum, World};

/// How many steps one run has at most.
const STEPS: usize = 1000;

/// Reads `data` as a play, and plays it.
///
/// # Panics
/// When a session breaks its promise.
pub fn bosh(data: &[u8]) {
    told(data, false);
}

/// Plays, and tells what happens where that is wanted.
fn told(data: &[u8], aloud: bool) -> Sum {
    let mut tape = Tape::new(data);
    let mut world = World::new(&mut tape, aloud);
    tape.play(STEPS, |tape| {
        world.step(tape);
        world.check();
    });
    world.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Were the plays refused at the door, their replay would prove nothing.
    #[test]
    fn the_corpus_goes_deep() {
        let mut all = Sum::default();
        for file in crate::tests::corpus("bosh") {
            let sum = told(&file, false);
            all.sessions += sum.sessions;
            all.heard += sum.heard;
            all.read += sum.read;
            all.returned += sum.returned;
        }
        assert!(all.sessions > 30 && all.heard > 300 && all.read > 300 && all.returned > 30, "{all:?}");
    }

    /// For whoever looks into what the fuzzer has found: `PLAY=file cargo test -p fuzz-targets bosh_play -- --ignored`.
    #[test]
    #[ignore = "needs the name of a play"]
    #[expect(clippy::disallowed_methods, reason = "there is no other way to say which")]
    fn bosh_play_is_told() {
        told(&std::fs::read(std::env::var("PLAY").unwrap()).unwrap(), true);
    }
}
