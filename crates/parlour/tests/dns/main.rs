//! `parlour dns` through the real binary, judged by real name servers.

mod command;
mod zone;
