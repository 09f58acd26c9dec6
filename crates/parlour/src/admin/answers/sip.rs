//! What the commands on SIP return.

use super::ladder::draw;
use super::words::{table, time};
use crate::admin::answer::Answer;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use utoipa::ToSchema;

/// Who is registered: everybody, or a part of them.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct SipBindings {
    /// In the order in which the server keeps them.
    pub bindings: Vec<SipBinding>,
    /// Where the list goes on (`--after`); absent where it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A phone, or one of its flows, that has registered.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SipBinding {
    /// The account.
    pub address: String,
    /// The contact, as the phone wrote it.
    pub contact: String,
    /// How the phone is reached; absent where it is reached at its contact alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// From where the phone registered, as the server sees it: where calls are sent. Absent with `transport`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The proxies on the way to it (RFC 3327).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Which phone it is (`+sip.instance`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Which of the phone's flows it is (`reg-id`, RFC 5626).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<String>,
    /// Its preference, up to 1.
    pub q: f64,
    /// How long it holds unless it is refreshed, in seconds.
    pub remaining: u64,
}

impl Answer for SipBindings {
    fn human(&self) -> String {
        let rows: Vec<_> = self.bindings.iter().map(row).collect();
        let mut text = table(&["ADDRESS", "CONTACT", "VIA", "FROM", "Q", "LEFT"].map(str::to_owned), &rows);
        let _ = write!(text, "{} bindings", self.bindings.len());
        if let Some(next) = &self.next {
            let _ = write!(text, "; the list goes on with --after {next}");
        }
        text
    }
}

fn row(binding: &SipBinding) -> [String; 6] {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".into());
    [
        binding.address.clone(),
        binding.contact.clone(),
        or_none(&binding.transport),
        or_none(&binding.source),
        binding.q.to_string(),
        time(binding.remaining),
    ]
}

/// Calls: those that ring, and those that stand.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct SipCalls {
    /// Those that stand first, in the order in which the server keeps them.
    pub calls: Vec<SipCall>,
    /// Where the list goes on (`--after`); absent where it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A call.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SipCall {
    /// Its Call-ID: what `sip hangup` and `sip why` take.
    pub call_id: String,
    /// `ringing` or `answered`.
    pub state: String,
    /// Who calls.
    pub from: String,
    /// Whom.
    pub to: String,
    /// Where the caller is, as the server sees it, with the transport.
    pub caller: String,
    /// Where it rings, or who has answered.
    pub called: Vec<String>,
    /// How long it has been ringing, or has stood since it was answered, in seconds.
    pub age: u64,
}

impl Answer for SipCalls {
    fn human(&self) -> String {
        let titles = ["CALL-ID", "STATE", "AGE", "FROM", "TO", "CALLER", "CALLED"].map(str::to_owned);
        let row = |call: &SipCall| {
            let SipCall { call_id, state, from, to, caller, called, age } = call;
            let fixed = [call_id, state, &time(*age), from, to, caller].map(String::clone);
            let [a, b, c, d, e, f] = fixed;
            [a, b, c, d, e, f, called.join(", ")]
        };
        let mut text = table(&titles, &self.calls.iter().map(row).collect::<Vec<_>>());
        let _ = write!(text, "{} calls", self.calls.len());
        if let Some(next) = &self.next {
            let _ = write!(text, "; the list goes on with --after {next}");
        }
        text
    }
}

/// How a call went, and why.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SipStory {
    /// The Call-ID.
    pub call_id: String,
    /// Who called; empty where the beginning of the call is not known any more.
    pub from: String,
    /// Who was called; empty likewise.
    pub to: String,
    /// When (RFC 3339).
    pub began: String,
    /// `trying`, `answered`, `ended`, `failed`, `given up` or `unknown`.
    pub outcome: String,
    /// Why, in words.
    pub reason: String,
    /// What whoever was tried did, in words.
    pub tried: Vec<String>,
    /// Everything, in order.
    pub steps: Vec<SipStep>,
}

/// How the latest calls went.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct SipRecent {
    /// The last one first.
    pub calls: Vec<SipPast>,
}

/// How one of them went, and why.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SipPast {
    /// Its Call-ID: `sip why` has its ladder.
    pub call_id: String,
    /// When it began (RFC 3339).
    pub began: String,
    /// Who called.
    pub from: String,
    /// Whom.
    pub to: String,
    /// As `sip why` says it.
    pub outcome: String,
    /// Why, in words.
    pub reason: String,
}

impl Answer for SipRecent {
    fn human(&self) -> String {
        let titles = ["BEGAN", "FROM", "TO", "OUTCOME", "CALL-ID", "WHY"].map(str::to_owned);
        let row = |call: &SipPast| {
            let SipPast { call_id, began, from, to, outcome, reason } = call;
            [began, from, to, outcome, call_id, reason].map(String::clone)
        };
        if self.calls.is_empty() {
            return "nothing is known of such a call".into();
        }
        table(&titles, &self.calls.iter().map(row).collect::<Vec<_>>()).trim_end().to_owned()
    }
}

/// A message of a call, or something that was found out about it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SipStep {
    /// How long after the beginning, in seconds.
    pub after: f64,
    /// `in`: a message came; `out`: one left; `here`: something was found out.
    pub way: String,
    /// The other end of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// How it travelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// The message's first line, or what was found out.
    pub text: String,
}

impl Answer for SipStory {
    fn human(&self) -> String {
        let Self { call_id, from, to, began, outcome, reason, tried, steps } = self;
        let unknown =
            |text: &str| if text.is_empty() { "not known any more".to_owned() } else { text.to_owned() };
        let mut text = format!("{call_id}\n  from     {}\n  to       {}", unknown(from), unknown(to));
        let _ = write!(text, "\n  began    {began}\n  outcome  {outcome}\n  why      {reason}");
        for leg in tried.iter().filter(|leg| *leg != reason) {
            let _ = write!(text, "\n  tried    {leg}");
        }
        let _ = write!(text, "\n\n{}", draw(steps).trim_end());
        text
    }
}
