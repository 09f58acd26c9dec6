//! A room (XEP-0045 §3-§5): who is in it, who may what, what was said last. All of it is one value; what happens in it
//! is told by effects.

use super::card::Card;
use super::config::{Config, Whois};
use super::due::Due;
use super::{Context, Effect, limits};
use crate::jid::{Bare, Jid};
use crate::ns;
use crate::sasl::scram::{self, Algorithm};
use crate::stanza::Stanza;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use wire::Address;

/// What somebody may do while they are in the room (§5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Not in it.
    None,
    /// Listens.
    Visitor,
    /// Talks.
    Participant,
    /// Keeps order.
    Moderator,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Visitor => "visitor",
            Self::Participant => "participant",
            Self::Moderator => "moderator",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::None, Self::Visitor, Self::Participant, Self::Moderator].into_iter().find(|r| r.name() == name)
    }
}

/// What somebody is to the room, whether they are in it or not (§5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Affiliation {
    /// Banned.
    Outcast,
    /// Nobody in particular.
    None,
    /// On the list of members.
    Member,
    /// Says who is a member.
    Admin,
    /// Says what the room is.
    Owner,
}

impl Affiliation {
    pub(crate) const ALL: [Self; 5] = [Self::Outcast, Self::None, Self::Member, Self::Admin, Self::Owner];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Outcast => "outcast",
            Self::None => "none",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|affiliation| affiliation.name() == name)
    }
}

/// What the room keeps of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rank {
    pub(crate) affiliation: Affiliation,
    /// The nick that is theirs alone (§7.10).
    pub(crate) nick: Option<String>,
    pub(crate) reason: Option<String>,
}

impl Rank {
    pub(crate) fn of(affiliation: Affiliation) -> Self {
        Self { affiliation, nick: None, reason: None }
    }
}

/// Somebody in the room, with one client or several.
#[derive(Clone, Debug)]
pub(crate) struct Occupant {
    pub(crate) who: Bare,
    /// Their clients by full JID, the one whose presence is shown last.
    pub(crate) clients: Vec<Jid>,
    pub(crate) role: Role,
    /// What they say in their presence: XML.
    pub(crate) shown: String,
    /// By which others know them again under whatever nick (XEP-0421): XML.
    pub(crate) id: Arc<str>,
}

impl Occupant {
    /// A client of theirs is the one whose presence is shown.
    pub(crate) fn shows(&mut self, client: &Jid, shown: String) {
        self.shown = shown;
        self.clients.retain(|other| other != client);
        self.clients.push(client.clone());
    }
}

/// Something that was said.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) at: Duration,
    pub(crate) id: i64,
    /// As the occupants were given it.
    pub(crate) stanza: Stanza,
}

/// What the room is about (§8.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    /// `<subject/>` in each of its languages.
    pub(crate) xml: String,
    /// Who set it.
    pub(crate) nick: Option<String>,
    /// When, in seconds since 1970.
    pub(crate) at: u64,
}

/// A request that one occupant has sent another, until it is answered.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    pub(crate) asker: Jid,
    pub(crate) id: String,
    /// Who was asked.
    pub(crate) asked: Bare,
    /// By which nick.
    pub(crate) nick: Arc<str>,
}

/// What has to be written down.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// The room's document.
    pub(crate) document: bool,
    /// Whose rank.
    pub(crate) ranks: BTreeSet<Bare>,
    /// The room is no more.
    pub(crate) removed: bool,
}

