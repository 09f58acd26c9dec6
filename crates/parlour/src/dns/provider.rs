//! Records in the books of a provider, by its interface (`dns-update`): what is there, and what becomes of it. It has no
//! transactions: marks are made before what they mark, and taken out behind it, so that whatever stops halfway is gone on with.

mod records;

use super::ask::{ask, ask_all};
use super::check::{RECURSIVE, resolver_of_host};
use crate::config::plan::ProviderPlan;
use dns_update::{DnsRecord, DnsRecordType, DnsUpdater, Error};
use domain::base::iana::Rtype;
use domains::Zone;
use domains::changes::{Changes, Seen, changes, marks_of, to_look_up};
use domains::check::Question;
use domains::message::Answer;
use domains::record::{Data, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Requests under way at a time: providers count them.
const AT_ONCE: usize = 4;

/// A provider's books.
#[derive(Clone)]
pub(crate) struct Books {
    updater: DnsUpdater,
    plan: ProviderPlan,
}

/// What a look at them has shown.
pub(super) struct Look {
    pub(super) changes: Changes,
    /// Records that have to be put there by hand, and are not there.
    pub(super) by_hand: Vec<Record>,
    /// How many of those are there.
    pub(super) there: usize,
}

impl Books {
    pub(super) fn open(plan: &ProviderPlan) -> Result<Self, String> {
        match (plan.provider.open)(&plan.given) {
            Ok(updater) => Ok(Self { updater, plan: plan.clone() }),
            Err(error) => Err(said(plan, &error)),
        }
    }

    fn said(&self, error: &Error) -> String {
        said(&self.plan, error)
    }

    /// The zone that a name lies in, as the DNS has it; the name itself, where it has none yet.
    pub(super) async fn zone_of(&self, name: &str) -> String {
        let answer = self.resolve(&(name.to_owned(), Rtype::SOA.to_int())).await;
        let zone = answer.as_ref().and_then(Answer::zone).map(|record| record.owner.clone());
        zone.filter(|zone| zone.contains('.') && name.ends_with(zone.as_str()))
            .unwrap_or_else(|| name.to_owned())
    }

    fn resolver(&self) -> Option<SocketAddr> {
        self.plan.resolver.or_else(|| resolver_of_host(None).ok())
    }

    /// What the DNS says.
    pub(super) async fn resolve(&self, question: &Question) -> Option<Answer> {
        ask(self.resolver()?, question, RECURSIVE).await.ok().filter(Answer::is_good)
    }

    /// What stands in the books under a name, of a type; nothing where they cannot have that.
    async fn list(&self, (owner, kind): &Question, zone: &str) -> Result<Option<Vec<Data>>, String> {
        let Some(kind) = records::kind(Rtype::from_int(*kind)) else { return Ok(None) };
        match self.updater.list_rrset(owner, kind, zone).await {
            Ok(found) => Ok(Some(found.into_iter().map(records::ours).collect())),
            Err(Error::NotFound) => Ok(Some(vec![])),
            Err(Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(self.said(&error)),
        }
    }

    async fn list_all(
        &self,
        questions: Vec<Question>,
        zone: &str,
    ) -> Result<BTreeMap<Question, Option<Vec<Data>>>, String> {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let mut tasks = JoinSet::new();
        for question in questions {
            let (room, books, zone) = (Arc::clone(&room), self.clone(), zone.to_owned());
            tasks.spawn(async move {
                let _place = room.acquire().await;
                let found = books.list(&question, &zone).await;
                found.map(|found| (question, found))
            });
        }
        let mut all = BTreeMap::new();
        while let Some(found) = tasks.join_next().await {
            let (question, found) = found.map_err(|error| error.to_string())??;
            all.insert(question, found);
        }
        Ok(all)
    }

    /// What there is to do for a domain in a zone of theirs.
    pub(super) async fn look(&self, wanted: &Zone, zone: &str, installation: &str) -> Result<Look, String> {
        let question = marks_of(wanted);
        let marks = self.list(&question, zone).await?;
        let marks = marks.ok_or_else(|| {
            let provider = self.plan.provider.name;
            format!("{provider} has no TXT records, by which we would know again what is ours")
        })?;
        let mut questions = to_look_up(wanted, &marks, installation);
        let hosts: BTreeSet<String> = questions
            .iter()
            .filter(|(_, kind)| *kind == Rtype::A.to_int())
            .map(|(owner, _)| owner.clone())
            .collect();
        questions.extend(hosts.into_iter().map(|owner| (owner, Rtype::CNAME.to_int())));
        let listed = self.list_all(questions, zone).await?;
        let possible = |record: &&Record| listed.get(&place(record)).is_some_and(Option::is_some);
        let (possible, by_hand): (Vec<_>, Vec<_>) = wanted.records.iter().partition(possible);
        let possible = Zone { records: possible.into_iter().cloned().collect(), ..wanted.clone() };
        let mut found: BTreeMap<Question, Vec<Data>> = BTreeMap::new();
        for ((owner, kind), data) in listed {
            // An alias stands where addresses would, as name servers say it.
            let kind = if kind == Rtype::CNAME.to_int() { Rtype::A.to_int() } else { kind };
            found.entry((owner, kind)).or_default().extend(data.unwrap_or_default());
        }
        let seen = Seen { marks, found, unused: BTreeSet::new() };
        let changes = changes(&possible, &seen, installation).map_err(|error| error.to_string())?;
        let missing = self.missing(by_hand.iter().copied().cloned().collect()).await;
        Ok(Look { changes, there: by_hand.len() - missing.len(), by_hand: missing })
    }

    /// Those of these that the DNS does not have.
    async fn missing(&self, records: Vec<Record>) -> Vec<Record> {
        let Some(resolver) = self.resolver() else { return records };
        let answers = ask_all(resolver, &domains::check::questions(&records), RECURSIVE).await;
        let is_there = |record: &Record| {
            let answer = answers.get(&place(record)).and_then(|answer| answer.as_ref().ok());
            answer.is_some_and(|answer| {
                answer.of(&record.owner, record.data.kind()).any(|data| *data == record.data)
            })
        };
        records.into_iter().filter(|record| !is_there(record)).collect()
    }

    /// Does it.
    pub(super) async fn carry_out(&self, zone: &str, ttl: u32, changes: &Changes) -> Result<(), String> {
        self.add(&changes.mark, ttl, zone).await?;
        self.remove(&changes.remove, zone).await?;
        for (owner, kind, set) in sets(&changes.renew) {
            let done = self.updater.set_rrset(&owner, kind, ttl, set, zone).await;
            done.map_err(|error| format!("{owner} {kind}: {}", self.said(&error)))?;
        }
        self.add(&changes.add, ttl, zone).await?;
        self.remove(&changes.unmark, zone).await
    }

    /// Puts records in, those of one name and type together.
    pub(super) async fn add(&self, records: &[Record], ttl: u32, zone: &str) -> Result<(), String> {
        for (owner, kind, set) in sets(records) {
            let done = self.updater.add_to_rrset(&owner, kind, ttl, set, zone).await;
            done.map_err(|error| format!("{owner} {kind}: {}", self.said(&error)))?;
        }
        Ok(())
    }

    /// Takes records out, each by what it says.
    pub(super) async fn remove(&self, records: &[Record], zone: &str) -> Result<(), String> {
        for (owner, kind, set) in sets(records) {
            match self.updater.remove_from_rrset(&owner, kind, set, zone).await {
                Ok(()) | Err(Error::NotFound) => {}
                Err(error) => return Err(format!("{owner} {kind}: {}", self.said(&error))),
            }
        }
        Ok(())
    }
}

fn place(record: &Record) -> Question {
    (record.owner.clone(), record.data.kind().to_int())
}

/// Records of one name and type together, as they are said there; without those that cannot be.
fn sets(records: &[Record]) -> Vec<(String, DnsRecordType, Vec<DnsRecord>)> {
    let mut sets: BTreeMap<Question, Vec<DnsRecord>> = BTreeMap::new();
    for record in records {
        sets.entry(place(record)).or_default().extend(records::theirs(&record.data));
    }
    let kinds = sets.into_iter().filter_map(|((owner, _), set)| Some((owner, set.first()?.as_type(), set)));
    kinds.collect()
}

/// What a provider says of a failure. Some have secrets in the addresses of their requests, which libraries repeat.
fn said(plan: &ProviderPlan, error: &Error) -> String {
    let name = plan.provider.name;
    if matches!(error, Error::Unauthorized) {
        return format!("{name} does not believe the token");
    }
    let mut text = format!("{name}: {error}");
    for secret in plan.given.secrets().filter(|secret| !secret.is_empty()) {
        let escaped: String = secret.bytes().map(escape).collect();
        text = text.replace(secret, "…").replace(&escaped, "…");
    }
    text
}

/// An octet as in the query of a URL.
fn escape(octet: u8) -> String {
    match octet {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => char::from(octet).to_string(),
        b' ' => "+".to_owned(),
        _ => format!("%{octet:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::{Field, Given, find};
    use wire::Secret;

    #[test]
    fn a_failure_tells_no_secret() {
        let mut given = Given::default();
        given.set(Field::Token, Secret::new("s3cret/one two"));
        let plan = ProviderPlan { provider: find("namesilo").expect("known"), given, resolver: None };
        let error = Error::Api("Failed: https://x/?key=s3cret%2Fone+two&a=b (s3cret/one two)".into());
        assert_eq!(said(&plan, &error), "namesilo: API error: Failed: https://x/?key=…&a=b (…)");
        assert_eq!(said(&plan, &Error::Unauthorized), "namesilo does not believe the token");
    }
}
