//! What is known of names: NAPTR and SRV by a resolver of our own, addresses by the system, which knows its hosts file
//! too, unless the configuration names a resolver. A bounded number at a time; what was found is kept for its time.

use super::Mail;
use crate::desk::Desk;
use ::sip::stack::Token;
use ::sip::transport::lookup::{Found, Naptr, Question, Srv};
use domain::base::iana::Rtype;
use domain::base::{Message, Name};
use domain::rdata::AllRecordData;
use domain::resolv::StubResolver;
use domain::resolv::stub::conf::{ResolvConf, ServerConf, Transport};
use rustc_hash::FxHashMap;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Look-ups of one worker at a time.
const LIMIT: usize = 64;

/// Answers that one worker keeps.
const KEPT: usize = 1024;

/// How long one question may take: a caller waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an answer is good: its own time within these bounds; what has none, and failures, for the shorter.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(600);

/// The look-ups under way, and the answers of before.
#[derive(Debug, Default)]
pub(super) struct Names {
    waiting: usize,
    resolver: Option<Arc<StubResolver>>,
    known: FxHashMap<Question, (Found, Instant)>,
}

/// An answer on its way to who asked.
#[derive(Debug)]
pub struct Answer {
    token: Token,
    question: Question,
    found: Found,
    good_for: Duration,
}

impl Names {
    /// What is known, at once or by mail; nothing is known at once where too much is looked up already.
    pub(super) fn look_up(&mut self, desk: &Desk<'_, '_>, token: Token, question: Question) -> Option<Found> {
        let now = desk.net.now();
        if let Some((found, until)) = self.known.get(&question)
            && *until > now
        {
            return Some(found.clone());
        }
        if self.waiting >= LIMIT || is_nowhere(&question) {
            return Some(nothing(&question));
        }
        self.waiting += 1;
        let (me, postbox) = (desk.net.me(), desk.shared.postbox.clone());
        let servers = &desk.shared.plan.network.resolver;
        let by_system = servers.is_empty();
        let resolver = Arc::clone(self.resolver.get_or_insert_with(|| Arc::new(resolver(servers))));
        tokio::spawn(async move {
            let search = search(&resolver, &question, by_system);
            let found = tokio::time::timeout(PATIENCE, search).await.ok().flatten();
            let (found, good_for) = found.unwrap_or_else(|| (nothing(&question), SHORTEST));
            let mail = Mail::Resolved(Answer { token, question, found, good_for });
            if postbox.post(me, crate::mail::Mail::Sip(mail)).is_err() {
                tracing::warn!(worker = me.0, "a worker's queue is full: a name is not found");
            }
        });
        None
    }

    /// One is answered: whose it is, and what it says.
    pub(super) fn answered(&mut self, now: Instant, answer: Answer) -> (Token, Found) {
        self.waiting = self.waiting.saturating_sub(1);
        if self.known.len() >= KEPT {
            self.known.retain(|_, (_, until)| *until > now);
        }
        if self.known.len() >= KEPT {
            self.known.clear();
        }
        let Answer { token, question, found, good_for } = answer;
        self.known.insert(question, (found.clone(), now + good_for));
        (token, found)
    }

    /// The configuration may name another resolver.
    pub(super) fn forget(&mut self) {
        self.resolver = None;
        self.known.clear();
    }
}

fn resolver(servers: &[SocketAddr]) -> StubResolver {
    let mut conf = match servers.is_empty() {
        true => ResolvConf::default(),
        false => ResolvConf::new(),
    };
    conf.servers.extend(servers.iter().map(|server| ServerConf::new(*server, Transport::UdpTcp)));
    conf.finalize();
    StubResolver::from_conf(conf)
}

fn nothing(question: &Question) -> Found {
    match question {
        Question::Naptr(_) => Found::Naptr(Vec::new()),
        Question::Srv(_) => Found::Srv(Vec::new()),
        Question::Addresses(_) => Found::Addresses(Vec::new()),
    }
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

async fn search(resolver: &StubResolver, question: &Question, by_system: bool) -> Option<(Found, Duration)> {
    let mut records = Records::default();
    match question {
        Question::Naptr(name) => records.ask(resolver, name, Rtype::NAPTR).await?,
        Question::Srv(name) => records.ask(resolver, name, Rtype::SRV).await?,
        Question::Addresses(name) if by_system => records.ask_system(name).await,
        Question::Addresses(name) => {
            let four = records.ask(resolver, name, Rtype::A).await;
            records.ask(resolver, name, Rtype::AAAA).await.or(four)?;
        }
    }
    let good_for = records.ttl.unwrap_or(SHORTEST).clamp(SHORTEST, LONGEST);
    let found = match question {
        Question::Naptr(_) => Found::Naptr(records.naptr),
        Question::Srv(_) => Found::Srv(records.srv),
        Question::Addresses(_) => Found::Addresses(records.addresses),
    };
    Some((found, good_for))
}

#[derive(Default)]
struct Records {
    naptr: Vec<Naptr>,
    srv: Vec<Srv>,
    addresses: Vec<IpAddr>,
    ttl: Option<Duration>,
}

impl Records {
    async fn ask(&mut self, resolver: &StubResolver, name: &str, kind: Rtype) -> Option<()> {
        let name = Name::<Vec<u8>>::from_str(name).ok()?;
        let answer = resolver.query((name, kind)).await.ok()?.into_message();
        self.read(&answer)
    }

    fn read(&mut self, message: &Message<impl AsRef<[u8]>>) -> Option<()> {
        let message = Message::from_slice(message.as_slice()).ok()?;
        for record in message.answer().ok()?.limit_to_in::<AllRecordData<_, _>>().flatten() {
            match record.data() {
                AllRecordData::A(a) => self.addresses.push(a.addr().into()),
                AllRecordData::Aaaa(aaaa) => self.addresses.push(aaaa.addr().into()),
                AllRecordData::Srv(srv) => self.srv.push(Srv {
                    priority: srv.priority(),
                    weight: srv.weight(),
                    port: srv.port(),
                    target: srv.target().to_string().into(),
                }),
                AllRecordData::Naptr(naptr) if naptr.flags().as_slice().eq_ignore_ascii_case(b"s") => {
                    self.naptr.push(Naptr {
                        order: naptr.order(),
                        preference: naptr.preference(),
                        service: String::from_utf8_lossy(naptr.services().as_slice()).into(),
                        replacement: naptr.replacement().to_string().into(),
                    });
                }
                _ => continue,
            }
            let ttl = Duration::from_secs(record.ttl().as_secs().into());
            self.ttl = Some(self.ttl.map_or(ttl, |before| before.min(ttl)));
        }
        Some(())
    }

    async fn ask_system(&mut self, name: &str) {
        // The port plays no part: the stack has its own.
        for found in tokio::net::lookup_host((name, 0)).await.into_iter().flatten() {
            if !self.addresses.contains(&found.ip()) {
                self.addresses.push(found.ip());
            }
        }
    }
}
