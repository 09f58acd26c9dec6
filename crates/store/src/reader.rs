//! Look-ups: each on one of a few connections of its own, beside the writer.

use crate::dialect::{Connection, Dialect, Trouble};
use crate::handle::Job;
use crate::location::Location;
use crate::query::{Answer, Fault, Outcome, Query, SETTINGS};
use crate::tables::archive::Of;
use crate::tables::{accounts, archive, bindings, documents, nodes, offline, relays, rooms, roster};
use crate::writer::{connect, fault};
use sqlx::Connection as _;
use std::cell::RefCell;
use std::rc::Rc;
use tokio::sync::Semaphore;

/// The connections that look things up.
pub(crate) struct Readers {
    location: Location,
    idle: RefCell<Vec<Connection>>,
    free: Semaphore,
    count: u32,
}

impl Readers {
    pub(crate) fn new(location: Location, connections: Vec<Connection>) -> Rc<Self> {
        let count = u32::try_from(connections.len()).expect("a few connections");
        let free = Semaphore::new(connections.len());
        Rc::new(Self { location, idle: RefCell::new(connections), free, count })
    }

    /// Looks up and answers, as soon as a connection is free.
    pub(crate) fn start(self: &Rc<Self>, job: Job) {
        let readers = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let outcome = readers.look_up(&job.query).await;
            job.answer(outcome);
        });
    }

    /// Waits until every look-up is answered, then closes the connections.
    pub(crate) async fn close(&self) {
        drop(self.free.acquire_many(self.count).await);
        let idle = self.idle.take();
        for connection in idle {
            // It has only read: there is nothing that an error could lose.
            drop(connection.close().await);
        }
    }

    async fn look_up(&self, query: &Query) -> Outcome {
        let _turn = self.free.acquire().await.map_err(|_| Fault::Closed)?;
        // None is idle where the last one was lost by an error.
        let idle = self.idle.borrow_mut().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect(&self.location).await.map_err(|error| fault(&error))?,
        };
        let outcome = answer(&mut connection, query).await;
        // A connection that failed for another reason than a lock is replaced at the next look-up.
        if outcome.as_ref().err().is_none_or(|error| Dialect::trouble(error) == Trouble::Locked) {
            self.idle.borrow_mut().push(connection);
        }
        outcome.map_err(|error| fault(&error))
    }
}

async fn answer(connection: &mut Connection, query: &Query) -> sqlx::Result<Answer> {
    Ok(match query {
        Query::LoadAccounts => Answer::Accounts(accounts::load(connection).await?),
        Query::LoadAccount(address) => {
            Answer::Account(accounts::load_one(connection, address).await?.map(Box::new))
        }
        Query::AccountChanges { since } => Answer::Changes(accounts::changes(connection, *since).await?),
        Query::AccountsVersion => Answer::Version(accounts::version(connection).await?),
        Query::LoadBindings => Answer::Bindings(bindings::load(connection).await?),
        Query::LoadRelays => Answer::Relays(relays::load(connection).await?),
        Query::LoadRoster(account) => Answer::Roster {
            items: roster::load(connection, account).await?,
            settings: documents::load(connection, account, SETTINGS, "").await?,
            nodes: nodes::load(connection, account).await?,
        },
        Query::ListOffline { account, limit, octets, after } => {
            Answer::Offline(offline::list(connection, account, *after, (*limit, *octets)).await?)
        }
        Query::CountOffline(account) => Answer::Count(offline::count(connection, account).await?),
        Query::LoadDocument { account, kind, title } => {
            Answer::Document(documents::load(connection, account, *kind, title).await?)
        }
        Query::ListDocuments { account, kind } => {
            Answer::Documents(documents::list(connection, account.as_ref(), *kind).await?)
        }
        Query::ListArchived { account, span, last, limit, octets } => {
            let most = (*limit, *octets);
            Answer::Archived(archive::list(connection, Of::Accounts, account, span, *last, most).await?)
        }
        Query::CountArchived { account, span } => {
            Answer::Count(archive::count(connection, Of::Accounts, account, span).await?)
        }
        Query::LoadRooms => Answer::Rooms(rooms::load(connection).await?),
        Query::ListRoomArchived { room, span, last, limit, octets } => {
            let most = (*limit, *octets);
            Answer::Archived(archive::list(connection, Of::Rooms, room, span, *last, most).await?)
        }
        Query::CountRoomArchived { room, span } => {
            Answer::Count(archive::count(connection, Of::Rooms, room, span).await?)
        }
        Query::ReadNodes { account, look_up } => nodes::look_up(connection, account, look_up).await?,
        Query::ArchiveExcess { account, messages, octets } => {
            Answer::Excess(archive::excess(connection, Of::Accounts, account, *messages, *octets).await?)
        }
        Query::RoomExcess { room, messages, octets } => {
            Answer::Excess(archive::excess(connection, Of::Rooms, room, *messages, *octets).await?)
        }
        _ => unreachable!("changes go to the writer"),
    })
}
