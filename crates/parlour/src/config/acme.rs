//! What the table `acme` means.

use super::fault::Fault;
use super::file::{Table, Typed};
use super::meaning::Judge;
use super::plan::{AcmePlan, ExternalAccount, Plan, Service, TlsSource};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use domains::certificate::Challenge;
use wire::{Address, Secret, Transport};

const USUAL: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Authorities write keys with padding and without.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl<'a> Judge<'a> {
    /// The authority that certificates are ordered from; `pushes`: whether records can be put into the DNS.
    pub(super) fn acme(&mut self, pushes: bool) -> Option<AcmePlan> {
        let table = self.file.section("acme");
        let directory = self.note(table.text("directory").map_or(Ok(USUAL.to_owned()), directory));
        let contact = self.each(table.texts("contact"), contact);
        let challenges = self.challenges(table, pushes);
        let external = self.external(table.fields("external-account"));
        let roots = self.authorities(table);
        if !table.flag("terms-accepted", false) {
            let message = "the authority's terms of service are not accepted";
            let fault = Fault::missing("acme.terms-accepted", message);
            self.faults.push(fault.help("read them, then write `terms-accepted = true` under `[acme]`"));
        }
        Some(AcmePlan { directory: directory?, contact, challenges, external: external.ok()?, roots })
    }

    /// Those that may be used, in their order.
    fn challenges(&mut self, table: &'a Table, pushes: bool) -> Vec<Challenge> {
        let Some(typed) = table.list("challenge") else { return vec![Challenge::TlsAlpn] };
        let mut all = vec![];
        for one in typed {
            match challenge(one, pushes) {
                Ok(found) if all.contains(&found) => {
                    let fault = one.fault(format!("{found} stands here twice"));
                    self.faults.push(fault.help("take one of them out"));
                }
                Ok(found) => all.push(found),
                Err(fault) => self.faults.push(fault),
            }
        }
        if typed.is_empty() {
            let fault =
                Fault::new(table.span.clone(), "acme.challenge".to_owned(), "there is no challenge in it");
            self.faults.push(fault.help("write \"tls-alpn-01\", \"http-01\" or \"dns-01\""));
        }
        all
    }

    /// Absent where nothing of it stands; an error where it is not whole, or its secret is for the service alone.
    fn external(&mut self, table: &'a Table) -> Result<Option<ExternalAccount>, ()> {
        let (kid, key) = match (table.text("kid"), table.secret("key")) {
            (None, None) => return Ok(None),
            (Some(kid), Some(key)) => (kid, key),
            (kid, _) => {
                let missing = if kid.is_none() { "kid" } else { "key" };
                let name = format!("acme.external-account.{missing}");
                if !self.faults.iter().any(|fault| fault.key == name) {
                    let fault = Fault::new(table.span.clone(), name, format!("`{missing}` is missing"));
                    self.faults.push(fault.help("acme.external-account takes kid and key"));
                }
                return Err(());
            }
        };
        let Some(text) = self.secret(key) else { return Ok(None) };
        let decoded = BASE64URL.decode(text.expose()).ok().filter(|octets| !octets.is_empty());
        let fault = || key.fault("the key is not base64url").help("as the authority gives it");
        let decoded = self.note(decoded.ok_or_else(fault)).ok_or(())?;
        Ok(Some(ExternalAccount { kid: kid.value.clone(), key: Secret::new(decoded) }))
    }
}

/// One of them, if it can be answered.
fn challenge(typed: &Typed<String>, pushes: bool) -> Result<Challenge, Fault> {
    match typed.value.trim() {
        "tls-alpn-01" => Ok(Challenge::TlsAlpn),
        "http-01" => Ok(Challenge::Http),
        "dns-01" if pushes => Ok(Challenge::Dns),
        "dns-01" => {
            let fault = typed.fault("dns-01 needs a name server that takes our records");
            Err(fault.help("set `push` or `provider` under `[dns]`"))
        }
        other => {
            let fault = typed.fault(format!("`{other}` is no challenge that parlour answers"));
            Err(fault.help("write \"tls-alpn-01\", \"http-01\" or \"dns-01\""))
        }
    }
}

/// Challenges for which no listener is where an authority looks (RFC 8737 §3, RFC 8555 §8.3).
pub(super) fn unanswered(plan: &Plan) -> Vec<String> {
    let Some(TlsSource::Acme(acme)) = plan.tls.as_ref().map(|tls| &tls.source) else { return vec![] };
    let listens = |wanted: &dyn Fn(Service, Transport) -> bool, port| {
        plan.listeners().any(|(service, transport, at)| wanted(service, transport) && at.port == port)
    };
    let sealed = |_, transport: Transport| transport.is_secure() && transport.is_stream();
    let plain = |service, transport| (service, transport) == (Service::Web, Transport::Tcp);
    let missing = acme.challenges.iter().filter_map(|challenge| match challenge {
        Challenge::TlsAlpn if !listens(&sealed, 443) => Some((challenge, 443, "web.https = [\":443\"]")),
        Challenge::Http if !listens(&plain, 80) => Some((challenge, 80, "web.http = [\":80\"]")),
        _ => None,
    });
    let said = missing.map(|(challenge, port, line)| {
        format!(
            "acme.challenge: an authority looks for {challenge} at port {port}, where no listener answers it: write {line}, \
             unless another host passes that port on"
        )
    });
    said.collect()
}

fn directory(typed: &Typed<String>) -> Result<String, Fault> {
    let text = typed.value.trim();
    let host = text.strip_prefix("https://").and_then(|rest| rest.split(['/', ':']).next());
    match host {
        Some(host) if !host.is_empty() && text.is_ascii() && !text.contains(char::is_whitespace) => {
            Ok(text.to_owned())
        }
        _ => Err(typed
            .fault(format!("`{text}` is not the URL of a directory"))
            .help(format!("write it as \"{USUAL}\""))),
    }
}

fn contact(typed: &Typed<String>) -> Result<String, Fault> {
    let text = typed.value.trim();
    let address = text.strip_prefix("mailto:").unwrap_or(text);
    match address.parse::<Address>() {
        Ok(_) if address.is_ascii() && !address.contains(['?', ',']) => Ok(format!("mailto:{address}")),
        _ => Err(typed.fault(format!("`{text}` is not a mail address")).help("write \"joe@falcot.com\"")),
    }
}
