//! Rows that one statement puts into their table. It has places for a number of rows that is a power of two, so that few texts
//! are ever prepared; the database passes over those places that no row takes.

use crate::dialect::{Connection, Dialect, Engine, Statement};
use sqlx::sqlite::SqliteArguments;
use std::sync::OnceLock;

/// A statement with values for its places.
pub(crate) type Filled = sqlx::query::Query<'static, Engine, SqliteArguments>;

/// The most rows that one statement puts in: as many as a busy house has for one commit, and below every database's limit
/// of values.
pub(crate) const MOST: usize = 1024;

/// How many sizes of statements there are.
const SIZES: usize = MOST.ilog2() as usize + 1;

/// How rows are put into a table.
pub(crate) struct Insert {
    table: &'static str,
    /// Of a row, the first one is never null.
    columns: &'static [&'static str],
    /// The key, and the columns that are set anew where it is there already.
    or_set: Option<(&'static str, &'static [&'static str])>,
    texts: [[OnceLock<String>; SIZES]; Dialect::COUNT],
}

impl Insert {
    pub(crate) const fn new(table: &'static str, columns: &'static [&'static str]) -> Self {
        let texts = [const { [const { OnceLock::new() }; SIZES] }; Dialect::COUNT];
        Self { table, columns, or_set: None, texts }
    }

    /// Where `key` is there already, `columns` are set anew.
    pub(crate) const fn or_set(mut self, key: &'static str, columns: &'static [&'static str]) -> Self {
        self.or_set = Some((key, columns));
        self
    }

    /// Puts rows in, by one statement where they are [`MOST`] at most. `bind` gives it the values of one, in the order of
    /// the columns.
    pub(crate) async fn run<T>(
        &'static self,
        connection: &mut Connection,
        dialect: Dialect,
        rows: &[T],
        bind: impl Fn(Filled, &T) -> Filled,
    ) -> sqlx::Result<()> {
        for piece in rows.chunks(MOST) {
            let places = piece.len().next_power_of_two();
            let filled = piece.iter().fold(sqlx::query(self.text(dialect, places)), &bind);
            let empty = (places - piece.len()) * self.columns.len();
            let filled = (0..empty).fold(filled, |filled, _| filled.bind(None::<i64>));
            filled.execute(&mut *connection).await?;
        }
        Ok(())
    }

    fn text(&'static self, dialect: Dialect, places: usize) -> &'static str {
        let size = places.trailing_zeros() as usize;
        self.texts[dialect as usize][size].get_or_init(|| self.write(dialect, places))
    }

    fn write(&self, dialect: Dialect, places: usize) -> String {
        let (table, columns) = (self.table, self.columns.join(", "));
        let mut statement =
            Statement::new(format!("INSERT INTO {table} ({columns}) WITH filled ({columns}) AS ("));
        statement.push_values(0..places, |mut values, _| {
            for _ in self.columns {
                values.push_bind(None::<i64>);
            }
        });
        statement.push(format_args!(") SELECT {columns} FROM filled WHERE {} IS NOT NULL", self.columns[0]));
        if let Some((key, columns)) = self.or_set {
            dialect.or_set(&mut statement, key, columns);
        }
        statement.sql().as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static INSERT: Insert = Insert::new("t", &["a", "b"]).or_set("a", &["b"]);

    #[test]
    fn a_text_has_places_for_a_power_of_two() {
        for rows in [1, 2, 3, 64, 65, MOST] {
            let places = rows.next_power_of_two();
            let text = INSERT.text(Dialect::Sqlite, places);
            assert_eq!(text.matches('?').count(), 2 * places, "{rows}");
        }
        let text = "INSERT INTO t (a, b) WITH filled (a, b) AS (VALUES (?, ?), (?, ?)) SELECT a, b FROM filled \
                    WHERE a IS NOT NULL ON CONFLICT (a) DO UPDATE SET b = excluded.b";
        assert_eq!(INSERT.text(Dialect::Sqlite, 2), text);
        assert!(INSERT.text(Dialect::MariaDb, 1).ends_with("ON DUPLICATE KEY UPDATE b = VALUES(b)"));
    }
}
