//! What a router asks of the store and what it is told. Rows travel as the router's own values; the service
//! translates them.

use crate::jid::Bare;
use crate::muc::{RankRow, RoomRow};
use crate::pubsub::kept::{Items, KeptItem, KeptNode, NodeChange, NodeLookUp};
use crate::roster::Item;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use wire::Address;

/// Names a question until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// Something to look up or to change. A change is answered once it is durable; a look-up must see every change
/// that was asked for before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// An account's roster, settings and nodes: [`Answer::Roster`].
    LoadRoster(Address),
    /// Add or replace a contact.
    PutContact {
        /// Whose roster.
        account: Address,
        /// Whose item.
        contact: Bare,
        /// All that is to be kept of it.
        item: Item,
    },
    /// Take a contact out.
    RemoveContact {
        /// Whose roster.
        account: Address,
        /// Whose item.
        contact: Bare,
    },
    /// Keep a message for an account that is away; [`Fault::Full`] where there are `limit` already.
    Keep {
        /// For whom.
        account: Address,
        /// The message, ready for delivery.
        message: Arc<str>,
        /// How many may be kept.
        limit: u32,
    },
    /// The messages kept for an account, oldest first: [`Answer::Kept`].
    ListKept {
        /// For whom.
        account: Address,
        /// Only those behind this number; 0 = from the first.
        after: i64,
        /// How many at most.
        limit: u32,
        /// Octets of them: behind the message that has one too many there are no more.
        octets: u64,
    },
    /// Forget an account's messages up to a number, and that one.
    Forget {
        /// Whose.
        account: Address,
        /// The last one to forget.
        up_to: i64,
    },
    /// Keep a document, or forget it; [`Fault::Full`] where the account would have more than `limit` octets of its kind.
    PutDocument {
        /// Whose.
        account: Address,
        /// What for.
        kind: DocumentKind,
        /// Under which name.
        title: Arc<str>,
        /// XML; `None` = nothing is to be kept.
        payload: Option<Arc<str>>,
        /// Octets; `u64::MAX` = no matter how many.
        limit: u64,
    },
    /// Put a message into an account's archive.
    Archive {
        /// Whose.
        account: Address,
        /// What.
        entry: Entry,
    },
    /// An account's messages of a span, oldest first: [`Answer::Archived`].
    ListArchive {
        /// Whose.
        account: Address,
        /// Which.
        span: Span,
        /// Whether those at its end are meant where there are more than `limit`.
        last: bool,
        /// How many at most.
        limit: u32,
        /// Octets of them: behind the message that has one too many there are no more.
        octets: u64,
    },
    /// What goes from an account's archive where it may have no more than so much, the oldest first: [`Answer::Excess`].
    ArchiveExcess {
        /// Whose.
        account: Address,
        /// How many messages it may have.
        messages: u64,
        /// How many octets.
        octets: u64,
    },
    /// Forget an account's archived messages up to an id, and that one.
    TrimArchive {
        /// Whose.
        account: Address,
        /// The last one to forget.
        up_to: i64,
    },
    /// How many messages there are in a span: [`Answer::Count`].
    CountArchive {
        /// Whose.
        account: Address,
        /// Which.
        span: Span,
    },
    /// Change an account's nodes, in order; answered as the last change is.
    ChangeNodes {
        /// Whose.
        account: Address,
        /// What.
        changes: Vec<NodeChange>,
    },
    /// Look something up in an account's nodes.
    ReadNodes {
        /// Whose.
        account: Address,
        /// What.
        look_up: NodeLookUp,
    },
    /// All rooms of the house: [`Answer::Rooms`].
    LoadRooms,
    /// Keep a room, or what has changed of it.
    PutRoom {
        /// Which.
        room: Address,
        /// What it is; `None`: as before. A room that is not kept yet has one.
        document: Option<Arc<str>>,
        /// Who is what to it from now on.
        ranks: Vec<RankRow>,
    },
    /// Forget a room with its archive.
    RemoveRoom(Address),
    /// Put a message into a room's archive.
    ArchiveRoom {
        /// Which.
        room: Address,
        /// What.
        entry: Entry,
    },
    /// Replace a message of a room's archive, if it is there: [`Answer::Count`].
    AmendRoomArchive {
        /// Which.
        room: Address,
        /// Which message.
        id: i64,
        /// By what.
        message: Arc<str>,
    },
    /// What goes from a room's archive where it may have no more than so much, the oldest first: [`Answer::Excess`].
    RoomExcess {
        /// Whose archive.
        room: Address,
        /// Messages.
        messages: u64,
        /// Octets of them.
        octets: u64,
    },
    /// Forgets a room's messages up to an `id`, and that one.
    TrimRoom {
        /// Whose archive.
        room: Address,
        /// The last one to forget.
        up_to: i64,
    },
    /// A room's messages of a span, oldest first: [`Answer::Archived`].
    ListRoomArchive {
        /// Which.
        room: Address,
        /// Which of its messages.
        span: Span,
        /// Whether those at its end are meant where there are more than `limit`.
        last: bool,
        /// How many at most.
        limit: u32,
        /// Octets of them: behind the message that has one too many there are no more.
        octets: u64,
    },
    /// How many messages of a room there are in a span: [`Answer::Count`].
    CountRoomArchive {
        /// Which.
        room: Address,
        /// Which of its messages.
        span: Span,
    },
    /// A document: [`Answer::Document`].
    LoadDocument {
        /// Whose.
        account: Address,
        /// What for.
        kind: DocumentKind,
        /// Under which name.
        title: Arc<str>,
    },
}

