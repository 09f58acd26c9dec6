//! Digest authentication, the server's side (RFC 3261 §22, RFC 7616, RFC 8760): MD5, SHA-256 and SHA-512-256, `qop="auth"`.
//!
//! Nonces hold their own time and proof, so nothing is kept between a challenge and its answer. Of an answer that was
//! right its nonce-count is kept for as long as the nonce is good: the same answer is not taken twice. A nonce names the
//! worker that is to hear its answers, whichever made it, so that one window sees all counts.

mod credentials;
mod hash;
mod nonce;
mod replay;

use crate::message::{HeaderName, Message, Method};
use crate::transport::transport_named;
use crate::uri::{Host, SipUri, Uri, unescape};
pub use credentials::{Credentials, Qop};
pub use hash::Algorithm;
use hash::Hex;
use nonce::{Mint, Name};
use replay::Replays;
use std::cell::Cell;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;
use wire::{Account, Address, Directory, Domain, Keys, Secret, Transport, WorkerId};

/// How many credentials for one realm are looked at in one message.
const MAX_CREDENTIALS: usize = 4;

/// Who asks: the registrar or another server at the end of a request, or a proxy on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// 401, WWW-Authenticate, Authorization.
    Server,
    /// 407, Proxy-Authenticate, Proxy-Authorization.
    Proxy,
}

impl Role {
    /// The status code of a challenge.
    pub const fn code(self) -> u16 {
        match self {
            Self::Server => 401,
            Self::Proxy => 407,
        }
    }

    /// The header field that a challenge stands in.
    pub const fn challenge(self) -> &'static str {
        match self {
            Self::Server => "WWW-Authenticate",
            Self::Proxy => "Proxy-Authenticate",
        }
    }

    /// The header field that credentials stand in.
    pub const fn credentials(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::Authorization,
            Self::Proxy => HeaderName::ProxyAuthorization,
        }
    }
}

/// Which algorithms a challenge offers. At least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithms {
    /// For every client.
    pub md5: bool,
    /// For those that know RFC 8760.
    pub sha256: bool,
    /// For those that know RFC 8760 and have the function.
    pub sha512_256: bool,
}

impl Algorithms {
    /// All that there are.
    pub const ALL: Self = Self { md5: true, sha256: true, sha512_256: true };

    /// MD5 alone.
    pub const MD5: Self = Self { md5: true, sha256: false, sha512_256: false };

    /// Those that an account imported with some of the keys alone can answer; all where it can answer none.
    pub fn of(keys: &Keys) -> Self {
        let md5 = keys.md5.is_some() || keys.md5_whole.is_some();
        let sha256 = keys.sha256.is_some() || keys.sha256_whole.is_some();
        let sha512_256 = keys.sha512_256.is_some() || keys.sha512_256_whole.is_some();
        if md5 || sha256 || sha512_256 { Self { md5, sha256, sha512_256 } } else { Self::ALL }
    }

    /// What to offer whoever sent `request`, for an account with these keys, where there is one. A client that
    /// fails where it should pass over an algorithm it does not know (RFC 7616 §3.7) is offered MD5 alone: some by name, and
    /// those in browsers, as JsSIP takes the last challenge whatever it is, and SIP.js knows no other algorithm either.
    pub fn offer(request: &Message<'_>, keys: Option<&Keys>) -> Self {
        let possible = keys.map_or(Self::ALL, Self::of);
        let client = request.header(HeaderName::UserAgent).unwrap_or_default();
        let in_browser = transport_named(request.via().transport()).is_some_and(Transport::is_web);
        let stumbles = in_browser || STUMBLING.iter().any(|name| client.starts_with(name.as_bytes()));
        if possible.md5 && stumbles { Self::MD5 } else { possible }
    }
}

