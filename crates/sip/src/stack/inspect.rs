//! What an administrator sees of one worker's SIP: who is registered here, and from where.

use super::Stack;
use crate::page::{Found, Page};
use crate::registrar::Binding;
use std::net::SocketAddr;
use std::time::Instant;
use wire::{Address, Transport};

/// A binding as an administrator sees it. Texts are as phones wrote them: any bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Whose it is.
    pub address: Address,
    /// The contact URI.
    pub contact: Box<[u8]>,
    /// How and from where its phone registered, where it is reached that way.
    pub flow: Option<(Transport, SocketAddr)>,
    /// The Path to it, comma-separated; empty where there is none.
    pub path: Box<[u8]>,
    /// Its phone (`+sip.instance`), where that was said.
    pub instance: Option<Box<[u8]>>,
    /// Which of its phone's flows it is (`reg-id`, RFC 5626), where it is one of perhaps several.
    pub flow_number: Option<Box<[u8]>>,
    /// Preference in thousandths.
    pub q: u16,
    /// When it ends unless it is refreshed.
    pub expires: Instant,
}

impl Registered {
    pub(crate) fn new(address: &Address, binding: &Binding) -> Self {
        Self {
            address: address.clone(),
            contact: binding.uri().into(),
            flow: binding.arrival().map(|arrival| (arrival.transport, arrival.peer)),
            path: binding.path().into(),
            instance: binding.phone().map(Into::into),
            flow_number: binding.instance().map(|(_, number)| number.into()),
            q: binding.q,
            expires: binding.expires,
        }
    }
}

impl Stack {
    /// A page of the bindings that hold at `now`, of everybody at home here. Of one address all are found together.
    pub fn bindings(&self, now: Instant, page: Page) -> Found<Registered> {
        self.registrar.page(now, page)
    }

    /// The bindings of an address at home here that hold at `now`.
    pub fn bindings_of(&self, now: Instant, address: &Address) -> Vec<Registered> {
        let live = self.registrar.bindings(address).iter().filter(|binding| binding.expires > now);
        live.map(|binding| Registered::new(address, binding)).collect()
    }
}
