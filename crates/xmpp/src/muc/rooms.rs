//! The rooms at home on one worker: they are read when somebody asks for the first, take one stanza after another, and
//! what comes of each is carried out here. Whatever is for many goes to each worker once.

mod due;

use super::kept::RankRow;
use super::room::Room;
use super::{Context, Effect, may_change};
use crate::archive::{Fetch, Whose};
use crate::jid::{Bare, Jid};
use crate::ns;
use crate::router::ask::{Answer, Entry, Fault, Query, Span};
use crate::router::ledger::Debt;
use crate::router::route::Class;
use crate::router::stored::{Then, condition};
use crate::router::{Between, Parcel, Router, Work};
use crate::stanza::{Condition, Draft, Kind, PresenceType, Stanza};
use crate::xml::Element;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;
use wire::{Address, WorkerId};

/// The clients of those in a room by the worker that each is at; `None`: not of this house.
type Crowd = Arc<[(Option<WorkerId>, Arc<[Jid]>)]>;

/// What waits for a room.
type Waiting = VecDeque<(Parcel, Option<Debt>)>;

/// What every worker knows of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its name, where the service lists it.
    pub(crate) name: Option<String>,
    /// Who made it.
    pub(crate) creator: Bare,
}

/// A change of a room that is not durable yet.
#[derive(Debug)]
struct Pending {
    /// The room as it was.
    before: Box<Room>,
    /// What comes of the change.
    effects: Vec<Effect>,
    /// Who wanted it.
    parcel: Parcel,
    /// Whether it comes to nothing where the archive does not have what is to be replaced.
    sought: bool,
}

/// A room and what waits for it.
#[derive(Debug)]
struct Hall {
    room: Room,
    /// Of which version of the room the crowd is.
    crowd: Option<(u64, Crowd)>,
    pending: Option<Pending>,
    /// Its archive is being asked what was said last.
    recalling: bool,
    waiting: Waiting,
}

/// How far the rooms are known.
#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Unread,
    Reading,
    Read,
}

/// All rooms at home here, and which there are elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    state: State,
    waiting: Waiting,
    halls: BTreeMap<Address, Hall>,
    /// Every room of the house.
    index: BTreeMap<Address, Listing>,
    /// Of which rooms something was heard while they are being read, which is newer than what is read.
    news: BTreeSet<Address>,
    /// How many rooms somebody has made.
    made: BTreeMap<Bare, usize>,
    /// Which have not done all yet of what they were asked for, and when they go on.
    due: BTreeSet<Address>,
    next: Option<Instant>,
}

impl Rooms {
    /// The home of a room tells what is known of it now.
    pub(crate) fn hear(&mut self, room: &Address, listing: Option<Listing>) {
        if self.state == State::Reading {
            self.news.insert(room.clone());
        }
        self.note(room, listing);
    }

    /// Notes what is known of a room; `None`: it is no more.
    fn note(&mut self, room: &Address, listing: Option<Listing>) {
        let made = listing.as_ref().map(|listing| listing.creator.clone());
        let old = match listing {
            Some(listing) => self.index.insert(room.clone(), listing),
            None => self.index.remove(room),
        };
        if let Some(creator) = made {
            *self.made.entry(creator).or_default() += 1;
        }
        if let Some(old) = old
            && let Some(count) = self.made.get_mut(&old.creator)
        {
            *count -= 1;
            if *count == 0 {
                self.made.remove(&old.creator);
            }
        }
    }

    /// The rooms of a service that it lists, from behind `after` on.
    pub(super) fn listed(
        &self,
        host: &str,
        after: Option<&Address>,
    ) -> impl Iterator<Item = (&Address, &str)> {
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let all = self.index.range::<Address, _>((from, std::ops::Bound::Unbounded));
        let here = all.filter(move |(room, _)| room.domain() == host);
        here.filter_map(|(room, listing)| Some((room, listing.name.as_deref()?)))
    }
}

