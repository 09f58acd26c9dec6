//! What can be asked of the store, and what it answers. Payloads are opaque bytes; times are seconds since 1970.

use std::sync::Arc;
use wire::{Account, Address};

/// The longest roster contact, in octets: the longest address, so that every database can index it.
pub(crate) const MAX_CONTACT: usize = 1280;
/// The longest roster name or list of groups, in octets.
pub(crate) const MAX_TEXT: usize = 8192;
/// The longest title of a document, in octets: every database can index it behind an account and a kind.
pub(crate) const MAX_TITLE: usize = 1280;
/// The longest payload, in octets.
pub(crate) const MAX_PAYLOAD: usize = 1 << 20;
/// Stands between two groups of a roster item; it cannot occur in XML (XML 1.0 §2.2).
pub(crate) const GROUP_SEPARATOR: char = '\u{1f}';

/// Something to look up or to change. A change is answered once it is durable; a look-up sees every change asked
/// for before it.
#[derive(Clone, Debug)]
pub enum Query {
    /// Every account, in no order: [`Answer::Accounts`].
    LoadAccounts,
    /// One account with its dates: [`Answer::Account`].
    LoadAccount(Address),
    /// What became of the accounts since a version: [`Answer::Changes`].
    AccountChanges {
        /// The version that is known; 0 = nothing.
        since: i64,
    },
    /// A number that grows with every change of an account, by whatever process: [`Answer::Version`].
    AccountsVersion,
    /// Adds accounts, or replaces the keys of those that are there. All or none of them.
    PutAccounts(Vec<Account>),
    /// Removes an account with its bindings, roster and messages; [`Fault::NoAccount`] where there is none.
    RemoveAccount(Address),

    /// Every binding of every address, grouped by address, in the order of `place`: [`Answer::Bindings`].
    LoadBindings,
    /// What an address of record is bound to from now on, in these places; what is in others stays.
    ReplaceBindings {
        /// The address of record: an account.
        aor: Address,
        /// Each with a `place` of its own.
        rows: Vec<BindingRow>,
        /// These are all, in the first places, and there may be more: those in the places behind are forgotten.
        fewer: bool,
    },
    /// Forgets every binding that ended before a time.
    PurgeBindings {
        /// Seconds since 1970.
        before: i64,
    },

    /// Every call that is relayed, in the order of their numbers: [`Answer::Relays`].
    LoadRelays,
    /// Calls that are relayed, as they are now, and those that are not any more.
    KeepRelays {
        /// Added, or set anew.
        put: Vec<RelayRow>,
        /// Forgotten, if they are there: their numbers.
        gone: Vec<i64>,
    },

    /// An account's roster and its settings: [`Answer::Roster`].
    LoadRoster(Address),
    /// Adds or replaces an item of an account's roster.
    PutRosterItem {
        /// Whose roster.
        account: Address,
        /// The item, in full.
        item: RosterItem,
    },
    /// Takes an item out of an account's roster, if it is there.
    RemoveRosterItem {
        /// Whose roster.
        account: Address,
        /// Its contact.
        contact: String,
    },

    /// Keeps a message for an account that is away; [`Fault::Full`] where `limit` are kept already.
    AddOffline {
        /// For whom.
        account: Address,
        /// When it arrived, in seconds since 1970.
        stored: i64,
        /// The message.
        payload: Vec<u8>,
        /// How many may be kept for this account.
        limit: u32,
    },
    /// The messages kept for an account, oldest first, at most `limit`: [`Answer::Offline`].
    ListOffline {
        /// For whom.
        account: Address,
        /// How many at most; those after the last `id` come by a further look-up with `after`.
        limit: u32,
        /// Octets of them: behind the message that has one too many there are no more.
        octets: u64,
        /// Only those with a greater `id`; 0 = from the first.
        after: i64,
    },
    /// How many messages are kept for an account: [`Answer::Count`].
    CountOffline(Address),
    /// Forgets an account's messages up to an `id`, and that one.
    RemoveOffline {
        /// Whose.
        account: Address,
        /// The last one to forget.
        up_to: i64,
    },

    /// Keeps a document of an account, or forgets it where it has no payload; [`Fault::Full`] where the account would have
    /// more than `limit` octets of this kind.
    PutDocument {
        /// Whose.
        account: Address,
        /// What, under which name.
        document: Document,
        /// Octets of payloads and titles; `u64::MAX` = no matter how many.
        limit: u64,
    },
    /// A document of an account: [`Answer::Document`].
    LoadDocument {
        /// Whose.
        account: Address,
        /// Its kind.
        kind: i64,
        /// Its title.
        title: String,
    },

