//! What is counted for an administrator: requests by method, answers by class, messages by transport.

use crate::message::{Message, Method};
use wire::Transport;

/// The methods that are counted by name; all others are counted together.
const METHODS: [Method<'static>; 14] = [
    Method::Invite,
    Method::Ack,
    Method::Bye,
    Method::Cancel,
    Method::Register,
    Method::Options,
    Method::Message,
    Method::Subscribe,
    Method::Notify,
    Method::Publish,
    Method::Refer,
    Method::Info,
    Method::Prack,
    Method::Update,
];

/// Counts since the start.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    requests: [u64; METHODS.len()],
    others: u64,
    /// Answers that left, by their first digit.
    answers: [u64; 6],
    /// Calls that were finally answered, by the first digit of that.
    calls: [u64; 6],
    /// There are few transports.
    messages: Vec<(Transport, u64)>,
}

impl Tally {
    /// A message has come.
    pub(crate) fn came(&mut self, transport: Transport, message: &Message<'_>) {
        match self.messages.iter_mut().find(|(known, _)| *known == transport) {
            Some((_, count)) => *count += 1,
            None => self.messages.push((transport, 1)),
        }
        if message.is_request() {
            let method = message.method();
            match METHODS.iter().position(|known| *known == method) {
                Some(place) => self.requests[place] += 1,
                None => self.others += 1,
            }
        }
    }

    /// An answer leaves.
    pub(crate) fn answered(&mut self, answer: &[u8]) {
        let digit = answer.get(b"SIP/2.0 ".len()).map_or(0, |digit| digit.wrapping_sub(b'1'));
        if let Some(count) = self.answers.get_mut(usize::from(digit)) {
            *count += 1;
        }
    }

    /// An INVITE that begins a call is finally answered. A challenge is no end: the call comes again.
    pub(crate) fn called(&mut self, code: u16) {
        if let (false, Some(count)) =
            (matches!(code, 401 | 407), self.calls.get_mut(usize::from(code / 100).wrapping_sub(1)))
        {
            *count += 1;
        }
    }

    /// Calls that were finally answered, by the class of that: `2xx` to `6xx`.
    pub fn calls(&self) -> impl Iterator<Item = (String, u64)> {
        (2..).zip(&self.calls[1..]).map(|(class, count): (u8, _)| (format!("{class}xx"), *count))
    }

    /// Requests that came, by method; `other` stands for all that are not named. Retransmissions count.
    pub fn requests(&self) -> impl Iterator<Item = (String, u64)> {
        let named = METHODS.iter().zip(self.requests).map(|(method, count)| (method.to_string(), count));
        named.chain([("other".to_owned(), self.others)])
    }

    /// Answers that left, those of others included: `1xx` to `6xx`. Retransmissions count.
    pub fn answers(&self) -> impl Iterator<Item = (String, u64)> {
        (1..).zip(self.answers).map(|(class, count): (u8, _)| (format!("{class}xx"), count))
    }

    /// Requests and answers that came, by transport.
    pub fn messages(&self) -> impl Iterator<Item = (Transport, u64)> {
        self.messages.iter().copied()
    }
}
