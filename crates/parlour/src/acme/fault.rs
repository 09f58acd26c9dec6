//! Why nothing came of a request or an order, in words for an administrator, and what that means for the next one.

use super::words::Problem;
use domains::certificate::{Failure, Fault};
use std::fmt;
use std::time::Duration;

/// What every kind of problem begins with (RFC 8555 §6.7).
const KIND: &str = "urn:ietf:params:acme:error:";

/// The longest that is told of what somebody else says.
const LONGEST: usize = 500;

/// Why nothing came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// The authority was not reached, or is in trouble.
    Unreachable { text: String, retry_after: Option<Duration> },
    /// It refuses.
    Refused { status: u16, problem: Problem, retry_after: Option<Duration> },
    /// It did not find that these names are ours; why, for each.
    Unproven(Vec<(String, String)>),
    /// What it says makes no sense.
    Strange(String),
    /// Something that only an administrator changes.
    Account(String),
    /// Something here.
    Own(String),
}

impl Error {
    /// The kind of a refusal, without what all begin with.
    pub(super) fn kind(&self) -> &str {
        match self {
            Self::Refused { problem, .. } => problem.kind.strip_prefix(KIND).unwrap_or(&problem.kind),
            _ => "",
        }
    }

    /// What it means for the next order of these names.
    pub(super) fn failure(&self, ordered: &[String]) -> Failure {
        let (retry_after, names) = match self {
            Self::Unreachable { retry_after, .. } => (*retry_after, vec![]),
            Self::Refused { problem, retry_after, .. } => (*retry_after, blamed(problem, ordered)),
            Self::Unproven(names) => (None, names.iter().map(|(name, _)| name.clone()).collect()),
            Self::Strange(_) | Self::Account(_) | Self::Own(_) => (None, vec![]),
        };
        Failure { fault: self.fault(), names, retry_after }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Unreachable { .. } | Self::Strange(_) => Fault::Unreachable,
            Self::Unproven(_) => Fault::Names,
            Self::Account(_) => Fault::Account,
            Self::Own(_) => Fault::Ours,
            Self::Refused { status, .. } => match self.kind() {
                "badNonce" | "serverInternal" | "orderNotReady" => Fault::Unreachable,
                "rateLimited" => Fault::Rate,
                "caa"
                | "connection"
                | "dns"
                | "incorrectResponse"
                | "rejectedIdentifier"
                | "tls"
                | "unsupportedIdentifier"
                | "compound" => Fault::Names,
                "accountDoesNotExist" | "badCSR" | "alreadyReplaced" => Fault::Ours,
                _ if *status >= 500 => Fault::Unreachable,
                _ if *status == 429 => Fault::Rate,
                _ => Fault::Account,
            },
        }
    }
}

/// The names that a refusal is about; where it says nothing and there is only one, that one.
fn blamed(problem: &Problem, ordered: &[String]) -> Vec<String> {
    let named = |name: &&String| problem.subproblems.iter().any(|sub| sub.identifier.value == **name);
    let names: Vec<String> = ordered.iter().filter(named).cloned().collect();
    match ordered {
        [only] if names.is_empty() => vec![only.clone()],
        _ => names,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Unreachable { text, .. } | Self::Strange(text) | Self::Account(text) | Self::Own(text) => {
                text.clone()
            }
            Self::Refused { problem, .. } => in_words(problem),
            Self::Unproven(names) => {
                let each: Vec<_> = names.iter().map(|(name, why)| format!("{name}: {why}")).collect();
                each.join("; ")
            }
        };
        // It goes into the log and to terminals: one line, and not for ever.
        let tame = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        tame.take(LONGEST).try_for_each(|c| write!(f, "{c}"))
    }
}

/// A problem in words: what it is, and about which names.
pub(super) fn in_words(problem: &Problem) -> String {
    let kind = |kind: &str| kind.strip_prefix(KIND).unwrap_or(kind).to_owned();
    let about = problem.subproblems.iter().map(|sub| {
        let detail = if sub.detail.is_empty() { kind(&sub.kind) } else { sub.detail.clone() };
        format!("{}: {detail}", sub.identifier.value)
    });
    let whole = std::iter::once(match problem.detail.as_str() {
        "" => kind(&problem.kind),
        detail => format!("{detail} ({})", kind(&problem.kind)),
    });
    whole.chain(about).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::words::{Identifier, Subproblem};

    fn refused(status: u16, kind: &str, about: &[&str]) -> Error {
        let subproblems = about.iter().map(|name| Subproblem {
            kind: format!("{KIND}caa"),
            detail: "forbidden".into(),
            identifier: Identifier { value: (*name).to_owned() },
        });
        let kind = format!("{KIND}{kind}");
        let problem = Problem { kind, detail: "No".into(), subproblems: subproblems.collect() };
        Error::Refused { status, problem, retry_after: Some(Duration::from_secs(9)) }
    }

    #[test]
    fn what_a_refusal_means() {
        let ordered = ["a.example".to_owned(), "b.example".to_owned()];
        for (status, kind, about, fault, names) in [
            (429, "rateLimited", &[][..], Fault::Rate, &[][..]),
            (403, "caa", &["b.example"], Fault::Names, &["b.example"]),
            (400, "rejectedIdentifier", &["b.example", "x.example"], Fault::Names, &["b.example"]),
            (403, "userActionRequired", &[], Fault::Account, &[]),
            (403, "unauthorized", &[], Fault::Account, &[]),
            (500, "serverInternal", &[], Fault::Unreachable, &[]),
            (503, "somethingNew", &[], Fault::Unreachable, &[]),
            (400, "badNonce", &[], Fault::Unreachable, &[]),
            (400, "accountDoesNotExist", &[], Fault::Ours, &[]),
        ] {
            let failure = refused(status, kind, about).failure(&ordered);
            assert_eq!(
                (failure.fault, failure.names),
                (fault, names.iter().map(|n| (*n).to_owned()).collect()),
                "{kind}"
            );
            assert_eq!(failure.retry_after, Some(Duration::from_secs(9)));
        }
        assert_eq!(refused(400, "dns", &[]).failure(&ordered[..1]).names, ["a.example"], "whose else");
    }

    #[test]
    fn what_others_say_is_told_in_one_line() {
        let error = refused(403, "caa", &["a.example"]);
        assert_eq!(error.to_string(), "No (caa); a.example: forbidden");
        let long = Error::Strange(format!("\u{1b}[31m{}", "x".repeat(10_000)));
        assert!(long.to_string().len() <= LONGEST && !long.to_string().contains('\u{1b}'));
        let names = vec![("a".into(), "no address".into()), ("b".into(), "refused".into())];
        assert_eq!(Error::Unproven(names).to_string(), "a: no address; b: refused");
    }
}
