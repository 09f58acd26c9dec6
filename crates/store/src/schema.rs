//! Numbered migrations: brings a database to the schema that this version knows, and refuses a later one.

use crate::dialect::Connection;
use crate::location::{Location, OpenError};
use sqlx::{AssertSqlSafe, Connection as _, Executor};

/// Every migration there is, in order; the first has number 1. One that was released is never changed.
const MIGRATIONS: &[(&str, &str)] = &[
    (
        "accounts, bindings, rosters, offline messages",
        include_str!("migrations/0001_accounts_bindings_rosters_offline.sql"),
    ),
    ("keys of SHA-512", include_str!("migrations/0002_keys_of_sha512.sql")),
    ("documents and archive", include_str!("migrations/0003_documents_and_archive.sql")),
    ("nodes", include_str!("migrations/0004_nodes.sql")),
    ("rooms", include_str!("migrations/0005_rooms.sql")),
    ("relays", include_str!("migrations/0006_relays.sql")),
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS parlour_migrations (
    number {integer} NOT NULL PRIMARY KEY, title {text} NOT NULL, applied {integer} NOT NULL)";

/// Brings the database up to date, all or nothing.
pub(crate) async fn migrate(connection: &mut Connection, location: &Location) -> Result<(), OpenError> {
    let explain = |error: sqlx::Error| location.explain(&error);
    let dialect = location.dialect;
    let known = i64::try_from(MIGRATIONS.len()).expect("few migrations");
    let found = current(connection, location).await?;
    if found > known {
        return Err(OpenError::Newer { path: location.path.clone(), found, known });
    }
    if found == known {
        return Ok(());
    }
    let mut transaction = connection.begin_with(dialect.begin()).await.map_err(explain)?;
    transaction.execute(AssertSqlSafe(dialect.schema(TABLE))).await.map_err(explain)?;
    // Another process may have been faster while we waited for the lock.
    let found = last(&mut transaction).await.map_err(explain)?;
    for (number, (title, text)) in (1i64..).zip(MIGRATIONS).skip(usize::try_from(found).unwrap_or(usize::MAX))
    {
        sqlx::raw_sql(AssertSqlSafe(dialect.schema(text)))
            .execute(&mut *transaction)
            .await
            .map_err(explain)?;
        note(&mut transaction, number, title).await.map_err(explain)?;
    }
    transaction.commit().await.map_err(explain)
}

/// Whether we know the database's schema, or can bring it up to date.
pub(crate) async fn must_be_known(connection: &mut Connection, location: &Location) -> Result<(), OpenError> {
    let known = i64::try_from(MIGRATIONS.len()).expect("few migrations");
    match current(connection, location).await? {
        found if found > known => Err(OpenError::Newer { path: location.path.clone(), found, known }),
        _ => Ok(()),
    }
}

/// The number of the last migration that the database has seen; 0 in an empty one.
async fn current(connection: &mut Connection, location: &Location) -> Result<i64, OpenError> {
    let explain = |error: sqlx::Error| location.explain(&error);
    let dialect = location.dialect;
    let ours: i64 =
        sqlx::query_scalar(dialect.find_migrations()).fetch_one(&mut *connection).await.map_err(explain)?;
    if ours > 0 {
        return last(connection).await.map_err(explain);
    }
    let tables: i64 =
        sqlx::query_scalar(dialect.count_tables()).fetch_one(connection).await.map_err(explain)?;
    if tables > 0 { Err(OpenError::Foreign(location.path.clone())) } else { Ok(0) }
}

async fn last(connection: &mut Connection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COALESCE(MAX(number), 0) FROM parlour_migrations").fetch_one(connection).await
}

async fn note(connection: &mut Connection, number: i64, title: &str) -> sqlx::Result<()> {
    let mut statement =
        crate::dialect::Statement::new("INSERT INTO parlour_migrations (number, title, applied) VALUES (");
    let mut values = statement.separated(", ");
    values.push_bind(number).push_bind(title).push_bind(crate::tables::unix_now()).push_unseparated(")");
    statement.build().execute(connection).await.map(drop)
}
