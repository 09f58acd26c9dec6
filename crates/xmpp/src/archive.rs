//! What an account said and heard, kept for its clients (XEP-0313): what is kept, under which id (XEP-0359).
//!
//! An id is the time in microseconds times 1024, plus chance. Each message of a person is written into the archives of
//! both sides, behind the debt of whoever sent it: what the server acknowledges, archives have.

mod preferences;
pub(crate) mod query;
mod serve;

pub(crate) use serve::{Fetch, Whose};

use crate::jid::Jid;
use crate::ns;
use crate::router::Router;
use crate::router::ask::{Answer, Entry, Fault, Query};
use crate::router::stored::Then;
use crate::stanza::marks::Marks;
use crate::stanza::{MessageType, Stanza};
use crate::xml::Writer;
use std::time::Duration;
use wire::{Address, ConnectionId};

/// How many ids a microsecond has.
const PER_MICROSECOND: i64 = 1024;

/// The least id of a time since 1970-01-01 00:00 UTC.
pub fn id_at(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX).saturating_mul(PER_MICROSECOND)
}

/// The time that is in an id.
pub(crate) fn time_of(id: i64) -> Duration {
    Duration::from_micros(u64::try_from(id / PER_MICROSECOND).unwrap_or_default())
}

/// Whether a message is worth keeping: a person's words, and what belongs to them (XEP-0313 §5.1.1); hints have the last
/// word (XEP-0334).
fn is_worth_keeping(stanza: &Stanza) -> bool {
    matches!(stanza.message_type(), MessageType::Normal | MessageType::Chat) && has_substance(stanza.marks())
}

fn has_substance(message: Marks) -> bool {
    const SAID: Marks = Marks::all(&[
        Marks::BODY,
        Marks::SUBJECT,
        Marks::RECEIPT,
        Marks::MARKER,
        Marks::CONFERENCE,
        Marks::INVITE,
        Marks::AMENDMENT,
        Marks::ENCRYPTION,
        Marks::STORE,
    ]);
    message.any(SAID) && !message.any(Marks::NO_STORE | Marks::NO_PERMANENT_STORE)
}

/// The message with the id that it has in `account`'s archive, and with no other that says to be of it (XEP-0359 §4).
pub(crate) fn stamped(stanza: &Stanza, account: &Address, id: i64) -> Stanza {
    let mut w = Writer::after(String::with_capacity(64 + account.as_str().len()));
    w.open("stanza-id").attr("xmlns", ns::STANZA_ID).attr("by", account.as_str()).attr("id", &id.to_string());
    let stamp = w.finish();
    let clean = cleaned(stanza, account);
    clean.as_ref().unwrap_or(stanza).with(&stamp, Marks::STANZA_ID)
}

/// The message without the ids that somebody else made up for this account; `None`: there are none.
fn cleaned(stanza: &Stanza, account: &Address) -> Option<Stanza> {
    stanza.without(Marks::STANZA_ID, |id| {
        let by = id.by.as_ref().and_then(|by| by.parse::<Jid>().ok());
        by.is_none_or(|by| by.is_account(account))
    })
}

impl Router {
    /// Keeps a message in the archive of `account`, if it is to be kept: the message with its id there. `origin`: whose
    /// later answers wait for it.
    pub(crate) fn archive(
        &mut self,
        account: &Address,
        stanza: &Stanza,
        peer: &Jid,
        origin: Option<ConnectionId>,
    ) -> Option<Stanza> {
        if !self.limits.archive || !self.wants_archived(account, peer) || !is_worth_keeping(stanza) {
            return None;
        }
        let id = self.next_archive_id();
        let stanza = stamped(stanza, account, id);
        let entry = Entry {
            id,
            peer: peer.bare().as_str().to_owned(),
            resource: peer.resource().unwrap_or_default().to_owned(),
            message: stanza.to_shared(),
        };
        let octets = entry.message.len() as u64;
        let debt = self.owe(origin);
        self.ask(Query::Archive { account: account.clone(), entry }, Then::Archived(debt));
        if self.is_due(octets) {
            let (messages, octets) = (self.limits.archive_messages, self.limits.archive_octets);
            let query = Query::ArchiveExcess { account: account.clone(), messages, octets };
            self.ask(query, Then::Excess(account.clone()));
        }
        Some(stanza)
    }

    /// Whether it is time to see how large an archive is: by chance, about sixteen times while it grows by what it may
    /// have. So nobody has to remember how large each is.
    pub(crate) fn is_due(&mut self, octets: u64) -> bool {
        const OFTEN: u64 = 16;
        let mut chance = [0; 4];
        self.entropy.fill(&mut chance);
        let share = |part: u64, of: u64| (part.saturating_mul(OFTEN) << 32) / of.max(1);
        let due = share(1, self.limits.archive_messages) + share(octets, self.limits.archive_octets);
        u64::from(u32::from_ne_bytes(chance)) < due
    }

