//! How much anybody may make a router keep. The values come from the plan; nothing grows without one of them.

use crate::muc::RoomLimits;

/// The bounds of one worker's router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connected resources of one account.
    pub sessions: usize,
    /// Contacts in one roster.
    pub roster: usize,
    /// Octets of one roster: addresses, names, groups, requests.
    pub roster_octets: usize,
    /// Groups of one contact.
    pub groups: usize,
    /// Entities that one resource has sent directed presence to and that must hear when it goes.
    pub directed: usize,
    /// What one session may have under way before its connection is read no further.
    pub pending: usize,
    /// Stanzas that wait for an account's roster to be read, or for its kept messages to be delivered.
    pub waiting: usize,
    /// Octets of what waits for a session behind messages that were kept.
    pub waiting_octets: usize,
    /// Messages kept for one account that is away.
    pub offline: u32,
    /// Whether what accounts say and hear is archived.
    pub archive: bool,
    /// Messages of one account's archive, about: a sixteenth more where nobody has looked yet.
    pub archive_messages: u64,
    /// Octets of one account's archive, as exactly.
    pub archive_octets: u64,
    /// Messages of an archive that a client is given at a time.
    pub archive_page: u32,
    /// Addresses that one account blocks.
    pub blocked: usize,
    /// Octets of one account's settings.
    pub settings: u64,
    /// Octets of one account's documents of one kind: private storage, vCard.
    pub documents: u64,
    /// Nodes of one account (XEP-0060).
    pub nodes: usize,
    /// Items of one node.
    pub node_items: u32,
    /// Octets of one item.
    pub item: usize,
    /// Octets of all items of one account.
    pub items_octets: u64,
    /// Subscriptions to one node, and as many affiliations with it.
    pub subscribers: usize,
    /// Rooms.
    pub rooms: RoomLimits,
    /// Octets of kept messages that a connection is given at a time (one message may be longer).
    pub page: usize,
    /// What may wait for room in the queue to one other worker.
    pub backlog: usize,
    /// Accounts without a session whose roster stays in memory.
    pub cached: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 32,
            roster: 5_000,
            roster_octets: 1024 * 1024,
            groups: 64,
            directed: 1_000,
            pending: 64,
            waiting: 1_000,
            waiting_octets: 1024 * 1024,
            offline: 1_000,
            archive: true,
            archive_messages: 200_000,
            archive_octets: 256 * 1024 * 1024,
            archive_page: 100,
            blocked: 1_000,
            settings: 512 * 1024,
            documents: 1024 * 1024,
            nodes: 500,
            node_items: 1_000,
            item: 128 * 1024,
            items_octets: 16 * 1024 * 1024,
            subscribers: 1_000,
            rooms: RoomLimits::default(),
            page: 64 * 1024,
            backlog: 4_096,
            cached: 4_096,
        }
    }
}
