//! Who stands at the other end of a port. What its signalling says comes first: its description's address, then the host
//! that its signalling comes from. Anybody else must come for a while, early, and alone. Once that is settled, only the
//! one who was found is heard; who else comes changes nothing. A description that names another place moves it there, for
//! who only listens says nothing that would tell.

use super::guard::Guard;
use super::record::{Reader, Writer};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use wire::Epoch;

/// For how long after a description a stranger may still turn out to be its writer.
const STRANGERS: Duration = Duration::from_secs(10);
/// What a stranger must have sent, and for how long.
const STRANGER_PACKETS: u32 = 5;
const STRANGER_TIME: Duration = Duration::from_millis(200);
/// For how long after somebody was found a better one may take the place.
const LEARNING: Duration = Duration::from_secs(3);
/// After such a silence the same host may come from another port: NATs forget.
const GONE: Duration = Duration::from_secs(5);
/// Whoever comes from the old place for so long after a description that names another has not moved.
const MOVING: Duration = Duration::from_secs(1);

/// How much speaks for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Nothing but that it came.
    Stranger,
    /// It is the host of the description, or of the signalling.
    Host,
    /// It is the address of the description.
    Named,
}

/// Somebody who was heard.
#[derive(Clone, Copy, Debug)]
struct Peer {
    address: SocketAddr,
    rank: Rank,
    /// Until when a better one takes its place.
    learning: Instant,
    heard: Instant,
}

/// What is known of one end of one port.
#[derive(Debug)]
pub(super) struct Latch {
    /// Where its description says that it receives, and when it said so.
    named: Option<(SocketAddr, Instant)>,
    /// Where its signalling comes from.
    source: IpAddr,
    peer: Option<Peer>,
    /// Its description has named another place since the peer was found.
    has_moved: bool,
    /// Where it may be by what its other port shows.
    hint: Option<SocketAddr>,
    stranger: Option<(SocketAddr, Instant, u32)>,
    is_ipv4: bool,
}

/// What outlives a restart of what is known of one end of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Where its signalling comes from.
    pub(super) source: IpAddr,
    /// Where its description says that it receives, and since when, as time since 1970.
    named: Option<(SocketAddr, Duration)>,
    /// Who was found.
    peer: Option<(SocketAddr, Rank)>,
    has_moved: bool,
    hint: Option<SocketAddr>,
}

impl Known {
    pub(super) fn write(&self, out: &mut Writer) {
        out.host(self.source);
        out.maybe(self.named, |out, (named, since)| {
            out.address(named);
            out.time(since);
        });
        out.maybe(self.peer, |out, (address, rank)| {
            out.address(address);
            out.octet(rank as u8);
        });
        out.octet(u8::from(self.has_moved));
        out.maybe(self.hint, Writer::address);
    }

    pub(super) fn read(octets: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            source: octets.host()?,
            named: octets.maybe(|octets| Some((octets.address()?, octets.time()?)))?,
            peer: octets.maybe(|octets| Some((octets.address()?, Rank::read(octets)?)))?,
            has_moved: octets.octet()? != 0,
            hint: octets.maybe(Reader::address)?,
        })
    }
}

impl Rank {
    fn read(octets: &mut Reader<'_>) -> Option<Self> {
        let all = [Self::Stranger, Self::Host, Self::Named];
        octets.octet().and_then(|octet| all.into_iter().find(|rank| *rank as u8 == octet))
    }
}

impl Latch {
    /// What of it outlives a restart.
    pub(super) fn known(&self, epoch: &Epoch) -> Known {
        Known {
            source: self.source,
            named: self.named.map(|(named, since)| (named, epoch.unix(since))),
            peer: self.peer.map(|peer| (peer.address, peer.rank)),
            has_moved: self.has_moved,
            hint: self.hint,
        }
    }

    /// After a restart. Whoever was found has the place, and is as new there as if it had come now: a better one may have
    /// come in the last moments before the end.
    pub(super) fn again(known: &Known, local: SocketAddr, (now, epoch): (Instant, &Epoch)) -> Self {
        let peer =
            known.peer.map(|(address, rank)| Peer { address, rank, learning: now + LEARNING, heard: now });
        Self {
            named: known.named.map(|(named, since)| (named, epoch.instant(since).min(now))),
            peer,
            has_moved: known.has_moved && peer.is_some(),
            hint: known.hint,
            ..Self::new(known.source, local)
        }
    }

    pub(super) fn new(source: IpAddr, local: SocketAddr) -> Self {
        let is_ipv4 = local.is_ipv4();
        Self { named: None, source, peer: None, has_moved: false, hint: None, stranger: None, is_ipv4 }
    }

    /// Whether a packet comes from whom it should.
    #[inline]
    pub(super) fn knows(&mut self, now: Instant, from: SocketAddr) -> bool {
        match &mut self.peer {
            Some(peer) if peer.address == from && !self.has_moved => {
                peer.heard = now;
                true
            }
            _ => false,
        }
    }

