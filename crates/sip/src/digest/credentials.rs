//! What a client answers to a challenge: the value of Authorization or Proxy-Authorization (RFC 7616 §3.4).

use super::Algorithm;
use crate::message::{lex, unquote};
use std::borrow::Cow;

/// The parameters of a Digest answer, quotes taken off.
#[derive(Clone, Debug)]
pub struct Credentials<'a> {
    /// Who it claims to be: `user`, or `user@domain`.
    pub username: Cow<'a, [u8]>,
    /// For whose challenge.
    pub realm: Cow<'a, [u8]>,
    /// Of the challenge.
    pub nonce: Cow<'a, [u8]>,
    /// The Request-URI, as the client saw it.
    pub uri: Cow<'a, [u8]>,
    /// The proof, in hexadecimal.
    pub response: Cow<'a, [u8]>,
    /// MD5 where none is named.
    pub algorithm: Algorithm,
    /// What came with RFC 2617; older clients send none.
    pub qop: Option<Qop<'a>>,
}

/// The quality of protection, and what goes with it.
#[derive(Clone, Debug)]
pub struct Qop<'a> {
    /// Whether the body is protected as well: `auth-int`.
    pub is_int: bool,
    /// The client's own nonce.
    pub cnonce: Cow<'a, [u8]>,
    /// How often the client has used the nonce: eight hexadecimal digits.
    pub nc: Cow<'a, [u8]>,
}

impl Qop<'_> {
    /// The nonce-count as a number.
    pub fn count(&self) -> u32 {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).expect("checked when it was read");
        self.nc.iter().fold(0, |count, byte| count << 4 | digit(byte))
    }
}

/// The parameters as they come, before it is known which are there.
#[derive(Default)]
struct Raw<'a> {
    username: Option<&'a [u8]>,
    realm: Option<&'a [u8]>,
    nonce: Option<&'a [u8]>,
    uri: Option<&'a [u8]>,
    response: Option<&'a [u8]>,
    algorithm: Option<&'a [u8]>,
    qop: Option<&'a [u8]>,
    cnonce: Option<&'a [u8]>,
    nc: Option<&'a [u8]>,
}

impl<'a> Credentials<'a> {
    /// Reads the value of one header field. `None` where it is another scheme, lacks what must be there, has a
    /// parameter twice, or asks for an algorithm or quality of protection that this server does not know.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (scheme, rest) = value.split_at(lex::token(value));
        if !scheme.eq_ignore_ascii_case(b"Digest") || lex::lws(rest) == 0 {
            return None;
        }
        let (mut raw, mut rest) = (Raw::default(), lex::trim_start(rest));
        while let Some(first) = rest.first() {
            if *first != b',' {
                let equals = lex::find(rest, b'=')?;
                let (name, (value, behind)) =
                    (lex::trim_end(&rest[..equals]), first_value(&rest[equals + 1..])?);
                rest = behind;
                let wrong = match raw.slot(name) {
                    Some(slot) => slot.replace(value).is_some(),
                    None => name.contains(&b','),
                };
                if wrong {
                    return None;
                }
            } else {
                rest = lex::trim_start(&rest[1..]);
            }
        }
        raw.finish()
    }
}

/// Reads the value that `text` begins with: a token, a quoted string, or whatever there is up to the next comma.
fn first_value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = lex::trim_start(text);
    let is_quoted = text.first() == Some(&b'"');
    let (value, behind) = text.split_at(if is_quoted { lex::quoted(text)? } else { lex::token(text) });
    match lex::trim_start(behind) {
        behind @ ([] | [b',', ..]) => Some((value, behind)),
        _ if is_quoted => None,
        _ => {
            let (value, behind) = text.split_at(lex::element(text));
            Some((lex::trim_end(value), behind))
        }
    }
}

