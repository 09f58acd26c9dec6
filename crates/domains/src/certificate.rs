//! A certificate from an authority (RFC 8555): when it is asked for, for which names, by which challenge, and what follows where
//! that fails. Pure: whoever drives it tells the time and what came of each step.
//!
//! Times are since 1970-01-01 00:00 UTC, for a certificate's are. Nothing here speaks to an authority.

mod backoff;
#[cfg(test)]
mod tests;
mod ways;
mod window;

pub use backoff::{Failure, Fault};
pub use ways::Ways;
pub use window::Window;

use backoff::Backoff;
use std::collections::BTreeMap;
use std::time::Duration;
use window::Suggestion;

/// The most names that one certificate has: authorities take no more.
pub const MOST_NAMES: usize = 100;

/// How a name is proven to be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Challenge {
    /// A certificate of a special kind on port 443 (RFC 8737).
    TlsAlpn,
    /// A page on port 80 (RFC 8555 §8.3).
    Http,
    /// A TXT record (RFC 8555 §8.4).
    Dns,
}

impl Challenge {
    /// All of them, the least trouble first.
    pub const ALL: [Self; 3] = [Self::TlsAlpn, Self::Http, Self::Dns];

    /// Its registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TlsAlpn => "tls-alpn-01",
            Self::Http => "http-01",
            Self::Dns => "dns-01",
        }
    }
}

impl std::fmt::Display for Challenge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The certificate that we have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Its names.
    pub names: Vec<String>,
    /// When it begins.
    pub begins: Duration,
    /// When it ends.
    pub ends: Duration,
}

impl Held {
    fn life(&self) -> Duration {
        self.ends.saturating_sub(self.begins)
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
    }
}

/// What outlives a restart, so that a server which is started again and again does not wear out an authority's patience.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// How often in a row nothing came of it.
    pub failures: u32,
    /// When it may be tried again.
    pub retry: Duration,
    /// The names that the authority did not believe to be ours: how often in a row, and when they are tried again.
    pub aside: Vec<(String, u32, Duration)>,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before then.
    Wait(Duration),
    /// The authority is to be asked when it wants the certificate to be renewed (RFC 9773 §4).
    Ask,
    /// A certificate is to be ordered.
    Order(Order),
}

/// A certificate to be ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// For these names.
    pub names: Vec<String>,
    /// Why.
    pub why: Why,
}

/// Why a certificate is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is none yet.
    First,
    /// Names are wanted that it does not have.
    Names,
    /// Two thirds of its life are over, or its authority wants it renewed.
    Time,
    /// An administrator wants it now.
    Wanted,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::First => "there is none yet",
            Self::Names => "it lacks names",
            Self::Time => "its time has come",
            Self::Wanted => "it was asked for",
        })
    }
}

/// The life of one certificate after another, for the same names.
#[derive(Clone, Debug)]
pub struct Course {
    wanted: Vec<String>,
    held: Option<Held>,
    suggestion: Suggestion,
    backoff: Backoff,
    aside: BTreeMap<String, Backoff>,
    forced: bool,
    /// From 0 up to [`u32::MAX`]: where in a span of time we are, so that not all houses come at once.
    luck: u32,
}

impl Course {
    /// Begins for these names, with what is remembered and the certificate that there is.
    pub fn new(wanted: Vec<String>, held: Option<Held>, memory: &Memory, luck: u32) -> Self {
        let aside = memory.aside.iter().map(|(name, n, retry)| (name.clone(), Backoff::of(*n, *retry)));
        let mut course = Self {
            wanted: vec![],
            held,
            suggestion: Suggestion::default(),
            backoff: Backoff::of(memory.failures, memory.retry),
            aside: aside.collect(),
            forced: false,
            luck,
        };
        course.want(wanted);
        course
    }

    /// Other names are wanted from now on.
    pub fn want(&mut self, mut names: Vec<String>) {
        names.truncate(MOST_NAMES);
        self.aside.retain(|name, _| names.contains(name));
        self.wanted = names;
    }

    /// What is to be remembered.
    pub fn memory(&self) -> Memory {
        let aside = self.aside.iter().map(|(name, own)| (name.clone(), own.failures, own.retry));
        Memory { failures: self.backoff.failures, retry: self.backoff.retry, aside: aside.collect() }
    }

    /// The names that are wanted.
    pub fn wanted(&self) -> &[String] {
        &self.wanted
    }

    /// The certificate that there is.
    pub fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// The wanted names that it does not have.
    pub fn missing(&self) -> Vec<&str> {
        let has = |name: &str| self.held.as_ref().is_some_and(|held| held.has(name));
        self.wanted.iter().map(String::as_str).filter(|name| !has(name)).collect()
    }

