//! Many changes in one transaction: of those that set the same thing the last one wins, and rows of one table share
//! their statements.

use crate::dialect::{Connection, Dialect};
use crate::insert;
use crate::query::{Answer, ArchivedMessage, Fault, NodeChange, Outcome, Query, RelayRow, RosterItem};
use crate::tables::archive::Of;
use crate::tables::bindings::Bound;
use crate::tables::offline::Addition;
use crate::tables::{accounts, archive, bindings, documents, nodes, offline, relays, rooms, roster};
use rustc_hash::FxHashMap;
use sqlx::Connection as _;
use wire::Address;

/// Carries out `queries` and commits; what each is answered. After an error none of them was carried out.
pub(crate) async fn run(
    connection: &mut Connection,
    dialect: Dialect,
    queries: &[&Query],
) -> sqlx::Result<Vec<Outcome>> {
    let mut outcomes = vec![Ok(Answer::Done); queries.len()];
    let mut gathered = Gathered::default();
    let together = queries.iter().enumerate().take_while(|(i, query)| gathered.take(*i, query)).count();
    if together == queries.len() && gathered.is_one_statement() {
        // Which is a transaction of its own, and spares two hand-overs to the thread that has the database.
        gathered.write(connection, dialect, &mut outcomes).await?;
        return Ok(outcomes);
    }
    let mut transaction = connection.begin_with(dialect.begin()).await?;
    for (i, query) in queries.iter().enumerate().skip(together) {
        if gathered.take(i, query) {
            continue;
        }
        // Rows that belong to accounts stand before or after a change of the accounts, as they were asked.
        std::mem::take(&mut gathered).write(&mut transaction, dialect, &mut outcomes).await?;
        outcomes[i] = alone(&mut transaction, dialect, query).await?;
    }
    gathered.write(&mut transaction, dialect, &mut outcomes).await?;
    transaction.commit().await?;
    Ok(outcomes)
}

/// Carries out what shares no statement with others.
async fn alone(connection: &mut Connection, dialect: Dialect, query: &Query) -> sqlx::Result<Outcome> {
    match query {
        Query::PutAccounts(list) => accounts::put(connection, dialect, list).await?,
        Query::RemoveAccount(address) => {
            if !accounts::remove(connection, dialect, address).await? {
                return Ok(Err(Fault::NoAccount));
            }
        }
        Query::PurgeBindings { before } => bindings::purge(connection, *before).await?,
        Query::PutDocument { account, document, limit } => {
            if !documents::put(connection, dialect, account, document, *limit).await? {
                return Ok(Err(Fault::Full));
            }
        }
        Query::PutRoom { room, document, ranks } => {
            rooms::put(connection, dialect, room, document.as_deref(), ranks).await?;
        }
        Query::RemoveRoom(room) => rooms::remove(connection, room).await?,
        Query::AmendRoomArchived { room, id, payload } => {
            return archive::amend(connection, room, *id, payload)
                .await
                .map(|found| Ok(Answer::Count(found)));
        }
        Query::TrimArchive { account, up_to } => {
            archive::trim(connection, Of::Accounts, account, *up_to).await?;
        }
        Query::TrimRoom { room, up_to } => archive::trim(connection, Of::Rooms, room, *up_to).await?,
        Query::PurgeArchives { before } => archive::purge(connection, *before).await?,
        Query::ChangeNodes { account, changes } => {
            return change_nodes(connection, dialect, account, changes).await;
        }
        _ => unreachable!("every other change is gathered, and look-ups are never here"),
    }
    Ok(Ok(Answer::Done))
}

/// All changes of an account's nodes, or none where something does not fit.
async fn change_nodes(
    connection: &mut Connection,
    dialect: Dialect,
    account: &Address,
    changes: &[NodeChange],
) -> sqlx::Result<Outcome> {
    if let [change] = changes {
        return Ok(nodes::change(connection, dialect, account, change).await?.ok_or(Fault::Full));
    }
    let mut answer = Answer::Done;
    let mut inner = connection.begin().await?;
    for change in changes {
        match nodes::change(&mut inner, dialect, account, change).await? {
            Some(done) => answer = done,
            None => {
                inner.rollback().await?;
                return Ok(Err(Fault::Full));
            }
        }
    }
    inner.commit().await?;
    Ok(Ok(answer))
}