    /// Whether whoever it comes from is taken for this end from now on. What may not be sent to is nobody.
    pub(super) fn learns(&mut self, now: Instant, from: SocketAddr, bytes: &[u8], guard: &Guard) -> bool {
        if !guard.may_send(from, self.source) {
            return false;
        }
        if self.is_still_there(now, from) {
            return true;
        }
        let rank = self.rank(from);
        let taken = match &self.peer {
            None => rank > Rank::Stranger || self.is_patient_stranger(now, from, bytes),
            Some(peer) if now < peer.learning => rank > peer.rank,
            Some(peer) => {
                let back = peer.address.ip() == from.ip() && now > peer.heard + GONE;
                // A stranger is never settled: one who came while it rang would keep the place from a phone that speaks
                // when it answers.
                back || (rank > peer.rank && self.rank(peer.address) == Rank::Stranger)
            }
        };
        if taken {
            (self.stranger, self.has_moved) = (None, false);
            self.peer = Some(Peer { address: from, rank, learning: now + LEARNING, heard: now });
        }
        taken
    }

    /// Whether it comes from where this end was before its description named another place. For a moment that may be what was
    /// under way; from then on it has not moved, as where the other end has refused the change.
    fn is_still_there(&mut self, now: Instant, from: SocketAddr) -> bool {
        let Some(peer) = self.peer.as_mut().filter(|peer| self.has_moved && peer.address == from) else {
            return false;
        };
        peer.heard = now;
        self.has_moved = self.named.is_some_and(|(_, since)| now < since + MOVING);
        true
    }

    /// Its other port has heard of it there: who sends nothing here may be beside that.
    pub(super) fn hint(&mut self, rtcp: SocketAddr, named_rtcp: Option<SocketAddr>) {
        let Some((named, _)) = self.named else { return };
        // NATs that leave one port as it is leave the other; else the pair stays one, as a rule (RFC 4787 §4.2.2, §4.2.3).
        let kept = named_rtcp.is_some_and(|named| named.port() == rtcp.port());
        let port = if kept { named.port() } else { rtcp.port().wrapping_sub(1) };
        self.hint = Some(SocketAddr::new(rtcp.ip(), port));
    }

    /// Where its description says that it is, and the place that was found for it, where more than its coming speaks for that.
    pub(super) fn found(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let peer = self.peer.filter(|peer| peer.rank > Rank::Stranger && !self.has_moved);
        (self.named.map(|(named, _)| named), peer.map(|peer| peer.address))
    }

    fn rank(&self, from: SocketAddr) -> Rank {
        match self.named {
            Some((named, _)) if named == from => Rank::Named,
            Some((named, _)) if named.ip() == from.ip() => Rank::Host,
            _ if from.ip() == self.source => Rank::Host,
            _ => Rank::Stranger,
        }
    }

    /// A host that nothing speaks for: behind a NAT that has several addresses, or somebody who tries ports.
    fn is_patient_stranger(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) -> bool {
        let early = self.named.is_some_and(|(_, since)| now < since + STRANGERS);
        if !early || !is_media(bytes) {
            return false;
        }
        let (_, since, count) = match self.stranger {
            Some((address, since, count)) if address == from => (address, since, count + 1),
            _ => (from, now, 1),
        };
        self.stranger = Some((from, since, count));
        count >= STRANGER_PACKETS && now >= since + STRANGER_TIME
    }

    /// A description says where this end receives, and its signalling comes from `source`. What it says anew opens the
    /// question again who stands there; until that is answered, it is who stood there before.
    pub(super) fn describe(&mut self, now: Instant, named: SocketAddr, source: IpAddr) {
        if self.named.is_some_and(|(before, _)| before == named) && self.source == source {
            return;
        }
        (self.named, self.source, self.hint) = (Some((named, now)), source, None);
        // Who has moved and was not heard of there is not where it was before that either.
        self.peer = self.peer.filter(|_| !self.has_moved);
        if let Some(peer) = &mut self.peer {
            (peer.rank, peer.learning) = (Rank::Stranger, now + STRANGERS);
        }
        self.has_moved = self.peer.is_some_and(|peer| peer.address != named);
        if !self.has_moved {
            self.peer = self.peer.map(|peer| Peer { rank: Rank::Named, ..peer });
        }
    }

