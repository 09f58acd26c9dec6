//! What workers hand over to one another, and the back office to workers. Bounded queues carry it; nothing else is
//! shared.

use crate::config::Plan;
use crate::doorman::{Letter, Listed};
use crate::report::Report;
use crate::resolver;
use crate::services::{sip, turn, xmpp};
use crate::switchboard;
use crate::trust::Trust;
use net::Bound;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;
use wire::Directory;

/// One letter.
#[derive(Debug)]
pub enum Mail {
    /// Between the TURN services of two workers.
    Turn(turn::Mail),
    /// Between the SIP services of two workers, or the store's answer to one.
    Sip(sip::Mail),
    /// Between the XMPP services of two workers, or the store's answer to one.
    Xmpp(xmpp::Mail),
    /// A question where an address is, or its answer.
    Switchboard(switchboard::Mail),
    /// What is known of a name.
    Resolved(resolver::Answer),
    /// Between two doormen, or an administrator's word to one.
    Doorman(Letter),
    /// The administrator asks who is shut out.
    Bans(oneshot::Sender<Listed>),
    /// The accounts have changed.
    Directory(Arc<Directory>),
    /// The configuration has been read again; these are its listeners, and those whom it has us believe.
    Plan(Arc<Plan>, Arc<[Bound]>, Arc<Trust>),
    /// The administrator asks how this worker is.
    Report(oneshot::Sender<Report>),
    /// The server is to end: take on nothing new, be done by then.
    Drain(Instant),
}
