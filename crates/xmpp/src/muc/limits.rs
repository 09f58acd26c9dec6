//! How much anybody may make of rooms. The values come from the plan.

use std::sync::Arc;
use wire::Address;

/// The most of what was said that a room remembers for newcomers, whatever its owner wishes.
pub(crate) const HISTORY: usize = 100;
/// The most octets of it.
pub(crate) const HISTORY_OCTETS: usize = 256 * 1024;
/// The longest nick, in octets.
pub(crate) const NICK: usize = 256;
/// The longest subject, with its markup.
pub(crate) const SUBJECT: usize = 8 * 1024;
/// The longest presence that a room shows.
pub(crate) const SHOWN: usize = 16 * 1024;
/// The longest vCard of a room.
pub(crate) const CARD: usize = 128 * 1024;
/// The longest reason.
pub(crate) const REASON: usize = 1024;
/// Requests between occupants of one room that are not answered yet.
pub(crate) const RELAYS: usize = 1_000;
/// The longest `id` of one.
pub(crate) const RELAY_ID: usize = 1024;
/// Items of one request of an admin.
pub(crate) const ITEMS: usize = 1_000;
/// Stanzas that one request of several items may cause (items by clients in the room), and that come of any at once.
pub(crate) const TOLD: usize = 20_000;
/// Octets that one message may become: its own by clients in the room.
pub(crate) const SAID: usize = 64 * 1024 * 1024;
/// Octets of whom a room keeps: their addresses, nicks, and the reasons.
pub(crate) const RANKS_OCTETS: usize = 512 * 1024;

/// The bounds of rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomLimits {
    /// Rooms in all.
    pub rooms: usize,
    /// Rooms that one account has made.
    pub of_account: usize,
    /// Occupants of one room.
    pub occupants: usize,
    /// Owners, admins, members and outcasts of one room.
    pub affiliations: usize,
    /// Who may make rooms; `None`: everybody who has an account here.
    pub creators: Option<Arc<[Address]>>,
}

impl Default for RoomLimits {
    fn default() -> Self {
        Self { rooms: 10_000, of_account: 100, occupants: 1_000, affiliations: 5_000, creators: None }
    }
}
