//! The response context of a forwarded request (RFC 3261 §16.7): its branches, and the best answer so far.

use super::response::passed_on;
use super::route::Target;
use crate::dialog::beginning::Beginning;
use crate::message::{Edit, HeaderName, Message};
use crate::slab::Id;
use crate::transport::Hop;
use crate::transport::inside::Depth;
use crate::transport::token::Seat;
use std::collections::VecDeque;

/// Where one branch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A name is being looked up.
    Resolving,
    /// A client transaction is at work.
    Pending(Id),
    /// It has its final answer.
    Done,
}

/// One way to a phone that has several flows.
#[derive(Debug)]
pub struct Way {
    /// The Request-URI on it.
    pub uri: Option<Box<[u8]>>,
    /// The Path.
    pub path: Box<[u8]>,
    /// The hops.
    pub hops: VecDeque<Hop>,
}

/// One target of the request.
#[derive(Debug)]
pub struct Branch {
    /// The Request-URI for this target; `None` leaves it as it is.
    pub uri: Option<Box<[u8]>>,
    /// The Path to it, comma-separated, which becomes the Route; empty where there is none.
    pub path: Box<[u8]>,
    /// Ways not yet tried.
    pub hops: VecDeque<Hop>,
    /// Other flows to the same phone, tried when these ways have failed (RFC 5626 §6).
    pub others: VecDeque<Way>,
    /// It began with a connection that was there before.
    pub flow: bool,
    /// Where it stands.
    pub state: State,
    /// How far inside the phone is that has registered it; `None`: it is whatever the request names.
    pub registered: Option<Depth>,
    /// It was told to stop ringing, as its time was over: whatever it answers to that is a time-out.
    pub is_late: bool,
    /// It is of a call whose media are relayed: whose seat that takes.
    pub seat: Option<Seat>,
}

impl Branch {
    /// Goes over to the phone's next flow where this one has no hop left.
    pub fn next_flow(&mut self) {
        while self.hops.is_empty()
            && let Some(way) = self.others.pop_front()
        {
            (self.uri, self.path, self.hops) = (way.uri, way.path, way.hops);
        }
    }

    /// What was not tried yet is not tried any more.
    pub fn give_up_ways(&mut self) {
        self.hops.clear();
        self.others.clear();
    }

    /// Whether there is something left to be tried.
    pub fn has_more(&self) -> bool {
        !self.hops.is_empty() || !self.others.is_empty()
    }
}

/// The best final answer so far.
#[derive(Debug)]
enum Best {
    /// Nobody has answered finally.
    None,
    /// Our own.
    Local(u16),
    /// A response, with our Via taken off.
    Remote(u16, Vec<u8>),
}

impl Best {
    fn code(&self) -> Option<u16> {
        match self {
            Self::None => None,
            Self::Local(code) | Self::Remote(code, _) => Some(*code),
        }
    }
}

/// What a finished context answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// A response to pass on.
    Pass(u16, Vec<u8>),
    /// One of our own with this code.
    Own(u16),
}

/// The response context.
#[derive(Debug)]
pub struct Context {
    /// The targets tried so far.
    pub branches: Vec<Branch>,
    /// The targets of lower preference, in groups, the next first (RFC 3261 §16.6: serial forking).
    pub later: VecDeque<Vec<Branch>>,
    /// Client transactions that still exist, finished or not.
    pub live: usize,
    /// A question that must be answered first (where the user is) is open.
    pub asking: bool,
    /// A final answer went to the caller.
    pub answered: bool,
    /// The caller gave up, or a 6xx came: no new branch starts.
    pub closing: bool,
    /// A way was tried by which the media are relayed, be it that another was taken after it.
    pub was_relayed: bool,
    /// How the request was judged.
    pub plan: super::route::Plan,
    /// What is kept of the call that the request begins, once that is answered.
    pub beginning: Option<Beginning>,
    /// Why the last way to what the request names has failed; empty where nothing is known.
    pub why: String,
    /// How many octets of answers were counted as kept here.
    pub counted: usize,
    best: Best,
    /// Challenges of all branches (RFC 3261 §16.7 step 7), with the branch that has them.
    challenges: Vec<(usize, HeaderName, Vec<u8>)>,
}

/// The most challenges that are gathered for one answer.
const MAX_CHALLENGES: usize = 32;

impl Context {
    /// No branches yet.
    pub fn new(plan: super::route::Plan) -> Self {
        Self {
            branches: Vec::new(),
            later: VecDeque::new(),
            live: 0,
            asking: false,
            answered: false,
            closing: false,
            was_relayed: false,
            plan,
            beginning: None,
            why: String::new(),
            counted: 0,
            best: Best::None,
            challenges: Vec::new(),
        }
    }

