//! What the server itself answers, one file per XEP, found by the payload's name and namespace.
//!
//! A request that nobody here knows is refused with `service-unavailable` (RFC 6120 §8.4).

mod blocking;
pub(crate) mod carbons;
pub(crate) mod delay;
mod disco;
pub(crate) mod external;
mod last;
mod own;
mod ping;
mod private;
pub(crate) mod register;
mod time;
mod vcard;
mod version;

use crate::ns;
use crate::router::Neighbour;
use crate::stanza::Condition;
use crate::xml::Element;
use external::Externals;
use std::time::Duration;
use wire::Address;

/// In whose place the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Its own: the request was to the domain.
    Server,
    /// An account's.
    Account {
        /// Whether who asks may see the account's presence (or is the account).
        trusted: bool,
    },
}

/// What an answer may depend on.
#[derive(Clone, Debug)]
pub(crate) struct Context<'a> {
    /// In whose place the server answers.
    pub(crate) target: Target,
    /// The time, since 1970-01-01 00:00 UTC.
    pub(crate) now: Duration,
    /// For how long the server runs.
    pub(crate) uptime: Duration,
    /// Whether there are archives.
    pub(crate) archive: bool,
    /// The services that the domain lists which was asked.
    pub(crate) below: Vec<&'a Neighbour>,
    /// Who runs it.
    pub(crate) admins: &'a [Address],
    /// Services beside XMPP.
    pub(crate) externals: &'a Externals,
    /// Who asks, where it is an account of the house.
    pub(crate) user: Option<&'a Address>,
}

/// The payload of the answer (`None`: an empty one), or the condition of the error.
pub(crate) type Answer = Result<Option<Element>, Condition>;

/// Answers the payload of an IQ of type `get`.
pub(crate) fn get(context: &Context<'_>, payload: &Element) -> Answer {
    // A stranger must not learn whether an account exists: the answer is that of an account that does not.
    if context.target == (Target::Account { trusted: false }) {
        return Err(Condition::ServiceUnavailable);
    }
    match (payload.name(), payload.namespace()) {
        ("ping", ns::PING) => ping::answer(),
        ("query", ns::DISCO_INFO) => disco::info(context, payload),
        ("query", ns::DISCO_ITEMS) => disco::items(context, payload),
        ("query", ns::VERSION) => version::answer(context),
        ("time", ns::TIME) => time::answer(context),
        ("services", ns::EXTERNAL) if context.target == Target::Server => {
            external::services(context, payload)
        }
        ("credentials", ns::EXTERNAL) if context.target == Target::Server => {
            external::credentials(context, payload)
        }
        ("query", ns::LAST) if context.target == Target::Server => last::of_server(context),
        _ => Err(Condition::ServiceUnavailable),
    }
}

/// Answers the payload of an IQ of type `set`.
pub(crate) fn set(context: &Context<'_>, payload: &Element) -> Answer {
    match (payload.name(), payload.namespace(), context.target) {
        // RFC 3921 §3: clients of old ask for a session, which binding has opened already.
        ("session", ns::SESSION, Target::Server | Target::Account { trusted: true }) => Ok(None),
        _ => Err(Condition::ServiceUnavailable),
    }
}

