//! MD5 digests as SIP and TURN use them.

use md5::{Digest, Md5};
use std::fmt::Write;

/// The MD5 of parts joined by colons.
pub(crate) fn md5(parts: &[&str]) -> [u8; 16] {
    let mut hash = Md5::new();
    for (i, part) in parts.iter().enumerate() {
        hash.update(if i == 0 { "" } else { ":" });
        hash.update(part);
    }
    hash.finalize().into()
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

/// The `response` of HTTP digest with `qop=auth` or without (RFC 2617 §3.2.2).
pub(crate) struct Answer<'a> {
    pub(crate) user: &'a str,
    pub(crate) realm: &'a str,
    pub(crate) password: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) qop: bool,
}

impl Answer<'_> {
    /// The value of an `Authorization` header field.
    pub(crate) fn header(&self) -> String {
        let Self { user, realm, nonce, method, uri, .. } = self;
        let one = hex(&md5(&[user, realm, self.password]));
        let two = hex(&md5(&[method, uri]));
        let start = format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm=MD5"
        );
        if self.qop {
            let response = hex(&md5(&[&one, nonce, "00000001", "6c6f6164", "auth", &two]));
            format!("{start}, qop=auth, nc=00000001, cnonce=\"6c6f6164\", response=\"{response}\"")
        } else {
            format!("{start}, response=\"{}\"", hex(&md5(&[&one, nonce, &two])))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_2069() {
        let answer = Answer {
            user: "Mufasa",
            realm: "testrealm@host.com",
            password: "CircleOfLife",
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            method: "GET",
            uri: "/dir/index.html",
            qop: false,
        };
        // As RFC 2069 §2.4 has it with the erratum 749.
        assert!(
            answer.header().ends_with("response=\"1949323746fe6a43ef61f9606e7febea\""),
            "{}",
            answer.header()
        );
    }
}
