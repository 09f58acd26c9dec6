//! Certificates of users, as they are kept: one document of the account for each. One that is not there was taken back.

use serde::{Deserialize, Serialize};

/// The kind of these documents in the store; their titles are serial numbers.
pub const KIND: i64 = 20;
/// Octets of all of an account: some hundreds of certificates.
pub const MOST: u64 = 16 * 1024;

/// What is kept of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// When it was issued, in seconds since 1970.
    pub issued: u64,
    /// When it ends.
    pub ends: u64,
}
