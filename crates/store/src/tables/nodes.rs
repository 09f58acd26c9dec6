//! What accounts publish: nodes, and the items in them, the newest last (XEP-0060 §12.1).

use crate::dialect::{Connection, Dialect, Row, Statement};
use crate::query::{Answer, ItemPage, NodeChange, NodeItem, NodeLookUp, NodeRow};
use crate::tables::fitting;
use sqlx::Row as _;
use wire::Address;

/// All nodes of an account, without their items.
pub(crate) async fn load(connection: &mut Connection, account: &Address) -> sqlx::Result<Vec<NodeRow>> {
    let mut statement = Statement::new("SELECT number, name, payload FROM pubsub_nodes WHERE account = ");
    statement.push_bind(account.as_str()).push(" ORDER BY number");
    let rows = statement.build().fetch_all(connection).await?;
    let node = |row: &Row| {
        Ok(NodeRow {
            number: row.try_get_unchecked(0)?,
            name: row.try_get_unchecked(1)?,
            payload: row.try_get_unchecked(2)?,
        })
    };
    rows.iter().map(node).collect()
}

/// Carries out a change; `None`: the account would have more octets than it may, and nothing was changed.
pub(crate) async fn change(
    connection: &mut Connection,
    dialect: Dialect,
    account: &Address,
    change: &NodeChange,
) -> sqlx::Result<Option<Answer>> {
    match change {
        NodeChange::Put(node) => put(connection, dialect, account, node).await?,
        NodeChange::Remove(number) => {
            let mut statement = Statement::new("DELETE FROM pubsub_nodes WHERE account = ");
            statement.push_bind(account.as_str()).push(" AND number = ").push_bind(*number);
            statement.build().execute(connection).await?;
        }
        NodeChange::PutItems { number, items, keep, limit } => {
            if octets_with(connection, account, *number, items).await? > *limit {
                return Ok(None);
            }
            for item in items {
                put_item(connection, account, *number, item).await?;
            }
            trim(connection, account, *number, *keep).await?;
        }
        NodeChange::RemoveItems { number, ids } => {
            return remove_items(connection, account, *number, ids).await.map(Answer::Count).map(Some);
        }
        NodeChange::Trim { number, keep } => trim(connection, account, *number, *keep).await?,
    }
    Ok(Some(Answer::Done))
}

async fn put(
    connection: &mut Connection,
    dialect: Dialect,
    account: &Address,
    node: &NodeRow,
) -> sqlx::Result<()> {
    let mut statement = Statement::new("INSERT INTO pubsub_nodes (account, number, name, payload) VALUES (");
    let mut values = statement.separated(", ");
    values.push_bind(account.as_str()).push_bind(node.number);
    values.push_bind(node.name.as_str()).push_bind(&node.payload[..]).push_unseparated(")");
    dialect.or_set(&mut statement, "account, number", &["payload"]);
    statement.build().execute(connection).await.map(drop)
}

fn within(statement: &mut Statement, account: &Address, number: i64) {
    statement.push(" FROM pubsub_items WHERE account = ").push_bind(account.as_str().to_owned());
    statement.push(" AND node = ").push_bind(number);
}

/// `… AND id IN (…)`; no item's id is empty.
fn among(statement: &mut Statement, ids: &[String]) {
    statement.push(" AND id IN (''");
    for id in ids {
        statement.push(", ").push_bind(id.clone());
    }
    statement.push(")");
}

/// How many octets the account's items would have with these.
async fn octets_with(
    connection: &mut Connection,
    account: &Address,
    number: i64,
    items: &[NodeItem],
) -> sqlx::Result<u64> {
    let own: usize = items.iter().map(|item| item.payload.len() + item.id.len()).sum();
    let mut statement =
        Statement::new("SELECT COALESCE(SUM(LENGTH(payload) + LENGTH(id)), 0) FROM pubsub_items");
    statement.push(" WHERE account = ").push_bind(account.as_str());
    statement.push(" AND NOT (node = ").push_bind(number);
    let ids: Vec<String> = items.iter().map(|item| item.id.clone()).collect();
    among(&mut statement, &ids);
    statement.push(")");
    let others: i64 = statement.build_query_scalar().fetch_one(connection).await?;
    let others = u64::try_from(others).unwrap_or_default();
    Ok(others.saturating_add(u64::try_from(own).unwrap_or(u64::MAX)))
}

/// Keeps an item as the newest; what was there under its id is gone.
async fn put_item(
    connection: &mut Connection,
    account: &Address,
    number: i64,
    item: &NodeItem,
) -> sqlx::Result<()> {
    remove_items(connection, account, number, std::slice::from_ref(&item.id)).await?;
    let mut statement =
        Statement::new("INSERT INTO pubsub_items (account, node, place, id, publisher, payload) VALUES (");
    let mut values = statement.separated(", ");
    values.push_bind(account.as_str()).push_bind(number).push_bind(item.place);
    values.push_bind(item.id.as_str()).push_bind(item.publisher.as_str());
    values.push_bind(&item.payload[..]).push_unseparated(")");
    statement.build().execute(connection).await.map(drop)
}

/// Forgets items; how many there were.
async fn remove_items(
    connection: &mut Connection,
    account: &Address,
    number: i64,
    ids: &[String],
) -> sqlx::Result<u64> {
    let mut statement = Statement::new("DELETE");
    within(&mut statement, account, number);
    among(&mut statement, ids);
    Ok(statement.build().execute(connection).await?.rows_affected())
}

