//! The accounts of the house as machines see them: a snapshot in memory, read without a lock.
//!
//! A password is never here: only the keys that each protocol needs, derived when the password was set.

use crate::{Address, Domain};
use rustc_hash::{FxHashMap, FxHasher};
use sha2::{Digest, Sha256};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What a SCRAM server keeps of a password (RFC 5802 §3), `N` octets per key: 20 for SHA-1, 32 for SHA-256, 64 for SHA-512.
#[derive(Clone, PartialEq, Eq)]
pub struct Scram<const N: usize> {
    /// The `i=` of the server's first message.
    pub iterations: u32,
    /// The `s=` of the server's first message, as raw octets.
    pub salt: Box<[u8]>,
    /// `H(HMAC(SaltedPassword, "Client Key"))`.
    pub stored_key: [u8; N],
    /// `HMAC(SaltedPassword, "Server Key")`.
    pub server_key: [u8; N],
}

impl<const N: usize> fmt::Debug for Scram<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scram(…, i={})", self.iterations)
    }
}

/// The keys of one account. One that is missing was not in what the account was imported from: the protocols
/// that need it refuse this account, the others work.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// MD5 of `user:domain:password`: SIP digest (RFC 3261 §22), TURN's long-term key (RFC 8489 §9.2.2).
    pub md5: Option<[u8; 16]>,
    /// SHA-256 of `user:domain:password`: SIP digest (RFC 8760), TURN with PASSWORD-ALGORITHM SHA-256.
    pub sha256: Option<[u8; 32]>,
    /// MD5 of `user@domain:domain:password`, for clients that log in with the whole address.
    pub md5_whole: Option<[u8; 16]>,
    /// SHA-256 of `user@domain:domain:password`, for clients that log in with the whole address.
    pub sha256_whole: Option<[u8; 32]>,
    /// SHA-512/256 of `user:domain:password`: SIP digest (RFC 8760).
    pub sha512_256: Option<[u8; 32]>,
    /// SHA-512/256 of `user@domain:domain:password`, for clients that log in with the whole address.
    pub sha512_256_whole: Option<[u8; 32]>,
    /// SCRAM-SHA-1 (RFC 5802).
    pub scram_sha1: Option<Scram<20>>,
    /// SCRAM-SHA-256 (RFC 7677).
    pub scram_sha256: Option<Scram<32>>,
    /// SCRAM-SHA-512 (as RFC 5802, with that hash function).
    pub scram_sha512: Option<Scram<64>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name, at the domain's main name.
    pub address: Address,
    /// What its password left behind.
    pub keys: Keys,
}

/// How many parts the table of accounts has: a change copies one part, not all.
const PARTS: usize = 256;

/// Every domain and account of the house. Cheap to clone; a change makes a new one and leaves the old as it was.
#[derive(Clone)]
pub struct Directory {
    domains: Arc<FxHashMap<Domain, Domain>>,
    first: Option<Domain>,
    parts: Arc<[Arc<Part>]>,
    hashes: Arc<[Arc<Hashes>]>,
    accounts: usize,
}

type Part = FxHashMap<Address, Arc<Account>>;

/// Accounts by the first half of a name's hash; the rest is looked at when one is found.
type Hashes = FxHashMap<u64, Arc<Account>>;

/// How a client writes a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameForm {
    /// `user`, in the realm of its domain.
    User,
    /// `user@domain`.
    Whole,
}

impl Directory {
    /// No accounts yet. `domains` pairs each main name with its aliases; the first is the default realm.
    pub fn new<'a>(domains: impl IntoIterator<Item = (&'a Domain, &'a [Domain])>) -> Self {
        let mut names = FxHashMap::default();
        let mut first = None;
        for (main, aliases) in domains {
            first.get_or_insert_with(|| main.clone());
            names.insert(main.clone(), main.clone());
            names.extend(aliases.iter().map(|alias| (alias.clone(), main.clone())));
        }
        let (parts, hashes) = (vec![Arc::default(); PARTS].into(), vec![Arc::default(); PARTS].into());
        Self { domains: Arc::new(names), first, parts, hashes, accounts: 0 }
    }

    /// The same accounts under another list of domains.
    pub fn with_domains<'a>(&self, domains: impl IntoIterator<Item = (&'a Domain, &'a [Domain])>) -> Self {
        let (parts, hashes) = (self.parts.clone(), self.hashes.clone());
        Self { parts, hashes, accounts: self.accounts, ..Self::new(domains) }
    }

    /// The main name of a domain of ours, `None` for a foreign one.
    pub fn domain(&self, name: &str) -> Option<&Domain> {
        // Nearly every name comes in its normal form.
        self.domains.get(name).or_else(|| self.domains.get(&Domain::new(name).ok()?))
    }

    /// The default realm: the first domain.
    pub fn first_domain(&self) -> Option<&Domain> {
        self.first.as_ref()
    }

    /// `address` at its domain's main name, or `None` where the domain is not ours.
    pub fn canonical(&self, address: &Address) -> Option<Address> {
        let main = self.domains.get(address.domain())?;
        Some(if main.as_str() == address.domain() { address.clone() } else { address.at(main) })
    }

    /// The account of an address at a main name.
    pub fn get(&self, address: &Address) -> Option<&Arc<Account>> {
        self.parts[part_of(address)].get(address)
    }

    /// The account whose name has this hash, SHA-256 of `name:domain` (RFC 8489 §14.4), and how the name was written.
    pub fn hashed(&self, hash: &[u8; 32]) -> Option<(&Arc<Account>, NameForm)> {
        let (part, key) = place_of(hash);
        let account = self.hashes[part].get(&key)?;
        let form = [NameForm::User, NameForm::Whole]
            .into_iter()
            .find(|form| hash_of(&account.address, *form) == *hash)?;
        Some((account, form))
    }

    /// How many accounts there are.
    pub fn len(&self) -> usize {
        self.accounts
    }

    /// Whether there is no account.
    pub fn is_empty(&self) -> bool {
        self.accounts == 0
    }

    /// Every account, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.parts.iter().flat_map(|part| part.values())
    }

    /// A new directory in which each of `changes` holds: `Some` sets an account, `None` removes it.
    pub fn with(&self, changes: impl IntoIterator<Item = (Address, Option<Arc<Account>>)>) -> Self {
        let (mut parts, mut hashes) = (self.parts.to_vec(), self.hashes.to_vec());
        let mut accounts = self.accounts;
        for (address, account) in changes {
            note_hashes(&mut hashes, &address, account.as_ref());
            let part = Arc::make_mut(&mut parts[part_of(&address)]);
            let (after, before) = match account {
                Some(account) => (1, usize::from(part.insert(address, account).is_some())),
                None => (0, usize::from(part.remove(&address).is_some())),
            };
            accounts = accounts + after - before;
        }
        let (parts, hashes) = (parts.into(), hashes.into());
        Self { domains: self.domains.clone(), first: self.first.clone(), parts, hashes, accounts }
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Directory({} accounts)", self.accounts)
    }
}

