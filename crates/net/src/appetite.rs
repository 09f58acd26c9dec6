//! How many datagrams to ask a socket for at one time. Asking for one that is not there costs a part of what receiving one
//! does, and at the pace of voice nearly every datagram comes alone: so more than last time are asked for only where as many
//! as asked for were there. What is left behind is told again by the event queue.

use crate::sys::Arrivals;

/// One socket's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appetite {
    quota: u8,
    /// Visits until more is tried again.
    rest: u8,
}

impl Default for Appetite {
    fn default() -> Self {
        Self { quota: 1, rest: 0 }
    }
}

impl Appetite {
    /// Visits without trying for more, after more was tried for in vain.
    const REST: u8 = 8;
    const MOST: u8 = Arrivals::AT_ONCE as u8;

    /// How many to ask for.
    pub(crate) fn quota(self) -> usize {
        self.quota.into()
    }

    /// Takes note of how many there were.
    pub(crate) fn learn(&mut self, found: usize) {
        let found = u8::try_from(found).unwrap_or(Self::MOST);
        if found < self.quota {
            (self.quota, self.rest) = (found.max(1), Self::REST);
        } else if self.rest > 0 {
            self.rest -= 1;
        } else {
            self.quota = (self.quota * 2).min(Self::MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_asked_for_only_where_there_was_more() {
        let mut appetite = Appetite::default();
        let mut visit = |waiting: usize| {
            let asked = appetite.quota();
            appetite.learn(waiting.min(asked));
            asked
        };
        let alone: Vec<usize> = (0..20).map(|_| visit(1)).collect();
        assert!(alone.iter().filter(|asked| **asked > 1).count() <= 3, "{alone:?}");
        let crowd: Vec<usize> = (0..20).map(|_| visit(100)).collect();
        assert_eq!(crowd.last(), Some(&Arrivals::AT_ONCE));
    }
}