/// A room.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) address: Address,
    pub(crate) jid: Jid,
    pub(crate) config: Config,
    /// Who made it.
    pub(crate) creator: Bare,
    /// What its occupants' ids are made with (XEP-0421).
    pub(crate) salt: String,
    pub(crate) subject: Subject,
    /// Its vCard (XEP-0054), and the hash of the picture in it.
    pub(crate) card: Option<Card>,
    /// What is large is copied where it changes: a room as it was before a request costs nothing where nothing does.
    pub(crate) ranks: Arc<BTreeMap<Bare, Rank>>,
    /// Whose nick is theirs alone: for each entry it is looked up whether one is.
    nicks: Arc<BTreeMap<Box<str>, Bare>>,
    pub(crate) occupants: Arc<BTreeMap<Arc<str>, Occupant>>,
    /// By full JID, the nick.
    pub(crate) seats: Arc<BTreeMap<Jid, Arc<str>>>,
    pub(crate) history: Arc<VecDeque<Said>>,
    /// Octets of the history.
    pub(crate) remembered: usize,
    /// Whether what was said before the server began is in the history.
    pub(crate) remembers: bool,
    /// Nobody but its owner may enter yet (§10.1).
    pub(crate) locked: bool,
    /// It is no more.
    pub(crate) over: bool,
    /// The store has it.
    pub(crate) is_kept: bool,
    pub(crate) relays: BTreeMap<u64, Relay>,
    pub(crate) relayed: u64,
    /// Grows whenever somebody comes or goes.
    pub(crate) version: u64,
    pub(crate) changes: Changes,
    /// What is still to be done of what was asked for.
    pub(crate) due: Due,
}

impl Room {
    /// A room that `creator` makes.
    pub(crate) fn new(address: Address, creator: Bare, salt: String, config: Config) -> Self {
        Self {
            jid: address.clone().into(),
            address,
            config,
            ranks: Arc::new([(creator.clone(), Rank::of(Affiliation::Owner))].into()),
            creator,
            salt,
            subject: Subject::default(),
            card: None,
            nicks: Arc::default(),
            occupants: Arc::default(),
            seats: Arc::default(),
            history: Arc::default(),
            remembered: 0,
            remembers: true,
            locked: true,
            over: false,
            is_kept: false,
            relays: BTreeMap::new(),
            relayed: 0,
            version: 0,
            changes: Changes::default(),
            due: Due::default(),
        }
    }

    /// The occupant's JID of a nick.
    pub(crate) fn nick_jid(&self, nick: &str) -> Jid {
        self.jid.with_resource(nick).expect("a nick is a resource in normal form")
    }

    /// Who sits where a stanza comes from.
    pub(crate) fn occupant_of(&self, jid: &Jid) -> Option<(&Arc<str>, &Occupant)> {
        self.occupants.get_key_value(self.seats.get(jid)?)
    }

    /// The rank that the room keeps of somebody; that of their domain where it keeps none of themselves.
    pub(crate) fn affiliation(&self, who: &Bare) -> Affiliation {
        let domain = || self.ranks.get(&Bare::Domain(who.domain().parse().ok()?));
        self.ranks.get(who).or_else(domain).map_or(Affiliation::None, |rank| rank.affiliation)
    }

    /// The role that somebody has when they come in (§5.1.2).
    pub(crate) fn usual_role(&self, affiliation: Affiliation) -> Role {
        match affiliation {
            Affiliation::Outcast => Role::None,
            Affiliation::None if self.config.moderated => Role::Visitor,
            Affiliation::None | Affiliation::Member => Role::Participant,
            Affiliation::Admin | Affiliation::Owner => Role::Moderator,
        }
    }

    pub(crate) fn role_of(&self, jid: &Jid) -> Role {
        self.occupant_of(jid).map_or(Role::None, |(_, occupant)| occupant.role)
    }

    pub(crate) fn affiliation_of(&self, jid: &Jid) -> Affiliation {
        self.affiliation(jid.bare())
    }

    /// Whose nick it is for good, if anybody's.
    pub(crate) fn reserved_for(&self, nick: &str) -> Option<&Bare> {
        self.nicks.get(nick)
    }

    /// The ranks that were kept.
    pub(crate) fn restore_ranks(&mut self, ranks: BTreeMap<Bare, Rank>) {
        let mut nicks: BTreeMap<Box<str>, Bare> = BTreeMap::new();
        for (who, nick) in ranks.iter().filter_map(|(who, rank)| Some((who, rank.nick.as_deref()?))) {
            nicks.entry(nick.into()).or_insert_with(|| who.clone());
        }
        (self.ranks, self.nicks) = (Arc::new(ranks), Arc::new(nicks));
    }

