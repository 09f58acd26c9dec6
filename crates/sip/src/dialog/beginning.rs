//! Where in an INVITE that begins a call stands what is kept of that call once somebody has answered: the INVITE is not read again
//! for it.

use crate::message::{Contact, Message, Method, offset};

/// A part of a message's head, whose offsets fit into 16 bits.
#[derive(Clone, Copy, Debug)]
struct Part {
    from: u16,
    to: u16,
}

/// Parts of one INVITE, and its number.
#[derive(Clone, Copy, Debug)]
pub struct Beginning {
    call_id: Part,
    called: Part,
    from: Part,
    tag: Part,
    target: Part,
    /// Its CSeq.
    pub cseq: u32,
}

impl Beginning {
    /// Looks at a request; `None` where it begins no call, or not as it has to (RFC 3261 §8.1.1.3, §8.1.1.8).
    pub fn of(request: &Message<'_>) -> Option<Self> {
        if request.method() != Method::Invite || request.to().tag().is_some() {
            return None;
        }
        let Some(Ok(Contact::At(target))) = request.contacts().next() else { return None };
        let part = |text: &[u8]| Part::of(request.bytes(), text);
        Some(Self {
            call_id: part(request.call_id())?,
            called: part(request.uri_bytes()?)?,
            from: part(request.from().as_bytes())?,
            tag: part(request.from().tag()?)?,
            target: part(target.uri_bytes())?,
            cseq: request.cseq().number,
        })
    }

    /// The Call-ID in that INVITE.
    pub fn call_id<'a>(&self, invite: &'a [u8]) -> &'a [u8] {
        self.call_id.text(invite)
    }

    /// Its Request-URI.
    pub fn called<'a>(&self, invite: &'a [u8]) -> &'a [u8] {
        self.called.text(invite)
    }

    /// Its From, the tag in it, and the URI of its Contact.
    pub fn caller<'a>(&self, invite: &'a [u8]) -> [&'a [u8]; 3] {
        [self.from, self.tag, self.target].map(|part| part.text(invite))
    }
}

impl Part {
    fn of(whole: &[u8], part: &[u8]) -> Option<Self> {
        let from = offset(whole, part);
        Some(Self { from: u16::try_from(from).ok()?, to: u16::try_from(from + part.len()).ok()? })
    }

    fn text(self, whole: &[u8]) -> &[u8] {
        whole.get(usize::from(self.from)..usize::from(self.to)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginning(to: &str, more: &str) -> Option<(String, Beginning)> {
        let text = format!(
            "\r\nINVITE sip:b@c;x=y SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: \"A\" <sip:a@b>;tag=1\r\n\
             To: {to}\r\nCall-ID: x@y\r\nCSeq: 7 INVITE\r\n{more}Content-Length: 0\r\n\r\n"
        );
        let read = Message::parse(text.as_bytes()).expect("valid");
        let kept = std::str::from_utf8(read.bytes()).expect("ASCII").to_owned();
        Beginning::of(&read).map(|beginning| (kept, beginning))
    }

    #[test]
    fn says_what_the_invite_says() {
        let (text, read) =
            beginning("<sip:b@c>", "m: <sip:a@192.0.2.1>;q=1, <sip:z@z>\r\n").expect("begins a call");
        let text = text.as_bytes();
        assert_eq!((read.call_id(text), read.called(text), read.cseq), (&b"x@y"[..], &b"sip:b@c;x=y"[..], 7));
        assert_eq!(read.caller(text), [&b"\"A\" <sip:a@b>;tag=1"[..], b"1", b"sip:a@192.0.2.1"]);
        assert!(read.call_id(b"").is_empty(), "of a request that is not kept any more");
    }

    #[test]
    fn begins_no_call() {
        assert!(beginning("<sip:b@c>;tag=2", "Contact: <sip:a@192.0.2.1>\r\n").is_none(), "goes on with one");
        assert!(beginning("<sip:b@c>", "").is_none(), "nobody could be reached in it");
        assert!(beginning("<sip:b@c>", "Contact: *\r\n").is_none());
    }
}
