//! Whom a certificate names, and which domain that proves: of SIP (RFC 5922 §7), of XMPP (RFC 6120 §13.7.1.2, RFC 9525 §6).
//! Whether the certificate is to be believed at all is another question, which is not asked here.

use std::net::IpAddr;
use x509_parser::asn1_rs::{Any, Class, Ia5String, Utf8String};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The alternative names of a certificate (RFC 5280 §4.2.1.6), in lower case. Its common name counts for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The domains of its `sip:` URIs that name no user.
    pub sip: Vec<String>,
    /// Its DNS names.
    pub dns: Vec<String>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its XMPP addresses (id-on-xmppAddr, RFC 6120 §13.7.1.4), as they are written.
    pub xmpp: Vec<String>,
    /// Its services (SRVName, RFC 4985): `_xmpp-server.example.org`.
    pub services: Vec<String>,
    /// Its serial number, in hexadecimal.
    pub serial: String,
}

/// id-on-xmppAddr (RFC 6120 §13.7.1.4).
pub const XMPP_ADDR: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 5];

/// id-on-dnsSRV (RFC 4985 §2).
pub const SRV_NAME: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 7];

impl Names {
    /// Reads a certificate (DER); `None` where it cannot be read.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let serial: String = certificate.raw_serial().iter().map(|octet| format!("{octet:02x}")).collect();
        let mut names = Self { serial, ..Self::default() };
        let alternative = certificate.subject_alternative_name().ok()?;
        for name in alternative.into_iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::URI(uri) => names.sip.extend(sip_domain(uri)),
                GeneralName::DNSName(name) => names.dns.push(normal(name)),
                GeneralName::OtherName(kind, value) if kind.iter().is_some_and(|oid| oid.eq(XMPP_ADDR)) => {
                    names.xmpp.extend(text(value));
                }
                GeneralName::OtherName(kind, value) if kind.iter().is_some_and(|oid| oid.eq(SRV_NAME)) => {
                    names.services.extend(ascii(value).map(|name| normal(&name)));
                }
                GeneralName::IPAddress(octets) => names.addresses.extend(address(octets)),
                _ => {}
            }
        }
        Some(names)
    }

    /// The SIP domains that it proves (RFC 5922 §7.1): those of its URIs; only where there are none, its DNS names.
    pub fn sip_domains(&self) -> &[String] {
        if self.sip.is_empty() { &self.dns } else { &self.sip }
    }

    /// Whether a name stands in it among those of domains, as it is written; a wildcard is itself alone.
    pub fn has_sip_domain(&self, name: &str) -> bool {
        self.sip_domains().contains(&normal(name))
    }

    /// Whether it proves to be the XMPP domain `wanted`, as servers do to one another: by its service name, its XMPP address
    /// or its DNS name, of which a `*` in front stands for one label (RFC 9525 §6.3).
    pub fn prove_xmpp(&self, wanted: &str) -> bool {
        let wanted = normal(wanted);
        let is_service = |name: &String| {
            name.split_once('.').is_some_and(|(kind, domain)| kind == "_xmpp-server" && domain == wanted)
        };
        let covers = |name: &String| match name.strip_prefix("*.") {
            Some(rest) => wanted.split_once('.').is_some_and(|(_, below)| below == rest),
            None => *name == wanted,
        };
        !wanted.contains('*')
            && (self.services.iter().any(is_service)
                || self.xmpp.iter().any(|name| normal(name) == wanted)
                || self.dns.iter().any(covers))
    }

    /// Whether it proves to be the SIP domain `wanted`, or to be at this address where the URI that led to it named no
    /// domain. A domain is itself alone: neither those below it, nor what a wildcard would cover (RFC 5922 §7.2).
    pub fn prove_sip(&self, wanted: &str) -> bool {
        match wanted.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => self.addresses.contains(&address.to_canonical()),
            Err(_) => {
                let wanted = normal(wanted);
                !wanted.contains('*') && self.sip_domains().contains(&wanted)
            }
        }
    }
}

fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// The domain of `sip:domain`; a URI with a user is that user's, and of another scheme it is something else.
fn sip_domain(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    let host = rest.split([':', ';', '?']).next().filter(|host| !host.is_empty())?;
    (scheme.eq_ignore_ascii_case("sip") && !rest.contains('@')).then(|| normal(host))
}

/// What is in an `OtherName`: `[0] EXPLICIT`.
fn inside(value: &[u8]) -> Option<&[u8]> {
    let (_, outer) = Any::from_der(value).ok()?;
    (outer.class() == Class::ContextSpecific && outer.tag().0 == 0).then_some(outer.data)
}

/// The text of one of the kind `UTF8String`.
fn text(value: &[u8]) -> Option<String> {
    let (rest, text) = Utf8String::from_der(inside(value)?).ok()?;
    rest.is_empty().then(|| text.string())
}

