//! `parlour doctor` through the real binary: silent on a good installation, and each planted fault found.

#![expect(clippy::disallowed_types, reason = "a test has sockets of its own")]

mod accounts;
mod certificates;
mod files;
mod outside;
mod running;
mod visit;
mod world;
mod written;