    /// Whether somebody has refused it, so that there is something to be said.
    pub fn has_refusal(&self) -> bool {
        self.best.code().is_some_and(|code| code != 408)
    }

    /// How many octets of answers are kept.
    pub fn keeps(&self) -> usize {
        let best = if let Best::Remote(_, bytes) = &self.best { bytes.len() } else { 0 };
        best + self.challenges.iter().map(|(.., value)| value.len()).sum::<usize>()
    }

    /// Whether every branch has its final answer, and none is left to be tried.
    pub fn is_complete(&self) -> bool {
        self.is_group_done() && self.later.is_empty()
    }

    /// Whether every branch that was tried has its final answer.
    pub fn is_group_done(&self) -> bool {
        !self.asking && self.branches.iter().all(|branch| branch.state == State::Done)
    }

    /// How many targets there are in all.
    pub fn targets(&self) -> usize {
        self.branches.len() + self.later.iter().map(Vec::len).sum::<usize>()
    }

    /// Whether the next group has breadth enough while these branches are not answered (RFC 5393 §5.3.3.1).
    pub fn may_widen(&self) -> bool {
        let busy = self.branches.iter().filter(|branch| branch.state != State::Done).count();
        let more = self.later.front().map_or(0, Vec::len);
        self.plan.has_breadth_for(more, busy, self.targets())
    }

    /// Whether any group is wider than the request may become.
    pub fn is_too_wide(&self) -> bool {
        self.later.iter().any(|group| !self.plan.has_breadth_for(group.len(), 0, self.targets()))
    }

    /// Whether what goes round by this server itself may go there: that counts whoever has his turn later, too. What is given anew at
    /// each round would be work without end for one request.
    pub fn may_go_round(&self) -> bool {
        self.targets() <= self.plan.breadth
    }

    /// The client transactions of the branches that still ring, whose time is over. They are not tried another way.
    pub fn be_late(&mut self) -> Vec<Id> {
        let mut ringing = Vec::new();
        for branch in &mut self.branches {
            if let State::Pending(client) = branch.state
                && !std::mem::replace(&mut branch.is_late, true)
            {
                branch.give_up_ways();
                ringing.push(client);
            }
        }
        ringing
    }

    /// No new branch starts, and what has not been sent yet is not sent. The client transactions that are at work
    /// come back; `code` is the answer of what never left.
    pub fn close(&mut self, code: u16) -> Vec<Id> {
        (self.closing, self.asking) = (true, false);
        self.later.clear();
        let mut pending = Vec::new();
        for branch in 0..self.branches.len() {
            self.branches[branch].give_up_ways();
            match self.branches[branch].state {
                State::Pending(client) => pending.push(client),
                State::Resolving => self.failed(branch, code),
                State::Done => {}
            }
        }
        if self.branches.is_empty() {
            self.best = Best::Local(code);
        }
        pending
    }

    /// A branch ended with a 2xx.
    pub fn done(&mut self, branch: usize) {
        self.branches[branch].state = State::Done;
        self.later.clear();
        self.closing = true;
    }

    /// A branch ended with an answer of our own.
    pub fn failed(&mut self, branch: usize, code: u16) {
        self.branches[branch].state = State::Done;
        let code = match (code, &self.plan.target) {
            (503, _) if !self.branches[branch].flow => code,
            // What ends at this server's own knowledge of flows is not said outside (RFC 5626 §6).
            (430 | 503, Target::Account(_)) => 480,
            (503, _) => 430,
            _ => code,
        };
        if self.is_better(code) {
            self.best = Best::Local(code);
        }
    }

    /// A branch ended with this final response of 300 or above, which may go on by a stream.
    pub fn refused(&mut self, branch: usize, code: u16, response: &Message<'_>, on_stream: bool) {
        self.branches[branch].state = State::Done;
        if code == 487 && self.branches[branch].is_late {
            return self.failed(branch, 408);
        }
        if matches!(code, 401 | 407) {
            self.gather(branch, response);
        }
        if self.is_better(code) {
            self.best = Best::Remote(code, passed_on(response, on_stream));
        }
    }