/// Forgets all but the newest items of a node.
async fn trim(connection: &mut Connection, account: &Address, number: i64, keep: u32) -> sqlx::Result<()> {
    let mut statement = Statement::new("SELECT place");
    within(&mut statement, account, number);
    statement.push(" ORDER BY place DESC LIMIT 1 OFFSET ").push_bind(i64::from(keep));
    let last: Option<i64> = statement.build_query_scalar().fetch_optional(&mut *connection).await?;
    let Some(last) = last else { return Ok(()) };
    let mut statement = Statement::new("DELETE");
    within(&mut statement, account, number);
    statement.push(" AND place <= ").push_bind(last);
    statement.build().execute(connection).await.map(drop)
}

/// Looks something up.
pub(crate) async fn look_up(
    connection: &mut Connection,
    account: &Address,
    look_up: &NodeLookUp,
) -> sqlx::Result<Answer> {
    match look_up {
        NodeLookUp::Items { number, page } => items(connection, account, *number, page).await,
        NodeLookUp::Last { numbers, octets } => last(connection, account, numbers, *octets).await,
    }
}

/// The newest item of each of these nodes.
async fn last(
    connection: &mut Connection,
    account: &Address,
    numbers: &[i64],
    octets: u64,
) -> sqlx::Result<Answer> {
    let (mut found, mut sum) = (Vec::new(), 0);
    for number in numbers {
        let newest = ItemPage { last: true, limit: 1, ..ItemPage::default() };
        let (newest, _) = list(connection, account, *number, &newest, (0, i64::MAX)).await?;
        sum += newest.iter().map(|item| (item.payload.len() + item.id.len()) as u64).sum::<u64>();
        found.extend(newest.into_iter().map(|item| (*number, item)));
        if sum > octets {
            break;
        }
    }
    Ok(Answer::LastItems(found))
}

async fn items(
    connection: &mut Connection,
    account: &Address,
    number: i64,
    page: &ItemPage,
) -> sqlx::Result<Answer> {
    let mut span = (0, i64::MAX);
    if let Some(after) = &page.after {
        let Some(place) = place_of(connection, account, number, after).await? else {
            return Ok(Answer::Items(None));
        };
        span.0 = place;
    }
    if let Some(before) = &page.before {
        let Some(place) = place_of(connection, account, number, before).await? else {
            return Ok(Answer::Items(None));
        };
        span.1 = place;
    }
    let (items, cut) = list(connection, account, number, page, span).await?;
    let count = count_before(connection, account, number, i64::MAX).await?;
    let index = match items.first() {
        Some(first) => count_before(connection, account, number, first.place).await?,
        None => 0,
    };
    Ok(Answer::Items(Some(crate::query::Items { items, count, index, cut })))
}

async fn place_of(
    connection: &mut Connection,
    account: &Address,
    number: i64,
    id: &str,
) -> sqlx::Result<Option<i64>> {
    let mut statement = Statement::new("SELECT place");
    within(&mut statement, account, number);
    statement.push(" AND id = ").push_bind(id.to_owned());
    statement.build_query_scalar().fetch_optional(connection).await
}

async fn count_before(
    connection: &mut Connection,
    account: &Address,
    number: i64,
    place: i64,
) -> sqlx::Result<u64> {
    let mut statement = Statement::new("SELECT COUNT(*)");
    within(&mut statement, account, number);
    statement.push(" AND place < ").push_bind(place);
    let count: i64 = statement.build_query_scalar().fetch_one(connection).await?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// `FROM …`: a page's items between two places, from the end where it is to begin, at most so many.
fn between(
    statement: &mut Statement,
    account: &Address,
    number: i64,
    page: &ItemPage,
    (after, before): (i64, i64),
    limit: u32,
) {
    within(statement, account, number);
    statement.push(" AND place > ").push_bind(after).push(" AND place < ").push_bind(before);
    if let Some(ids) = &page.ids {
        among(statement, ids);
    }
    statement.push(if page.last { " ORDER BY place DESC LIMIT " } else { " ORDER BY place LIMIT " });
    statement.push_bind(i64::from(limit));
}

/// How many items of a page have not too many octets, the first in any case; and whether there are more.
async fn bounded(
    connection: &mut Connection,
    account: &Address,
    number: i64,
    page: &ItemPage,
    span: (i64, i64),
) -> sqlx::Result<(u32, bool)> {
    if page.octets == u64::MAX || page.names {
        return Ok((page.limit, false));
    }
    let mut statement = Statement::new("SELECT LENGTH(payload) + LENGTH(id)");
    between(&mut statement, account, number, page, span, page.limit);
    fitting(connection, statement, page.octets).await
}

/// Items between two places, the oldest first; where `last`, those at the end. Whether there are fewer than asked for.
async fn list(
    connection: &mut Connection,
    account: &Address,
    number: i64,
    page: &ItemPage,
    span: (i64, i64),
) -> sqlx::Result<(Vec<NodeItem>, bool)> {
    let (limit, cut) = bounded(connection, account, number, page, span).await?;
    let payload = if page.names { "SUBSTR(payload, 1, 0)" } else { "payload" };
    let mut statement = Statement::new(format!("SELECT place, id, publisher, {payload}"));
    between(&mut statement, account, number, page, span, limit);
    let rows = statement.build().fetch_all(connection).await?;
    let item = |row: &Row| {
        Ok(NodeItem {
            place: row.try_get_unchecked(0)?,
            id: row.try_get_unchecked(1)?,
            publisher: row.try_get_unchecked(2)?,
            payload: row.try_get_unchecked(3)?,
        })
    };
    let mut items = rows.iter().map(item).collect::<sqlx::Result<Vec<_>>>()?;
    if page.last {
        items.reverse();
    }
    Ok((items, cut))
}
