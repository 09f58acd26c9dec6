//! Tickets (RFC 8016 §3.1): which worker to ask, and a number that nobody guesses. They carry nothing of the session's, so
//! that there is nothing in them to be read or changed; a server knows those alone that it has given out.

use std::fmt;
use wire::{Entropy, WorkerId};

/// Octets of a ticket: hexadecimal digits, as Debian's clients keep them as a text of at most 32 characters.
const LENGTH: usize = 32;

/// What a client shows to go on with its allocation from another address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    worker: u16,
    secret: [u8; 14],
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket(of worker {})", self.worker)
    }
}

impl Ticket {
    /// A new one.
    pub(crate) fn new(worker: WorkerId, entropy: &mut dyn Entropy) -> Self {
        let mut secret = [0; 14];
        entropy.fill(&mut secret);
        Self { worker: worker.0, secret }
    }

    /// The worker that knows of it.
    pub(crate) fn worker(&self) -> WorkerId {
        WorkerId(self.worker)
    }

    /// As MOBILITY-TICKET carries it.
    pub(crate) fn text(&self) -> [u8; LENGTH] {
        let mut text = [0; LENGTH];
        let octets = self.worker.to_be_bytes().into_iter().chain(self.secret);
        for (octet, pair) in octets.zip(text.as_chunks_mut::<2>().0) {
            *pair = [digit(octet >> 4), digit(octet & 15)];
        }
        text
    }

    /// Reads one.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let text: &[u8; LENGTH] = text.try_into().ok()?;
        let mut octets = [0; LENGTH / 2];
        for (octet, [high, low]) in octets.iter_mut().zip(text.as_chunks::<2>().0) {
            *octet = value(*high)? << 4 | value(*low)?;
        }
        let (worker, secret) = octets.split_first_chunk::<2>()?;
        Some(Self { worker: u16::from_be_bytes(*worker), secret: secret.try_into().ok()? })
    }
}

fn digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble)]
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let ticket = Ticket { worker: 0x0102, secret: *b"nobody guesses" };
        let text = ticket.text();
        assert_eq!(&text[..8], b"01026e6f");
        assert_eq!(Ticket::read(&text), Some(ticket));
        for bad in [&b""[..], &text[..31], &[text.as_slice(), b"0"].concat(), &[b'G'; 32], &[b'A'; 32]] {
            assert_eq!(Ticket::read(bad), None, "{bad:?}");
        }
        assert_eq!(format!("{ticket:?}"), "Ticket(of worker 258)");
    }
}
