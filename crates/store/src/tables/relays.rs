//! Calls whose media are relayed, as whoever relays them wants to find them after a restart.

use super::PAGE;
use crate::dialect::{Connection, Dialect, Statement, pieces};
use crate::insert::Insert;
use crate::query::RelayRow;
use sqlx::Row as _;

static INSERT: Insert =
    Insert::new("relays", &["number", "written", "payload"]).or_set("number", &["written", "payload"]);

/// Adds rows, or sets those anew that are there.
pub(crate) async fn put(
    connection: &mut Connection,
    dialect: Dialect,
    rows: &[&RelayRow],
) -> sqlx::Result<()> {
    INSERT
        .run(connection, dialect, rows, |filled, row| {
            filled.bind(row.number).bind(row.written).bind(&row.payload[..])
        })
        .await
}

/// Takes rows out.
pub(crate) async fn remove(connection: &mut Connection, numbers: &[i64]) -> sqlx::Result<()> {
    for piece in pieces(numbers) {
        let mut statement = Statement::new("DELETE FROM relays WHERE number IN (");
        let mut list = statement.separated(", ");
        for number in piece {
            list.push_bind(*number);
        }
        statement.push(")").build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Every row, in the order of their numbers.
pub(crate) async fn load(connection: &mut Connection) -> sqlx::Result<Vec<RelayRow>> {
    let mut relays: Vec<RelayRow> = Vec::new();
    loop {
        let after = relays.last().map_or(i64::MIN, |last| last.number);
        let mut statement = Statement::new("SELECT number, written, payload FROM relays WHERE number > ");
        statement.push_bind(after).push(" ORDER BY number LIMIT ").push_bind(PAGE);
        let rows = statement.build().fetch_all(&mut *connection).await?;
        if rows.is_empty() {
            return Ok(relays);
        }
        for row in &rows {
            relays.push(RelayRow {
                number: row.try_get_unchecked(0)?,
                written: row.try_get_unchecked(1)?,
                payload: row.try_get_unchecked(2)?,
            });
        }
    }
}
