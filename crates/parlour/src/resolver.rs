//! What is known of names, on one worker, for whichever service asks: NAPTR and SRV by a resolver of our own, addresses by
//! the system, which knows its hosts file too, unless the configuration names a resolver. The same question is asked once at
//! a time; a bounded number is under way; what was found is kept for its time.

mod records;

use crate::config::plan::Service;
use crate::desk::Shared;
use crate::mail::Mail;
use domain::resolv::StubResolver;
use domain::resolv::stub::conf::{ResolvConf, ServerConf, Transport};
use net::Net;
use rustc_hash::FxHashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::Domain;
use wire::names::{Found, Question};

/// Questions of one worker at a time.
const LIMIT: usize = 256;

/// The most of them that are asked before anybody wants to know.
const AHEAD: usize = LIMIT / 2;

/// Who may wait for the answer to one question.
const WAITING: usize = 1024;

/// Answers that one worker keeps.
const KEPT: usize = 2048;

/// How long one question may take: a caller waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an answer is good: its own time within these bounds; what has none, and failures, for the shorter.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(600);

/// Who wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Which service.
    pub service: Service,
    /// Its mark.
    pub token: u64,
}

/// An answer on its way to the worker that asked.
#[derive(Debug)]
pub struct Answer {
    question: Question,
    found: Arc<Found>,
    good_for: Duration,
}

/// The questions under way, and the answers of before.
#[derive(Debug, Default)]
pub struct Resolver {
    stub: Option<Arc<StubResolver>>,
    under_way: FxHashMap<Question, Vec<Asker>>,
    known: FxHashMap<Question, (Arc<Found>, Instant)>,
}

impl Resolver {
    /// What is known, at once, or by the service's `resolved` later. Nothing is known at once
    /// where too much is asked already.
    pub fn look_up(
        &mut self,
        net: &Net<'_, Mail>,
        shared: &Shared,
        asker: Asker,
        question: Question,
    ) -> Option<Arc<Found>> {
        if let Some((found, until)) = self.known.get(&question)
            && *until > net.now()
        {
            return Some(Arc::clone(found));
        }
        if let Some(askers) = self.under_way.get_mut(&question) {
            let room = askers.len() < WAITING;
            return match room {
                true => {
                    askers.push(asker);
                    None
                }
                false => Some(Arc::new(question.nothing())),
            };
        }
        if self.under_way.len() >= LIMIT || is_nowhere(&question) {
            return Some(Arc::new(question.nothing()));
        }
        self.ask(net, shared, question, vec![asker]);
        None
    }

    /// Asks what somebody will want to know next, side by side with what is asked already.
    pub fn ahead(
        &mut self,
        net: &Net<'_, Mail>,
        shared: &Shared,
        questions: impl IntoIterator<Item = Question>,
    ) {
        for question in questions {
            let known = self.known.get(&question).is_some_and(|(_, until)| *until > net.now());
            let idle = known || self.under_way.contains_key(&question) || is_nowhere(&question);
            if !idle && self.under_way.len() < AHEAD {
                self.ask(net, shared, question, Vec::new());
            }
        }
    }

    fn ask(&mut self, net: &Net<'_, Mail>, shared: &Shared, question: Question, askers: Vec<Asker>) {
        self.under_way.insert(question.clone(), askers);
        let (me, postbox) = (net.me(), shared.postbox.clone());
        let servers = &shared.plan.network.resolver;
        let by_system = servers.is_empty();
        let stub = Arc::clone(self.stub.get_or_insert_with(|| Arc::new(stub(servers))));
        tokio::spawn(async move {
            let search = records::search(&stub, &question, by_system);
            let found = tokio::time::timeout(PATIENCE, search).await.ok().flatten();
            let (found, ttl) = found.unwrap_or_else(|| (question.nothing(), None));
            let good_for = ttl.unwrap_or(SHORTEST).clamp(SHORTEST, LONGEST);
            let mail = Mail::Resolved(Answer { question, found: Arc::new(found), good_for });
            // Those who wait take a lost answer for none; the question must not stay under way for ever.
            if postbox.deliver(me, mail).await.is_err() {
                tracing::debug!(worker = me.0, "nobody is left who wants to know a name");
            }
        });
    }

    /// One is answered: who wanted to know, and what it says.
    pub fn answered(&mut self, now: Instant, answer: Answer) -> (Vec<Asker>, Arc<Found>) {
        if self.known.len() >= KEPT {
            self.known.retain(|_, (_, until)| *until > now);
        }
        if self.known.len() >= KEPT {
            self.known.clear();
        }
        let Answer { question, found, good_for } = answer;
        let askers = self.under_way.remove(&question).unwrap_or_default();
        self.known.insert(question, (Arc::clone(&found), now + good_for));
        (askers, found)
    }

    /// The configuration may name other name servers.
    pub fn forget(&mut self) {
        self.stub = None;
        self.known.clear();
    }
}

/// The addresses of a name, and how long they are good where that is said, asked beside the workers; `None` where nobody answers.
pub async fn addresses(servers: &[SocketAddr], name: &Domain) -> Option<(Vec<IpAddr>, Option<Duration>)> {
    let (stub, question) = (stub(servers), Question::Addresses(name.as_str().into()));
    let search = records::search(&stub, &question, servers.is_empty());
    match tokio::time::timeout(PATIENCE, search).await.ok().flatten()? {
        (Found::Addresses(all), ttl) => Some((all, ttl.map(|ttl| ttl.clamp(SHORTEST, LONGEST)))),
        _ => None,
    }
}

fn stub(servers: &[SocketAddr]) -> StubResolver {
    let mut conf = match servers.is_empty() {
        true => ResolvConf::default(),
        false => ResolvConf::new(),
    };
    conf.servers.extend(servers.iter().map(|server| ServerConf::new(*server, Transport::UdpTcp)));
    conf.finalize();
    StubResolver::from_conf(conf)
}

/// Whether nobody need be asked (RFC 6761 §6.3, §6.4).
fn is_nowhere(question: &Question) -> bool {
    match question {
        Question::Addresses(name) => name.ends_with(".invalid"),
        Question::Naptr(name) | Question::Srv(name) => {
            name.ends_with(".invalid") || &**name == "localhost" || name.ends_with(".localhost")
        }
    }
}