impl Router {
    /// Something for a room at home here, or for the room service.
    pub(crate) fn for_rooms(&mut self, parcel: Parcel) {
        let parcel = parcel.written();
        // Who goes is let go.
        let goes = parcel.stanza.is_unavailable();
        if !goes && parcel.origin.is_some_and(|origin| !self.ledger.has_room(origin)) {
            return self.bounce(parcel, Condition::ResourceConstraint);
        }
        self.later(Work::Room { parcel, debt: None });
    }

    /// Lets a room take something in, or lets it wait until the room can.
    pub(crate) fn perform_room(&mut self, parcel: Parcel, debt: Option<Debt>) {
        if self.rooms.state == State::Unread {
            self.rooms.state = State::Reading;
            self.ask(Query::LoadRooms, Then::RoomsRead);
        }
        if self.rooms.state == State::Reading {
            return self.wait_for_room(None, parcel, debt);
        }
        let Some(room) = parcel.to().address().cloned() else {
            return self.through(debt, |router| router.asked_service(parcel));
        };
        if self.rooms.halls.get(&room).is_some_and(Hall::is_busy) {
            return self.wait_for_room(Some(&room), parcel, debt);
        }
        if self.recalls(&room, &parcel) {
            return self.wait_for_room(Some(&room), parcel, debt);
        }
        self.through(debt, |router| router.in_room(&room, parcel));
    }

    fn wait_for_room(&mut self, room: Option<&Address>, parcel: Parcel, debt: Option<Debt>) {
        let debt = debt.or_else(|| self.owe(parcel.origin));
        let waiting = match room {
            Some(room) => self.rooms.halls.get_mut(room).map(|hall| &mut hall.waiting),
            None => Some(&mut self.rooms.waiting),
        };
        match waiting {
            // Who goes is let go.
            Some(waiting) if waiting.len() < self.limits.waiting || parcel.stanza.is_unavailable() => {
                waiting.push_back((parcel, debt));
            }
            _ => self.through(debt, |router| router.bounce(parcel, Condition::ResourceConstraint)),
        }
    }

    /// What waited goes on, in its order, in front of all that came since.
    fn go_on(&mut self, waiting: Waiting) {
        let work = waiting.into_iter().map(|(parcel, debt)| Work::Room { parcel, debt });
        self.first(work.collect::<Vec<_>>().into_iter());
        self.run();
    }

    /// The store has told which rooms there are.
    pub(crate) fn rooms_read(&mut self, outcome: Result<Answer, Fault>) {
        let waiting = std::mem::take(&mut self.rooms.waiting);
        let news = std::mem::take(&mut self.rooms.news);
        let Ok(Answer::Rooms(rows)) = outcome else {
            self.rooms.state = State::Unread;
            for (parcel, debt) in waiting {
                self.through(debt, |router| router.bounce(parcel, Condition::ResourceConstraint));
            }
            return;
        };
        self.rooms.state = State::Read;
        for row in rows {
            let address = row.room.clone();
            if news.contains(&address) {
                continue;
            }
            let Some(room) = Room::restored(row) else { continue };
            self.rooms.note(&address, Some(listing(&room)));
            if address.home(self.workers) == self.me && !self.rooms.halls.contains_key(&address) {
                self.rooms.halls.insert(address, Hall::new(room));
            }
        }
        self.go_on(waiting);
    }

    /// Whether the archive has to be asked first what was said before the server began, which it is.
    fn recalls(&mut self, address: &Address, parcel: &Parcel) -> bool {
        let enters = parcel.stanza.presence_type() == Some(PresenceType::Available);
        let Some(hall) = self.rooms.halls.get_mut(address) else { return false };
        let config = &hall.room.config;
        if hall.room.remembers || !enters {
            return false;
        }
        if !config.archive || !config.persistent || !self.limits.archive || config.history == 0 {
            hall.room.remembers = true;
            return false;
        }
        hall.recalling = true;
        let limit = u32::try_from(config.history).unwrap_or(u32::MAX);
        let span = Span { peer: None, resource: None, after: 0, before: i64::MAX, only: None };
        let octets = super::limits::HISTORY_OCTETS as u64;
        let query = Query::ListRoomArchive { room: address.clone(), span, last: true, limit, octets };
        self.ask(query, Then::RoomRecalled(address.clone()));
        true
    }

