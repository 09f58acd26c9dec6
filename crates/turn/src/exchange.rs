//! A request and how to answer it: who asked, under which transaction, signed with which key (RFC 8489 §6.3.1, §9.2.4).

use crate::allocation::TokenSession;
use crate::challenge::Challenge;
use crate::{Client, Refusal};
use std::time::Duration;
use stun::attribute::{
    AlternateServer, ErrorCode, Nonce, PasswordAlgorithms, Realm, Software, ThirdPartyAuthorization,
    UnknownAttributes,
};
use stun::{Algorithm, Class, Key, Message, Method, TransactionId, Writer};

/// What is kept of a request until it is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) client: Client,
    pub(crate) method: Method,
    pub(crate) transaction: TransactionId,
    /// How the answer is signed, once the request has shown a valid credential.
    pub(crate) signature: Option<(Algorithm, Key)>,
    /// Where that key came in an access token: when that ends, since 1970.
    pub(crate) until: Option<Duration>,
    /// How long the request was.
    pub(crate) octets: usize,
    /// What the answer says that it comes from.
    pub(crate) software: Option<&'static str>,
    /// Whether the answer gets a FINGERPRINT, as the request had one (RFC 8489 §6.3.1).
    pub(crate) fingerprint: bool,
}

impl Exchange {
    pub(crate) fn new(client: Client, request: &Message<'_>) -> Self {
        let fingerprint = request.fingerprint().is_some();
        Self {
            client,
            method: request.method(),
            transaction: request.transaction(),
            signature: None,
            until: None,
            octets: request.bytes().len(),
            software: None,
            fingerprint,
        }
    }

    /// The session that an access token has begun.
    pub(crate) fn session(&self) -> Option<TokenSession> {
        let (_, key) = self.signature?;
        self.until.map(|until| TokenSession { key, until })
    }

    /// Writes a success response with what `body` adds.
    pub(crate) fn success(&self, mut out: Vec<u8>, body: impl FnOnce(Writer<'_>) -> Writer<'_>) -> Vec<u8> {
        let writer = Writer::new(&mut out, Class::Success, self.method, self.transaction);
        self.close(body(writer));
        out
    }

    /// Writes an error response. Strangers are not told the reason in words, so that the answer stays short.
    pub(crate) fn error(
        &self,
        mut out: Vec<u8>,
        refusal: &Refusal,
        challenge: Option<Challenge<'_>>,
    ) -> Vec<u8> {
        let reason = if self.signature.is_some() { refusal.reason() } else { "" };
        let mut writer = Writer::new(&mut out, Class::Error, self.method, self.transaction)
            .with(&ErrorCode { code: refusal.code(), reason });
        if let Refusal::UnknownAttributes(kinds) = refusal {
            writer = writer.with(&UnknownAttributes(kinds.clone()));
        }
        if let Refusal::TryAlternate(server) = refusal {
            writer = writer.with(&AlternateServer(*server));
        }
        if let Some(challenge) = challenge {
            writer = writer
                .with(&Realm(challenge.realm))
                .with(&Nonce(challenge.nonce.as_str()))
                .maybe(challenge.algorithms.then_some(&PasswordAlgorithms::OURS))
                .maybe(challenge.server.map(ThirdPartyAuthorization).as_ref());
        }
        self.close(writer);
        out
    }

    fn close(&self, writer: Writer<'_>) {
        let writer = writer.maybe(self.software.map(Software).as_ref());
        let writer = match &self.signature {
            Some((algorithm, key)) => writer.sign(*algorithm, key),
            None => writer,
        };
        if self.fingerprint {
            writer.fingerprint().finish()
        } else {
            writer.finish()
        };
    }
}
