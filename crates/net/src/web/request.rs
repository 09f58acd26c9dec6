//! The opening handshake (RFC 6455 §4.2): an HTTP request is read, and answered with 101 or with what was wrong.

use super::WebFacts;

/// The longest request head.
const HEAD: usize = 8 << 10;
/// The most header fields of one.
const FIELDS: usize = 64;
/// What is hashed together with the client's key (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The octets of a client's key, before Base64.
const KEY: usize = 16;

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct WebRequest<'a> {
    /// Path and query.
    pub target: &'a str,
    /// The server's name as the client knows it, with the port where it is not the usual one.
    pub host: &'a str,
    /// The page whose script asks, where a browser does (RFC 6454).
    pub origin: Option<&'a str>,
    protocols: Vec<&'a str>,
    key: &'a str,
}

/// What is spoken on a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subprotocol {
    /// Its registered name.
    pub name: &'static str,
    /// Whether messages that are not text end the connection.
    pub text_only: bool,
    /// Octets of the longest message; whoever sends a longer one is closed before it is kept (1009).
    pub longest: usize,
}

/// Why a WebSocket is not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwanted {
    /// There is nothing of that path.
    Path,
    /// Pages of that origin are not served.
    Origin,
    /// None of the subprotocols that the client offers is spoken here.
    Protocol,
}

/// What became of the first octets of a stream.
#[derive(Debug)]
pub(crate) enum Asked<'a> {
    /// The request has not ended yet.
    Part,
    /// A request, and what follows its head.
    Request(WebRequest<'a>, &'a [u8]),
    /// What is answered to a request for a WebSocket that is none; then the stream ends.
    Refused(Answer),
    /// No request for a WebSocket; this is answered where nobody wants any other.
    Other(Answer),
}

/// What a request is answered with, where it is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    BadRequest,
    Forbidden,
    NotFound,
    UpgradeRequired,
    TooLarge,
}

impl From<Unwanted> for Answer {
    fn from(unwanted: Unwanted) -> Self {
        match unwanted {
            Unwanted::Path => Self::NotFound,
            Unwanted::Origin => Self::Forbidden,
            Unwanted::Protocol => Self::BadRequest,
        }
    }
}

impl Answer {
    /// As it is written.
    pub(crate) fn write(self) -> String {
        // Whoever speaks another version is told ours (RFC 6455 §4.4).
        let (line, more) = match self {
            Self::BadRequest => ("400 Bad Request", ""),
            Self::Forbidden => ("403 Forbidden", ""),
            Self::NotFound => ("404 Not Found", ""),
            Self::UpgradeRequired => {
                ("426 Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")
            }
            Self::TooLarge => ("431 Request Header Fields Too Large", ""),
        };
        let connection = if more.is_empty() { "close" } else { "Upgrade, close" };
        format!("HTTP/1.1 {line}\r\n{more}Connection: {connection}\r\nContent-Length: 0\r\n\r\n")
    }
}

impl<'a> WebRequest<'a> {
    /// Reads the first octets of a stream.
    pub(crate) fn read(bytes: &'a [u8]) -> Asked<'a> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length <= HEAD => match Self::judge(&request) {
                Ok(request) => Asked::Request(request, &bytes[length..]),
                Err(other) => other,
            },
            Ok(httparse::Status::Partial) if bytes.len() < HEAD => Asked::Part,
            Ok(_) | Err(httparse::Error::TooManyHeaders) => Asked::Other(Answer::TooLarge),
            Err(_) => Asked::Other(Answer::BadRequest),
        }
    }

    /// What RFC 6455 §4.2.1 wants of a request, in its order.
    fn judge(request: &httparse::Request<'_, 'a>) -> Result<Self, Asked<'a>> {
        let bad = || Asked::Refused(Answer::BadRequest);
        let fields = Fields(request.headers);
        if request.method != Some("GET") || request.version != Some(1) {
            return Err(Asked::Other(Answer::BadRequest));
        }
        let host = fields.text("Host").ok_or(Asked::Other(Answer::BadRequest))?;
        if !fields.lists("Upgrade", "websocket") || !fields.lists("Connection", "upgrade") {
            return Err(Asked::Other(Answer::UpgradeRequired));
        }
        if fields.text("Sec-WebSocket-Version") != Some("13") {
            return Err(Asked::Refused(Answer::UpgradeRequired));
        }
        let key = fields.text("Sec-WebSocket-Key").ok_or_else(bad)?;
        if openssl::base64::decode_block(key).map_or(0, |key| key.len()) != KEY {
            return Err(bad());
        }
        let protocols = fields.all("Sec-WebSocket-Protocol").collect();
        let target = request.path.unwrap_or("/");
        Ok(Self { target, host, origin: fields.text("Origin"), protocols, key })
    }

    /// The path, without the query.
    pub fn path(&self) -> &'a str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Whether the client speaks a subprotocol.
    pub fn offers(&self, protocol: &str) -> bool {
        self.protocols.contains(&protocol)
    }

    /// The answer that opens the WebSocket (RFC 6455 §4.2.2).
    pub(crate) fn accept(&self, protocol: &str) -> String {
        let mut sha = openssl::sha::Sha1::new();
        sha.update(self.key.as_bytes());
        sha.update(GUID);
        let accept = openssl::base64::encode_block(&sha.finish());
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
        )
    }

    /// What is kept of it.
    pub(crate) fn facts(&self, protocol: &'static str) -> WebFacts {
        WebFacts { protocol, target: self.target.to_owned(), origin: self.origin.map(str::to_owned) }
    }
}