    /// The archive has told what was said last.
    pub(crate) fn room_recalled(&mut self, address: &Address, outcome: Result<Answer, Fault>) {
        let Some(hall) = self.rooms.halls.get_mut(address) else { return };
        hall.recalling = false;
        match outcome {
            Ok(Answer::Archived(said)) => hall.room.recall(said.into_iter()),
            _ => hall.room.remembers = true,
        }
        let waiting = std::mem::take(&mut hall.waiting);
        self.go_on(waiting);
    }

    fn in_room(&mut self, address: &Address, parcel: Parcel) {
        if !self.rooms.halls.contains_key(address)
            && let Err(condition) = self.make_room(address, &parcel)
        {
            if let Some(condition) = condition {
                self.refuse_room(&parcel, condition);
            }
            return;
        }
        let from_component = parcel.stanza.is_error() && self.places.is_component(parcel.from().domain());
        let room = self.rooms.halls.get(address).filter(|_| may_change(&parcel.stanza));
        let before = room.map(|hall| Box::new(hall.room.clone()));
        let effects =
            self.with_room(address, from_component, |room, context| room.take(context, &parcel.stanza));
        let Some(hall) = self.rooms.halls.get_mut(address) else { return };
        let amended = amended(address, &effects);
        let sought = amended.as_ref().is_some_and(|(_, sought)| *sought);
        match (before, write(hall).or(amended.map(|(query, _)| query))) {
            (Some(before), Some(query)) => {
                let debt = self.owe(parcel.origin);
                if let Some(hall) = self.rooms.halls.get_mut(address) {
                    hall.pending = Some(Pending { before, effects, parcel, sought });
                }
                self.ask(query, Then::RoomKept(address.clone(), debt));
            }
            (None, Some(query)) => {
                // The last one has left a room that was persistent no more: nobody waits for it.
                self.ask(query, Then::Archived(None));
                self.carried_out(address, &parcel, effects);
            }
            (_, None) => self.carried_out(address, &parcel, effects),
        }
    }