    fn gather(&mut self, branch: usize, response: &Message<'_>) {
        for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
            for value in response.all(name).take(MAX_CHALLENGES.saturating_sub(self.challenges.len())) {
                self.challenges.push((branch, name, value.to_vec()));
            }
        }
    }

    /// Whether an answer of this code beats the best so far. Between equals the first stays.
    fn is_better(&self, code: u16) -> bool {
        self.best.code().is_none_or(|best| rank(code) < rank(best))
    }

    /// The answer to pass on, once complete. A 503 of another is no 503 of ours (RFC 3261 §16.7 step 6).
    pub fn answer(&mut self) -> Answer {
        match std::mem::replace(&mut self.best, Best::None) {
            Best::None => Answer::Own(480),
            Best::Local(code) => Answer::Own(code),
            Best::Remote(503, _) => Answer::Own(500),
            Best::Remote(code @ (401 | 407), bytes) => Answer::Pass(code, self.with_challenges(bytes)),
            Best::Remote(code, bytes) => Answer::Pass(code, bytes),
        }
    }

    fn with_challenges(&self, bytes: Vec<u8>) -> Vec<u8> {
        let Ok(best) = Message::parse(&bytes) else { return bytes };
        let mut merged = Vec::new();
        let mut edit = Edit::new(&best, &mut merged);
        for (_, name, value) in &self.challenges {
            if !best.all(*name).any(|own| own == value) {
                edit.append(name.as_str(), value);
            }
        }
        edit.finish();
        merged
    }
}

/// How good a final answer is, the smaller the better: 6xx decides, then the lowest class; within 4xx those that
/// the caller can do something about (RFC 3261 §16.7 step 6). Our own time-out says the least.
fn rank(code: u16) -> (u16, u16) {
    match code {
        600.. => (0, 0),
        401 | 407 | 415 | 420 | 484 => (4, 0),
        408 => (4, 2),
        503 => (5, 1),
        _ => (code / 100, u16::from(code / 100 == 4)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(code: u16, more: &str) -> Vec<u8> {
        let head = format!(
            "SIP/2.0 {code} X\r\nVia: SIP/2.0/UDP us;branch=z9hG4bKo\r\nVia: SIP/2.0/UDP them;branch=z9hG4bKt\r\n"
        );
        let tail = "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
        format!("{head}{more}{tail}").into_bytes()
    }

    fn context(branches: usize) -> Context {
        let mut context = Context::new(super::super::route::Plan::default());
        for _ in 0..branches {
            let (uri, path) = (None, Box::default());
            let (hops, state) = (VecDeque::new(), State::Resolving);
            let (others, flow) = (VecDeque::new(), false);
            context.branches.push(Branch {
                uri,
                path,
                hops,
                others,
                flow,
                state,
                registered: Some(Depth::Outside),
                is_late: false,
                seat: None,
            });
        }
        context
    }

    fn best(codes: &[u16]) -> u16 {
        let mut context = context(codes.len());
        for (branch, code) in codes.iter().enumerate() {
            assert!(!context.is_complete());
            let bytes = response(*code, "");
            context.refused(branch, *code, &Message::parse(&bytes).expect("valid"), false);
        }
        assert!(context.is_complete());
        match context.answer() {
            Answer::Pass(code, bytes) => {
                assert_eq!(Message::parse(&bytes).expect("valid").vias().count(), 1);
                code
            }
            Answer::Own(code) => code,
        }
    }

    #[test]
    fn the_best_answer() {
        for (codes, expected) in [
            (&[486, 603][..], 603),
            (&[404, 302], 302),
            (&[503, 486], 486),
            (&[503], 500),
            (&[500, 503], 500),
            (&[486, 404], 486),
            (&[408, 486], 486),
            (&[404, 407, 486], 407),
            (&[501, 408], 408),
        ] {
            assert_eq!(best(codes), expected, "{codes:?}");
        }
    }

    #[test]
    fn our_own_failures_count_like_any() {
        let mut context = context(2);
        context.failed(0, 408);
        let bytes = response(480, "");
        context.refused(1, 480, &Message::parse(&bytes).expect("valid"), false);
        assert!(matches!(context.answer(), Answer::Pass(480, _)));
        assert_eq!(context.answer(), Answer::Own(480));
    }

    #[test]
    fn challenges_of_all_branches_are_merged() {
        let mut context = context(3);
        let first = response(407, "Proxy-Authenticate: Digest realm=\"a\"\r\n");
        let second =
            response(401, "WWW-Authenticate: Digest realm=\"b\"\r\nWWW-Authenticate: Digest realm=\"c\"\r\n");
        context.refused(0, 407, &Message::parse(&first).expect("valid"), false);
        context.refused(1, 401, &Message::parse(&second).expect("valid"), false);
        context.failed(2, 408);
        let Answer::Pass(407, bytes) = context.answer() else { panic!("the first challenge is the best") };
        let merged = Message::parse(&bytes).expect("valid");
        assert_eq!(merged.all(HeaderName::ProxyAuthenticate).count(), 1);
        assert_eq!(merged.all(HeaderName::WwwAuthenticate).count(), 2);
    }
}
