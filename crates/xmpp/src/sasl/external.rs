//! EXTERNAL (RFC 4422 app. A): a client's certificate says who it is (RFC 6120 §13.7.1.4, XEP-0178).
//!
//! Whether the certificate is to be believed was judged before; whether it was taken back stands where it was issued.

use super::{Failure, House, Mechanism, Step};
use std::collections::BTreeSet;
use wire::{Address, Directory, Domain};

/// Whom a certificate proves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proven {
    /// The addresses that it names.
    pub addresses: Vec<Address>,
    /// By which it is told apart from others of the same issuer, in hexadecimal.
    pub serial: Box<str>,
}

impl Proven {
    /// The accounts of a domain that it proves.
    fn accounts(&self, directory: &Directory, domain: &Domain) -> BTreeSet<Address> {
        let main = self.addresses.iter().filter_map(|address| directory.canonical(address));
        main.filter(|address| address.domain() == domain.as_str() && directory.get(address).is_some())
            .collect()
    }

    /// Whether it proves an account of a domain.
    pub(super) fn is_of(&self, directory: &Directory, domain: &Domain) -> bool {
        !self.accounts(directory, domain).is_empty()
    }
}

/// An exchange that waits for whether the certificate is still good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Who signs in.
    pub address: Address,
    /// By which certificate.
    pub serial: Box<str>,
}

/// Takes in the only message: nothing, or as whom to act.
pub(super) fn begin(data: &[u8], house: &House<'_>) -> Result<Step, Failure> {
    let authzid = std::str::from_utf8(data).map_err(|_| Failure::MalformedRequest)?;
    let proven = house.offer.channel.certificate.as_ref().ok_or(Failure::InvalidMechanism)?;
    let mut accounts = proven.accounts(house.directory, house.domain);
    let address = match authzid {
        // Who has several must say which (XEP-0178 §2).
        "" if accounts.len() > 1 => return Err(Failure::InvalidAuthzid),
        "" => accounts.pop_first().ok_or(Failure::NotAuthorized)?,
        // Nobody acts for somebody else.
        _ => {
            let wanted = house.address(authzid).filter(|_| authzid.contains('@'));
            wanted.filter(|wanted| accounts.contains(wanted)).ok_or(Failure::InvalidAuthzid)?
        }
    };
    Ok(Step::Look(Pending { address, serial: proven.serial.clone() }))
}

/// Whether the mechanism may be offered.
pub(super) fn may_offer(mechanism: Mechanism, proven: Option<&Proven>) -> bool {
    mechanism != Mechanism::External || proven.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::tests::{Fixed, directory, domain, secret};
    use crate::sasl::{Channel, Exchange, Offer};

    /// What comes of `said` by a client whose certificate names these.
    fn check(named: &[&str], said: &str, expected: Result<&str, Failure>) {
        let addresses = named.iter().map(|name| name.parse().unwrap()).collect();
        let certificate = Some(Proven { addresses, serial: "2a".into() });
        let mut offer = Offer::new(&Mechanism::ALL, Channel { certificate, ..Channel::default() });
        let (directory, domain, secret) = (directory(), domain(), secret("house"));
        offer.narrow(&directory, &domain);
        let offered = offer.mechanisms().contains(&Mechanism::External);
        let entropy = &mut Fixed(Vec::new());
        let mut house =
            House { directory: &directory, domain: &domain, entropy, secret: &secret, offer: &offer };
        let got = match Exchange::Named(Mechanism::External).step(said.as_bytes(), &mut house) {
            Step::Look(Pending { address, serial }) if &*serial == "2a" => Ok(address.to_string()),
            Step::Failure(failure) => Err(failure),
            other => panic!("{other:?}"),
        };
        assert_eq!(got.as_deref().map_err(|failure| *failure), expected, "{named:?} says {said:?}");
        assert!(offered || got.is_err(), "{named:?}");
    }

    #[test]
    fn a_certificate_is_its_own_account_and_nobody_else() {
        let roland = Ok("roland@falcot.com");
        check(&["roland@falcot.com"], "", roland);
        check(&["roland@falcot.com"], "roland@falcot.com", roland);
        check(&["Roland@FALCOT.com"], "roland@falcot.com", roland);
        check(&["roland@xmpp.falcot.com"], "", roland);
        check(&["roland@falcot.com"], "roland@xmpp.falcot.com", roland);
        for other in [
            "md5@falcot.com",
            "roland",
            "roland@falcot.com/desk",
            "falcot.com",
            "@",
            "\0",
            "nobody@falcot.com",
        ] {
            check(&["roland@falcot.com"], other, Err(Failure::InvalidAuthzid));
        }
    }

    #[test]
    fn of_several_accounts_one_is_named() {
        let both = ["roland@falcot.com", "md5@falcot.com"];
        check(&both, "", Err(Failure::InvalidAuthzid));
        check(&both, "md5@falcot.com", Ok("md5@falcot.com"));
        // At another domain, or no account: that leaves one.
        check(&["roland@falcot.com", "roland@falcot.org", "nobody@falcot.com"], "", Ok("roland@falcot.com"));
    }

    #[test]
    fn who_proves_no_account_of_the_domain_is_not_offered_it() {
        for named in [&["nobody@falcot.com"][..], &["roland@falcot.org"], &[]] {
            check(named, "", Err(Failure::NotAuthorized));
            check(named, "roland@falcot.com", Err(Failure::InvalidAuthzid));
        }
        let plain = Offer::new(&Mechanism::ALL, Channel::default());
        assert!(!plain.mechanisms().contains(&Mechanism::External));
    }
}
