//! DNS records of the kinds that real-time communication needs: their text as zone files have it, and their octets.

use domain::base::charstr::CharStr;
use domain::base::iana::{Class, Rtype, TlsaCertificateUsage, TlsaMatchingType, TlsaSelector};
use domain::base::name::{Name, ToName};
use domain::base::rdata::ComposeRecordData;
use domain::base::zonefile_fmt::{DisplayKind, ZonefileFmt};
use domain::base::{Record as WireRecord, RecordData, Serial, Ttl};
use domain::dep::octseq::Octets;
use domain::rdata::caa::{CaaFlags, CaaTag};
use domain::rdata::svcb::SvcParams;
use domain::rdata::{A, Aaaa, AllRecordData, Caa, Cname, Https, Naptr, Ns, Soa, Srv, Tlsa, Txt};
use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

/// How long others may remember a record, in seconds, unless it is said.
pub const TTL: u32 = 3600;

/// A record. Names are absolute, in lower case, without their final dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Whose record it is.
    pub owner: String,
    /// What it says.
    pub data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    /// SOA: whose zone this is (RFC 1035 §3.3.13).
    Soa {
        /// The first name server.
        server: String,
        /// Whom to write to, `.` in the place of `@`.
        contact: String,
        /// The version of the zone.
        serial: u32,
    },
    /// NS: a name server.
    Ns(String),
    /// CNAME: the name is another's alias.
    Alias(String),
    /// A or AAAA.
    Address(IpAddr),
    /// SRV (RFC 2782).
    Srv {
        /// Lower is tried first.
        priority: u16,
        /// Its share among those of its priority.
        weight: u16,
        /// The service's port.
        port: u16,
        /// The host; `None` is "not offered here" (`0 0 0 .`).
        target: Option<String>,
    },
    /// NAPTR with the flag "s": the service's SRV records are at `replacement` (RFC 3403).
    Naptr {
        /// Lower is tried first.
        order: u16,
        /// Lower is tried first, within an order.
        preference: u16,
        /// `SIP+D2U`, `RELAY:turn.udp` …
        service: String,
        /// The name of SRV records.
        replacement: String,
    },
    /// HTTPS (RFC 9460): HTTP inside TLS is spoken at this host, on the port that the owner's name has.
    Https {
        /// The host.
        host: String,
        /// Whether HTTP/2 is spoken there beside HTTP/1.1.
        h2: bool,
    },
    /// TLSA 3 1 1 (RFC 7671): SHA-256 of the public key that is shown there.
    Tlsa([u8; 32]),
    /// CAA: an authority that may issue certificates (RFC 8659).
    Caa(String),
    /// TXT of one string.
    Text(String),
    /// Whatever else was found: its type, its octets, and its text as zone files have it.
    Other(u16, Vec<u8>, String),
}

/// A name that the DNS cannot have: longer than 255 octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTooLong(pub String);

impl std::fmt::Display for NameTooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is longer than DNS names may be", self.0)
    }
}

impl std::error::Error for NameTooLong {}

/// A name as `domain` has it.
pub type Absolute = Name<Vec<u8>>;

/// The data of a record as `domain` has it.
pub type WireData = AllRecordData<Vec<u8>, Absolute>;

/// Reads a name.
pub fn name(text: &str) -> Result<Absolute, NameTooLong> {
    Name::from_str(text).map_err(|_| NameTooLong(text.to_owned()))
}

/// A name as we write it.
pub fn normal(name: &impl Display) -> String {
    name.to_string().trim_end_matches('.').to_ascii_lowercase()
}

/// The parameter `alpn` with HTTP/2, which stands beside the usual HTTP/1.1 (RFC 9460 §7.1).
const H2: &[u8] = b"\0\x01\0\x03\x02h2";

/// An authority with its parameters (RFC 8659 §4.2) as we write it: `;` is none at all.
pub fn issuer(text: &str) -> String {
    let parts: Vec<&str> = text.split(';').map(str::trim).filter(|part| !part.is_empty()).collect();
    let nobody = if text.trim_start().starts_with(';') && !parts.is_empty() { "; " } else { "" };
    if parts.is_empty() { ";".to_owned() } else { format!("{nobody}{}", parts.join("; ")) }
}

