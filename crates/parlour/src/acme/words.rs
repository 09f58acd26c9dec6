//! What authorities say (RFC 8555 §7.1, RFC 9773 §4.2), as JSON; what is not used here is not read.

use domains::certificate::Challenge as Kind;
use serde::{Deserialize, Deserializer};

/// Where an authority takes what.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Directory {
    pub(super) new_nonce: String,
    pub(super) new_account: String,
    pub(super) new_order: String,
    #[serde(default)]
    pub(super) renewal_info: Option<String>,
    #[serde(default)]
    pub(super) meta: Meta,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    #[serde(default)]
    pub(super) terms_of_service: Option<String>,
    #[serde(default)]
    pub(super) external_account_required: bool,
}

/// An order (RFC 8555 §7.1.3).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Order {
    pub(super) status: Status,
    #[serde(default)]
    pub(super) identifiers: Vec<Identifier>,
    pub(super) authorizations: Vec<String>,
    pub(super) finalize: String,
    #[serde(default)]
    pub(super) certificate: Option<String>,
    #[serde(default)]
    pub(super) error: Option<Problem>,
}

/// Where an order, an authorization or a challenge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Pending,
    Ready,
    Processing,
    Valid,
    /// Or deactivated, expired, revoked, or a word that is new to us.
    #[serde(other)]
    Invalid,
}

/// A name, as authorities have it: in ASCII.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Identifier {
    #[serde(default)]
    pub(super) value: String,
}

/// What it takes to prove a name (RFC 8555 §7.1.4).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Authorization {
    pub(super) identifier: Identifier,
    pub(super) status: Status,
    #[serde(default)]
    pub(super) challenges: Vec<Challenge>,
}

/// One way to prove it (RFC 8555 §7.1.5).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Challenge {
    #[serde(rename = "type", deserialize_with = "kind")]
    pub(super) kind: Option<Kind>,
    pub(super) url: String,
    #[serde(default)]
    pub(super) token: String,
    #[serde(default)]
    pub(super) error: Option<Problem>,
}

/// Those of other kinds are not ours to know.
fn kind<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Kind>, D::Error> {
    let name = String::deserialize(from)?;
    Ok(Kind::ALL.into_iter().find(|kind| kind.name() == name))
}

/// What is wrong (RFC 7807, RFC 8555 §6.7).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Problem {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) detail: String,
    #[serde(default)]
    pub(super) subproblems: Vec<Subproblem>,
}

/// What of it is about one name (RFC 8555 §6.7.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Subproblem {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) detail: String,
    #[serde(default)]
    pub(super) identifier: Identifier,
}

/// When the authority wants a certificate renewed (RFC 9773 §4.2).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RenewalInfo {
    pub(super) suggested_window: SuggestedWindow,
    #[serde(default, rename = "explanationURL")]
    pub(super) explanation: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct SuggestedWindow {
    pub(super) start: String,
    pub(super) end: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_does_no_harm() {
        let text = r#"{"status":"deactivated","identifier":{"type":"dns","value":"a.example"},"wildcard":false,"challenges":[
            {"type":"dns-persist-09","url":"https://ca/1","status":"pending"},
            {"type":"http-01","url":"https://ca/2","status":"invalid","token":"t","validated":"2026-01-01T00:00:00Z",
             "error":{"type":"urn:ietf:params:acme:error:dns","detail":"no address"}}]}"#;
        let read: Authorization = serde_json::from_str(text).unwrap();
        assert_eq!((read.status, read.identifier.value.as_str()), (Status::Invalid, "a.example"));
        assert_eq!((read.challenges[0].kind, read.challenges[1].kind), (None, Some(Kind::Http)));
        assert_eq!(read.challenges[1].error.as_ref().unwrap().detail, "no address");
        let order =
            r#"{"status":"processing","authorizations":["https://ca/a"],"finalize":"https://ca/f","new":1}"#;
        assert_eq!(serde_json::from_str::<Order>(order).unwrap().status, Status::Processing);
    }

    #[test]
    fn a_directory_and_a_window() {
        let text = r#"{"newNonce":"n","newAccount":"a","newOrder":"o","renewalInfo":"r","keyChange":"k",
            "meta":{"termsOfService":"https://ca/terms","externalAccountRequired":true}}"#;
        let read: Directory = serde_json::from_str(text).unwrap();
        assert_eq!(read.meta.terms_of_service.as_deref(), Some("https://ca/terms"));
        assert!(read.meta.external_account_required && read.renewal_info.is_some());
        let text = r#"{"suggestedWindow":{"start":"2026-01-02T04:00:00Z","end":"2026-01-03T04:00:00Z"},
            "explanationURL":"https://ca/why"}"#;
        let read: RenewalInfo = serde_json::from_str(text).unwrap();
        assert_eq!(
            (read.explanation.as_deref(), read.suggested_window.start.as_str()),
            (Some("https://ca/why"), "2026-01-02T04:00:00Z")
        );
    }
}
