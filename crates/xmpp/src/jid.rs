//! Who a stanza is from and to: `user@domain/resource` (RFC 6122).
//!
//! User and domain parts follow the rule of the whole house (`wire::Address`); resources follow resourceprep.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use wire::{Address, AddressError, Directory, Domain};

/// The longest resource, in octets (RFC 6122 §2.4).
pub const MAX_RESOURCE: usize = 1023;

/// Why a JID is refused. Whoever sent it is told `jid-malformed` (RFC 6120 §8.3.3.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JidError {
    /// The user or the domain part.
    Address(AddressError),
    /// A slash with nothing behind it, or a character that resourceprep forbids.
    Resource,
    /// A resource longer than [`MAX_RESOURCE`] octets.
    TooLong,
}

impl fmt::Display for JidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Resource => f.write_str("the resource is empty or has a character that it may not have"),
            Self::TooLong => f.write_str("the resource is longer than 1023 octets"),
        }
    }
}

impl std::error::Error for JidError {}

impl From<AddressError> for JidError {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

/// A JID without its resource.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bare {
    /// A server, a room service, a component: `falcot.com`.
    Domain(Domain),
    /// An account or a room: `roland@falcot.com`.
    User(Address),
}

impl Bare {
    /// The normal form, as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Domain(domain) => domain.as_str(),
            Self::User(address) => address.as_str(),
        }
    }

    /// The domain part.
    pub fn domain(&self) -> &str {
        match self {
            Self::Domain(domain) => domain.as_str(),
            Self::User(address) => address.domain(),
        }
    }
}

impl FromStr for Bare {
    type Err = JidError;
    fn from_str(text: &str) -> Result<Self, JidError> {
        Ok(if text.contains('@') { Self::User(text.parse()?) } else { Self::Domain(Domain::new(text)?) })
    }
}

impl fmt::Display for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A JID in its one normal form; cheap to clone (two counted references at most).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jid {
    bare: Bare,
    resource: Option<Arc<str>>,
}

impl Jid {
    /// The same user or domain with this resource, which is normalised.
    pub fn with_resource(&self, resource: &str) -> Result<Self, JidError> {
        Ok(Self { bare: self.bare.clone(), resource: Some(normal_resource(resource)?.as_ref().into()) })
    }

    /// The JID without its resource.
    pub fn to_bare(&self) -> Self {
        Self { bare: self.bare.clone(), resource: None }
    }

    /// The user-and-domain part.
    pub fn bare(&self) -> &Bare {
        &self.bare
    }

    /// The account or room, `None` for a JID that is only a domain.
    pub fn address(&self) -> Option<&Address> {
        match &self.bare {
            Bare::User(address) => Some(address),
            Bare::Domain(_) => None,
        }
    }

    /// The domain part.
    pub fn domain(&self) -> &str {
        self.bare.domain()
    }

    /// The resource, in normal form.
    pub fn resource(&self) -> Option<&str> {
        self.resource.as_deref()
    }

    /// Whether there is no resource.
    pub fn is_bare(&self) -> bool {
        self.resource.is_none()
    }

    /// Whether this is a bare JID of exactly that account.
    pub fn is_account(&self, address: &Address) -> bool {
        self.resource.is_none() && self.address() == Some(address)
    }

    /// The same JID at its domain's main name, `None` where the domain is not ours.
    pub fn canonical(&self, directory: &Directory) -> Option<Self> {
        let main = directory.domain(self.domain())?;
        let bare = match &self.bare {
            _ if main.as_str() == self.domain() => self.bare.clone(),
            Bare::Domain(_) => Bare::Domain(main.clone()),
            Bare::User(address) => Bare::User(address.at(main)),
        };
        Some(Self { bare, resource: self.resource.clone() })
    }

    /// Whether `text` is this very JID in its normal form: cheaper than reading it.
    pub(crate) fn is_text(&self, text: &str) -> bool {
        match (text.strip_prefix(self.bare.as_str()), &self.resource) {
            (Some(""), None) => true,
            (Some(rest), Some(resource)) => rest.strip_prefix('/') == Some(resource),
            _ => false,
        }
    }

    /// Appends the JID to `out`, escaped for an attribute value.
    pub(crate) fn push_escaped(&self, out: &mut String) {
        // The user part may have none of & ' < > " (nodeprep), the domain neither: only the resource can.
        out.push_str(self.bare.as_str());
        if let Some(resource) = &self.resource {
            out.push('/');
            crate::xml::writer::escape_attribute(resource, out);
        }
    }
}