    /// Lets a room do something: what comes of it.
    fn with_room(
        &mut self,
        address: &Address,
        from_component: bool,
        act: impl FnOnce(&mut Room, &mut Context<'_>),
    ) -> Vec<Effect> {
        let (now, id) = (self.unix(), self.next_archive_id());
        let Some(hall) = self.rooms.halls.get_mut(address) else { return Vec::new() };
        let (limits, archive) = (&self.limits.rooms, self.limits.archive);
        let left = super::limits::TOLD;
        let mut context = Context { now, id, limits, archive, from_component, left, effects: Vec::new() };
        act(&mut hall.room, &mut context);
        context.effects
    }

    fn refuse_room(&mut self, parcel: &Parcel, condition: Condition) {
        let stanza = &parcel.stanza;
        if stanza.is_error() || parcel.quiet {
            return;
        }
        let mut draft = stanza.answer("error");
        if stanza.kind() == Kind::Presence {
            draft = draft.child(&Element::new("x", ns::MUC));
        } else if stanza.error(condition).is_none() {
            return;
        }
        let error = draft.child(&crate::StanzaError::from(condition).element()).build();
        self.route(Parcel { answer: true, ..Parcel::own(error) });
    }

    /// §10.1.1: whoever comes into a room that is not there makes it. Otherwise what they are answered, if anything.
    fn make_room(&mut self, address: &Address, parcel: &Parcel) -> Result<(), Option<Condition>> {
        let stanza = &parcel.stanza;
        match (stanza.kind(), stanza.presence_type()) {
            (Kind::Presence, Some(PresenceType::Available)) => {}
            (Kind::Presence, _) => return Err(None),
            _ => return Err(Some(Condition::ItemNotFound)),
        }
        if parcel.to().resource().is_none() {
            return Err(Some(Condition::JidMalformed));
        }
        let enters = stanza.element().is_ok_and(|presence| presence.find("x", ns::MUC).is_some());
        if !enters {
            return Err(Some(Condition::NotAcceptable));
        }
        let creator = parcel.from().bare().clone();
        let limits = &self.limits.rooms;
        let ours = parcel.from().address().filter(|from| self.directory.get(from).is_some());
        let allowed = ours.is_some_and(|from| limits.creators.as_ref().is_none_or(|all| all.contains(from)));
        if !allowed {
            return Err(Some(Condition::NotAllowed));
        }
        let made = self.rooms.made.get(&creator).copied().unwrap_or_default();
        if self.rooms.index.len() >= limits.rooms || made >= limits.of_account {
            return Err(Some(Condition::ResourceConstraint));
        }
        let salt = self.entropy.token(24);
        let room = Room::new(address.clone(), creator, salt, super::config::Config::default());
        self.rooms.halls.insert(address.clone(), Hall::new(room));
        Ok(())
    }

    /// What has changed in a room is durable, or came to nothing.
    pub(crate) fn room_kept(
        &mut self,
        address: &Address,
        debt: Option<Debt>,
        outcome: Result<Answer, Fault>,
    ) {
        let Some(hall) = self.rooms.halls.get_mut(address) else { return self.settle(debt) };
        let waiting = std::mem::take(&mut hall.waiting);
        if let Some(Pending { before, mut effects, parcel, sought }) = hall.pending.take() {
            let failed = match outcome {
                Ok(Answer::Count(0)) if sought => Some(Condition::ItemNotFound),
                Ok(_) => None,
                Err(fault) => Some(condition(fault)),
            };
            if failed.is_none()
                && let Some(entry) = said_of_amendment(&mut effects)
            {
                hall.pending = Some(Pending { before, effects, parcel, sought: false });
                hall.waiting = waiting;
                return self.keep_in_room(address, entry, Then::RoomKept(address.clone(), debt));
            }
            if failed.is_some() {
                let version = hall.room.version + 1;
                hall.room = *before;
                // Whoever it knew may have been another crowd.
                hall.room.version = version;
            }
            self.through(debt, |router| match failed {
                None => router.carried_out(address, &parcel, effects),
                Some(condition) => router.refuse_room(&parcel, condition),
            });
        } else {
            self.settle(debt);
        }
        self.go_on(waiting);
    }

    /// Something belongs into a room's archive, which may be too large then.
    fn keep_in_room(&mut self, room: &Address, entry: Entry, then: Then) {
        let octets = entry.message.len() as u64;
        self.ask(Query::ArchiveRoom { room: room.clone(), entry }, then);
        if self.is_due(octets) {
            let (messages, octets) = (self.limits.archive_messages, self.limits.archive_octets);
            let query = Query::RoomExcess { room: room.clone(), messages, octets };
            self.ask(query, Then::RoomExcess(room.clone()));
        }
    }

    /// Carries out what came of something, and sees what is left of the room.
    fn carried_out(&mut self, address: &Address, parcel: &Parcel, effects: Vec<Effect>) {
        for effect in effects {
            self.room_effect(address, parcel, effect);
        }
        let Some(hall) = self.rooms.halls.get(address) else { return };
        // Whoever made it may not have got in.
        let room = &hall.room;
        let is_due = !room.due.is_empty();
        let over = room.over || (room.occupants.is_empty() && !room.config.persistent);
        let listing = (!over).then(|| listing(&hall.room));
        if over {
            self.rooms.halls.remove(address);
        } else if is_due {
            self.room_is_due(address);
        }
        if self.rooms.index.get(address) != listing.as_ref() {
            self.rooms.note(address, listing.clone());
            let me = self.me;
            for worker in (0..self.workers).map(WorkerId).filter(|worker| *worker != me) {
                self.tell(worker, Between::Listed { room: address.clone(), listing: listing.clone() });
            }
        }
    }

    fn room_effect(&mut self, address: &Address, parcel: &Parcel, effect: Effect) {
        match effect {
            Effect::All(stanza) => {
                let crowd = self.crowd(address);
                self.hand_out(Arc::from([stanza]), &crowd);
            }
            Effect::To(stanzas, to) => {
                let crowd = self.by_worker(to);
                if !stanzas.is_empty() {
                    self.hand_out(stanzas.into(), &crowd);
                }
            }
            Effect::Answer(stanza) if !parcel.quiet => {
                self.route(Parcel { answer: true, ..Parcel::own(stanza) });
            }
            Effect::Answer(_) => {}
            Effect::Send(stanza) => self.route(Parcel::own(stanza)),
            Effect::Relay(stanza) => {
                self.route(Parcel { quiet: false, origin: parcel.origin, ..Parcel::own(stanza) });
            }
            Effect::Keep { id, who, nick, stanza } => {
                let debt = self.owe(parcel.origin);
                let then = Then::RoomArchived { parcel: Box::new(parcel.clone()), debt };
                self.keep_in_room(address, entry(id, &who, nick, &stanza), then);
            }
            // It was carried out before anybody heard of it.
            Effect::Amend { .. } => {}
            Effect::Search(asked) => {
                self.search(Fetch::list(Whose::Room(address.clone()), parcel.origin, &parcel.stanza, *asked));
            }
            Effect::Extent => {
                self.search(Fetch::extent(Whose::Room(address.clone()), parcel.origin, &parcel.stanza));
            }
        }
    }

    /// The oldest messages of a room go where its archive is larger than an account's may be.
    pub(crate) fn trim_room(&mut self, room: Address, outcome: &Result<Answer, Fault>) {
        if let Ok(Answer::Excess(Some(up_to))) = outcome {
            self.ask(Query::TrimRoom { room, up_to: *up_to }, Then::Noted);
        }
    }

    /// Everybody in a room, by worker.
    fn crowd(&mut self, address: &Address) -> Crowd {
        let Some(hall) = self.rooms.halls.get(address) else { return Arc::from([]) };
        if let Some((version, crowd)) = &hall.crowd
            && *version == hall.room.version
        {
            return Arc::clone(crowd);
        }
        let (version, everybody) = (hall.room.version, hall.room.everybody());
        let crowd = self.by_worker(everybody);
        if let Some(hall) = self.rooms.halls.get_mut(address) {
            hall.crowd = Some((version, Arc::clone(&crowd)));
        }
        crowd
    }

    fn by_worker(&self, all: Vec<Jid>) -> Crowd {
        let mut by_worker: BTreeMap<Option<WorkerId>, Vec<Jid>> = BTreeMap::new();
        for jid in all {
            let worker = match self.class(&jid) {
                Class::Account(worker) => Some(worker),
                _ => None,
            };
            by_worker.entry(worker).or_default().push(jid);
        }
        by_worker.into_iter().map(|(worker, all)| (worker, all.into())).collect()
    }

    /// Gives stanzas to many: to each worker once, whoever is there.
    fn hand_out(&mut self, stanzas: Arc<[Stanza]>, crowd: &Crowd) {
        for (worker, to) in crowd.iter() {
            match worker {
                Some(worker) if *worker == self.me => self.give_out(&stanzas, to),
                Some(worker) => {
                    let (stanzas, to) = (Arc::clone(&stanzas), Arc::clone(to));
                    self.tell(*worker, Between::Many { stanzas, to });
                }
                None => {
                    for (to, stanza) in to.iter().flat_map(|to| stanzas.iter().map(move |s| (to, s))) {
                        let stanza = stanza.readdressed(stanza.from().cloned(), Some(to.clone()));
                        self.route(Parcel { quiet: false, ..Parcel::own(stanza) });
                    }
                }
            }
        }
    }

    /// Gives stanzas to one client, wherever it is.
    pub(crate) fn give_to(&mut self, stanzas: Vec<Stanza>, to: Jid) {
        let crowd = self.by_worker(vec![to]);
        self.hand_out(stanzas.into(), &crowd);
    }

    /// Gives stanzas of a room to those of its occupants' clients that are here.
    pub(crate) fn give_out(&mut self, stanzas: &[Stanza], to: &[Jid]) {
        for to in to {
            let Some(address) = to.address() else { continue };
            let account = self.accounts.get(address);
            let seat = account.and_then(|account| account.seat(to.resource()?));
            let Some(connection) = seat.map(|seat| seat.connection) else {
                self.is_gone(stanzas, to);
                continue;
            };
            let ready =
                account.is_some_and(|account| account.waiting.is_empty()) && self.roster(address).is_some();
            for stanza in stanzas {
                let own = || stanza.readdressed(stanza.from().cloned(), Some(to.clone()));
                if !ready {
                    let parcel = Parcel::own(own());
                    self.later(Work::Arrived { parcel, debt: None });
                } else if stanza.from().is_none_or(|from| !self.is_blocked(address, from)) {
                    self.deliver(connection, own());
                }
            }
        }
    }

    /// The room thinks that somebody is there who is not.
    pub(crate) fn is_gone(&mut self, stanzas: &[Stanza], to: &Jid) {
        let lost = stanzas.iter().find(|stanza| !stanza.is_unavailable());
        if let Some(room) = lost.and_then(|stanza| stanza.from()).map(Jid::to_bare) {
            let error = Draft::new(Kind::Presence).from(Some(to)).to(Some(&room)).type_("error");
            self.route(Parcel::own(error.build()));
        }
    }
}

impl Hall {
    fn new(room: Room) -> Self {
        Self { room, crowd: None, pending: None, recalling: false, waiting: VecDeque::new() }
    }

