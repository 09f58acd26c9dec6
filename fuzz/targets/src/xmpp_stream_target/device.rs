//! Somebody's client: what it knows of its session, and how it signs in.

use super::house;
use std::collections::VecDeque;
use wire::ConnectionId;

/// How a client goes about its sign-in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    /// SASL2 with Bind 2, or one after the other.
    pub(super) at_once: bool,
    /// With a wrong password first.
    pub(super) wrong: bool,
    /// STARTTLS first.
    pub(super) plain: bool,
    /// Wants the earlier stream back.
    pub(super) resumes: bool,
    /// Enables stream management.
    pub(super) manages: bool,
    /// … with resumption.
    pub(super) resumable: bool,
    pub(super) carbons: bool,
    pub(super) inactive: bool,
    /// Sends presence when it is there.
    pub(super) present: bool,
    /// Says how much it has handled only when it is told to.
    pub(super) lazy: bool,
    pub(super) installation: bool,
}

impl Plan {
    pub(super) fn read(bits: u16) -> Self {
        let bit = |at: u16| bits >> at & 1 == 1;
        Self {
            at_once: bit(0),
            wrong: bits >> 1 & 7 == 7,
            plain: bits >> 4 & 3 == 3,
            resumes: bit(6),
            manages: bit(7),
            resumable: bit(8) || bit(9),
            carbons: bit(10),
            inactive: bits >> 11 & 3 == 3,
            present: !bit(13),
            lazy: bit(14),
            installation: bit(15),
        }
    }
}

/// What a client knows of a stream that is managed (XEP-0198).
#[derive(Debug, Default)]
pub(super) struct Managed {
    pub(super) name: Option<String>,
    /// How many stanzas it has handled, and sent.
    pub(super) handled: u32,
    pub(super) said: u32,
    /// What it has sent that is not acknowledged.
    pub(super) outgoing: VecDeque<(u32, String)>,
}

/// A client.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) person: usize,
    pub(super) resource: &'static str,
    pub(super) plan: Plan,
    pub(super) conn: Option<ConnectionId>,
    /// Its full JID while it has a session.
    pub(super) jid: Option<String>,
    /// The same while its connection is lost and it may come back.
    pub(super) asleep: Option<String>,
    /// Tells its sessions apart.
    pub(super) life: u32,
    pub(super) managed: Option<Managed>,
    /// Whether `<enable/>` is on its way: what is said behind it counts.
    pub(super) enabling: bool,
    /// Whether it waits for the answer to `<resume/>`.
    pub(super) resuming: bool,
    /// Whether something that it was sent in this session may have been lost on the way.
    pub(super) lossy: bool,
    /// Requests that it answers and that it does not.
    pub(super) requests: u32,
}

impl Device {
    pub(super) fn all() -> Vec<Self> {
        let device = |number: usize| Self {
            person: number % house::PEOPLE.len(),
            resource: ["a", "b"][number / house::PEOPLE.len()],
            plan: Plan::default(),
            conn: None,
            jid: None,
            asleep: None,
            life: 0,
            managed: None,
            enabling: false,
            resuming: false,
            lossy: false,
            requests: 0,
        };
        (0..2 * house::PEOPLE.len()).map(device).collect()
    }

    /// Its session is over, whatever the server thinks.
    pub(super) fn forget(&mut self) {
        (self.jid, self.asleep) = (None, None);
        self.managed = None;
        self.enabling = false;
        self.resuming = false;
        self.life += 1;
    }

    /// A session begins under this name.
    pub(super) fn begin(&mut self, jid: &str) {
        self.forget();
        self.jid = Some(jid.to_owned());
        self.lossy = false;
    }

    /// Its connection is lost: its session is over, or waits for another.
    pub(super) fn disconnected(&mut self) {
        let name = self.managed.as_ref().and_then(|managed| managed.name.as_ref());
        match self.jid.take().filter(|_| name.is_some()) {
            Some(jid) => self.asleep = Some(jid),
            None if self.asleep.is_some() => {}
            None => self.forget(),
        }
        self.resuming = false;
    }

    /// The wish to have the earlier session back.
    pub(super) fn wish(&self) -> Option<String> {
        let managed = self.managed.as_ref().filter(|_| self.asleep.is_some())?;
        let (name, handled) = (managed.name.as_ref()?, managed.handled);
        Some(format!("<resume xmlns='urn:xmpp:sm:3' previd='{name}' h='{handled}'/>"))
    }

    /// Notes what it says, where it counts that.
    pub(super) fn note(&mut self, stanza: &str) {
        if self.enabling && self.managed.is_none() {
            self.managed = Some(Managed::default());
        }
        if let Some(managed) = &mut self.managed {
            managed.said = managed.said.wrapping_add(1);
            managed.outgoing.push_back((managed.said, stanza.to_owned()));
        }
    }

    /// The bare address.
    pub(super) fn bare(&self) -> String {
        house::address(self.person).to_string()
    }
}
