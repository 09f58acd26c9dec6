//! Administration: what a command is, what carries each out, and the ways to call them.
//!
//! Each command is declared once, in the table of the command line (`cli/table`). From there come the command line, the admin socket's HTTP
//! interface with its OpenAPI text, completions, man pages and the administrator's reference.

pub mod answer;
pub mod answers;
pub mod arguments;
pub(crate) mod authority;
pub mod backend;
pub(crate) mod bans;
pub(crate) mod certificates;
pub mod client;
pub mod command;
pub mod exposition;
pub mod failure;
pub mod guests;
pub mod here;
pub mod house;
pub mod metrics;
pub mod openapi;
pub(crate) mod sip;
pub mod socket;
pub mod turn;
pub mod users;
pub(crate) mod xmpp;

pub use backend::{Backend, Offline};
pub use failure::Failure;
