//! When an authority wants a certificate renewed (RFC 9773).

use super::client::open_directory;
use super::fault::Error;
use super::http::Http;
use super::jws::text;
use super::words::RenewalInfo;
use crate::config::plan::AcmePlan;
use domains::certificate::Window;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What the authority calls a certificate (DER): the identifier of its key, and the serial number (RFC 9773 §4.1). `None` where
/// it does not say whose it is.
pub(super) fn name_of(leaf: &[u8]) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
    let authority = parsed.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(found) => found.key_identifier.as_ref(),
        _ => None,
    })?;
    Some(format!("{}.{}", text(authority.0), text(parsed.tbs_certificate.raw_serial())))
}

/// The window in which it is to be renewed, and how long to wait before asking again; `None` where the authority does not say
/// such things.
pub(super) async fn ask(
    mut http: Http,
    acme: &AcmePlan,
    leaf: &[u8],
) -> Result<Option<(Window, Option<Duration>)>, Error> {
    let directory = open_directory(&mut http, acme).await?;
    let (Some(url), Some(name)) = (directory.renewal_info, name_of(leaf)) else { return Ok(None) };
    let url = format!("{}/{name}", url.trim_end_matches('/'));
    let (info, reply) = super::client::get_openly::<RenewalInfo>(&mut http, &url).await?;
    let window = window(&info).ok_or_else(|| Error::Strange("the window is no window".into()))?;
    if let Some(why) = &info.explanation {
        tracing::info!(
            why = why.chars().take(300).collect::<String>(),
            "the authority has something to say about renewal"
        );
    }
    Ok(Some((window, reply.retry_after())))
}

fn window(info: &RenewalInfo) -> Option<Window> {
    let moment = |text: &str| {
        let date = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        Some(Duration::from_secs(u64::try_from(date.unix_timestamp()).unwrap_or(0)))
    };
    let (begins, ends) = (moment(&info.suggested_window.start)?, moment(&info.suggested_window.end)?);
    Some(Window { begins, ends })
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
        assert_eq!(name_of(&der).as_deref(), Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"), "RFC 9773 §4.1");
        assert_eq!(name_of(b"?"), None);
    }

    #[test]
    fn a_window_is_two_moments() {
        let of = |start: &str, end: &str| {
            let text = format!(r#"{{"suggestedWindow":{{"start":"{start}","end":"{end}"}}}}"#);
            window(&serde_json::from_str(&text).unwrap())
        };
        let expected =
            Window { begins: Duration::from_secs(1_767_326_400), ends: Duration::from_secs(1_767_412_800) };
        assert_eq!(of("2026-01-02T04:00:00Z", "2026-01-03T04:00:00+00:00"), Some(expected));
        assert_eq!(of("tomorrow", "2026-01-03T04:00:00Z"), None);
    }
}
