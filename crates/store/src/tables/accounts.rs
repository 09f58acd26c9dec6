//! Accounts and their keys; a counter by which other processes see that they changed.

use crate::dialect::{Connection, Dialect, Row, Statement, pieces};
use crate::query::{AccountRecord, Changes};
use crate::tables::{PAGE, address, push_names, unix_now};
use rustc_hash::FxHashMap;
use sqlx::Row as _;
use wire::{Account, Address, Keys, Scram};

const COLUMNS: &str = "address, md5, sha256, md5_whole, sha256_whole, \
    scram_sha1_iterations, scram_sha1_salt, scram_sha1_stored, scram_sha1_server, \
    scram_sha256_iterations, scram_sha256_salt, scram_sha256_stored, scram_sha256_server, \
    sha512_256, sha512_256_whole, \
    scram_sha512_iterations, scram_sha512_salt, scram_sha512_stored, scram_sha512_server, \
    created, changed, version";

/// What setting new keys changes in a row that is there: all but its name and when it was made.
const SET: &[&str] = &[
    "md5",
    "sha256",
    "md5_whole",
    "sha256_whole",
    "scram_sha1_iterations",
    "scram_sha1_salt",
    "scram_sha1_stored",
    "scram_sha1_server",
    "scram_sha256_iterations",
    "scram_sha256_salt",
    "scram_sha256_stored",
    "scram_sha256_server",
    "sha512_256",
    "sha512_256_whole",
    "scram_sha512_iterations",
    "scram_sha512_salt",
    "scram_sha512_stored",
    "scram_sha512_server",
    "changed",
    "version",
];

