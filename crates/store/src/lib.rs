//! Everything that survives a restart: accounts, bindings, rosters, messages kept for later. It knows no wire format.
//!
//! One thread owns the database. Writes of all askers are gathered for a few milliseconds and share one
//! commit; each is answered after it, so an answer `Ok` means: on the disk. SQLite today; what differs in
//! PostgreSQL and MariaDB stands in `dialect` alone.

mod dialect;
mod examine;
mod handle;
mod insert;
mod location;
mod query;
mod reader;
mod schema;
mod store;
mod tables;
mod transaction;
mod writer;

pub use examine::examine;
pub use handle::{Asker, Busy, Health, StoreHandle};
pub use location::OpenError;
pub use query::{
    AccountRecord, Answer, ArchivedMessage, BindingRow, Changes, Document, Fault, ItemPage, Items,
    NodeChange, NodeItem, NodeLookUp, NodeRow, OfflineMessage, Outcome, Query, Rank, RelayRow, Room,
    RosterItem, SETTINGS, Span, Subscription,
};
pub use store::{Settings, Store};
