//! What was answered last: a client that did not get an answer asks for it again (XEP-0124 §14.3).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// An answer.
#[derive(Debug)]
pub(super) struct Answered<P> {
    pub(super) rid: u64,
    pub(super) text: Arc<str>,
    pub(super) at: Instant,
    /// Whether it carried nothing.
    pub(super) barren: bool,
    /// What it carried, as long as nobody knows whether it has come.
    pub(super) doubt: Vec<P>,
    /// How often it was asked for.
    pub(super) came: u32,
}

/// The last answers, as many as a client may have missed.
#[derive(Debug)]
pub(super) struct Cache<P> {
    answers: VecDeque<Answered<P>>,
    most: usize,
}

impl<P> Cache<P> {
    pub(super) const fn new(most: usize) -> Self {
        Self { answers: VecDeque::new(), most }
    }

    /// The same answers, for what is carried in another shape.
    pub(super) fn map<Q>(self, change: &mut impl FnMut(P) -> Q) -> Cache<Q> {
        let one = |Answered { rid, text, at, barren, doubt, came }| {
            let doubt = doubt.into_iter().map(&mut *change).collect();
            Answered { rid, text, at, barren, doubt, came }
        };
        Cache { answers: self.answers.into_iter().map(one).collect(), most: self.most }
    }

    /// Keeps an answer. What falls out has come: the client could not have gone on otherwise.
    pub(super) fn push(&mut self, answer: Answered<P>) -> impl Iterator<Item = P> + use<P> {
        self.answers.push_back(answer);
        let gone = if self.answers.len() > self.most { self.answers.pop_front() } else { None };
        gone.into_iter().flat_map(|answer| answer.doubt)
    }

    /// The client has had the answers up to this one.
    pub(super) fn confirm(&mut self, rid: u64) -> impl Iterator<Item = P> {
        let had = self.answers.iter_mut().filter(move |answer| answer.rid <= rid);
        had.flat_map(|answer| std::mem::take(&mut answer.doubt))
    }

    /// All that may not have come.
    pub(super) fn doubtful(&mut self) -> impl Iterator<Item = P> {
        self.answers.iter_mut().flat_map(|answer| std::mem::take(&mut answer.doubt))
    }

    /// Whether all that was carried has come.
    pub(super) fn is_certain(&self) -> bool {
        self.answers.iter().all(|answer| answer.doubt.is_empty())
    }

    pub(super) fn get(&self, rid: u64) -> Option<&Answered<P>> {
        self.answers.iter().find(|answer| answer.rid == rid)
    }

    pub(super) fn get_mut(&mut self, rid: u64) -> Option<&mut Answered<P>> {
        self.answers.iter_mut().find(|answer| answer.rid == rid)
    }
}
