//! The data folder: who may read and write what lies in it, whether the database is whole, how much room is left.

use super::disk::{Room, Want, owner_and_mode, user};
use super::notes::{Finding, Notes};
use super::{Patient, Skipped};
use crate::admin::here;
use crate::config::Plan;
use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use store::{Health, OpenError};

/// How long the database may take to be looked at, and to be free.
const PATIENCE: Duration = Duration::from_secs(60);
const LOCKED: Duration = Duration::from_secs(5);

pub(super) fn look(patient: &mut Patient, notes: &mut Notes) -> Result<(), Skipped> {
    let plan = &patient.plan;
    let Ok(folder) = std::fs::metadata(&plan.data) else {
        let name = plan.data.display();
        let finding = Finding::error("no-data", format!("there is no data folder {name}"));
        let fix = format!("install -d -m 700 {name}   # as the server's user; or set storage.url");
        notes.found(finding.seen(format!("storage.url is {}", plan.storage.url)).mend(fix));
        return Ok(());
    };
    quick(plan, notes);
    let server = patient.pid.and_then(uid_of);
    owners(plan, server.unwrap_or(folder.uid()), notes);
    database(plan, patient.pid.is_some(), notes);
    Ok(())
}

/// What is told at once.
pub(super) fn quick(plan: &Plan, notes: &mut Notes) {
    permissions(plan, notes);
    room(plan, notes);
}

/// What the running server says of its database.
pub(super) fn storage(plan: &Plan, health: Health, notes: &mut Notes) {
    if health.failing {
        let finding = Finding::error("storage", "what changes cannot be written: the last commit failed");
        let seen = format!("{}: {} questions wait", plan.storage.url, health.waiting);
        notes.found(finding.seen(seen).mend("parlour doctor --only files   # and journalctl -u parlour"));
    }
}

fn uid_of(pid: u32) -> Option<u32> {
    std::fs::metadata(format!("/proc/{pid}")).ok().map(|facts| facts.uid())
}

/// Files that nobody but the server may read: what lies there, and what it is.
fn secrets(plan: &Plan) -> Vec<(PathBuf, &'static str)> {
    let mut all = vec![
        (plan.data.join("server.secret"), "the server's own secret"),
        (plan.data.join("certs/authority.key"), "the key of our own authority"),
    ];
    all.extend(database_file(plan).map(|path| (path, "the database with everybody's keys")));
    all.extend(keys(plan).map(|key| (key.clone(), "the certificate's key")));
    all
}

/// The files with the keys of certificates.
fn keys(plan: &Plan) -> impl Iterator<Item = &PathBuf> {
    plan.tls.iter().flat_map(|tls| &tls.certificates).map(|one| &one.key)
}

fn database_file(plan: &Plan) -> Option<PathBuf> {
    plan.storage.url.strip_prefix("sqlite:").map(PathBuf::from)
}

/// Whether others may read what is the server's alone.
fn permissions(plan: &Plan, notes: &mut Notes) {
    for (path, what) in secrets(plan) {
        let Ok(facts) = std::fs::metadata(&path) else { continue };
        let mode = facts.permissions().mode();
        if mode & 0o006 != 0 {
            let finding = match closed_above(&path) {
                true => {
                    Finding::warning("readable", format!("its folder alone keeps others from reading {what}"))
                }
                false => Finding::error("readable", format!("every user of this host may read {what}")),
            };
            let seen = format!("{}: {}", path.display(), owner_and_mode(&facts));
            notes.found(finding.seen(seen).mend(format!("chmod 600 {}", path.display())));
        }
    }
    let Ok(facts) = std::fs::metadata(&plan.data) else { return };
    if facts.permissions().mode() & 0o007 != 0 {
        let name = plan.data.display();
        let finding = Finding::warning("open-folder", format!("others may look into the data folder {name}"));
        notes.found(finding.seen(owner_and_mode(&facts)).mend(format!("chmod o-rwx {name}")));
    }
}

/// Whether a folder on the way keeps everybody else out.
fn closed_above(path: &Path) -> bool {
    let closed =
        |folder: &Path| std::fs::metadata(folder).is_ok_and(|facts| facts.permissions().mode() & 0o001 == 0);
    path.ancestors().skip(1).any(closed)
}