/// How User-Agents begin that give up when any challenge names an algorithm other than MD5: libre before 2, PJSIP before 2.12, as
/// MicroSIP before 3.21 and telephone systems by Asterisk before 20 have it, and Twinkle, which knows the last challenge alone.
const STUMBLING: [&str; 7] =
    ["baresip v0.", "baresip v1.", "Asterisk PBX 1", "FPBX-1", "MicroSIP/3.1", "MicroSIP/3.20", "Twinkle/"];

/// What the credentials in a request are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They prove that whoever sent this knows the password of that account.
    Granted(Address),
    /// There are none for this realm: challenge.
    Absent,
    /// The nonce is too old, or not ours, or not for who answers it, whatever the rest is worth; or they are right and came
    /// before: challenge again, with `stale=true`.
    Stale,
    /// They are wrong, or break the grammar. `Some` names the account they claim to be of, where it exists.
    Refused(Option<Address>),
    /// The account lacks the key for this algorithm and form of the name: challenge with what it has.
    Missing(Address),
}

/// Challenges and checks on one worker, with one secret of the server's.
#[derive(Debug)]
pub struct Digest {
    mint: Mint,
    lifetime: Duration,
    me: WorkerId,
    workers: u16,
    /// The number of the next nonce. Each worker has numbers of its own: two may make nonces for the same one.
    next: Cell<u32>,
    /// The second in which this began: what earlier nonces were used for is not known.
    began: Option<u32>,
    replays: Replays,
}

/// How many nonces a worker remembers to have been answered in one nonce's lifetime.
const MAX_ANSWERED: usize = 100_000;

impl Digest {
    /// One for worker `me` of `workers`. `secret` proves that a nonce is ours: random, the same on every worker. A nonce is
    /// good for `lifetime`.
    pub fn new((me, workers): (WorkerId, u16), secret: Secret, lifetime: Duration) -> Self {
        let (mint, next) = (Mint::new(&secret), Cell::new(me.0.into()));
        Self { mint, lifetime, me, workers, next, began: None, replays: Replays::new(MAX_ANSWERED) }
    }

    /// It begins now, since 1970; else with the first credentials.
    pub fn begin(&mut self, unix: Duration) {
        self.began = Some(nonce::seconds(unix));
    }

    /// Nonces are good for so long from now on; what was seen stays seen.
    pub fn set_lifetime(&mut self, lifetime: Duration) {
        self.lifetime = lifetime;
    }

