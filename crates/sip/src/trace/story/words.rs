//! A story in words that an administrator understands who has not read the RFCs.

use super::{Facts, Leg, Note, Row, What, Word, code, line};
use std::time::{Duration, Instant};

/// A time as people say it.
pub(super) fn time(time: Duration) -> String {
    match time.as_millis() {
        0..1000 => format!("{} ms", time.as_millis()),
        1000..10_000 => format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100),
        _ if time.as_secs() < 120 => format!("{} s", time.as_secs()),
        _ => format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

/// What was found out here.
pub(super) fn note(note: Note, row: &Row) -> String {
    let about = line(row);
    let number = row.number;
    let peer = row.peer.map_or_else(|| "there".into(), |peer| peer.to_string());
    match note {
        Note::Registered => format!("{about} is registered: {} to be called", phones(number)),
        Note::NotRegistered => format!("{about} is not registered"),
        Note::NoAccount => format!("there is no account {about}"),
        Note::Asked => "a password is asked for".into(),
        Note::WrongPassword if about.is_empty() => "credentials of an account that there is not".into(),
        Note::WrongPassword => format!("wrong password for {about}"),
        Note::Stale => "the credentials are too old, or were used before: they are asked for again".into(),
        Note::Locked => {
            format!("{about} is locked: it was tried with too many wrong passwords (parlour sip bans)")
        }
        Note::MissingKey => {
            format!(
                "{about} has no key for the phone's algorithm (parlour user show; a new password makes one)"
            )
        }
        Note::NotYours => format!("signed in as {about}, but not calling as that"),
        Note::Relaying => "neither the caller nor the called one is of this house: not relayed".into(),
        Note::Resolved if number == 0 => format!("the DNS knows nothing of {about}"),
        Note::Resolved => format!("{about}: {number} found by DNS"),
        Note::Inside => {
            format!("{peer} is an internal address, which requests are not sent to (sip.allow-targets)")
        }
        Note::NoWay => format!("there is no way to {peer}"),
        Note::Closed if about.is_empty() => {
            format!("nobody listens at {peer}, or it has closed the connection")
        }
        Note::Closed if row.transport.is_some_and(wire::Transport::is_secure) => {
            format!("TLS to {peer} refused: {about}")
        }
        Note::Closed => format!("no connection to {peer}: {about}"),
        Note::Silent => format!("{peer} has not answered in time"),
        Note::RangTooLong => format!("{peer} has rung for too long"),
        Note::NextGroup => "nobody of this preference has answered: the next are called".into(),
        Note::GaveUp => "the caller gives up".into(),
        Note::Relayed => "the media go by the relay".into(),
        Note::Overload => "the server has too much to do, or is about to end".into(),
        Note::Refused => format!("refused: {about}"),
        Note::HungUp => "an administrator ends the call".into(),
    }
}

fn phones(number: u32) -> String {
    if number == 1 { "1 phone".into() } else { format!("{number} phones") }
}

/// Why a caller that was asked for its password got no further.
pub(super) fn challenged(facts: &Facts<'_>) -> String {
    let answer = facts.answer.and_then(code).unwrap_or(401);
    match here(facts) {
        Some(reason) => format!("{answer}{}: {reason}", times(facts)),
        None => format!("the caller was asked for its password ({answer}) and has not shown one"),
    }
}

fn times(facts: &Facts<'_>) -> String {
    let wrong = facts.rows.iter().filter(|row| row.what == What::Note(Note::WrongPassword)).count();
    match wrong {
        0 | 1 => String::new(),
        2 => " twice".into(),
        n => format!(" {n} times"),
    }
}

/// What this server itself has against a request, the weightiest first.
const DECISIVE: [Note; 13] = [
    Note::NotYours,
    Note::Locked,
    Note::WrongPassword,
    Note::MissingKey,
    Note::Stale,
    Note::Relaying,
    Note::NoAccount,
    Note::NotRegistered,
    Note::Overload,
    Note::Refused,
    Note::Inside,
    Note::Resolved,
    Note::NoWay,
];

/// What this server itself has against the last try.
pub(super) fn here(facts: &Facts<'_>) -> Option<String> {
    let told = |wanted: &Note| facts.note(*wanted).map(|row| (*wanted, row));
    // A name that was found is no reason.
    let counts = |(wanted, row): &(Note, &Row)| *wanted != Note::Resolved || row.number == 0;
    let (found, row) = DECISIVE.iter().filter_map(told).find(counts)?;
    Some(note(found, row))
}

/// Why the caller was refused.
pub(super) fn refused(facts: &Facts<'_>, answer: &Row) -> String {
    let passed = facts.legs.iter().find(|leg| leg.answer.is_some_and(|row| row.text == answer.text));
    if let Some(leg) = passed {
        return leg.words(facts.word);
    }
    if facts.legs.is_empty() {
        return here(facts).unwrap_or_else(|| line(answer));
    }
    format!("{}: {}", line(answer), all_legs(facts))
}

fn all_legs(facts: &Facts<'_>) -> String {
    facts.legs.iter().map(|leg| leg.words(facts.word)).collect::<Vec<_>>().join("; ")
}

/// What was going on when the caller gave up.
pub(super) fn given_up(facts: &Facts<'_>, end: Instant) -> String {
    let at = facts.note(Note::GaveUp).map_or(end, |row| row.at);
    let names = |legs: &mut dyn Iterator<Item = &Leg<'_>>| legs.map(Leg::name).collect::<Vec<_>>().join(", ");
    let ringing = names(&mut facts.legs.iter().filter(|leg| leg.rang.is_some()));
    let took = took(facts.tried(), at);
    if facts.legs.is_empty() {
        return format!("the caller gave up after {took}, before anybody was called");
    }
    if ringing.is_empty() {
        let silent = names(&mut facts.legs.iter());
        return format!("the caller gave up after {took}; nothing was heard from {silent}");
    }
    format!("the caller gave up after {took}, while it rang at {ringing}")
}

/// How far it has got.
pub(super) fn under_way(facts: &Facts<'_>) -> String {
    if facts.legs.is_empty() { "not sent on yet".into() } else { all_legs(facts) }
}

impl Leg<'_> {
    /// What one phone or server did.
    pub(super) fn words(&self, word: Word) -> String {
        let name = self.name();
        if let Some(answer) = self.answer {
            let said = line(answer);
            return match self.rang {
                Some(rang) => format!("{said} from {name} after {} of ringing", took(rang, answer.at)),
                None => format!("{said} from {name} after {}", took(self.sent, answer.at)),
            };
        }
        let what = if word == Word::Invite { "INVITE" } else { "request" };
        match (self.failure, self.rang) {
            (Some((Note::Silent, row)), _) => {
                let (times, time) = (self.times, took(self.sent, row.at));
                format!("no answer from {name} to the {what}, sent {times} times in {time}")
            }
            (Some((Note::RangTooLong, row)), Some(rang)) => {
                format!("{name} rang for {} and nobody answered", took(rang, row.at))
            }
            (Some((found, row)), _) => note(found, row),
            (None, Some(_)) => format!("{name} rang"),
            (None, None) => format!("nothing was heard from {name}"),
        }
    }
}

fn took(from: Instant, to: Instant) -> String {
    time(to.saturating_duration_since(from))
}
