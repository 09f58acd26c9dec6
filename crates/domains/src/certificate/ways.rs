//! By which challenge each name is proven: those that the administrator names, one after another where one fails, and first the one
//! that has done it before.

use super::Challenge;
use std::collections::BTreeMap;

/// The challenges, and how each name stands with them.
#[derive(Clone, Debug)]
pub struct Ways {
    /// In the order in which they are tried.
    all: Vec<Challenge>,
    names: BTreeMap<String, Tried>,
}

/// What came of them for a name.
#[derive(Clone, Debug, Default)]
struct Tried {
    /// The one that has proven it last.
    worked: Option<Challenge>,
    /// Those that have failed since then.
    failed: Vec<Challenge>,
}

impl Ways {
    /// These, and what is remembered of names.
    pub fn new(all: &[Challenge], worked: impl IntoIterator<Item = (String, Challenge)>) -> Self {
        let row = |(name, challenge)| (name, Tried { worked: Some(challenge), failed: vec![] });
        Self { all: all.to_vec(), names: worked.into_iter().map(row).collect() }
    }

    /// All of them.
    pub fn all(&self) -> &[Challenge] {
        &self.all
    }

    /// The one to try now, of those that an authority offers; `None` where all of these have failed.
    pub fn choose(&mut self, name: &str, offered: &[Challenge]) -> Option<Challenge> {
        let tried = self.names.entry(name.to_owned()).or_default();
        let missing = self.all.iter().filter(|one| !offered.contains(one) && !tried.failed.contains(one));
        let missing: Vec<_> = missing.copied().collect();
        tried.failed.extend(missing);
        let is_left = |one: &Challenge| self.all.contains(one) && !tried.failed.contains(one);
        tried.worked.filter(is_left).or_else(|| self.all.iter().copied().find(is_left))
    }

    /// One has failed for a name: whether another is left.
    pub fn failed(&mut self, name: &str, challenge: Challenge) -> bool {
        let tried = self.names.entry(name.to_owned()).or_default();
        if !tried.failed.contains(&challenge) {
            tried.failed.push(challenge);
        }
        self.has_other(name)
    }

    /// Whether there is one for a name that has not failed.
    pub fn has_other(&self, name: &str) -> bool {
        let failed = self.names.get(name).map_or(&[][..], |tried| &tried.failed);
        self.all.iter().any(|one| !failed.contains(one))
    }

    /// One has proven a name.
    pub fn worked(&mut self, name: &str, challenge: Challenge) {
        let tried = Tried { worked: Some(challenge), failed: vec![] };
        self.names.insert(name.to_owned(), tried);
    }

    /// The next order begins with all of them again for the names that none has proven; those of other names are not kept.
    pub fn begin(&mut self, wanted: &[String]) {
        self.names.retain(|name, _| wanted.contains(name));
        let all = &self.all;
        let is_lost = |tried: &Tried| all.iter().all(|one| tried.failed.contains(one));
        self.names.values_mut().filter(|tried| is_lost(tried)).for_each(|tried| tried.failed.clear());
    }

    /// What is to be remembered: by which one each name was proven.
    pub fn memory(&self) -> impl Iterator<Item = (&str, Challenge)> {
        self.names.iter().filter_map(|(name, tried)| Some((name.as_str(), tried.worked?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Challenge::{Dns, Http, TlsAlpn};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn one_after_another_and_then_from_the_beginning() {
        let mut ways = Ways::new(&[TlsAlpn, Http], []);
        assert_eq!(ways.choose("a", &Challenge::ALL), Some(TlsAlpn));
        assert!(ways.failed("a", TlsAlpn), "another is left");
        assert_eq!(ways.choose("a", &Challenge::ALL), Some(Http));
        assert_eq!(ways.choose("b", &Challenge::ALL), Some(TlsAlpn), "each name has its own");
        assert!(!ways.failed("a", Http));
        assert_eq!(ways.choose("a", &Challenge::ALL), None, "not those that nobody has named");
        ways.begin(&names(&["a", "b"]));
        assert_eq!(ways.choose("a", &Challenge::ALL), Some(TlsAlpn));
    }

    #[test]
    fn what_has_worked_comes_first_the_next_time() {
        let mut ways = Ways::new(&[TlsAlpn, Http, Dns], []);
        ways.failed("a", TlsAlpn);
        ways.worked("a", Http);
        ways.begin(&names(&["a"]));
        let memory: Vec<_> = ways.memory().map(|(name, one)| (name.to_owned(), one)).collect();
        assert_eq!(memory, [("a".to_owned(), Http)]);
        let mut again = Ways::new(&[TlsAlpn, Http, Dns], memory.clone());
        assert_eq!(again.choose("a", &Challenge::ALL), Some(Http));
        again.failed("a", Http);
        assert_eq!(again.choose("a", &Challenge::ALL), Some(TlsAlpn), "then the others, as they stand");
        let mut other = Ways::new(&[Dns], memory);
        assert_eq!(other.choose("a", &Challenge::ALL), Some(Dns), "it is not wanted any more");
    }

    #[test]
    fn what_is_not_offered_has_failed() {
        let mut ways = Ways::new(&[TlsAlpn, Http], []);
        assert_eq!(ways.choose("a", &[Http, Dns]), Some(Http));
        assert!(!ways.failed("a", Http), "there is no other");
        ways.begin(&names(&["b"]));
        assert!(ways.memory().next().is_none() && ways.has_other("a"), "nobody asks for it any more");
    }
}
