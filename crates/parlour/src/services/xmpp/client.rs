//! One client's connection: its stream, and what waits for its turn.

use std::collections::VecDeque;
use std::time::Instant;
use wire::Address;
use xmpp::router::Receipt;
use xmpp::stream::{Output, Stream};

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: Stream,
    /// Who it is, once it has signed in.
    pub(super) account: Option<Address>,
    /// When the stream wants its next tick.
    pub(super) due: Option<Instant>,
    /// Whether the router wants no more of it for now.
    pub(super) paused: bool,
    /// What the stream wanted done while it was paused, in order.
    pub(super) waiting: VecDeque<Output>,
    /// To be given back when the kernel has taken all that was written.
    pub(super) receipts: Vec<Receipt>,
    /// Whether the stream has ended: the connection has only to be flushed.
    pub(super) over: bool,
}

impl Client {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            account: None,
            due: None,
            paused: false,
            waiting: VecDeque::new(),
            receipts: Vec::new(),
            over: false,
        }
    }
}
