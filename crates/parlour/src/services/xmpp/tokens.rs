//! What is kept of clients' tokens (XEP-0484): one document of the account for each installation.

use super::{Mail, Xmpp};
use crate::desk::Desk;
use crate::mail;
use std::time::Duration;
use store::{Answer, Document, Fault, Query, StoreHandle};
use wire::{Address, ConnectionId};
use xmpp::sasl::token::{Holder, Tokens};

/// The kind of these documents in the store.
pub const KIND: i64 = 16;
/// Octets of all of an account: some hundreds of installations.
const MOST: u64 = 64 * 1024;

impl Xmpp {
    /// Looks up what is kept of an installation's tokens.
    pub(super) fn load_tokens(&self, desk: &Desk<'_, '_>, conn: ConnectionId, holder: Holder) {
        let Holder { account, client } = holder;
        let query = Query::LoadDocument { account, kind: KIND, title: client.into() };
        self.post_outcome(desk, query, move |outcome| {
            let tokens = match outcome {
                Ok(Answer::Document(Some(payload))) => {
                    Some(Tokens::from_text(&String::from_utf8_lossy(&payload)))
                }
                Ok(_) => Some(Tokens::default()),
                Err(_) => None,
            };
            Mail::Tokens(conn, tokens)
        });
    }

    /// Keeps them, or forgets them.
    pub(super) fn keep_tokens(
        &self,
        desk: &Desk<'_, '_>,
        conn: ConnectionId,
        holder: Holder,
        tokens: Option<Tokens>,
    ) {
        let Holder { account, client } = holder;
        let payload = tokens.map(|tokens| tokens.to_text().into_bytes());
        let document = Document { kind: KIND, title: client.into(), payload };
        let query = Query::PutDocument { account: account.clone(), document, limit: MOST };
        let (store, now) = (desk.shared.store.clone(), desk.net.epoch().unix(desk.net.now()));
        self.post_outcome(desk, query, move |outcome| {
            if outcome == Err(Fault::Full) {
                // The next time there is room.
                forget_spent(&store, &account, now);
            }
            Mail::TokensKept(conn, outcome.is_ok())
        });
    }

    /// Asks the store; what it says comes back as mail to this worker. A store that is busy has failed.
    pub(super) fn post_outcome(
        &self,
        desk: &Desk<'_, '_>,
        query: Query,
        read: impl Fn(store::Outcome) -> Mail + Clone + Send + 'static,
    ) {
        let (postbox, me) = (desk.shared.postbox.clone(), desk.shared.me);
        let runtime = tokio::runtime::Handle::current();
        let post = move |mail: Mail| {
            if let Err(mail) = postbox.post(me, mail::Mail::Xmpp(mail)) {
                // A full queue must not lose an answer for which a client waits.
                runtime.spawn(async move { drop(postbox.deliver(me, mail).await) });
            }
        };
        let (answer, refuse) = (read.clone(), post.clone());
        if desk.shared.store.ask(query, move |outcome| post(answer(outcome))).is_err() {
            refuse(read(Err(Fault::Closed)));
        }
    }
}

/// Forgets the tokens of an account that are good no more: of installations that never came back.
fn forget_spent(store: &StoreHandle, account: &Address, now: Duration) {
    let query = Query::ListDocuments { account: Some(account.clone()), kind: KIND };
    let writer = store.clone();
    // A store that is busy is asked again when there is no room again.
    let _ = store.ask(query, move |outcome| {
        let Ok(Answer::Documents(documents)) = outcome else { return };
        for (account, document) in documents {
            let text = document.payload.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            if Tokens::from_text(&text).is_spent(now) {
                let document = Document { payload: None, ..document };
                let _ = writer.ask(Query::PutDocument { account, document, limit: MOST }, |_| {});
            }
        }
    });
}
