//! What accounts said and heard, and what was said in rooms (XEP-0313), by the time that is in its `id`.

use crate::dialect::{Connection, Dialect, Statement};
use crate::insert::Insert;
use crate::query::{ArchivedMessage, Span};
use crate::tables::within_octets;
use sqlx::Row as _;
use wire::Address;

/// Whose archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Accounts,
    Rooms,
}

impl Of {
    /// The table, and its column that says whose archive it is.
    const fn table(self) -> (&'static str, &'static str) {
        match self {
            Self::Accounts => ("archived_messages", "account"),
            Self::Rooms => ("room_messages", "room"),
        }
    }
}

static INSERT: [Insert; 2] = [
    Insert::new("archived_messages", &["account", "id", "peer", "resource", "payload"]),
    Insert::new("room_messages", &["room", "id", "peer", "resource", "payload"]),
];

/// Keeps messages.
pub(crate) async fn add(
    connection: &mut Connection,
    dialect: Dialect,
    of: Of,
    rows: &[(&Address, &ArchivedMessage)],
) -> sqlx::Result<()> {
    INSERT[of as usize]
        .run(connection, dialect, rows, |filled, (owner, message)| {
            let filled = filled.bind(owner.as_str()).bind(message.id).bind(message.peer.as_str());
            filled.bind(message.resource.as_str()).bind(&message.payload[..])
        })
        .await
}

/// Replaces a message of a room's archive, if it is there; how many there are.
pub(crate) async fn amend(
    connection: &mut Connection,
    room: &Address,
    id: i64,
    payload: &[u8],
) -> sqlx::Result<u64> {
    let mut statement = Statement::new("UPDATE room_messages SET payload = ");
    statement.push_bind(payload).push(" WHERE room = ").push_bind(room.as_str());
    let done = statement.push(" AND id = ").push_bind(id).build().execute(connection).await?;
    Ok(done.rows_affected())
}

fn within(statement: &mut Statement, of: Of, account: &Address, span: &Span) {
    let (table, owner) = of.table();
    statement.push(format_args!(" FROM {table} WHERE {owner} = ")).push_bind(account.as_str().to_owned());
    statement.push(" AND id > ").push_bind(span.after).push(" AND id < ").push_bind(span.before);
    if let Some(peer) = &span.peer {
        statement.push(" AND peer = ").push_bind(peer.clone());
    }
    if let Some(resource) = &span.resource {
        statement.push(" AND resource = ").push_bind(resource.clone());
    }
    if let Some(only) = &span.only {
        // No id is 0: where none is named, none is found.
        statement.push(" AND id IN (0");
        for id in only {
            statement.push(", ").push_bind(*id);
        }
        statement.push(")");
    }
}

/// An account's messages of a span, the oldest first; where `last`, the newest of them. `most`: how many, and how many octets.
pub(crate) async fn list(
    connection: &mut Connection,
    of: Of,
    account: &Address,
    span: &Span,
    last: bool,
    (most, octets): (u32, u64),
) -> sqlx::Result<Vec<ArchivedMessage>> {
    let page = |columns: &str, limit: u32| {
        let mut statement = Statement::new(format!("SELECT {columns}"));
        within(&mut statement, of, account, span);
        statement.push(if last { " ORDER BY id DESC LIMIT " } else { " ORDER BY id LIMIT " });
        statement.push_bind(i64::from(limit));
        statement
    };
    let mut limit = most;
    if most > 1 {
        limit = within_octets(connection, page("LENGTH(payload)", most), octets).await?;
    }
    let rows = page("id, peer, resource, payload", limit).build().fetch_all(connection).await?;
    let message = |row: &crate::dialect::Row| {
        Ok(ArchivedMessage {
            id: row.try_get_unchecked(0)?,
            peer: row.try_get_unchecked(1)?,
            resource: row.try_get_unchecked(2)?,
            payload: row.try_get_unchecked(3)?,
        })
    };
    let mut messages = rows.iter().map(message).collect::<sqlx::Result<Vec<_>>>()?;
    if last {
        messages.reverse();
    }
    Ok(messages)
}

/// How many messages an account has in a span.
pub(crate) async fn count(
    connection: &mut Connection,
    of: Of,
    account: &Address,
    span: &Span,
) -> sqlx::Result<u64> {
    let mut statement = Statement::new("SELECT COUNT(*)");
    within(&mut statement, of, account, span);
    let count: i64 = statement.build_query_scalar().fetch_one(connection).await?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// The newest `id` of what an account has beyond so many messages or octets.
pub(crate) async fn excess(
    connection: &mut Connection,
    of: Of,
    account: &Address,
    messages: u64,
    octets: u64,
) -> sqlx::Result<Option<i64>> {
    let bound = |most: u64| i64::try_from(most).unwrap_or(i64::MAX);
    let (table, owner) = of.table();
    let mut statement = Statement::new(format!(
        "SELECT MAX(id) FROM (SELECT id, COUNT(*) OVER newest AS messages, SUM(LENGTH(payload)) OVER newest AS octets \
         FROM {table} WHERE {owner} = ",
    ));
    statement.push_bind(account.as_str());
    statement
        .push(" WINDOW newest AS (ORDER BY id DESC)) AS archive WHERE messages > ")
        .push_bind(bound(messages));
    statement.push(" OR octets > ").push_bind(bound(octets));
    statement.build_query_scalar().fetch_one(connection).await
}

/// Forgets an account's messages up to one `id`.
pub(crate) async fn trim(
    connection: &mut Connection,
    of: Of,
    account: &Address,
    up_to: i64,
) -> sqlx::Result<()> {
    let (table, owner) = of.table();
    let mut statement = Statement::new(format!("DELETE FROM {table} WHERE {owner} = "));
    statement.push_bind(account.as_str()).push(" AND id <= ").push_bind(up_to);
    statement.build().execute(connection).await.map(drop)
}

/// Forgets what is older than an `id`, whosesoever it is.
pub(crate) async fn purge(connection: &mut Connection, before: i64) -> sqlx::Result<()> {
    // By the key of the table: there is no index by id alone, and there need not be.
    let mut statement = Statement::new(
        "DELETE FROM archived_messages WHERE account IN (SELECT address FROM accounts) AND id < ",
    );
    statement.push_bind(before).build().execute(&mut *connection).await?;
    let mut statement =
        Statement::new("DELETE FROM room_messages WHERE room IN (SELECT address FROM rooms) AND id < ");
    statement.push_bind(before).build().execute(connection).await.map(drop)
}
