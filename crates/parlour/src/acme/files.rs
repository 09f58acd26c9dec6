//! What is kept of accounts and orders, in a folder of the data folder that only its owner reads.

use super::fault::Error;
use crate::dns::text::Text;
use crate::replace::replace;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domains::certificate::{Challenge, Memory, Ways};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::{Domain, Secret};

/// The folder of what is kept.
#[derive(Clone, Debug)]
pub(super) struct Files(PathBuf);

/// An account with an authority.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) url: String,
    /// Its key (PKCS #8).
    pub(super) key: Secret,
    /// Whom the authority writes to.
    pub(super) contact: Vec<String>,
}

/// An account as its file has it.
#[derive(Default, Serialize, Deserialize)]
struct KeptAccount {
    directory: String,
    url: String,
    key: String,
    contact: Vec<String>,
}

/// What is kept of a domain's orders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    /// The authority that they are from.
    pub(super) directory: String,
    failures: u32,
    retry: u64,
    aside: Vec<(String, u32, u64)>,
    /// The order under way.
    pub(super) order: Option<String>,
    /// The records under way, for a start after a sudden end to take away: owner, zone, value.
    texts: Vec<(String, String, String)>,
    /// By which challenge names were proven.
    ways: Vec<(String, String)>,
    /// The certificate that it has issued last (its digest).
    issued: String,
    /// What failed last, and when; empty where the last one went well.
    pub(super) fault: String,
    pub(super) failed: u64,
}

impl Kept {
    /// For the machine that decides.
    pub(super) fn memory(&self) -> Memory {
        let aside = self.aside.iter();
        Memory {
            failures: self.failures,
            retry: Duration::from_secs(self.retry),
            aside: aside.map(|(name, n, retry)| (name.clone(), *n, Duration::from_secs(*retry))).collect(),
        }
    }

    /// What that remembers.
    pub(super) fn remember(&mut self, memory: Memory) {
        self.failures = memory.failures;
        self.retry = memory.retry.as_secs();
        self.aside = memory.aside.into_iter().map(|(name, n, retry)| (name, n, retry.as_secs())).collect();
    }

    /// By which challenges names are proven, where these are wanted.
    pub(super) fn ways(&self, wanted: &[Challenge]) -> Ways {
        let known = |name: &String| Challenge::ALL.into_iter().find(|one| one.name() == name);
        let rows = self.ways.iter().filter_map(|(name, way)| Some((name.clone(), known(way)?)));
        Ways::new(wanted, rows)
    }

    /// What came of them.
    pub(super) fn remember_ways(&mut self, ways: &Ways) {
        self.ways = ways.memory().map(|(name, way)| (name.to_owned(), way.name().to_owned())).collect();
    }

    /// This certificate (DER) was issued.
    pub(super) fn issued(&mut self, leaf: &[u8]) {
        self.issued = text(&Sha256::digest(leaf));
    }

    /// Whether that certificate (DER) is the one that the authority has issued last.
    pub(super) fn is_of(&self, leaf: &[u8]) -> bool {
        self.issued == text(&Sha256::digest(leaf))
    }

    /// The records that are to be taken away.
    pub(super) fn texts(&self) -> Vec<Text> {
        let text = |(owner, zone, value): &(String, String, String)| Text {
            owner: owner.clone(),
            zone: zone.clone(),
            value: value.clone(),
        };
        self.texts.iter().map(text).collect()
    }

    /// These are under way.
    pub(super) fn set_texts(&mut self, texts: &[Text]) {
        let row = |text: &Text| (text.owner.clone(), text.zone.clone(), text.value.clone());
        self.texts = texts.iter().map(row).collect();
    }
}

impl Files {
    /// Those of a data folder.
    pub(super) fn of(data: &Path) -> Self {
        Self(data.join("acme"))
    }

    fn account(&self, directory: &str) -> PathBuf {
        let digest = text(&Sha256::digest(directory)[..9]);
        self.0.join(format!("account-{digest}.json"))
    }

    /// The account that we have with an authority.
    pub(super) fn load_account(&self, directory: &str) -> Result<Option<Account>, Error> {
        let path = self.account(directory);
        let Some(octets) = read(&path)? else { return Ok(None) };
        let damaged = || Error::Own(format!("{} is damaged: remove it for a new account", path.display()));
        let kept: KeptAccount = serde_json::from_slice(&octets).map_err(|_| damaged())?;
        let key = BASE64_URL_SAFE_NO_PAD.decode(&kept.key).map_err(|_| damaged())?;
        let account = Account { url: kept.url, key: Secret::new(key), contact: kept.contact };
        // One that the authority does not know (any more) has no URL.
        Ok(Some(account).filter(|account| !account.url.is_empty()))
    }

    /// Keeps an account.
    pub(super) fn save_account(&self, directory: &str, account: &Account) -> Result<(), Error> {
        let kept = KeptAccount {
            directory: directory.to_owned(),
            url: account.url.clone(),
            key: text(account.key.expose()),
            contact: account.contact.clone(),
        };
        self.put(&self.account(directory), &serde_json::to_vec_pretty(&kept).expect("texts are JSON"))
    }

    /// What is kept of a domain's orders; nothing where that is from another authority, or cannot be read.
    pub(super) fn load(&self, domain: &Domain, directory: &str) -> Kept {
        let octets = read(&self.orders(domain)).ok().flatten().unwrap_or_default();
        let kept: Kept = serde_json::from_slice(&octets).unwrap_or_default();
        if kept.directory == directory {
            return kept;
        }
        // Records under way are to be taken away whoever wanted them.
        Kept { directory: directory.to_owned(), texts: kept.texts, ..Kept::default() }
    }

