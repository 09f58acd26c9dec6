//! The commands on accounts.

use super::answers::{Imported, PasswordSet, Removed, User, UserDetails, Users};
use super::arguments::Arguments;
use super::backend::Backend;
use super::command::{Reply, reply};
use super::failure::{Failure, Kind};
use crate::accounts::import::RowFault;
use crate::accounts::{Put, derive, import};
use serde_json::{Value, json};
use store::AccountRecord;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wire::{Account, Address, Directory, Keys, Secret};

pub(crate) fn add<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(set(house, arguments, Put::New, "added"))
}

pub(crate) fn passwd<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(set(house, arguments, Put::Known, "changed"))
}

async fn set(house: &dyn Backend, arguments: &Arguments, which: Put, result: &str) -> Result<Value, Failure> {
    let directory = house.accounts().directory();
    let address = arguments.address("address", &directory)?;
    let generated = arguments.flag("generate").then(derive::password);
    let password = match (&generated, arguments.password("password")) {
        (Some(password), None) => Secret::new(password.as_bytes()),
        (None, Some(password)) => password?,
        (Some(_), Some(_)) => return Err(Failure::usage("either `password` or `generate`, not both")),
        (None, None) => return Err(Failure::usage("`password` is missing; `generate` makes one")),
    };
    refuse_early(house, &address, which)?;
    let account = derive_aside(address.clone(), password).await?;
    house.accounts().put(vec![account], which).await?;
    reply(&PasswordSet { address: address.to_string(), result: result.into(), password: generated })
}

/// Spares the derivation of keys that would not be written.
fn refuse_early(house: &dyn Backend, address: &Address, which: Put) -> Result<(), Failure> {
    let known = house.accounts().directory().get(address).is_some();
    match which {
        Put::New if known => Err(Failure::new(Kind::Conflict, format!("already there: {address}"))),
        Put::Known if !known => Err(no_account(address)),
        _ => Ok(()),
    }
}

fn no_account(address: &Address) -> Failure {
    Failure::new(Kind::NotFound, format!("there is no account {address}"))
}

/// Derives keys where that holds nobody up.
async fn derive_aside(address: Address, password: Secret) -> Result<Account, Failure> {
    let work = move || Account { keys: derive::keys(&address, &password), address };
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::failed(error.to_string()))
}

pub(crate) fn remove<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let address = arguments.address("address", &house.accounts().directory())?;
        house.accounts().remove(&address).await?;
        reply(&Removed { address: address.to_string() })
    })
}

pub(crate) fn list<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let directory = house.accounts().directory();
        let domain = arguments.domain("domain", &directory)?;
        let wanted =
            |address: &Address| domain.as_ref().is_none_or(|domain| domain.as_str() == address.domain());
        let mut accounts: Vec<_> = directory.iter().filter(|account| wanted(&account.address)).collect();
        accounts.sort_by_key(|account| (account.address.domain(), account.address.user()));
        let user = |account: &&std::sync::Arc<Account>| User {
            address: account.address.to_string(),
            works: works(account, &directory),
        };
        reply(&Users { users: accounts.iter().map(user).collect() })
    })
}

pub(crate) fn show<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let address = arguments.address("address", &house.accounts().directory())?;
        let record = house.accounts().record(&address).await?;
        reply(&details(record.ok_or_else(|| no_account(&address))?, &house.accounts().directory()))
    })
}

fn details(record: AccountRecord, directory: &Directory) -> UserDetails {
    let works = works(&record.account, directory);
    let AccountRecord { account: Account { address, keys }, created, changed } = record;
    let (there, missing): (Vec<_>, Vec<_>) = key_list(&keys).into_iter().partition(|(_, there)| *there);
    let names = |list: Vec<(&str, bool)>| list.into_iter().map(|(name, _)| name.to_owned()).collect();
    UserDetails {
        address: address.to_string(),
        created: date(created),
        changed: date(changed),
        keys: names(there),
        missing: names(missing),
        works,
        limits: limits(&keys),
    }
}

fn date(unix: i64) -> String {
    let date = OffsetDateTime::from_unix_timestamp(unix).ok().and_then(|date| date.format(&Rfc3339).ok());
    date.unwrap_or_else(|| unix.to_string())
}

