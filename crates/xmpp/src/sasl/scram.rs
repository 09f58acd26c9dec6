//! SCRAM, the server's side (RFC 5802; SHA-256: RFC 7677), and what is kept of a password for it.
//!
//! With channel binding the client proves which TLS session it speaks in; without, it may not say that it would have
//! bound, had it been offered (§6). What was offered is hashed into what both sign (XEP-0474).

use super::{Failure, House};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Digest;
use std::marker::PhantomData;
use subtle::ConstantTimeEq;
use wire::{Address, Keys, Scram, Secret};

/// How often the password is hashed for accounts of this house, and said to be for those that do not exist.
pub const ITERATIONS: u32 = 10_000;
/// Octets of salt.
pub const SALT: usize = 16;
/// The longest message of a client: a name, a nonce and a proof are far shorter.
const LONGEST: usize = 4096;

/// A hash function as SCRAM uses it; `N` octets each.
pub trait Algorithm<const N: usize> {
    /// Tells its fake salts from the other's.
    const NAME: &'static str;
    /// `H(data)`.
    fn hash(data: &[u8]) -> [u8; N];
    /// `HMAC(key, data)`.
    fn hmac(key: &[u8], data: &[u8]) -> [u8; N];
    /// `Hi(password, salt, iterations)`.
    fn salted(password: &[u8], salt: &[u8], iterations: u32) -> [u8; N];
    /// What an account keeps for it.
    fn of(keys: &Keys) -> Option<&Scram<N>>;
}

/// SCRAM-SHA-1.
#[derive(Clone, Copy, Debug)]
pub struct Sha1;
/// SCRAM-SHA-256.
#[derive(Clone, Copy, Debug)]
pub struct Sha256;
/// SCRAM-SHA-512.
#[derive(Clone, Copy, Debug)]
pub struct Sha512;

macro_rules! algorithm {
    ($type:ident, $n:literal, $hash:ty, $name:literal, $field:ident) => {
        impl Algorithm<$n> for $type {
            const NAME: &'static str = $name;

            fn hash(data: &[u8]) -> [u8; $n] {
                <$hash>::digest(data).into()
            }

            fn hmac(key: &[u8], data: &[u8]) -> [u8; $n] {
                let mut mac = Hmac::<$hash>::new_from_slice(key).expect("HMAC takes keys of any length");
                mac.update(data);
                mac.finalize().into_bytes().into()
            }

            fn salted(password: &[u8], salt: &[u8], iterations: u32) -> [u8; $n] {
                pbkdf2::pbkdf2_hmac_array::<$hash, $n>(password, salt, iterations)
            }

            fn of(keys: &Keys) -> Option<&Scram<$n>> {
                keys.$field.as_ref()
            }
        }
    };
}

algorithm!(Sha1, 20, sha1::Sha1, "SCRAM-SHA-1", scram_sha1);
algorithm!(Sha256, 32, sha2::Sha256, "SCRAM-SHA-256", scram_sha256);
algorithm!(Sha512, 64, sha2::Sha512, "SCRAM-SHA-512", scram_sha512);

/// What to keep of a password that is already in its normal form (`wire::address::password`). Takes
/// milliseconds: not for a worker.
pub fn derive<A: Algorithm<N>, const N: usize>(password: &Secret, salt: &[u8], iterations: u32) -> Scram<N> {
    let salted = A::salted(password.expose(), salt, iterations);
    Scram {
        iterations,
        salt: salt.into(),
        stored_key: A::hash(&A::hmac(&salted, b"Client Key")),
        server_key: A::hmac(&salted, b"Server Key"),
    }
}

/// What SCRAM-SHA-1 keeps of a password (see [`derive()`]).
pub fn derive_sha1(password: &Secret, salt: &[u8], iterations: u32) -> Scram<20> {
    derive::<Sha1, 20>(password, salt, iterations)
}

/// What SCRAM-SHA-256 keeps of a password (see [`derive()`]).
pub fn derive_sha256(password: &Secret, salt: &[u8], iterations: u32) -> Scram<32> {
    derive::<Sha256, 32>(password, salt, iterations)
}

