//! Who somebody is: `user@domain`, by one rule in every protocol and on the command line.
//!
//! User parts follow nodeprep (RFC 6122 app. A), as deployed XMPP servers compare them; domains are IDNA
//! (UTS 46) in their ASCII form, in lower case. What the rule refuses is refused everywhere.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

/// The longest user or domain part, in octets (RFC 6122 §2.1).
pub const MAX_PART: usize = 1023;

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Nothing stands before the `@`, or there is no `@`.
    NoUser,
    /// Nothing stands after the `@`.
    NoDomain,
    /// A character that nodeprep forbids: space, `"`, `&`, `'`, `/`, `:`, `<`, `>`, `@`, control characters …
    User,
    /// Not a domain name by IDNA, nor an IP address.
    Domain,
    /// Longer than [`MAX_PART`] octets.
    TooLong,
    /// A password that SASLprep forbids (RFC 4013): control characters, unassigned code points …
    Password,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUser => "no user part: an address is written user@domain",
            Self::NoDomain => "no domain part: an address is written user@domain",
            Self::User => {
                "the user part has a character that names may not have (spaces, \" & ' / : < > @ …)"
            }
            Self::Domain => "the domain part is not a domain name",
            Self::TooLong => "a part is longer than 1023 octets",
            Self::Password => "the password is empty or has a character that passwords may not have",
        })
    }
}

impl std::error::Error for AddressError {}

/// A domain name in its one normal form: ASCII, lower case, no final dot.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Arc<str>);

impl Domain {
    /// Normalises what somebody typed or sent.
    pub fn new(name: &str) -> Result<Self, AddressError> {
        domain_part(name).map(|name| Self((&*name).into()))
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which of `workers` keeps what there is of this domain as a whole.
    pub fn home(&self, workers: u16) -> crate::WorkerId {
        home(&self.0, workers)
    }
}

/// Spreads names evenly, and always alike.
fn home(name: &str, workers: u16) -> crate::WorkerId {
    let mut hasher = rustc_hash::FxHasher::default();
    name.hash(&mut hasher);
    let spread = (hasher.finish() >> 32) * u64::from(workers.max(1));
    crate::WorkerId(u16::try_from(spread >> 32).expect("less than workers, which is a u16"))
}

/// The normal form of a domain part.
fn domain_part(name: &str) -> Result<Cow<'_, str>, AddressError> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return Err(AddressError::NoDomain);
    }
    if name.len() > MAX_PART {
        return Err(AddressError::TooLong);
    }
    if is_plain_domain(name.as_bytes()) {
        return Ok(name.into());
    }
    if name.starts_with('[') {
        return ip_literal(name).map(Cow::Owned);
    }
    // Strict: letters, digits and hyphens only (STD 3), labels of at most 63 octets, 253 in all.
    match idna::domain_to_ascii_strict(name) {
        Ok(ascii) if !ascii.is_empty() => Ok(ascii.into()),
        _ => Err(AddressError::Domain),
    }
}

/// Whether a name is in normal form already: the way of nearly every name that comes in.
fn is_plain_domain(name: &[u8]) -> bool {
    name.len() <= 253
        && name.split(|&b| b == b'.').all(|label| {
            matches!(label.len(), 1..=63)
                && label[0] != b'-'
                && label[label.len() - 1] != b'-'
                && !label.starts_with(b"xn--")
                && label.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        })
}

/// `[2001:db8::1]`, as SIP URIs write it.
fn ip_literal(name: &str) -> Result<String, AddressError> {
    let inner = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).ok_or(AddressError::Domain)?;
    let ip: std::net::Ipv6Addr = inner.parse().map_err(|_| AddressError::Domain)?;
    Ok(format!("[{ip}]"))
}

impl std::borrow::Borrow<str> for Domain {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Domain {
    type Err = AddressError;
    fn from_str(name: &str) -> Result<Self, AddressError> {
        Self::new(name)
    }
}

/// `user@domain` in its one normal form: what SIP calls an address of record and XMPP a bare JID.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// `user@domain`.
    whole: Arc<str>,
    /// Where the `@` stands.
    at: u16,
}

impl Address {
    /// Normalises a user and a domain part.
    pub fn new(user: &str, domain: &str) -> Result<Self, AddressError> {
        Ok(Self::of(&user_part(user)?, &domain_part(domain)?))
    }

    /// Normalises a user part, and puts it at a domain.
    pub fn within(user: &str, domain: &Domain) -> Result<Self, AddressError> {
        Ok(Self::of(&user_part(user)?, domain.as_str()))
    }

    /// Joins a user part that is already in normal form with a domain.
    fn of(user: &str, domain: &str) -> Self {
        let at = u16::try_from(user.len()).expect("a user part is at most 1023 octets");
        let mut whole = String::with_capacity(user.len() + 1 + domain.len());
        whole.push_str(user);
        whole.push('@');
        whole.push_str(domain);
        Self { whole: whole.into(), at }
    }

    /// The same user at another domain (an alias and its main name, say).
    pub fn at(&self, domain: &Domain) -> Self {
        Self::of(self.user(), domain.as_str())
    }

