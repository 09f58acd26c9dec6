//! Every limit of every service, with its value in one place.
//!
//! A map that a peer can make grow has its bound here; a wait for a peer has its end here. The administrator's page
//! on configuration lists them from the same declaration.

use std::time::Duration;

/// A limit as the administrator's page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Its value, in words.
    pub value: String,
    /// What it bounds.
    pub meaning: String,
}

/// Declares a service's limits: the fields with what they mean, and their values.
macro_rules! limits {
    ($(#[doc = $what:literal])* $service:ident { $($(#[doc = $meaning:literal])* $name:ident: $kind:ty = $value:expr,)* }) => {
        $(#[doc = $what])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $service {
            $($(#[doc = $meaning])* pub $name: $kind,)*
        }

        impl Default for $service {
            fn default() -> Self {
                Self { $($name: $value,)* }
            }
        }

        impl $service {
            /// Every limit, in order.
            pub fn rows(&self) -> Vec<Row> {
                vec![$(Row {
                    name: stringify!($name),
                    value: format!("{:?}", self.$name),
                    meaning: concat!($($meaning),*).trim().to_owned(),
                },)*]
            }
        }
    };
}

limits! {
    /// What connections may cost, whichever service they are for.
    NetworkLimits {
        /// Open connections on all workers together.
        connections: u32 = 100_000,
        /// Open connections from one source address.
        connections_per_source: u32 = 10_000,
        /// TLS and DTLS handshakes that one source may begin in a second, and ten times as many at once; 0 is any number
        /// (`network.limits`).
        handshakes_per_source: u32 = 200,
        /// From accept to the end of the TLS handshake.
        handshake: Duration = Duration::from_secs(10),
        /// From there to the first byte of the protocol.
        first_byte: Duration = Duration::from_secs(30),
        /// Bytes read from a connection that its service has not taken yet.
        read_buffer: usize = 512 * 1024,
        /// Bytes that a connection's peer has not taken yet.
        write_buffer: usize = 1024 * 1024,
        /// After this silence of a WebSocket its client is asked whether it is still there, and has as long to say so.
        web_silence: Duration = Duration::from_secs(25),
        /// Letters waiting for one worker.
        mail: usize = 65_536,
        /// After SIGTERM: how long connections and calls may take to end.
        drain: Duration = Duration::from_secs(10),
    }
}

limits! {
    /// What TURN clients may cost.
    TurnLimits {
        /// Permissions of one allocation (`turn.limits`).
        permissions: usize = 256,
        /// Channels of one allocation (`turn.limits`); there are 4096 numbers (RFC 8656 §12).
        channels: usize = 256,
        /// An allocation's life if the client names none (`turn.limits`; RFC 8656 §3.2).
        lifetime: Duration = Duration::from_secs(600),
        /// An allocation's longest life without a refresh (`turn.limits`; RFC 8656 §7.2).
        lifetime_max: Duration = Duration::from_secs(3600),
        /// Answers in a second to one source without a credential; 0 is any number (`turn.limits`).
        strangers: u32 = 500,
        /// How long a nonce is good for (RFC 8656 §5 wants at most an hour).
        nonce: Duration = Duration::from_secs(3600),
        /// The longest message on a stream: a ChannelData of 65 535 octets with its header and padding.
        message: usize = 65_535 + 4 + 3,
    }
}

limits! {
    /// What SIP clients may cost.
    SipLimits {
        /// The longest message, header and body (`sip.limits`).
        message: usize = 64 * 1024,
        /// The longest header section; half of the message where that is less.
        header: usize = 32 * 1024,
        /// Header fields in one message.
        header_fields: usize = 256,
        /// Transactions of one worker.
        transactions: usize = 200_000,
        /// Requests of one source among them, an IPv4 address or an IPv6 /64 (`sip.limits`); more are answered 503.
        per_source: usize = 100_000,
        /// Streams, on all workers together (`sip.limits`).
        connections: usize = 100_000,
        /// Calls that `parlour sip calls` knows of, on each worker; more go on unseen.
        calls: usize = 50_000,
        /// Rows of the trace for `parlour sip why`, on each worker; a call with one phone and a password has about 20.
        trace: usize = 32_768,
        /// Bindings of one address of record (`sip.limits`, as `contacts`).
        bindings: usize = 32,
        /// A binding's life if the client names none (`sip.limits`; RFC 3261 §10.2.1.1).
        expires: Duration = Duration::from_secs(3600),
        /// The shortest life of a binding; less is refused with 423 (`sip.limits`).
        expires_min: Duration = Duration::from_secs(10),
        /// The longest life of a binding; more is shortened (`sip.limits`).
        expires_max: Duration = Duration::from_secs(86_400),
        /// How often phones behind NAT are asked for a sign of life; zero: never (`sip.limits`).
        ping: Duration = Duration::from_secs(25),
        /// How long a digest nonce is good for.
        nonce: Duration = Duration::from_secs(300),
        /// T1: the estimate of a round trip (RFC 3261 §17.1.1.1).
        t1: Duration = Duration::from_millis(500),
        /// T2: the longest pause between retransmissions of a non-INVITE request.
        t2: Duration = Duration::from_secs(4),
        /// T4: how long a message may stay in the network.
        t4: Duration = Duration::from_secs(5),
        /// Timer C: how long a proxied INVITE may ring (RFC 3261 §16.6).
        timer_c: Duration = Duration::from_secs(181),
        /// How long contacts of one preference ring before those of the next do (RFC 3261 §16.6).
        serial: Duration = Duration::from_secs(20),
        /// Max-Forwards of a request that has none (RFC 3261 §16.6).
        max_forwards: u8 = 70,
        /// How long a connection may be idle; longer than the longest keep-alive (RFC 5626 §4.4.1: 120 s).
        idle: Duration = Duration::from_secs(3600),
    }
}

limits! {
    /// What relayed calls may cost.
    MediaLimits {
        /// How long a call may be silent while somebody is on hold.
        hold: Duration = Duration::from_secs(3600),
        /// The same where RTCP comes meanwhile.
        hold_with_rtcp: Duration = Duration::from_secs(4 * 3600),
        /// How long nothing may be heard of a call that nobody has taken; longer than a phone rings (`timer_c`).
        ringing: Duration = Duration::from_secs(300),
    }
}

limits! {
    /// What XMPP clients may cost.
    XmppLimits {
        /// The longest stanza of somebody who has logged in, in octets (RFC 6120 §13.12 wants at least 10 000).
        stanza: usize = 256 * 1024,
        /// The longest stanza before that.
        stanza_stranger: usize = 16 * 1024,
        /// How deep elements may nest.
        depth: usize = 64,
        /// Attributes of one element.
        attributes: usize = 64,
        /// From the first byte to the end of resource binding.
        login: Duration = Duration::from_secs(60),
        /// Failed passwords on one connection (RFC 6120 §6.4.5: between 2 and 5).
        attempts: u8 = 5,
        /// Sessions of one account at the same time.
        sessions: usize = 64,
        /// Contacts of one account.
        contacts: usize = 5_000,
        /// Messages kept for one account while it is away.
        offline: usize = 1_000,
        /// Messages of one account's archive; the oldest go.
        archive_messages: u64 = 200_000,
        /// Octets of one account's archive; the oldest go.
        archive_octets: u64 = 256 * 1024 * 1024,
        /// What one session may have under way (writes not durable yet, answers held back) before it is read no further.
        pending: usize = 64,
        /// Stanzas that wait for one account's roster to be read, or for its kept messages to be delivered.
        waiting: usize = 1_000,
        /// Octets that a session may leave unread, beyond the connection's `write-buffer`, before it is given up.
        unread: usize = 4 * 1024 * 1024,
        /// Octets that one connection may say in a second; who says more is read more slowly. 0: any number.
        rate: u64 = 10_000_000,
        /// The same of all connections of an account.
        account_rate: u64 = 20_000_000,
        /// Octets of one account's contacts: addresses, names, groups, requests.
        contacts_octets: usize = 1024 * 1024,
        /// After this silence a client is asked whether it is still there; one stanza may take as long.
        idle: Duration = Duration::from_secs(300),
        /// How long it may take to answer.
        pong: Duration = Duration::from_secs(60),
        /// How long a session waits for its client whose connection was lost (XEP-0198 §5); 0: not at all.
        resume: Duration = Duration::from_secs(300),
        /// Stanzas that a session's client may leave unacknowledged before it is given up.
        unacknowledged: usize = 1_000,
        /// Octets of what a session's client may leave unacknowledged.
        unacknowledged_octets: usize = 1024 * 1024,
        /// How long a request of BOSH may wait for its answer (XEP-0124 §7.1); half of what HTTP waits for it, where that is less.
        bosh_wait: Duration = Duration::from_secs(60),
        /// How long a session of BOSH may be without a request that waits, before its connection counts as lost.
        bosh_inactivity: Duration = Duration::from_secs(90),
        /// The same where its client has asked for a pause.
        bosh_pause: Duration = Duration::from_secs(300),
        /// How often a client of BOSH may ask for nothing, beside another request or where none waits.
        bosh_polling: Duration = Duration::from_secs(2),
        /// Sessions of BOSH on each worker; more are refused.
        bosh_sessions: usize = 50_000,
        /// Those of them whose clients have not signed in.
        bosh_strangers: usize = 10_000,
        /// Those of one source among these, an IPv4 address or an IPv6 /64.
        bosh_per_source: usize = 2_000,
        /// Rooms in all.
        rooms: usize = 10_000,
        /// Rooms that one account has made.
        rooms_of_account: usize = 100,
        /// Clients in one room.
        occupants: usize = 1_000,
        /// Nodes of one account: what it publishes (`xmpp.limits`).
        nodes: usize = 500,
        /// Items of one node (`xmpp.limits`).
        node_items: usize = 1_000,
        /// Octets of one item (`xmpp.limits`).
        item: usize = 128 * 1024,
        /// Octets of all items of one account.
        items_octets: u64 = 16 * 1024 * 1024,
        /// Subscriptions to one node, and as many affiliations with it.
        subscribers: usize = 1_000,
    }
}

limits! {
    /// What HTTP clients may cost.
    WebLimits {
        /// Octets of a request's head.
        head: usize = 16 * 1024,
        /// How long a request's head may take from its first octet to its last; its body may take three times as long (`web.limits`).
        begin: Duration = Duration::from_secs(10),
        /// Octets of the body of a request that we answer ourselves (`web.limits`).
        body: usize = 512 * 1024,
        /// Octets of all such bodies that one worker holds.
        bodies: usize = 64 * 1024 * 1024,
        /// How long a connection may be without a request (`web.limits`).
        idle: Duration = Duration::from_secs(60),
        /// Requests of one connection (`web.limits`).
        requests: u32 = 1_000,
        /// Requests of one HTTP/2 connection at the same time (`web.limits`).
        streams: u32 = 64,
        /// How long the answer to a request, or the next part of it, may take (`web.limits`).
        answer: Duration = Duration::from_secs(120),
        /// Connections of one worker to the upstream server at the same time (`web.limits`).
        upstream: usize = 512,
    }
}

limits! {
    /// What administrative requests may cost.
    AdminLimits {
        /// The longest request: a list of accounts to import.
        body: usize = 256 * 1024 * 1024,
        /// Connections to the socket at the same time.
        connections: usize = 64,
        /// Connections to the listeners for metrics at the same time.
        metrics: usize = 32,
    }
}
