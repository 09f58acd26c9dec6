//! The operating system's randomness.

use wire::Entropy;

/// The operating system's random generator (`getrandom`).
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Entropy for System {
    fn fill(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("Linux gives random bytes once it has booted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differs_from_call_to_call() {
        assert_ne!(System.next_u64(), System.next_u64());
        assert_eq!(System.token(16).len(), 16);
    }
}
