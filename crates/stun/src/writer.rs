//! Writes one message at the end of the caller's buffer (RFC 8489 §5, §14). The header's length grows with every attribute,
//! so that what is in the buffer is a message at any time.

use crate::fingerprint::{self, length_up_to};
use crate::message::{message_type, padded};
use crate::{Attribute, Class, HEADER, Kind, MAGIC_COOKIE, Method, TransactionId};

/// A message in the making.
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
    transaction: TransactionId,
}

impl<'b> Writer<'b> {
    /// Starts a message behind whatever `out` holds.
    pub fn new(out: &'b mut Vec<u8>, class: Class, method: Method, transaction: TransactionId) -> Self {
        let start = out.len();
        out.extend_from_slice(&message_type(class, method).to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&MAGIC_COOKIE);
        out.extend_from_slice(&transaction.0);
        Self { out, start, transaction }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with<'a>(self, attribute: &impl Attribute<'a>) -> Self {
        let transaction = self.transaction;
        self.put(kind_of(attribute), |out| attribute.write(transaction, out))
    }

    /// Adds an attribute where there is one.
    #[must_use]
    pub fn maybe<'a>(self, attribute: Option<&impl Attribute<'a>>) -> Self {
        match attribute {
            Some(attribute) => self.with(attribute),
            None => self,
        }
    }

    /// Adds an attribute as raw bytes.
    #[must_use]
    pub fn raw(self, kind: Kind, value: &[u8]) -> Self {
        self.put(kind, |out| out.extend_from_slice(value))
    }

    fn put(self, kind: Kind, value: impl FnOnce(&mut Vec<u8>)) -> Self {
        self.out.extend_from_slice(&kind.0.to_be_bytes());
        self.out.extend_from_slice(&[0, 0]);
        let from = self.out.len();
        value(self.out);
        let length = self.out.len() - from;
        let field = u16::try_from(length).expect("an attribute is shorter than 64 KiB").to_be_bytes();
        self.out[from - 2..from].copy_from_slice(&field);
        self.out.resize(from + padded(length), 0);
        self.close()
    }

    /// Sets the header's length to what there is.
    fn close(self) -> Self {
        let field = length_up_to(self.out.len() - self.start);
        self.out[self.start + 2..self.start + 4].copy_from_slice(&field);
        self
    }

    /// Adds an attribute that is computed from the message before it.
    pub(crate) fn guard<const N: usize>(
        self,
        kind: Kind,
        value: impl FnOnce(&[u8], usize) -> [u8; N],
    ) -> Self {
        let message = &self.out[self.start..];
        let value = value(message, message.len());
        self.raw(kind, &value)
    }

    /// Adds a FINGERPRINT; nothing may follow (RFC 8489 §14.7).
    #[must_use]
    pub fn fingerprint(self) -> Self {
        self.guard(Kind::FINGERPRINT, fingerprint::of)
    }

    /// How long the message is, header included.
    pub fn finish(self) -> usize {
        debug_assert!(self.out.len() >= self.start + HEADER);
        self.out.len() - self.start
    }
}

fn kind_of<'a, A: Attribute<'a>>(_: &A) -> Kind {
    A::KIND
}
