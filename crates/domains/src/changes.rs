//! What is to be changed in a zone that others write into as well: only what we have put there ourselves is ever taken out.
//!
//! A record is ours if a mark says so: a TXT record at `_parlour.` in front of the domain, with the type, the name and
//! a digest of what the record says. A record that somebody else has put there has none, even if it is what we want.

use crate::check::{Question, questions};
use crate::message::Update;
use crate::record::{Data, NameTooLong, Record};
use crate::zone::Zone;
use domain::base::iana::Rtype;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// The name in front of the domain at which marks are kept.
const MARKS: &str = "_parlour";

/// How a mark begins.
const VERSION: &str = "v=parlour1";

/// What a mark says: this record is ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    kind: u16,
    /// Relative to the domain; `@` is the domain itself.
    owner: String,
    digest: String,
}

impl Mark {
    fn of(zone: &Zone, record: &Record) -> Result<Self, NameTooLong> {
        let digest = Sha256::digest(record.data.octets()?);
        let digest = digest[..8].iter().map(|octet| format!("{octet:02x}")).collect();
        let owner = record.owner.strip_suffix(zone.apex.as_str()).unwrap_or(&record.owner);
        let owner = if owner.is_empty() { "@" } else { owner.trim_end_matches('.') }.to_owned();
        Ok(Self { kind: record.data.kind().to_int(), owner, digest })
    }

    fn to_data(&self) -> Data {
        Data::Text(format!("{VERSION} {} {} {}", Rtype::from_int(self.kind), self.owner, self.digest))
    }

    fn read(data: &Data) -> Option<Self> {
        let Data::Text(text) = data else { return None };
        let mut words = text.strip_prefix(VERSION)?.split_whitespace();
        let kind = Rtype::from_str(words.next()?).ok()?.to_int();
        Some(Self { kind, owner: words.next()?.to_owned(), digest: words.next()?.to_owned() })
    }

    fn owner(&self, zone: &Zone) -> String {
        if self.owner == "@" { zone.apex.to_string() } else { format!("{}.{}", self.owner, zone.apex) }
    }
}

/// Where a domain's marks are.
pub fn marks_of(zone: &Zone) -> Question {
    (format!("{MARKS}.{}", zone.apex), Rtype::TXT.to_int())
}

/// What has to be known of a zone beside its marks, which are these: every name and type that we want, or once wanted.
pub fn to_look_up(zone: &Zone, marks: &[Data]) -> Vec<Question> {
    let mut all = questions(&zone.records);
    for mark in marks.iter().filter_map(Mark::read) {
        let question = (mark.owner(zone), mark.kind);
        if !all.contains(&question) {
            all.push(question);
        }
    }
    all
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Records to put in.
    pub add: Vec<Record>,
    /// Records of ours that are not wanted any more.
    pub remove: Vec<Record>,
    /// Records of others, where ours would have to be: nothing is changed there.
    pub foreign: Vec<Record>,
    /// Records that are as they should be.
    pub good: usize,
    mark: Vec<Record>,
    unmark: Vec<Record>,
    marks: Vec<Data>,
}

/// What a server says of the names and types of [`to_look_up`]; an alias stands under its own type.
pub type Seen = BTreeMap<Question, Vec<Data>>;

/// What is to be done in a zone, of which this is seen.
pub fn changes(zone: &Zone, marks: &[Data], seen: &Seen) -> Result<Changes, NameTooLong> {
    let ours: BTreeSet<Mark> = marks.iter().filter_map(Mark::read).collect();
    let mut changes = Changes { marks: marks.to_vec(), ..Changes::default() };
    let mut kept: BTreeSet<Mark> = BTreeSet::new();
    for (question, found) in seen {
        for data in found {
            let record = Record { owner: question.0.clone(), data: data.clone() };
            let mark = Mark::of(zone, &record)?;
            match (zone.records.contains(&record), ours.contains(&mark)) {
                (true, true) => drop(kept.insert(mark)),
                (true, false) => {}
                (false, true) => changes.remove.push(record),
                (false, false) if changes.foreign.contains(&record) => {}
                (false, false) => changes.foreign.push(record),
            }
        }
    }
    let is_there = |record: &Record| {
        let found = seen.get(&(record.owner.clone(), record.data.kind().to_int()));
        found.is_some_and(|found| found.contains(&record.data))
    };
    for record in &zone.records {
        if is_there(record) {
            changes.good += 1;
        } else if !changes.foreign.iter().any(|other| is_in_the_way(other, record)) {
            kept.insert(Mark::of(zone, record)?);
            changes.add.push(record.clone());
        }
    }
    let matters = |foreign: &Record| zone.records.iter().any(|record| is_in_the_way(foreign, record));
    changes.foreign.retain(matters);
    let owner = marks_of(zone).0;
    let record = |mark: &Mark| Record { owner: owner.clone(), data: mark.to_data() };
    changes.mark = kept.difference(&ours).map(record).collect();
    changes.unmark = ours.difference(&kept).map(record).collect();
    Ok(changes)
}

/// Whether ours must not stand beside somebody else's: an alias stands alone, hosts and services are one's or the other's.
/// A name may have authorities, pointers and keys of both.
fn is_in_the_way(foreign: &Record, ours: &Record) -> bool {
    let address = |data: &Data| matches!(data, Data::Address(_));
    foreign.owner == ours.owner
        && match (&foreign.data, &ours.data) {
            (Data::Alias(_), _) | (Data::Srv { .. }, Data::Srv { .. }) => true,
            (theirs, own) => address(theirs) && address(own),
        }
}

