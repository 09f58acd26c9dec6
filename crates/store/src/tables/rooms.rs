//! Chat rooms: what each is, and who is what to it.

use super::{PAGE, address};
use crate::dialect::{Connection, Dialect, Row, Statement, pieces};
use crate::query::{Rank, Room};
use sqlx::Row as _;
use std::collections::BTreeMap;
use wire::Address;

/// Adds or changes a room; without `document` it is there already.
pub(crate) async fn put(
    connection: &mut Connection,
    dialect: Dialect,
    room: &Address,
    document: Option<&[u8]>,
    ranks: &[Rank],
) -> sqlx::Result<()> {
    if let Some(document) = document {
        let mut statement = Statement::new("INSERT INTO rooms (address, payload) VALUES (");
        statement.push_bind(room.as_str()).push(", ").push_bind(document).push(")");
        dialect.or_set(&mut statement, "address", &["payload"]);
        statement.build().execute(&mut *connection).await?;
    }
    let (there, gone): (Vec<&Rank>, Vec<&Rank>) = ranks.iter().partition(|rank| rank.payload.is_some());
    for rank in gone {
        let mut statement = Statement::new("DELETE FROM room_ranks WHERE room = ");
        statement.push_bind(room.as_str()).push(" AND contact = ").push_bind(rank.contact.as_str());
        statement.build().execute(&mut *connection).await?;
    }
    for piece in pieces(&there) {
        let mut statement = Statement::new("INSERT INTO room_ranks (room, contact, payload) ");
        statement.push_values(piece, |mut values, rank| {
            values.push_bind(room.as_str()).push_bind(rank.contact.as_str());
            values.push_bind(rank.payload.as_deref());
        });
        dialect.or_set(&mut statement, "room, contact", &["payload"]);
        statement.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Forgets a room with all that belongs to it.
pub(crate) async fn remove(connection: &mut Connection, room: &Address) -> sqlx::Result<()> {
    let mut statement = Statement::new("DELETE FROM rooms WHERE address = ");
    statement.push_bind(room.as_str()).build().execute(connection).await.map(drop)
}

/// Every room.
pub(crate) async fn load(connection: &mut Connection) -> sqlx::Result<Vec<Room>> {
    let mut rooms = BTreeMap::new();
    let mut after = String::new();
    loop {
        let mut statement = Statement::new("SELECT address, payload FROM rooms WHERE address > ");
        statement.push_bind(after.clone()).push(" ORDER BY address LIMIT ").push_bind(PAGE);
        let rows = statement.build().fetch_all(&mut *connection).await?;
        let Some(last) = rows.last() else { break };
        after = last.try_get_unchecked(0)?;
        for row in &rows {
            let document = row.try_get_unchecked(1)?;
            if let Some(address) = address(row.try_get_unchecked(0)?) {
                rooms.insert(address.clone(), Room { address, document, ranks: Vec::new() });
            }
        }
    }
    ranks(connection, &mut rooms).await?;
    Ok(rooms.into_values().collect())
}

async fn ranks(connection: &mut Connection, rooms: &mut BTreeMap<Address, Room>) -> sqlx::Result<()> {
    let (mut room, mut contact) = (String::new(), String::new());
    loop {
        let mut statement = Statement::new("SELECT room, contact, payload FROM room_ranks WHERE room > ");
        statement.push_bind(room.clone()).push(" OR (room = ").push_bind(room.clone());
        statement.push(" AND contact > ").push_bind(contact.clone());
        statement.push(") ORDER BY room, contact LIMIT ").push_bind(PAGE);
        let rows: Vec<Row> = statement.build().fetch_all(&mut *connection).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        (room, contact) = (last.try_get_unchecked(0)?, last.try_get_unchecked(1)?);
        for row in &rows {
            let found = address(row.try_get_unchecked(0)?).and_then(|address| rooms.get_mut(&address));
            if let Some(found) = found {
                let payload = Some(row.try_get_unchecked(2)?);
                found.ranks.push(Rank { contact: row.try_get_unchecked(1)?, payload });
            }
        }
    }
}