fn characters(text: &str) -> CharStr<Vec<u8>> {
    CharStr::from_octets(text.as_bytes().to_vec()).expect("services and flags are shorter than 256 octets")
}

impl Data {
    /// Its type.
    pub fn kind(&self) -> Rtype {
        match self {
            Self::Soa { .. } => Rtype::SOA,
            Self::Ns(_) => Rtype::NS,
            Self::Alias(_) => Rtype::CNAME,
            Self::Address(IpAddr::V4(_)) => Rtype::A,
            Self::Address(IpAddr::V6(_)) => Rtype::AAAA,
            Self::Srv { .. } => Rtype::SRV,
            Self::Naptr { .. } => Rtype::NAPTR,
            Self::Https { .. } => Rtype::HTTPS,
            Self::Tlsa(_) => Rtype::TLSA,
            Self::Caa(_) => Rtype::CAA,
            Self::Text(_) => Rtype::TXT,
            Self::Other(kind, ..) => Rtype::from_int(*kind),
        }
    }

    /// As `domain` has it; of `Other`, nothing is made again.
    pub fn to_wire(&self) -> Result<WireData, NameTooLong> {
        Ok(match self {
            Self::Soa { server, contact, serial } => {
                let time = Ttl::from_secs;
                // Refresh, retry, expire and negative caching as RIPE-203 advises for small zones.
                let (refresh, retry, expire) = (time(86_400), time(7200), time(3_600_000));
                let (server, contact) = (name(server)?, name(contact)?);
                let serial = Serial::from(*serial);
                Soa::new(server, contact, serial, refresh, retry, expire, time(TTL)).into()
            }
            Self::Ns(server) => Ns::new(name(server)?).into(),
            Self::Alias(target) => Cname::new(name(target)?).into(),
            Self::Address(IpAddr::V4(address)) => A::new(*address).into(),
            Self::Address(IpAddr::V6(address)) => Aaaa::new(*address).into(),
            Self::Srv { priority, weight, port, target } => {
                let target = target.as_deref().map_or(Ok(Name::root_vec()), name)?;
                Srv::new(*priority, *weight, *port, target).into()
            }
            Self::Naptr { order, preference, service, replacement } => {
                let (flags, service, none) = (characters("s"), characters(service), characters(""));
                Naptr::new(*order, *preference, flags, service, none, name(replacement)?).into()
            }
            Self::Https { host, h2 } => {
                let params = if *h2 { H2.to_vec() } else { vec![] };
                let params = SvcParams::from_octets(params).ok().expect("one parameter is in order");
                Https::new(1, name(host)?, params).expect("a name is not longer than a record").into()
            }
            Self::Tlsa(digest) => {
                let (usage, selector) = (TlsaCertificateUsage::DANE_EE, TlsaSelector::SPKI);
                Tlsa::new(usage, selector, TlsaMatchingType::SHA2_256, digest.to_vec()).into()
            }
            Self::Caa(issuer) => {
                let tag = CaaTag::new(characters("issue")).expect("letters");
                Caa::new(CaaFlags::new(0), tag, issuer.as_bytes().to_vec()).into()
            }
            Self::Text(text) => {
                Txt::build_from_slice(text.as_bytes()).map_err(|_| NameTooLong(text.clone()))?.into()
            }
            Self::Other(kind, octets, _) => {
                let data = domain::base::rdata::UnknownRecordData::from_octets(
                    Rtype::from_int(*kind),
                    octets.clone(),
                );
                AllRecordData::Unknown(data.map_err(|_| NameTooLong(String::new()))?)
            }
        })
    }

