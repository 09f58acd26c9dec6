//! HTTPS to an authority, for the library that speaks ACME: one connection that is kept between requests, nothing without TLS
//! (RFC 8555 §6.1), bounds on time and size; and what the library does not pass on: how long the authority wants us to wait.

use super::fault::{Error, is_nonce};
use crate::clock;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::http::request::Parts;
use hyper::http::response;
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient, Problem};
use net::tls::{ClientConfig, ServerName};
use serde::Deserialize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use time::PrimitiveDateTime;
use time::macros::format_description;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a request may take, and one try to connect.
const PATIENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);

/// The most that is read of an answer: a chain of certificates has a few thousand octets.
const MOST: usize = 1 << 20;

/// The longest that an authority has us wait.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// What we call ourselves; the library's own name follows (RFC 8555 §6.1).
const NAME: &str = concat!("parlour/", env!("CARGO_PKG_VERSION"));

/// When to ask again about a renewal where the authority does not say (RFC 9773 §4.3.3), in seconds: the library wants it said.
const USUAL: HeaderValue = HeaderValue::from_static("21600");

/// What came back.
type Reply = (response::Parts, Bytes);

/// The way to an authority.
#[derive(Clone)]
pub(super) struct Http(Arc<Way>);

struct Way {
    tls: Arc<ClientConfig>,
    directory: Uri,
    open: tokio::sync::Mutex<Open>,
    heard: Mutex<Heard>,
}

/// The connection that is open, and to whom.
#[derive(Default)]
struct Open {
    sender: Option<(String, SendRequest<Full<Bytes>>)>,
    /// Whether there was one for the last request: it may have arrived.
    reached: bool,
}

/// What an authority has said beside what was asked.
#[derive(Debug, Default)]
struct Heard {
    retry_after: Option<Duration>,
    terms: String,
}

/// What is read of a directory here (RFC 8555 §7.1.1).
#[derive(Default, Deserialize)]
struct Directory {
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default)]
    terms_of_service: String,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http(…)")
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let own = self.clone();
        Box::pin(async move {
            let asked = own.ask(request).await;
            asked.map_err(|error| instant_acme::Error::Other(Box::new(error)))
        })
    }
}

impl Http {
    /// Believes whom `tls` believes.
    pub(super) fn new(tls: Arc<ClientConfig>, directory: &str) -> Self {
        let directory = directory.parse().unwrap_or_default();
        Self(Arc::new(Way { tls, directory, open: tokio::sync::Mutex::default(), heard: Mutex::default() }))
    }

    /// For how long we are to wait, as the last answer has it.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.heard(|heard| heard.retry_after)
    }

    /// Where the authority's terms of service are; empty where it has none.
    pub(super) fn terms(&self) -> String {
        self.heard(|heard| heard.terms.clone())
    }

    fn heard<T>(&self, with: impl FnOnce(&mut Heard) -> T) -> T {
        with(&mut self.0.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks. A refusal is an error that knows how long to wait; only one for the nonce goes back to the library, which has another.
    async fn ask(&self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let (head, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        let (mut parts, body) = self.exchange(&head, &body).await?;
        let retry_after = wait(&parts.headers);
        // The library adds to the clock whatever stands there.
        match retry_after {
            Some(wait) => drop(parts.headers.insert(RETRY_AFTER, wait.as_secs().into())),
            None => drop(parts.headers.remove(RETRY_AFTER)),
        }
        self.heard(|heard| heard.retry_after = retry_after);
        if !parts.status.is_success() {
            refused(&parts, &body, retry_after)?;
        } else if head.uri == self.0.directory {
            let said: Directory = serde_json::from_slice(&body).unwrap_or_default();
            self.heard(|heard| heard.terms = said.meta.terms_of_service);
        } else if head.method == Method::GET {
            parts.headers.entry(RETRY_AFTER).or_insert(USUAL);
        }
        Ok(BytesResponse { parts, body: Box::new(body) })
    }

    /// A request that may have arrived is made once more: a connection that was kept may have been closed just then, and nothing is done
    /// twice, for a nonce is good for one request alone (RFC 8555 §6.5).
    async fn exchange(&self, head: &Parts, body: &Bytes) -> Result<Reply, Error> {
        let mut open = self.0.open.lock().await;
        let mut reply = self.attempt(&mut open, head, body).await;
        if reply.is_err() && open.reached {
            reply = self.attempt(&mut open, head, body).await;
        }
        let host = head.uri.host().unwrap_or_default();
        reply.map_err(|error| Error::Unreachable { text: format!("{host}: {error}"), retry_after: None })
    }

    async fn attempt(&self, open: &mut Open, head: &Parts, body: &Bytes) -> Result<Reply, String> {
        open.reached = false;
        let asked = tokio::time::timeout(PATIENCE, send(&self.0.tls, open, head, body)).await;
        let reply = asked.unwrap_or_else(|_| Err(format!("nothing came in {} s", PATIENCE.as_secs())));
        if reply.is_err() {
            open.sender = None;
        }
        reply
    }
}

async fn send(tls: &Arc<ClientConfig>, open: &mut Open, head: &Parts, body: &Bytes) -> Result<Reply, String> {
    let (host, port) = place(&head.uri)?;
    let authority = head.uri.authority().map_or(host, |authority| authority.as_str());
    let library = head.headers.get(USER_AGENT).and_then(|name| name.to_str().ok()).unwrap_or_default();
    let mut request = Request::builder()
        .method(head.method.clone())
        .uri(head.uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(HOST, authority)
        .header(USER_AGENT, format!("{NAME} {library}"));
    if let Some(kind) = head.headers.get(CONTENT_TYPE) {
        request = request.header(CONTENT_TYPE, kind);
    }
    let request = request.body(Full::from(body.clone())).map_err(|error| error.to_string())?;
    let sender = connection(tls, open, host, port).await?;
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, MOST).collect().await.map_err(|error| error.to_string())?;
    Ok((parts, body.to_bytes()))
}

/// The connection that is there, if it still is, or a new one.
async fn connection<'a>(
    tls: &Arc<ClientConfig>,
    open: &'a mut Open,
    host: &str,
    port: u16,
) -> Result<&'a mut SendRequest<Full<Bytes>>, String> {
    let place = format!("{host}:{port}");
    let mut usable = false;
    if let Some((to, sender)) = &mut open.sender {
        usable = *to == place && sender.ready().await.is_ok();
    }
    if !usable {
        open.sender = Some((place, connect(tls, host, port).await?));
    }
    open.reached = true;
    Ok(&mut open.sender.as_mut().expect("it was usable, or was opened").1)
}