    /// Whether it takes nothing in until the store has answered.
    fn is_busy(&self) -> bool {
        self.pending.is_some() || self.recalling
    }
}

fn listing(room: &Room) -> Listing {
    let name = if room.config.name.is_empty() { room.address.user() } else { &room.config.name };
    let name = (room.config.public && !room.locked).then(|| name.to_owned());
    Listing { name, creator: room.creator.clone() }
}

/// What of the archive is to be replaced before anybody hears of it, and whether it has to be there.
fn amended(room: &Address, effects: &[Effect]) -> Option<(Query, bool)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Amend { id, stanza, known } => {
            let message = stanza.to_shared();
            Some((Query::AmendRoomArchive { room: room.clone(), id: *id, message }, !known))
        }
        _ => None,
    })
}

/// What the archive is to have of something said in a room.
fn entry(id: i64, who: &Bare, nick: String, stanza: &Stanza) -> Entry {
    Entry { id, peer: who.as_str().to_owned(), resource: nick, message: stanza.to_shared() }
}

/// What the archive of a room is told of what was replaced in it: that too is there before anybody hears of either.
fn said_of_amendment(effects: &mut Vec<Effect>) -> Option<Entry> {
    effects.iter().position(|effect| matches!(effect, Effect::Amend { .. })).map(|at| effects.remove(at))?;
    let at = effects.iter().position(|effect| matches!(effect, Effect::Keep { .. }))?;
    match effects.remove(at) {
        Effect::Keep { id, who, nick, stanza } => Some(entry(id, &who, nick, &stanza)),
        _ => None,
    }
}

/// What has to be written of what has changed in a room.
fn write(hall: &mut Hall) -> Option<Query> {
    let room = &mut hall.room;
    let changes = std::mem::take(&mut room.changes);
    let (address, stays) = (room.address.clone(), room.config.persistent && !room.locked && !room.over);
    match (std::mem::replace(&mut room.is_kept, stays), stays) {
        (true, false) => Some(Query::RemoveRoom(address)),
        (kept, true) if !kept || changes.document || !changes.ranks.is_empty() => {
            room.changes = changes;
            if !kept {
                room.changes.ranks.extend(room.ranks.keys().cloned());
            }
            let document = (!kept || room.changes.document).then(|| room.document().into());
            let ranks: Vec<RankRow> = room.changed_ranks();
            room.changes = super::room::Changes::default();
            Some(Query::PutRoom { room: address, document, ranks })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
