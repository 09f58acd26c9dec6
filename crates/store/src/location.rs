//! Where a database is, as the configuration names it, and why it could not be opened.

use crate::dialect::Dialect;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a database could not be opened. Nothing was changed in it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not the URL of a database.
    #[error("`{0}` is not the URL of a database: write `sqlite:` and a path")]
    Url(String),
    /// A kind of database that this version cannot use.
    #[error("{0} is not supported by this version: write `sqlite:` and a path")]
    Unsupported(&'static str),
    /// There is no such file.
    #[error("there is no database {path}", path = .0.display())]
    Missing(PathBuf),
    /// The file exists, and a new one was to be made.
    #[error("{path} exists already", path = .0.display())]
    Exists(PathBuf),
    /// The folder of the file does not exist.
    #[error("there is no folder {path}", path = .0.display())]
    NoFolder(PathBuf),
    /// The file may not be read or written.
    #[error("{path} may not be used: {1}", path = .0.display())]
    Forbidden(PathBuf, std::io::Error),
    /// The file is something else, or damaged.
    #[error("{path} is not a database, or it is damaged: {1}", path = .0.display())]
    NotADatabase(PathBuf, String),
    /// The database belongs to another program.
    #[error("{path} is the database of another program", path = .0.display())]
    Foreign(PathBuf),
    /// Another process held the database for longer than we waited.
    #[error("another process holds {path}", path = .0.display())]
    Locked(PathBuf),
    /// A later version of the program wrote it.
    #[error(
        "{} was written by a later version of this program: its schema is number {found}, this version knows {known}",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The number of its last migration.
        found: i64,
        /// The number of the last migration that we know.
        known: i64,
    },
    /// Something else.
    #[error("{path} cannot be opened: {1}", path = .0.display())]
    Failed(PathBuf, String),
}

/// A database's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) dialect: Dialect,
    pub(crate) path: PathBuf,
    /// How long a transaction waits for another process.
    pub(crate) patience: Duration,
}

impl Location {
    /// Reads `sqlite:PATH`; a relative path starts at `base`.
    pub(crate) fn parse(url: &str, base: &Path, patience: Duration) -> Result<Self, OpenError> {
        let unknown = || OpenError::Url(url.to_owned());
        let (scheme, rest) = url.split_once(':').ok_or_else(unknown)?;
        let dialect = match scheme {
            "sqlite" => Dialect::Sqlite,
            "postgres" | "postgresql" => Dialect::Postgres,
            "mysql" | "mariadb" => Dialect::MariaDb,
            _ => return Err(unknown()),
        };
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if dialect != Dialect::Sqlite {
            return Err(OpenError::Unsupported(dialect.name()));
        }
        if path.is_empty() || path.contains(['?', ':']) {
            return Err(unknown());
        }
        Ok(Self { dialect, path: base.join(path), patience })
    }

    /// Refuses what cannot be opened with words for it.
    pub(crate) fn must_exist(&self) -> Result<(), OpenError> {
        self.must_have_folder()?;
        // Not opened here: closing it would take away the locks that this process may hold on it.
        match std::fs::metadata(&self.path) {
            Ok(meta) if meta.is_file() => Ok(()),
            Ok(_) => Err(OpenError::NotADatabase(self.path.clone(), "not a file".into())),
            Err(error) => Err(self.not_opened(error)),
        }
    }

    /// Makes an empty file that only its owner may read: secrets are in it.
    pub(crate) fn make(&self) -> Result<(), OpenError> {
        use std::os::unix::fs::OpenOptionsExt;
        self.must_have_folder()?;
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path);
        made.map(drop).map_err(|error| self.not_opened(error))
    }

    fn must_have_folder(&self) -> Result<(), OpenError> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if folder.is_dir() { Ok(()) } else { Err(OpenError::NoFolder(folder.to_owned())) }
    }

    fn not_opened(&self, error: std::io::Error) -> OpenError {
        let path = self.path.clone();
        match error.kind() {
            std::io::ErrorKind::NotFound => OpenError::Missing(path),
            std::io::ErrorKind::AlreadyExists => OpenError::Exists(path),
            _ => OpenError::Forbidden(path, error),
        }
    }

    /// What an error of the database means to whoever opens it.
    pub(crate) fn explain(&self, error: &sqlx::Error) -> OpenError {
        let path = self.path.clone();
        match Dialect::trouble(error) {
            crate::dialect::Trouble::Locked => OpenError::Locked(path),
            crate::dialect::Trouble::Damaged => OpenError::NotADatabase(path, error.to_string()),
            _ => OpenError::Failed(path, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Option<&str>) {
        let got =
            Location::parse(url, Path::new("/srv/parlour"), Duration::ZERO).map(|location| location.path);
        assert_eq!(got.ok().as_deref(), expected.map(Path::new), "{url}");
    }

    #[test]
    fn urls() {
        check("sqlite:data/parlour.db", Some("/srv/parlour/data/parlour.db"));
        check("sqlite:/var/lib/parlour.db", Some("/var/lib/parlour.db"));
        check("sqlite:///var/lib/parlour.db", Some("/var/lib/parlour.db"));
        check("sqlite:", None);
        check("sqlite::memory:", None);
        check("sqlite:a.db?mode=ro", None);
        check("data/parlour.db", None);
        check("oracle:x", None);
        check("postgres://localhost/parlour", None);
    }

    #[test]
    fn a_database_of_a_later_issue_is_named() {
        let error = Location::parse("mariadb://localhost/x", Path::new("/"), Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "MariaDB is not supported by this version: write `sqlite:` and a path");
    }
}