    /// Keeps it.
    pub(super) fn save(&self, domain: &Domain, kept: &Kept) -> Result<(), Error> {
        self.put(&self.orders(domain), &serde_json::to_vec_pretty(kept).expect("texts are JSON"))
    }

    fn orders(&self, domain: &Domain) -> PathBuf {
        self.0.join(format!("{domain}.json"))
    }

    fn key(&self, domain: &Domain) -> PathBuf {
        self.0.join(format!("{domain}.key"))
    }

    /// The key of the order under way (PEM).
    pub(super) fn load_key(&self, domain: &Domain) -> Result<Option<Secret>, Error> {
        Ok(read(&self.key(domain))?.map(Secret::new))
    }

    /// Keeps it, before the authority hears of it.
    pub(super) fn save_key(&self, domain: &Domain, key: &Secret) -> Result<(), Error> {
        self.put(&self.key(domain), key.expose())
    }

    /// Forgets it: the certificate has it by now.
    pub(super) fn forget_key(&self, domain: &Domain) {
        // One that stays is replaced by the next.
        drop(std::fs::remove_file(self.key(domain)));
    }

    fn put(&self, path: &Path, octets: &[u8]) -> Result<(), Error> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.and_then(|()| replace(path, 0o600, octets)).map_err(|error| own(path, &error))
    }
}

/// Base64 for URLs, without padding.
fn text(octets: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(octets)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match std::fs::read(path) {
        Ok(octets) => Ok(Some(octets)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(own(path, &error)),
    }
}

pub(super) fn own(path: &Path, error: &std::io::Error) -> Error {
    Error::Own(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_account_is_kept_for_each_authority_and_nobody_elses_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::of(folder.path());
        assert!(files.load_account("https://ca/dir").unwrap().is_none());
        let contact = vec!["mailto:a@b.example".to_owned()];
        let made = Account { url: "https://ca/acct/1".into(), key: Secret::new("key"), contact };
        files.save_account("https://ca/dir", &made).unwrap();
        let kept = files.load_account("https://ca/dir").unwrap().unwrap();
        assert_eq!((kept.url, kept.key.expose(), kept.contact), (made.url, made.key.expose(), made.contact));
        assert!(files.load_account("https://other/dir").unwrap().is_none(), "each authority has its own");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&files.0), 0o700);
        for file in std::fs::read_dir(&files.0).unwrap() {
            assert_eq!(mode(&file.unwrap().path()), 0o600);
        }
        std::fs::write(files.account("https://ca/dir"), "{").unwrap();
        assert!(files.load_account("https://ca/dir").is_err(), "a new one would be a surprise");
    }

    /// Folders of servers of before go on: their files, as they were written.
    #[test]
    fn an_account_of_before_is_the_same_account() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::of(folder.path());
        let key = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQghYwLjCNkzc0t3QTRVWvFF06lfd1ePINO69hJ8BKv20uhRANCAAQijClg1pw-vu3lY-oPArpYBXanQsIjpg-zUnp2T2znG4lSiYSvHC3WECGVjLYankHw_EDiC1Y5tjflHOyM2NpU";
        let text = |url: &str| {
            format!(r#"{{"directory": "https://ca/dir", "url": "{url}", "key": "{key}", "contact": []}}"#)
        };
        files.save(&Domain::new("falcot.com").unwrap(), &Kept::default()).unwrap();
        std::fs::write(files.account("https://ca/dir"), text("https://ca/acct/7")).unwrap();
        let kept = files.load_account("https://ca/dir").unwrap().unwrap();
        assert_eq!(kept.url, "https://ca/acct/7");
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(kept.key.expose());
        assert!(instant_acme::Key::from_pkcs8_der(key).is_ok());
        std::fs::write(files.account("https://ca/dir"), text("")).unwrap();
        assert!(files.load_account("https://ca/dir").unwrap().is_none(), "it was begun, and never made");
    }

    #[test]
    fn what_is_remembered_comes_back_for_the_same_authority_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (files, domain) = (Files::of(folder.path()), Domain::new("falcot.com").unwrap());
        let mut kept = files.load(&domain, "https://ca/dir");
        assert_eq!(kept.memory(), Memory::default());
        let aside = vec![("a".to_owned(), 2, Duration::from_secs(7))];
        let memory = Memory { failures: 3, retry: Duration::from_secs(9), aside };
        kept.remember(memory.clone());
        let text = Text { owner: "o".into(), zone: "z".into(), value: "v".into() };
        kept.set_texts(std::slice::from_ref(&text));
        kept.order = Some("https://ca/order/1".into());
        kept.issued(b"leaf");
        kept.remember_ways(&Ways::new(&[], [("a".to_owned(), Challenge::Dns)]));
        files.save(&domain, &kept).unwrap();
        let again = files.load(&domain, "https://ca/dir");
        assert_eq!((again.memory(), again.texts()), (memory, vec![text]));
        let way = again.ways(&Challenge::ALL).choose("a", &Challenge::ALL);
        assert_eq!(way, Some(Challenge::Dns), "what has worked comes first");
        assert!(again.is_of(b"leaf") && !again.is_of(b"another") && !Kept::default().is_of(b"leaf"));
        let other = files.load(&domain, "https://other/dir");
        assert_eq!((other.memory(), other.order.clone(), other.texts().len()), (Memory::default(), None, 1));
    }
}
