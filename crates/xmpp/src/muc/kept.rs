//! A room as it is kept: one document, and a row for everybody who is something to it.

use super::card::Card;
use super::config::{Config, KEPT};
use super::room::{Affiliation, Rank, Room, Subject};
use crate::jid::Bare;
use crate::xml::Element;
use std::sync::Arc;
use wire::Address;

/// What is kept of somebody: their JID, and their rank in the words of this file.
pub type RankRow = (String, Option<String>);

/// A room as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRow {
    /// Which.
    pub room: Address,
    /// What it is.
    pub document: Arc<str>,
    /// Who is what to it.
    pub ranks: Vec<(String, String)>,
}

impl Rank {
    fn write(&self) -> String {
        let rank = Element::new("rank", KEPT).attr("affiliation", self.affiliation.name());
        let rank = rank.attr_opt("nick", self.nick.as_deref());
        rank.attr_opt("reason", self.reason.as_deref()).to_xml("")
    }

    fn read(text: &str) -> Option<Self> {
        let rank = Element::parse(text, "").ok()?;
        Some(Self {
            affiliation: Affiliation::from_name(rank.get("affiliation")?)?,
            nick: rank.get("nick").map(str::to_owned),
            reason: rank.get("reason").map(str::to_owned),
        })
    }
}

impl Room {
    /// The document.
    pub(super) fn document(&self) -> String {
        let root = Element::new("room", KEPT).attr("creator", self.creator.as_str());
        let mut root = self.config.write(root.attr("salt", self.salt.as_str()));
        if !self.subject.xml.is_empty() {
            let subject = Element::new("subject", KEPT).attr_opt("nick", self.subject.nick.as_deref());
            root.push(subject.attr("at", self.subject.at.to_string()).text(self.subject.xml.as_str()));
        }
        if let Some(card) = &self.card {
            root.push(Element::new("card", KEPT).text(&*card.text));
        }
        root.to_xml("")
    }

    /// What has to be written of those whose rank has changed.
    pub(super) fn changed_ranks(&self) -> Vec<RankRow> {
        let row = |who: &Bare| (who.as_str().to_owned(), self.ranks.get(who).map(Rank::write));
        self.changes.ranks.iter().map(row).collect()
    }

    /// The room that was kept; `None`: it cannot be read.
    pub(super) fn restored(row: RoomRow) -> Option<Self> {
        let root = Element::parse(&row.document, "").ok()?;
        let creator: Bare = root.get("creator")?.parse().ok()?;
        let salt = root.get("salt")?.to_owned();
        let mut room = Self::new(row.room, creator, salt, Config::read(&root));
        room.locked = false;
        room.remembers = false;
        room.is_kept = true;
        room.version = 1;
        if let Some(subject) = root.find("subject", KEPT) {
            let at = subject.get("at").and_then(|at| at.parse().ok()).unwrap_or_default();
            let nick = subject.get("nick").map(str::to_owned);
            room.subject = Subject { xml: subject.content(), nick, at };
        }
        room.card = root.find("card", KEPT).map(|card| Card::new(card.content()));
        let rank = |(who, rank): (String, String)| Some((who.parse().ok()?, Rank::read(&rank)?));
        room.restore_ranks(row.ranks.into_iter().filter_map(rank).collect());
        Some(room)
    }
}
