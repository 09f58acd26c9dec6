//! What is answered at `/.well-known/acme-challenge/` while a certificate is being asked for (RFC 8555 §8.3): by token, on every
//! worker, without a lock where it is read.

use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The path in front of a token.
pub const PATH: &str = "/.well-known/acme-challenge/";

/// How many there may be: names of one certificate, of which an authority takes a hundred or so.
const MOST: usize = 1_000;

/// The challenges under way: key authorizations by their tokens.
#[derive(Debug, Default)]
pub struct Challenges(ArcSwap<BTreeMap<String, Arc<str>>>);

impl Challenges {
    /// What is to be answered for this token, if anything.
    pub fn answer(&self, token: &str) -> Option<Arc<str>> {
        let all = self.0.load();
        if all.is_empty() { None } else { all.get(token).cloned() }
    }

    /// Answers for a token from now on; `false` where it is none, or there are too many.
    pub(crate) fn put(&self, token: &str, authorization: &str) -> bool {
        if !is_token(token) {
            return false;
        }
        let mut taken = false;
        self.0.rcu(|all| {
            let mut all = BTreeMap::clone(all);
            taken = all.len() < MOST || all.contains_key(token);
            if taken {
                all.insert(token.to_owned(), authorization.into());
            }
            all
        });
        taken
    }

    /// Answers no more for it.
    pub(crate) fn remove(&self, token: &str) {
        self.0.rcu(|all| {
            let mut all = BTreeMap::clone(all);
            all.remove(token);
            all
        });
    }
}

/// Base64 for URLs, as tokens are (RFC 8555 §8.3).
pub(crate) fn is_token(text: &str) -> bool {
    let is_octet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=512).contains(&text.len()) && text.bytes().all(is_octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_answered_until_it_is_removed() {
        let table = Challenges::default();
        assert!(table.answer("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ").is_none());
        assert!(table.put("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ", "evaGx.9jg46WB3"));
        assert!(table.put("other", "o"));
        assert_eq!(table.answer("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ").as_deref(), Some("evaGx.9jg46WB3"));
        table.remove("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ");
        assert!(
            table.answer("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ").is_none() && table.answer("other").is_some()
        );
    }

    #[test]
    fn what_is_no_token_is_not_taken_and_there_is_an_end() {
        let table = Challenges::default();
        for bad in ["", "../etc/passwd", "a b", "é", &"x".repeat(513)] {
            assert!(!table.put(bad, "x"), "{bad}");
        }
        let taken = (0..2 * MOST).filter(|n| table.put(&n.to_string(), "x")).count();
        assert_eq!(taken, MOST);
        assert!(table.put("0", "again"), "one that is there is replaced");
    }
}
