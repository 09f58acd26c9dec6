//! A store that keeps what it was asked to keep, until it is told to stop, to fail or to crash.

#[path = "nodes.rs"]
mod nodes;

use nodes::Nodes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use wire::{Address, WorkerId};
use xmpp::Bare;
use xmpp::muc::RoomRow;
use xmpp::roster::Item;
use xmpp::router::{Answer, DocumentKind, Entry, Fault, Query, Span, Token};

/// A question and who asked it.
pub(crate) type Asked = (WorkerId, Token, Query);

/// A room: its document, who is what to it, what was said in it.
#[derive(Debug, Default)]
struct Kept {
    document: Arc<str>,
    ranks: BTreeMap<String, String>,
    archive: BTreeMap<i64, Entry>,
}

/// What answers questions, and when.
#[derive(Debug, Default)]
pub(crate) struct Store {
    rosters: BTreeMap<Address, BTreeMap<Bare, Item>>,
    kept: BTreeMap<Address, Vec<(i64, Arc<str>)>>,
    archives: BTreeMap<Address, BTreeMap<i64, Entry>>,
    documents: BTreeMap<(Address, DocumentKind), BTreeMap<Arc<str>, Arc<str>>>,
    nodes: Nodes,
    rooms: BTreeMap<Address, Kept>,
    last: i64,
    waiting: VecDeque<Asked>,
    /// Questions wait until they are let through.
    pub(crate) stopped: bool,
    /// Every question fails.
    pub(crate) failing: bool,
}

impl Store {
    /// Takes a question in.
    pub(crate) fn ask(&mut self, asked: Asked) {
        self.waiting.push_back(asked);
    }

    /// The next answer that is ready.
    pub(crate) fn answer(&mut self) -> Option<(WorkerId, Token, Result<Answer, Fault>)> {
        if self.stopped {
            return None;
        }
        self.answer_one()
    }

    /// The next answer, also of a store that is stopped.
    pub(crate) fn answer_one(&mut self) -> Option<(WorkerId, Token, Result<Answer, Fault>)> {
        let (worker, token, query) = self.waiting.pop_front()?;
        let outcome = if self.failing { Err(Fault::Unavailable) } else { self.carry_out(query) };
        Some((worker, token, outcome))
    }

    /// What was not answered never happened.
    pub(crate) fn crash(&mut self) {
        self.waiting.clear();
    }

    /// How many messages are kept for an account.
    pub(crate) fn kept(&self, account: &Address) -> usize {
        self.kept.get(account).map_or(0, Vec::len)
    }

    /// Whether a message of this number is kept for anybody.
    pub(crate) fn keeps(&self, message: u32) -> bool {
        let id = format!("id='m{message}'");
        self.kept.values().flatten().any(|(_, text)| text.contains(&id))
    }

    /// Keeps something in an account's private storage.
    pub(crate) fn keep_private(&mut self, account: Address, title: &str, payload: &str) {
        let documents = self.documents.entry((account, DocumentKind::Private)).or_default();
        documents.insert(title.into(), payload.into());
    }

    /// Every roster item: whose, of whom, what.
    pub(crate) fn items(&self) -> impl Iterator<Item = (&Address, &Bare, &Item)> {
        self.rosters.iter().flat_map(|(account, roster)| roster.iter().map(move |(c, i)| (account, c, i)))
    }

    /// How many contacts are kept for an account.
    pub(crate) fn contacts(&self, account: &Address) -> usize {
        self.rosters.get(account).map_or(0, BTreeMap::len)
    }

    fn archived(&self, account: &Address, span: &Span) -> Vec<(i64, Arc<str>)> {
        within(self.archives.get(account), span)
    }

    fn of_room(&mut self, query: Query) -> Result<Answer, Fault> {
        match query {
            Query::LoadRooms => {
                let row = |(room, kept): (&Address, &Kept)| RoomRow {
                    room: room.clone(),
                    document: Arc::clone(&kept.document),
                    ranks: kept.ranks.clone().into_iter().collect(),
                };
                Ok(Answer::Rooms(self.rooms.iter().map(row).collect()))
            }
            Query::PutRoom { room, document, ranks } => {
                let kept = self.rooms.entry(room).or_default();
                kept.document = document.unwrap_or_else(|| Arc::clone(&kept.document));
                assert!(!kept.document.is_empty(), "a room that is not kept yet has a document");
                for (who, rank) in ranks {
                    match rank {
                        Some(rank) => drop(kept.ranks.insert(who, rank)),
                        None => drop(kept.ranks.remove(&who)),
                    }
                }
                Ok(Answer::Done)
            }
            Query::RemoveRoom(room) => {
                self.rooms.remove(&room);
                Ok(Answer::Done)
            }
            Query::ArchiveRoom { room, entry } => {
                self.rooms.get_mut(&room).map(|kept| kept.archive.insert(entry.id, entry));
                Ok(Answer::Done)
            }
            Query::AmendRoomArchive { room, id, message } => {
                let entry = self.rooms.get_mut(&room).and_then(|kept| kept.archive.get_mut(&id));
                Ok(Answer::Count(u64::from(entry.map(|entry| entry.message = message).is_some())))
            }
            Query::ListRoomArchive { room, span, last, limit, octets } => {
                let found = within(self.rooms.get(&room).map(|kept| &kept.archive), &span);
                Ok(Answer::Archived(cut(found, last, (limit, octets))))
            }
            Query::CountRoomArchive { room, span } => {
                let found = within(self.rooms.get(&room).map(|kept| &kept.archive), &span);
                Ok(Answer::Count(found.len() as u64))
            }
            Query::RoomExcess { room, messages, octets } => {
                let archive = self.rooms.get(&room).into_iter().flat_map(|kept| kept.archive.values().rev());
                let mut sum = (0, 0);
                let goes = archive.filter(|entry| {
                    sum = (sum.0 + 1, sum.1 + entry.message.len() as u64);
                    sum.0 > messages || sum.1 > octets
                });
                Ok(Answer::Excess(goes.map(|entry| entry.id).max()))
            }
            Query::TrimRoom { room, up_to } => {
                if let Some(kept) = self.rooms.get_mut(&room) {
                    kept.archive.retain(|id, _| *id > up_to);
                }
                Ok(Answer::Done)
            }
            other => panic!("not a question about rooms: {other:?}"),
        }
    }

