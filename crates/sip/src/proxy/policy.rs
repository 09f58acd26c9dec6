//! Who may ask this proxy for what: our users after proving who they are, strangers only to reach our users. Never
//! an open relay.

use super::Refusal;
use super::route::{Plan, Target};
use crate::digest::{Algorithms, Role, Verdict};
use crate::message::{Message, Method};
use crate::stack::{Output, Stack};
use crate::trace::Note;
use crate::transport::inside::{self, Depth};
use crate::transport::{Arrival, Hop};
use crate::uri::Uri;
use std::net::IpAddr;
use std::time::Instant;
use wire::{Address, Domain, Flow, WorkerId};

/// Who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Somebody who has proven this account.
    Account(Address),
    /// Somebody who has proven a domain, or is in a dialog.
    Known,
    /// Anybody.
    Stranger,
}

impl Stack {
    /// Whether a request may be forwarded, and who asks for that.
    pub(crate) fn permit(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        request: &Message<'_>,
        plan: &Plan,
    ) -> Result<Asker, Refusal> {
        let mut asker = Asker::Known;
        // A route sealed for this dialog proves that the dialog was let through when it began.
        if !plan.in_dialog {
            match self.caller(request, arrival)? {
                Some(_) if matches!(plan.target, Target::Account(_)) && self.is_vouched(request) => {}
                Some(caller) => {
                    asker = Asker::Account(self.prove(now, arrival, request, (Role::Proxy, &caller))?);
                }
                None if matches!(plan.target, Target::Account(_)) => asker = self.stranger(arrival),
                None => return Err(Refusal::Relaying),
            }
        }
        match &plan.target {
            Target::Account(_) if self.dialog_flow(plan).is_some() => Ok(asker),
            Target::Account(address) if self.directory.get(address).is_none() => Err(Refusal::NotFound),
            _ => Ok(asker),
        }
    }

    /// Somebody of another domain, which only TLS proves.
    fn stranger(&self, arrival: &Arrival) -> Asker {
        match arrival.flow {
            Flow::Stream(conn) if self.connections.has_proven(conn) => Asker::Known,
            _ => Asker::Stranger,
        }
    }

    /// Whether a request may be sent there. `registered`: how far inside whoever registered the target is; what lies
    /// further inside is not reached. A request that names its target itself reaches nothing inside, within a dialog what lies no
    /// further inside than its sender, and the one host there that the other end of the dialog is. The configuration may
    /// allow more.
    pub(super) fn may_go(
        &self,
        hop: &Hop,
        plan: &Plan,
        arrival: &Arrival,
        registered: Option<Depth>,
    ) -> bool {
        let Hop::Address { to, .. } = hop else { return true };
        let ip = to.ip().to_canonical();
        let of_dialog = plan.in_dialog && registered.is_none();
        let reach = registered.unwrap_or(match plan.in_dialog {
            true => reach_of(arrival.peer.ip()),
            false => Depth::Outside,
        });
        Depth::of(ip) <= reach
            || (of_dialog && plan.side.host() == Some(ip))
            || inside::is_within(ip, &self.config.targets)
    }

    /// Whether whoever asks may hear why an address was not reached: of what lies further inside than it does itself, that would
    /// tell it port by port who listens there.
    pub(crate) fn may_hear_of(&self, asker: IpAddr, ip: IpAddr) -> bool {
        Depth::of(ip) <= reach_of(asker) || inside::is_within(ip, &self.config.targets)
    }

    /// The account that a request claims to come from, where its domain is ours; nobody speaks for the domain itself.
    fn caller(&self, request: &Message<'_>, arrival: &Arrival) -> Result<Option<Address>, Refusal> {
        let Ok(Uri::Sip(uri)) = request.from().uri() else { return Ok(None) };
        let place = self.place();
        match place.account(&uri, arrival) {
            None if place.is_us(&uri, arrival) => Err(Refusal::NotYours),
            caller => Ok(caller),
        }
    }

