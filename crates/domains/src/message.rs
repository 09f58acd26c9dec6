//! Questions to name servers, what they answer (RFC 1035 §4), and dynamic updates (RFC 2136), as octets.

use crate::record::{Data, NameTooLong, Record, name, normal};
use domain::base::iana::{Class, Rtype};
use domain::base::{Message, ParsedRecord};
use domain::rdata::AllRecordData;

/// How a question is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// The server is to ask others (RD).
    pub recursive: bool,
    /// It is to say whether signatures were verified (DO, RFC 4035 §3.2.1).
    pub secure: bool,
    /// It is not to refuse what it cannot verify (CD).
    pub unchecked: bool,
}

/// The message of a question.
pub fn question(id: u16, owner: &str, kind: Rtype, manner: Manner) -> Result<Vec<u8>, NameTooLong> {
    let flags = u16::from(manner.recursive) << 8 | u16::from(manner.unchecked) << 4;
    let mut octets = header(id, flags, [1, 0, 0, 1]);
    octets.extend_from_slice(name(owner)?.as_slice());
    octets.extend(kind.to_int().to_be_bytes());
    octets.extend(Class::IN.to_int().to_be_bytes());
    // EDNS (RFC 6891): the answer may have 1232 octets by UDP.
    let flags: u16 = if manner.secure { 0x8000 } else { 0 };
    octets.push(0);
    octets.extend([0, 41, 0x04, 0xd0, 0, 0]);
    octets.extend(flags.to_be_bytes());
    octets.extend([0, 0]);
    Ok(octets)
}

fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let words = [id, flags].into_iter().chain(counts);
    words.flat_map(u16::to_be_bytes).collect()
}

/// What a server said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// How it went (RFC 1035 §4.1.1, RFC 2136 §2.2).
    pub code: u8,
    /// It speaks for the zone itself.
    pub authoritative: bool,
    /// There is more than fits.
    pub truncated: bool,
    /// It has verified the signatures (RFC 4035 §3.2.3).
    pub verified: bool,
    /// What answers the question, aliases on the way included; with the time that it may be remembered.
    pub records: Vec<(Record, u32)>,
    /// What it says of who knows better, or that there is nothing.
    pub authority: Vec<Record>,
}

impl Answer {
    /// Nothing went wrong, though there may be nothing either.
    pub fn is_good(&self) -> bool {
        matches!(self.code, 0 | 3)
    }

    /// Reads the answer to the question with this id; `None` where it is something else.
    pub fn read(octets: &[u8], id: u16) -> Option<Self> {
        let message = Message::from_slice(octets).ok()?;
        let header = message.header();
        if header.id() != id || !header.qr() {
            return None;
        }
        let (_, answer, authority, _) = message.sections().ok()?;
        let read = |record: Result<ParsedRecord<'_, [u8]>, _>| {
            let record = record.ok()?;
            let owner = normal(&record.owner());
            let ttl = record.ttl().as_secs();
            let data = record.to_record::<AllRecordData<_, _>>().ok()??;
            Some((Record { owner, data: Data::from_wire(data.data()) }, ttl))
        };
        Some(Self {
            code: header.rcode().to_int(),
            authoritative: header.aa(),
            truncated: header.tc(),
            verified: header.ad(),
            records: answer.map(read).collect::<Option<_>>()?,
            authority: authority
                .map(read)
                .map(|found| found.map(|(record, _)| record))
                .collect::<Option<_>>()?,
        })
    }

    /// What it says of this name itself, of this type.
    pub fn of<'a>(&'a self, owner: &'a str, kind: Rtype) -> impl Iterator<Item = &'a Data> {
        let own = self.records.iter().filter(move |(record, _)| record.owner == owner);
        own.map(|(record, _)| &record.data).filter(move |data| data.kind() == kind)
    }

    /// Whose alias the name is (CNAME).
    pub fn alias(&self, owner: &str) -> Option<&str> {
        self.records.iter().find_map(|(record, _)| match &record.data {
            Data::Alias(target) if record.owner == owner => Some(target.as_str()),
            _ => None,
        })
    }

    /// The zone that the name lies in, by its SOA record here.
    pub fn zone(&self) -> Option<&Record> {
        let all = self.records.iter().map(|(record, _)| record).chain(&self.authority);
        all.into_iter().find(|record| matches!(record.data, Data::Soa { .. }))
    }
}

/// The word for how it went.
pub fn word(code: u8) -> String {
    domain::base::iana::Rcode::masked_from_int(code).to_string()
}

/// A dynamic update of one zone: all of it happens, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// The zone.
    pub zone: String,
    /// Record sets that must be exactly so; an empty one must not be there.
    pub unless: Vec<(String, Rtype, Vec<Data>)>,
    /// Names that must have no records at all.
    pub unused: Vec<String>,
    /// Records to put in, with the time that they may be remembered.
    pub add: Vec<(Record, u32)>,
    /// Records to take out, each by what it says.
    pub remove: Vec<Record>,
}

