//! Frames (RFC 6455 §5): a client's are put together to messages, bounded in size; ours are one frame to a message.

use std::str;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn of(octet: u8) -> Option<Self> {
        Some(match octet & 0x0f {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    fn is_control(self) -> bool {
        self as u8 >= Self::Close as u8
    }
}

/// What is wrong with what a client sent, by the code that it is closed with (RFC 6455 §7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Protocol = 1002,
    Unsupported = 1003,
    Text = 1007,
    TooLarge = 1009,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A message: it lies in [`Reader::message`].
    Message,
    /// A ping: what is to be sent back lies in [`Reader::control`].
    Ping,
    Pong,
    /// The client closes, with this code where it gave one.
    Close(Option<u16>),
}

/// The frame that has begun.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    is_last: bool,
    /// Octets that are still to come.
    left: usize,
    mask: [u8; 4],
    /// How many octets have come, as far as the mask needs it.
    phase: usize,
}

/// Reads one client's frames.
#[derive(Debug)]
pub(crate) struct Reader {
    /// The longest message.
    limit: usize,
    text_only: bool,
    frame: Option<Frame>,
    /// What kind of message has begun.
    begun: Option<Opcode>,
    /// What has come of a message; the whole of it after [`Item::Message`].
    pub(crate) message: Vec<u8>,
    /// The same of a frame that comes between those of messages.
    pub(crate) control: Vec<u8>,
}

/// The longest payload of a frame that comes between those of messages.
const CONTROL: u64 = 125;

impl Reader {
    pub(crate) fn new(limit: usize, text_only: bool) -> Self {
        Self { limit, text_only, frame: None, begun: None, message: Vec::new(), control: Vec::new() }
    }

    /// Whether a message or a frame has begun that has not ended.
    pub(crate) fn is_amid(&self) -> bool {
        self.begun.is_some() || self.frame.is_some()
    }

    /// Takes what comes next off `input`. `None`: more has to come; what is left then is the beginning of a frame.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Item>, Fault> {
        loop {
            let mut frame = match self.frame {
                Some(frame) => frame,
                None => match self.begin(input)? {
                    Some(frame) => *self.frame.insert(frame),
                    None => return Ok(None),
                },
            };
            let (part, rest) = input.split_at(frame.left.min(input.len()));
            *input = rest;
            let into = if frame.opcode.is_control() { &mut self.control } else { &mut self.message };
            unmask(&mut frame, part, into);
            self.frame = Some(frame).filter(|frame| frame.left > 0);
            if self.frame.is_some() {
                return Ok(None);
            }
            if let Some(item) = self.end(frame)? {
                return Ok(Some(item));
            }
        }
    }

    /// Takes the head of a frame off `input`, if it is whole (RFC 6455 §5.2).
    fn begin(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Fault> {
        let [first, second, ..] = **input else { return Ok(None) };
        let (extension, is_masked) = (first & 0x70 != 0, second & 0x80 != 0);
        let opcode = Opcode::of(first).filter(|_| !extension && is_masked).ok_or(Fault::Protocol)?;
        let Some((length, rest)) = length(second & 0x7f, &input[2..])? else { return Ok(None) };
        let is_last = first & 0x80 != 0;
        self.judge(opcode, is_last, length)?;
        let Some((mask, rest)) = rest.split_first_chunk() else { return Ok(None) };
        *input = rest;
        if opcode.is_control() {
            self.control.clear();
        } else if opcode != Opcode::Continuation {
            self.begun = Some(opcode);
        }
        // No longer than the limit, so it fits.
        Ok(Some(Frame { opcode, is_last, left: length as usize, mask: *mask, phase: 0 }))
    }

    /// Whether such a frame may come now (RFC 6455 §5.4, §5.5).
    fn judge(&self, opcode: Opcode, is_last: bool, length: u64) -> Result<(), Fault> {
        let fits = match opcode {
            Opcode::Continuation => self.begun.is_some(),
            Opcode::Text | Opcode::Binary => self.begun.is_none(),
            Opcode::Close | Opcode::Ping | Opcode::Pong => is_last && length <= CONTROL,
        };
        if !fits {
            return Err(Fault::Protocol);
        }
        if opcode == Opcode::Binary && self.text_only {
            return Err(Fault::Unsupported);
        }
        let room = self.limit.saturating_sub(self.message.len()) as u64;
        if opcode.is_control() || length <= room { Ok(()) } else { Err(Fault::TooLarge) }
    }

    /// A frame has ended.
    fn end(&mut self, frame: Frame) -> Result<Option<Item>, Fault> {
        match frame.opcode {
            Opcode::Ping => return Ok(Some(Item::Ping)),
            Opcode::Pong => return Ok(Some(Item::Pong)),
            Opcode::Close => return self.close().map(Some),
            _ if !frame.is_last => return Ok(None),
            _ => {}
        }
        let is_text = self.begun.take() == Some(Opcode::Text);
        if is_text && str::from_utf8(&self.message).is_err() {
            return Err(Fault::Text);
        }
        Ok(Some(Item::Message))
    }

    /// What a close says (RFC 6455 §5.5.1, §7.4).
    fn close(&self) -> Result<Item, Fault> {
        match &self.control[..] {
            [] => Ok(Item::Close(None)),
            [_] => Err(Fault::Protocol),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                    return Err(Fault::Protocol);
                }
                str::from_utf8(reason).map_or(Err(Fault::Text), |_| Ok(Item::Close(Some(code))))
            }
        }
    }
}

/// The length of a payload, and what follows it; `None` where it is not whole. It is to be in the fewest octets.
fn length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Fault> {
    let (length, least, rest) = match short {
        126 => match rest.split_first_chunk() {
            Some((bytes, rest)) => (u64::from(u16::from_be_bytes(*bytes)), 126, rest),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk() {
            Some((bytes, rest)) => (u64::from_be_bytes(*bytes), 1 << 16, rest),
            None => return Ok(None),
        },
        short => (u64::from(short), 0, rest),
    };
    if length < least { Err(Fault::Protocol) } else { Ok(Some((length, rest))) }
}

/// Takes a part of a frame's payload in (RFC 6455 §5.3).
fn unmask(frame: &mut Frame, part: &[u8], into: &mut Vec<u8>) {
    frame.mask.rotate_left(frame.phase % 4);
    let mask = u64::from_ne_bytes([frame.mask, frame.mask].concat().try_into().expect("twice four"));
    let (words, rest) = part.as_chunks::<8>();
    into.reserve(part.len());
    for word in words {
        into.extend_from_slice(&(u64::from_ne_bytes(*word) ^ mask).to_ne_bytes());
    }
    into.extend(rest.iter().zip(frame.mask.iter().cycle()).map(|(octet, mask)| octet ^ mask));
    frame.left -= part.len();
    frame.phase = part.len();
}

/// The head of a frame of ours with a payload of `length` octets, and how much of it counts.
pub(super) fn head(opcode: Opcode, length: usize) -> ([u8; 10], usize) {
    let mut head = [0; 10];
    head[0] = 0x80 | opcode as u8;
    let long = (length as u64).to_be_bytes();
    let size = match length {
        0..126 => {
            head[1] = long[7];
            2
        }
        126..0x1_0000 => {
            head[1] = 126;
            head[2..4].copy_from_slice(&long[6..]);
            4
        }
        _ => {
            head[1] = 127;
            head[2..].copy_from_slice(&long);
            10
        }
    };
    (head, size)
}

#[cfg(test)]
mod tests;
