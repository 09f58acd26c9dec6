//! What every protocol of the house is: a value that takes bytes and time in and gives effects out (sans-IO).

use std::time::Instant;

/// A protocol as a value: bytes and time go in, effects come out.
pub trait Machine {
    /// What can happen to it: bytes, a closed connection, an answer to an earlier question.
    type Input<'a>;
    /// What it wants done: bytes sent, a socket opened, a question answered.
    type Output;
    /// Takes in one input. A misbehaving peer is an output, never an error.
    fn handle(&mut self, now: Instant, input: Self::Input<'_>);
    /// The next effect to carry out. Call until `None` after every `handle` and `tick`.
    fn poll(&mut self) -> Option<Self::Output>;
    /// When to call `tick` next; earlier calls do nothing.
    fn deadline(&self) -> Option<Instant>;
    /// Lets everything happen that is due at `now`.
    fn tick(&mut self, now: Instant);
}
