//! An authority, and our account there (RFC 8555 §7.3), by the library `instant-acme`; and when it wants a certificate renewed (RFC 9773).

use super::fault::{self, Error};
use super::files::Account;
use super::http::Http;
use crate::config::plan::AcmePlan;
use domains::certificate::Window;
use instant_acme::{CertificateIdentifier, ExternalAccountKey, NewAccount, RenewalInfo};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::time::Duration;
use wire::Secret;

/// How often something is asked where the authority does not take the nonces; the library makes three requests of it each time.
pub(super) const TRIES: usize = 4;

/// Asks, and again where the authority has not taken our nonces (RFC 8555 §6.5).
macro_rules! again {
    ($ask:expr) => {{
        let mut tries = 1;
        loop {
            match $ask.await {
                Err(error)
                    if tries < $crate::acme::authority::TRIES && $crate::acme::fault::was_nonce(&error) =>
                {
                    tries += 1;
                }
                other => break other,
            }
        }
    }};
}
pub(super) use again;

/// An account with an authority, and the way there.
pub(super) struct Authority {
    pub(super) account: instant_acme::Account,
    pub(super) http: Http,
}

impl Authority {
    /// Goes on with an account.
    pub(super) async fn resume(http: Http, plan: &AcmePlan, kept: &Account) -> Result<Self, Error> {
        let key = || PrivatePkcs8KeyDer::from(kept.key.expose());
        let builder = instant_acme::Account::builder_with_http(Box::new(http.clone()));
        let account = builder.from_parts(kept.url.clone(), key(), plan.directory.clone()).await?;
        Ok(Self { account, http })
    }

    /// Makes an account.
    pub(super) async fn register(http: Http, plan: &AcmePlan) -> Result<(Self, Account), Error> {
        let contact: Vec<&str> = plan.contact.iter().map(String::as_str).collect();
        let wish =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let customer = plan.external.as_ref();
        let customer = customer.map(|one| ExternalAccountKey::new(one.kid.clone(), one.key.expose()));
        let builder = || instant_acme::Account::builder_with_http(Box::new(http.clone()));
        let made = again!(builder().create(&wish, plan.directory.clone(), customer.as_ref()));
        let (account, credentials) = made.map_err(|error| match Error::from(error) {
            error if error.kind() == "externalAccountRequired" => Error::Account(
                "the authority has customers alone: set acme.external-account as it has told you".into(),
            ),
            error => error,
        })?;
        let key = Secret::new(credentials.private_key().secret_pkcs8_der());
        let kept = Account { url: account.id().to_owned(), key, contact: plan.contact.clone() };
        Ok((Self { account, http }, kept))
    }

    /// Tells the authority whom it may write to (RFC 8555 §7.3.2).
    pub(super) async fn change_contact(&self, contact: &[String]) -> Result<(), Error> {
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        Ok(again!(self.account.update_contacts(&contact))?)
    }

    /// The window in which a certificate (DER) is to be renewed, and how long to wait before asking again; `None` where the authority
    /// does not say such things.
    pub(super) async fn renewal(&self, leaf: &[u8]) -> Result<Option<(Window, Option<Duration>)>, Error> {
        let Some(name) = name_of(leaf) else { return Ok(None) };
        let info = match self.account.renewal_info(&name).await {
            Ok((info, _)) => info,
            Err(instant_acme::Error::Unsupported(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if let Some(why) = &info.explanation_url {
            let why = fault::tame(why);
            tracing::info!(why, "the authority has something to say about renewal");
        }
        Ok(Some((window(&info), self.http.retry_after())))
    }
}

/// What the authority calls a certificate (DER, RFC 9773 §4.1). `None` where it does not say whose it is.
pub(super) fn name_of(leaf: &[u8]) -> Option<CertificateIdentifier<'static>> {
    CertificateIdentifier::try_from(&CertificateDer::from(leaf)).ok()
}

fn window(info: &RenewalInfo) -> Window {
    let moment = |at: time::OffsetDateTime| {
        Duration::from_secs(u64::try_from(at.unix_timestamp()).unwrap_or_default())
    };
    Window { begins: moment(info.suggested_window.start), ends: moment(info.suggested_window.end) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;

    /// The certificate of RFC 9773's appendix A.
    const EXAMPLE: &str = "MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFtcGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDASBgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFfqzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4ByNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK";

    #[test]
    fn the_name_is_that_of_the_rfcs_example() {
        let der = BASE64_STANDARD.decode(EXAMPLE).unwrap();
        let name = name_of(&der).map(|name| name.to_string());
        assert_eq!(name.as_deref(), Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"), "RFC 9773 §4.1");
        assert!(name_of(b"?").is_none());
    }

    #[test]
    fn a_window_is_two_moments() {
        let text =
            r#"{"suggestedWindow":{"start":"2026-01-02T04:00:00Z","end":"2026-01-03T04:00:00+00:00"}}"#;
        let expected =
            Window { begins: Duration::from_secs(1_767_326_400), ends: Duration::from_secs(1_767_412_800) };
        assert_eq!(window(&serde_json::from_str(text).unwrap()), expected);
    }
}
