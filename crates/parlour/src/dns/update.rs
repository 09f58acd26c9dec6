//! Records at a name server that takes dynamic updates (RFC 2136): what is there, and how it is changed.

use super::ask::{ask, ask_all, by_tcp, random};
use crate::clock;
use crate::config::plan::ServerPlan;
use domain::base::iana::Rtype;
use domains::Zone;
use domains::changes::{Changes, Seen, changes, has_marks, marks_of, to_look_up, wildcards};
use domains::check::Question;
use domains::message::{Answer, Manner, Update, word};
use domains::record::Data;
use std::collections::{BTreeMap, BTreeSet};

/// How a change was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Done,
    /// It has records of its own where only a wildcard seemed to answer.
    NotAWildcard,
}

/// Whether what may be a wildcard's is taken for one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wildcards {
    Seen,
    Denied,
}

/// The zone of the server that a name lies in.
pub(super) async fn server_zone(at: &ServerPlan, name: &str) -> Result<String, String> {
    let answer = tell(at, &(name.to_owned(), Rtype::SOA.to_int())).await?;
    let found = answer.zone().map(|record| record.owner.clone());
    found.ok_or_else(|| format!("{} does not say which zone {name} lies in", at.server))
}

pub(super) async fn tell(at: &ServerPlan, question: &Question) -> Result<Answer, String> {
    spoken_for(at, question, ask(at.server, question, Manner::default()).await)
}

fn spoken_for(
    at: &ServerPlan,
    (name, _): &Question,
    answer: Result<Answer, String>,
) -> Result<Answer, String> {
    let answer = answer.map_err(|error| format!("{}: {error}", at.server))?;
    match (answer.is_good(), answer.authoritative) {
        (true, true) => Ok(answer),
        (true, false) => Err(format!("{} does not serve {name}", at.server)),
        (false, _) => Err(format!("{} does not serve {name} ({})", at.server, word(answer.code))),
    }
}

/// What there is to do for a domain in a zone of the server.
pub(super) async fn look(
    at: &ServerPlan,
    wanted: &Zone,
    zone: &str,
    installation: &str,
    believed: Wildcards,
) -> Result<Changes, String> {
    let question = marks_of(wanted);
    let mut marks = of(&tell(at, &question).await?, &question);
    if !marks.is_empty() && !has_marks(&marks) && is_wildcards(at, &question, &marks, zone).await? {
        marks.clear();
    }
    let questions = to_look_up(wanted, &marks, installation);
    let mut seen = Seen { marks, ..Seen::default() };
    seen.found = all_of(at, &questions).await?;
    if believed == Wildcards::Seen {
        let unexplained = seen.unexplained(wanted, installation).map_err(|error| error.to_string())?;
        seen.unused = unused(at, &seen, &unexplained, zone).await?;
    }
    changes(wanted, &seen, installation).map_err(|error| error.to_string())
}

async fn all_of(at: &ServerPlan, questions: &[Question]) -> Result<BTreeMap<Question, Vec<Data>>, String> {
    let mut all = BTreeMap::new();
    for (question, answer) in ask_all(at.server, questions, Manner::default()).await {
        let answer = spoken_for(at, &question, answer)?;
        all.insert(question.clone(), of(&answer, &question));
    }
    Ok(all)
}

/// The names among these that only a wildcard answers for, as it seems: it says the same.
async fn unused(
    at: &ServerPlan,
    seen: &Seen,
    questions: &[Question],
    zone: &str,
) -> Result<BTreeSet<String>, String> {
    let above = |(owner, kind): &Question| {
        wildcards(owner, zone).into_iter().map(|name| (name, *kind)).collect::<Vec<_>>()
    };
    let asked: BTreeSet<Question> = questions.iter().flat_map(above).collect();
    let said = all_of(at, &asked.into_iter().collect::<Vec<_>>()).await?;
    let is_wildcards = |question: &&Question| {
        let nearest = above(question).into_iter().find_map(|any| said.get(&any).filter(|d| !d.is_empty()));
        nearest.is_some_and(|any| seen.found.get(*question).is_some_and(|own| same(any, own)))
    };
    Ok(questions.iter().filter(is_wildcards).map(|(owner, _)| owner.clone()).collect())
}

fn same(one: &[Data], other: &[Data]) -> bool {
    one.len() == other.len() && one.iter().all(|data| other.contains(data))
}

/// Whether what a name says is what a wildcard above it says (RFC 4592).
pub(super) async fn is_wildcards(
    at: &ServerPlan,
    question: &Question,
    found: &[Data],
    zone: &str,
) -> Result<bool, String> {
    let seen = Seen { found: BTreeMap::from([(question.clone(), found.to_vec())]), ..Seen::default() };
    Ok(!unused(at, &seen, std::slice::from_ref(question), zone).await?.is_empty())
}

/// What stands at a name, of one type; if it is an alias, that.
fn of(answer: &Answer, (owner, kind): &Question) -> Vec<Data> {
    match answer.alias(owner) {
        Some(target) => vec![Data::Alias(target.to_owned())],
        None => answer.of(owner, Rtype::from_int(*kind)).cloned().collect(),
    }
}

/// Has the server make a change.
pub(super) async fn update(at: &ServerPlan, update: &Update) -> Result<Taken, String> {
    let now = || clock::now().as_secs();
    let id = random();
    let message = update.message(id).map_err(|error| error.to_string())?;
    let signed = at.key.sign(message, now()).map_err(|error| error.to_string())?;
    let octets = by_tcp(at.server, &signed.message).await?;
    let answer = Answer::read(&octets, id).ok_or("what came back is no answer")?;
    let believed = at.key.verify(&signed, &octets, now());
    match (believed, answer.code) {
        (Ok(()), 0) => Ok(Taken::Done),
        (Err(distrust), 0) => Err(format!("{}: {distrust}", at.server)),
        (Err(distrust), code) => {
            Err(format!("{} refuses the change ({}): {distrust}", at.server, word(code)))
        }
        // Our conditions were that the marks are still the same, and that names are free (RFC 2136 §3.2).
        (Ok(()), 6) if !update.unused.is_empty() => Ok(Taken::NotAWildcard),
        (Ok(()), 6..=8) => Err("somebody else has changed our records just now: try again".into()),
        (Ok(()), code) => {
            let why = "the key may not change this zone: see the server's update policy and its log";
            Err(format!("{} refuses the change ({}): {why}", at.server, word(code)))
        }
    }
}
