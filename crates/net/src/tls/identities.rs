//! The identities in force, replaceable while running: by the name that a client asks for (RFC 6066 §3), by the listener's own
//! name where it asks for none; and those that prove to an authority that a name is ours (RFC 8737).

use super::Identity;
use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::sync::Arc;

/// What an authority names as its application protocol when it looks whether a name is ours (RFC 8737 §3).
pub const CHALLENGE: &[u8] = b"acme-tls/1";

/// The most names with a challenge at a time.
const CHALLENGES: usize = 1000;

/// Those of a kind of name; several where their keys are of different kinds, the preferred first.
type Named = HashMap<String, Vec<Identity>>;

/// The identities in force. Share it by `Arc`; new handshakes see a replacement at once, running connections keep theirs.
#[derive(Debug)]
pub struct Identities {
    shown: ArcSwap<Shown>,
    challenges: ArcSwap<HashMap<String, Identity>>,
}

/// Who is shown to whom.
#[derive(Debug)]
struct Shown {
    /// To whoever names nobody that is here.
    first: Identity,
    exact: Named,
    /// By what stands behind the `*.`.
    wild: Named,
}

impl Shown {
    fn new(all: Vec<(Vec<String>, Identity)>) -> Option<Self> {
        let first = all.first()?.1.clone();
        let mut shown = Self { first, exact: Named::new(), wild: Named::new() };
        for (names, identity) in all {
            for name in names.iter().map(|name| normal(name)) {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut shown.wild, rest.to_owned()),
                    None => (&mut shown.exact, name),
                };
                map.entry(name).or_default().push(identity.clone());
            }
        }
        Some(shown)
    }

    /// Those for a name: that are for it alone before those of its wildcard, which stands for one label (RFC 9525 §6.3).
    fn named(&self, name: &str) -> Option<&[Identity]> {
        let name = normal(name);
        let wild = || name.split_once('.').and_then(|(_, rest)| self.wild.get(rest));
        self.exact.get(&name).or_else(wild).map(Vec::as_slice)
    }

    /// Those for the first of some names that there are any for.
    fn for_first(&self, names: &[Option<&str>]) -> &[Identity] {
        let mut names = names.iter().flatten();
        names.find_map(|name| self.named(name)).unwrap_or(std::slice::from_ref(&self.first))
    }
}

/// Names are compared without regard to case; a dot behind them is no part of them.
fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

impl Identities {
    /// Starts with `identity` for every name.
    pub fn new(identity: Identity) -> Arc<Self> {
        let shown = Shown { first: identity, exact: Named::new(), wild: Named::new() };
        Arc::new(Self { shown: ArcSwap::from_pointee(shown), challenges: ArcSwap::default() })
    }

    /// Starts with several; see [`set`](Self::set). `None` where there is none.
    pub fn of(all: Vec<(Vec<String>, Identity)>) -> Option<Arc<Self>> {
        let identities = Self::new(all.first()?.1.clone());
        identities.set(all);
        Some(identities)
    }

    /// Puts `identity` in force for every name.
    pub fn replace(&self, identity: Identity) {
        self.set(vec![(Vec::new(), identity)]);
    }

    /// Puts exactly these in force, each for its names (`*.` in front stands for one label). The first is shown to whoever
    /// names nobody that is here. Of several for a name, a client is shown the first whose key it can check. None at all
    /// changes nothing.
    pub fn set(&self, all: Vec<(Vec<String>, Identity)>) {
        if let Some(shown) = Shown::new(all) {
            self.shown.store(Arc::new(shown));
        }
    }

    /// The first one in force.
    pub fn current(&self) -> Identity {
        self.shown.load().first.clone()
    }

    /// What is shown to a client by names in their order: the one that it asked for, the one that its listener takes it to mean; `None`
    /// where that depends on what keys the client can check.
    pub fn shown_for(&self, names: &[Option<&str>]) -> Option<Identity> {
        match self.shown.load().for_first(names) {
            [only] => Some(only.clone()),
            _ => None,
        }
    }

    /// Shows `identity` to an authority that looks whether `name` is ours by [`CHALLENGE`], on every listener inside TLS; `None`
    /// takes it away again. Whether there was room for it.
    pub fn challenge(&self, name: &str, identity: Option<Identity>) -> bool {
        let mut fits = true;
        self.challenges.rcu(|before| {
            let mut after = HashMap::clone(before);
            match &identity {
                None => drop(after.remove(&normal(name))),
                Some(identity) => {
                    fits = after.len() < CHALLENGES || after.contains_key(&normal(name));
                    if fits {
                        after.insert(normal(name), identity.clone());
                    }
                }
            }
            after
        });
        fits
    }

    /// Whether any authority is expected.
    pub(super) fn are_challenged(&self) -> bool {
        !self.challenges.load().is_empty()
    }

    /// Whether an authority is expected that looks for this name.
    pub(super) fn is_challenged(&self, name: &str) -> bool {
        self.challenges.load().contains_key(&normal(name))
    }