    /// Appends the challenges, one whole header line each. `at`: the worker that will hear the answer. `unix` is now,
    /// since 1970. MD5 comes first: many clients look at the first challenge alone, and those that choose do so by strength
    /// (RFC 8760 §2.4 lets the server say what it prefers: what works).
    pub fn challenge(
        &self,
        out: &mut Vec<u8>,
        (role, at): (Role, WorkerId),
        realm: &Domain,
        algorithms: Algorithms,
        stale: bool,
        (source, unix): (IpAddr, Duration),
    ) {
        let number = self.next.get();
        self.next.set(number.wrapping_add(self.workers.into()));
        let nonce = nonce::write(&self.mint, realm, source, Name::new(unix, at, number));
        let stale = if stale { ", stale=true" } else { "" };
        let begin = out.len();
        for part in [role.challenge(), ": Digest realm=\"", realm.as_str(), "\", nonce=\""] {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(&nonce);
        out.extend_from_slice(b"\", algorithm=");
        let (alike, mut first) = (begin..out.len(), true);
        let mut line = |algorithm: Algorithm| {
            if !std::mem::take(&mut first) {
                out.extend_from_within(alike.clone());
            }
            for part in [algorithm.name(), ", qop=\"auth\"", stale, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        };
        if algorithms.md5 {
            line(Algorithm::Md5);
        }
        if algorithms.sha256 {
            line(Algorithm::Sha256);
        }
        if algorithms.sha512_256 {
            line(Algorithm::Sha512256);
        }
    }

    /// Looks at the credentials for `realm`, the main name of a domain of ours, in a request.
    pub fn verify(
        &mut self,
        request: &Message<'_>,
        role: Role,
        realm: &Domain,
        directory: &Directory,
        (source, unix): (IpAddr, Duration),
    ) -> Verdict {
        self.began.get_or_insert(nonce::seconds(unix));
        let mut best = Verdict::Absent;
        let ours = request
            .all(role.credentials())
            .filter_map(Credentials::parse)
            .filter(|credentials| credentials.realm.as_ref() == realm.as_str().as_bytes());
        for credentials in ours.take(MAX_CREDENTIALS) {
            let verdict = self.judge(request, &credentials, realm, directory, (source, unix));
            if rank(&verdict) > rank(&best) {
                best = verdict;
            }
        }
        best
    }

    fn judge(
        &mut self,
        request: &Message<'_>,
        credentials: &Credentials<'_>,
        realm: &Domain,
        directory: &Directory,
        (source, unix): (IpAddr, Duration),
    ) -> Verdict {
        // A nonce is for one source: only who has heard it can fail to answer it, and be counted for that.
        let name = nonce::read(&self.mint, realm, source, &credentials.nonce);
        let Some(name) = name.filter(|name| self.is_fresh(*name, unix)) else { return Verdict::Stale };
        let Some((address, whole)) = claimed(&credentials.username, realm, directory) else {
            return Verdict::Refused(None);
        };
        let account = directory.get(&address);
        let key = match account {
            Some(account) => match key(account, credentials.algorithm, whole) {
                Some(key) => key,
                None => return Verdict::Missing(address),
            },
            // As much work for a name that is nobody's: how long an answer takes tells no names.
            None => Hex::of(credentials.algorithm, &[realm.as_str().as_bytes()]),
        };
        let right = is_right(request, credentials, &key, directory);
        match account {
            // The directory's own name: whoever keeps it shares it.
            Some(account) if right && self.is_new(name, credentials, unix) => {
                Verdict::Granted(account.address.clone())
            }
            Some(_) if right => Verdict::Stale,
            account => Verdict::Refused(account.map(|_| address)),
        }
    }
}

impl Digest {
    /// Whether a nonce is for this worker, since it began, and still good. Another worker's clock may be ahead by a moment,
    /// which may be that of a new second.
    fn is_fresh(&self, name: Name, unix: Duration) -> bool {
        const NEXT_SECOND: u32 = u32::MAX;
        let now = nonce::seconds(unix);
        let running = now.wrapping_sub(self.began.unwrap_or(now));
        let age = Some(name.age(unix)).filter(|age| *age != NEXT_SECOND).unwrap_or(0);
        name.worker() == self.me && age <= self.seconds().min(running)
    }

    /// Whether right credentials have not come before. Without qop there is no nonce-count: such a client answers each
    /// nonce once.
    fn is_new(&mut self, name: Name, credentials: &Credentials<'_>, unix: Duration) -> bool {
        let (count, lifetime) = (credentials.qop.as_ref().map_or(0, Qop::count), self.seconds());
        self.replays.note(name, count, nonce::seconds(unix), lifetime)
    }

    /// A nonce's lifetime.
    fn seconds(&self) -> u32 {
        u32::try_from(self.lifetime.as_secs()).unwrap_or(u32::MAX)
    }
}

fn rank(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Absent => 0,
        Verdict::Refused(_) => 1,
        Verdict::Missing(_) => 2,
        Verdict::Stale => 3,
        Verdict::Granted(_) => 4,
    }
}

/// Whose account a username names, and whether it is written as a whole address.
fn claimed(username: &[u8], realm: &Domain, directory: &Directory) -> Option<(Address, bool)> {
    let username = std::str::from_utf8(username).ok()?;
    if !username.contains('@') {
        return Address::within(username, realm).ok().map(|address| (address, false));
    }
    let address = directory.canonical(&username.parse().ok()?)?;
    (address.domain() == realm.as_str()).then_some((address, true))
}

/// The key of an account for an algorithm and form of the name, in hexadecimal: H(A1) of RFC 7616 §3.4.2.
fn key(account: &Account, algorithm: Algorithm, whole: bool) -> Option<Hex> {
    let keys = &account.keys;
    match (algorithm, whole) {
        (Algorithm::Md5, false) => keys.md5.as_ref().map(|key| Hex::new(key)),
        (Algorithm::Md5, true) => keys.md5_whole.as_ref().map(|key| Hex::new(key)),
        (Algorithm::Sha256, false) => keys.sha256.as_ref().map(|key| Hex::new(key)),
        (Algorithm::Sha256, true) => keys.sha256_whole.as_ref().map(|key| Hex::new(key)),
        (Algorithm::Sha512256, false) => keys.sha512_256.as_ref().map(|key| Hex::new(key)),
        (Algorithm::Sha512256, true) => keys.sha512_256_whole.as_ref().map(|key| Hex::new(key)),
    }
}

/// Whether the response fits the key, and the credentials were made for this request.
fn is_right(request: &Message<'_>, credentials: &Credentials<'_>, key: &Hex, directory: &Directory) -> bool {
    let expected = response(credentials, key, request.method(), request.body());
    expected.is(&credentials.response) && is_for(request, &credentials.uri, directory)
}

/// The response that RFC 7616 §3.4.1 wants; that of RFC 2069 where the client sends no qop.
fn response(credentials: &Credentials<'_>, key: &Hex, method: Method<'_>, body: &[u8]) -> Hex {
    let hash = |parts: &[&[u8]]| Hex::of(credentials.algorithm, parts);
    let (method, uri, nonce) = (method.as_bytes(), &*credentials.uri, &*credentials.nonce);
    let Some(qop) = &credentials.qop else {
        let second = hash(&[method, uri]);
        return hash(&[key.as_bytes(), nonce, second.as_bytes()]);
    };
    let second =
        if qop.is_int { hash(&[method, uri, hash(&[body]).as_bytes()]) } else { hash(&[method, uri]) };
    let word: &[u8] = if qop.is_int { b"auth-int" } else { b"auth" };
    hash(&[key.as_bytes(), nonce, &qop.nc, &qop.cnonce, word, second.as_bytes()])
}

/// Whether a digest-uri means this request (RFC 3261 §22.4, RFC 7616 §3.4.6): the same user at the same host, or
/// this server itself, by a name of ours or by its address: some clients name whom they send to. Ports and
/// parameters do not count, as clients and proxies on the way add and drop them.
fn is_for(request: &Message<'_>, uri: &[u8], directory: &Directory) -> bool {
    let Some(asked) = request.uri() else { return false };
    if request.uri_bytes() == Some(uri) {
        return true;
    }
    match (asked, Uri::parse(uri)) {
        (_, Ok(Uri::Sip(uri))) if uri.user.is_none() && is_server(&uri.host, directory) => true,
        (Uri::Sip(asked), Ok(Uri::Sip(uri))) => {
            let user = |uri: &SipUri<'_>| uri.user.map(|u| unescape(u).into_owned());
            asked.host == uri.host && user(asked) == user(&uri)
        }
        (asked, Ok(uri)) => asked.matches(&uri),
        (_, Err(_)) => is_bare_ipv6(uri),
    }
}

/// Whether this is an IPv6 address without its brackets, as sipp names whom it sends to.
fn is_bare_ipv6(uri: &[u8]) -> bool {
    let text = std::str::from_utf8(uri).unwrap_or_default();
    let host = text.strip_prefix("sip:").and_then(|rest| rest.rsplit_once(':'));
    host.is_some_and(|(host, port)| host.parse::<Ipv6Addr>().is_ok() && port.parse::<u16>().is_ok())
}

fn is_server(host: &Host<'_>, directory: &Directory) -> bool {
    match host {
        Host::Ip(_) => true,
        Host::Name(name) => std::str::from_utf8(name).is_ok_and(|name| directory.domain(name).is_some()),
    }
}

#[cfg(test)]
mod tests;