/// The header fields of a request.
struct Fields<'h, 'a>(&'h [httparse::Header<'a>]);

impl<'a> Fields<'_, 'a> {
    fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        named.filter_map(|field| std::str::from_utf8(field.value).ok()).map(str::trim)
    }

    /// The value of a field that is there once.
    fn text(&self, name: &str) -> Option<&'a str> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// The items of a comma-separated list, which may stand in several lines.
    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.values(name).flat_map(|value| value.split(',')).map(str::trim).filter(|item| !item.is_empty())
    }

    fn lists(&self, name: &str, token: &str) -> bool {
        self.all(name).any(|item| item.eq_ignore_ascii_case(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request of RFC 6455 §1.2, with one line put in another's place.
    fn request(old: &str, new: &str) -> String {
        let text = "GET /chat?x=1 HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
                    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                    Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
                    Sec-WebSocket-Version: 13\r\n\r\n";
        assert!(text.contains(old), "{old}");
        text.replace(old, new)
    }

    fn refused(text: &str) -> Option<Answer> {
        match WebRequest::read(text.as_bytes()) {
            Asked::Refused(answer) | Asked::Other(answer) => Some(answer),
            _ => None,
        }
    }

    #[test]
    fn the_request_of_rfc_6455() {
        let text = request("", "") + "!";
        let Asked::Request(request, rest) = WebRequest::read(text.as_bytes()) else { panic!("{text}") };
        assert_eq!((request.path(), request.target), ("/chat", "/chat?x=1"));
        assert_eq!((request.host, request.origin), ("server.example.com", Some("http://example.com")));
        assert!(request.offers("superchat") && !request.offers("super") && !request.offers("sip"));
        assert_eq!(rest, b"!");
        let answer = request.accept("chat");
        assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
        assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
        assert!(answer.ends_with("\r\nSec-WebSocket-Protocol: chat\r\n\r\n"), "{answer}");
    }

    #[test]
    fn parts_are_waited_for_up_to_a_bound() {
        let text = request("", "");
        for length in 0..text.len() {
            assert!(matches!(WebRequest::read(&text.as_bytes()[..length]), Asked::Part), "{length}");
        }
        let long = format!("GET /{}", "x".repeat(HEAD));
        assert_eq!(refused(&long), Some(Answer::TooLarge));
        assert_eq!(refused(&request("/chat", &format!("/{}", "x".repeat(HEAD)))), Some(Answer::TooLarge));
        let many = "X: y\r\n".repeat(FIELDS);
        assert_eq!(refused(&request("Host:", &format!("{many}Host:"))), Some(Answer::TooLarge));
    }

    #[test]
    fn what_is_no_request_for_a_websocket() {
        for (old, new, answer) in [
            ("Upgrade: websocket", "Upgrade: h2c", Answer::UpgradeRequired),
            ("keep-alive, Upgrade", "keep-alive", Answer::UpgradeRequired),
            ("Version: 13", "Version: 8", Answer::UpgradeRequired),
            ("Host: server.example.com\r\n", "", Answer::BadRequest),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==", Answer::BadRequest),
            ("dGhlIHNhbXBsZSBub25jZQ==", "*", Answer::BadRequest),
            ("HTTP/1.1", "HTTP/1.0", Answer::BadRequest),
            ("GET ", "PUT ", Answer::BadRequest),
            ("Origin:", "Origin\r\n:", Answer::BadRequest),
        ] {
            assert_eq!(refused(&request(old, new)), Some(answer), "{new}");
        }
        assert!(Answer::UpgradeRequired.write().contains("\r\nSec-WebSocket-Version: 13\r\n"));
        assert_eq!(Answer::from(Unwanted::Origin), Answer::Forbidden);
    }
}
