//! TLS by rustls with aws-lc-rs, versions 1.2 and 1.3 only: identities and, for the workers, sessions over any bytes.

mod identity;

pub use identity::{Identities, Identity, IdentityError};
pub use rustls::ClientConfig;
pub use rustls::pki_types::ServerName;
