//! Stanzas out of bytes: from a session, where `from` is checked and stamped, or from our own keeping.

use super::{Condition, StanzaError};
use super::{Kind, Parts, Payload, Stanza, open_tag};
use crate::jid::Jid;
use crate::ns;
use crate::xml::head::{Head, Part};
use crate::xml::scope::{NsRef, Scope};
use crate::xml::text::unescape_attribute;
use crate::xml::walk::Walk;
use crate::xml::writer::escape_attribute;
use crate::xml::{Fault, Fragment, Limits, Span};
use std::sync::Arc;

/// Why a stanza goes no further.
#[derive(Debug)]
pub enum Refused {
    /// Not a message, presence or IQ of `jabber:client`: the stream ends with `unsupported-stanza-type`.
    NoStanza,
    /// A prefix on the stanza's own name: the stream ends with `bad-namespace-prefix` (RFC 6120 §4.8.5).
    Prefix,
    /// `from` is somebody else: the stream ends with `invalid-from` (RFC 6120 §8.1.2.1).
    From,
    /// The sender is told; the stream goes on. The stanza has no `to`.
    Error(Box<Stanza>, StanzaError),
}

impl Stanza {
    /// Takes what the session of `sender` (a full JID) sent, and stamps it with its name. `lang` is the language
    /// of the stream: it is written on a stanza that names none (RFC 6120 §8.1.5).
    pub fn receive(fragment: &Fragment<'_>, sender: &Jid, lang: Option<&str>) -> Result<Self, Refused> {
        Self::receive_again(fragment, sender, lang, None)
    }

    /// The same of somebody who wrote to `lately` before: most write there again, and that name need not be read.
    pub(crate) fn receive_again(
        fragment: &Fragment<'_>,
        sender: &Jid,
        lang: Option<&str>,
        lately: Option<&Jid>,
    ) -> Result<Self, Refused> {
        let head = fragment.head();
        let kind = match Kind::from_name(fragment.name()) {
            Some(kind) if fragment.namespace() == ns::CLIENT => kind,
            _ => return Err(Refused::NoStanza),
        };
        if head.has_prefix {
            return Err(Refused::Prefix);
        }
        let value = |part: Part| unescape_attribute(part.value.str(fragment.raw()));
        if let Some(from) = head.from.map(value).filter(|from| !sender.is_text(from)) {
            match from.parse::<Jid>() {
                Ok(from) if from == *sender || (from.is_bare() && from.bare() == sender.bare()) => {}
                _ => return Err(Refused::From),
            }
        }
        let read = |to: Part| {
            let to = value(to);
            lately
                .filter(|lately| lately.is_text(&to))
                .map_or_else(|| to.parse::<Jid>(), |lately| Ok(lately.clone()))
        };
        let to = head.to.map(read).transpose();
        let malformed = to.is_err();
        let content = |namespace| fragment.uri(namespace) == ns::CLIENT;
        let stanza =
            Self::stamp(fragment.raw(), head, kind, sender.clone(), to.unwrap_or(None), lang, content);
        match stanza.check() {
            _ if malformed => Err(Refused::Error(Box::new(stanza), Condition::JidMalformed.into())),
            Ok(()) => Ok(stanza),
            Err(error) => Err(Refused::Error(Box::new(stanza), error)),
        }
    }

    /// Takes what a component said, who may speak for all of its domain, and for no other (XEP-0114 §3).
    pub fn of_component(text: &str, host: &str) -> Result<Self, Refused> {
        let (walk, head) = Self::walk(text).map_err(|_| Refused::NoStanza)?;
        let kind = Kind::from_name(head.name.str(text)).ok_or(Refused::NoStanza)?;
        let jid = |part: Part| unescape_attribute(part.value.str(text)).parse::<Jid>();
        let from = head.from.and_then(|from| jid(from).ok()).filter(|from| from.domain() == host);
        let from = from.ok_or(Refused::From)?;
        let (to, error) = match head.to.map(jid) {
            Some(Ok(to)) => (Some(to), None),
            Some(Err(_)) => (None, Some(Condition::JidMalformed)),
            None => (None, Some(Condition::BadRequest)),
        };
        let content = |namespace| walk.scope.uri(text, namespace) == ns::CLIENT;
        let stanza = Self::stamp(text, &head, kind, from, to, None, content);
        match error.map_or_else(|| stanza.check(), |condition| Err(condition.into())) {
            Ok(()) => Ok(stanza),
            Err(error) => Err(Refused::Error(Box::new(stanza), error)),
        }
    }

    /// Reads text that is one whole element.
    fn walk(text: &str) -> Result<(Walk, Head), Fault> {
        let mut walk = Walk::new(Scope::with_default(ns::CLIENT), Limits::OWN);
        let mut head = Head::default();
        crate::xml::text::check(text.as_bytes())?;
        if walk.go(text.as_bytes(), &mut head)? != Some(text.len()) || head.has_prefix {
            return Err(Fault::NotWellFormed);
        }
        Ok((walk, head))
    }

