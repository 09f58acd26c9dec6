//! Looks whether a database is whole, without changing anything in it: also while a server works on it.

use crate::dialect::Connection;
use crate::location::{Location, OpenError};
use crate::schema;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection as _};
use std::path::Path;
use std::time::Duration;

/// How much damage is told.
const MOST: usize = 5;

/// What is damaged in the database that `url` names, in SQLite's words; nothing where it is whole. The larger it is, the longer
/// that takes: a second for a gigabyte on a good disk.
pub async fn examine(url: &str, base: &Path, patience: Duration) -> Result<Vec<String>, OpenError> {
    let location = Location::parse(url, base, patience)?;
    location.must_exist()?;
    let options = SqliteConnectOptions::new().filename(&location.path).read_only(true).busy_timeout(patience);
    let connected = options.disable_statement_logging().connect().await;
    let mut connection = connected.map_err(|error| location.explain(&error))?;
    let said = look(&mut connection, &location).await;
    // As long as it is open, whoever works on the database does not clear its log away. It has only read.
    drop(connection.close().await);
    said
}

async fn look(connection: &mut Connection, location: &Location) -> Result<Vec<String>, OpenError> {
    schema::must_be_known(connection, location).await?;
    let said = sqlx::query_scalar("PRAGMA quick_check(5)").fetch_all(connection).await;
    let said: Vec<String> = said.map_err(|error| location.explain(&error))?;
    Ok(said.into_iter().filter(|line| line != "ok").take(MOST).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Settings, Store};
    use std::io::{Seek, SeekFrom, Write};

    fn look(path: &Path) -> Result<Vec<String>, OpenError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let url = format!("sqlite:{}", path.display());
        runtime.block_on(examine(&url, Path::new("/"), Duration::from_secs(5)))
    }

    #[test]
    fn what_is_whole_and_what_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        assert!(matches!(look(&path), Err(OpenError::Missing(_))));
        let store = Store::create(&format!("sqlite:{}", path.display()), Path::new("/"), Settings::default());
        let store = store.unwrap();
        assert_eq!(look(&path).unwrap(), [""; 0], "while somebody works on it");
        store.close();
        assert_eq!(look(&path).unwrap(), [""; 0]);
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(4096)).unwrap();
        file.write_all(&[0xA5; 3000]).unwrap();
        drop(file);
        assert!(look(&path).map_or(true, |said| !said.is_empty()));
        std::fs::write(&path, "something else, and long enough to be looked at as a database's head")
            .unwrap();
        assert!(matches!(look(&path), Err(OpenError::NotADatabase(..))));
    }
}
