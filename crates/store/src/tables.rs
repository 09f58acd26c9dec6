//! One file per table: its rows in and out.

pub(crate) mod accounts;
pub(crate) mod archive;
pub(crate) mod bindings;
pub(crate) mod documents;
pub(crate) mod nodes;
pub(crate) mod offline;
pub(crate) mod relays;
pub(crate) mod rooms;
pub(crate) mod roster;

use crate::dialect::{Connection, Statement};
use wire::Address;

/// How many rows are read at a time where there may be many.
const PAGE: i64 = 4096;

/// Seconds since 1970.
pub(crate) fn unix_now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Reads an address; one that somebody wrote into the database by hand and that is not in normal form is passed over.
fn address(text: &str) -> Option<Address> {
    let address = text.parse::<Address>().ok().filter(|address| address.as_str() == text);
    if address.is_none() {
        tracing::warn!("a row of the database is passed over: its address is not in normal form");
    }
    address
}

/// Writes names as the inside of `IN (…)`.
fn push_names<'a>(statement: &mut Statement, names: impl Iterator<Item = &'a str>) {
    let mut list = statement.separated(", ");
    for name in names {
        list.push_bind(name);
    }
}

/// How many rows of a page there are up to the first that makes it longer than it may be, behind one at least that is told
/// however long it is: so whoever reads them sees whether there are more. `sizes` selects the octets of each.
pub(crate) async fn within_octets(
    connection: &mut Connection,
    sizes: Statement,
    most: u64,
) -> sqlx::Result<u32> {
    let (fit, more) = fitting(connection, sizes, most).await?;
    Ok(fit + u32::from(more))
}

/// How many rows of a page fit into so many octets, one at least; and whether there are more in it.
pub(crate) async fn fitting(
    connection: &mut Connection,
    mut sizes: Statement,
    most: u64,
) -> sqlx::Result<(u32, bool)> {
    let sizes: Vec<i64> = sizes.build_query_scalar().fetch_all(connection).await?;
    let mut sum = 0;
    let fit = sizes.iter().take_while(|size| {
        sum += u64::try_from(**size).unwrap_or_default();
        sum <= most
    });
    let fit = fit.count().max(1).min(sizes.len());
    Ok((u32::try_from(fit).unwrap_or(u32::MAX), fit < sizes.len()))
}
