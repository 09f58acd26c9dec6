//! HTTPS to an authority: one connection that is kept between requests, nothing without TLS (RFC 8555 §6.1), bounds on time and size.

use crate::clock;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Uri};
use hyper_util::rt::TokioIo;
use net::tls::{ClientConfig, ServerName};
use std::sync::Arc;
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

/// What we call ourselves (RFC 8555 §6.1).
const NAME: &str = concat!("parlour/", env!("CARGO_PKG_VERSION"));

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// For how long we are to wait (RFC 9110 §10.2.3).
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let text = self.header(RETRY_AFTER.as_str())?.trim();
        let now = clock::now();
        text.parse().ok().map(Duration::from_secs).or_else(|| date(text).map(|at| at.saturating_sub(now)))
    }
}

/// A date as HTTP has it (RFC 9110 §5.6.7), since 1970.
fn date(text: &str) -> Option<Duration> {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let date = PrimitiveDateTime::parse(text, format).ok()?.assume_utc();
    u64::try_from(date.unix_timestamp()).ok().map(Duration::from_secs)
}

/// The way to an authority.
pub(super) struct Http {
    tls: Arc<ClientConfig>,
    /// The connection that is open, and to whom.
    open: Option<(String, SendRequest<Full<Bytes>>)>,
    /// Whether the last request went by a connection of before.
    kept: bool,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http(…)")
    }
}

impl Http {
    /// Believes whom `tls` believes.
    pub(super) fn new(tls: Arc<ClientConfig>) -> Self {
        Self { tls, open: None, kept: false }
    }

    /// Asks; the body is JSON that is signed.
    pub(super) async fn ask(
        &mut self,
        method: Method,
        url: &str,
        body: Option<String>,
    ) -> Result<Reply, String> {
        let uri: Uri = url.parse().map_err(|_| format!("`{url}` is not a URL"))?;
        let mut reply = self.attempt(&method, &uri, body.as_ref()).await;
        // A connection that was kept may have been closed just then; a nonce is good for one request alone, so that nothing is done
        // twice (RFC 8555 §6.5).
        if reply.is_err() && self.kept {
            reply = self.attempt(&method, &uri, body.as_ref()).await;
        }
        reply.map_err(|error| format!("{}: {error}", uri.host().unwrap_or(url)))
    }

    async fn attempt(&mut self, method: &Method, uri: &Uri, body: Option<&String>) -> Result<Reply, String> {
        let asked = tokio::time::timeout(PATIENCE, self.exchange(method.clone(), uri, body.cloned())).await;
        let reply = asked.unwrap_or_else(|_| Err(format!("nothing came in {} s", PATIENCE.as_secs())));
        if reply.is_err() {
            self.open = None;
        }
        reply
    }

    async fn exchange(&mut self, method: Method, uri: &Uri, body: Option<String>) -> Result<Reply, String> {
        let (host, port) = place(uri)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, uri.authority().map_or(host, |authority| authority.as_str()))
            .header(USER_AGENT, NAME);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/jose+json");
        }
        let request =
            request.body(Full::from(body.unwrap_or_default())).map_err(|error| error.to_string())?;
        let sender = self.connection(host, port).await?;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, MOST).collect().await.map_err(|error| error.to_string())?;
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body: body.to_bytes() })
    }

    /// The connection that is there, if it still is, or a new one.
    async fn connection(&mut self, host: &str, port: u16) -> Result<&mut SendRequest<Full<Bytes>>, String> {
        let place = format!("{host}:{port}");
        let mut usable = false;
        if let Some((to, sender)) = &mut self.open {
            usable = *to == place && sender.ready().await.is_ok();
        }
        self.kept = usable;
        if !usable {
            self.open = Some((place, connect(&self.tls, host, port).await?));
        }
        Ok(&mut self.open.as_mut().expect("it was usable, or was opened").1)
    }
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
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            Reply { status: 429, headers, body: Bytes::new() }.retry_after()
        };
        assert_eq!(of("120"), Some(Duration::from_secs(120)));
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO), "it is over");
        assert_eq!(date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(784_111_777)));
        assert_eq!((of("soon"), of("-1")), (None, None));
        assert!(of("Fri, 31 Dec 2060 23:59:59 GMT").unwrap() > Duration::from_secs(86_400));
    }
}
