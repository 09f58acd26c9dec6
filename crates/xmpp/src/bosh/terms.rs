//! What a session and its client agree on with its first request (XEP-0124 §7).

use super::body::{Body, Wish};
use std::time::Duration;

/// What the house allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest that a request may wait for its answer.
    pub wait: Duration,
    /// How many requests of a session may wait at a time.
    pub hold: usize,
    /// How many a client may want to wait, to be allowed one more under way than that.
    pub wish: usize,
    /// How long a session may be without a request that waits.
    pub inactivity: Duration,
    /// The same where its client has asked for it.
    pub pause: Duration,
    /// How often a client may ask for nothing.
    pub polling: Duration,
    /// Octets of an answer, beyond which nothing more is put into it.
    pub answer: usize,
    /// How often one request may come.
    pub repeats: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(60),
            // A client whose connections all wait can say nothing.
            hold: 1,
            wish: 4,
            inactivity: Duration::from_secs(90),
            pause: Duration::from_secs(300),
            polling: Duration::from_secs(2),
            answer: 64 * 1024,
            repeats: 10,
        }
    }
}

/// The highest version of XEP-0124 that is spoken here.
const VERSION: (u32, u32) = (1, 11);
/// How long at least a request waits for the one before it.
const PATIENCE: Duration = Duration::from_secs(5);
/// What answers are, unless their client wants to see something else (XEP-0124 §7.1).
pub const CONTENT: &str = "text/xml; charset=utf-8";

/// What was agreed on.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) limits: Limits,
    pub(super) wait: Duration,
    pub(super) hold: usize,
    /// How many requests a client may have under way.
    pub(super) requests: usize,
    pub(super) inactivity: Duration,
    /// The version; none with clients of old.
    pub(super) version: Option<(u32, u32)>,
    /// Whether both say which requests and answers they have.
    pub(super) acknowledges: bool,
    /// The type of all answers.
    pub(super) content: Box<str>,
    /// What the stream's header says, once more for when it begins anew.
    pub(super) wish: Wish,
}

impl Terms {
    pub(super) fn new(limits: &Limits, body: &Body) -> Self {
        let wish = body.wish.clone();
        let wait = wish.wait.map_or(limits.wait, Duration::from_secs).min(limits.wait);
        let wanted = wish.hold.unwrap_or(1);
        let hold = wanted.min(limits.hold);
        // Who polls is longer away (XEP-0124 §12).
        let more = if wait.is_zero() || hold == 0 { limits.polling * 2 } else { Duration::ZERO };
        Self {
            limits: limits.clone(),
            wait,
            hold,
            requests: wanted.min(limits.wish) + 1,
            inactivity: limits.inactivity + more,
            version: wish.ver.map(|theirs| theirs.min(VERSION)),
            acknowledges: body.ack.is_some(),
            content: wish.content.clone().unwrap_or_else(|| CONTENT.into()),
            wish,
        }
    }

    /// How long a request may wait for the one before it.
    pub(super) fn patience(&self) -> Duration {
        self.wait.max(PATIENCE)
    }

    /// Whether nothing is held for the client.
    pub(super) const fn polls(&self) -> bool {
        self.hold == 0 || self.wait.is_zero()
    }
}