#[cfg(test)]
impl<'a> Context<'a> {
    /// One for tests.
    fn of(target: Target, externals: &'a Externals) -> Self {
        let (now, uptime) = (Duration::from_secs(1_166_551_115), Duration::from_secs(123_456));
        Self { target, now, uptime, archive: false, below: vec![], admins: &[], externals, user: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected`: the payload of the answer, or the name of the condition.
    #[track_caller]
    fn check(target: Target, payload: &str, expected: &str) {
        let payload = Element::parse(payload, ns::CLIENT).unwrap();
        let (externals, admins) = (Externals::default(), ["roland@a.org".parse().unwrap()]);
        let context = Context { admins: &admins, ..Context::of(target, &externals) };
        let answer = match get(&context, &payload) {
            Ok(Some(payload)) => payload.to_xml(ns::CLIENT),
            Ok(None) => String::new(),
            Err(condition) => condition.name().to_owned(),
        };
        assert_eq!(answer, expected);
    }

    const OWN: Target = Target::Account { trusted: true };
    const OTHER: Target = Target::Account { trusted: false };

    #[test]
    fn ping() {
        check(Target::Server, "<ping xmlns='urn:xmpp:ping'/>", "");
        check(OWN, "<ping xmlns='urn:xmpp:ping'/>", "");
        check(OTHER, "<ping xmlns='urn:xmpp:ping'/>", "service-unavailable");
        check(Target::Server, "<ping xmlns='urn:xmpp:pong'/>", "service-unavailable");
        check(Target::Server, "<pong xmlns='urn:xmpp:ping'/>", "service-unavailable");
    }

    #[test]
    fn time() {
        let answer = "<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo><utc>2006-12-19T17:58:35Z</utc></time>";
        check(Target::Server, "<time xmlns='urn:xmpp:time'/>", answer);
        check(OWN, "<time xmlns='urn:xmpp:time'/>", "service-unavailable");
    }

    #[test]
    fn last_activity() {
        let query = "<query xmlns='jabber:iq:last'/>";
        check(Target::Server, query, "<query xmlns='jabber:iq:last' seconds='123456'/>");
        check(OTHER, query, "service-unavailable");
    }

    #[test]
    fn version() {
        let answer = format!(
            "<query xmlns='jabber:iq:version'><name>Parlour</name><version>{}</version></query>",
            env!("CARGO_PKG_VERSION")
        );
        check(Target::Server, "<query xmlns='jabber:iq:version'/>", &answer);
        check(OWN, "<query xmlns='jabber:iq:version'/>", "service-unavailable");
    }

    #[test]
    fn discovery() {
        check(
            Target::Server,
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
            "<query xmlns='http://jabber.org/protocol/disco#info'>\
             <identity category='server' type='im' name='Parlour'/>\
             <feature var='http://jabber.org/protocol/disco#info'/>\
             <feature var='http://jabber.org/protocol/disco#items'/><feature var='jabber:iq:last'/>\
             <feature var='jabber:iq:private'/><feature var='jabber:iq:version'/><feature var='jabber:iq:register'/><feature var='msgoffline'/>\
             <feature var='urn:xmpp:blocking'/><feature var='urn:xmpp:carbons:2'/><feature var='urn:xmpp:ping'/>\
             <feature var='urn:xmpp:time'/><feature var='vcard-temp'/>\
             <x xmlns='jabber:x:data' type='result'><field type='hidden' var='FORM_TYPE'>\
             <value>http://jabber.org/network/serverinfo</value></field>\
             <field type='list-multi' var='admin-addresses'><value>xmpp:roland@a.org</value></field></x></query>",
        );
        let published: String =
            crate::pubsub::FEATURES.iter().map(|var| format!("<feature var='{var}'/>")).collect();
        let own = "<query xmlns='http://jabber.org/protocol/disco#info'>\
             <identity category='account' type='registered'/><identity category='pubsub' type='pep'/>\
             <feature var='http://jabber.org/protocol/disco#info'/>\
             <feature var='http://jabber.org/protocol/disco#items'/><feature var='jabber:iq:last'/>\
             <feature var='jabber:iq:private'/><feature var='urn:xmpp:blocking'/><feature var='urn:xmpp:carbons:2'/>\
             <feature var='urn:xmpp:ping'/><feature var='vcard-temp'/>";
        let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
        check(OWN, info, &format!("{own}{published}</query>"));
        let node = "<query xmlns='http://jabber.org/protocol/disco#info' node='nothing'/>";
        check(Target::Server, node, "item-not-found");
        check(OTHER, node, "service-unavailable");
        let items = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
        check(Target::Server, items, items);
        check(OWN, items, items);
        check(OTHER, items, "service-unavailable");
    }

    #[test]
    fn old_session() {
        let payload = Element::new("session", ns::SESSION);
        let externals = Externals::default();
        let context = |target| Context::of(target, &externals);
        assert_eq!(set(&context(Target::Server), &payload), Ok(None));
        assert_eq!(set(&context(OWN), &payload), Ok(None));
        assert_eq!(set(&context(OTHER), &payload), Err(Condition::ServiceUnavailable));
        assert_eq!(set(&context(OWN), &Element::new("ping", ns::PING)), Err(Condition::ServiceUnavailable));
    }
}
