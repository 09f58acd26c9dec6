//! What is to be changed in a zone that others write into as well: only what we have put there ourselves is ever taken out.
//!
//! A record is ours if a mark says so: a TXT record at `_parlour.` in front of the domain, with the type, the name, a digest
//! of what the record says, the installation that has put it there and for how long others may remember it. A record that
//! somebody else has put there has none, even if it is what we want; one of another installation has that one's mark.

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

/// Which record a mark is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    kind: u16,
    /// Relative to the domain; `@` is the domain itself.
    owner: String,
    digest: String,
}

impl Subject {
    fn of(zone: &Zone, record: &Record) -> Result<Self, NameTooLong> {
        let digest = Sha256::digest(record.data.octets()?);
        let digest = digest[..8].iter().map(|octet| format!("{octet:02x}")).collect();
        let owner = record.owner.strip_suffix(zone.apex.as_str()).unwrap_or(&record.owner);
        let owner = if owner.is_empty() { "@" } else { owner.trim_end_matches('.') }.to_owned();
        Ok(Self { kind: record.data.kind().to_int(), owner, digest })
    }

    fn owner(&self, zone: &Zone) -> String {
        if self.owner == "@" { zone.apex.to_string() } else { format!("{}.{}", self.owner, zone.apex) }
    }
}

/// What a mark says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    subject: Subject,
    /// Whose record it is; marks of earlier versions do not say it, and are whosever reads them.
    by: Option<String>,
    /// How long others may remember the record, in seconds, as far as it is known.
    ttl: Option<u32>,
}

impl Mark {
    fn to_data(&self) -> Data {
        let Subject { kind, owner, digest } = &self.subject;
        let by = self.by.as_deref().unwrap_or("-");
        let ttl = self.ttl.map_or_else(String::new, |ttl| format!(" {ttl}"));
        Data::Text(format!("{VERSION} {} {owner} {digest} {by}{ttl}", Rtype::from_int(*kind)))
    }

    fn read(data: &Data) -> Option<Self> {
        let Data::Text(text) = data else { return None };
        let mut words = text.strip_prefix(VERSION)?.split_whitespace();
        let kind = Rtype::from_str(words.next()?).ok()?.to_int();
        let subject = Subject { kind, owner: words.next()?.to_owned(), digest: words.next()?.to_owned() };
        let by = words.next().filter(|word| *word != "-").map(str::to_owned);
        Some(Self { subject, by, ttl: words.next().and_then(|word| word.parse().ok()) })
    }

    fn is_of(&self, installation: &str) -> bool {
        self.by.as_deref().is_none_or(|by| by == installation)
    }
}

/// Where a domain's marks are.
pub fn marks_of(zone: &Zone) -> Question {
    (format!("{MARKS}.{}", zone.apex), Rtype::TXT.to_int())
}

/// Whether a mark is among what stands there.
pub fn has_marks(found: &[Data]) -> bool {
    found.iter().any(|data| Mark::read(data).is_some())
}

/// What has to be known of a zone beside its marks, which are these: every name and type that we want, or once wanted.
pub fn to_look_up(zone: &Zone, marks: &[Data], installation: &str) -> Vec<Question> {
    let mut all = questions(&zone.records);
    for mark in marks.iter().filter_map(Mark::read).filter(|mark| mark.is_of(installation)) {
        let question = (mark.subject.owner(zone), mark.subject.kind);
        if !all.contains(&question) {
            all.push(question);
        }
    }
    all
}

/// A record of somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The record.
    pub record: Record,
    /// The installation of ours that has put it there, where it was one.
    pub by: Option<String>,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Records to put in.
    pub add: Vec<Record>,
    /// Records of ours that are not wanted any more.
    pub remove: Vec<Record>,
    /// Records of ours that are to be remembered for another time than they were put in for.
    pub renew: Vec<Record>,
    /// Records of others, where ours would have to be: nothing is changed there.
    pub foreign: Vec<Foreign>,
    /// Records that are as they should be.
    pub good: usize,
    /// Marks to put in.
    pub mark: Vec<Record>,
    /// Marks to take out.
    pub unmark: Vec<Record>,
    /// Names that have nothing, though a wildcard answers for them.
    unused: BTreeSet<String>,
    marks: Vec<Data>,
}

/// What is seen of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The domain's marks.
    pub marks: Vec<Data>,
    /// What a server says of the names and types of [`to_look_up`]; an alias stands under its own type.
    pub found: BTreeMap<Question, Vec<Data>>,
    /// Names of these whose answers are a wildcard's (RFC 4592): they have no records of their own.
    pub unused: BTreeSet<String>,
}

impl Seen {
    /// The questions whose answers are neither what we want nor ours: perhaps a wildcard's.
    pub fn unexplained(&self, zone: &Zone, installation: &str) -> Result<Vec<Question>, NameTooLong> {
        let ours: Vec<Mark> = self.ours(installation).collect();
        let mut all = vec![];
        for (question, found) in &self.found {
            for data in found {
                let record = Record { owner: question.0.clone(), data: data.clone() };
                let subject = Subject::of(zone, &record)?;
                let is_known =
                    zone.records.contains(&record) || ours.iter().any(|mark| mark.subject == subject);
                if !is_known && !all.contains(question) {
                    all.push(question.clone());
                }
            }
        }
        Ok(all)
    }