/// A message for an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id there: greater than that of every earlier one.
    pub id: i64,
    /// With whom it was said: the bare JID.
    pub peer: String,
    /// Their resource, if one was named.
    pub resource: String,
    /// The message.
    pub message: Arc<str>,
}

/// A part of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What was said with this one.
    pub peer: Option<String>,
    /// What was said with this resource of theirs.
    pub resource: Option<String>,
    /// Only greater ids.
    pub after: i64,
    /// Only smaller ids.
    pub before: i64,
    /// Only these ids.
    pub only: Option<Vec<i64>>,
}

/// What a document is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DocumentKind {
    /// What the account has told the server; one, without a title.
    Settings,
    /// Private storage (XEP-0049), by namespace and name.
    Private,
    /// The vCard (XEP-0054); one, without a title.
    Card,
    /// When the account was available last (XEP-0012); one, without a title.
    Last,
}

/// What a [`Query`] is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is durable.
    Done,
    /// What an account's roster and settings are.
    Roster {
        /// The contacts.
        items: Vec<(Bare, Item)>,
        /// Its document of kind [`DocumentKind::Settings`], if there is one.
        settings: Option<Arc<str>>,
        /// Its nodes.
        nodes: Vec<KeptNode>,
    },
    /// Messages with their numbers, which grow.
    Kept(Vec<(i64, Arc<str>)>),
    /// A document, if there is one.
    Document(Option<Arc<str>>),
    /// Messages of an archive with their ids.
    Archived(Vec<(i64, Arc<str>)>),
    /// How many there are.
    Count(u64),
    /// The newest id that goes from an archive; none where all may stay.
    Excess(Option<i64>),
    /// Items of a node; `None`: one that was named is not there.
    Items(Option<Items>),
    /// Numbers of nodes, with the newest item of each.
    LastItems(Vec<(i64, KeptItem)>),
    /// Rooms.
    Rooms(Vec<RoomRow>),
}

/// Why a [`Query`] was not carried out; nothing of it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// As many messages are kept as may be.
    Full,
    /// The account is gone.
    NoAccount,
    /// The store has too much to do, or is broken.
    Unavailable,
}

/// Questions that are not answered yet, each with what is to be done then.
#[derive(Debug)]
pub(crate) struct Asks<T> {
    last: u64,
    open: FxHashMap<Token, T>,
}

impl<T> Default for Asks<T> {
    fn default() -> Self {
        Self { last: 0, open: FxHashMap::default() }
    }
}

impl<T> Asks<T> {
    /// Notes a question.
    pub(crate) fn open(&mut self, then: T) -> Token {
        self.last += 1;
        let token = Token(self.last);
        self.open.insert(token, then);
        token
    }

    /// What is to be done when the question is answered.
    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        self.open.get_mut(&token)
    }

    /// What is to be done now that the question is answered.
    pub(crate) fn close(&mut self, token: Token) -> Option<T> {
        self.open.remove(&token)
    }

    /// How many questions are not answered.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether every question is answered.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}
