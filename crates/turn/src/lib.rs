//! A TURN server as a machine (RFC 8656): allocations, permissions, channels, and the path of every relayed packet.
//!
//! [`Server::from_client`] and [`Server::from_peer`] are the data path: they look at bytes where they lie and say where
//! those go. Whatever they call slow is for [`wire::Machine::handle`].

pub mod administration;
pub mod allocation;
mod challenge;
pub mod channel;
pub mod client;
pub mod config;
pub mod credentials;
pub mod discovery;
mod exchange;
pub mod indication;
pub mod mobility;
pub mod offload;
mod opening;
pub mod pace;
pub mod permission;
pub mod policy;
mod ports;
pub mod quota;
pub mod refusal;
pub mod relay;
mod request;
mod reservation;
pub mod server;
pub mod strangers;
pub mod stream;
pub mod tcp;

pub use administration::{Detail, End, Found, Page, Pick, Survey, Tally};
pub use allocation::{Relaying, Session, SessionId, Traffic};
pub use client::Client;
pub use config::{Config, Limits, Relays};
pub use credentials::Credentials;
pub use offload::{Carried, Offload, PathId};
pub use pace::{Bandwidth, Direction};
pub use policy::{Policy, Range};
pub use quota::{Ledger, Quota, Seat};
pub use refusal::Refusal;
pub use relay::{Verdict, Way};
pub use reservation::Granted;
pub use server::{Ask, Input, Output, Server};
