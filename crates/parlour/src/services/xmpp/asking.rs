//! What is asked beside the worker: the store, and keys that take milliseconds to derive.

use super::{Mail, Timer, Xmpp, rows};
use crate::desk::Desk;
use crate::mail;
use std::sync::Arc;
use std::time::Duration;
use wire::{Address, ConnectionId, Secret};
use xmpp::router::{self, Answer, Fault, Query, Token};
use xmpp::sasl::plain::Derive;

/// How long to wait before a busy store is asked again.
const AGAIN: Duration = Duration::from_millis(2);
/// How many questions may wait for a busy store; sessions are slowed down long before.
const UNASKED: usize = 65_536;

impl Xmpp {
    /// Asks the store, or later where it is busy; the order is kept.
    pub(super) fn ask(&mut self, desk: &Desk<'_, '_>, token: Token, query: Query) {
        if self.unasked.len() >= UNASKED {
            return self.route(desk, router::Input::Answer { token, outcome: Err(Fault::Unavailable) });
        }
        if !self.unasked.is_empty() || self.ask_now(desk, token, &query).is_err() {
            self.unasked.push_back((token, query));
            self.timers.set(Timer::Ask, desk.net.now() + AGAIN);
        }
    }

    fn ask_now(&self, desk: &Desk<'_, '_>, token: Token, query: &Query) -> Result<(), store::Busy> {
        let (postbox, me) = (desk.shared.postbox.clone(), desk.shared.me);
        let runtime = tokio::runtime::Handle::current();
        let now = desk.net.epoch().unix(desk.net.now());
        desk.shared.store.ask(rows::query(query.clone(), now), move |outcome| {
            let mail = mail::Mail::Xmpp(Mail::Stored(token, rows::answer(outcome)));
            if let Err(mail) = postbox.post(me, mail) {
                // A full queue must not lose an answer for which a session waits.
                runtime.spawn(async move { drop(postbox.deliver(me, mail).await) });
            }
        })
    }

    /// A client wants another password: the back office sees to it, and everybody knows before it hears.
    pub(super) fn set_password(
        &mut self,
        desk: &Desk<'_, '_>,
        token: Token,
        account: &Address,
        password: Secret,
    ) {
        let Some(known) = desk.shared.directory.get(account).cloned() else {
            return self.route(desk, router::Input::Answer { token, outcome: Err(Fault::NoAccount) });
        };
        let (postbox, me, wishes) = (desk.shared.postbox.clone(), desk.shared.me, desk.shared.wishes.clone());
        tokio::spawn(async move {
            let outcome = wishes.set(known, password).await;
            let outcome = if outcome { Ok(Answer::Done) } else { Err(Fault::Unavailable) };
            drop(postbox.deliver(me, mail::Mail::Xmpp(Mail::Stored(token, outcome))).await);
        });
    }

    pub(super) fn ask_again(&mut self, desk: &Desk<'_, '_>) {
        while let Some((token, query)) = self.unasked.pop_front() {
            if self.ask_now(desk, token, &query).is_err() {
                self.unasked.push_front((token, query));
                return self.timers.set(Timer::Ask, desk.net.now() + AGAIN);
            }
        }
    }

    /// Derives keys beside the worker: it takes milliseconds.
    pub(super) fn derive(&self, desk: &Desk<'_, '_>, conn: ConnectionId, derive: Derive) {
        let (postbox, me) = (desk.shared.postbox.clone(), desk.shared.me);
        let turns = Arc::clone(&self.deriving);
        tokio::spawn(async move {
            let _turn = turns.acquire_owned().await;
            if let Ok(derived) = tokio::task::spawn_blocking(move || derive.run()).await {
                // A worker that has ended needs no keys.
                drop(postbox.deliver(me, mail::Mail::Xmpp(Mail::Derived(conn, derived))).await);
            }
        });
    }
}
