//! PowerDNS with one zone in a SQLite database.

use super::{KEY, NameServer, SECRET};
use std::path::Path;
use std::process::Command;

/// The tables, as Debian's package has them.
const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

impl NameServer {
    /// PowerDNS with a zone that whoever has the key may change.
    ///
    /// # Panics
    /// When it does not start.
    pub fn powerdns(apex: &str, zone: &str) -> Self {
        let text = |dir: &Path, port: u16| {
            let place = dir.display();
            let database = format!("sqlite3 {place}/pdns.db < {SCHEMA}");
            run(Command::new("sh").args(["-c", &database]));
            format!(
                "launch=gsqlite3\ngsqlite3-database={place}/pdns.db\nlocal-address=127.0.0.1\nlocal-port={port}\n\
                 socket-dir={place}\ndnsupdate=yes\ndaemon=no\nguardian=no\nsecurity-poll-suffix=\n"
            )
        };
        Self::start(&[(apex, zone)], "pdns.conf", text, |conf| {
            let dir = conf.parent().expect("it lies in a folder");
            let place = format!("--config-dir={}", dir.display());
            let file = dir.join(format!("{apex}.zone"));
            let util = |words: &[&str]| run(Command::new("pdnsutil").arg(&place).args(words));
            util(&["load-zone", apex, &file.to_string_lossy()]);
            util(&["import-tsig-key", KEY, "hmac-sha256", SECRET]);
            util(&["set-meta", apex, "TSIG-ALLOW-DNSUPDATE", KEY]);
            let mut command = Command::new("pdns_server");
            command.arg(&place);
            (command, "pdns-server and pdns-backend-sqlite3")
        })
    }
}

fn run(command: &mut Command) {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?} ({error}): Debian: pdns-server"));
    let said = [&output.stdout[..], &output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
}