    fn ours<'a>(&'a self, installation: &'a str) -> impl Iterator<Item = Mark> + 'a {
        self.marks.iter().filter_map(Mark::read).filter(move |mark| mark.is_of(installation))
    }

    /// What is there at a name, of a type.
    fn at(&self, question: &Question) -> &[Data] {
        if self.unused.contains(&question.0) {
            return &[];
        }
        self.found.get(question).map_or(&[], Vec::as_slice)
    }
}

/// The names at which a wildcard would stand that answers for this one, in a zone, the nearest first (RFC 4592 §3.3.1).
pub fn wildcards(name: &str, zone: &str) -> Vec<String> {
    let mut all = vec![];
    let mut rest = name;
    while rest != zone {
        let Some((_, above)) = rest.split_once('.') else { break };
        all.push(format!("*.{above}"));
        rest = above;
    }
    all
}

/// What is to be done in a zone, of which this is seen, by the installation of this name.
pub fn changes(zone: &Zone, seen: &Seen, installation: &str) -> Result<Changes, NameTooLong> {
    let ours: BTreeMap<Subject, Mark> =
        seen.ours(installation).map(|mark| (mark.subject.clone(), mark)).collect();
    let mut changes = Changes { marks: seen.marks.clone(), ..Changes::default() };
    let mut kept: BTreeMap<Subject, Option<u32>> = BTreeMap::new();
    for question in seen.found.keys() {
        let records = seen.at(question).iter();
        let records: Vec<Record> =
            records.map(|data| Record { owner: question.0.clone(), data: data.clone() }).collect();
        let mut subjects = vec![];
        for record in &records {
            subjects.push(Subject::of(zone, record)?);
        }
        // All records of a name and type are remembered for the same time (RFC 2181 §5.2).
        let all_ours = subjects.iter().all(|subject| ours.contains_key(subject));
        for (record, subject) in records.into_iter().zip(subjects) {
            match (zone.records.contains(&record), ours.get(&subject)) {
                (true, Some(mark)) if mark.ttl != Some(zone.ttl) && all_ours => {
                    kept.insert(subject, Some(zone.ttl));
                    changes.renew.push(record);
                }
                (true, Some(mark)) => drop(kept.insert(subject, mark.ttl)),
                (true, None) => {}
                (false, Some(_)) => changes.remove.push(record),
                (false, None) => changes.meet(record, &subject, seen),
            }
        }
    }
    for record in &zone.records {
        if seen.at(&(record.owner.clone(), record.data.kind().to_int())).contains(&record.data) {
            changes.good += 1;
        } else if !changes.foreign.iter().any(|other| is_in_the_way(&other.record, record)) {
            kept.insert(Subject::of(zone, record)?, Some(zone.ttl));
            changes.add.push(record.clone());
            changes.unused.extend(seen.unused.get(&record.owner).cloned());
        }
    }
    let matters = |foreign: &Foreign| zone.records.iter().any(|ours| is_in_the_way(&foreign.record, ours));
    changes.foreign.retain(matters);
    changes.set_marks(zone, seen, kept, installation);
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
    /// Somebody else's record.
    fn meet(&mut self, record: Record, subject: &Subject, seen: &Seen) {
        let mark = seen.marks.iter().filter_map(Mark::read).find(|mark| mark.subject == *subject);
        let foreign = Foreign { record, by: mark.and_then(|mark| mark.by) };
        if !self.foreign.contains(&foreign) {
            self.foreign.push(foreign);
        }
    }

    fn set_marks(
        &mut self,
        zone: &Zone,
        seen: &Seen,
        kept: BTreeMap<Subject, Option<u32>>,
        installation: &str,
    ) {
        let owner = marks_of(zone).0;
        let record = |data: Data| Record { owner: owner.clone(), data };
        let by = Some(installation.to_owned());
        let wanted: Vec<Data> =
            kept.into_iter().map(|(subject, ttl)| Mark { subject, by: by.clone(), ttl }.to_data()).collect();
        let ours = |data: &&Data| Mark::read(data).is_some_and(|mark| mark.is_of(installation));
        let there: Vec<&Data> = seen.marks.iter().filter(ours).collect();
        self.unmark =
            there.iter().filter(|data| !wanted.contains(data)).map(|d| record((*d).clone())).collect();
        self.mark = wanted.into_iter().filter(|data| !there.contains(&data)).map(record).collect();
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let all = [&self.add, &self.remove, &self.renew, &self.mark, &self.unmark];
        all.iter().all(|records| records.is_empty())
    }

    /// The update that does it, if the marks are still those that were seen; `zone` is the one that the server has.
    pub fn update(&self, zone: &Zone, server_zone: &str) -> Update {
        let (owner, kind) = marks_of(zone);
        let add = self.mark.iter().chain(&self.renew).chain(&self.add);
        Update {
            zone: server_zone.to_owned(),
            unless: vec![(owner, Rtype::from_int(kind), self.marks.clone())],
            unused: self.unused.iter().cloned().collect(),
            add: add.map(|record| (record.clone(), zone.ttl)).collect(),
            remove: self.unmark.iter().chain(&self.renew).chain(&self.remove).cloned().collect(),
        }
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

    const HERE: &str = "here";

    /// A zone as a server has it.
    #[derive(Default)]
    struct Server(BTreeSet<Record>);

    impl Server {
        fn of(&self, (owner, kind): &Question) -> Vec<Data> {
            let here = self.0.iter().filter(|record| record.owner == *owner);
            here.filter(|r| [*kind, 5].contains(&r.data.kind().to_int())).map(|r| r.data.clone()).collect()
        }

        fn changes(&self, zone: &Zone, by: &str, unused: &[&str]) -> Changes {
            let marks = self.of(&marks_of(zone));
            let found = to_look_up(zone, &marks, by).into_iter().map(|q| (q.clone(), self.of(&q))).collect();
            let unused = unused.iter().map(|name| (*name).to_owned()).collect();
            changes(zone, &Seen { marks, found, unused }, by).unwrap()
        }

        fn apply_by(&mut self, zone: &Zone, by: &str) -> Changes {
            let changes = self.changes(zone, by, &[]);
            let update = changes.update(zone, "falcot.com");
            assert_eq!(update.unless[0].2, self.of(&marks_of(zone)));
            update.remove.iter().for_each(|record| assert!(self.0.remove(record), "{record:?}"));
            self.0.extend(update.add.into_iter().map(|(record, _)| record));
            assert!(self.changes(zone, by, &[]).is_empty(), "done once is done");
            changes
        }

        fn apply(&mut self, zone: &Zone) -> Changes {
            self.apply_by(zone, HERE)
        }
    }

    fn records_of(foreign: &[Foreign]) -> Vec<Record> {
        foreign.iter().map(|foreign| foreign.record.clone()).collect()
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
        assert_eq!(records_of(&changes.foreign), [srv(5070), address(9)]);
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

    #[test]
    fn two_installations_leave_one_another_alone() {
        let mut server = Server::default();
        server.apply_by(&zone(&[address(1), srv(5060)]), HERE);
        let other = server.apply_by(&zone(&[address(2), srv(5060), caa("ca.example")]), "there");
        assert_eq!(other.add, [caa("ca.example")]);
        assert_eq!(other.foreign, [Foreign { record: address(1), by: Some(HERE.into()) }]);
        server.apply_by(&zone(&[]), "there");
        assert_eq!(server.0.len(), 4, "its own is gone, and that alone");
        server.apply_by(&zone(&[]), HERE);
        assert_eq!(server.0.len(), 0);
    }

    #[test]
    fn marks_of_earlier_versions_become_those_of_this_installation() {
        let mut server = Server::default();
        server.apply(&zone(&[address(1)]));
        let owner = marks_of(&zone(&[])).0;
        let mark = server.0.iter().find(|record| record.owner == owner).unwrap().clone();
        let Data::Text(text) = &mark.data else { panic!("{mark:?}") };
        let earlier = text.split(' ').take(4).collect::<Vec<_>>().join(" ");
        assert_eq!(*text, format!("{earlier} here 60"));
        server.0.remove(&mark);
        server.0.insert(record(&owner, Data::Text(earlier)));
        let changes = server.apply(&zone(&[address(1)]));
        assert_eq!((changes.renew, changes.mark, changes.unmark.len()), (vec![address(1)], vec![mark], 1));
    }

    #[test]
    fn a_changed_time_alone_is_a_change_where_all_of_a_set_is_ours() {
        let mut server = Server::default();
        server.apply(&zone(&[address(1), caa("ca.example"), srv(5060)]));
        server.0.insert(caa("other.example"));
        let longer = Zone { ttl: 3600, ..zone(&[address(1), caa("ca.example")]) };
        let changes = server.apply(&longer);
        assert_eq!((changes.renew, changes.remove), (vec![address(1)], vec![srv(5060)]));
        assert_eq!(changes.good, 2);
    }

    #[test]
    fn what_a_wildcard_says_is_not_there() {
        let mut server = Server::default();
        let (any, wanted) = (record(HOST, Data::Alias("www.falcot.com".into())), zone(&[address(1)]));
        server.0.insert(any);
        let blocked = server.changes(&wanted, HERE, &[]);
        assert_eq!((blocked.add.len(), blocked.foreign.len()), (0, 1));
        let free = server.changes(&wanted, HERE, &[HOST]);
        assert_eq!((&free.add[..], free.foreign.len()), (&[address(1)][..], 0));
        assert_eq!(free.update(&wanted, "falcot.com").unused, [HOST], "if that is true");
        assert_eq!(wildcards("_sip._udp.falcot.com", "falcot.com"), ["*._udp.falcot.com", "*.falcot.com"]);
        assert_eq!(wildcards("falcot.com", "falcot.com"), [""; 0]);
    }
}