    /// All documents of a kind, of one account or of all: [`Answer::Documents`].
    ListDocuments {
        /// Whose; everybody's where nobody is named.
        account: Option<Address>,
        /// Their kind.
        kind: i64,
    },

    /// Keeps a message in an account's archive; [`Fault::Invalid`] where its `id` is taken.
    AddArchived {
        /// Whose archive.
        account: Address,
        /// The message.
        message: ArchivedMessage,
    },
    /// An account's messages of a span, oldest first: [`Answer::Archived`].
    ListArchived {
        /// Whose archive.
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
    /// How many messages there are in a span: [`Answer::Count`].
    CountArchived {
        /// Whose archive.
        account: Address,
        /// Which.
        span: Span,
    },
    /// Every chat room: [`Answer::Rooms`].
    LoadRooms,
    /// Adds or changes a room.
    PutRoom {
        /// Which.
        room: Address,
        /// What it is; `None`: as before, and it is there already.
        document: Option<Vec<u8>>,
        /// Who is what to it from now on; others stay as they are.
        ranks: Vec<Rank>,
    },
    /// Forgets a room with its ranks and its archive.
    RemoveRoom(Address),
    /// Keeps a message in a room's archive; [`Fault::NoAccount`] where there is no such room.
    AddRoomArchived {
        /// Whose archive.
        room: Address,
        /// The message.
        message: ArchivedMessage,
    },
    /// Replaces a message in a room's archive, if it is there.
    AmendRoomArchived {
        /// Whose archive.
        room: Address,
        /// Which message.
        id: i64,
        /// By what.
        payload: Vec<u8>,
    },
    /// What goes from a room's archive where it may have no more than so much, the oldest first: [`Answer::Excess`].
    RoomExcess {
        /// Whose archive.
        room: Address,
        /// Messages.
        messages: u64,
        /// Octets of their payloads.
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
    ListRoomArchived {
        /// Whose archive.
        room: Address,
        /// Which.
        span: Span,
        /// Whether those at its end are meant where there are more than `limit`.
        last: bool,
        /// How many at most.
        limit: u32,
        /// Octets of them: behind the message that has one too many there are no more.
        octets: u64,
    },
    /// How many messages of a room there are in a span: [`Answer::Count`].
    CountRoomArchived {
        /// Whose archive.
        room: Address,
        /// Which.
        span: Span,
    },
    /// What goes from an account's archive where it may have no more than so much, the oldest first: [`Answer::Excess`].
    ArchiveExcess {
        /// Whose archive.
        account: Address,
        /// How many messages it may have.
        messages: u64,
        /// How many octets of payloads.
        octets: u64,
    },
    /// Forgets an account's archived messages up to an `id`, and that one.
    TrimArchive {
        /// Whose archive.
        account: Address,
        /// The last one to forget.
        up_to: i64,
    },
    /// Forgets what is older than an `id`, in every archive.
    PurgeArchives {
        /// The oldest `id` to keep.
        before: i64,
    },

    /// Changes what an account publishes; [`Fault::NoAccount`] where there is no such node. Answered as the last change is.
    ChangeNodes {
        /// Whose nodes.
        account: Address,
        /// What is to be done, in order; none behind one that is refused.
        changes: Vec<NodeChange>,
    },
    /// Looks at what an account publishes.
    ReadNodes {
        /// Whose nodes.
        account: Address,
        /// What is looked for.
        look_up: NodeLookUp,
    },
}

/// A change of what an account publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeChange {
    /// Adds a node, or sets the payload of one that is there.
    Put(NodeRow),
    /// Takes a node out with its items, if it is there.
    Remove(i64),
    /// Adds items, in order; those that have their ids are replaced. [`Fault::Full`] where all of the account's items
    /// would have more than `limit` octets.
    PutItems {
        /// The node.
        number: i64,
        /// The items, the newest last; each `place` greater than that of all that are there.
        items: Vec<NodeItem>,
        /// How many of the newest stay.
        keep: u32,
        /// Octets of payloads and ids.
        limit: u64,
    },
    /// Takes items out: [`Answer::Count`] says how many there were.
    RemoveItems {
        /// The node.
        number: i64,
        /// Their ids.
        ids: Vec<String>,
    },
    /// Takes all but the newest items out.
    Trim {
        /// The node.
        number: i64,
        /// How many of the newest stay.
        keep: u32,
    },
}

/// What is looked for in what an account publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeLookUp {
    /// Items of a node: [`Answer::Items`].
    Items {
        /// The node.
        number: i64,
        /// Which.
        page: ItemPage,
    },
    /// The newest item of each of these nodes: [`Answer::LastItems`].
    Last {
        /// The nodes.
        numbers: Vec<i64>,
        /// Octets of the items: behind the one that has one too many there are no more.
        octets: u64,
    },
}

