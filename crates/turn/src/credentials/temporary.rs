//! Time-limited credentials as coturn, eturnal and every WebRTC service have them (draft-uberti-behave-turn-rest-00):
//! the username is `expiry:user` or `expiry`, the password `base64(HMAC-SHA1(secret, username))`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use stun::Key;
use stun::attribute::{PasswordAlgorithm, UserHash};
use wire::{Address, Directory};

/// A credential, ready to be given to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// `expiry:user`.
    pub username: String,
    /// The password, or `credential` as browsers call it.
    pub credential: String,
}

/// A credential for `user` that is good until `expires` (seconds since 1970).
pub fn issue(secret: &[u8], expires: u64, user: &str) -> Issued {
    let username = if user.is_empty() { expires.to_string() } else { format!("{expires}:{user}") };
    Issued { credential: password(secret, &username), username }
}

fn password(secret: &[u8], username: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(username.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// A username that says when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    whole: &'a str,
    /// Seconds since 1970.
    pub(super) expires: u64,
    user: &'a str,
}

impl<'a> Name<'a> {
    /// Takes a username apart; `None` where it is none of these.
    pub(super) fn read(whole: &'a str) -> Option<Self> {
        let (expires, user) = whole.split_once(':').unwrap_or((whole, ""));
        let is_number = !expires.is_empty() && expires.bytes().all(|byte| byte.is_ascii_digit());
        let expires = is_number.then(|| expires.parse().ok())??;
        Some(Self { whole, expires, user })
    }

    /// Whom it counts for: the account that is named behind the colon, else a name of its own.
    pub(super) fn user(&self, realm: &str, directory: &Directory) -> Option<Address> {
        let account = || directory.canonical(&self.user.parse().ok()?);
        account().or_else(|| address(if self.user.is_empty() { self.whole } else { self.user }, realm))
    }

    /// The key of its password under one secret.
    pub(super) fn key(&self, secret: &[u8], realm: &str, algorithm: PasswordAlgorithm) -> Key {
        let password = password(secret, self.whole);
        match algorithm {
            PasswordAlgorithm::Sha256 => Key::sha256(self.whole, realm, &password),
            _ => Key::md5(self.whole, realm, &password),
        }
    }
}

/// An address for a name that somebody else chose. What names may not have is written as XEP-0106 does; what is none even
/// then becomes a hash.
pub(super) fn address(name: &str, realm: &str) -> Option<Address> {
    let mut escaped = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            ' ' | '"' | '&' | '\'' | '/' | ':' | '<' | '>' | '@' | '\\' => {
                escaped.push_str(&format!("\\{:02x}", u32::from(character)));
            }
            _ => escaped.push(character),
        }
    }
    let hashed = || {
        let UserHash(hash) = UserHash::of(name, realm);
        hash[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    Address::new(&escaped, realm).or_else(|_| Address::new(&hashed(), realm)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Domain;

    #[test]
    fn what_is_issued_is_what_everybody_computes() {
        // As `printf 1700000000:roland | openssl dgst -sha1 -hmac north -binary | base64` has it.
        let issued = issue(b"north", 1_700_000_000, "roland");
        assert_eq!(issued.username, "1700000000:roland");
        assert_eq!(issued.credential, "pLhLR9A4UBDoIa2NelZZyM8eD9Q=");
        let bare = issue(b"north", 1_700_000_000, "");
        assert_eq!(
            (bare.username, bare.credential),
            ("1700000000".into(), "CWyHi3zCeWqXBir9thl4m+iZPRY=".into())
        );
    }

    #[test]
    fn names_that_end() {
        let read = |name| Name::read(name).map(|name| (name.expires, name.user));
        assert_eq!(read("1700000000:roland"), Some((1_700_000_000, "roland")));
        assert_eq!(read("1700000000:@joe:example.org"), Some((1_700_000_000, "@joe:example.org")));
        assert_eq!(read("1700000000"), Some((1_700_000_000, "")));
        for other in ["", "roland", ":roland", "+17:roland", "17x:roland", "99999999999999999999:roland"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn whom_they_count_for() {
        let (main, alias) = (Domain::new("falcot.com").unwrap(), Domain::new("sip.falcot.com").unwrap());
        let directory = Directory::new([(&main, &[alias][..])]);
        let user = |name: &str| Name::read(name).unwrap().user("falcot.com", &directory).unwrap().to_string();
        for (name, expected) in [
            ("17:roland", "roland@falcot.com"),
            ("17:Roland@falcot.com", "roland@falcot.com"),
            ("17:roland@sip.falcot.com", "roland@falcot.com"),
            ("17:roland@example.org", "roland\\40example.org@falcot.com"),
            ("17:@joe:example.org", "\\40joe\\3aexample.org@falcot.com"),
            ("17", "17@falcot.com"),
            ("17:", "17\\3a@falcot.com"),
            ("17:a\u{1}", "19209426a2b73ce1719df56470aee3dd@falcot.com"),
        ] {
            assert_eq!(user(name), expected, "{name}");
        }
    }
}