    /// For a client of ours that speaks for `name`: what it shows where a server asks it who it is.
    pub fn speaking_for(self: &Arc<Self>, name: &str) -> Arc<dyn ResolvesClientCert> {
        Arc::new(SpeakingFor { identities: Arc::clone(self), name: name.to_owned() })
    }

    fn choose(&self, names: &[Option<&str>], schemes: &[SignatureScheme]) -> Identity {
        let shown = self.shown.load();
        let all = shown.for_first(names);
        all.iter().find(|one| one.can_sign(schemes)).unwrap_or(&all[0]).clone()
    }

    /// For DTLS: the one for a name, whatever its key.
    pub(crate) fn first_for(&self, asked: Option<&str>, usual: Option<&str>) -> Identity {
        self.shown.load().for_first(&[asked, usual])[0].clone()
    }

    /// Whether this one is still in force.
    pub(crate) fn has(&self, identity: &Identity) -> bool {
        let shown = self.shown.load();
        let mut named = shown.exact.values().chain(shown.wild.values()).flatten();
        shown.first.number() == identity.number() || named.any(|one| one.number() == identity.number())
    }
}

/// What a server is shown that asks us who we are.
#[derive(Debug)]
struct SpeakingFor {
    identities: Arc<Identities>,
    /// The name that we speak for.
    name: String,
}

impl ResolvesClientCert for SpeakingFor {
    fn resolve(&self, _issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.identities.choose(&[Some(&self.name)], schemes).certified())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// What is shown on one listener.
#[derive(Debug)]
pub(super) struct OnListener {
    pub(super) identities: Arc<Identities>,
    /// The name that this client has meant before its handshake.
    pub(super) meant: Option<Arc<str>>,
    /// The name that a client means which names none.
    pub(super) usual: Option<Arc<str>>,
}

impl OnListener {
    /// Whether a client that has meant this name before is shown another than one that has meant none.
    pub(super) fn is_other(&self, asked: Option<&str>, meant: &str) -> bool {
        let (shown, usual) = (self.identities.shown.load(), self.usual.as_deref());
        let first = |names: &[Option<&str>]| shown.for_first(names)[0].number();
        first(&[asked, Some(meant), usual]) != first(&[asked, usual])
    }
}

impl ResolvesServerCert for OnListener {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let names = [hello.server_name(), self.meant.as_deref(), self.usual.as_deref()];
        let chosen = self.identities.choose(&names, hello.signature_schemes());
        Some(chosen.certified())
    }
}

/// What an authority is shown: what it looks for, or nothing.
#[derive(Debug)]
pub(super) struct ToAuthority(pub(super) Arc<Identities>);

impl ResolvesServerCert for ToAuthority {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let challenges = self.0.challenges.load();
        challenges.get(&normal(hello.server_name()?)).map(Identity::certified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let made = rcgen::generate_simple_self_signed(vec!["falcot.com".into()]).unwrap();
        Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_name_that_is_asked_for_comes_before_its_wildcard_before_the_listeners_own_before_the_first() {
        let all = [identity(), identity(), identity(), identity()];
        let [first, exact, wild, other] = &all;
        let identities = Identities::of(vec![
            (names(&["falcot.com"]), first.clone()),
            (names(&["Chat.example.org"]), exact.clone()),
            (names(&["*.example.org"]), wild.clone()),
            (names(&["other.example"]), other.clone()),
        ])
        .unwrap();
        for (asked, usual, expected) in [
            (Some("chat.EXAMPLE.org."), None, exact),
            (Some("talk.example.org"), None, wild),
            (Some("a.talk.example.org"), None, first),
            (Some("example.org"), None, first),
            (Some("falcot.com"), Some("other.example"), first),
            (Some("unknown.example"), Some("other.example"), other),
            (None, Some("other.example"), other),
            (None, Some("unknown.example"), first),
            (None, None, first),
        ] {
            let shown = identities.shown_for(&[asked, usual]).unwrap();
            assert_eq!(shown.number(), expected.number(), "{asked:?} at {usual:?}");
        }
        identities.set(Vec::new());
        assert!(all.iter().all(|one| identities.has(one)), "none at all changes nothing");
        identities.set(vec![(names(&["falcot.com"]), other.clone())]);
        assert!(identities.has(other) && !identities.has(first));
        assert!(Identities::of(Vec::new()).is_none());
    }

    #[test]
    fn challenges_are_bounded_and_go_again() {
        let (identities, shown) = (Identities::new(identity()), identity());
        assert!(!identities.are_challenged());
        for n in 0..CHALLENGES {
            assert!(identities.challenge(&format!("h{n}.falcot.com"), Some(shown.clone())));
        }
        assert!(!identities.challenge("more.falcot.com", Some(shown.clone())));
        assert!(identities.challenge("H7.falcot.com", Some(shown.clone())), "that one has its place");
        assert!(identities.is_challenged("h7.Falcot.com"));
        for n in 0..CHALLENGES {
            assert!(identities.challenge(&format!("h{n}.falcot.com"), None));
        }
        assert!(!identities.are_challenged());
    }
}
