//! The `<body/>` of an answer (XEP-0124 §6, §7.2, XEP-0206 §4).

use super::Condition;
use super::terms::Terms;
use crate::ns;
use crate::xml::writer::escape_attribute;
use std::borrow::Cow;
use std::time::Duration;

/// What an answer says beside what it carries.
#[derive(Debug, Default)]
pub(super) struct Answer<'a> {
    /// With the first one: what was agreed on.
    pub(super) created: Option<Created<'a>>,
    /// Up to where requests have come.
    pub(super) ack: Option<u64>,
    /// Which answer the client may have missed, and how long ago it was given.
    pub(super) report: Option<(u64, Duration)>,
    /// Whether the session is over.
    pub(super) terminate: bool,
    /// Why.
    pub(super) condition: Option<Condition>,
    /// Whether the client is to send again what was not answered (XEP-0124 §17.3).
    pub(super) recover: bool,
}

/// What was agreed on.
#[derive(Debug)]
pub(super) struct Created<'a> {
    pub(super) sid: &'a str,
    pub(super) terms: &'a Terms,
    /// Whom the client has reached.
    pub(super) from: Option<&'a str>,
    /// The id of the stream.
    pub(super) id: &'a str,
}

impl Answer<'_> {
    /// The whole answer.
    pub(super) fn write(&self, payload: &[Cow<'_, str>]) -> String {
        let octets: usize = payload.iter().map(|text| text.len()).sum();
        let mut text = String::with_capacity(octets + 256);
        text.push_str("<body");
        push(&mut text, "xmlns", ns::HTTP_BIND);
        if payload.iter().any(|text| text.starts_with("<stream:")) {
            push(&mut text, "xmlns:stream", ns::STREAM);
        }
        if let Some(created) = &self.created {
            created.write(&mut text);
        }
        if let Some(ack) = self.ack {
            push(&mut text, "ack", &ack.to_string());
        }
        if let Some((rid, ago)) = self.report {
            push(&mut text, "report", &rid.to_string());
            push(&mut text, "time", &ago.as_millis().to_string());
        }
        if self.terminate || self.recover {
            push(&mut text, "type", if self.terminate { "terminate" } else { "error" });
        }
        if let Some(condition) = self.condition {
            push(&mut text, "condition", condition.name());
        }
        if payload.is_empty() {
            return text + "/>";
        }
        text.push('>');
        payload.iter().for_each(|piece| text.push_str(piece));
        text + "</body>"
    }
}

impl Created<'_> {
    fn write(&self, text: &mut String) {
        let Terms { limits, version, .. } = self.terms;
        push(text, "xmlns:xmpp", ns::XBOSH);
        push(text, "sid", self.sid);
        push(text, "wait", &self.terms.wait.as_secs().to_string());
        push(text, "requests", &self.terms.requests.to_string());
        push(text, "hold", &self.terms.hold.to_string());
        push(text, "inactivity", &self.terms.inactivity.as_secs().to_string());
        push(text, "polling", &limits.polling.as_secs().to_string());
        push(text, "maxpause", &limits.pause.as_secs().to_string());
        if let Some((major, minor)) = version {
            push(text, "ver", &format!("{major}.{minor}"));
        }
        if let Some(from) = self.from {
            push(text, "from", from);
        }
        push(text, "authid", self.id);
        push(text, "xmpp:version", "1.0");
        push(text, "xmpp:restartlogic", "true");
    }
}

fn push(text: &mut String, name: &str, value: &str) {
    text.push(' ');
    text.push_str(name);
    text.push_str("='");
    escape_attribute(value, text);
    text.push('\'');
}