    /// Where this end is sent to: where it came from; before that, and where it has moved since, where it says, or where its
    /// other port was heard of.
    pub(super) fn target(&self, guard: &Guard) -> Option<SocketAddr> {
        let peer = self.peer.map(|peer| peer.address);
        let said = [self.named.map(|(named, _)| named), self.hint];
        let places = match self.has_moved {
            true => [said[0], said[1], peer],
            false => [peer, said[0], said[1]],
        };
        let fits = |to: &SocketAddr| to.is_ipv4() == self.is_ipv4 && guard.may_send(*to, self.source);
        match (peer, self.has_moved) {
            // Whoever was found is sent to there or not at all.
            (Some(peer), false) => Some(peer).filter(fits),
            _ => places.into_iter().flatten().find(fits),
        }
    }

    /// Who stands there, and whether its description has named another place since.
    pub(super) fn standing(&self) -> (Option<SocketAddr>, bool) {
        (self.peer.map(|peer| peer.address), self.has_moved)
    }

    /// When it was heard last.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.peer.map(|peer| peer.heard)
    }
}

/// Whether bytes begin as RTP, RTCP or DTLS do (RFC 7983).
fn is_media(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(20..=63 | 128..=191))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some moment to start from")]
mod tests {
    use super::*;

    const RTP: &[u8] = &[0x80, 0, 0, 1];

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("valid")
    }

    /// Of a server that has no address.
    fn anywhere() -> Guard {
        Guard { own: Vec::new(), listeners: Vec::new(), relays: 65_535..=65_535 }
    }

    struct Case {
        latch: Latch,
        start: Instant,
        now: Instant,
    }

    impl Case {
        /// An end that says it is at `named`, with signalling from `source`.
        fn new(named: &str, source: &str) -> Self {
            let start = Instant::now();
            let mut latch = Latch::new(source.parse().expect("valid"), at("192.0.2.1:30000"));
            latch.describe(start, at(named), source.parse().expect("valid"));
            Self { latch, start, now: start }
        }

        fn after(&mut self, milliseconds: u64) -> &mut Self {
            self.now = self.start + Duration::from_millis(milliseconds);
            self
        }

        fn heard(&mut self, from: &str) -> bool {
            self.latch.knows(self.now, at(from)) || self.latch.learns(self.now, at(from), RTP, &anywhere())
        }
    }

    #[test]
    fn the_named_address_is_sent_to_at_once_and_heard() {
        let mut case = Case::new("198.51.100.7:4000", "198.51.100.7");
        assert_eq!(case.latch.target(&anywhere()), Some(at("198.51.100.7:4000")));
        assert!(case.heard("198.51.100.7:4000") && case.after(5000).heard("198.51.100.7:4000"));
        assert!(!case.heard("198.51.100.7:4001") && !case.heard("203.0.113.66:4000"));
    }

    #[test]
    fn a_phone_behind_nat_is_found_by_its_signalling_s_host() {
        let mut case = Case::new("192.168.1.5:4000", "203.0.113.9");
        assert_eq!(case.latch.target(&anywhere()), None, "nobody sends into our own networks");
        assert!(!case.heard("203.0.113.66:50000"));
        assert!(case.after(500).heard("203.0.113.9:50000"));
        assert_eq!(case.latch.target(&anywhere()), Some(at("203.0.113.9:50000")));
        assert!(!case.after(600).heard("203.0.113.9:50001"), "the first one of that host has the place");
    }

    #[test]
    fn a_stranger_must_be_early_patient_and_alone() {
        let mut case = Case::new("192.168.1.5:4000", "203.0.113.9");
        let stranger = "203.0.113.66:50000";
        for at in [0, 20, 40, 60, 80, 100] {
            assert!(!case.after(at).heard(stranger), "not yet, after {at} ms");
        }
        assert!(case.after(200).heard(stranger));
        assert!(case.after(1000).heard("203.0.113.9:40000"), "who is better takes the place");
        assert!(!case.after(1020).heard(stranger));
        let mut late = Case::new("192.168.1.5:4000", "203.0.113.9");
        for at in (10_000..20_000).step_by(50) {
            assert!(!late.after(at).heard(stranger), "too late");
        }
    }

    #[test]
    fn who_came_while_it_rang_gives_way_to_the_phone_that_answers() {
        for named in ["192.168.1.5:4000", "198.51.100.7:4000"] {
            let mut case = Case::new(named, "198.51.100.7");
            let stranger = "203.0.113.66:50000";
            for n in 0..1000 {
                case.after(n * 20).heard(stranger);
            }
            assert!(case.heard(stranger), "{named}: nobody better has come");
            assert!(case.after(20_000).heard("198.51.100.7:4000"), "{named}");
            assert_eq!(case.latch.target(&anywhere()), Some(at("198.51.100.7:4000")));
            assert!(!case.after(20_020).heard(stranger), "{named}");
        }
    }

    #[test]
    fn strangers_in_turns_are_none() {
        let mut case = Case::new("192.168.1.5:4000", "203.0.113.9");
        for n in 0..200 {
            assert!(!case.after(n * 20).heard(&format!("203.0.113.66:{}", 50_000 + n % 2)));
        }
    }

    #[test]
    fn what_is_no_medium_makes_no_stranger() {
        let mut case = Case::new("192.168.1.5:4000", "203.0.113.9");
        for n in 0..100 {
            let now = case.start + Duration::from_millis(n * 20);
            assert!(!case.latch.learns(now, at("203.0.113.66:5060"), b"OPTIONS", &anywhere()));
        }
    }

    #[test]
    fn nobody_takes_a_place_that_is_held() {
        let mut case = Case::new("192.168.1.5:4000", "203.0.113.9");
        assert!(case.heard("203.0.113.9:40000"));
        for n in 1..500 {
            case.after(n * 20);
            assert!(!case.heard("203.0.113.66:40000") && !case.heard("203.0.113.9:40002"));
            assert!(case.heard("203.0.113.9:40000"));
        }
    }

    #[test]
    fn after_a_silence_the_same_host_may_come_by_another_port() {
        let mut case = Case::new("192.168.1.5:4000", "203.0.113.9");
        assert!(case.heard("203.0.113.9:40000"));
        assert!(!case.after(4900).heard("203.0.113.9:40009"));
        assert!(!case.after(5100).heard("203.0.113.66:40009"));
        assert!(case.after(5200).heard("203.0.113.9:40009"));
    }

    #[test]
    fn a_new_description_opens_the_question_again() {
        let mut case = Case::new("198.51.100.7:4000", "198.51.100.7");
        assert!(case.heard("198.51.100.7:4000"));
        case.after(60_000);
        case.latch.describe(case.now, at("198.51.100.8:7000"), "198.51.100.7".parse().expect("valid"));
        assert!(case.heard("198.51.100.7:4000"), "until the new one comes");
        assert!(case.heard("198.51.100.8:7000"));
        assert!(!case.heard("198.51.100.7:4000"));
    }

    /// What only listens has nothing else that would tell where it is.
    #[test]
    fn who_moves_is_sent_to_where_it_says_though_it_says_nothing_more() {
        let mut case = Case::new("198.51.100.7:4000", "198.51.100.7");
        assert!(case.heard("198.51.100.7:4000"));
        case.after(60_000);
        case.latch.describe(case.now, at("198.51.100.8:7000"), "198.51.100.8".parse().expect("valid"));
        assert_eq!(case.latch.target(&anywhere()), Some(at("198.51.100.8:7000")));
        // What was under way changes nothing; what goes on coming from the old place says that it has not moved.
        assert!(case.after(60_900).heard("198.51.100.7:4000"));
        assert_eq!(case.latch.target(&anywhere()), Some(at("198.51.100.8:7000")));
        assert!(case.after(61_100).heard("198.51.100.7:4000"));
        assert_eq!(case.latch.target(&anywhere()), Some(at("198.51.100.7:4000")));
    }

    #[test]
    fn who_moves_behind_a_nat_stays_where_it_was_found_until_something_tells() {
        let mut case = Case::new("192.168.1.5:4000", "203.0.113.9");
        assert!(case.heard("203.0.113.9:40000"));
        case.after(60_000);
        case.latch.describe(case.now, at("192.168.7.7:4000"), "203.0.113.20".parse().expect("valid"));
        assert_eq!(case.latch.target(&anywhere()), Some(at("203.0.113.9:40000")));
        let rtcp = Some(at("192.168.7.7:4001"));
        case.latch.hint(at("203.0.113.20:50001"), rtcp);
        assert_eq!(case.latch.target(&anywhere()), Some(at("203.0.113.20:50000")));
        case.latch.hint(at("203.0.113.20:4001"), rtcp);
        assert_eq!(case.latch.target(&anywhere()), Some(at("203.0.113.20:4000")));
        assert!(case.after(60_100).heard("203.0.113.20:61000"), "its own word is better");
        case.latch.hint(at("203.0.113.20:4001"), rtcp);
        assert_eq!(case.latch.target(&anywhere()), Some(at("203.0.113.20:61000")));
    }

    #[test]
    fn the_same_description_again_changes_nothing() {
        let mut case = Case::new("192.168.1.5:4000", "203.0.113.9");
        assert!(case.heard("203.0.113.9:40000"));
        case.after(4000);
        case.latch.describe(case.now, at("192.168.1.5:4000"), "203.0.113.9".parse().expect("valid"));
        assert!(!case.heard("203.0.113.9:40002"));
    }

    #[test]
    fn the_other_family_and_nobody_s_address_are_not_sent_to() {
        assert_eq!(Case::new("[2001:db8::5]:4000", "2001:db8::5").latch.target(&anywhere()), None);
        assert_eq!(Case::new("0.0.0.0:4000", "198.51.100.7").latch.target(&anywhere()), None);
        assert_eq!(Case::new("198.51.100.7:0", "198.51.100.7").latch.target(&anywhere()), None);
    }
}