/// The normal form of a resource (resourceprep, RFC 6122 app. B).
fn normal_resource(resource: &str) -> Result<std::borrow::Cow<'_, str>, JidError> {
    if resource.len() > MAX_RESOURCE {
        return Err(JidError::TooLong);
    }
    if !resource.is_empty() && resource.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
        return Ok(resource.into());
    }
    match stringprep::resourceprep(resource) {
        Ok(normal) if normal.len() > MAX_RESOURCE => Err(JidError::TooLong),
        // Characters that XML cannot carry are refused by resourceprep too, except these two.
        Ok(normal) if !normal.is_empty() && !normal.contains(['\u{FFFE}', '\u{FFFF}']) => Ok(normal),
        _ => Err(JidError::Resource),
    }
}

impl From<Address> for Jid {
    fn from(address: Address) -> Self {
        Self { bare: Bare::User(address), resource: None }
    }
}

impl From<Domain> for Jid {
    fn from(domain: Domain) -> Self {
        Self { bare: Bare::Domain(domain), resource: None }
    }
}

impl From<Bare> for Jid {
    fn from(bare: Bare) -> Self {
        Self { bare, resource: None }
    }
}

impl FromStr for Jid {
    type Err = JidError;
    /// RFC 7622 §3.2: the resource begins at the first slash, whatever comes behind it.
    fn from_str(text: &str) -> Result<Self, JidError> {
        match text.split_once('/') {
            None => Ok(text.parse::<Bare>()?.into()),
            Some((bare, resource)) => Self::from(bare.parse::<Bare>()?).with_resource(resource),
        }
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.bare.as_str())?;
        match &self.resource {
            Some(resource) => write!(f, "/{resource}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: Result<&str, JidError>) {
        let jid = input.parse::<Jid>().map(|jid| jid.to_string());
        assert_eq!(jid.as_deref().map_err(|e| *e), expected, "{input:?}");
    }

    #[test]
    fn one_normal_form() {
        check("falcot.com", Ok("falcot.com"));
        check("Falcot.com/Console", Ok("falcot.com/Console"));
        check("Roland@Falcot.com", Ok("roland@falcot.com"));
        check("roland@falcot.com/Home PC", Ok("roland@falcot.com/Home PC"));
        check("roland@falcot.com/a/b@c", Ok("roland@falcot.com/a/b@c"));
        check("falcot.com/joe@x", Ok("falcot.com/joe@x"));
        check("roland@falcot.com/\u{2163}", Ok("roland@falcot.com/IV"));
        check("roland@falcot.com/caf\u{e9}", Ok("roland@falcot.com/caf\u{e9}"));
    }

    #[test]
    fn what_is_malformed() {
        check("", Err(AddressError::NoDomain.into()));
        check("@falcot.com", Err(AddressError::NoUser.into()));
        check("roland@", Err(AddressError::NoDomain.into()));
        check("roland@falcot.com/", Err(JidError::Resource));
        check("/home", Err(AddressError::NoDomain.into()));
        check("a b@falcot.com", Err(AddressError::User.into()));
        check("roland@falcot.com/\u{7}", Err(JidError::Resource));
        check("roland@falcot.com/\u{a0}", Ok("roland@falcot.com/ "));
        check(&format!("roland@falcot.com/{}", "x".repeat(1024)), Err(JidError::TooLong));
        check(&format!("roland@falcot.com/{}", "\u{fdfa}".repeat(300)), Err(JidError::TooLong));
    }

    #[test]
    fn is_compared_as_text() {
        let jid: Jid = "roland@falcot.com/desk".parse().unwrap();
        assert!(jid.is_text("roland@falcot.com/desk") && jid.to_bare().is_text("roland@falcot.com"));
        for other in [
            "roland@falcot.com",
            "roland@falcot.com/",
            "roland@falcot.com/desks",
            "roland@falcot.community",
            "",
        ] {
            assert!(!jid.is_text(other), "{other}");
        }
    }

    #[test]
    fn aliases_lead_to_the_main_name() {
        let main = Domain::new("falcot.com").unwrap();
        let alias = [Domain::new("xmpp.falcot.com").unwrap()];
        let directory = Directory::new([(&main, &alias[..])]);
        let canonical =
            |text: &str| text.parse::<Jid>().unwrap().canonical(&directory).map(|j| j.to_string());
        assert_eq!(canonical("joe@xmpp.falcot.com/x").as_deref(), Some("joe@falcot.com/x"));
        assert_eq!(canonical("xmpp.falcot.com").as_deref(), Some("falcot.com"));
        assert_eq!(canonical("joe@falcot.com").as_deref(), Some("joe@falcot.com"));
        assert_eq!(canonical("joe@example.org"), None);
    }
}
