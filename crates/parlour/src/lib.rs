//! The product: configuration, administration, and the office in which the protocol machines work.
//!
//! This is the only room that knows every other; nothing knows it. See ARCHITECTURE.md.

pub mod accounts;
pub mod acme;
pub mod admin;
pub mod authority;
pub mod back_office;
pub mod certificates;
pub mod challenges;
pub mod cli;
pub mod clock;
pub mod config;
pub mod desk;
pub mod dns;
pub mod doctor;
pub mod doorman;
pub mod external;
pub mod front;
pub mod listen;
pub mod mail;
pub mod marks;
pub mod office;
pub(crate) mod providers;
mod reach;
pub(crate) mod relay_test;
pub mod renewal;
pub mod replace;
pub mod report;
pub mod resolver;
pub mod secret;
pub mod seldom;
pub mod serve;
pub mod services;
pub mod site;
pub mod standing;
mod sweep;
pub mod switchboard;
pub mod trust;
pub mod users;
pub mod vitals;