fn room(plan: &Plan, notes: &mut Notes) {
    let Some(room) = Room::at(&plan.data) else { return };
    let (data, mib) = (plan.data.display(), room.free >> 20);
    let left = room.files.map_or_else(String::new, |files| format!(", room for {files} files"));
    let seen = format!("{mib} MiB of {} MiB are free{left}", room.size >> 20);
    let finding = match room.want() {
        Want::None => return notes.fine(format!("{data}: {seen}")),
        Want::Soon => Finding::warning("space", format!("the disk of {data} is nearly full")),
        Want::Now => Finding::error("space", format!("the disk of {data} is full: nothing can be kept")),
    };
    let hint =
        "frees room: `parlour` keeps messages for xmpp.archive-for; see also `journalctl --vacuum-size=200M`";
    notes.found(finding.seen(seen).mend(format!("du -xh --max-depth=1 {data}   # {hint}")));
}

/// Whether the server's user may work with its files.
fn owners(plan: &Plan, server: u32, notes: &mut Notes) {
    let files = database_file(plan)
        .into_iter()
        .flat_map(|path| ["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{}{end}", path.display()))));
    let own = ["server.secret", "server.lock", "certs"].map(|name| plan.data.join(name));
    for path in files.chain(own).chain(keys(plan).cloned()).chain([plan.data.clone()]) {
        let Ok(facts) = std::fs::metadata(&path) else { continue };
        let writes = keys(plan).all(|key| *key != path);
        if !may_use(&facts, server, writes) {
            let (name, user) = (path.display(), user(server));
            let verb = if writes { "write" } else { "read" };
            let message = format!("the server's user {user} may not {verb} {name}");
            let fix =
                format!("chown {user}: {name} && chmod u+rw{} {name}", if facts.is_dir() { "x" } else { "" });
            notes.found(Finding::error("owner", message).seen(owner_and_mode(&facts)).mend(fix));
        }
    }
}

fn may_use(facts: &Metadata, user: u32, writes: bool) -> bool {
    let mode = facts.permissions().mode();
    let needed = if writes { 0o6 } else { 0o4 };
    let its_own = facts.uid() == user && (mode >> 6) & needed == needed;
    // Root may do anything, and what a group may is the administrator's choice.
    user == 0 && mode & 0o600 != 0 || its_own || (mode >> 3) & needed == needed || (mode & needed) == needed
}

fn database(plan: &Plan, running: bool, notes: &mut Notes) {
    let work = async {
        tokio::time::timeout(PATIENCE, store::examine(&plan.storage.url, Path::new("/"), LOCKED)).await
    };
    let Some(path) = database_file(plan) else { return };
    let name = path.display();
    let restore = format!(
        "stop the server, then: sqlite3 {name} .recover | sqlite3 {name}.new   # or put back your last copy"
    );
    match here::block_on(work) {
        Ok(Ok(Ok(damage))) if damage.is_empty() => notes.fine(format!("{name} is whole")),
        Ok(Ok(Ok(damage))) => {
            let finding = Finding::error("database", format!("the database {name} is damaged"));
            notes.found(finding.seen(damage.join("\n")).mend(restore));
        }
        Ok(Ok(Err(OpenError::Missing(_)))) if !running => {
            let finding = Finding::notice("no-database", format!("there is no database {name} yet"));
            notes.found(
                finding
                    .seen(plan.storage.url.clone())
                    .mend("it is made at the first start; or set storage.url"),
            );
        }
        Ok(Ok(Err(error))) => {
            let fix = match &error {
                OpenError::Newer { .. } => {
                    "install the version that has written it, or put back your last copy".into()
                }
                OpenError::Missing(_) => format!("restart the server, or put {name} back"),
                OpenError::Foreign(_) | OpenError::Url(_) | OpenError::Unsupported(_) => {
                    "[storage]\nurl = \"sqlite:data/parlour.db\"".into()
                }
                OpenError::Locked(_) => format!("fuser -v {name}   # says who holds it"),
                _ => restore,
            };
            let finding = Finding::error("database", format!("the database {name} cannot be used"));
            notes.found(finding.seen(error.to_string()).mend(fix));
        }
        Ok(Err(_)) => notes.fine(format!("{name} is so large that it was not looked at to its end")),
        Err(failure) => notes.fine(format!("{name} was not looked at: {failure}")),
    }
}