    /// When a certificate is ordered next, as things are; in the past: now.
    pub fn due(&self) -> Duration {
        if self.forced {
            return Duration::ZERO;
        }
        self.wish().0.max(self.backoff.retry)
    }

    /// What is to be done now.
    pub fn step(&self, now: Duration) -> Step {
        if self.wanted.is_empty() {
            return Step::Wait(Duration::MAX);
        }
        let ask = self.asks_at(now);
        if !self.forced && ask <= now {
            return Step::Ask;
        }
        let due = self.due();
        if due > now {
            return Step::Wait(due.min(ask));
        }
        let why = if self.forced { Why::Wanted } else { self.wish().1 };
        Step::Order(Order { names: self.names(now), why })
    }

    /// When it should be renewed if nothing had failed, and why.
    fn wish(&self) -> (Duration, Why) {
        let Some(held) = &self.held else { return (self.untried(), Why::First) };
        let time = self.suggestion.moment(held, self.luck).unwrap_or_else(|| usual(held, self.luck));
        let missing = self.missing().into_iter();
        let names = missing.map(|name| self.aside.get(name).map_or(Duration::ZERO, |own| own.retry)).min();
        match names {
            Some(names) if names < time => (names, Why::Names),
            _ => (time, Why::Time),
        }
    }

    /// When the first of the wanted names may be tried.
    fn untried(&self) -> Duration {
        let retry = |name: &String| self.aside.get(name).map_or(Duration::ZERO, |own| own.retry);
        self.wanted.iter().map(retry).min().unwrap_or(Duration::MAX)
    }

    /// The names that are worth a try: those that are put aside wait for their time. None is given up that the certificate has
    /// and that there is still time for.
    fn names(&self, now: Duration) -> Vec<String> {
        let is_worth = |name: &&String| {
            let waits = self.aside.get(*name).is_some_and(|own| own.retry > now);
            !waits || self.forced || self.may_keep(now, name)
        };
        self.wanted.iter().filter(is_worth).cloned().collect()
    }

    /// Whether the certificate has the name, and enough of its life is left to wait for the name to be proven again.
    fn may_keep(&self, now: Duration, name: &str) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|held| held.has(name) && now + held.life() / 6 < held.ends)
    }

    /// When the authority is asked again for the time of renewal.
    fn asks_at(&self, now: Duration) -> Duration {
        match &self.held {
            Some(held) if held.ends > now => self.suggestion.asks_at(),
            _ => Duration::MAX,
        }
    }

    /// An administrator wants it now, whatever had failed.
    pub fn force(&mut self) {
        self.forced = true;
    }

    /// What was in the way may be gone: the configuration has changed.
    pub fn forgive(&mut self) {
        self.backoff = Backoff::default();
        self.aside.values_mut().for_each(|own| own.retry = Duration::ZERO);
    }

    /// The authority has said when it wants the certificate renewed, and when it wants to be asked again.
    pub fn suggested(&mut self, now: Duration, window: Window, ask_again: Option<Duration>) {
        self.suggestion.told(now, window, ask_again);
    }

    /// It does not say that, now or ever.
    pub fn not_suggested(&mut self, now: Duration, ever: bool) {
        self.suggestion.not_told(now, ever);
    }

    /// A certificate was issued.
    pub fn issued(&mut self, held: Held, luck: u32) {
        self.aside.retain(|name, _| !held.has(name));
        self.backoff = Backoff::default();
        self.suggestion = Suggestion::default();
        self.forced = false;
        self.held = Some(held);
        self.luck = luck;
    }

    /// An order has failed.
    pub fn failed(&mut self, now: Duration, failure: &Failure) {
        self.forced = false;
        let (blamed, others): (Vec<String>, Vec<String>) =
            self.wanted.iter().cloned().partition(|name| failure.names.contains(name));
        for name in &blamed {
            self.aside.entry(name.clone()).or_default().fail(now, Fault::Names, None, self.luck);
        }
        let goes_on = failure.fault == Fault::Names && !blamed.is_empty() && !others.is_empty();
        if goes_on && !blamed.iter().any(|name| self.may_keep(now, name)) {
            // The others do not have to wait for those that are put aside now.
            self.backoff.pause(now);
        } else {
            self.backoff.fail(now, failure.fault, failure.retry_after, self.luck);
        }
    }
}

/// A little before two thirds of its life are over, when others begin to warn.
fn usual(held: &Held, luck: u32) -> Duration {
    let life = held.life();
    held.begins + life * 2 / 3 - life / 60 - part(life / 30, luck)
}

/// So much of a span as luck has it.
fn part(span: Duration, luck: u32) -> Duration {
    span.mul_f64(f64::from(luck) / f64::from(u32::MAX))
}
