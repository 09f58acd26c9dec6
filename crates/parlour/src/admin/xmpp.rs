//! The commands on XMPP: who is connected, and the end of it.

use super::answers::xmpp::{XmppDisconnected, XmppSession, XmppSessions};
use super::arguments::Arguments;
use super::backend::{Backend, gone};
use super::command::{Reply, reply};
use super::failure::{Failure, Kind};
use crate::services::xmpp::overview::{Order, Seen};
use crate::services::xmpp::tokens::KIND;
use serde_json::Value;
use store::{Answer, Document, Query};
use tokio::sync::oneshot;
use wire::{Address, WorkerId};

/// How many sessions are listed unless more are asked for.
const USUAL: u64 = 1_000;
/// The most that are listed at once.
const MOST: u64 = 10_000;

/// `parlour xmpp sessions`
pub(crate) fn sessions<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let limit = arguments.number("limit").unwrap_or(USUAL).clamp(1, MOST);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let user = arguments.text("user").map(|user| super::turn::address(house, user)).transpose()?;
        let workers: Vec<WorkerId> = match &user {
            Some(user) => vec![user.home(house.workers().max(1))],
            None => (0..house.workers()).map(WorkerId).collect(),
        };
        let mut seen = Vec::new();
        for worker in workers {
            let (user, left) = (user.clone(), limit + 1 - seen.len().min(limit));
            seen.extend(ask(house, worker, |sender| Order::Sessions(user, left, sender)).await?);
        }
        let more = seen.len() > limit;
        seen.truncate(limit);
        reply(&XmppSessions { sessions: seen.into_iter().map(session).collect(), more })
    })
}

fn session(seen: Seen) -> XmppSession {
    let name = seen.agent.name();
    XmppSession {
        jid: seen.jid.to_string(),
        priority: seen.priority,
        source: seen.source.map(|source| source.to_string()),
        client: (!name.is_empty()).then_some(name),
        age: seen.age.as_secs(),
        unacknowledged: seen.unacknowledged.map(|number| number as u64),
    }
}

/// `parlour xmpp disconnect`
pub(crate) fn disconnect<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let who = arguments.required("who");
        let (account, resource) = match who.split_once('/') {
            Some((account, resource)) => (account, Some(resource.to_owned())),
            None => (who, None),
        };
        let account = super::turn::address(house, account)?;
        let home = account.home(house.workers().max(1));
        let (whose, which) = (account.clone(), resource.clone());
        let ended = ask(house, home, |sender| Order::Disconnect(whose, which, sender)).await?;
        if ended.is_empty() && resource.is_some() {
            let hint = "`parlour xmpp sessions` lists them";
            return Err(Failure::new(Kind::NotFound, format!("there is no session {who}; {hint}")));
        }
        let holders: Vec<&str> = ended.iter().filter_map(|seen| seen.agent.id.as_deref()).collect();
        let tokens = forget_tokens(house, &account, resource.is_none(), &holders).await?;
        reply(&XmppDisconnected { ended: ended.iter().map(|seen| seen.jid.to_string()).collect(), tokens })
    })
}

/// Takes away the tokens of an account: of all its installations, or of these.
pub(crate) async fn forget_tokens(
    house: &dyn Backend,
    account: &Address,
    all: bool,
    holders: &[&str],
) -> Result<u64, Failure> {
    let store = house.accounts().store();
    let failed = |fault: store::Fault| Failure::new(Kind::Unavailable, format!("the tokens: {fault}"));
    let query = Query::ListDocuments { account: Some(account.clone()), kind: KIND };
    let Answer::Documents(documents) = store.query(query).await.map_err(failed)? else { return Ok(0) };
    let mut forgotten = 0;
    for (account, document) in documents {
        if all || holders.contains(&document.title.as_str()) {
            let document = Document { payload: None, ..document };
            store.query(Query::PutDocument { account, document, limit: 0 }).await.map_err(failed)?;
            forgotten += 1;
        }
    }
    Ok(forgotten)
}

/// Asks one worker.
async fn ask<T>(
    house: &dyn Backend,
    worker: WorkerId,
    order: impl FnOnce(oneshot::Sender<T>) -> Order,
) -> Result<T, Failure> {
    let (sender, answer) = oneshot::channel();
    house.order_xmpp(worker, order(sender)).await?;
    answer.await.map_err(|_| gone(worker))
}