    /// Whether an occupant may see who the others really are (§4.2).
    pub(crate) fn sees_jids(&self, role: Role) -> bool {
        self.config.whois == Whois::Anyone || role == Role::Moderator
    }

    /// Sets somebody's rank; `None`: the room keeps nothing of them.
    pub(crate) fn set_rank(&mut self, who: &Bare, rank: Option<Rank>) {
        let nick = rank.as_ref().and_then(|rank| rank.nick.as_deref());
        let old = self.ranks.get(who).and_then(|rank| rank.nick.as_deref());
        if nick != old {
            let nicks = Arc::make_mut(&mut self.nicks);
            if old.is_some_and(|old| nicks.get(old) == Some(who)) {
                nicks.remove(old.unwrap_or_default());
            }
            nick.map(|nick| nicks.insert(nick.into(), who.clone()));
        }
        let changed = match rank {
            Some(rank) => Arc::make_mut(&mut self.ranks).insert(who.clone(), rank.clone()) != Some(rank),
            None => Arc::make_mut(&mut self.ranks).remove(who).is_some(),
        };
        if changed {
            self.changes.ranks.insert(who.clone());
        }
    }

    /// By which id an occupant is known in this room (XEP-0421): XML.
    pub(crate) fn occupant_id(&self, who: &Bare) -> Arc<str> {
        let hash = <scram::Sha256 as Algorithm<32>>::hmac(self.salt.as_bytes(), who.as_str().as_bytes());
        format!("<occupant-id xmlns='{}' id='{}'/>", ns::OCCUPANT_ID, BASE64.encode(hash)).into()
    }

    /// Whether there is no place for one more.
    pub(crate) fn is_full(&self, context: &Context<'_>) -> bool {
        self.occupants.len() >= self.config.max_users.min(context.limits.occupants)
    }

    /// Everybody's clients.
    pub(crate) fn everybody(&self) -> Vec<Jid> {
        self.seats.keys().cloned().collect()
    }

    /// Those clients whose users may see JIDs, or those who may not; who has to go is not told any more.
    pub(crate) fn those_who_see(&self, sees: bool) -> Vec<Jid> {
        let stay = self.occupants.iter().filter(|(nick, _)| !self.due.goes(nick));
        let those = stay.filter(|(_, occupant)| self.sees_jids(occupant.role) == sees);
        those.flat_map(|(_, occupant)| occupant.clients.iter().cloned()).collect()
    }

    /// A stanza of the room for everybody in it.
    pub(crate) fn tell_all(&self, context: &mut Context<'_>, stanza: Stanza) {
        context.effects.push(Effect::All(stanza));
    }

    /// Keeps what was said, and forgets what was said before the last few.
    pub(crate) fn remember(&mut self, said: Said, most: usize) {
        self.remembered += said.stanza.as_str().len();
        Arc::make_mut(&mut self.history).push_back(said);
        while self.history.len() > self.config.history.min(most) || self.remembered > limits::HISTORY_OCTETS {
            let Some(oldest) = Arc::make_mut(&mut self.history).pop_front() else { break };
            self.remembered -= oldest.stanza.as_str().len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::{Draft, Kind};
    use crate::xml::Element;

    /// Long messages of many rooms would fill the server's memory.
    #[test]
    fn the_history_has_a_bound_in_octets() {
        let address: Address = "ball@rooms.verona.example".parse().unwrap();
        let mut room =
            Room::new(address, "juliet@verona.example".parse().unwrap(), String::new(), Config::default());
        let mut say = |octets: usize| {
            let body = Element::new("body", ns::CLIENT).text("x".repeat(octets));
            let stanza = Draft::new(Kind::Message).child(&body).build();
            room.remember(Said { at: Duration::ZERO, id: 0, stanza }, limits::HISTORY);
            (room.history.len(), room.remembered)
        };
        for _ in 0..30 {
            assert!(say(60_000).1 <= limits::HISTORY_OCTETS);
        }
        assert_eq!(say(60_000).0, 4);
        assert_eq!(say(limits::HISTORY_OCTETS), (0, 0));
        (0..30).for_each(|_| assert!(say(100).0 > 0));
        assert_eq!(say(100).0, 20);
    }
}
