//! How domains stand with the authority that issues their certificates, for whoever looks.

use std::time::Duration;

/// How a domain stands with its authority.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The domain.
    pub domain: String,
    /// Names that are wanted, and that its certificate does not have.
    pub missing: Vec<String>,
    /// When the next certificate is ordered, since 1970.
    pub next: Duration,
    /// What failed last; empty where nothing did.
    pub fault: String,
}