    fn carry_out(&mut self, query: Query) -> Result<Answer, Fault> {
        match query {
            Query::LoadRoster(account) => {
                let settings = self.documents.get(&(account.clone(), DocumentKind::Settings));
                let settings = settings.and_then(|documents| documents.get("")).cloned();
                let roster = self.rosters.entry(account.clone()).or_default();
                let items = roster.iter().map(|(c, i)| (c.clone(), i.clone())).collect();
                let nodes = self.nodes.of(&account);
                Ok(Answer::Roster { items, settings, nodes })
            }
            Query::PutContact { account, contact, item } => {
                self.rosters.entry(account).or_default().insert(contact, item);
                Ok(Answer::Done)
            }
            Query::RemoveContact { account, contact } => {
                self.rosters.entry(account).or_default().remove(&contact);
                Ok(Answer::Done)
            }
            Query::Keep { account, message, limit } => {
                let kept = self.kept.entry(account).or_default();
                if kept.len() >= limit as usize {
                    return Err(Fault::Full);
                }
                self.last += 1;
                kept.push((self.last, message));
                Ok(Answer::Done)
            }
            Query::ListKept { account, after, limit, octets } => {
                let kept = self.kept.entry(account).or_default().iter().filter(|(id, _)| *id > after);
                Ok(Answer::Kept(cut(kept.cloned().collect(), false, (limit, octets))))
            }
            Query::PutDocument { account, kind, title, payload, limit } => {
                let documents = self.documents.entry((account, kind)).or_default();
                let others = documents.iter().filter(|(other, _)| **other != title);
                let octets = others.map(|(title, payload)| title.len() + payload.len()).sum::<usize>();
                let Some(payload) = payload else {
                    documents.remove(&title);
                    return Ok(Answer::Done);
                };
                if (octets + title.len() + payload.len()) as u64 > limit {
                    return Err(Fault::Full);
                }
                documents.insert(title, payload);
                Ok(Answer::Done)
            }
            Query::ChangeNodes { account, changes } => self.nodes.change(&account, changes),
            Query::ReadNodes { account, look_up } => self.nodes.look_up(&account, look_up),
            Query::LoadDocument { account, kind, title } => {
                let documents = self.documents.get(&(account, kind));
                Ok(Answer::Document(documents.and_then(|documents| documents.get(&title)).cloned()))
            }
            Query::Archive { account, entry } => {
                self.archives.entry(account).or_default().insert(entry.id, entry);
                Ok(Answer::Done)
            }
            Query::ListArchive { account, span, last, limit, octets } => {
                Ok(Answer::Archived(cut(self.archived(&account, &span), last, (limit, octets))))
            }
            Query::ArchiveExcess { account, messages, octets } => {
                let (mut count, mut sum) = (0, 0);
                let all = self.archives.entry(account).or_default().values().rev();
                let goes = all.filter(|entry| {
                    count += 1;
                    sum += entry.message.len() as u64;
                    count > messages || sum > octets
                });
                Ok(Answer::Excess(goes.map(|entry| entry.id).max()))
            }
            Query::TrimArchive { account, up_to } => {
                self.archives.entry(account).or_default().retain(|id, _| *id > up_to);
                Ok(Answer::Done)
            }
            Query::CountArchive { account, span } => {
                Ok(Answer::Count(self.archived(&account, &span).len() as u64))
            }
            Query::Forget { account, up_to } => {
                self.kept.entry(account).or_default().retain(|(id, _)| *id > up_to);
                Ok(Answer::Done)
            }
            query => self.of_room(query),
        }
    }
}

/// What there is of an archive in a span.
fn within(archive: Option<&BTreeMap<i64, Entry>>, span: &Span) -> Vec<(i64, Arc<str>)> {
    let entries = archive.into_iter().flat_map(BTreeMap::values).filter(|entry| {
        entry.id > span.after
            && entry.id < span.before
            && span.peer.as_ref().is_none_or(|peer| *peer == entry.peer)
            && span.resource.as_ref().is_none_or(|resource| *resource == entry.resource)
            && span.only.as_ref().is_none_or(|only| only.contains(&entry.id))
    });
    entries.map(|entry| (entry.id, Arc::clone(&entry.message))).collect()
}

fn cut(mut found: Vec<(i64, Arc<str>)>, last: bool, (limit, octets): (u32, u64)) -> Vec<(i64, Arc<str>)> {
    if last {
        found.reverse();
    }
    let mut sum = 0;
    let fit = found.iter().take_while(|(_, text)| {
        sum += text.len() as u64;
        sum <= octets
    });
    let rows = (fit.count().max(1) + 1).min(limit as usize);
    found.truncate(rows);
    if last {
        found.reverse();
    }
    found
}
