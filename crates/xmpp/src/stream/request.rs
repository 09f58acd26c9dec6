//! What a client asks for together with its sign-in (XEP-0388): who it is, an earlier stream (XEP-0198 §9), a resource
//! with all that belongs to a session (XEP-0386).

use super::management::{self, Wish};
use crate::ns;
use crate::sasl::token::{Hashed, LONGEST_CLIENT};
use crate::xml::Element;

/// The longest id, name of software or of a device that is remembered.
const LONGEST: usize = 128;

/// What a client says of itself (XEP-0388 §4.2): for its user alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agent {
    /// The same whenever this installation signs in.
    pub id: Option<Box<str>>,
    /// The client.
    pub software: Option<Box<str>>,
    /// On what it runs.
    pub device: Option<Box<str>>,
}

/// What comes with a sign-in.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) agent: Agent,
    pub(super) resume: Option<Wish>,
    pub(super) bind: Option<Bind>,
    /// A token for the next time, to be shown by this mechanism.
    pub(super) token: Option<Hashed>,
    /// It signs in by a token.
    pub(super) fast: bool,
    /// The token that it signs in by is not to be good any more.
    pub(super) invalidate: bool,
}

/// A session to be begun at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Bind {
    /// The client's own beginning of the resource.
    pub(super) tag: Option<Box<str>>,
    /// `<enable/>` of stream management.
    pub(super) management: Option<Element>,
    pub(super) carbons: bool,
    pub(super) inactive: bool,
}

impl Request {
    /// By which name the client's installation holds tokens.
    pub(super) fn installation(&self) -> Option<&str> {
        self.agent.id.as_deref().filter(|id| id.len() <= LONGEST_CLIENT && !id.contains(char::is_control))
    }

    /// Reads `<authenticate/>`. What nobody here knows is passed over.
    pub(super) fn read(authenticate: &Element) -> Self {
        let agent = authenticate.find("user-agent", ns::SASL2);
        let fast = authenticate.find("fast", ns::FAST);
        let resume = authenticate.find("resume", ns::STREAM_MANAGEMENT);
        Self {
            agent: agent.map(Agent::read).unwrap_or_default(),
            resume: resume.and_then(management::wish),
            bind: authenticate.find("bind", ns::BIND2).map(Bind::read),
            token: authenticate
                .find("request-token", ns::FAST)
                .and_then(|request| Hashed::from_name(request.get("mechanism")?)),
            fast: fast.is_some(),
            invalidate: fast
                .and_then(|fast| fast.get("invalidate"))
                .is_some_and(|i| matches!(i, "1" | "true")),
        }
    }
}

impl Agent {
    fn read(agent: &Element) -> Self {
        let child = |name| agent.find(name, ns::SASL2).and_then(|child| short(&child.content()));
        Self { id: agent.get("id").and_then(short), software: child("software"), device: child("device") }
    }
}

fn short(text: &str) -> Option<Box<str>> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.chars().take(LONGEST).collect::<String>().into())
}

impl Agent {
    /// What the client calls itself, for people.
    pub fn name(&self) -> String {
        let both = [&self.software, &self.device].into_iter().flatten().map(|name| &**name);
        both.collect::<Vec<_>>().join(" on ")
    }
}

impl Bind {
    fn read(bind: &Element) -> Self {
        let tag = bind.find("tag", ns::BIND2).and_then(|tag| short(&tag.content()));
        Self {
            tag,
            management: bind.find("enable", ns::STREAM_MANAGEMENT).cloned(),
            carbons: bind.find("enable", ns::CARBONS).is_some(),
            inactive: bind.find("inactive", ns::CLIENT_STATE).is_some(),
        }
    }
}
