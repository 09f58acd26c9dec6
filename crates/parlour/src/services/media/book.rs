//! How many calls of each account are relayed, over all workers. Its lock is taken when a call begins to be relayed and when
//! it ends, never for a packet.

use ::media::relay::Seat;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The book. It has a line for each account with such a call.
#[derive(Debug, Default)]
pub struct Book {
    calls: Mutex<HashMap<Seat, u32>>,
}

impl Book {
    /// One more call, if an account may have as many as `most`.
    pub fn take(&self, account: Seat, most: u32) -> bool {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let count = calls.get(&account).copied().unwrap_or_default();
        if count >= most {
            return false;
        }
        calls.insert(account, count + 1);
        true
    }

    /// One call less.
    pub fn give(&self, account: Seat) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        match calls.get_mut(&account) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(calls.remove(&account)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_so_many_and_the_book_forgets_who_has_none() {
        let (book, joe) = (Book::default(), 7);
        assert!(book.take(joe, 2) && book.take(joe, 2) && !book.take(joe, 2));
        book.give(joe);
        assert!(book.take(joe, 2));
        book.give(joe);
        book.give(joe);
        assert!(book.calls.lock().unwrap().is_empty() && !book.take(joe, 0));
    }
}