/// Some items of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemPage {
    /// Only these; `None`: any.
    pub ids: Option<Vec<String>>,
    /// Only those behind this one.
    pub after: Option<String>,
    /// Only those in front of this one.
    pub before: Option<String>,
    /// Whether those at the end are meant where there are more than `limit`.
    pub last: bool,
    /// How many at most.
    pub limit: u32,
    /// Octets of all of them at most; the first may have more.
    pub octets: u64,
    /// Whether what is in them is left out: only their names are of interest.
    pub names: bool,
}

impl Default for ItemPage {
    fn default() -> Self {
        Self { ids: None, after: None, before: None, last: false, limit: 0, octets: u64::MAX, names: false }
    }
}

/// Items of a node that were looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items {
    /// The items, the newest last.
    pub items: Vec<NodeItem>,
    /// How many the node has.
    pub count: u64,
    /// How many are in front of the first.
    pub index: u64,
    /// Whether there are fewer than were asked for, as they have too many octets.
    pub cut: bool,
}

/// What a [`Query`] was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The change is on the disk.
    Done,
    /// To [`Query::LoadAccounts`].
    Accounts(Vec<Account>),
    /// To [`Query::LoadAccount`].
    Account(Option<Box<AccountRecord>>),
    /// To [`Query::AccountChanges`].
    Changes(Changes),
    /// To [`Query::AccountsVersion`].
    Version(i64),
    /// To [`Query::LoadBindings`].
    Bindings(Vec<(Address, Vec<BindingRow>)>),
    /// To [`Query::LoadRelays`].
    Relays(Vec<RelayRow>),
    /// To [`Query::LoadRoster`].
    Roster {
        /// The contacts.
        items: Vec<RosterItem>,
        /// The document of kind [`SETTINGS`] without a title, if there is one.
        settings: Option<Vec<u8>>,
        /// Its nodes, in the order of their numbers.
        nodes: Vec<NodeRow>,
    },
    /// To [`Query::ListOffline`].
    Offline(Vec<OfflineMessage>),
    /// To [`Query::CountOffline`], [`Query::CountArchived`] and [`NodeChange::RemoveItems`].
    Count(u64),
    /// To [`Query::LoadDocument`].
    Document(Option<Vec<u8>>),
    /// To [`Query::ListDocuments`]: by account.
    Documents(Vec<(Address, Document)>),
    /// To [`Query::ListArchived`] and [`Query::ListRoomArchived`].
    Archived(Vec<ArchivedMessage>),
    /// To [`Query::ArchiveExcess`] and [`Query::RoomExcess`]: the newest `id` that goes; none where all may stay.
    Excess(Option<i64>),
    /// To [`NodeLookUp::Items`]; `None`: an item that the page names is not there.
    Items(Option<Items>),
    /// To [`NodeLookUp::Last`]: numbers of nodes with their newest items.
    LastItems(Vec<(i64, NodeItem)>),
    /// To [`Query::LoadRooms`].
    Rooms(Vec<Room>),
}

/// Why a query was not carried out. Nothing of it is in the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The account that the row belongs to is not there.
    #[error("there is no such account")]
    NoAccount,
    /// As many messages are kept for the account as may be.
    #[error("as many messages are kept as may be")]
    Full,
    /// A value that no row may have.
    #[error("not fit to be stored: {0}")]
    Invalid(&'static str),
    /// The database did not do it: the disk is full, or broken, or another process holds the database.
    #[error("the database failed: {0}")]
    Unavailable(Arc<str>),
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
}

/// An answer or the reason why there is none.
pub type Outcome = Result<Answer, Fault>;

/// An account with what only an administrator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// The account.
    pub account: Account,
    /// When it was added, in seconds since 1970.
    pub created: i64,
    /// When its keys were last set, in seconds since 1970.
    pub changed: i64,
}

/// What became of the accounts since a version. Put first, then remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The version that this leads to.
    pub version: i64,
    /// Accounts that are new or have new keys.
    pub put: Vec<Account>,
    /// Accounts that are gone.
    pub removed: Vec<Address>,
}

/// One contact of an address of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingRow {
    /// Its place among the contacts of the address; unique there, and what they are ordered by.
    pub place: i64,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
    /// All that the registrar knows of it.
    pub payload: Vec<u8>,
}