    /// The user part, in normal form.
    pub fn user(&self) -> &str {
        &self.whole[..usize::from(self.at)]
    }

    /// The domain part, in normal form.
    pub fn domain(&self) -> &str {
        &self.whole[usize::from(self.at) + 1..]
    }

    /// `user@domain`.
    pub fn as_str(&self) -> &str {
        &self.whole
    }

    /// Which of `workers` is this address's home: the one that keeps its bindings, sessions and roster.
    pub fn home(&self, workers: u16) -> crate::WorkerId {
        home(&self.whole, workers)
    }
}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.whole.hash(state);
    }
}

impl std::borrow::Borrow<str> for Address {
    fn borrow(&self) -> &str {
        &self.whole
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.whole)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.whole)
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (user, domain) = text.split_once('@').ok_or(AddressError::NoUser)?;
        Self::new(user, domain)
    }
}

/// The normal form of a user part (nodeprep).
fn user_part(user: &str) -> Result<Cow<'_, str>, AddressError> {
    if user.is_empty() {
        return Err(AddressError::NoUser);
    }
    if user.len() > MAX_PART {
        return Err(AddressError::TooLong);
    }
    let plain = |b: &u8| b.is_ascii_graphic() && !b.is_ascii_uppercase() && !b"\"&'/:<>@".contains(b);
    if user.as_bytes().iter().all(plain) {
        return Ok(user.into());
    }
    match stringprep::nodeprep(user) {
        Ok(normal) if normal.is_empty() => Err(AddressError::NoUser),
        Ok(normal) if normal.len() > MAX_PART => Err(AddressError::TooLong),
        Ok(normal) => Ok(normal),
        Err(_) => Err(AddressError::User),
    }
}

/// The normal form of a password (SASLprep, RFC 4013), as every key derivation of the house takes it.
pub fn password(text: &str) -> Result<crate::Secret, AddressError> {
    match stringprep::saslprep(text) {
        Ok(normal) if !normal.is_empty() && normal.len() <= MAX_PART => {
            Ok(crate::Secret::new(normal.as_bytes()))
        }
        Ok(normal) if normal.len() > MAX_PART => Err(AddressError::TooLong),
        _ => Err(AddressError::Password),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Result<&str, AddressError>) {
        assert_eq!(
            input.parse::<Address>().as_ref().map(Address::as_str),
            expected.as_ref().map(|s| *s),
            "{input:?}"
        );
    }

    #[test]
    fn one_normal_form() {
        check("roland@falcot.com", Ok("roland@falcot.com"));
        check("Roland@Falcot.COM", Ok("roland@falcot.com"));
        check("roland@falcot.com.", Ok("roland@falcot.com"));
        check("Straße@bücher.example", Ok("strasse@xn--bcher-kva.example"));
        check("+33123456789@falcot.com", Ok("+33123456789@falcot.com"));
        check("joe@192.0.2.1", Ok("joe@192.0.2.1"));
        check("joe@[2001:DB8:0::1]", Ok("joe@[2001:db8::1]"));
        check("joe@xn--bcher-kva.example", Ok("joe@xn--bcher-kva.example"));
    }

    #[test]
    fn what_the_rule_refuses() {
        check("roland", Err(AddressError::NoUser));
        check("@falcot.com", Err(AddressError::NoUser));
        check("roland@", Err(AddressError::NoDomain));
        check("ro land@falcot.com", Err(AddressError::User));
        check("ro/land@falcot.com", Err(AddressError::User));
        check("ro\u{7}land@falcot.com", Err(AddressError::User));
        check("roland@joe@falcot.com", Err(AddressError::Domain));
        check("roland@fal cot.com", Err(AddressError::Domain));
        check("roland@-falcot.com", Err(AddressError::Domain));
        check("roland@fal..com", Err(AddressError::Domain));
        check("roland@[::1", Err(AddressError::Domain));
        check(&format!("{}@falcot.com", "a".repeat(1024)), Err(AddressError::TooLong));
    }

    #[test]
    fn parts_and_aliases() {
        let address: Address = "roland@sip.falcot.com".parse().expect("valid");
        assert_eq!((address.user(), address.domain()), ("roland", "sip.falcot.com"));
        assert_eq!(address.at(&Domain::new("falcot.com").expect("valid")).as_str(), "roland@falcot.com");
    }

    #[test]
    fn homes_are_spread_and_stable() {
        let mut seen = [0; 4];
        for i in 0..4000 {
            let address: Address = format!("user{i}@falcot.com").parse().expect("valid");
            seen[usize::from(address.home(4).0)] += 1;
            assert_eq!(address.home(4), address.home(4));
            assert_eq!(address.home(1).0, 0);
        }
        assert!(seen.iter().all(|n| (800..1200).contains(n)), "{seen:?}");
    }

    #[test]
    fn passwords_are_saslprepped() {
        assert_eq!(password("I\u{AD}X").expect("valid").expose(), b"IX");
        assert_eq!(password("\u{2168}").expect("valid").expose(), b"IX");
        assert_eq!(password("\u{7}"), Err(AddressError::Password));
        assert_eq!(password(""), Err(AddressError::Password));
    }
}