impl<'a> Raw<'a> {
    fn slot(&mut self, name: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        // By length, then by the letter that tells those of one length apart: one comparison for each.
        let (known, slot): (&[u8], _) = match (name.len(), name.last()? | 0x20) {
            (2, _) => (b"nc", &mut self.nc),
            (3, b'i') => (b"uri", &mut self.uri),
            (3, _) => (b"qop", &mut self.qop),
            (5, b'm') => (b"realm", &mut self.realm),
            (5, _) => (b"nonce", &mut self.nonce),
            (6, _) => (b"cnonce", &mut self.cnonce),
            (8, b'e') if name[0] | 0x20 == b'u' => (b"username", &mut self.username),
            (8, _) => (b"response", &mut self.response),
            (9, _) => (b"algorithm", &mut self.algorithm),
            _ => return None,
        };
        // Nearly all are written as the RFC writes them.
        (name == known || name.eq_ignore_ascii_case(known)).then_some(slot)
    }

    fn finish(self) -> Option<Credentials<'a>> {
        let algorithm = match self.algorithm {
            None => Algorithm::Md5,
            Some(name) => Algorithm::of(&unquote(name))?,
        };
        let qop = match self.qop {
            None => None,
            Some(word) => Some(Qop {
                is_int: is_int(&unquote(word))?,
                cnonce: unquote(self.cnonce?),
                nc: unquote(self.nc?),
            }),
        };
        if qop.as_ref().is_some_and(|qop| qop.nc.len() != 8 || !qop.nc.iter().all(u8::is_ascii_hexdigit)) {
            return None;
        }
        Some(Credentials {
            username: unquote(self.username?),
            realm: unquote(self.realm?),
            nonce: unquote(self.nonce?),
            uri: unquote(self.uri?),
            response: unquote(self.response?),
            algorithm,
            qop,
        })
    }
}

fn is_int(qop: &[u8]) -> Option<bool> {
    match qop {
        _ if qop.eq_ignore_ascii_case(b"auth") => Some(false),
        _ if qop.eq_ignore_ascii_case(b"auth-int") => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "nonce=\"n\", uri=\"sip:b\", response=\"00\"";

    #[test]
    fn parse() {
        let text = "digest  username = \"a\\\"b\",realm=\"r,s\" ,\r\n nonce=\"n\", uri=\"sip:b\", response=\"0aF\", algorithm=sha-256, \
            cnonce=\"c=\", opaque=\"x\", qop=auth, nc=0000001f, auth-param=1";
        let read = Credentials::parse(text.as_bytes()).unwrap();
        assert_eq!((read.username.as_ref(), read.realm.as_ref()), (&b"a\"b"[..], &b"r,s"[..]));
        assert_eq!((read.uri.as_ref(), read.response.as_ref()), (&b"sip:b"[..], &b"0aF"[..]));
        let qop = read.qop.unwrap();
        assert!(!qop.is_int && qop.cnonce.as_ref() == b"c=" && qop.nc.as_ref() == b"0000001f");
        assert_eq!(read.algorithm, Algorithm::Sha256);
        let text = format!("Digest username=a, realm=\"\", {REST}");
        let old = Credentials::parse(text.as_bytes()).unwrap();
        assert!(old.qop.is_none() && old.algorithm == Algorithm::Md5);
    }

    #[test]
    fn reject() {
        let user = "username=\"a\", realm=\"r\"";
        for bad in [
            String::new(),
            "Digest".to_owned(),
            format!("Basic {user}, {REST}"),
            format!("Digest{user}, {REST}"),
            format!("Digest username=\"a\", {REST}"),
            format!("Digest {user}, username=\"b\", {REST}"),
            format!("Digest {user}, {REST}, qop=auth"),
            format!("Digest {user}, {REST}, qop=auth, cnonce=\"x\", nc=1"),
            format!("Digest {user}, {REST}, qop=other, cnonce=\"x\", nc=00000001"),
            format!("Digest {user}, {REST}, algorithm=MD5-sess"),
            format!("Digest {user}, {REST}, opaque"),
            format!("Digest {REST}, {user}x"),
            format!("Digest {REST}, {user}, qop=\"auth"),
        ] {
            assert!(Credentials::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
