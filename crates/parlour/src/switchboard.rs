//! The one place that answers "who is this address, and how is it reached now?", over SIP and XMPP alike.
//!
//! An address's home worker knows; a question from elsewhere travels there and back as mail. Services meet here and
//! nowhere else.

pub mod pages;

use crate::mail;
use ::sip::dialog;
use ::sip::proxy::media::{Over, Passage};
use ::sip::registrar::Contact;
use net::Net;
use pages::{Page, Reply, Ticket};
use std::collections::VecDeque;
use wire::{Address, WorkerId};

/// How an address is reached now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Its SIP contacts, the preferred one first.
    pub contacts: Vec<Contact>,
    /// How many XMPP sessions it has.
    pub sessions: usize,
}

/// The home worker cannot be asked now: its queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// Where is this address?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who wants to know.
    pub asker: WorkerId,
    /// The asker's mark: the answer carries it.
    pub token: u64,
    /// Whom it is about, at its domain's main name.
    pub address: Address,
}

/// What came of a question, for the service that asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The mark of the question.
    pub token: u64,
    /// Where the address is.
    pub reach: Result<Reach, Busy>,
}

/// A message of a call that is relayed, for whoever relays it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    /// Who wants to know what goes on in its place.
    pub asker: WorkerId,
    /// The asker's mark: the answer carries it.
    pub token: u64,
    /// What is known of it.
    pub passage: Box<Passage>,
}

/// What goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mediated {
    /// The mark of the errand.
    pub token: u64,
    /// The session description in place of the message's own; `None` leaves it as it is.
    pub body: Option<Vec<u8>>,
}

/// Between the switchboards of two workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mail {
    /// For the address's home.
    Question(Question),
    /// Back to the asker.
    Answer(Answer),
    /// For the home of a call.
    Errand(Errand),
    /// Back to the asker.
    Mediated(Mediated),
    /// For the home of a call: what of it is relayed no more.
    Over(Over),
    /// For the worker that has the request.
    Reply(Reply),
}

/// What waits for a service here, in the order in which it came.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// For the relay.
    Errand(Errand),
    /// For SIP.
    Mediated(Mediated),
    /// For the relay.
    Over(Over),
    /// For the service that has a page.
    Page(Box<Page>),
    /// For HTTP.
    Reply(Reply),
    /// For the service that has a page: nobody waits for the answer any more.
    Abandoned(Ticket),
}

/// One worker's switchboard.
#[derive(Debug, Default)]
pub struct Switchboard {
    /// About addresses at home here: the office answers them after the current callback.
    questions: VecDeque<Question>,
    /// For the services here.
    answers: VecDeque<Answer>,
    /// About calls that are relayed, for the services here.
    wanted: VecDeque<Wanted>,
}

impl Switchboard {
    /// Asks where `address` is (at its domain's main name). The answer comes to the SIP service by `located`, after
    /// the current callback at the earliest.
    pub fn locate(&mut self, net: &mut Net<'_, mail::Mail>, token: u64, address: Address) {
        let home = address.home(net.workers());
        let question = Question { asker: net.me(), token, address };
        if home == net.me() {
            self.questions.push_back(question);
        } else if net.post(home, mail::Mail::Switchboard(Mail::Question(question))).is_err() {
            self.answers.push_back(Answer { token, reach: Err(Busy) });
        }
    }

    /// Takes in mail of another worker's switchboard.
    pub fn mail(&mut self, mail: Mail) {
        match mail {
            Mail::Question(question) => self.questions.push_back(question),
            Mail::Answer(answer) => self.answers.push_back(answer),
            Mail::Errand(errand) => self.wanted.push_back(Wanted::Errand(errand)),
            Mail::Mediated(mediated) => self.wanted.push_back(Wanted::Mediated(mediated)),
            Mail::Over(over) => self.wanted.push_back(Wanted::Over(over)),
            Mail::Reply(reply) => self.wanted.push_back(Wanted::Reply(reply)),
        }
    }

    /// Asks the home of a call what goes on in place of a message's session description. The answer comes to the SIP
    /// service by `mediated`, in the order of the errands for one call; where the home's queue is full, the message goes
    /// on as it is.
    pub fn mediate(&mut self, net: &mut Net<'_, mail::Mail>, token: u64, passage: Box<Passage>) {
        let home = dialog::home(&passage.call, net.workers());
        let errand = Errand { asker: net.me(), token, passage };
        if home == net.me() {
            self.wanted.push_back(Wanted::Errand(errand));
        } else if net.post(home, mail::Mail::Switchboard(Mail::Errand(errand))).is_err() {
            self.wanted.push_back(Wanted::Mediated(Mediated { token, body: None }));
        }
    }

    /// Tells the home of a call what of it is relayed no more. Where its queue is full, silence tells it later.
    pub fn relay_no_more(&mut self, net: &mut Net<'_, mail::Mail>, over: Over) {
        let (Over::Fork { call, .. } | Over::Dialog { call, .. }) = &over;
        let home = dialog::home(call, net.workers());
        if home == net.me() {
            self.wanted.push_back(Wanted::Over(over));
        } else {
            let _ = net.post(home, mail::Mail::Switchboard(Mail::Over(over)));
        }
    }

    /// The next about a call that is relayed.
    pub(crate) fn next_wanted(&mut self) -> Option<Wanted> {
        self.wanted.pop_front()
    }

    /// Sends what goes on to whoever asked. Where the asker's queue is full, the message goes on as it is when its time is up.
    pub(crate) fn mediated(&mut self, net: &mut Net<'_, mail::Mail>, asker: WorkerId, mediated: Mediated) {
        if asker == net.me() {
            self.wanted.push_back(Wanted::Mediated(mediated));
        } else if net.post(asker, mail::Mail::Switchboard(Mail::Mediated(mediated))).is_err() {
            tracing::warn!(worker = asker.0, "a worker's queue is full: an answer is lost");
        }
    }

    /// The next question about an address at home here.
    pub(crate) fn next_question(&mut self) -> Option<Question> {
        self.questions.pop_front()
    }

    /// The next answer for a service here.
    pub(crate) fn next_answer(&mut self) -> Option<Answer> {
        self.answers.pop_front()
    }

    /// Sends an answer to whoever asked. One that the asker's full queue does not take is lost: there the request
    /// ends by its own timer.
    pub(crate) fn reply(&mut self, net: &mut Net<'_, mail::Mail>, question: &Question, reach: Reach) {
        let answer = Answer { token: question.token, reach: Ok(reach) };
        if question.asker == net.me() {
            self.answers.push_back(answer);
        } else if net.post(question.asker, mail::Mail::Switchboard(Mail::Answer(answer))).is_err() {
            tracing::warn!(worker = question.asker.0, "a worker's queue is full: an answer is lost");
        }
    }
}