/// Adds accounts or sets their keys.
pub(crate) async fn put(
    connection: &mut Connection,
    dialect: Dialect,
    accounts: &[Account],
) -> sqlx::Result<()> {
    // One row for each name, the last: PostgreSQL refuses to set a row twice in one statement.
    let last: FxHashMap<&Address, &Account> = accounts.iter().map(|a| (&a.address, a)).collect();
    let mut rows: Vec<&Account> = last.into_values().collect();
    rows.sort_unstable_by(|a, b| a.address.cmp(&b.address));
    let version = next_version(connection).await?;
    let now = unix_now();
    for piece in pieces(&rows) {
        let mut statement = Statement::new(format!("INSERT INTO accounts ({COLUMNS}) "));
        statement.push_values(piece, |mut values, account| {
            values.push_bind(account.address.as_str());
            push_keys(&mut values, &account.keys);
            values.push_bind(now).push_bind(now).push_bind(version);
        });
        dialect.or_set(&mut statement, "address", SET);
        statement.build().execute(&mut *connection).await?;
        let mut statement = Statement::new("DELETE FROM removed_accounts WHERE address IN (");
        push_names(&mut statement, piece.iter().map(|account| account.address.as_str()));
        statement.push(")").build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Removes an account, and with it all that is its own. Whether it was there.
pub(crate) async fn remove(
    connection: &mut Connection,
    dialect: Dialect,
    address: &Address,
) -> sqlx::Result<bool> {
    let mut statement = Statement::new("DELETE FROM accounts WHERE address = ");
    statement.push_bind(address.as_str());
    if statement.build().execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(false);
    }
    let version = next_version(connection).await?;
    let mut statement = Statement::new("INSERT INTO removed_accounts (address, version) VALUES (");
    statement.separated(", ").push_bind(address.as_str()).push_bind(version).push_unseparated(")");
    dialect.or_set(&mut statement, "address", &["version"]);
    statement.build().execute(connection).await?;
    Ok(true)
}

/// Every account.
pub(crate) async fn load(connection: &mut Connection) -> sqlx::Result<Vec<Account>> {
    let mut accounts = Vec::new();
    let mut after = String::new();
    loop {
        let mut statement = Statement::new(format!("SELECT {COLUMNS} FROM accounts WHERE address > "));
        statement.push_bind(after.as_str()).push(" ORDER BY address LIMIT ").push_bind(PAGE);
        let rows = statement.build().fetch_all(&mut *connection).await?;
        let Some(last) = rows.last() else { return Ok(accounts) };
        after = last.try_get_unchecked(0)?;
        for row in &rows {
            accounts.extend(account(row)?);
        }
    }
}

/// One account with its dates.
pub(crate) async fn load_one(
    connection: &mut Connection,
    address: &Address,
) -> sqlx::Result<Option<AccountRecord>> {
    let mut statement = Statement::new(format!("SELECT {COLUMNS} FROM accounts WHERE address = "));
    let row = statement.push_bind(address.as_str()).build().fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let record =
        |account| Ok(AccountRecord { account, created: row.try_get(19)?, changed: row.try_get(20)? });
    account(&row)?.map(record).transpose()
}

/// What became of the accounts since `since`.
pub(crate) async fn changes(connection: &mut Connection, since: i64) -> sqlx::Result<Changes> {
    // The version first, the removed last: what changes in between is told again next time, and never lost.
    let version = version(connection).await?;
    let mut changes = Changes { version, ..Changes::default() };
    if version == since {
        return Ok(changes);
    }
    let mut statement = Statement::new(format!("SELECT {COLUMNS} FROM accounts WHERE version > "));
    for row in &statement.push_bind(since).build().fetch_all(&mut *connection).await? {
        changes.put.extend(account(row)?);
    }
    let mut statement = Statement::new("SELECT address FROM removed_accounts WHERE version > ");
    for row in &statement.push_bind(since).build().fetch_all(connection).await? {
        changes.removed.extend(address(row.try_get_unchecked(0)?));
    }
    Ok(changes)
}

/// The number that grows with every change.
pub(crate) async fn version(connection: &mut Connection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT latest FROM counters WHERE counter = 'accounts'").fetch_one(connection).await
}

/// Holds back other processes' changes of accounts until the transaction ends: versions are committed in order.
async fn next_version(connection: &mut Connection) -> sqlx::Result<i64> {
    sqlx::query("UPDATE counters SET latest = latest + 1 WHERE counter = 'accounts'")
        .execute(&mut *connection)
        .await?;
    version(connection).await
}

type Values<'a> = sqlx::query_builder::Separated<'a, crate::dialect::Engine, &'static str>;

fn push_keys(values: &mut Values<'_>, keys: &Keys) {
    values.push_bind(keys.md5.as_ref().map(|key| &key[..]));
    values.push_bind(keys.sha256.as_ref().map(|key| &key[..]));
    values.push_bind(keys.md5_whole.as_ref().map(|key| &key[..]));
    values.push_bind(keys.sha256_whole.as_ref().map(|key| &key[..]));
    push_scram(values, keys.scram_sha1.as_ref());
    push_scram(values, keys.scram_sha256.as_ref());
    values.push_bind(keys.sha512_256.as_ref().map(|key| &key[..]));
    values.push_bind(keys.sha512_256_whole.as_ref().map(|key| &key[..]));
    push_scram(values, keys.scram_sha512.as_ref());
}

fn push_scram<const N: usize>(values: &mut Values<'_>, scram: Option<&Scram<N>>) {
    values.push_bind(scram.map(|scram| i64::from(scram.iterations)));
    values.push_bind(scram.map(|scram| &scram.salt[..]));
    values.push_bind(scram.map(|scram| &scram.stored_key[..]));
    values.push_bind(scram.map(|scram| &scram.server_key[..]));
}

/// The account of a row, `None` where its address is not one.
fn account(row: &Row) -> sqlx::Result<Option<Account>> {
    let Some(address) = address(row.try_get_unchecked(0)?) else { return Ok(None) };
    let keys = Keys {
        md5: key(row, 1)?,
        sha256: key(row, 2)?,
        md5_whole: key(row, 3)?,
        sha256_whole: key(row, 4)?,
        scram_sha1: scram(row, 5)?,
        scram_sha256: scram(row, 9)?,
        sha512_256: key(row, 13)?,
        sha512_256_whole: key(row, 14)?,
        scram_sha512: scram(row, 15)?,
    };
    Ok(Some(Account { address, keys }))
}

/// A key, `None` where it is missing or has not its length.
fn key<const N: usize>(row: &Row, column: usize) -> sqlx::Result<Option<[u8; N]>> {
    let bytes: Option<&[u8]> = row.try_get_unchecked(column)?;
    Ok(bytes.and_then(|bytes| bytes.try_into().ok()))
}

fn scram<const N: usize>(row: &Row, first: usize) -> sqlx::Result<Option<Scram<N>>> {
    let iterations: Option<i64> = row.try_get_unchecked(first)?;
    let salt: Option<&[u8]> = row.try_get_unchecked(first + 1)?;
    let (stored_key, server_key) = (key(row, first + 2)?, key(row, first + 3)?);
    let (Some(iterations), Some(salt), Some(stored_key), Some(server_key)) =
        (iterations.and_then(|n| u32::try_from(n).ok()), salt, stored_key, server_key)
    else {
        return Ok(None);
    };
    Ok(Some(Scram { iterations, salt: salt.into(), stored_key, server_key }))
}