    /// Takes a stanza that we wrote ourselves earlier, with `from` and `to` as they stand in it.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let (walk, head) = Self::walk(text)?;
        let kind = Kind::from_name(head.name.str(text)).ok_or(Fault::Format)?;
        let jid = |part: Option<Part>| {
            part.map(|p| unescape_attribute(p.value.str(text)).parse::<Jid>())
                .transpose()
                .map_err(|_| Fault::Format)
        };
        let (from, to) = (jid(head.from)?, jid(head.to)?);
        let content = |namespace| walk.scope.uri(text, namespace) == ns::CLIENT;
        Ok(Self::stamped(text, &head, kind, from, to, None, content))
    }

    fn stamp(
        raw: &str,
        head: &Head,
        kind: Kind,
        from: Jid,
        to: Option<Jid>,
        lang: Option<&str>,
        content: impl Fn(NsRef) -> bool,
    ) -> Self {
        Self::stamped(raw, head, kind, Some(from), to, lang, content)
    }

    /// Writes the opening tag anew, `from` and `to` in front; all else is copied as it is.
    fn stamped(
        raw: &str,
        head: &Head,
        kind: Kind,
        from: Option<Jid>,
        to: Option<Jid>,
        lang: Option<&str>,
        content: impl Fn(NsRef) -> bool,
    ) -> Self {
        let mut text = String::with_capacity(raw.len() + 96);
        open_tag(kind, from.as_ref(), to.as_ref(), &mut text);
        let tail = text.len();
        let lang = match (lang, head.lang) {
            (Some(lang), None) => {
                text.push_str(" xml:lang='");
                let start = text.len();
                escape_attribute(lang, &mut text);
                text.push('\'');
                Some(Span::new(start, text.len() - 1))
            }
            _ => None,
        };
        let moves = Moves::copy(raw, head, &mut text);
        let (name, namespace) = match head.child {
            Some(child) => (Some(moves.content(child.name)), child.namespace),
            None => (None, NsRef::Absent),
        };
        let payload = match (name, namespace) {
            (None, _) => Payload::None,
            (Some(name), namespace) if content(namespace) => Payload::Content(name),
            (Some(name), NsRef::Here(span)) => Payload::Of(name, moves.anywhere(span)),
            (Some(name), _) => Payload::Of(name, Span::default()),
        };
        let place = |part: Option<Part>| part.map(|part| moves.anywhere(part.value));
        Self(Arc::new(Parts {
            kind,
            from,
            to,
            tail: Span::new(0, tail).end,
            inner: moves.content(Span { start: head.tag_end, end: head.tag_end }).start,
            id: place(head.id).unwrap_or_default(),
            type_: place(head.kind).unwrap_or_default(),
            lang: place(head.lang).or(lang).unwrap_or_default(),
            payload,
            children: head.children,
            marks: head.marks,
            text,
        }))
    }

    /// What RFC 6120 §8.1.3, §8.2.3 demand of every IQ, and RFC 6121 §4.7.1 of presence.
    fn check(&self) -> Result<(), StanzaError> {
        let right = match self.0.kind {
            Kind::Message => true,
            Kind::Presence => self.presence_type().is_some(),
            Kind::Iq => match self.iq_type() {
                None => false,
                Some(_) if self.0.id.somewhere().is_none() => false,
                Some(type_) => !type_.is_request() || self.0.children == 1,
            },
        };
        if right { Ok(()) } else { Err(Condition::BadRequest.into()) }
    }
}

/// Where the pieces of the old text stand in the new one.
struct Moves {
    /// Old place and length of what was left out, in order.
    cuts: [Option<Span>; 2],
    /// How far the text in front of the first cut has moved.
    shift: i64,
}

impl Moves {
    /// Copies all of `raw` behind its name, but not `from` and `to`.
    fn copy(raw: &str, head: &Head, out: &mut String) -> Self {
        let mut cuts = [head.from.map(|p| p.whole), head.to.map(|p| p.whole)];
        cuts.sort_by_key(|cut| cut.map_or(u32::MAX, |cut| cut.start));
        let shift = out.len() as i64 - i64::from(head.name_end);
        let mut at = head.name_end as usize;
        for cut in cuts.iter().flatten() {
            out.push_str(&raw[at..cut.start as usize]);
            at = cut.end as usize;
        }
        out.push_str(&raw[at..]);
        Self { cuts, shift }
    }

    fn by(&self, cuts: impl Iterator<Item = Span>) -> i64 {
        self.shift - cuts.map(|cut| i64::from(cut.end - cut.start)).sum::<i64>()
    }

    /// A place inside the opening tag, or behind it.
    fn anywhere(&self, span: Span) -> Span {
        let before = self.cuts.iter().flatten().filter(|cut| cut.start < span.start).copied();
        moved(span, self.by(before))
    }

    /// A place behind the opening tag.
    fn content(&self, span: Span) -> Span {
        moved(span, self.by(self.cuts.iter().flatten().copied()))
    }
}

fn moved(span: Span, by: i64) -> Span {
    let place = |at: u32| u32::try_from(i64::from(at) + by).expect("it stands in the new text");
    Span { start: place(span.start), end: place(span.end) }
}
