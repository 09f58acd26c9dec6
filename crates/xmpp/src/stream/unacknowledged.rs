//! What a session was sent and has not acknowledged (XEP-0198 §4): counted, bounded, and at hand to be sent again.

use crate::router::{Given, Receipt};
use std::collections::VecDeque;
use std::time::Instant;

/// One stanza that may have arrived or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The stanza, and what is to be given back once it is acknowledged.
    pub given: Given,
    /// When it was sent first.
    pub since: Instant,
}

/// The stanzas of one session that are not acknowledged, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Unacknowledged {
    queue: VecDeque<Sent>,
    octets: usize,
    /// How many stanzas were sent, modulo 2^32.
    sent: u32,
}

/// What may be unacknowledged at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Stanzas.
    pub stanzas: usize,
    /// Octets of all of them.
    pub octets: usize,
}

/// The client acknowledges what it was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooHigh {
    /// How many stanzas it was sent.
    pub sent: u32,
}

impl Unacknowledged {
    /// So many were sent before, and these are not acknowledged.
    pub fn restore(sent: u32, queue: impl IntoIterator<Item = Sent>) -> Self {
        let queue: VecDeque<Sent> = queue.into_iter().collect();
        Self { octets: queue.iter().map(|sent| sent.given.stanza.as_str().len()).sum(), queue, sent }
    }

    /// Whether another stanza of so many octets fits; a first one always does.
    pub fn has_room(&self, octets: usize, most: Most) -> bool {
        self.queue.is_empty() || (self.queue.len() < most.stanzas && self.octets + octets <= most.octets)
    }

    /// Notes what is sent.
    pub fn push(&mut self, sent: Sent) {
        self.octets += sent.given.stanza.as_str().len();
        self.queue.push_back(sent);
        self.sent = self.sent.wrapping_add(1);
    }

    /// The client has handled so many since the beginning: what may be forgotten.
    pub fn acknowledge(&mut self, handled: u32) -> Result<Vec<Receipt>, TooHigh> {
        let left = self.sent.wrapping_sub(handled) as usize;
        let Some(known) = self.queue.len().checked_sub(left) else { return Err(TooHigh { sent: self.sent }) };
        let mut receipts = Vec::new();
        for sent in self.queue.drain(..known) {
            self.octets -= sent.given.stanza.as_str().len();
            receipts.extend(sent.given.receipt);
        }
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Ok(receipts)
    }

    /// What is not acknowledged, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Sent> {
        self.queue.iter()
    }

    /// How many are not acknowledged.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether all is acknowledged.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many were sent since the beginning, modulo 2^32.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// What is not acknowledged, once nobody will acknowledge it any more.
    pub fn into_sent(self) -> impl Iterator<Item = Sent> {
        self.queue.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::Stanza;

    const MOST: Most = Most { stanzas: 3, octets: 200 };

    fn sent(body: &str) -> Sent {
        let stanza = Stanza::parse(&format!("<message><body>{body}</body></message>")).unwrap();
        Sent { given: stanza.into(), since: testkit::start() }
    }

    fn left(queue: &Unacknowledged) -> Vec<String> {
        queue.iter().map(|sent| sent.given.stanza.inner().to_owned()).collect()
    }

    #[test]
    fn what_is_acknowledged_is_forgotten_once() {
        let mut queue = Unacknowledged::default();
        for body in ["a", "b", "c"] {
            queue.push(sent(body));
        }
        assert_eq!(queue.acknowledge(2), Ok(vec![]));
        assert_eq!(left(&queue), ["<body>c</body>"]);
        assert_eq!(queue.acknowledge(2), Ok(vec![]));
        assert_eq!((queue.len(), queue.sent()), (1, 3));
        assert_eq!(queue.acknowledge(3), Ok(vec![]));
        assert!(queue.is_empty() && queue.octets == 0);
    }

    #[test]
    fn nobody_acknowledges_what_was_not_sent() {
        let mut queue = Unacknowledged::default();
        queue.push(sent("a"));
        queue.push(sent("b"));
        assert_eq!(queue.acknowledge(1), Ok(vec![]));
        for wrong in [0, 3, u32::MAX] {
            assert_eq!(queue.acknowledge(wrong), Err(TooHigh { sent: 2 }), "{wrong}");
        }
        assert_eq!(left(&queue), ["<body>b</body>"]);
    }

    #[test]
    fn numbers_begin_anew_at_2_to_the_32() {
        let mut queue = Unacknowledged::restore(u32::MAX, []);
        queue.push(sent("a"));
        queue.push(sent("b"));
        assert_eq!(queue.sent(), 1);
        assert_eq!(queue.acknowledge(0), Ok(vec![]));
        assert_eq!(left(&queue), ["<body>b</body>"]);
        assert_eq!(queue.acknowledge(2), Err(TooHigh { sent: 1 }));
    }

    #[test]
    fn it_is_bounded_in_number_and_length() {
        let mut queue = Unacknowledged::default();
        assert!(queue.has_room(1000, MOST), "one always fits");
        for _ in 0..3 {
            assert!(queue.has_room(50, MOST));
            queue.push(sent("a"));
        }
        assert!(!queue.has_room(1, MOST), "three are enough");
        queue.acknowledge(1).unwrap();
        assert!(queue.has_room(50, MOST) && !queue.has_room(200, MOST));
    }
}
