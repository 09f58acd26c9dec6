//! What the commands on XMPP return.

use super::words::{table, time};
use crate::admin::answer::Answer;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use utoipa::ToSchema;

/// Who is connected: everybody, or a part of them.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct XmppSessions {
    /// In no order.
    pub sessions: Vec<XmppSession>,
    /// Whether there may be more than were asked for.
    pub more: bool,
}

/// A session of an account.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct XmppSession {
    /// Its full JID.
    pub jid: String,
    /// Its priority; absent until it is available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i8>,
    /// From where its client comes; absent while it waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What the client calls itself and its device, if it says so (XEP-0388).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// For how long it has been there, in seconds.
    pub age: u64,
    /// How many stanzas its client has not acknowledged; absent where it does not acknowledge (XEP-0198).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unacknowledged: Option<u64>,
}

impl Answer for XmppSessions {
    fn human(&self) -> String {
        let titles = ["SESSION", "PRIORITY", "FROM", "AGE", "UNACKNOWLEDGED", "CLIENT"].map(str::to_owned);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".into());
        let row = |session: &XmppSession| {
            [
                session.jid.clone(),
                or_dash(session.priority.map(|priority| priority.to_string())),
                session.source.clone().unwrap_or_else(|| "waits to be resumed".into()),
                time(session.age),
                or_dash(session.unacknowledged.map(|number| number.to_string())),
                or_dash(session.client.clone()),
            ]
        };
        let mut text = table(&titles, &self.sessions.iter().map(row).collect::<Vec<_>>());
        let more = if self.more { " (there may be more: --limit)" } else { "" };
        let _ = write!(text, "{} sessions{more}", self.sessions.len());
        text
    }
}

/// XMPP sessions were ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct XmppDisconnected {
    /// Their full JIDs.
    pub ended: Vec<String>,
    /// How many installations hold no token any more (XEP-0484).
    pub tokens: u64,
}

impl Answer for XmppDisconnected {
    fn human(&self) -> String {
        let names: String = self.ended.iter().map(|name| format!("{name}\n")).collect();
        format!("{names}{} sessions ended, {} tokens taken away", self.ended.len(), self.tokens)
    }
}