impl Update {
    /// Its message, without a signature.
    pub fn message(&self, id: u16) -> Result<Vec<u8>, NameTooLong> {
        const NONE: u16 = 254;
        const ANY: Rtype = Rtype::ANY;
        let count = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        let sets: usize = self.unless.iter().map(|(_, _, all)| all.len().max(1)).sum();
        let conditions = sets + self.unused.len();
        let changes = self.add.len() + self.remove.len();
        // Opcode 5 (RFC 2136 §2.2).
        let mut octets = header(id, 5 << 11, [1, count(conditions), count(changes), 0]);
        octets.extend_from_slice(name(&self.zone)?.as_slice());
        octets.extend(Rtype::SOA.to_int().to_be_bytes());
        octets.extend(Class::IN.to_int().to_be_bytes());
        let class = Class::IN.to_int();
        for (owner, kind, all) in &self.unless {
            if all.is_empty() {
                put(&mut octets, owner, *kind, NONE, 0, &[])?;
            }
            for data in all {
                put(&mut octets, owner, *kind, class, 0, &data.octets()?)?;
            }
        }
        for owner in &self.unused {
            put(&mut octets, owner, ANY, NONE, 0, &[])?;
        }
        for Record { owner, data } in &self.remove {
            put(&mut octets, owner, data.kind(), NONE, 0, &data.octets()?)?;
        }
        for (Record { owner, data }, ttl) in &self.add {
            put(&mut octets, owner, data.kind(), class, *ttl, &data.octets()?)?;
        }
        Ok(octets)
    }
}

fn put(
    octets: &mut Vec<u8>,
    owner: &str,
    kind: Rtype,
    class: u16,
    ttl: u32,
    data: &[u8],
) -> Result<(), NameTooLong> {
    octets.extend_from_slice(name(owner)?.as_slice());
    octets.extend(kind.to_int().to_be_bytes());
    octets.extend(class.to_be_bytes());
    octets.extend(ttl.to_be_bytes());
    octets.extend(u16::try_from(data.len()).map_err(|_| NameTooLong(owner.to_owned()))?.to_be_bytes());
    octets.extend_from_slice(data);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(owner: &str, data: Data) -> Record {
        Record { owner: owner.into(), data }
    }

    #[test]
    fn a_question_and_its_answer() {
        let manner = Manner { recursive: true, secure: true, unchecked: false };
        let asked = question(0x1234, "a.example", Rtype::A, manner).unwrap();
        assert_eq!(asked[..12], [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(asked[12..], *b"\x01a\x07example\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\x80\0\0\0");
        let mut answer = asked[..27].to_vec();
        answer[2..12].copy_from_slice(&[0x85, 0xa0, 0, 1, 0, 2, 0, 1, 0, 0]);
        answer.extend(b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01b\xc0\x0e");
        answer.extend(b"\xc0\x27\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01");
        answer.extend(b"\xc0\x0e\0\x02\0\x01\0\0\0\x3c\0\x02\xc0\x0c");
        let read = Answer::read(&answer, 0x1234).unwrap();
        assert!(read.authoritative && read.verified && !read.truncated && read.is_good());
        assert_eq!(read.alias("a.example"), Some("b.example"));
        assert_eq!(read.of("a.example", Rtype::A).count(), 0, "that is the alias's");
        let address = Data::Address("192.0.2.1".parse().unwrap());
        assert_eq!(read.of("b.example", Rtype::A).collect::<Vec<_>>(), [&address]);
        assert_eq!(read.authority, [record("example", Data::Ns("a.example".into()))]);
        assert_eq!(Answer::read(&answer, 0x1235), None, "that is another's");
        assert_eq!(Answer::read(&asked, 0x1234), None, "that is no answer");
        for cut in 0..answer.len() {
            assert_eq!(Answer::read(&answer[..cut], 0x1234), None, "cut at {cut}");
        }
    }

    #[test]
    fn an_update_as_rfc_2136_has_it() {
        let address = |last: u8| Data::Address([192, 0, 2, last].into());
        let update = Update {
            zone: "example".into(),
            unless: vec![
                ("m.example".into(), Rtype::TXT, vec![]),
                ("n.example".into(), Rtype::TXT, vec![Data::Text("x".into())]),
            ],
            unused: vec!["u.example".into()],
            add: vec![(record("a.example", address(1)), 60)],
            remove: vec![record("b.example", address(2))],
        };
        let octets = update.message(7).unwrap();
        assert_eq!(octets[..12], [0, 7, 0x28, 0, 0, 1, 0, 3, 0, 2, 0, 0]);
        let expected = [
            &b"\x07example\0\0\x06\0\x01"[..],
            b"\x01m\x07example\0\0\x10\0\xfe\0\0\0\0\0\0",
            b"\x01n\x07example\0\0\x10\0\x01\0\0\0\0\0\x02\x01x",
            b"\x01u\x07example\0\0\xff\0\xfe\0\0\0\0\0\0",
            b"\x01b\x07example\0\0\x01\0\xfe\0\0\0\0\0\x04\xc0\0\x02\x02",
            b"\x01a\x07example\0\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01",
        ];
        assert_eq!(octets[12..], expected.concat());
    }
}
