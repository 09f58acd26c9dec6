//! What a client is offered on its stream: mechanisms, and the channel bindings of its TLS session (RFC 5929, RFC 9266).
//!
//! Both lists go into a hash that SCRAM signs (XEP-0474), so that nobody in between can shorten them unseen.

use super::Mechanism;
use super::external::{self, Proven};
use std::fmt;
use wire::{Directory, Domain};

/// What the TLS session of a stream can be known by.
#[derive(Clone, Default)]
pub struct Channel {
    /// `tls-exporter` (RFC 9266): what only its two ends know.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929 §4): the hash of the server's certificate.
    pub end_point: Option<Box<[u8]>>,
    /// Whom the client's certificate proves, where it has shown one that is to be believed.
    pub certificate: Option<Proven>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.types()).finish()
    }
}

impl Channel {
    /// The types of binding that there are, in order of their names.
    pub fn types(&self) -> impl Iterator<Item = &'static str> {
        let exporter = self.exporter.is_some().then_some("tls-exporter");
        exporter.into_iter().chain(self.end_point.is_some().then_some("tls-server-end-point"))
    }

    /// The data of a binding.
    pub fn data(&self, name: &str) -> Option<&[u8]> {
        match name {
            "tls-exporter" => self.exporter.as_ref().map(<[u8; 32]>::as_slice),
            "tls-server-end-point" => self.end_point.as_deref(),
            _ => None,
        }
    }
}

/// What is offered.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    mechanisms: Vec<Mechanism>,
    /// The TLS session.
    pub channel: Channel,
}

impl Offer {
    /// Those of the mechanisms that this TLS session allows.
    pub fn new(mechanisms: &[Mechanism], channel: Channel) -> Self {
        let bound = channel.types().next().is_some();
        let proven = channel.certificate.as_ref();
        let may = |m: &Mechanism| (bound || !m.binds()) && external::may_offer(*m, proven);
        let mechanisms = mechanisms.iter().copied().filter(may).collect();
        Self { mechanisms, channel }
    }

    /// Leaves out what nobody of this domain could sign in by.
    pub fn narrow(&mut self, directory: &Directory, domain: &Domain) {
        let proven = self.channel.certificate.as_ref().filter(|proven| proven.is_of(directory, domain));
        self.mechanisms.retain(|mechanism| external::may_offer(*mechanism, proven));
    }

    /// The mechanisms, strongest first.
    pub fn mechanisms(&self) -> &[Mechanism] {
        &self.mechanisms
    }

    /// Whether a channel binding was offered, so that a client which says it saw none was lied to.
    pub fn binds(&self) -> bool {
        self.mechanisms.iter().any(|mechanism| mechanism.binds())
    }

    /// What is hashed of it (XEP-0474 §5.1).
    pub fn text(&self) -> String {
        let mut names: Vec<&str> = self.mechanisms.iter().map(|mechanism| mechanism.name()).collect();
        names.sort_unstable();
        let mut text = names.join("\x1e");
        let types: Vec<&str> = self.channel.types().collect();
        if !types.is_empty() {
            text.push('\x1f');
            text.push_str(&types.join("\x1e"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::scram::{Algorithm, Sha1};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;

    #[test]
    fn the_hash_of_the_example_of_xep_0474() {
        let channel = Channel { exporter: Some([1; 32]), end_point: Some([2; 32].into()), certificate: None };
        let offer = Offer::new(&[Mechanism::ScramSha1Plus, Mechanism::ScramSha1], channel);
        let text = "SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1ftls-exporter\x1etls-server-end-point";
        assert_eq!(offer.text(), text);
        assert_eq!(BASE64.encode(Sha1::hash(offer.text().as_bytes())), "G6k/rBLDqgOhRRaCuuatSDFkJ08=");
    }

    /// ejabberd 26.07 had to mend this: clients do not hash what stands in another list.
    #[test]
    fn mechanisms_of_tokens_are_no_part_of_the_hash() {
        use crate::sasl::token::Hashed;
        let channel = Channel { exporter: Some([1; 32]), end_point: Some([2; 32].into()), certificate: None };
        let text = Offer::new(&Mechanism::ALL, channel).text();
        assert!(Hashed::ALL.iter().all(|hashed| !text.contains(hashed.name())), "{text}");
        assert!(!text.contains("EXTERNAL"), "nobody was offered what nobody could use: {text}");
    }

    #[test]
    fn without_a_binding_there_is_no_mechanism_that_wants_one() {
        let offer = Offer::new(&Mechanism::ALL, Channel::default());
        assert!(!offer.binds() && !offer.text().contains("PLUS") && !offer.text().contains('\x1f'));
    }
}
