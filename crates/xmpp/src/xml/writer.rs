//! Writes XML: escaping, and a writer that closes what it opened.
//!
//! Namespaces are the caller's: `xmlns` is an attribute like any other here (`Element` declares its own).

use super::Element;
use crate::jid::Jid;

/// Appends `value` escaped for an attribute in single or double quotes. White space other than the space is
/// written as references, as a reader would turn it into spaces (XML 1.0 §3.3.3).
pub fn escape_attribute(value: &str, out: &mut String) {
    escape(value, out, |byte| match byte {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'>' => "&gt;",
        b'\'' => "&apos;",
        b'"' => "&quot;",
        b'\t' => "&#9;",
        b'\n' => "&#10;",
        b'\r' => "&#13;",
        ..b' ' => NO_CHARACTER,
        _ => "",
    });
}

/// Appends `text` escaped for the content of an element.
pub fn escape_text(text: &str, out: &mut String) {
    escape(text, out, |byte| match byte {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'>' => "&gt;",
        b'\r' => "&#13;",
        b'\t' | b'\n' => "",
        ..b' ' => NO_CHARACTER,
        _ => "",
    });
}

/// What is written for a character that XML cannot carry.
const NO_CHARACTER: &str = "\u{FFFD}";

/// The bytes that are replaced somewhere, and the one with which both characters begin that XML does not have.
static ODD: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 256 {
        table[at] = matches!(at as u8, ..b' ' | b'&' | b'<' | b'>' | b'\'' | b'"' | 0xEF);
        at += 1;
    }
    table
};

/// Copies `text`, replacing each byte for which `reference` is not empty. Only ASCII bytes are replaced.
fn escape(text: &str, out: &mut String, reference: impl Fn(u8) -> &'static str) {
    const NEITHER: [char; 2] = ['\u{FFFE}', '\u{FFFF}'];
    // Most have none of them.
    if !text.bytes().any(|byte| ODD[usize::from(byte)]) {
        return out.push_str(text);
    }
    // Both begin with this octet; hardly any text has it.
    if memchr::memchr(0xEF, text.as_bytes()).is_some() && text.contains(NEITHER) {
        return escape(&text.replace(NEITHER, NO_CHARACTER), out, reference);
    }
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        let replacement = reference(byte);
        if !replacement.is_empty() {
            out.push_str(&text[copied..at]);
            out.push_str(replacement);
            copied = at + 1;
        }
    }
    out.push_str(&text[copied..]);
}

/// Builds a piece of XML, element by element. Names must be valid; values and text are escaped.
///
/// ```
/// let mut w = xmpp::xml::Writer::new();
/// w.open("proceed").attr("xmlns", xmpp::ns::TLS).close();
/// assert_eq!(w.finish(), "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
/// ```
#[derive(Debug, Default)]
pub struct Writer {
    out: String,
    /// Where the names of the open elements stand in `out`.
    open: Vec<std::ops::Range<usize>>,
    /// Whether the last opening tag still waits for its `>`.
    in_tag: bool,
}

impl Writer {
    /// Begins with nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on behind `out`, whose elements are all closed or are the caller's to close.
    pub fn after(out: String) -> Self {
        Self { out, open: Vec::new(), in_tag: false }
    }

    /// Opens an element.
    pub fn open(&mut self, name: &str) -> &mut Self {
        self.end_tag();
        self.out.push('<');
        let start = self.out.len();
        self.out.push_str(name);
        self.open.push(start..self.out.len());
        self.in_tag = true;
        self
    }

    /// Adds an attribute to the element that was opened last.
    pub fn attr(&mut self, name: &str, value: &str) -> &mut Self {
        debug_assert!(self.in_tag, "an attribute belongs into an opening tag");
        self.begin_attr(name);
        escape_attribute(value, &mut self.out);
        self.out.push('\'');
        self
    }

    /// Adds an attribute where there is a value.
    pub fn attr_opt(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.attr(name, value);
        }
        self
    }

    /// Adds an attribute whose value is a JID, where there is one.
    pub fn jid(&mut self, name: &str, jid: Option<&Jid>) -> &mut Self {
        if let Some(jid) = jid {
            self.begin_attr(name);
            jid.push_escaped(&mut self.out);
            self.out.push('\'');
        }
        self
    }

    fn begin_attr(&mut self, name: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("='");
    }

    /// Adds text to the element that is open.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.end_tag();
        escape_text(text, &mut self.out);
        self
    }

    /// Adds XML that is ready: well-formed, its namespaces right for where it stands.
    pub fn raw(&mut self, xml: &str) -> &mut Self {
        if !xml.is_empty() {
            self.end_tag();
            self.out.push_str(xml);
        }
        self
    }

    /// Adds an element whose surroundings have `namespace` as their default.
    pub fn element(&mut self, element: &Element, namespace: &str) -> &mut Self {
        self.end_tag();
        element.write(namespace, &mut self.out);
        self
    }

    /// Closes the element that was opened last.
    pub fn close(&mut self) -> &mut Self {
        let Some(name) = self.open.pop() else { return self };
        if std::mem::take(&mut self.in_tag) {
            self.out.push_str("/>");
        } else {
            self.out.push_str("</");
            self.out.extend_from_within(name);
            self.out.push('>');
        }
        self
    }

    /// How many bytes there are so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Closes whatever is open and hands the text over.
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }

    fn end_tag(&mut self) {
        if std::mem::take(&mut self.in_tag) {
            self.out.push('>');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_must_be_escaped() {
        let mut w = Writer::new();
        w.open("a").attr("b", "'\"<>&\n\t").text("<&>'\"\r\n").open("c").close().close();
        assert_eq!(w.finish(), "<a b='&apos;&quot;&lt;&gt;&amp;&#10;&#9;'>&lt;&amp;&gt;'\"&#13;\n<c/></a>");
    }

    /// Whatever text comes from elsewhere, what is written can be read.
    #[test]
    fn characters_that_xml_does_not_have_are_replaced() {
        let mut w = Writer::new();
        w.open("a").attr("b", "\0x\u{FFFF}").text("\u{1}\t\n\u{FFFE}\u{FEFF}\u{1f}");
        let written = w.finish();
        assert_eq!(written, "<a b='\u{FFFD}x\u{FFFD}'>\u{FFFD}\t\n\u{FFFD}\u{FEFF}\u{FFFD}</a>");
        assert!(Element::parse(&written, "").is_ok());
    }

    #[test]
    fn closes_what_is_open() {
        let mut w = Writer::after("<x/>".into());
        w.open("a").attr_opt("n", None).attr_opt("m", Some("1")).raw("").open("b").raw("<c/>");
        assert_eq!(w.finish(), "<x/><a m='1'><b><c/></b></a>");
    }
}
