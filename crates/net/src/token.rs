//! How the event queue names what is registered with it: a kind and a number in 64 bits.

use wire::SocketId;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A datagram socket.
    Datagram(SocketId),
    /// The stream in a slot, of a generation (its lower 30 bits).
    Stream { slot: u32, generation: u32 },
    /// A stream listener of this worker.
    Listener(u32),
    /// Mail or orders.
    Bell,
    /// A deadline has come.
    Alarm,
}

const KIND: u32 = 62;
const GENERATION_MASK: u32 = (1 << 30) - 1;

impl Token {
    pub(crate) fn pack(self) -> u64 {
        match self {
            Self::Datagram(id) => u64::from(id.0),
            Self::Stream { slot, generation } => {
                1 << KIND | u64::from(generation & GENERATION_MASK) << 32 | u64::from(slot)
            }
            Self::Listener(index) => 2 << KIND | u64::from(index),
            Self::Bell => 3 << KIND,
            Self::Alarm => 3 << KIND | 1,
        }
    }

    pub(crate) fn unpack(packed: u64) -> Self {
        let low = packed as u32;
        match packed >> KIND {
            0 => Self::Datagram(SocketId(low)),
            1 => Self::Stream { slot: low, generation: (packed >> 32) as u32 & GENERATION_MASK },
            2 => Self::Listener(low),
            _ if low == 0 => Self::Bell,
            _ => Self::Alarm,
        }
    }

    /// Whether a stream's generation is the one that a token of it carries.
    pub(crate) fn matches(carried: u32, generation: u32) -> bool {
        carried == generation & GENERATION_MASK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacks_to_what_was_packed() {
        for token in [
            Token::Datagram(SocketId(u32::MAX)),
            Token::Stream { slot: u32::MAX, generation: GENERATION_MASK },
            Token::Stream { slot: 0, generation: 1 },
            Token::Listener(7),
            Token::Bell,
            Token::Alarm,
        ] {
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}
