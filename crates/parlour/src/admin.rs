//! Administration: one table of commands, and the ways to call them.
//!
//! Each command is declared once in [`table`]. From there come the command line, the admin socket's HTTP
//! interface with its OpenAPI text, completions, man pages and the administrator's reference.

pub mod answers;
pub mod arguments;
mod authority;
pub mod backend;
mod bans;
mod certificates;
pub mod client;
pub mod command;
pub mod exposition;
pub mod failure;
pub mod guests;
pub mod house;
pub mod metrics;
pub mod openapi;
mod sip;
pub mod socket;
pub mod table;
pub mod turn;
pub mod users;
mod xmpp;

pub use backend::{Backend, Offline};
pub use failure::Failure;
