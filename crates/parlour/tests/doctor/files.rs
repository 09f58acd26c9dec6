//! Faults of the data folder.

use crate::visit::{BINARY, chmod, done, house, visit, visit_by};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use testkit::House;

fn shell(house: &House, line: &str) {
    done("sh", &["-c", &format!("cd {} && {line}", house.dir().display())]);
}

#[test]
fn what_others_may_read() {
    let house = house().prepare();
    visit(&house, "files").found(&[]);
    let key = house.dir().join("data/certs/falcot.com.key");
    chmod(&key, 0o644);
    visit(&house, "files").found(&["warning readable"]);
    chmod(&house.dir().join("data"), 0o755);
    visit(&house, "files").found(&["warning open-folder", "warning readable"]);
    chmod(&house.dir().join("data/certs"), 0o755);
    chmod(house.dir(), 0o755);
    let said = visit(&house, "files");
    said.found(&["error readable", "warning open-folder"]);
    said.says("readable", "fix", &format!("chmod 600 {}", key.display()));
    said.says("readable", "evidence", "mode 644");
}

#[test]
fn files_of_the_wrong_user() {
    if !std::fs::metadata("/proc/self").is_ok_and(|facts| facts.uid() == 0) {
        println!("skipped: files are given away by root alone");
        return;
    }
    let house = house().prepare();
    // As after `sudo parlour user add` on a folder of the service's user.
    shell(&house, "chown -R nobody data && chown root data/parlour.db && chmod 600 data/parlour.db");
    let said = visit(&house, "files");
    said.found(&["error owner"]);
    said.says("owner", "fix", "chown nobody:");
    shell(&house, "chown nobody data/parlour.db && chmod 400 data/parlour.db");
    visit(&house, "files").found(&["error owner"]);
}

#[test]
fn a_database_that_is_damaged_foreign_newer_or_gone() {
    let house = house().prepare();
    let path = house.dir().join("data/parlour.db");
    let whole = std::fs::read(&path).expect("there is one");
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).expect("ours");
    file.seek(SeekFrom::Start(8192)).and_then(|_| file.write_all(&[0x5A; 9000])).expect("ours");
    drop(file);
    let said = visit(&house, "files");
    said.found(&["error database"]);
    said.says("database", "fix", ".recover");
    std::fs::write(&path, &whole).expect("ours");
    visit(&house, "files").found(&[]);
    // As a later version leaves it behind.
    let newer = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\n\
                 db.execute(\"INSERT INTO parlour_migrations VALUES (999, 'later', 0)\")\ndb.commit()\n";
    done("python3", &["-c", newer, &path.to_string_lossy()]);
    let said = visit(&house, "files");
    said.found(&["error database"]);
    said.says("database", "evidence", "later version");
    std::fs::remove_file(&path).expect("ours");
    visit(&house, "files").found(&["notice no-database"]);
    std::fs::write(&path, "notes of somebody, which have nothing to do with databases").expect("ours");
    chmod(&path, 0o600);
    visit(&house, "files").found(&["error database"]);
    shell(&house, "mv data elsewhere");
    let lost = visit(&house, "configuration");
    lost.found(&["warning odd"]);
    lost.says("odd", "message", "no certificate for falcot.com yet");
}

#[test]
fn a_data_folder_that_is_not_there() {
    let house = house().prepare();
    house.set("storage", "url", "\"sqlite:elsewhere/parlour.db\"");
    let said = visit(&house, "files");
    said.found(&["error no-data"]);
    said.says("no-data", "fix", "install -d -m 700");
}

#[test]
fn a_disk_that_is_full() {
    let house = house().prepare();
    let inside = "mount -t tmpfs -o size=8m none \"$1/data\" 2>/dev/null || exit 77\n\
                  cp -a \"$1/elsewhere/.\" \"$1/data\"; chmod 700 \"$1/data\"\n\
                  exec \"$2\" --config \"$1/parlour.toml\" doctor --json --only files";
    shell(&house, "cp -a data elsewhere");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", inside, "sh"]).arg(house.dir()).arg(BINARY);
    let tried = Command::new("unshare").args(["--mount", "true"]).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        println!("skipped: no mount namespaces here (root is needed)");
        return;
    }
    let said = visit_by(&house, command, "yes");
    said.found(&["error space"]);
    said.says("space", "evidence", "of 8 MiB are free");
}
