//! `parlour doctor` through the real binary: silent on a good installation, and each planted fault found.

#![expect(clippy::disallowed_types, reason = "a test has sockets of its own")]

mod accounts;
mod certificates;
mod files;
mod running;
mod visit;
mod written;