/// The text of one of the kind `IA5String`.
fn ascii(value: &[u8]) -> Option<String> {
    let (rest, text) = Ia5String::from_der(inside(value)?).ok()?;
    rest.is_empty().then(|| text.string())
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => Some(<[u8; 4]>::try_from(octets).ok()?.into()),
        _ => Some(IpAddr::from(<[u8; 16]>::try_from(octets).ok()?).to_canonical()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, SanType};

    fn certificate(names: &[&str]) -> Names {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "common.example");
        for name in names {
            params.subject_alt_names.push(match (name.parse::<IpAddr>(), name.contains(':')) {
                (Ok(address), _) => SanType::IpAddress(address),
                (_, true) => SanType::URI((*name).try_into().unwrap()),
                (_, false) => SanType::DnsName((*name).try_into().unwrap()),
            });
        }
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Names::of(made.der()).unwrap()
    }

    fn check(names: &[&str], wanted: &str, expected: bool) {
        assert_eq!(certificate(names).prove_sip(wanted), expected, "{names:?} for {wanted}");
    }

    #[test]
    fn a_domain_is_proven_by_its_uri_or_else_by_its_name() {
        check(&["sip:Example.org"], "example.ORG", true);
        check(&["sip:example.org;x=y"], "example.org", true);
        check(&["example.org"], "example.org", true);
        check(&["example.org"], "example.org.", true);
        check(&["other.example", "example.org"], "example.org", true);
        check(&["sip:example.net", "example.org"], "example.org", false);
        check(&["sip:example.net", "example.org"], "example.net", true);
        check(&["https://example.net", "example.org"], "example.org", true);
        check(&["sips:example.org"], "example.org", false);
        check(&["sip:joe@example.org"], "example.org", false);
        check(&["sip:joe@example.net", "example.org"], "example.org", true);
    }

    #[test]
    fn neither_wildcards_nor_neighbours_nor_the_common_name_prove_anything() {
        check(&["*.example.org"], "sip.example.org", false);
        check(&["*.example.org"], "*.example.org", false);
        check(&["sip:*.example.org"], "sip.example.org", false);
        check(&["example.org"], "sip.example.org", false);
        check(&["sip.example.org"], "example.org", false);
        check(&["example.org.example.net"], "example.org", false);
        check(&[], "common.example", false);
        assert_eq!(Names::of(b"nonsense"), None);
    }

    #[test]
    fn an_xmpp_address_stands_in_a_name_of_its_own() {
        let mut params = CertificateParams::new([]).unwrap();
        let other = |kind: &[u64], text: &str| SanType::OtherName((kind.to_vec(), text.into()));
        params.subject_alt_names = vec![
            other(&XMPP_ADDR, "joe@example.org"),
            other(&[1, 3, 6, 1, 4, 1, 311, 20, 2, 3], "roland@example.org"),
            SanType::Rfc822Name("nina@example.org".try_into().unwrap()),
            SanType::URI("xmpp:zoe@example.org".try_into().unwrap()),
        ];
        params.serial_number = Some(vec![1, 0xfe].into());
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let names = Names::of(made.der()).unwrap();
        assert_eq!((names.xmpp, names.serial.as_str()), (vec!["joe@example.org".to_owned()], "01fe"));
        for broken in [&b""[..], b"\xa0\x02\x0c\x05", b"\xa1\x03\x0c\x01a", b"\xa0\x05\x0c\x01aXX"] {
            assert_eq!(text(broken), None, "{broken:?}");
        }
    }

    /// Whether a certificate proves an XMPP domain that has one alternative name: of an XMPP address, of a service, or of DNS.
    fn check_xmpp(name: &str, wanted: &str, expected: bool) {
        let mut params = CertificateParams::new([]).unwrap();
        match (name.split_once(' '), name.starts_with('_')) {
            (Some((_, address)), _) => {
                let other = SanType::OtherName((XMPP_ADDR.to_vec(), address.into()));
                params.subject_alt_names.push(other);
            }
            (None, true) => {
                let put = |tag: u8, content: &[u8]| {
                    [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
                };
                let kind = put(6, &[0x2b, 6, 1, 5, 5, 7, 8, 7]);
                let whole = [kind, put(0xa0, &put(0x16, name.as_bytes()))].concat();
                let names = put(0x30, &put(0xa0, &whole));
                params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 17], names));
            }
            (None, false) => params.subject_alt_names.push(SanType::DnsName(name.try_into().unwrap())),
        }
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let names = Names::of(made.der()).unwrap();
        assert_eq!(names.prove_xmpp(wanted), expected, "{name} for {wanted}: {names:?}");
    }

    #[test]
    fn an_xmpp_domain_is_proven_by_its_service_its_address_or_its_name_and_by_one_label_of_a_wildcard() {
        for (name, wanted, expected) in [
            ("_xmpp-server.Example.org", "example.org", true),
            ("_xmpp-client.example.org", "example.org", false),
            ("_xmpp-server.example.net", "example.org", false),
            ("_xmpp-server.*.example.org", "rooms.example.org", false),
            ("xmpp example.org", "example.org", true),
            ("xmpp joe@example.org", "example.org", false),
            ("xmpp *.example.org", "rooms.example.org", false),
            ("example.org", "EXAMPLE.org.", true),
            ("example.org", "rooms.example.org", false),
            ("*.example.org", "rooms.example.org", true),
            ("*.example.org", "a.rooms.example.org", false),
            ("*.example.org", "example.org", false),
            ("*.example.org", "*.example.org", false),
            ("r*.example.org", "rooms.example.org", false),
        ] {
            check_xmpp(name, wanted, expected);
        }
    }

    #[test]
    fn an_address_is_proven_as_an_address() {
        check(&["192.0.2.1"], "192.0.2.1", true);
        check(&["2001:db8::1"], "2001:db8::1", true);
        check(&["2001:db8::1"], "[2001:db8::1]", true);
        check(&["192.0.2.1"], "192.0.2.2", false);
        check(&["example.org"], "192.0.2.1", false);
    }
}
