//! DNS records of the kinds that real-time communication needs, and their text as zone files have it.

use domain::base::charstr::CharStr;
use domain::base::iana::Class;
use domain::base::name::Name;
use domain::base::zonefile_fmt::{DisplayKind, ZonefileFmt};
use domain::base::{Record as WireRecord, Serial, Ttl};
use domain::rdata::{A, Aaaa, Naptr, Ns, Soa, Srv};
use std::net::IpAddr;
use std::str::FromStr;

/// How long others may remember a record, in seconds.
pub const TTL: u32 = 3600;

/// A record. Names are absolute, without their final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose record it is.
    pub owner: String,
    /// What it says.
    pub data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// SOA: whose zone this is (RFC 1035 §3.3.13).
    Soa {
        /// The first name server.
        server: String,
        /// The version of the zone.
        serial: u32,
    },
    /// NS: a name server.
    Ns(String),
    /// A or AAAA.
    Address(IpAddr),
    /// SRV (RFC 2782).
    Srv {
        /// Lower is tried first.
        priority: u16,
        /// The service's port.
        port: u16,
        /// The host; `None` is "not offered here" (`0 0 0 .`).
        target: Option<String>,
    },
    /// NAPTR with the flag "s": the service's SRV records are at `replacement` (RFC 3403).
    Naptr {
        /// Lower is tried first.
        order: u16,
        /// `SIP+D2U`, `RELAY:turn.udp` …
        service: &'static str,
        /// The name of SRV records.
        replacement: String,
    },
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

type Absolute = Name<Vec<u8>>;

fn name(text: &str) -> Result<Absolute, NameTooLong> {
    Name::from_str(text).map_err(|_| NameTooLong(text.to_owned()))
}

fn characters(text: &str) -> CharStr<Vec<u8>> {
    CharStr::from_octets(text.as_bytes().to_vec()).expect("services and flags are shorter than 256 octets")
}

impl Record {
    /// One line of zone text.
    pub fn to_line(&self) -> Result<String, NameTooLong> {
        match &self.data {
            Data::Soa { server, serial } => {
                let contact = name(&format!("hostmaster.{}", self.owner))?;
                let time = Ttl::from_secs;
                let serial = Serial::from(*serial);
                // Refresh, retry, expire and negative caching as RIPE-203 advises for small zones.
                let (refresh, retry, expire) = (time(86_400), time(7200), time(3_600_000));
                self.line(Soa::new(name(server)?, contact, serial, refresh, retry, expire, time(TTL)))
            }
            Data::Ns(server) => self.line(Ns::new(name(server)?)),
            Data::Address(IpAddr::V4(address)) => self.line(A::new(*address)),
            Data::Address(IpAddr::V6(address)) => self.line(Aaaa::new(*address)),
            Data::Srv { priority, port, target } => {
                let target = target.as_deref().map_or(Ok(Name::root_vec()), name)?;
                self.line(Srv::new(*priority, 0, *port, target))
            }
            Data::Naptr { order, service, replacement } => {
                let (flags, service, none) = (characters("s"), characters(service), characters(""));
                self.line(Naptr::new(*order, 10, flags, service, none, name(replacement)?))
            }
        }
    }

    fn line<D>(&self, data: D) -> Result<String, NameTooLong>
    where
        WireRecord<Absolute, D>: ZonefileFmt,
    {
        let record = WireRecord::new(name(&self.owner)?, Class::IN, Ttl::from_secs(TTL), data);
        Ok(record.display_zonefile(DisplayKind::Simple).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(owner: &str, data: Data, expected: &str) {
        assert_eq!(Record { owner: owner.into(), data }.to_line().as_deref(), Ok(expected));
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
            Data::Srv { priority: 1, port: 5060, target },
            "_sip._udp.falcot.com. 3600 IN SRV 1 0 5060 sip.falcot.com.",
        );
        check(
            "_sips._tcp.falcot.com",
            Data::Srv { priority: 0, port: 0, target: None },
            "_sips._tcp.falcot.com. 3600 IN SRV 0 0 0 .",
        );
        let replacement = "_sip._udp.falcot.com".to_owned();
        check(
            "falcot.com",
            Data::Naptr { order: 30, service: "SIP+D2U", replacement },
            "falcot.com. 3600 IN NAPTR 30 10 \"s\" \"SIP+D2U\" \"\" _sip._udp.falcot.com.",
        );
    }

    #[test]
    fn names_that_are_too_long() {
        let owner = format!("_xmpps-client._tcp.{}.com", ["a".repeat(63).as_str(); 3].join("."));
        let owner = format!("{}.{owner}", "b".repeat(63));
        let record = Record { owner: owner.clone(), data: Data::Ns("ns.falcot.com".into()) };
        assert_eq!(record.to_line(), Err(NameTooLong(owner)));
    }
}
