//! Records as `dns-update` has them, and as we have them.

use dns_update::{
    CAARecord, DnsRecord, DnsRecordType, KeyValue, SRVRecord, TLSARecord, TlsaCertUsage, TlsaMatching,
    TlsaSelector,
};
use domain::base::iana::Rtype;
use domains::record::{Data, issuer};
use std::net::IpAddr;

/// The type; none where no provider's interface can have it.
pub(super) fn kind(kind: Rtype) -> Option<DnsRecordType> {
    Some(match kind {
        Rtype::A => DnsRecordType::A,
        Rtype::AAAA => DnsRecordType::AAAA,
        Rtype::CNAME => DnsRecordType::CNAME,
        Rtype::TXT => DnsRecordType::TXT,
        Rtype::SRV => DnsRecordType::SRV,
        Rtype::TLSA => DnsRecordType::TLSA,
        Rtype::CAA => DnsRecordType::CAA,
        _ => return None,
    })
}

/// What we have, as they have it; nothing where they cannot.
pub(super) fn theirs(data: &Data) -> Option<DnsRecord> {
    Some(match data {
        Data::Address(IpAddr::V4(address)) => DnsRecord::A(*address),
        Data::Address(IpAddr::V6(address)) => DnsRecord::AAAA(*address),
        Data::Alias(target) => DnsRecord::CNAME(target.clone()),
        Data::Text(text) => DnsRecord::TXT(text.clone()),
        Data::Srv { priority, weight, port, target } => DnsRecord::SRV(SRVRecord {
            target: target.clone().unwrap_or_else(|| ".".into()),
            priority: *priority,
            weight: *weight,
            port: *port,
        }),
        Data::Tlsa(digest) => DnsRecord::TLSA(TLSARecord {
            cert_usage: TlsaCertUsage::DaneEe,
            selector: TlsaSelector::Spki,
            matching: TlsaMatching::Sha256,
            cert_data: digest.to_vec(),
        }),
        Data::Caa(issuer) => DnsRecord::CAA(authority(issuer)),
        Data::Soa { .. } | Data::Ns(_) | Data::Naptr { .. } | Data::Https { .. } | Data::Other(..) => {
            return None;
        }
    })
}

/// An authority with its parameters (RFC 8659 §4.2).
fn authority(text: &str) -> CAARecord {
    let mut parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    let name = if text.trim_start().starts_with(';') { None } else { parts.next().map(str::to_owned) };
    let option = |part: &str| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        KeyValue { key: key.trim().to_owned(), value: value.trim().to_owned() }
    };
    CAARecord::Issue { issuer_critical: false, name, options: parts.map(option).collect() }
}

/// What they have, as we have it.
pub(super) fn ours(record: DnsRecord) -> Data {
    let text = record.to_string();
    let normal = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    match record {
        DnsRecord::A(address) => Data::Address(address.into()),
        DnsRecord::AAAA(address) => Data::Address(address.into()),
        DnsRecord::CNAME(target) => Data::Alias(normal(&target)),
        DnsRecord::NS(server) => Data::Ns(normal(&server)),
        DnsRecord::MX(_) => Data::Other(Rtype::MX.to_int(), text.clone().into_bytes(), text),
        DnsRecord::TXT(text) => Data::Text(text),
        DnsRecord::SRV(SRVRecord { target, priority, weight, port }) => {
            let target = Some(normal(&target)).filter(|target| !target.is_empty());
            Data::Srv { priority, weight, port, target }
        }
        DnsRecord::TLSA(tlsa) => {
            let shape = (tlsa.cert_usage, tlsa.selector, tlsa.matching);
            let ours = (TlsaCertUsage::DaneEe, TlsaSelector::Spki, TlsaMatching::Sha256);
            match <[u8; 32]>::try_from(tlsa.cert_data) {
                Ok(digest) if shape == ours => Data::Tlsa(digest),
                _ => Data::Other(Rtype::TLSA.to_int(), text.clone().into_bytes(), text),
            }
        }
        DnsRecord::CAA(caa) => match caa.clone().decompose() {
            (0, tag, value) if tag == "issue" => Data::Caa(issuer(&value)),
            _ => Data::Other(Rtype::CAA.to_int(), text.clone().into_bytes(), text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let srv = |target: Option<&str>| Data::Srv {
            priority: 1,
            weight: 2,
            port: 3,
            target: target.map(str::to_owned),
        };
        let all = [
            Data::Address([192, 0, 2, 1].into()),
            Data::Address("2001:db8::1".parse().expect("an address")),
            Data::Alias("a.example".into()),
            Data::Text("a \"word\"".into()),
            srv(Some("a.example")),
            srv(None),
            Data::Tlsa([7; 32]),
            Data::Caa("ca.example; accounturi=https://ca.example/1; validationmethods=dns-01".into()),
            Data::Caa("ca.example".into()),
            Data::Caa(";".into()),
        ];
        for data in all {
            let there = theirs(&data).expect("they can");
            assert_eq!(kind(data.kind()), Some(there.as_type()));
            assert_eq!(ours(there), data);
        }
    }

    #[test]
    fn what_is_of_another_shape_is_nobodys_of_ours() {
        let key = TLSARecord {
            cert_usage: TlsaCertUsage::DaneTa,
            selector: TlsaSelector::Spki,
            matching: TlsaMatching::Sha256,
            cert_data: vec![7; 32],
        };
        assert!(matches!(ours(DnsRecord::TLSA(key)), Data::Other(52, ..)));
        let wild = CAARecord::IssueWild { issuer_critical: false, name: None, options: vec![] };
        assert!(matches!(ours(DnsRecord::CAA(wild)), Data::Other(257, ..)));
        assert_eq!(theirs(&Data::Ns("ns.example".into())), None);
    }
}
