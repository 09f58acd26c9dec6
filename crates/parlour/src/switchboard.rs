//! The one place that answers "who is this address, and how is it reached now?", over SIP and XMPP alike.
//!
//! An address's home worker knows; a question from elsewhere travels there and back as mail. Services meet here and
//! nowhere else.

use crate::mail;
use crate::services::sip::Contact;
use net::Net;
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

/// Between the switchboards of two workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mail {
    /// For the address's home.
    Question(Question),
    /// Back to the asker.
    Answer(Answer),
}

/// One worker's switchboard.
#[derive(Debug, Default)]
pub struct Switchboard {
    /// About addresses at home here: the office answers them after the current callback.
    questions: VecDeque<Question>,
    /// For the services here.
    answers: VecDeque<Answer>,
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