impl Changes {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        [&self.add, &self.remove, &self.mark, &self.unmark].iter().all(|records| records.is_empty())
    }

    /// The update that does it, if the marks are still those that were seen; `zone` is the one that the server has.
    pub fn update(&self, zone: &Zone, server_zone: &str) -> Update {
        let (owner, kind) = marks_of(zone);
        let add = self.mark.iter().chain(&self.add).map(|record| (record.clone(), zone.ttl)).collect();
        let remove = self.unmark.iter().chain(&self.remove).cloned().collect();
        let unless = vec![(owner, Rtype::from_int(kind), self.marks.clone())];
        Update { zone: server_zone.to_owned(), unless, add, remove }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Domain;

    const HOST: &str = "sip.falcot.com";
    const SERVICE: &str = "_sip._udp.falcot.com";

    fn record(owner: &str, data: Data) -> Record {
        Record { owner: owner.into(), data }
    }

    fn srv(port: u16) -> Record {
        record(SERVICE, Data::Srv { priority: 0, weight: 0, port, target: Some(HOST.into()) })
    }

    fn address(last: u8) -> Record {
        record(HOST, Data::Address([192, 0, 2, last].into()))
    }

    fn caa(issuer: &str) -> Record {
        record("falcot.com", Data::Caa(issuer.into()))
    }

    fn zone(records: &[Record]) -> Zone {
        Zone { apex: Domain::new("falcot.com").unwrap(), records: records.to_vec(), ttl: 60 }
    }

    /// A zone as a server has it.
    #[derive(Default)]
    struct Server(BTreeSet<Record>);

    impl Server {
        fn of(&self, (owner, kind): &Question) -> Vec<Data> {
            let here = self.0.iter().filter(|record| record.owner == *owner);
            here.filter(|r| [*kind, 5].contains(&r.data.kind().to_int())).map(|r| r.data.clone()).collect()
        }

        fn changes(&self, zone: &Zone) -> Changes {
            let marks = self.of(&marks_of(zone));
            let seen = to_look_up(zone, &marks).into_iter().map(|q| (q.clone(), self.of(&q))).collect();
            changes(zone, &marks, &seen).unwrap()
        }

        fn apply(&mut self, zone: &Zone) -> Changes {
            let changes = self.changes(zone);
            let update = changes.update(zone, "falcot.com");
            assert_eq!(update.unless[0].2, self.of(&marks_of(zone)));
            update.remove.iter().for_each(|record| assert!(self.0.remove(record), "{record:?}"));
            self.0.extend(update.add.into_iter().map(|(record, _)| record));
            assert!(self.changes(zone).is_empty(), "done once is done");
            changes
        }
    }

    #[test]
    fn ours_comes_changes_and_goes() {
        let mut server = Server::default();
        let first = server.apply(&zone(&[address(1), srv(5060)]));
        assert_eq!((first.add.len(), first.remove.len(), server.0.len()), (2, 0, 4));
        let moved = server.apply(&zone(&[address(2), srv(5060)]));
        assert_eq!((moved.add, moved.remove, moved.good), (vec![address(2)], vec![address(1)], 1));
        server.apply(&zone(&[]));
        assert_eq!(server.0.len(), 0, "nothing is left behind");
    }

    #[test]
    fn what_others_have_put_there_stays() {
        let mut server = Server::default();
        let others = [address(9), srv(5070), caa("ca.example"), record("www.falcot.com", address(7).data)];
        server.0.extend(others.iter().cloned());
        let changes = server.apply(&zone(&[address(1), srv(5060), caa("other.example")]));
        assert_eq!(changes.add, [caa("other.example")], "an authority may stand beside another");
        assert_eq!(changes.foreign, [srv(5070), address(9)]);
        server.apply(&zone(&[]));
        assert_eq!(server.0, others.into_iter().collect());
    }

    #[test]
    fn what_is_there_already_does_not_become_ours() {
        let mut server = Server::default();
        server.0.extend([address(1), srv(5060)]);
        let changes = server.apply(&zone(&[address(1), srv(5060)]));
        assert_eq!((changes.good, server.0.len()), (2, 2), "no mark is needed");
        server.apply(&zone(&[address(2)]));
        assert_eq!(server.0.len(), 2, "neither changed nor taken out");
    }

    #[test]
    fn an_alias_is_in_the_way_of_everything() {
        let mut server = Server::default();
        server.0.insert(record(HOST, Data::Alias("www.falcot.com".into())));
        let changes = server.apply(&zone(&[address(1), srv(5060)]));
        assert_eq!((changes.add, changes.foreign.len()), (vec![srv(5060)], 1));
    }

    #[test]
    fn what_somebody_has_taken_out_comes_back_or_is_forgotten() {
        let mut server = Server::default();
        server.apply(&zone(&[address(1), srv(5060)]));
        server.0.remove(&srv(5060));
        assert_eq!(server.apply(&zone(&[address(1), srv(5060)])).add, [srv(5060)]);
        server.0.remove(&srv(5060));
        server.apply(&zone(&[address(1)]));
        assert_eq!(server.0.len(), 2, "its mark is gone");
        server.0.insert(srv(5060));
        server.apply(&zone(&[address(1)]));
        assert!(server.0.contains(&srv(5060)), "whoever put it back, it is theirs now");
    }
}
