//! The whole SIP stack by sequences of inputs: two workers, phones over datagrams and streams, calls, forks, registrations,
//! names, a disk that stalls, time, changes of the accounts. What must never happen is checked after every step.

mod acts;
mod books;
mod effects;
mod grammar;
mod house;
mod people;
mod world;

use crate::tape::Tape;
use books::Sum;
use world::World;

/// How many steps one run has at most.
const STEPS: usize = 200;

/// Reads `data` as a play, and plays it.
///
/// # Panics
/// When a stack breaks its promise.
pub fn sip_stack(data: &[u8]) {
    play(data);
}

fn play(data: &[u8]) -> Sum {
    told(data, false)
}

/// Plays, and tells what happens where that is wanted.
fn told(data: &[u8], aloud: bool) -> Sum {
    let mut tape = Tape::new(data);
    let mut world = World::new(tape.byte());
    world.is_aloud = aloud;
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
        let mut sum = Sum::default();
        for file in crate::tests::corpus("sip-stack") {
            let reached = play(&file);
            sum.forwarded += reached.forwarded;
            sum.accepted += reached.accepted;
            sum.refused += reached.refused;
            sum.cancelled += reached.cancelled;
            sum.registered += reached.registered;
        }
        assert!(sum.forwarded > 300 && sum.registered > 300, "{sum:?}");
        assert!(sum.accepted > 30 && sum.refused > 100 && sum.cancelled > 10, "{sum:?}");
    }

    /// For whoever looks into what the fuzzer has found: `PLAY=file cargo test -p fuzz-targets told -- --ignored`.
    #[test]
    #[ignore = "needs the name of a play"]
    #[expect(clippy::disallowed_methods, reason = "there is no other way to say which")]
    fn a_play_is_told() {
        told(&std::fs::read(std::env::var("PLAY").unwrap()).unwrap(), true);
    }
}
