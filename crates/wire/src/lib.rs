//! Words that all machines share: what a machine is, where bytes come from and go to, who an address is.
//!
//! Nothing here opens a socket, reads a clock, keeps a task or touches a file. The only dependencies are
//! pure tables (`stringprep`, `idna`) and a hasher.

pub mod account;
pub mod address;
pub mod entropy;
pub mod epoch;
pub mod flow;
pub mod inside;
pub mod lockout;
pub mod machine;
pub mod names;
pub mod secret;
pub mod timers;

pub use account::{Account, Directory, Keys, NameForm, Scram};
pub use address::{Address, AddressError, Domain};
pub use entropy::Entropy;
pub use epoch::Epoch;
pub use flow::{ConnectionId, FiveTuple, Flow, SocketId, Transport, WorkerId};
pub use lockout::{Lock, Locks, Source};
pub use machine::Machine;
pub use secret::Secret;
pub use timers::Timers;