/// What SCRAM-SHA-512 keeps of a password (see [`derive()`]).
pub fn derive_sha512(password: &Secret, salt: &[u8], iterations: u32) -> Scram<64> {
    derive::<Sha512, 64>(password, salt, iterations)
}

/// The server has sent its salt; the client's proof is due.
#[derive(Debug)]
pub struct Challenge<A, const N: usize> {
    /// `None`: no such account; the exchange goes on and fails at its end.
    account: Option<Box<(Address, Scram<N>)>>,
    /// `client-first-message-bare "," server-first-message`.
    said: String,
    /// Client's and server's.
    nonce: String,
    /// What `c=` must be: the GS2 header in base64.
    binding: String,
    algorithm: PhantomData<A>,
}

/// Takes in the client's first message: what waits for the proof, and what the server says.
pub fn begin<A: Algorithm<N>, const N: usize>(
    data: &[u8],
    bound: bool,
    house: &mut House<'_>,
) -> Result<(Challenge<A, N>, String), Failure> {
    let first = ClientFirst::parse(data)?;
    let binding = binding(&first, bound, house)?;
    let name = unescape(first.name).ok_or(Failure::MalformedRequest)?;
    let address = house.address(&name);
    let authzid = unescape(first.authzid).ok_or(Failure::MalformedRequest)?;
    house.check_authzid(&authzid, address.as_ref())?;
    let account = address.and_then(|address| {
        let keys = A::of(&house.directory.get(&address)?.keys)?.clone();
        Some(Box::new((address, keys)))
    });
    let nonce = format!("{}{}", first.nonce, house.entropy.token(24));
    let (salt, iterations) = match &account {
        Some(account) => (BASE64.encode(&account.1.salt), account.1.iterations),
        None => (fake_salt(A::NAME, &name, house), ITERATIONS),
    };
    let offered = BASE64.encode(A::hash(house.offer.text().as_bytes()));
    let server_first = format!("r={nonce},s={salt},i={iterations},h={offered}");
    let said = format!("{},{server_first}", first.bare);
    Ok((Challenge { account, said, nonce, binding, algorithm: PhantomData }, server_first))
}

/// What `c=` must be: the GS2 header, with the data of the binding behind it.
fn binding(first: &ClientFirst<'_>, bound: bool, house: &House<'_>) -> Result<String, Failure> {
    let data = match (first.flag.strip_prefix("p="), bound) {
        (Some(name), true) => house.offer.channel.data(name).ok_or(Failure::MalformedRequest)?,
        // Nobody binds by a mechanism that does not, or the reverse.
        (Some(_), false) | (None, true) => return Err(Failure::MalformedRequest),
        // It would have bound, had it been offered; it was: somebody in between took the offer away.
        (None, false) if first.flag == "y" && house.offer.binds() => return Err(Failure::NotAuthorized),
        (None, false) => &[],
    };
    Ok(BASE64.encode([first.gs2.as_bytes(), data].concat()))
}

/// The same salt for the same name at each try, as an account would have.
fn fake_salt(mechanism: &str, name: &str, house: &House<'_>) -> String {
    let name = house.address(name).map_or_else(|| name.to_owned(), |address| address.to_string());
    let salt = Sha256::hmac(house.secret.expose(), format!("salt\0{mechanism}\0{name}").as_bytes());
    BASE64.encode(&salt[..SALT])
}

