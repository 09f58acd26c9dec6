//! What the store keeps of nodes, and what it is asked of them. Rows travel as the router's own values.

use std::sync::Arc;

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptNode {
    /// Unique among the account's.
    pub number: i64,
    /// Its name.
    pub name: Arc<str>,
    /// All else that is known of it.
    pub payload: Arc<str>,
}

/// An item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptItem {
    /// When it was published: an id of an archive.
    pub place: i64,
    /// Its name in its node.
    pub id: Arc<str>,
    /// The bare JID of who published it.
    pub publisher: Arc<str>,
    /// What was published: XML that declares its own namespace.
    pub payload: Arc<str>,
}

/// A change of an account's nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeChange {
    /// Adds a node, or replaces the payload of one.
    Put(KeptNode),
    /// Takes a node out with its items.
    Remove(i64),
    /// Adds items behind all that are there, those that have their ids go; `Fault::Full` where all of the account's items
    /// would have more than `limit` octets.
    PutItems {
        /// The node.
        number: i64,
        /// The items, the newest last.
        items: Vec<KeptItem>,
        /// How many of the newest stay.
        keep: u32,
        /// Octets.
        limit: u64,
    },
    /// Takes items out: `Answer::Count` says how many there were.
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

/// Something to look up in an account's nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeLookUp {
    /// Some items: `Answer::Items`.
    Items {
        /// The node.
        number: i64,
        /// Which.
        page: ItemPage,
    },
    /// The newest item of each of these nodes: `Answer::LastItems`.
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
    pub items: Vec<KeptItem>,
    /// How many the node has.
    pub count: u64,
    /// How many are in front of the first.
    pub index: u64,
    /// Whether there are fewer than were asked for, as they have too many octets.
    pub cut: bool,
}
