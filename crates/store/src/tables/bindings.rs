//! Where addresses of record are reached.

use crate::dialect::{Connection, Dialect, Statement, pieces};
use crate::insert::Insert;
use crate::query::BindingRow;
use crate::tables::{PAGE, address, push_names};
use sqlx::Row as _;
use wire::Address;

static INSERT: Insert = Insert::new("bindings", &["aor", "place", "expires", "payload"])
    .or_set("aor, place", &["expires", "payload"]);

/// What an address is bound to from now on, after one change or several.
#[derive(Default)]
pub(crate) struct Bound<'a> {
    /// Of the last change.
    rows: &'a [BindingRow],
    /// Of those before it, in other places.
    before: Vec<&'a BindingRow>,
    /// These are all, and there may be more rows.
    pub(crate) fewer: bool,
}

impl<'a> Bound<'a> {
    /// Another change comes after those that are known.
    pub(crate) fn take(&mut self, rows: &'a [BindingRow], fewer: bool) {
        let is_new = |row: &BindingRow| rows.iter().any(|new| new.place == row.place);
        if fewer {
            self.before = Vec::new();
        } else if !self.rows.is_empty() {
            self.before.extend(self.rows);
            self.before.retain(|row| !is_new(row));
        }
        self.rows = rows;
        self.fewer |= fewer;
    }

    /// How many rows it writes.
    pub(crate) fn len(&self) -> usize {
        self.rows.len() + self.before.len()
    }

    fn all(&self) -> impl Iterator<Item = &'a BindingRow> {
        self.rows.iter().chain(self.before.iter().copied())
    }
}

/// An address and what it is bound to.
type Change<'a> = (&'a Address, Bound<'a>);

/// Sets what each address is bound to. Each stands in `changes` once. Rows that are there already are set anew in their
/// place: most registrations are refreshes.
pub(crate) async fn replace(
    connection: &mut Connection,
    dialect: Dialect,
    changes: &mut [Change<'_>],
) -> sqlx::Result<()> {
    changes.sort_unstable_by_key(|(aor, bound)| (!bound.fewer, bound.len(), aor.as_str()));
    let fewer = changes.partition_point(|(_, bound)| bound.fewer);
    for same in changes[..fewer].chunk_by(|(_, one), (_, next)| one.len() == next.len()) {
        for piece in pieces(same) {
            forget_from(connection, piece).await?;
        }
    }
    let rows: Vec<(&Address, &BindingRow)> =
        changes.iter().flat_map(|(aor, bound)| bound.all().map(|row| (*aor, row))).collect();
    INSERT
        .run(connection, dialect, &rows, |filled, (aor, row)| {
            filled.bind(aor.as_str()).bind(row.place).bind(row.expires).bind(&row.payload[..])
        })
        .await
}

/// Forgets the rows of addresses behind those that they have now: as many each.
async fn forget_from(connection: &mut Connection, changes: &[Change<'_>]) -> sqlx::Result<()> {
    let Some((_, bound)) = changes.first() else { return Ok(()) };
    let first = i64::try_from(bound.len()).unwrap_or(i64::MAX);
    let mut statement = Statement::new("DELETE FROM bindings WHERE place >= ");
    statement.push_bind(first).push(" AND aor IN (");
    push_names(&mut statement, changes.iter().map(|(aor, _)| aor.as_str()));
    statement.push(")").build().execute(connection).await.map(drop)
}

/// Forgets what ended before a time.
pub(crate) async fn purge(connection: &mut Connection, before: i64) -> sqlx::Result<()> {
    let mut statement = Statement::new("DELETE FROM bindings WHERE expires < ");
    statement.push_bind(before).build().execute(connection).await.map(drop)
}

/// Every binding, grouped by address.
pub(crate) async fn load(connection: &mut Connection) -> sqlx::Result<Vec<(Address, Vec<BindingRow>)>> {
    let mut bindings: Vec<(Address, Vec<BindingRow>)> = Vec::new();
    let mut after = (String::new(), 0i64);
    loop {
        let mut statement =
            Statement::new("SELECT aor, place, expires, payload FROM bindings WHERE (aor, place) > (");
        statement.separated(", ").push_bind(after.0.as_str()).push_bind(after.1);
        statement.push(") ORDER BY aor, place LIMIT ").push_bind(PAGE);
        let rows = statement.build().fetch_all(&mut *connection).await?;
        let Some(last) = rows.last() else { return Ok(bindings) };
        after = (last.try_get_unchecked(0)?, last.try_get_unchecked(1)?);
        for row in &rows {
            let aor: &str = row.try_get_unchecked(0)?;
            let binding = BindingRow {
                place: row.try_get_unchecked(1)?,
                expires: row.try_get_unchecked(2)?,
                payload: row.try_get_unchecked(3)?,
            };
            match bindings.last_mut() {
                Some((address, rows)) if address.as_str() == aor => rows.push(binding),
                _ => bindings.extend(address(aor).map(|address| (address, vec![binding]))),
            }
        }
    }
}
