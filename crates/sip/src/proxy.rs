//! The proxy core (RFC 3261 §16): what a request must be, where it goes, what its forks answer.

pub mod context;
pub mod forward;
pub mod media;
mod own;
pub mod policy;
pub mod refusal;
pub mod route;
pub mod validate;

mod fork;
mod response;
mod stateless;

pub use context::Context;
pub(crate) use fork::transport_param;
pub use refusal::Refusal;
