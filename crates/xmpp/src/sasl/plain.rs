//! PLAIN (RFC 4616): the client sends its password, inside TLS only.
//!
//! The password is compared with the digest keys of the account, which is cheap. Where only SCRAM keys were
//! imported, they must be derived, which takes milliseconds: that is asked of others (`Derive`).

use super::scram::{Algorithm, Sha1, Sha256};
use super::{Failure, House, Step};
use md5::Md5;
use sha2::Digest;
use subtle::ConstantTimeEq;
use wire::{Address, Keys, Secret};

/// A derivation that is not for a worker.
#[derive(Clone, Debug)]
pub struct Derive {
    sha256: bool,
    salt: Box<[u8]>,
    iterations: u32,
    password: Secret,
}

/// What came of a derivation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived(Secret);

impl Derive {
    /// Does it: milliseconds of work, on whatever thread has the time.
    pub fn run(&self) -> Derived {
        let (password, salt) = (self.password.expose(), &self.salt);
        Derived(Secret::new(if self.sha256 {
            stored_key::<Sha256, 32>(&Sha256::salted(password, salt, self.iterations)).to_vec()
        } else {
            stored_key::<Sha1, 20>(&Sha1::salted(password, salt, self.iterations)).to_vec()
        }))
    }
}

fn stored_key<A: Algorithm<N>, const N: usize>(salted: &[u8; N]) -> [u8; N] {
    A::hash(&A::hmac(salted, b"Client Key"))
}

/// An exchange that waits for a derivation.
#[derive(Debug)]
pub struct Pending {
    address: Address,
    expected: Secret,
    /// What to do meanwhile.
    pub derive: Derive,
}

impl Pending {
    /// Whether the derivation came out as it should.
    pub fn derived(self, derived: &Derived) -> Result<Address, Failure> {
        if self.expected == derived.0 { Ok(self.address) } else { Err(Failure::NotAuthorized) }
    }
}

/// Takes in the only message: `authzid NUL authcid NUL passwd`.
pub(super) fn begin(data: &[u8], house: &House<'_>) -> Result<Step, Failure> {
    let text = std::str::from_utf8(data).map_err(|_| Failure::MalformedRequest)?;
    let parts: Vec<&str> = text.split('\0').collect();
    let [authzid, name, password] = parts[..] else { return Err(Failure::MalformedRequest) };
    if name.is_empty() || password.is_empty() {
        return Err(Failure::MalformedRequest);
    }
    let address = house.address(name);
    house.check_authzid(authzid, address.as_ref())?;
    let password = wire::address::password(password).map_err(|_| Failure::NotAuthorized)?;
    let account = address.and_then(|address| house.directory.get(&address));
    let Some(account) = account else {
        // The same work as for an account, so that the time it takes tells nothing.
        std::hint::black_box(digest::<sha2::Sha256>(name, house.domain.as_str(), &password));
        return Err(Failure::NotAuthorized);
    };
    check(&account.address, &account.keys, password)
}

fn check(address: &Address, keys: &Keys, password: Secret) -> Result<Step, Failure> {
    let (user, domain) = (address.user(), address.domain());
    let right = match (&keys.sha256, &keys.md5) {
        (Some(key), _) => digest::<sha2::Sha256>(user, domain, &password).ct_eq(key),
        (None, Some(key)) => digest::<Md5>(user, domain, &password).ct_eq(key),
        (None, None) => return derive(address, keys, password),
    };
    if right.into() { Ok(Step::Success(address.clone(), None)) } else { Err(Failure::NotAuthorized) }
}

/// `H(user:domain:password)`.
fn digest<D: Digest>(user: &str, domain: &str, password: &Secret) -> Vec<u8> {
    let hash = D::new().chain_update(user).chain_update(":").chain_update(domain).chain_update(":");
    hash.chain_update(password.expose()).finalize().to_vec()
}

fn derive(address: &Address, keys: &Keys, password: Secret) -> Result<Step, Failure> {
    let (sha256, salt, iterations, expected) = match (&keys.scram_sha256, &keys.scram_sha1) {
        (Some(scram), _) => (true, scram.salt.clone(), scram.iterations, Secret::new(scram.stored_key)),
        (None, Some(scram)) => (false, scram.salt.clone(), scram.iterations, Secret::new(scram.stored_key)),
        (None, None) => return Err(Failure::NotAuthorized),
    };
    let derive = Derive { sha256, salt, iterations, password };
    Ok(Step::Derive(Pending { address: address.clone(), expected, derive }))
}
