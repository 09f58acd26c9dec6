//! What is told of the house around the router: services beside XMPP, and who runs a domain.

use crate::xep::external::Externals;
use wire::{Address, Domain};

/// What the plan says of it.
#[derive(Clone, Debug, Default)]
pub struct House {
    /// STUN and TURN (XEP-0215).
    pub externals: Externals,
    /// Who runs each domain (XEP-0157).
    pub admins: Vec<(Domain, Vec<Address>)>,
}

impl House {
    /// Who runs a domain.
    pub(crate) fn admins(&self, domain: &str) -> &[Address] {
        let named = self.admins.iter().find(|(name, _)| name.as_str() == domain);
        named.map_or(&[], |(_, admins)| &admins[..])
    }
}
