//! The only `unsafe` of the house: what neither the standard library nor `socket2` offers. Event queue, `recvmmsg` and
//! `sendmmsg` with their control messages, the error queue, some socket options, the limit of open files, memory
//! shared with the program of the fast path, a few calls of OpenSSL.
//!
//! Everything here has a safe face: pointers never leave the module's own shelves, which live as long as it uses them.

mod alarm;
mod bell;
pub(crate) mod dtls;
mod errors;
mod events;
mod meters;
mod names;
mod options;
mod receive;
mod send;
mod shelf;
pub(crate) mod streams;

pub(crate) use alarm::{Alarm, rest, wake_in_time};
pub(crate) use bell::Bell;
pub(crate) use errors::next_error;
pub(crate) use events::{Event, Events, Interest};
pub(crate) use meters::{Clock, Meters};
#[cfg(test)]
pub(crate) use options::without_checksums;
pub(crate) use options::{
    allow_fragments, cut_what_does_not_fit, join_datagrams, prepare_datagrams, raise_open_files,
};
pub(crate) use receive::Arrivals;
pub(crate) use send::{Departures, Gathering, send_one};
