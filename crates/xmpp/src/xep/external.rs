//! Services beside XMPP (XEP-0215): where a client finds STUN and TURN, with credentials of its own for a while. Nothing
//! is pushed: a client asks before each call.

use super::{Answer, Context, delay};
use crate::ns;
use crate::stanza::Condition;
use crate::xml::Element;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use wire::{Address, Secret};

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// What it is: `stun`, `turn` or `turns`.
    pub kind: &'static str,
    /// Its name, or its address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `udp` or `tcp`.
    pub transport: &'static str,
    /// Whether nobody is let in without a credential.
    pub restricted: bool,
}

/// A credential for one account.
#[derive(Debug)]
pub struct Credential {
    /// The name to sign in with.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// Until when it is good, since 1970-01-01 00:00 UTC.
    pub expires: Duration,
}

/// Makes credentials.
pub trait Issuer: Debug + Send + Sync {
    /// One for an account, at a time since 1970-01-01 00:00 UTC.
    fn issue(&self, account: &Address, now: Duration) -> Credential;
}

/// All that there is, and who makes credentials for it; without one, nothing is told that would need one.
#[derive(Clone, Debug, Default)]
pub struct Externals {
    /// The services.
    pub services: Vec<External>,
    /// Makes credentials.
    pub issuer: Option<Arc<dyn Issuer>>,
}

/// Those of a kind (§3.1, §3.2), or all.
pub(super) fn services(context: &Context<'_>, query: &Element) -> Answer {
    let kind = query.get("type");
    let wanted = |service: &&External| kind.is_none_or(|kind| kind == service.kind);
    let answer = Element::new("services", ns::EXTERNAL).attr_opt("type", kind);
    answer_with(context, answer, wanted)
}

/// Credentials of one service (§3.3).
pub(super) fn credentials(context: &Context<'_>, query: &Element) -> Answer {
    let mut asked = query.children();
    let asked = match (asked.next(), asked.next()) {
        (Some(service), None) if service.is("service", ns::EXTERNAL) => service,
        _ => return Err(Condition::BadRequest),
    };
    let (Some(kind), Some(host)) = (asked.get("type"), asked.get("host")) else {
        return Err(Condition::BadRequest);
    };
    let port = asked.get("port").map(|port| port.parse::<u16>().map_err(|_| Condition::BadRequest));
    let (port, transport) = (port.transpose()?, asked.get("transport"));
    let wanted = |service: &&External| {
        let place = service.kind == kind && service.host == host;
        place
            && port.is_none_or(|port| port == service.port)
            && transport.is_none_or(|transport| transport == service.transport)
    };
    let answer = answer_with(context, Element::new("credentials", ns::EXTERNAL), wanted)?;
    match answer.filter(|answer| answer.children().next().is_some()) {
        Some(answer) => Ok(Some(answer)),
        None => Err(Condition::ItemNotFound),
    }
}

/// The services that are wanted, with one credential for all of them.
fn answer_with(context: &Context<'_>, answer: Element, wanted: impl Fn(&&External) -> bool) -> Answer {
    let all = context.externals;
    // Nothing is given to who is not of the house.
    let (Some(user), false) = (context.user, all.services.is_empty()) else {
        return Err(Condition::ServiceUnavailable);
    };
    let issued = all.issuer.as_ref().map(|issuer| issuer.issue(user, context.now));
    let service = |service: &External| {
        let element = Element::new("service", ns::EXTERNAL).attr("type", service.kind);
        let element = element.attr("host", service.host.clone()).attr("port", service.port.to_string());
        let element = element.attr("transport", service.transport);
        match issued.as_ref().filter(|_| service.restricted) {
            Some(Credential { username, password, expires }) => {
                let password = String::from_utf8_lossy(password.expose()).into_owned();
                let element = element.attr("restricted", "true").attr("username", username.clone());
                element.attr("password", password).attr("expires", delay::date(*expires))
            }
            None => element,
        }
    };
    let told = all.services.iter().filter(|service| issued.is_some() || !service.restricted).filter(wanted);
    Ok(Some(answer.children_from(told.map(service))))
}

#[cfg(test)]
mod tests {
    use super::super::{Target, get};
    use super::*;

    #[derive(Debug)]
    struct Office;