impl<A: Algorithm<N>, const N: usize> Challenge<A, N> {
    /// Takes in the client's proof: who it is, and the server's proof that it knows the keys.
    pub fn finish(self, data: &[u8]) -> Result<(Address, String), Failure> {
        let last = ClientFinal::parse(data)?;
        // Compared as text: a client that leaves out or alters one octet of the header is refused (§6).
        if last.binding != self.binding {
            return Err(Failure::NotAuthorized);
        }
        if last.nonce != self.nonce {
            return Err(Failure::NotAuthorized);
        }
        let mut proof: [u8; N] = BASE64
            .decode(last.proof)
            .map_err(|_| Failure::MalformedRequest)?
            .try_into()
            .map_err(|_| Failure::MalformedRequest)?;
        let (address, keys) = *self.account.ok_or(Failure::NotAuthorized)?;
        let said = format!("{},{}", self.said, last.without_proof);
        let signature = A::hmac(&keys.stored_key, said.as_bytes());
        for (octet, mask) in proof.iter_mut().zip(signature) {
            *octet ^= mask;
        }
        if !bool::from(A::hash(&proof).ct_eq(&keys.stored_key)) {
            return Err(Failure::NotAuthorized);
        }
        let ours = A::hmac(&keys.server_key, said.as_bytes());
        Ok((address, format!("v={}", BASE64.encode(ours))))
    }
}

#[cfg(test)]
impl<A, const N: usize> Challenge<A, N> {
    /// In the midst of an exchange whose nonces are given.
    pub(super) fn with(address: Address, keys: Scram<N>, bare: &str, first: &str, nonce: &str) -> Self {
        Self {
            account: Some(Box::new((address, keys))),
            said: format!("{bare},{first}"),
            nonce: nonce.to_owned(),
            binding: BASE64.encode("n,,"),
            algorithm: PhantomData,
        }
    }
}

/// `client-first-message` (RFC 5802 §7).
struct ClientFirst<'a> {
    /// `n`, `y` or `p=` with the type of a binding.
    flag: &'a str,
    /// With its final comma.
    gs2: &'a str,
    authzid: &'a str,
    bare: &'a str,
    name: &'a str,
    nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    fn parse(data: &'a [u8]) -> Result<Self, Failure> {
        let message = text(data)?;
        Self::read(message).ok_or(Failure::MalformedRequest)
    }

    fn read(message: &'a str) -> Option<Self> {
        let (flag, rest) = message.split_once(',')?;
        if !matches!(flag, "n" | "y") && !flag.starts_with("p=") {
            return None;
        }
        let (authzid, bare) = rest.split_once(',')?;
        let authzid = if authzid.is_empty() { "" } else { authzid.strip_prefix("a=")? };
        // A mandatory extension (`m=`) is one that we do not know: it fails here.
        let (name, rest) = bare.strip_prefix("n=")?.split_once(',')?;
        let nonce = rest.split(',').next()?.strip_prefix("r=")?;
        let gs2 = &message[..message.len() - bare.len()];
        (is_nonce(nonce) && !name.is_empty()).then_some(Self { flag, gs2, authzid, bare, name, nonce })
    }
}

/// `client-final-message` (RFC 5802 §7).
struct ClientFinal<'a> {
    binding: &'a str,
    nonce: &'a str,
    without_proof: &'a str,
    proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    fn parse(data: &'a [u8]) -> Result<Self, Failure> {
        let message = text(data)?;
        Self::read(message).ok_or(Failure::MalformedRequest)
    }

    fn read(message: &'a str) -> Option<Self> {
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        let mut parts = without_proof.split(',');
        let binding = parts.next()?.strip_prefix("c=")?;
        let nonce = parts.next()?.strip_prefix("r=")?;
        Some(Self { binding, nonce, without_proof, proof })
    }
}

fn text(data: &[u8]) -> Result<&str, Failure> {
    match std::str::from_utf8(data) {
        Ok(text) if text.len() <= LONGEST && !text.contains('\0') => Ok(text),
        _ => Err(Failure::MalformedRequest),
    }
}

/// Printable ASCII without the comma.
fn is_nonce(nonce: &str) -> bool {
    !nonce.is_empty() && nonce.bytes().all(|b| b.is_ascii_graphic() && b != b',')
}

/// `=2C` is a comma, `=3D` an equals sign, and no other `=` may stand in a name (RFC 5802 §5.1).
fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let (sign, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return None,
        };
        out.push(sign);
        out.push_str(rest);
    }
    Some(out)
}
