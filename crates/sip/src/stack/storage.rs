//! Bindings on their way to the disk. While that answers, a registration waits for it; while it does not, registrations
//! are answered from memory and nothing waits. What the disk lacks is an address alone: written are the rows of the
//! moment at which they leave.

use super::{Asked, Output, Stack, Token, token_of};
use crate::slab::Id;
use crate::transaction::Timer;
use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use wire::Address;

/// How long a registration waits for the disk.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long the disk is left alone before it is tried again.
const REST: Duration = Duration::from_secs(1);

/// How many addresses are written at a time when the disk has come back.
const AT_ONCE: usize = 256;

/// How the bindings stand with the disk.
#[derive(Debug, Default)]
pub struct Storage {
    /// Addresses whose bindings on the disk are not those in memory, and which nobody has asked the disk to write.
    /// Each has, or had, an account: that bounds them.
    behind: FxHashSet<Address>,
    /// Addresses of which the disk may have more bindings than there are, in places of their own. Each has, or had, an
    /// account.
    longer: FxHashSet<Address>,
    /// Questions that the disk has not answered.
    asked: usize,
    /// Those of them that a registration waits for, and until when: all are as patient, so that the first comes first. Some
    /// are answered already.
    waiting: VecDeque<(Instant, Id)>,
    stalled: bool,
    from_memory: u64,
}

impl Storage {
    /// Whether the disk does not answer, or refuses: registrations are answered from memory.
    pub fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// Of how many addresses the disk may lack the newest bindings, at most.
    pub fn unsaved(&self) -> usize {
        self.behind.len() + self.asked
    }

    /// How many registrations were answered before the disk had them.
    pub fn from_memory(&self) -> u64 {
        self.from_memory
    }
}

impl Storage {
    /// The disk may have more bindings of this address than there are now.
    pub(super) fn note_fewer(&mut self, address: &Address) {
        self.longer.insert(address.clone());
    }
}

impl Stack {
    /// Puts the bindings of an address on the disk that has lost some.
    pub(super) fn save_fewer(&mut self, now: Instant, address: &Address) {
        self.storage.note_fewer(address);
        self.save(now, address, (None, None));
    }

    /// Puts the bindings of an address on the disk. `server`: the REGISTER that is answered then, or when the disk has
    /// had its time. `of`: the disk has all but those of this request (its Call-ID and CSeq), if it has what it was given before.
    pub(super) fn save(
        &mut self,
        now: Instant,
        address: &Address,
        (server, of): (Option<Id>, Option<(&[u8], u32)>),
    ) {
        if !self.storage.stalled && self.write_bindings(now, address, (server, of)) {
            return;
        }
        self.save_later(now, address.clone());
        self.answer_from_memory(now, server);
    }

    /// Asks the disk to write; `false` where too much is asked already.
    fn write_bindings(
        &mut self,
        now: Instant,
        address: &Address,
        (server, of): (Option<Id>, Option<(&[u8], u32)>),
    ) -> bool {
        let fewer = self.storage.longer.contains(address);
        let of = of.filter(|_| !fewer && !self.storage.behind.contains(address));
        let question = Asked::Store { server, address: address.clone(), fewer };
        let asked = match server {
            Some(_) => self.ask_for_registration(now, question),
            None => self.ask(now, question),
        };
        let Some(token) = asked else { return false };
        self.storage.asked += 1;
        self.storage.behind.remove(address);
        self.storage.longer.remove(address);
        let rows = self.rows(now, address, of);
        self.out.push_back(Output::Store { token, address: address.clone(), rows, fewer });
        true
    }

    /// Asks for as long as a registration waits, with one clock for all of them.
    fn ask_for_registration(&mut self, now: Instant, question: Asked) -> Option<Token> {
        let id = self.asked.insert(question)?;
        let end = now + PATIENCE;
        if self.timers.get(Timer::Patience).is_none() {
            self.timers.set(Timer::Patience, end);
        }
        let Self { asked, storage: Storage { waiting, .. }, .. } = self;
        if waiting.len() > 2 * asked.len() + 64 {
            waiting.retain(|(_, id)| asked.get(*id).is_some());
        }
        waiting.push_back((end, id));
        Some(token_of(id))
    }

    /// Registrations have waited for long enough.
    pub(super) fn lose_patience(&mut self, now: Instant) {
        while let Some(&(end, id)) = self.storage.waiting.front() {
            let waits = self.asked.get(id).is_some();
            if waits && end > now {
                return self.timers.set(Timer::Patience, end);
            }
            self.storage.waiting.pop_front();
            if waits {
                self.not_stored(now, id);
            }
        }
    }

    /// The disk has answered.
    pub(super) fn stored(&mut self, now: Instant, token: Token, durable: bool) {
        let Some(Asked::Store { server, address, fewer }) = self.answered(super::id_of(token)) else {
            return;
        };
        let Self { asked, storage, .. } = self;
        while storage.waiting.pop_front_if(|(_, id)| asked.get(*id).is_none()).is_some() {}
        self.storage.asked -= 1;
        self.storage.stalled = !durable;
        if durable {
            self.acknowledge_stored(now, server);
            self.catch_up(now);
        } else {
            if fewer {
                self.storage.note_fewer(&address);
            }
            self.save_later(now, address);
            self.answer_from_memory(now, server);
        }
    }

    fn acknowledge_stored(&mut self, now: Instant, server: Option<Id>) {
        if let Some(server) = server {
            self.acknowledge_registration(now, server);
        }
    }

    fn answer_from_memory(&mut self, now: Instant, server: Option<Id>) {
        self.storage.from_memory += u64::from(server.is_some());
        self.acknowledge_stored(now, server);
    }

    /// The disk has not answered in time. The registration is answered; the question stays, as the disk may get to it.
    /// One that nothing comes of at all is asked anew.
    pub(super) fn not_stored(&mut self, now: Instant, id: Id) {
        self.storage.stalled = true;
        let Some(Asked::Store { server, address, fewer }) = self.asked.get_mut(id) else { return };
        let (server, address, fewer) = (server.take(), address.clone(), *fewer);
        if server.is_some() {
            self.timers.set(Timer::Asked(id), now + self.config.limits.answer);
            return self.answer_from_memory(now, server);
        }
        self.answered(id);
        self.storage.asked -= 1;
        if fewer {
            self.storage.note_fewer(&address);
        }
        self.save_later(now, address);
    }

    fn save_later(&mut self, now: Instant, address: Address) {
        self.storage.behind.insert(address);
        if self.timers.get(Timer::Storage).is_none() {
            self.timers.set(Timer::Storage, now + REST);
        }
    }

    /// Tries whether the disk takes something again, with one address.
    pub(super) fn try_to_save(&mut self, now: Instant) {
        let Some(address) = self.storage.behind.iter().next().cloned() else { return };
        self.write_bindings(now, &address, (None, None));
        self.timers.set(Timer::Storage, now + REST);
    }

    /// The disk is back: it gets what it lacks, some at a time.
    fn catch_up(&mut self, now: Instant) {
        let room = AT_ONCE.saturating_sub(self.storage.asked);
        let next: Vec<Address> = self.storage.behind.iter().take(room).cloned().collect();
        for address in next {
            self.write_bindings(now, &address, (None, None));
        }
    }

    /// Before the end, the disk is asked for all that it lacks.
    pub(super) fn save_all(&mut self, now: Instant) {
        let all: Vec<Address> = self.storage.behind.iter().cloned().collect();
        for address in all {
            self.write_bindings(now, &address, (None, None));
        }
    }
}