/// A call whose media are relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayRow {
    /// Its number, never used again; one that is not greater than 0 is no call's.
    pub number: i64,
    /// When it was written, in seconds since 1970.
    pub written: i64,
    /// All that whoever relays knows of it.
    pub payload: Vec<u8>,
}

/// Who sees whose presence (RFC 6121 §2.1.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subscription {
    /// Neither sees the other's.
    #[default]
    None,
    /// The account sees the contact's.
    To,
    /// The contact sees the account's.
    From,
    /// Each sees the other's.
    Both,
}

/// One contact in an account's roster (RFC 6121 §2.1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RosterItem {
    /// The contact's bare address; also a domain alone.
    pub contact: String,
    /// What the account calls it.
    pub name: Option<String>,
    /// The state of the subscription.
    pub subscription: Subscription,
    /// A request of the account waits for the contact's answer (`ask='subscribe'`).
    pub ask: bool,
    /// The account approved a request before it came (RFC 6121 §3.4).
    pub approved: bool,
    /// A request of the contact that waits for the account's answer.
    pub pending: Option<Vec<u8>>,
    /// Whether clients are shown the item: not so where it only keeps `pending`.
    pub listed: bool,
    /// The groups that the account put it into.
    pub groups: Vec<String>,
}

/// A message kept for an account that is away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfflineMessage {
    /// Greater than that of every message kept before; never used again.
    pub id: i64,
    /// When it arrived, in seconds since 1970.
    pub stored: i64,
    /// The message.
    pub payload: Vec<u8>,
}

/// The kind of the document that is read with the roster.
pub const SETTINGS: i64 = 1;

/// What an account's clients keep with the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What for: [`SETTINGS`], or a number of the asker's choice.
    pub kind: i64,
    /// Under which name, among those of its kind.
    pub title: String,
    /// What is kept; `None` = nothing.
    pub payload: Option<Vec<u8>>,
}

/// A message in an account's archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedMessage {
    /// Unique in the account's archive; greater is later.
    pub id: i64,
    /// Whom the account talked to.
    pub peer: String,
    /// Their resource, or nothing.
    pub resource: String,
    /// The message.
    pub payload: Vec<u8>,
}

/// A node of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// Unique among the account's; never used again.
    pub number: i64,
    /// Its name, unique among the account's; set once.
    pub name: String,
    /// All else that is known of it.
    pub payload: Vec<u8>,
}

/// An item of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeItem {
    /// Unique in its node; greater is newer.
    pub place: i64,
    /// Its name, unique in its node.
    pub id: String,
    /// Who published it.
    pub publisher: String,
    /// What was published.
    pub payload: Vec<u8>,
}

/// A chat room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its address.
    pub address: Address,
    /// What it is, in its owner's words.
    pub document: Vec<u8>,
    /// Who is what to it.
    pub ranks: Vec<Rank>,
}

/// What somebody is to a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rank {
    /// Who.
    pub contact: String,
    /// What; `None`: nothing.
    pub payload: Option<Vec<u8>>,
}

/// A part of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What was said with this one; `None`: with anybody.
    pub peer: Option<String>,
    /// What was said with this resource of theirs; `None`: with any.
    pub resource: Option<String>,
    /// Only greater ids.
    pub after: i64,
    /// Only smaller ids.
    pub before: i64,
    /// Only these ids; `None`: any.
    pub only: Option<Vec<i64>>,
}

impl Query {
    /// Whether it changes something.
    pub(crate) fn is_write(&self) -> bool {
        matches!(
            self,
            Self::PutAccounts(_)
                | Self::RemoveAccount(_)
                | Self::ReplaceBindings { .. }
                | Self::PurgeBindings { .. }
                | Self::KeepRelays { .. }
                | Self::PutRosterItem { .. }
                | Self::RemoveRosterItem { .. }
                | Self::AddOffline { .. }
                | Self::RemoveOffline { .. }
                | Self::PutDocument { .. }
                | Self::AddArchived { .. }
                | Self::PutRoom { .. }
                | Self::RemoveRoom(_)
                | Self::AddRoomArchived { .. }
                | Self::AmendRoomArchived { .. }
                | Self::TrimArchive { .. }
                | Self::TrimRoom { .. }
                | Self::PurgeArchives { .. }
                | Self::ChangeNodes { .. }
        )
    }

