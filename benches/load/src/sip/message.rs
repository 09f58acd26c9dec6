//! As much of SIP's format as a phone of a benchmark needs.

/// A message as text.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a>(pub(crate) &'a str);

impl<'a> Message<'a> {
    /// The status of a response, `None` for a request.
    pub(crate) fn status(self) -> Option<u16> {
        self.0.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// The method of a request.
    pub(crate) fn method(self) -> &'a str {
        self.0.split(' ').next().unwrap_or_default()
    }

    /// The values of all header fields of a name, in order.
    pub(crate) fn headers(self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.split("\r\n").skip(1).take_while(|line| !line.is_empty()).filter_map(move |line| {
            let (field, value) = line.split_once(':')?;
            field.trim_end().eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn header(self, name: &str) -> &'a str {
        self.headers(name).next().unwrap_or_default()
    }

    /// The number that our Call-IDs start with.
    pub(crate) fn number(self) -> Option<usize> {
        self.header("Call-ID").split_once('-')?.0.parse().ok()
    }

    pub(crate) fn cseq(self) -> Option<u32> {
        self.header("CSeq").split(' ').next()?.parse().ok()
    }

    /// The method that a response is for.
    pub(crate) fn cseq_method(self) -> &'a str {
        self.header("CSeq").rsplit(' ').next().unwrap_or_default()
    }

    /// The URI inside the angle brackets of `Contact`.
    pub(crate) fn contact(self) -> &'a str {
        let contact = self.header("Contact");
        contact.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(contact, |(uri, _)| uri)
    }
}

/// What a 401 or 407 asks for.
pub(crate) struct Challenge<'a> {
    pub(crate) realm: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) qop: bool,
}

/// The MD5 challenge among those of a response.
pub(crate) fn challenge(text: &str) -> Option<Challenge<'_>> {
    let message = Message(text);
    let all = message.headers("WWW-Authenticate").chain(message.headers("Proxy-Authenticate"));
    let text = all.into_iter().find(|value| !value.to_ascii_lowercase().contains("algorithm=sha-"))?;
    let quoted = |name: &str| text.split_once(&format!("{name}=\""))?.1.split('"').next();
    Some(Challenge { realm: quoted("realm")?, nonce: quoted("nonce")?, qop: text.contains("qop") })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSAL: &str = "SIP/2.0 407 Proxy Authentication Required\r\nCall-ID: 12-99@load\r\nCSeq: 1 INVITE\r\n\
        proxy-authenticate: Digest realm=\"a\", nonce=\"b\", algorithm=SHA-256\r\n\
        Proxy-Authenticate: Digest realm=\"r\", nonce=\"nSha-\", qop=\"auth\", algorithm=MD5\r\n\
        Contact: \"x\" <sip:load1@127.0.0.1:5>;q=1\r\n\r\nX: body";

    #[test]
    fn a_refusal_is_read() {
        let message = Message(REFUSAL);
        assert_eq!((message.status(), message.number(), message.cseq()), (Some(407), Some(12), Some(1)));
        assert_eq!((message.cseq_method(), message.contact()), ("INVITE", "sip:load1@127.0.0.1:5"));
        assert_eq!((message.header("X"), message.headers("Proxy-Authenticate").count()), ("", 2));
        let challenge = challenge(REFUSAL).unwrap();
        assert_eq!((challenge.realm, challenge.nonce, challenge.qop), ("r", "nSha-", true));
    }
}
