//! What differs between the databases: types, upserts, how a transaction begins, what an error means.
//! Placeholders (`?`, `$1`) are sqlx's: its query builder writes them.

use sqlx::ConnectOptions;
use sqlx::error::ErrorKind;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use std::path::Path;
use std::time::Duration;

/// The engine that the queries are compiled for.
pub(crate) type Engine = sqlx::Sqlite;
/// A connection to it.
pub(crate) type Connection = sqlx::SqliteConnection;
/// A row that it returned.
pub(crate) type Row = sqlx::sqlite::SqliteRow;
/// Writes a statement with its values.
pub(crate) type Statement = sqlx::QueryBuilder<Engine>;

/// The most rows that one statement writes: below every database's limit of values.
pub(crate) const MAX_ROWS: usize = 256;

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
    MariaDb,
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The row's account is not there.
    NoAccount,
    /// The row breaks another rule of its table.
    Row,
    /// Another process holds the database.
    Locked,
    /// The file is not a database, or it is damaged.
    Damaged,
    /// Anything else: disk full, connection lost …
    Other,
}

impl Dialect {
    /// How many there are.
    pub(crate) const COUNT: usize = 3;

    /// Its name, as people write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MariaDb => "MariaDB",
        }
    }

    /// What each `{word}` of a migration means.
    const fn words(self) -> [(&'static str, &'static str); 6] {
        match self {
            Self::Sqlite => [
                ("{name}", "TEXT"),
                ("{text}", "TEXT"),
                ("{integer}", "INTEGER"),
                ("{bytes}", "BLOB"),
                ("{serial}", "INTEGER PRIMARY KEY AUTOINCREMENT"),
                ("{clustered}", "WITHOUT ROWID"),
            ],
            Self::Postgres => [
                ("{name}", "TEXT COLLATE \"C\""),
                ("{text}", "TEXT"),
                ("{integer}", "BIGINT"),
                ("{bytes}", "BYTEA"),
                ("{serial}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
                ("{clustered}", ""),
            ],
            // Names are compared octet by octet; two of them fit into one key of InnoDB (3072 octets).
            Self::MariaDb => [
                ("{name}", "VARBINARY(1280)"),
                ("{text}", "TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
                ("{integer}", "BIGINT"),
                ("{bytes}", "LONGBLOB"),
                ("{serial}", "BIGINT AUTO_INCREMENT PRIMARY KEY"),
                ("{clustered}", "ENGINE=InnoDB"),
            ],
        }
    }

    /// A migration in this database's words.
    pub(crate) fn schema(self, text: &str) -> String {
        self.words().iter().fold(text.to_owned(), |text, (word, meaning)| text.replace(word, meaning))
    }

    /// How a transaction that writes begins: SQLite must take its lock at once, or two writers can get stuck.
    pub(crate) const fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres | Self::MariaDb => "START TRANSACTION",
        }
    }

    /// Ends an `INSERT`: where a row with the same key is there, `columns` are set anew.
    pub(crate) fn or_set(self, statement: &mut Statement, key: &str, columns: &[&str]) {
        match self {
            Self::Sqlite | Self::Postgres => {
                statement.push(format_args!(" ON CONFLICT ({key}) DO UPDATE SET "));
            }
            Self::MariaDb => {
                statement.push(" ON DUPLICATE KEY UPDATE ");
            }
        }
        for (i, column) in columns.iter().enumerate() {
            statement.push(if i == 0 { "" } else { ", " });
            match self {
                Self::Sqlite | Self::Postgres => statement.push(format_args!("{column} = excluded.{column}")),
                Self::MariaDb => statement.push(format_args!("{column} = VALUES({column})")),
            };
        }
    }

    /// How many tables there are.
    pub(crate) const fn count_tables(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            }
            Self::Postgres => {
                "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema()"
            }
            Self::MariaDb => "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = database()",
        }
    }

    /// Whether the table of migrations is there.
    pub(crate) const fn find_migrations(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'parlour_migrations'"
            }
            Self::Postgres => {
                "SELECT COUNT(*) FROM information_schema.tables \
                 WHERE table_schema = current_schema() AND table_name = 'parlour_migrations'"
            }
            Self::MariaDb => {
                "SELECT COUNT(*) FROM information_schema.tables \
                 WHERE table_schema = database() AND table_name = 'parlour_migrations'"
            }
        }
    }

    /// Whose fault an error is.
    pub(crate) fn trouble(error: &sqlx::Error) -> Trouble {
        let Some(error) = error.as_database_error() else { return Trouble::Other };
        match error.kind() {
            ErrorKind::ForeignKeyViolation => Trouble::NoAccount,
            ErrorKind::UniqueViolation | ErrorKind::NotNullViolation | ErrorKind::CheckViolation => {
                Trouble::Row
            }
            // SQLite's primary result codes stand in the low octet of the extended ones.
            _ => match error.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff) {
                Some(5 | 6) => Trouble::Locked,
                Some(11 | 26) => Trouble::Damaged,
                Some(18..=20) => Trouble::Row,
                _ => Trouble::Other,
            },
        }
    }
}

/// How a SQLite file is opened: readers beside one writer, and on the disk before a commit returns.
pub(crate) fn sqlite(path: &Path, patience: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(patience)
        // Pages are copied from the log into the file in fewer, larger turns than by default (1000).
        .pragma("wal_autocheckpoint", "4000")
        .pragma("cache_size", "-16384")
        .thread_name(|id| format!("store-sqlite-{id}"))
        .disable_statement_logging()
}

/// Cuts rows into statements: of [`MAX_ROWS`] rows, then of a power of two, so that few texts are ever prepared.
pub(crate) fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = if rows.len() >= MAX_ROWS { MAX_ROWS } else { (rows.len() + 1).next_power_of_two() / 2 };
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_powers_of_two() {
        let check = |n: usize, expected: &[usize]| {
            let rows = vec![(); n];
            assert_eq!(pieces(&rows).map(<[()]>::len).collect::<Vec<_>>(), expected);
        };
        check(0, &[]);
        check(1, &[1]);
        check(2, &[2]);
        check(7, &[4, 2, 1]);
        check(100, &[64, 32, 4]);
        check(600, &[256, 256, 64, 16, 8]);
    }

    #[test]
    fn upserts() {
        let check = |dialect: Dialect, expected: &str| {
            let mut statement = Statement::new("");
            dialect.or_set(&mut statement, "a, b", &["c", "d"]);
            assert_eq!(statement.sql().as_str(), expected);
        };
        let standard = " ON CONFLICT (a, b) DO UPDATE SET c = excluded.c, d = excluded.d";
        check(Dialect::Sqlite, standard);
        check(Dialect::Postgres, standard);
        check(Dialect::MariaDb, " ON DUPLICATE KEY UPDATE c = VALUES(c), d = VALUES(d)");
    }
}
