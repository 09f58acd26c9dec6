//! What an account's clients keep with the server: documents by kind and title.

use crate::dialect::{Connection, Dialect, Row, Statement};
use crate::query::Document;
use sqlx::Row as _;
use wire::Address;

/// Keeps a document, or forgets it where there is no payload. `false`: the account would have more octets of this kind
/// than `limit`, and nothing was changed.
pub(crate) async fn put(
    connection: &mut Connection,
    dialect: Dialect,
    account: &Address,
    document: &Document,
    limit: u64,
) -> sqlx::Result<bool> {
    let Some(payload) = &document.payload else {
        remove(connection, account, document).await?;
        return Ok(true);
    };
    let others = if limit == u64::MAX { 0 } else { octets(connection, account, document).await? };
    let own = document.title.len() + payload.len();
    if others.saturating_add(u64::try_from(own).unwrap_or(u64::MAX)) > limit {
        return Ok(false);
    }
    let mut statement = Statement::new("INSERT INTO documents (account, kind, title, payload) VALUES (");
    let mut values = statement.separated(", ");
    values.push_bind(account.as_str()).push_bind(document.kind);
    values.push_bind(document.title.as_str()).push_bind(&payload[..]).push_unseparated(")");
    dialect.or_set(&mut statement, "account, kind, title", &["payload"]);
    statement.build().execute(connection).await.map(|_| true)
}

async fn remove(connection: &mut Connection, account: &Address, document: &Document) -> sqlx::Result<()> {
    let mut statement = Statement::new("DELETE FROM documents WHERE account = ");
    statement.push_bind(account.as_str()).push(" AND kind = ").push_bind(document.kind);
    statement.push(" AND title = ").push_bind(document.title.as_str());
    statement.build().execute(connection).await.map(drop)
}

/// How many octets the account's other documents of this kind have.
async fn octets(connection: &mut Connection, account: &Address, document: &Document) -> sqlx::Result<u64> {
    let mut statement = Statement::new(
        "SELECT COALESCE(SUM(LENGTH(payload) + LENGTH(title)), 0) FROM documents WHERE account = ",
    );
    statement.push_bind(account.as_str()).push(" AND kind = ").push_bind(document.kind);
    statement.push(" AND title <> ").push_bind(document.title.as_str());
    let octets: i64 = statement.build_query_scalar().fetch_one(connection).await?;
    Ok(u64::try_from(octets).unwrap_or_default())
}

/// One document, if it is there.
pub(crate) async fn load(
    connection: &mut Connection,
    account: &Address,
    kind: i64,
    title: &str,
) -> sqlx::Result<Option<Vec<u8>>> {
    let mut statement = Statement::new("SELECT payload FROM documents WHERE account = ");
    statement.push_bind(account.as_str()).push(" AND kind = ").push_bind(kind);
    statement.push(" AND title = ").push_bind(title);
    let row = statement.build().fetch_optional(connection).await?;
    row.map(|row| row.try_get_unchecked(0)).transpose()
}

/// All documents of a kind, of one account or of all. Accounts that nobody can read any more are left out.
pub(crate) async fn list(
    connection: &mut Connection,
    account: Option<&Address>,
    kind: i64,
) -> sqlx::Result<Vec<(Address, Document)>> {
    let mut statement = Statement::new("SELECT account, title, payload FROM documents WHERE kind = ");
    statement.push_bind(kind);
    if let Some(account) = account {
        statement.push(" AND account = ").push_bind(account.as_str());
    }
    statement.push(" ORDER BY account, title");
    let rows = statement.build().fetch_all(connection).await?;
    let document = |row: &Row| {
        let account: String = row.try_get_unchecked(0)?;
        let (title, payload) = (row.try_get_unchecked(1)?, row.try_get_unchecked(2)?);
        Ok(account.parse().ok().map(|account| (account, Document { kind, title, payload: Some(payload) })))
    };
    let all: sqlx::Result<Vec<Option<(Address, Document)>>> = rows.iter().map(document).collect();
    Ok(all?.into_iter().flatten().collect())
}