    /// What was found, in whatever message.
    pub fn from_wire<O, N>(found: &AllRecordData<O, N>) -> Self
    where
        O: Octets,
        N: ToName + Display,
    {
        let known = match found {
            AllRecordData::A(a) => Some(Self::Address(a.addr().into())),
            AllRecordData::Aaaa(aaaa) => Some(Self::Address(aaaa.addr().into())),
            AllRecordData::Ns(ns) => Some(Self::Ns(normal(ns.nsdname()))),
            AllRecordData::Cname(cname) => Some(Self::Alias(normal(cname.cname()))),
            AllRecordData::Soa(soa) => {
                let (server, contact) = (normal(soa.mname()), normal(soa.rname()));
                Some(Self::Soa { server, contact, serial: soa.serial().into_int() })
            }
            AllRecordData::Srv(srv) => {
                let target = Some(normal(srv.target())).filter(|target| !target.is_empty());
                let (priority, weight, port) = (srv.priority(), srv.weight(), srv.port());
                Some(Self::Srv { priority, weight, port, target })
            }
            AllRecordData::Naptr(naptr) => of_naptr(naptr),
            AllRecordData::Https(https) => {
                let h2 = https.params().as_slice() == H2;
                let plain = https.priority() == 1 && (h2 || https.params().is_empty());
                plain.then(|| Self::Https { host: normal(https.target()), h2 })
            }
            AllRecordData::Tlsa(tlsa) => {
                let shape = (tlsa.usage().to_int(), tlsa.selector().to_int(), tlsa.matching_type().to_int());
                let digest = <[u8; 32]>::try_from(tlsa.data().as_ref()).ok().filter(|_| shape == (3, 1, 1));
                digest.map(Self::Tlsa)
            }
            AllRecordData::Txt(txt) => {
                let text = txt.as_flat_slice().and_then(|flat| std::str::from_utf8(flat).ok());
                text.map(|text| Self::Text(text.to_owned()))
            }
            AllRecordData::Caa(caa) => of_caa(caa),
            _ => None,
        };
        known.unwrap_or_else(|| {
            let text = found.display_zonefile(DisplayKind::Simple).to_string();
            Self::Other(found.rtype().to_int(), octets_of(found), text)
        })
    }

    /// Its octets, names in full and in lower case (RFC 4034 §6.2): equal where the records are.
    pub fn octets(&self) -> Result<Vec<u8>, NameTooLong> {
        Ok(octets_of(&self.to_wire()?))
    }

    /// Its text alone, as behind the type in a zone file.
    pub fn to_text(&self) -> Result<String, NameTooLong> {
        match self {
            Self::Other(.., text) => Ok(text.clone()),
            data => Ok(data.to_wire()?.display_zonefile(DisplayKind::Simple).to_string()),
        }
    }
}

fn octets_of<O: AsRef<[u8]>, N: ToName>(data: &AllRecordData<O, N>) -> Vec<u8> {
    let mut octets = Vec::new();
    match data.compose_canonical_rdata(&mut octets) {
        Ok(()) => octets,
    }
}

fn of_naptr<O: AsRef<[u8]>, N: Display>(naptr: &Naptr<O, N>) -> Option<Data> {
    let plain = naptr.flags().as_slice().eq_ignore_ascii_case(b"s") && naptr.regexp().as_slice().is_empty();
    let service = std::str::from_utf8(naptr.services().as_slice()).ok().filter(|_| plain)?;
    let (order, preference) = (naptr.order(), naptr.preference());
    Some(Data::Naptr {
        order,
        preference,
        service: service.to_owned(),
        replacement: normal(naptr.replacement()),
    })
}

fn of_caa<O: AsRef<[u8]>>(caa: &Caa<O>) -> Option<Data> {
    let plain = caa.flags().bits() == 0 && caa.tag().to_string().eq_ignore_ascii_case("issue");
    let issuer = std::str::from_utf8(caa.value().as_ref()).ok().filter(|_| plain)?;
    Some(Data::Caa(self::issuer(issuer)))
}

