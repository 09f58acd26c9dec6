//! What the commands on bans return.

use crate::admin::answer::Answer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who is shut out for failed sign-ins.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Bans {
    /// Sources from which nothing is taken.
    pub sources: Vec<Banned>,
    /// Accounts that take nobody new.
    pub accounts: Vec<LockedOut>,
}

/// A banned source.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Banned {
    /// An IPv4 address, or a /64 of IPv6.
    pub source: String,
    /// Why.
    pub reason: String,
    /// For how many seconds more.
    pub remaining: u64,
}

/// An account that takes only those who have signed in to it lately.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LockedOut {
    /// The account.
    pub account: String,
    /// The sources that it still takes.
    pub known: Vec<String>,
    /// For how many seconds more.
    pub remaining: u64,
}

impl Answer for Bans {
    fn human(&self) -> String {
        let sources = self.sources.iter().map(|ban| row(&ban.source, ban.remaining, &ban.reason));
        let accounts = self.accounts.iter().map(|lock| {
            let known = if lock.known.is_empty() { "nobody".into() } else { lock.known.join(", ") };
            row(&lock.account, lock.remaining, &format!("locked but for {known}"))
        });
        let lines: Vec<String> = sources.chain(accounts).collect();
        if lines.is_empty() { "nobody is banned".into() } else { lines.join("\n") }
    }
}

fn row(who: &str, seconds: u64, reason: &str) -> String {
    format!("{who:24}  {}:{:02}:{:02} left  {reason}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