async fn connect(tls: &Arc<ClientConfig>, host: &str, port: u16) -> Result<SendRequest<Full<Bytes>>, String> {
    let bare = host.trim_matches(['[', ']']);
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| format!("`{host}` is no host"))?;
    let stream = reach(bare, port).await?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
    let stream = stream.await.map_err(|error| error.to_string())?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    // It ends when the sender is dropped, or the authority ends it.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection to the authority");
        }
    });
    Ok(sender)
}

fn place(uri: &Uri) -> Result<(&str, u16), String> {
    if uri.scheme_str() != Some("https") {
        return Err(format!("`{uri}` is not an https URL"));
    }
    let host = uri.host().ok_or_else(|| format!("`{uri}` names no host"))?;
    Ok((host, uri.port_u16().unwrap_or(443)))
}

/// One address after another: of a host without IPv6 those do not matter.
async fn reach(host: &str, port: u16) -> Result<TcpStream, String> {
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(|error| error.to_string())?;
    let mut last = "it has no address".to_owned();
    for address in addresses {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address} does not answer"),
        }
    }
    Err(last)
}

/// What a refusal is, but for one that the library makes another request of.
fn refused(parts: &response::Parts, body: &[u8], retry_after: Option<Duration>) -> Result<(), Error> {
    let status = parts.status;
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) if status == StatusCode::BAD_REQUEST && is_nonce(&problem) => Ok(()),
        Ok(problem) if problem.r#type.as_ref().is_some_and(|kind| !kind.is_empty()) => {
            Err(Error::Refused { status: status.as_u16(), problem: Box::new(problem), retry_after })
        }
        _ => Err(Error::Unreachable {
            text: format!("the authority answers {}", status.as_u16()),
            retry_after,
        }),
    }
}

/// For how long an answer has us wait (RFC 9110 §10.2.3).
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let now = clock::now();
    let told = text.parse().ok().map(Duration::from_secs);
    let told = told.or_else(|| date(text).map(|at| at.saturating_sub(now)));
    told.map(|told| told.min(LONGEST))
}

/// A date as HTTP has it (RFC 9110 §5.6.7), since 1970.
fn date(text: &str) -> Option<Duration> {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let date = PrimitiveDateTime::parse(text, format).ok()?.assume_utc();
    u64::try_from(date.unix_timestamp()).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_its_usual_port() {
        let of = |url: &str| place(&url.parse().unwrap()).map(|(host, port)| (host.to_owned(), port));
        assert_eq!(of("https://ca.example/dir"), Ok(("ca.example".into(), 443)));
        assert_eq!(of("https://[::1]:14000/dir"), Ok(("[::1]".into(), 14000)));
        assert!(of("http://ca.example/dir").is_err() && of("/dir").is_err());
    }

    #[test]
    fn dates_and_numbers_say_how_long() {
        let of = |text: &str| wait(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]));
        assert_eq!(of("120"), Some(Duration::from_secs(120)));
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO), "it is over");
        assert_eq!(date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(784_111_777)));
        assert_eq!((of("soon"), of("-1")), (None, None));
        for ever in ["18446744073709551615", "Fri, 31 Dec 2060 23:59:59 GMT"] {
            assert_eq!(of(ever), Some(LONGEST), "no clock goes that far");
        }
    }

    #[test]
    fn a_refusal_knows_how_long_to_wait_and_one_for_the_nonce_is_the_librarys() {
        let of = |status: u16, body: &str| {
            let (parts, ()) = hyper::Response::builder().status(status).body(()).unwrap().into_parts();
            refused(&parts, body.as_bytes(), Some(Duration::from_secs(7)))
        };
        let nonce = r#"{"type":"urn:ietf:params:acme:error:badNonce","detail":"no"}"#;
        assert!(of(400, nonce).is_ok());
        let limited = of(429, r#"{"type":"urn:ietf:params:acme:error:rateLimited"}"#).unwrap_err();
        assert_eq!(limited.kind(), "rateLimited");
        assert_eq!(limited.failure(&[]).retry_after, Some(Duration::from_secs(7)));
        for nothing in [of(502, "<html>"), of(403, "{}")] {
            assert!(matches!(nothing, Err(Error::Unreachable { retry_after: Some(_), .. })), "{nothing:?}");
        }
    }
}
