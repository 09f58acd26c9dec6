//! The attributes that are text: USERNAME, REALM, NONCE, SOFTWARE, ALTERNATE-DOMAIN (RFC 8489 §14.3, §14.9, §14.10,
//! §14.14, §14.16), THIRD-PARTY-AUTHORIZATION (RFC 7635 §6.1).

use super::Attribute;
use crate::{Kind, TransactionId};

/// Declares an attribute that is UTF-8 text of at most `$max` octets.
macro_rules! text {
    ($name:ident, $kind:ident, $max:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<'a>(pub &'a str);

        impl<'a> Attribute<'a> for $name<'a> {
            const KIND: Kind = Kind::$kind;

            fn read(value: &'a [u8], _: TransactionId) -> Option<Self> {
                if value.len() > $max { None } else { str::from_utf8(value).ok().map(Self) }
            }

            fn write(&self, _: TransactionId, out: &mut Vec<u8>) {
                out.extend_from_slice(self.0.as_bytes());
            }
        }
    };
}

text!(Username, USERNAME, 508, "USERNAME: whose credential this is.");
text!(Realm, REALM, 763, "REALM: where the username and password hold.");
text!(Nonce, NONCE, 763, "NONCE: what the server wants to see again, so that a replay is noticed.");
text!(Software, SOFTWARE, 763, "SOFTWARE: what the sender runs.");
text!(
    AlternateDomain,
    ALTERNATE_DOMAIN,
    255,
    "ALTERNATE-DOMAIN: whose certificate the alternate server shows."
);
text!(
    ThirdPartyAuthorization,
    THIRD_PARTY_AUTHORIZATION,
    763,
    "THIRD-PARTY-AUTHORIZATION: the server's name towards those who make its access tokens."
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::tests::{both_ways, refuses};

    #[test]
    fn parse_write_refuse() {
        both_ways(&Username("マトリックス"), "マトリックス".as_bytes());
        both_ways(&Realm("falcot.com"), b"falcot.com");
        both_ways(&Nonce("f//499k954d6OL34oL9FSTvy64sA"), b"f//499k954d6OL34oL9FSTvy64sA");
        both_ways(&Software("test vector"), b"test vector");
        both_ways(&AlternateDomain("falcot.org"), b"falcot.org");
        both_ways(&ThirdPartyAuthorization("turn1"), b"turn1");
        refuses::<AlternateDomain<'_>>(&[&[0xFF], &[b'a'; 256]]);
        refuses::<ThirdPartyAuthorization<'_>>(&[&[0xFF], &[b'a'; 764]]);
        refuses::<Username<'_>>(&[&[0xFF], &[b'a'; 509]]);
        refuses::<Realm<'_>>(&[&[0xC3], &[b'a'; 764]]);
        refuses::<Nonce<'_>>(&[&[0xFF], &[b'a'; 764]]);
        refuses::<Software<'_>>(&[&[0xFF], &[b'a'; 764]]);
    }
}
