//! What peers wrote, for people to read: nothing that does something to a terminal, no passwords.

/// A text without control characters and changes of direction.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|c| if is_odd(c) { '\u{fffd}' } else { c }).collect()
}

fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The same of a text that may hold a URI: without its password and its header fields (RFC 3261 §19.1.1).
pub fn with_uri(bytes: &[u8]) -> String {
    let text = text(bytes);
    // Schemes are of either case (RFC 3986 §3.1); lower case of ASCII alone leaves each letter where it was.
    let small = text.to_ascii_lowercase();
    let Some(scheme) = small.find("sip:").map(|at| at + 4).or_else(|| small.find("sips:").map(|at| at + 5))
    else {
        return text;
    };
    let (head, rest) = text.split_at(scheme);
    let (uri, tail) = rest.split_at(rest.find([' ', '>']).unwrap_or(rest.len()));
    let uri = uri.split('?').next().unwrap_or_default();
    match uri.split_once('@') {
        Some((user, host)) => format!("{head}{}@{host}{tail}", user.split(':').next().unwrap_or_default()),
        None => format!("{head}{uri}{tail}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_left_alone_and_passwords_are_left_out() {
        assert_eq!(text(b"Busy\x1b[31m\r Here\xff"), "Busy\u{fffd}[31m\u{fffd} Here\u{fffd}");
        assert_eq!(text("a\u{61c}b\u{2028}c\u{202e}".as_bytes()), "a\u{fffd}b\u{fffd}c\u{fffd}");
        for (line, expected) in [
            ("INVITE sip:bob:secret@x;lr?Subject=y", "INVITE sip:bob@x;lr"),
            ("INVITE SIP:bob:secret@x", "INVITE SIP:bob@x"),
            ("INVITE Sips:bob:secret@x", "INVITE Sips:bob@x"),
            ("INVITE sips:bob@x:5061;transport=tls", "INVITE sips:bob@x:5061;transport=tls"),
            ("BYE sip:x:5060", "BYE sip:x:5060"),
            ("MESSAGE tel:+1", "MESSAGE tel:+1"),
        ] {
            assert_eq!(with_uri(line.as_bytes()), expected);
        }
    }
}