/// Changes that do not touch one another, whatever their order.
#[derive(Default)]
struct Gathered<'a> {
    bindings: FxHashMap<&'a Address, Bound<'a>>,
    /// `None` takes the row out.
    relays: FxHashMap<i64, Option<&'a RelayRow>>,
    /// `None` takes the item out.
    roster: FxHashMap<(&'a Address, &'a str), Option<&'a RosterItem>>,
    /// A message that is asked to be forgotten was listed before, so it is none of those added here.
    forgotten: FxHashMap<&'a Address, i64>,
    messages: Vec<Addition<'a>>,
    /// Whose each of `messages` is.
    askers: Vec<usize>,
    archived: Vec<(&'a Address, &'a ArchivedMessage)>,
    /// The same of rooms.
    talk: Vec<(&'a Address, &'a ArchivedMessage)>,
}

impl<'a> Gathered<'a> {
    /// Whether the query is one to gather.
    fn take(&mut self, i: usize, query: &'a Query) -> bool {
        match query {
            Query::ReplaceBindings { aor, rows, fewer } => {
                self.bindings.entry(aor).or_default().take(rows, *fewer);
            }
            Query::KeepRelays { put, gone } => {
                self.relays.extend(put.iter().map(|row| (row.number, Some(row))));
                self.relays.extend(gone.iter().map(|number| (*number, None)));
            }
            Query::PutRosterItem { account, item } => {
                self.roster.insert((account, &item.contact), Some(item));
            }
            Query::RemoveRosterItem { account, contact } => {
                self.roster.insert((account, contact), None);
            }
            Query::AddOffline { account, stored, payload, limit } => {
                self.messages.push(Addition { account, stored: *stored, payload, limit: *limit });
                self.askers.push(i);
            }
            Query::RemoveOffline { account, up_to } => {
                let last = self.forgotten.entry(account).or_insert(*up_to);
                *last = (*last).max(*up_to);
            }
            Query::AddArchived { account, message } => self.archived.push((account, message)),
            Query::AddRoomArchived { room, message } => self.talk.push((room, message)),
            _ => return false,
        }
        true
    }

    /// Whether it is written by a single statement, as most are: many registrations, or many messages for archives.
    fn is_one_statement(&self) -> bool {
        let relays = self.relays.values().flatten().count();
        let others =
            self.roster.len() + self.forgotten.len() + self.messages.len() + self.relays.len() - relays;
        let fewer = self.bindings.values().any(|bound| bound.fewer);
        let bindings = self.bindings.values().map(Bound::len).sum();
        let inserts = [bindings, relays, self.archived.len(), self.talk.len()];
        let statements = inserts.iter().map(|rows| rows.div_ceil(insert::MOST)).sum::<usize>();
        statements == 1 && others == 0 && !fewer
    }

    async fn write(
        self,
        connection: &mut Connection,
        dialect: Dialect,
        outcomes: &mut [Outcome],
    ) -> sqlx::Result<()> {
        if !self.bindings.is_empty() {
            let mut changes: Vec<_> = self.bindings.into_iter().collect();
            bindings::replace(connection, dialect, &mut changes).await?;
        }
        write_relays(connection, dialect, self.relays).await?;
        write_roster(connection, dialect, self.roster).await?;
        for (of, rows) in [(Of::Accounts, &self.archived), (Of::Rooms, &self.talk)] {
            if !rows.is_empty() {
                archive::add(connection, dialect, of, rows).await?;
            }
        }
        for (account, up_to) in self.forgotten {
            offline::remove(connection, account, up_to).await?;
        }
        let kept =
            if self.messages.is_empty() { vec![] } else { offline::add(connection, &self.messages).await? };
        for (i, _) in self.askers.into_iter().zip(kept).filter(|(_, kept)| !kept) {
            outcomes[i] = Err(Fault::Full);
        }
        Ok(())
    }
}

async fn write_relays(
    connection: &mut Connection,
    dialect: Dialect,
    changes: FxHashMap<i64, Option<&RelayRow>>,
) -> sqlx::Result<()> {
    let put: Vec<&RelayRow> = changes.values().copied().flatten().collect();
    let gone: Vec<i64> = changes.iter().filter(|(_, row)| row.is_none()).map(|(number, _)| *number).collect();
    relays::put(connection, dialect, &put).await?;
    relays::remove(connection, &gone).await
}

async fn write_roster(
    connection: &mut Connection,
    dialect: Dialect,
    changes: FxHashMap<(&Address, &str), Option<&RosterItem>>,
) -> sqlx::Result<()> {
    let mut items = Vec::new();
    for ((account, contact), item) in changes {
        match item {
            Some(item) => items.push((account, item)),
            None => roster::remove(connection, account, contact).await?,
        }
    }
    roster::put(connection, dialect, &items).await
}
