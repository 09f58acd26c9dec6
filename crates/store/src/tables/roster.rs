//! Rosters: an account's contacts (RFC 6121 §2).

use crate::dialect::{Connection, Dialect, Row, Statement, pieces};
use crate::query::{GROUP_SEPARATOR, RosterItem, Subscription};
use sqlx::Row as _;
use wire::Address;

const COLUMNS: &str =
    "account, contact, nickname, subscription, ask, approved, pending, listed, contact_groups";

/// What putting an item changes where it is there already.
const SET: &[&str] = &["nickname", "subscription", "ask", "approved", "pending", "listed", "contact_groups"];

/// Adds or replaces items. Each stands in `items` once.
pub(crate) async fn put(
    connection: &mut Connection,
    dialect: Dialect,
    items: &[(&Address, &RosterItem)],
) -> sqlx::Result<()> {
    for piece in pieces(items) {
        let mut statement = Statement::new(format!("INSERT INTO roster_items ({COLUMNS}) "));
        statement.push_values(piece, |mut values, (account, item)| {
            values
                .push_bind(account.as_str())
                .push_bind(item.contact.as_str())
                .push_bind(item.name.as_deref());
            values.push_bind(number(item.subscription));
            values.push_bind(i64::from(item.ask)).push_bind(i64::from(item.approved));
            values.push_bind(item.pending.as_deref()).push_bind(i64::from(item.listed));
            values.push_bind(join(&item.groups));
        });
        dialect.or_set(&mut statement, "account, contact", SET);
        statement.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Takes one item out.
pub(crate) async fn remove(
    connection: &mut Connection,
    account: &Address,
    contact: &str,
) -> sqlx::Result<()> {
    let mut statement = Statement::new("DELETE FROM roster_items WHERE account = ");
    statement.push_bind(account.as_str()).push(" AND contact = ").push_bind(contact);
    statement.build().execute(connection).await.map(drop)
}

/// An account's roster.
pub(crate) async fn load(connection: &mut Connection, account: &Address) -> sqlx::Result<Vec<RosterItem>> {
    let mut statement = Statement::new(format!("SELECT {COLUMNS} FROM roster_items WHERE account = "));
    statement.push_bind(account.as_str()).push(" ORDER BY contact");
    statement.build().fetch_all(connection).await?.iter().map(item).collect()
}

fn item(row: &Row) -> sqlx::Result<RosterItem> {
    let flag = |column: usize| row.try_get_unchecked::<i64, _>(column).map(|number| number != 0);
    let groups: &str = row.try_get_unchecked(8)?;
    Ok(RosterItem {
        contact: row.try_get_unchecked(1)?,
        name: row.try_get_unchecked(2)?,
        subscription: subscription(row.try_get_unchecked(3)?),
        ask: flag(4)?,
        approved: flag(5)?,
        pending: row.try_get_unchecked(6)?,
        listed: flag(7)?,
        groups: groups.split(GROUP_SEPARATOR).filter(|group| !group.is_empty()).map(str::to_owned).collect(),
    })
}

fn join(groups: &[String]) -> String {
    groups.join(GROUP_SEPARATOR.encode_utf8(&mut [0; 4]))
}

const fn number(subscription: Subscription) -> i64 {
    match subscription {
        Subscription::None => 0,
        Subscription::To => 1,
        Subscription::From => 2,
        Subscription::Both => 3,
    }
}

/// A number that we never wrote gives nobody's presence away.
const fn subscription(number: i64) -> Subscription {
    match number {
        1 => Subscription::To,
        2 => Subscription::From,
        3 => Subscription::Both,
        _ => Subscription::None,
    }
}
