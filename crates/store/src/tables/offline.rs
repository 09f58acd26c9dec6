//! Messages kept for accounts that are away.

use crate::dialect::{Connection, Statement, pieces};
use crate::query::OfflineMessage;
use crate::tables::{push_names, within_octets};
use rustc_hash::FxHashMap;
use sqlx::Row as _;
use wire::Address;

/// A message to keep.
pub(crate) struct Addition<'a> {
    pub(crate) account: &'a Address,
    pub(crate) stored: i64,
    pub(crate) payload: &'a [u8],
    /// How many may be kept for the account.
    pub(crate) limit: u32,
}

/// Keeps messages, in their order; for each, whether there was room for it.
pub(crate) async fn add(connection: &mut Connection, additions: &[Addition<'_>]) -> sqlx::Result<Vec<bool>> {
    let mut kept = counts(connection, additions).await?;
    let fits: Vec<bool> = additions
        .iter()
        .map(|addition| {
            let count = kept.entry(addition.account.as_str()).or_default();
            let fits = *count < i64::from(addition.limit);
            *count += i64::from(fits);
            fits
        })
        .collect();
    let rows: Vec<&Addition<'_>> =
        additions.iter().zip(&fits).filter_map(|(row, fits)| fits.then_some(row)).collect();
    for piece in pieces(&rows) {
        let mut statement = Statement::new("INSERT INTO offline_messages (account, stored, payload) ");
        statement.push_values(piece, |mut values, row| {
            values.push_bind(row.account.as_str()).push_bind(row.stored).push_bind(row.payload);
        });
        statement.build().execute(&mut *connection).await?;
    }
    Ok(fits)
}

/// How many messages each of the accounts has.
async fn counts<'a>(
    connection: &mut Connection,
    additions: &[Addition<'a>],
) -> sqlx::Result<FxHashMap<&'a str, i64>> {
    let mut counts: FxHashMap<&str, i64> =
        additions.iter().map(|addition| (addition.account.as_str(), 0)).collect();
    let names: Vec<&str> = counts.keys().copied().collect();
    for piece in pieces(&names) {
        let mut statement =
            Statement::new("SELECT account, COUNT(*) FROM offline_messages WHERE account IN (");
        push_names(&mut statement, piece.iter().copied());
        statement.push(") GROUP BY account");
        for row in &statement.build().fetch_all(&mut *connection).await? {
            if let Some(count) = counts.get_mut(row.try_get_unchecked::<&str, _>(0)?) {
                *count = row.try_get_unchecked(1)?;
            }
        }
    }
    Ok(counts)
}

/// An account's messages after one `id`, oldest first. `most`: how many, and how many octets.
pub(crate) async fn list(
    connection: &mut Connection,
    account: &Address,
    after: i64,
    (most, octets): (u32, u64),
) -> sqlx::Result<Vec<OfflineMessage>> {
    let page = |columns: &str, limit: u32| {
        let mut statement =
            Statement::new(format!("SELECT {columns} FROM offline_messages WHERE account = "));
        statement.push_bind(account.as_str().to_owned()).push(" AND id > ").push_bind(after);
        statement.push(" ORDER BY id LIMIT ").push_bind(i64::from(limit));
        statement
    };
    let limit = within_octets(connection, page("LENGTH(payload)", most), octets).await?;
    if limit == 0 {
        return Ok(Vec::new());
    }
    let rows = page("id, stored, payload", limit).build().fetch_all(connection).await?;
    let message = |row: &crate::dialect::Row| {
        Ok(OfflineMessage {
            id: row.try_get_unchecked(0)?,
            stored: row.try_get_unchecked(1)?,
            payload: row.try_get_unchecked(2)?,
        })
    };
    rows.iter().map(message).collect()
}

/// How many messages an account has.
pub(crate) async fn count(connection: &mut Connection, account: &Address) -> sqlx::Result<u64> {
    let mut statement = Statement::new("SELECT COUNT(*) FROM offline_messages WHERE account = ");
    let count: i64 = statement.push_bind(account.as_str()).build_query_scalar().fetch_one(connection).await?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// Forgets an account's messages up to one `id`.
pub(crate) async fn remove(connection: &mut Connection, account: &Address, up_to: i64) -> sqlx::Result<()> {
    let mut statement = Statement::new("DELETE FROM offline_messages WHERE account = ");
    statement.push_bind(account.as_str()).push(" AND id <= ").push_bind(up_to);
    statement.build().execute(connection).await.map(drop)
}
