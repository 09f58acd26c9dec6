//! The whole TURN server by sequences of inputs: two workers, clients over datagrams and streams, peers, time, changes
//! of the configuration and the accounts. What must never happen is checked after every step.

mod grammar;
mod house;
mod moves;
mod people;
mod rules;
mod streams;
mod world;

use crate::tape::Tape;
use world::World;

/// How many steps one run has at most.
const STEPS: usize = 300;

/// Reads `data` as a play, and plays it.
///
/// # Panics
/// When a server breaks its promise.
pub fn turn(data: &[u8]) {
    play(data);
}

/// How far a play came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reached {
    pub(super) allocations: u64,
    pub(super) packets_out: u64,
    pub(super) packets_in: u64,
}

fn play(data: &[u8]) -> Reached {
    let mut tape = Tape::new(data);
    let mut world = World::new();
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
        let mut sum = Reached::default();
        for file in crate::tests::corpus("turn") {
            let reached = play(&file);
            sum.allocations += reached.allocations;
            sum.packets_out += reached.packets_out;
            sum.packets_in += reached.packets_in;
        }
        assert!(sum.allocations > 150 && sum.packets_out > 150 && sum.packets_in > 150, "{sum:?}");
    }
}