    /// About how many rows it writes.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::PutAccounts(accounts) => accounts.len(),
            Self::ReplaceBindings { rows, .. } => 1 + rows.len(),
            Self::KeepRelays { put, gone } => put.len() + gone.len(),
            Self::ChangeNodes { changes, .. } => changes.iter().map(NodeChange::weight).sum(),
            Self::PutRoom { ranks, .. } => 1 + ranks.len(),
            _ => 1,
        }
    }

    /// Whether every database can keep what it brings.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        match self {
            Self::ReplaceBindings { rows, .. } => check_bindings(rows),
            Self::KeepRelays { put, .. } => put.iter().try_for_each(|row| check_payload(&row.payload)),
            Self::PutRosterItem { item, .. } => check_item(item),
            Self::AddOffline { payload, .. } => check_payload(payload),
            Self::PutDocument { document, .. } => check_document(document),
            Self::AddArchived { message, .. } | Self::AddRoomArchived { message, .. }
                if message.peer.len().max(message.resource.len()) > MAX_CONTACT =>
            {
                Err(Fault::Invalid("an address is too long"))
            }
            Self::ChangeNodes { changes, .. } => changes.iter().try_for_each(check_node),
            Self::AddArchived { message, .. } | Self::AddRoomArchived { message, .. } => {
                check_payload(&message.payload)
            }
            Self::AmendRoomArchived { payload, .. } => check_payload(payload),
            Self::PutRoom { document, ranks, .. } => {
                let parts =
                    ranks.iter().filter_map(|rank| rank.payload.as_deref()).chain(document.as_deref());
                if ranks.iter().any(|rank| rank.contact.is_empty() || rank.contact.len() > MAX_CONTACT) {
                    return Err(Fault::Invalid("an address is empty or too long"));
                }
                parts.into_iter().try_for_each(check_payload)
            }
            _ => Ok(()),
        }
    }
}

fn check_bindings(rows: &[BindingRow]) -> Result<(), Fault> {
    let mut places: Vec<i64> = rows.iter().map(|row| row.place).collect();
    places.sort_unstable();
    if places.windows(2).any(|two| two[0] == two[1]) {
        return Err(Fault::Invalid("two bindings at one place"));
    }
    rows.iter().try_for_each(|row| check_payload(&row.payload))
}

fn check_item(item: &RosterItem) -> Result<(), Fault> {
    if item.contact.is_empty() || item.contact.len() > MAX_CONTACT {
        return Err(Fault::Invalid("a contact's address is empty or too long"));
    }
    let groups = item.groups.iter().map(String::len).sum::<usize>() + item.groups.len();
    if groups > MAX_TEXT || item.name.as_ref().is_some_and(|name| name.len() > MAX_TEXT) {
        return Err(Fault::Invalid("a contact's name or groups are too long"));
    }
    if item.groups.iter().any(String::is_empty) {
        return Err(Fault::Invalid("a group has no name"));
    }
    let texts = item.groups.iter().chain(item.name.as_ref()).chain([&item.contact]);
    if texts.flat_map(|text| text.chars()).any(|c| c < ' ' && !"\t\r\n".contains(c)) {
        return Err(Fault::Invalid("a control character"));
    }
    item.pending.as_deref().map_or(Ok(()), check_payload)
}

fn check_document(document: &Document) -> Result<(), Fault> {
    if document.title.len() > MAX_TITLE {
        return Err(Fault::Invalid("a document's title is too long"));
    }
    document.payload.as_deref().map_or(Ok(()), check_payload)
}

impl NodeChange {
    fn weight(&self) -> usize {
        match self {
            Self::PutItems { items, .. } => 1 + items.len(),
            _ => 1,
        }
    }
}

fn check_node(change: &NodeChange) -> Result<(), Fault> {
    match change {
        NodeChange::Put(node) if node.name.is_empty() || node.name.len() > MAX_TITLE => {
            Err(Fault::Invalid("a node's name is empty or too long"))
        }
        NodeChange::Put(node) => check_payload(&node.payload),
        NodeChange::PutItems { items, .. } => items.iter().try_for_each(check_node_item),
        NodeChange::Remove(_) | NodeChange::RemoveItems { .. } | NodeChange::Trim { .. } => Ok(()),
    }
}

fn check_node_item(item: &NodeItem) -> Result<(), Fault> {
    if item.id.is_empty() || item.id.len().max(item.publisher.len()) > MAX_TITLE {
        return Err(Fault::Invalid("an item's id or publisher is empty or too long"));
    }
    check_payload(&item.payload)
}

fn check_payload(payload: &[u8]) -> Result<(), Fault> {
    if payload.len() > MAX_PAYLOAD {
        return Err(Fault::Invalid("more than a mebibyte"));
    }
    Ok(())
}
