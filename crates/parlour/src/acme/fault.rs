//! Why nothing came of a request or an order, in words for an administrator, and what that means for the next one.

use domains::certificate::{Failure, Fault};
use instant_acme::{Problem, Subproblem};
use std::fmt;
use std::time::{Duration, Instant};

/// What every kind of problem begins with (RFC 8555 §6.7).
const KIND: &str = "urn:ietf:params:acme:error:";

/// The longest that is told of what somebody else says.
const LONGEST: usize = 500;

/// Why nothing came of it.
#[derive(Debug)]
pub(super) enum Error {
    /// The authority was not reached, or is in trouble.
    Unreachable { text: String, retry_after: Option<Duration> },
    /// It refuses.
    Refused { status: u16, problem: Box<Problem>, retry_after: Option<Duration> },
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
            Self::Refused { problem, .. } => kind(problem.r#type.as_ref()),
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

/// What the library has to say. What was refused comes from us (`super::http`), as it was; a problem that an order has comes from the
/// library, often without a status.
impl From<instant_acme::Error> for Error {
    fn from(error: instant_acme::Error) -> Self {
        match error {
            instant_acme::Error::Other(error) => match error.downcast::<Self>() {
                Ok(own) => *own,
                Err(other) => Self::Strange(format!("the authority's answer: {other}")),
            },
            instant_acme::Error::Api(problem) => {
                let status = problem.status.unwrap_or(500);
                Self::Refused { status, problem: Box::new(problem), retry_after: None }
            }
            instant_acme::Error::Timeout(next) => Self::Unreachable {
                text: "the authority does not come to an end".into(),
                retry_after: next.map(|at| at.saturating_duration_since(Instant::now())),
            },
            instant_acme::Error::KeyRejected | instant_acme::Error::Crypto => {
                Self::Own("the account's key is damaged".into())
            }
            instant_acme::Error::Json(error) => {
                Self::Strange(format!("what the authority says cannot be read: {error}"))
            }
            other => Self::Strange(format!("the authority: {other}")),
        }
    }
}

impl std::error::Error for Error {}

/// Whether a request was refused for its nonce alone.
pub(super) fn was_nonce(error: &instant_acme::Error) -> bool {
    matches!(error, instant_acme::Error::Api(problem) if is_nonce(problem))
}

/// Whether that is what a problem is about.
pub(super) fn is_nonce(problem: &Problem) -> bool {
    kind(problem.r#type.as_ref()) == "badNonce"
}

/// The kind of a problem, without what all begin with.
fn kind(kind: Option<&String>) -> &str {
    let kind = kind.map(String::as_str).unwrap_or_default();
    kind.strip_prefix(KIND).unwrap_or(kind)
}

/// The names that a refusal is about; where it says nothing and there is only one, that one.
fn blamed(problem: &Problem, ordered: &[String]) -> Vec<String> {
    let named = |name: &&String| problem.subproblems.iter().any(|sub| about(sub) == **name);
    let names: Vec<String> = ordered.iter().filter(named).cloned().collect();
    match ordered {
        [only] if names.is_empty() => vec![only.clone()],
        _ => names,
    }
}

/// The name that a part of a problem is about.
fn about(sub: &Subproblem) -> String {
    sub.identifier.as_ref().map(|name| name.authorized(false).to_string()).unwrap_or_default()
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
        f.write_str(&tame(&text))
    }
}

/// What somebody else says, for the log and for terminals: one line, and not for ever.
pub(super) fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

/// A problem in words: what it is, and about which names.
pub(super) fn in_words(problem: &Problem) -> String {
    let parts = problem.subproblems.iter().map(|sub| {
        let detail = sub.detail.as_deref().filter(|detail| !detail.is_empty());
        format!("{}: {}", about(sub), detail.unwrap_or(kind(sub.r#type.as_ref())))
    });
    let kind = kind(problem.r#type.as_ref());
    let whole = std::iter::once(match problem.detail.as_deref().unwrap_or_default() {
        "" => kind.to_owned(),
        detail => format!("{detail} ({kind})"),
    });
    whole.chain(parts).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use instant_acme::Identifier;

    fn refused(status: u16, kind: &str, about: &[&str]) -> Error {
        let subproblems = about.iter().map(|name| Subproblem {
            r#type: Some(format!("{KIND}caa")),
            detail: Some("forbidden".into()),
            identifier: Some(Identifier::Dns((*name).to_owned())),
        });
        let problem = Problem {
            r#type: Some(format!("{KIND}{kind}")),
            detail: Some("No".into()),
            status: None,
            subproblems: subproblems.collect(),
        };
        let problem = Box::new(problem);
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

    #[test]
    fn what_the_library_says_is_ours_again_or_its_own() {
        let own = Box::new(refused(429, "rateLimited", &[]));
        let own = Error::from(instant_acme::Error::Other(own));
        assert_eq!((own.kind(), own.failure(&[]).fault), ("rateLimited", Fault::Rate));
        let Error::Refused { problem, .. } = refused(400, "badNonce", &[]) else { unreachable!() };
        assert!(was_nonce(&instant_acme::Error::Api(*problem)));
        let strange = Error::from(instant_acme::Error::Str("no order URL found"));
        assert_eq!(strange.failure(&[]).fault, Fault::Unreachable);
        let late = Error::from(instant_acme::Error::Timeout(Some(Instant::now() + Duration::from_secs(90))));
        assert!(late.failure(&[]).retry_after.is_some_and(|wait| wait > Duration::from_secs(60)));
        assert_eq!(Error::from(instant_acme::Error::KeyRejected).failure(&[]).fault, Fault::Ours);
    }
}