impl Record {
    /// One line of zone text.
    pub fn to_line(&self, ttl: u32) -> Result<String, NameTooLong> {
        let (owner, ttl) = (name(&self.owner)?, Ttl::from_secs(ttl));
        if let Data::Other(kind, _, text) = &self.data {
            return Ok(format!("{}. {} IN {} {text}", self.owner, ttl.as_secs(), Rtype::from_int(*kind)));
        }
        let record = WireRecord::new(owner, Class::IN, ttl, self.data.to_wire()?);
        Ok(record.display_zonefile(DisplayKind::Simple).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(owner: &str, data: Data, expected: &str) {
        assert_eq!(Data::from_wire(&data.to_wire().unwrap()), data, "read back");
        assert_eq!(Record { owner: owner.into(), data }.to_line(TTL).as_deref(), Ok(expected));
    }

    #[test]
    fn lines() {
        check(
            "sip.falcot.com",
            Data::Address("192.0.2.1".parse().unwrap()),
            "sip.falcot.com. 3600 IN A 192.0.2.1",
        );
        check(
            "sip.falcot.com",
            Data::Address("2001:db8::1".parse().unwrap()),
            "sip.falcot.com. 3600 IN AAAA 2001:db8::1",
        );
        let target = Some("sip.falcot.com".to_owned());
        check(
            "_sip._udp.falcot.com",
            Data::Srv { priority: 1, weight: 7, port: 5060, target },
            "_sip._udp.falcot.com. 3600 IN SRV 1 7 5060 sip.falcot.com.",
        );
        check(
            "_sips._tcp.falcot.com",
            Data::Srv { priority: 0, weight: 0, port: 0, target: None },
            "_sips._tcp.falcot.com. 3600 IN SRV 0 0 0 .",
        );
        let (service, replacement) = ("SIP+D2U".to_owned(), "_sip._udp.falcot.com".to_owned());
        check(
            "falcot.com",
            Data::Naptr { order: 30, preference: 10, service, replacement },
            "falcot.com. 3600 IN NAPTR 30 10 \"s\" \"SIP+D2U\" \"\" _sip._udp.falcot.com.",
        );
        check(
            "_5280._https.xmpp.falcot.com",
            Data::Https { host: "xmpp.falcot.com".into(), h2: false },
            "_5280._https.xmpp.falcot.com. 3600 IN HTTPS 1 xmpp.falcot.com.",
        );
        check(
            "xmpp.falcot.com",
            Data::Https { host: "xmpp.falcot.com".into(), h2: true },
            "xmpp.falcot.com. 3600 IN HTTPS 1 xmpp.falcot.com. alpn=h2",
        );
        check(
            "falcot.com",
            Data::Caa("ca.example; accounturi=https://ca.example/1".into()),
            "falcot.com. 3600 IN CAA 0 issue \"ca.example; accounturi=https://ca.example/1\"",
        );
        check(
            "falcot.com",
            Data::Text("two words; and \"more\"".into()),
            "falcot.com. 3600 IN TXT \"two words; and \\\"more\\\"\"",
        );
        check(
            "_5061._tcp.sip.falcot.com",
            Data::Tlsa([0xab; 32]),
            &format!("_5061._tcp.sip.falcot.com. 3600 IN TLSA 3 1 1 {}", "AB".repeat(32)),
        );
    }

    #[test]
    fn what_is_of_another_shape_is_kept_as_it_was() {
        let tag = CaaTag::new(characters("iodef")).unwrap();
        let caa = Caa::new(CaaFlags::new(0), tag, b"mailto:x@falcot.com".to_vec());
        let found = Data::from_wire(&WireData::from(caa));
        assert!(matches!(found, Data::Other(257, ..)), "{found:?}");
        let record = Record { owner: "falcot.com".into(), data: found.clone() };
        assert_eq!(record.to_line(60).unwrap(), "falcot.com. 60 IN CAA 0 iodef \"mailto:x@falcot.com\"");
        assert_eq!(found.octets().unwrap(), [&[0, 5][..], b"iodef", b"mailto:x@falcot.com"].concat());
        let upper = Srv::new(1, 2, 3, name("HOST.Falcot.com").unwrap());
        let target = Some("host.falcot.com".to_owned());
        assert_eq!(
            Data::from_wire(&WireData::from(upper)),
            Data::Srv { priority: 1, weight: 2, port: 3, target }
        );
    }

    #[test]
    fn authorities_are_written_one_way() {
        let check = |text: &str, expected: &str| assert_eq!(issuer(text), expected, "{text}");
        check("ca.example;a=b ;  c=d", "ca.example; a=b; c=d");
        check(" ca.example ", "ca.example");
        check("", ";");
        check(" ; ", ";");
        check(";a=b", "; a=b");
    }

    #[test]
    fn names_that_are_too_long() {
        let owner = format!("_xmpps-client._tcp.{}.com", ["a".repeat(63).as_str(); 3].join("."));
        let owner = format!("{}.{owner}", "b".repeat(63));
        let record = Record { owner: owner.clone(), data: Data::Ns("ns.falcot.com".into()) };
        assert_eq!(record.to_line(TTL), Err(NameTooLong(owner)));
    }
}
