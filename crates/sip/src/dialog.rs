//! Dialogs (RFC 3261 §12) as far as a proxy knows of them: where what is kept of a call lives.

pub mod beginning;
pub mod book;

use std::hash::Hasher;
use wire::WorkerId;

/// Which of `workers` keeps what is known of a call: the same one for every message with this Call-ID, whichever worker
/// it comes to.
pub fn home(call_id: &[u8], workers: u16) -> WorkerId {
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(call_id);
    let spread = (hasher.finish() >> 32) * u64::from(workers.max(1));
    WorkerId(u16::try_from(spread >> 32).expect("less than workers, which is a u16"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_spread_and_each_stays_where_it_is() {
        let mut seen = [0; 4];
        for n in 0..4000 {
            let call_id = format!("{n}@192.0.2.1");
            let home = home(call_id.as_bytes(), 4);
            seen[usize::from(home.0)] += 1;
            assert_eq!(home, super::home(call_id.as_bytes(), 4));
            assert_eq!(super::home(call_id.as_bytes(), 1), WorkerId(0));
        }
        assert!(seen.iter().all(|n| (800..1200).contains(n)), "{seen:?}");
    }
}
