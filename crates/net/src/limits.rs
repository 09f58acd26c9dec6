//! The bounds that net keeps, as values of the plan.

use std::time::Duration;

/// Connections that may wait to be accepted at one listener of one worker.
pub(crate) const BACKLOG: i32 = 4096;

/// Every bound that net keeps. The defaults suit tests; the product takes all of them from its plan.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Accepted connections open at one time, over all workers.
    pub connections: usize,
    /// Of these, from one source address (IPv6: one /64), over all workers.
    pub connections_per_source: usize,
    /// How long a TLS handshake may take, from accept or `start_tls` on; also how long a `connect` may take.
    pub handshake: Duration,
    /// DTLS clients that have shown their address and are not through with the handshake, over all workers.
    pub half_open: usize,
    /// Of these, from one source address (IPv6: one /64), over all workers.
    pub half_open_per_source: usize,
    /// TLS and DTLS handshakes that one source address (IPv6: one /64) may begin in a second, over all workers, and ten times
    /// as many at once; zero: any number.
    pub handshakes_per_source: u32,
    /// How long a DTLS session may go without one message from its client, after the first.
    pub session_idle: Duration,
    /// How long an accepted stream or DTLS session may stay without one byte of plaintext.
    pub first_byte: Duration,
    /// How long a WebSocket may be silent before its client is asked whether it is still there, and how long that may take
    /// to say so; a message may take twice as long from its beginning to its end.
    pub web_silence: Duration,
    /// How long a closed connection may take to flush and to be acknowledged by the peer.
    pub linger: Duration,
    /// How long a connection may be silent before the kernel asks whether the peer is still there (TCP keep-alive).
    pub keepalive: Duration,
    /// How long a peer may leave octets or such questions unacknowledged before it counts as gone.
    pub unacknowledged: Duration,
    /// Octets that may wait per connection for its handler to take any of them.
    pub read_buffer: usize,
    /// Octets that may wait per connection for the kernel to take them.
    pub write_buffer: usize,
    /// Pieces of mail that may wait for one worker.
    pub mail: usize,
    /// Octets asked of the kernel for each listening datagram socket, each way (the kernel may grant less).
    pub listener_buffer: usize,
    /// Octets asked of the kernel for each socket of [`Net::bind_datagram`](crate::Net::bind_datagram), each way.
    pub relay_buffer: usize,
    /// How long a worker may rest, from the beginning of one round to the next, while datagrams come so fast that each would
    /// be a wake-up of its own. Zero: never.
    pub gathering: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_source: 1_000,
            handshake: Duration::from_secs(10),
            half_open: 512,
            half_open_per_source: 32,
            handshakes_per_source: 0,
            session_idle: Duration::from_secs(3_900),
            first_byte: Duration::from_secs(30),
            web_silence: Duration::from_secs(25),
            linger: Duration::from_secs(5),
            keepalive: Duration::from_secs(600),
            unacknowledged: Duration::from_secs(120),
            read_buffer: 64 << 10,
            write_buffer: 1 << 20,
            mail: 16_384,
            listener_buffer: 4 << 20,
            relay_buffer: 256 << 10,
            gathering: Duration::ZERO,
        }
    }
}