    impl Issuer for Office {
        fn issue(&self, account: &Address, now: Duration) -> Credential {
            let expires = now + Duration::from_secs(3600);
            let username = format!("{}:{account}", expires.as_secs());
            Credential { username, password: Secret::new("s<cret"), expires }
        }
    }

    fn house(issuer: Option<Arc<dyn Issuer>>) -> Externals {
        let service = |kind, port, transport, restricted| External {
            kind,
            host: "turn.a.org".into(),
            port,
            transport,
            restricted,
        };
        let services = vec![
            service("stun", 3478, "udp", false),
            service("turn", 3478, "udp", true),
            service("turn", 3478, "tcp", true),
            service("turns", 5349, "tcp", true),
        ];
        Externals { services, issuer }
    }

    #[track_caller]
    fn check(house: &Externals, user: Option<&str>, payload: &str, expected: &str) {
        let payload = Element::parse(payload, ns::CLIENT).unwrap();
        let user = user.map(|user| user.parse::<Address>().unwrap());
        let context = Context {
            user: user.as_ref(),
            now: Duration::from_secs(1_031_695_705),
            ..Context::of(Target::Server, house)
        };
        let answer = match get(&context, &payload) {
            Ok(answer) => answer.map(|payload| payload.to_xml(ns::CLIENT)).unwrap_or_default(),
            Err(condition) => condition.name().to_owned(),
        };
        assert_eq!(answer, expected);
    }

    const WITH: &str = "restricted='true' username='1031699305:romeo@a.org' password='s&lt;cret' expires='2002-09-10T23:08:25Z'";

    #[test]
    fn a_member_learns_what_there_is_with_credentials() {
        let house = house(Some(Arc::new(Office)));
        let stun = "<service type='stun' host='turn.a.org' port='3478' transport='udp'/>";
        let turn = |kind: &str, port: u16, transport: &str| {
            format!("<service type='{kind}' host='turn.a.org' port='{port}' transport='{transport}' {WITH}/>")
        };
        let (udp, tcp, tls) =
            (turn("turn", 3478, "udp"), turn("turn", 3478, "tcp"), turn("turns", 5349, "tcp"));
        let services = |inner: &str| format!("<services xmlns='urn:xmpp:extdisco:2'>{inner}</services>");
        let of = |kind: &str, inner: &str| {
            format!("<services xmlns='urn:xmpp:extdisco:2' type='{kind}'>{inner}</services>")
        };
        let user = Some("romeo@a.org");
        check(&house, user, &services(""), &services(&[stun, &udp, &tcp, &tls].concat()));
        check(&house, user, &of("turn", ""), &of("turn", &[&*udp, &tcp].concat()));
        check(&house, user, &of("stun", ""), &of("stun", stun));
        check(&house, user, &of("ftp", ""), "<services xmlns='urn:xmpp:extdisco:2' type='ftp'/>");
        let asked = |attributes: &str| {
            format!("<credentials xmlns='urn:xmpp:extdisco:2'><service {attributes}/></credentials>")
        };
        let told = |inner: &str| format!("<credentials xmlns='urn:xmpp:extdisco:2'>{inner}</credentials>");
        check(&house, user, &asked("type='turns' host='turn.a.org'"), &told(&tls));
        let one = asked("type='turn' host='turn.a.org' port='3478' transport='tcp'");
        check(&house, user, &one, &told(&tcp));
        check(&house, user, &asked("type='turn' host='turn.a.org'"), &told(&[&*udp, &tcp].concat()));
        check(&house, user, &asked("type='turn' host='b.org'"), "item-not-found");
        check(&house, user, &asked("type='turn' host='turn.a.org' port='x'"), "bad-request");
        check(&house, user, &asked("type='turn'"), "bad-request");
        check(&house, user, &told(""), "bad-request");
    }

    #[test]
    fn strangers_learn_nothing_and_without_an_issuer_nothing_is_told_that_needs_one() {
        let query = "<services xmlns='urn:xmpp:extdisco:2'/>";
        check(&house(Some(Arc::new(Office))), None, query, "service-unavailable");
        check(&Externals::default(), Some("romeo@a.org"), query, "service-unavailable");
        check(
            &house(None),
            Some("romeo@a.org"),
            query,
            "<services xmlns='urn:xmpp:extdisco:2'><service type='stun' host='turn.a.org' port='3478' transport='udp'/></services>",
        );
    }
}
