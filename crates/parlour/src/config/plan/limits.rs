//! Every limit of every service, with its value in one place.
//!
//! A map that a peer can make grow has its bound here; a wait for a peer has its end here.

use std::time::Duration;

/// What connections may cost, whichever service they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkLimits {
    /// Open connections on all workers together.
    pub connections: u32,
    /// Open connections from one source address.
    pub connections_per_source: u32,
    /// From accept to the end of the TLS handshake.
    pub handshake: Duration,
    /// From there to the first byte of the protocol.
    pub first_byte: Duration,
    /// Bytes read from a connection that its service has not taken yet.
    pub read_buffer: usize,
    /// Bytes that a connection's peer has not taken yet.
    pub write_buffer: usize,
    /// Letters waiting for one worker.
    pub mail: usize,
    /// After SIGTERM: how long connections and calls may take to end.
    pub drain: Duration,
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            connections_per_source: 10_000,
            handshake: Duration::from_secs(10),
            first_byte: Duration::from_secs(30),
            read_buffer: 512 * 1024,
            write_buffer: 1024 * 1024,
            mail: 65_536,
            drain: Duration::from_secs(10),
        }
    }
}

/// What TURN clients may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnLimits {
    /// Allocations on all workers together.
    pub allocations: u32,
    /// Allocations of one account.
    pub allocations_per_user: u32,
    /// Permissions of one allocation.
    pub permissions: usize,
    /// Channels of one allocation; there are 4096 numbers (RFC 8656 §12).
    pub channels: usize,
    /// An allocation's life if the client names none (RFC 8656 §3.2).
    pub lifetime: Duration,
    /// An allocation's longest life without a refresh (RFC 8656 §7.2).
    pub lifetime_max: Duration,
    /// How long a nonce is good for (RFC 8656 §5 wants at most an hour).
    pub nonce: Duration,
    /// The longest message on a stream: a ChannelData of 65 535 octets with its header and padding.
    pub message: usize,
}

impl Default for TurnLimits {
    fn default() -> Self {
        Self {
            allocations: 100_000,
            allocations_per_user: 4_096,
            permissions: 256,
            channels: 256,
            lifetime: Duration::from_secs(600),
            lifetime_max: Duration::from_secs(3600),
            nonce: Duration::from_secs(3600),
            message: 65_535 + 4 + 3,
        }
    }
}

/// What SIP clients may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipLimits {
    /// The longest message, header and body.
    pub message: usize,
    /// The longest header section.
    pub header: usize,
    /// Header fields in one message.
    pub header_fields: usize,
    /// Transactions of one worker.
    pub transactions: usize,
    /// Bindings of one address of record.
    pub bindings: usize,
    /// A binding's life if the client names none (RFC 3261 §10.2.1.1).
    pub expires: Duration,
    /// The shortest life of a binding; less is refused with 423.
    pub expires_min: Duration,
    /// The longest life of a binding; more is shortened.
    pub expires_max: Duration,
    /// How long a digest nonce is good for.
    pub nonce: Duration,
    /// T1: the estimate of a round trip (RFC 3261 §17.1.1.1).
    pub t1: Duration,
    /// T2: the longest pause between retransmissions of a non-INVITE request.
    pub t2: Duration,
    /// T4: how long a message may stay in the network.
    pub t4: Duration,
    /// Timer C: how long a proxied INVITE may ring (RFC 3261 §16.6).
    pub timer_c: Duration,
    /// Max-Forwards of a request that has none (RFC 3261 §16.6).
    pub max_forwards: u8,
    /// How long a connection may be idle; longer than the longest keep-alive (RFC 5626 §4.4.1: 120 s).
    pub idle: Duration,
}

impl Default for SipLimits {
    fn default() -> Self {
        Self {
            message: 64 * 1024,
            header: 32 * 1024,
            header_fields: 256,
            transactions: 200_000,
            bindings: 32,
            expires: Duration::from_secs(3600),
            expires_min: Duration::from_secs(10),
            expires_max: Duration::from_secs(86_400),
            nonce: Duration::from_secs(300),
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            timer_c: Duration::from_secs(181),
            max_forwards: 70,
            idle: Duration::from_secs(3600),
        }
    }
}

/// What XMPP clients may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XmppLimits {
    /// The longest stanza of somebody who has logged in, in octets (RFC 6120 §13.12 wants at least 10 000).
    pub stanza: usize,
    /// The longest stanza before that.
    pub stanza_stranger: usize,
    /// How deep elements may nest.
    pub depth: usize,
    /// Attributes of one element.
    pub attributes: usize,
    /// From the first byte to the end of resource binding.
    pub login: Duration,
    /// Failed passwords on one connection (RFC 6120 §6.4.5: between 2 and 5).
    pub attempts: u8,
    /// Sessions of one account at the same time.
    pub sessions: usize,
    /// Contacts of one account.
    pub contacts: usize,
    /// Messages kept for one account while it is away.
    pub offline: usize,
    /// Answers held back in one session until earlier writes are durable.
    pub held_back: usize,
    /// After this silence a client is asked whether it is still there.
    pub idle: Duration,
    /// How long it may take to answer.
    pub pong: Duration,
}

impl Default for XmppLimits {
    fn default() -> Self {
        Self {
            stanza: 256 * 1024,
            stanza_stranger: 16 * 1024,
            depth: 64,
            attributes: 64,
            login: Duration::from_secs(60),
            attempts: 5,
            sessions: 64,
            contacts: 5_000,
            offline: 1_000,
            held_back: 1_024,
            idle: Duration::from_secs(300),
            pong: Duration::from_secs(60),
        }
    }
}

/// What administrative requests may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminLimits {
    /// The longest request: a list of accounts to import.
    pub body: usize,
    /// Connections to the socket at the same time.
    pub connections: usize,
}

impl Default for AdminLimits {
    fn default() -> Self {
        Self { body: 256 * 1024 * 1024, connections: 64 }
    }
}
