//! What a worker counts. Each worker writes its own; anybody may read them at any time.

use crate::admission::Admission;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counts of one worker at one moment. All of them only grow, but `open`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts { $($(#[$doc])* pub $name: u64,)* }

        impl Counts {
            /// Every count with its name, in order.
            pub fn rows(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }

        /// The counters of one worker, alone on their cache lines.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)* }

        impl Counters {
            /// All of them as they stand.
            pub(crate) fn read(&self) -> Counts {
                Counts { $($name: self.$name.0.load(Relaxed),)* }
            }
        }

        impl std::ops::Add for Counts {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self { $($name: self.$name.wrapping_add(other.$name),)* }
            }
        }
    };
}

counters! {
    /// Datagrams received.
    datagrams_in,
    /// Octets in them.
    datagram_bytes_in,
    /// Datagrams that the kernel took.
    datagrams_out,
    /// Octets in them.
    datagram_bytes_out,
    /// Datagrams given up: the kernel would not take them at once, or not at all.
    datagrams_dropped,
    /// ICMP errors reported.
    icmp_errors,
    /// Connections accepted.
    accepted,
    /// Connections not accepted: a limit was reached.
    turned_away,
    /// Connections opened by us.
    connected,
    /// Connections open now, accepted or opened.
    open,
    /// Octets received in streams, as they were on the wire.
    stream_bytes_in,
    /// Octets sent in streams, as they were on the wire.
    stream_bytes_out,
    /// TLS handshakes done.
    handshakes,
    /// TLS handshakes that failed or took too long.
    handshake_failures,
    /// TLS and DTLS handshakes that were not begun, as their source had begun too many.
    handshakes_refused,
    /// Connections that moved here from another worker.
    adopted,
    /// Mail received.
    mail,
    /// Mail that found the receiver's queue full.
    mail_refused,
    /// Times that the worker woke up.
    wakeups,
}

/// Reads the counters of all workers, from any thread, as long as anybody wants.
#[derive(Clone, Debug)]
pub struct Counting {
    pub(crate) workers: Vec<Arc<Counters>>,
    pub(crate) half_open: Arc<Admission>,
}

impl Counting {
    /// What all workers have counted together.
    pub fn total(&self) -> Counts {
        self.workers.iter().fold(Counts::default(), |sum, counters| sum + counters.read())
    }

    /// How many DTLS handshakes are under way.
    pub fn half_open(&self) -> usize {
        self.half_open.open()
    }
}

/// One number, written by one thread only: so adding needs no locked instruction.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: usize) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n as u64), Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn take(&self, n: usize) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(n as u64), Relaxed);
    }
}
