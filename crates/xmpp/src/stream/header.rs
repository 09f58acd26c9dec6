//! The header of a stream, theirs and ours (RFC 6120 §4.7).

use super::{Context, StreamCondition, StreamError};
use crate::jid::Jid;
use crate::ns;
use crate::xml::reader::Header;
use crate::xml::writer::escape_attribute;
use wire::Domain;

/// What a client's header says, once it is found right.
#[derive(Clone, Debug)]
pub(super) struct Greeting {
    /// The main name of the domain it wants.
    pub(super) domain: Domain,
    /// The name by which it called it: goes back as `from` (RFC 6120 §4.7.1).
    pub(super) called: Domain,
    /// Who it says it is: goes back as `to`.
    pub(super) from: Option<Jid>,
    /// Its language.
    pub(super) lang: Option<Box<str>>,
}

/// Checks a client's header.
pub(super) fn read(header: &Header<'_>, context: &Context<'_>) -> Result<Greeting, StreamError> {
    if header.namespace() != ns::STREAM {
        return Err(StreamCondition::InvalidNamespace.into());
    }
    if header.name() != "stream" {
        return Err(StreamCondition::BadFormat.into());
    }
    // Without a default, each stanza may still name its namespace itself (RFC 6120 §4.8.3).
    let content = header.content();
    if content != ns::CLIENT && !content.is_empty() {
        return Err(StreamCondition::InvalidNamespace.into());
    }
    let (domain, called) = match header.get("to").as_deref() {
        None | Some("") => {
            return Err(
                StreamError::from(StreamCondition::ImproperAddressing).saying("a stream needs a `to`")
            );
        }
        Some(name) => {
            let main = context.directory.domain(name).cloned().ok_or(StreamCondition::HostUnknown)?;
            (main, Domain::new(name).map_err(|_| StreamCondition::HostUnknown)?)
        }
    };
    if !header.get("version").is_some_and(|version| is_version(&version)) {
        return Err(StreamCondition::UnsupportedVersion.into());
    }
    Ok(Greeting {
        domain,
        called,
        from: header.get("from").and_then(|from| from.parse().ok()),
        lang: header.get("xml:lang").filter(|lang| is_language(lang)).map(Into::into),
    })
}

/// 1.0, or any later one that still is 1.something (RFC 6120 §4.7.5).
fn is_version(version: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    version
        .split_once('.')
        .is_some_and(|(major, minor)| number(major) && number(minor) && major.trim_start_matches('0') == "1")
}

/// What a language tag may look like (RFC 5646 §2.1), roughly.
fn is_language(tag: &str) -> bool {
    (1..=35).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Appends our header. `from` is left out where nobody knows yet which domain is meant.
pub(super) fn write(from: Option<&Domain>, to: Option<&Jid>, id: &str, out: &mut String) {
    out.push_str("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='");
    out.push_str(ns::STREAM);
    for (name, value) in [("' id='", Some(id)), ("' from='", from.map(Domain::as_str))] {
        if let Some(value) = value {
            out.push_str(name);
            escape_attribute(value, out);
        }
    }
    if let Some(to) = to {
        out.push_str("' to='");
        to.push_escaped(out);
    }
    out.push_str("' version='1.0' xml:lang='en'>");
}
