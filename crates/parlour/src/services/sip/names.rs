//! The addresses of names, by the system's resolver on a thread of its own; a bounded number at a time.

use super::Mail;
use crate::desk::Desk;
use ::sip::stack::Token;
use std::net::IpAddr;

/// Look-ups of one worker at a time.
const LIMIT: usize = 64;

/// The look-ups under way.
#[derive(Debug, Default)]
pub(super) struct Names {
    waiting: usize,
}

impl Names {
    /// Begins to look a name up; `false` where too many are looked up already.
    pub(super) fn look_up(&mut self, desk: &Desk<'_, '_>, token: Token, name: &str) -> bool {
        if self.waiting >= LIMIT {
            return false;
        }
        self.waiting += 1;
        let (me, postbox) = (desk.net.me(), desk.shared.postbox.clone());
        // The port plays no part: the stack has its own.
        let query = (name.trim_start_matches('[').trim_end_matches(']').to_owned(), 0);
        tokio::spawn(async move {
            let mut addresses: Vec<IpAddr> = Vec::new();
            for found in tokio::net::lookup_host(query).await.into_iter().flatten() {
                if !addresses.contains(&found.ip()) {
                    addresses.push(found.ip());
                }
            }
            let mail = Mail::Resolved { token, addresses };
            if postbox.post(me, crate::mail::Mail::Sip(mail)).is_err() {
                tracing::warn!(worker = me.0, "a worker's queue is full: a name is not found");
            }
        });
        true
    }

    /// One is answered.
    pub(super) fn answered(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }
}