fn key_list(keys: &Keys) -> [(&'static str, bool); 9] {
    [
        ("scram-sha-1", keys.scram_sha1.is_some()),
        ("scram-sha-256", keys.scram_sha256.is_some()),
        ("ha1-md5", keys.md5.is_some()),
        ("ha1-sha256", keys.sha256.is_some()),
        ("ha1-md5-whole", keys.md5_whole.is_some()),
        ("ha1-sha256-whole", keys.sha256_whole.is_some()),
        ("ha1-sha512-256", keys.sha512_256.is_some()),
        ("ha1-sha512-256-whole", keys.sha512_256_whole.is_some()),
        ("scram-sha-512", keys.scram_sha512.is_some()),
    ]
}

/// The protocols that an account's keys suffice for. TURN knows MD5 alone, and takes a user part without a domain for one
/// of the first domain.
fn works(account: &Account, directory: &Directory) -> Vec<String> {
    let keys = &account.keys;
    let is_first = directory.first_domain().is_some_and(|first| first.as_str() == account.address.domain());
    let sip = keys.md5.is_some() || keys.sha256.is_some() || keys.sha512_256.is_some();
    let turn = keys.md5_whole.is_some() || (is_first && keys.md5.is_some());
    let scram = [keys.scram_sha1.is_some(), keys.scram_sha256.is_some(), keys.scram_sha512.is_some()];
    let xmpp = scram.contains(&true);
    let rows = [("sip", sip), ("turn", turn), ("xmpp", xmpp)];
    rows.into_iter().filter(|(_, works)| *works).map(|(name, _)| name.to_owned()).collect()
}

/// What does not work for want of a key.
fn limits(keys: &Keys) -> Vec<String> {
    let rows = [
        (keys.md5.is_none(), "TURN clients, and SIP clients that know MD5 only, cannot log in (ha1-md5)"),
        (keys.sha256.is_none(), "SIP clients that insist on SHA-256 cannot log in (ha1-sha256)"),
        (
            keys.md5_whole.is_none() && keys.md5.is_some(),
            "SIP and TURN clients must log in as the user part alone (ha1-md5-whole)",
        ),
        (keys.scram_sha1.is_none(), "XMPP clients that know SCRAM-SHA-1 only cannot log in (scram-sha-1)"),
        (
            keys.scram_sha256.is_none(),
            "XMPP clients that insist on SCRAM-SHA-256 cannot log in (scram-sha-256)",
        ),
    ];
    let mut limits: Vec<_> =
        rows.iter().filter(|(missing, _)| *missing).map(|(_, text)| (*text).to_owned()).collect();
    if !limits.is_empty() {
        limits.push("`user passwd` sets a password and with it every key".into());
    }
    limits
}

pub(crate) fn import<'a>(house: &'a dyn Backend, arguments: &'a Arguments) -> Reply<'a, Value> {
    Box::pin(async move {
        let text = arguments.required("file").to_owned();
        let directory = house.accounts().directory();
        let work = move || import::read(text.as_bytes(), &directory);
        let rows =
            tokio::task::spawn_blocking(work).await.map_err(|error| Failure::failed(error.to_string()))?;
        let accounts = rows.map_err(refused_rows)?;
        let imported = accounts.len();
        let which = if arguments.flag("replace") { Put::Any } else { Put::New };
        house.accounts().put(accounts, which).await?;
        reply(&Imported { imported })
    })
}

/// How many rows words name; JSON names all.
const ROWS_IN_WORDS: usize = 20;

fn refused_rows(rows: Vec<RowFault>) -> Failure {
    let mut message = format!("nothing was imported; {} rows are refused:", rows.len());
    for RowFault { line, message: why } in rows.iter().take(ROWS_IN_WORDS) {
        message.push_str(&format!("\n  line {line}: {why}"));
    }
    if rows.len() > ROWS_IN_WORDS {
        message.push_str(&format!("\n  … and {} more (--json names all)", rows.len() - ROWS_IN_WORDS));
    }
    let faults = rows.into_iter().map(|row| json!({ "line": row.line, "message": row.message })).collect();
    Failure { kind: Kind::Input, message, faults }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Domain;

    #[test]
    fn what_works() {
        let [first, second] = ["falcot.com", "falcot.org"].map(|name| Domain::new(name).unwrap());
        let directory = Directory::new([(&first, &[][..]), (&second, &[][..])]);
        let check = |address: &str, keys: Keys, expected: &[&str]| {
            let account = Account { address: address.parse().unwrap(), keys };
            assert_eq!(works(&account, &directory), expected, "{address}");
        };
        let md5 = Keys { md5: Some([0; 16]), ..Keys::default() };
        check("roland@falcot.com", md5.clone(), &["sip", "turn"]);
        check("zoe@falcot.org", md5.clone(), &["sip"]);
        check("zoe@falcot.org", Keys { md5_whole: Some([0; 16]), ..md5 }, &["sip", "turn"]);
        check("roland@falcot.com", Keys { sha256: Some([0; 32]), ..Keys::default() }, &["sip"]);
    }
}
