//! Configuration in two steps: what was typed ([`mod@file`]) and what it means ([`plan`]).
//!
//! Only `meaning` declares a configuration valid, and nothing binds, opens or starts before it did.

mod acme;
mod bans;
mod dns;
pub mod fault;
pub mod file;
pub mod host;
pub mod keys;
mod listener;
mod meaning;
mod media;
pub mod plan;
mod quantity;
pub mod secret;
mod sharing;
mod sip;
pub mod template;
mod tls;
mod turn;
mod web;
mod xmpp;

pub use fault::{Fault, Refusal};
pub(crate) use meaning::days_left;
pub use plan::Plan;
pub(crate) use quantity::length_of_time;
pub(crate) use tls::{certificate_facts, covers, issued, read_pair};

use std::path::Path;

/// Reads a configuration file: what it means, or all that is wrong with it.
pub fn load(path: &Path) -> Result<Plan, Refusal> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(path, text),
        Err(error) => {
            let fault = Fault::missing("", format!("the configuration cannot be read: {error}"))
                .help("`parlour init DOMAIN --dir DIR` makes one; `--config FILE` names another");
            Err(Refusal::new(path.to_owned(), String::new(), vec![fault]))
        }
    }
}

/// The same for a text that is (or may become) the file at `path`.
pub fn parse(path: &Path, text: String) -> Result<Plan, Refusal> {
    let plan = match file::read(&text) {
        Ok((file, faults)) => meaning::plan(path, &text, &file, faults),
        Err(faults) => Err(faults),
    };
    plan.map_err(|faults| Refusal::new(path.to_owned(), text, faults))
}