    /// Whether a request proves to come from `claimed`, an address at the main name of a domain of ours, or from an account that may
    /// speak for it: from which.
    pub(crate) fn prove(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        request: &Message<'_>,
        (role, claimed): (Role, &Address),
    ) -> Result<Address, Refusal> {
        if !self.config.authenticate {
            let known = self.directory.get(claimed).map(|_| claimed.clone()).ok_or(Refusal::NotYours)?;
            self.strangers.have_proven(now, arrival, role == Role::Server);
            return Ok(known);
        }
        let Some(realm) = self.directory.domain(claimed.domain()).cloned() else {
            return Err(Refusal::NotYours);
        };
        let unix = self.epoch.unix(now);
        let source = arrival.peer.ip();
        if self.has_shown(now, arrival, claimed) && !self.locks.bar(now, claimed, source) {
            self.out.push_back(Output::Proof { source, account: Some(claimed.clone()), right: true });
            return Ok(claimed.clone());
        }
        let verdict = self.digest.verify(request, role, &realm, &self.directory, (source, unix));
        self.note_verdict(now, arrival, request, (&verdict, (role, claimed)));
        let ask = |stale| Err(self.challenge(request, (role, self.config.me), (claimed, realm), stale));
        match verdict {
            // Whoever guesses hears the same as if it were wrong.
            Verdict::Granted(address) if self.locks.bar(now, &address, source) => ask(false),
            Verdict::Granted(address) => {
                self.strangers.have_proven(now, arrival, role == Role::Server);
                let is_it = self.is_for(role, &address, claimed);
                self.out.push_back(Output::Proof { source, account: Some(address.clone()), right: true });
                if is_it { Ok(address) } else { Err(Refusal::NotYours) }
            }
            Verdict::Refused(account) => {
                let refusal = ask(false);
                self.out.push_back(Output::Proof { source, account, right: false });
                refusal
            }
            Verdict::Stale => ask(true),
            Verdict::Absent | Verdict::Missing(_) => ask(false),
        }
    }

    /// Whether an account may do something in this name: register for itself alone, call as the configuration says, too.
    fn is_for(&self, role: Role, account: &Address, claimed: &Address) -> bool {
        match role {
            Role::Server => account == claimed,
            Role::Proxy => self.config.may_speak(account, claimed),
        }
    }

    /// What whoever claims to be `claimed`, of the domain `realm`, is asked. `at`: the worker that will hear the answer.
    pub(crate) fn challenge(
        &self,
        request: &Message<'_>,
        (role, at): (Role, WorkerId),
        (claimed, realm): (&Address, Domain),
        stale: bool,
    ) -> Refusal {
        let keys = self.directory.get(claimed).map(|account| &account.keys);
        Refusal::Challenge { role, at, realm, stale, algorithms: Algorithms::offer(request, keys) }
    }

    /// Whether whoever sends by a way has proven by a certificate to be this user, who has an account still.
    pub(crate) fn has_shown(&self, now: Instant, arrival: &Arrival, claimed: &Address) -> bool {
        let by_this_way = || match arrival.flow {
            Flow::Stream(conn) => self.connections.has_identified(conn, claimed, self.epoch.unix(now)),
            Flow::Datagram { .. } => false,
        };
        (self.handed_user.as_ref() == Some(claimed) || by_this_way()) && self.directory.get(claimed).is_some()
    }

    /// A user's certificates are good no more: who has shown one asks from now on as everybody does.
    pub fn forget_identity(&mut self, user: &Address) {
        self.connections.forget_identities(|other| other == user);
    }

    /// What is worth telling of credentials. A registration without any, or with old ones, is usual.
    fn note_verdict(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        request: &Message<'_>,
        (verdict, (role, claimed)): (&Verdict, (Role, &Address)),
    ) {
        let registers = request.method() == Method::Register;
        let (note, whose) = match verdict {
            Verdict::Granted(address) if self.locks.bar(now, address, arrival.peer.ip()) => {
                (Note::Locked, Some(address))
            }
            Verdict::Granted(address) if self.is_for(role, address, claimed) => return,
            Verdict::Granted(address) => (Note::NotYours, Some(address)),
            Verdict::Absent | Verdict::Stale if registers => return,
            Verdict::Absent => (Note::Asked, None),
            Verdict::Stale => (Note::Stale, None),
            Verdict::Refused(account) => (Note::WrongPassword, account.as_ref()),
            Verdict::Missing(address) => (Note::MissingKey, Some(address)),
        };
        let whose = whose.map_or_else(String::new, Address::to_string);
        self.note_request(now, arrival, request, note, whose.as_bytes());
    }
}

/// How far inside whoever is at an address reaches by itself. Links are not told apart: one's neighbours are not another's.
fn reach_of(ip: IpAddr) -> Depth {
    match Depth::of(ip) {
        Depth::Link => Depth::Inside,
        depth => depth,
    }
}
