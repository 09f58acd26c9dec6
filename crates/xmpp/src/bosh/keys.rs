//! Keys that only the client can know whose session it is (XEP-0124 §15): each is the SHA-1 of the one that comes next.

use super::body::Body;
use sha1::{Digest, Sha1};

/// What the next key has to hash to, where the client uses keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(Option<Box<str>>);

impl Keys {
    /// With the first request.
    pub(super) fn new(body: &Body) -> Self {
        Self(body.newkey.as_deref().map(|key| key.to_ascii_lowercase().into()))
    }

    /// Whether a request is of whoever began the session; the next has to show the next key.
    pub(super) fn take(&mut self, body: &Body) -> bool {
        let Some(expected) = &self.0 else { return true };
        let Some(key) = body.key.as_deref().filter(|key| hash(key) == **expected) else { return false };
        let next = body.newkey.as_deref().unwrap_or(key);
        self.0 = Some(next.to_ascii_lowercase().into());
        true
    }
}

/// The hash of a key as hexadecimal digits.
fn hash(key: &str) -> String {
    Sha1::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_rfc_3174() {
        assert_eq!(hash("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }
}