    /// The oldest messages go where an archive is too large.
    pub(crate) fn trim_archive(&mut self, account: Address, outcome: &Result<Answer, Fault>) {
        if let Ok(Answer::Excess(Some(up_to))) = outcome {
            self.ask(Query::TrimArchive { account, up_to: *up_to }, Then::Noted);
        }
    }

    /// The same for what a session says to somebody else; to itself, the account hears it.
    pub(crate) fn archive_sent(&mut self, connection: ConnectionId, stanza: &Stanza) -> Option<Stanza> {
        let account = stanza.from().and_then(Jid::address)?;
        let to = stanza.to().filter(|to| !to.is_account(account))?;
        self.archive(account, stanza, to, Some(connection))
    }

    /// The message as `account` gets it, without ids in its name that its archive has not given.
    pub(crate) fn without_forged_ids(&self, account: &Address, stanza: Stanza) -> Stanza {
        cleaned(&stanza, account).unwrap_or(stanza)
    }

    fn wants_archived(&self, account: &Address, peer: &Jid) -> bool {
        let contact = || self.roster(account).is_some_and(|roster| roster.get(peer.bare()).is_some());
        self.settings(account).is_none_or(|settings| settings.archive.keeps(peer, contact))
    }

    pub(crate) fn next_archive_id(&mut self) -> i64 {
        let mut chance = [0; 2];
        self.entropy.fill(&mut chance);
        let chance = i64::from(u16::from_ne_bytes(chance)) % PER_MICROSECOND;
        self.last_archived = (self.last_archived + 1).max(id_at(self.unix()) + chance);
        self.last_archived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(attributes: &str, inner: &str, expected: bool) {
        let stanza = Stanza::parse(&format!("<message from='a@b/c' to='d@e'{attributes}>{inner}</message>"));
        assert_eq!(is_worth_keeping(&stanza.unwrap()), expected, "{attributes} {inner}");
    }

    #[test]
    fn words_are_kept_and_what_belongs_to_them() {
        check("", "<body>x</body>", true);
        check(" type='chat'", "<body>x</body>", true);
        check(" type='chat'", "<received xmlns='urn:xmpp:receipts' id='1'/>", true);
        check(" type='chat'", "<encryption xmlns='urn:xmpp:eme:0'/>", true);
        check(" type='chat'", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", true);
        check(" type='chat'", "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>", true);
        check(" type='chat'", "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>", true);
        check("", "<x xmlns='jabber:x:conference' jid='a@b'/>", true);
        check("", "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x>", true);
        check("", "<x xmlns='http://jabber.org/protocol/muc#user'/>", false);
        check(" type='chat'", "<x xmlns='urn:x'/><store xmlns='urn:xmpp:hints'/>", true);
        check(" type='chat'", "<active xmlns='http://jabber.org/protocol/chatstates'/>", false);
        check(" type='chat'", "<body>x</body><no-store xmlns='urn:xmpp:hints'/>", false);
        check(" type='chat'", "<body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/>", false);
        check(" type='groupchat'", "<body>x</body>", false);
        check(" type='headline'", "<body>x</body>", false);
        check(" type='error'", "<body>x</body>", false);
    }

    #[test]
    fn ids_that_others_made_up_are_taken_out() {
        let account: Address = "d@e".parse().unwrap();
        let stanza = Stanza::parse(
            "<message from='a@b/c' to='d@e' id='1' type='chat' xml:lang='fr'><body>x</body>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='d@e' id='9'/><stanza-id xmlns='urn:xmpp:sid:0' by='b' id='8'/></message>",
        );
        assert_eq!(
            stamped(&stanza.unwrap(), &account, 7).as_str(),
            "<message from='a@b/c' to='d@e' id='1' type='chat' xml:lang='fr'><body>x</body>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='b' id='8'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='d@e' id='7'/></message>"
        );
    }

    #[test]
    fn references_hide_no_made_up_id() {
        let account: Address = "d@e".parse().unwrap();
        let stanza = Stanza::parse(
            "<message from='a@b/c' to='d@e'><stanza-id xmlns='urn:xmpp:si&#100;:0' by='d@e' id='9'/></message>",
        );
        let clean = cleaned(&stanza.unwrap(), &account);
        assert_eq!(clean.unwrap().as_str(), "<message from='a@b/c' to='d@e'></message>");
    }

    #[test]
    fn an_id_knows_its_time() {
        let time = Duration::from_micros(1_767_225_600_123_456);
        assert_eq!(time_of(id_at(time) + 1023), time);
    }
}
