//! XMPP as a whole by sequences of inputs: streams, two routers, clients that sign in, say anything, lose their connections
//! and come back, a store that stalls and fails, queues that are full, administrators, time. What must never happen is
//! checked after every step, and in the end nothing may be left.

mod acts;
mod books;
mod device;
mod ears;
mod grammar;
mod house;
mod managed;
#[path = "../../../crates/xmpp/tests/scenes/store.rs"]
#[expect(dead_code, reason = "the plays of the xmpp crate ask it for more")]
mod store;
mod world;

use crate::tape::Tape;
use books::Sum;
use world::World;

/// How many steps one run has at most.
const STEPS: usize = 250;

/// Reads `data` as a play, and plays it.
///
/// # Panics
/// When the house breaks its promise.
pub fn xmpp_stream(data: &[u8]) {
    told(data, false);
}

/// Plays, and tells what happens where that is wanted.
fn told(data: &[u8], aloud: bool) -> Sum {
    let mut tape = Tape::new(data);
    let mut world = World::new(tape.byte(), aloud);
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
        for file in crate::tests::corpus("xmpp-stream") {
            sum.add(&told(&file, false));
        }
        assert!(sum.sessions > 300 && sum.resumed > 20, "{sum:?}");
        assert!(sum.delivered > 300 && sum.kept > 30 && sum.answered > 300, "{sum:?}");
    }

    /// For whoever looks into what the fuzzer has found: `PLAY=file cargo test -p fuzz-targets xmpp_play -- --ignored`.
    #[test]
    #[ignore = "needs the name of a play"]
    #[expect(clippy::disallowed_methods, reason = "there is no other way to say which")]
    fn xmpp_play_is_told() {
        told(&std::fs::read(std::env::var("PLAY").unwrap()).unwrap(), true);
    }
}