fn part_of(address: &Address) -> usize {
    let mut hasher = FxHasher::default();
    address.hash(&mut hasher);
    // Not the highest bits nor the lowest: by those a part's own table tells its rows apart.
    usize::try_from(hasher.finish() >> 40 & 0xff).expect("eight bits")
}

/// Where a name's hash stands.
fn place_of(hash: &[u8; 32]) -> (usize, u64) {
    let (head, _) = hash.split_first_chunk::<8>().expect("thirty-two octets");
    (usize::from(hash[0]), u64::from_be_bytes(*head))
}

fn hash_of(address: &Address, form: NameForm) -> [u8; 32] {
    let name = if form == NameForm::User { address.user() } else { address.as_str() };
    Sha256::new().chain_update(name).chain_update(":").chain_update(address.domain()).finalize().into()
}

/// Sets or removes both hashes of an account's name.
fn note_hashes(hashes: &mut [Arc<Hashes>], address: &Address, account: Option<&Arc<Account>>) {
    for form in [NameForm::User, NameForm::Whole] {
        let (part, key) = place_of(&hash_of(address, form));
        let part = Arc::make_mut(&mut hashes[part]);
        match account {
            Some(account) => part.insert(key, account.clone()),
            None => part.remove(&key),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().expect("valid")
    }

    fn account(text: &str) -> (Address, Option<Arc<Account>>) {
        (address(text), Some(Arc::new(Account { address: address(text), keys: Keys::default() })))
    }

    fn directory() -> Directory {
        let main = Domain::new("falcot.com").expect("valid");
        let alias = [Domain::new("sip.falcot.com").expect("valid")];
        Directory::new([(&main, &alias[..])])
    }

    #[test]
    fn a_change_leaves_the_old_snapshot_as_it_was() {
        let empty = directory();
        let one = empty.with([account("roland@falcot.com"), account("joe@falcot.com")]);
        let none = one.with([(address("roland@falcot.com"), None), (address("nobody@falcot.com"), None)]);
        assert_eq!((empty.len(), one.len(), none.len()), (0, 2, 1));
        assert!(
            one.get(&address("roland@falcot.com")).is_some()
                && none.get(&address("roland@falcot.com")).is_none()
        );
        assert_eq!(one.with([account("joe@falcot.com")]).len(), 2);
        assert_eq!(one.iter().count(), 2);
    }

    #[test]
    fn aliases_lead_to_the_main_name() {
        let directory = directory();
        assert_eq!(directory.canonical(&address("joe@sip.falcot.com")), Some(address("joe@falcot.com")));
        assert_eq!(directory.canonical(&address("joe@example.org")), None);
        assert_eq!(directory.domain("SIP.falcot.com").map(Domain::as_str), Some("falcot.com"));
        assert_eq!(directory.first_domain().map(Domain::as_str), Some("falcot.com"));
    }

    #[test]
    fn accounts_are_found_by_the_hash_of_their_names() {
        let sha256 = |text: &str| -> [u8; 32] { Sha256::digest(text).into() };
        let [user, whole] = ["roland:falcot.com", "roland@falcot.com:falcot.com"].map(sha256);
        let one = directory().with([account("roland@falcot.com"), account("joe@falcot.com")]);
        let found = |directory: &Directory, hash| {
            directory.hashed(hash).map(|(account, form)| (account.address.to_string(), form))
        };
        let roland = || "roland@falcot.com".to_owned();
        assert_eq!(found(&one, &user), Some((roland(), NameForm::User)));
        assert_eq!(found(&one, &whole), Some((roland(), NameForm::Whole)));
        let mut other = user;
        other[31] ^= 1;
        assert_eq!(found(&one, &other), None, "only the first half is the same");
        let none = one.with([(address("roland@falcot.com"), None)]);
        assert_eq!((found(&none, &user), found(&none, &whole)), (None, None));
        assert_eq!(found(&one, &user), Some((roland(), NameForm::User)), "the old snapshot is as it was");
    }
}
