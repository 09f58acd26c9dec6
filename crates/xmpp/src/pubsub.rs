//! What accounts publish and who hears of it (XEP-0060 as XEP-0163 needs it): a node tree of one level at the bare address
//! of each account.
//!
//! What is known of nodes is read with the roster and stays in memory with it; items are on the disk alone. A request is
//! answered, and others hear of it, once it is durable. Who hears: `event`. What a client wants to hear is in its
//! capabilities (`caps`), which its own home knows. Left out: collections, subscription options and ids, leases.

pub mod kept;

pub(crate) mod avatar;
pub(crate) mod bookmarks;
pub(crate) mod caps;
pub(crate) mod event;
pub(crate) mod form;
pub(crate) mod last;
pub(crate) mod node;
pub(crate) mod request;
pub(crate) mod stored;

mod access;
mod affiliations;
mod card;
mod config;
mod disco;
mod items;
mod manage;
mod publish;
mod refusal;
mod retract;
mod subscribe;

pub(crate) use disco::FEATURES;
