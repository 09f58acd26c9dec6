//! What of HTTP concerns sessions by requests: which requests are any, and the header fields of answers.

use super::visits::Answer;
use crate::config::plan::Plan;
use crate::services;
use crate::switchboard::pages::{Page, Reply, Ticket};
use xmpp::bosh::{Body, Condition};
use xmpp::xml::Limits;

/// Where sessions are (XEP-0206).
pub(super) const PATH: &str = "/http-bind";

/// What scripts of other pages may send (Fetch, CORS protocol).
const ALLOWED: &[(&str, &str)] = &[
    ("access-control-allow-methods", "POST, OPTIONS"),
    ("access-control-allow-headers", "content-type"),
    ("access-control-max-age", "86400"),
];

/// Whether a request is one for a session, and what it says.
pub(super) fn judge(plan: &Plan, page: &Page, limits: Limits) -> Result<Body, Answer> {
    if !services::is_welcome(&plan.domains, &plan.xmpp.origins, page.origin.as_deref()) {
        return Err(Answer::plain(403, "403: scripts of that page may not connect here\n", &[]));
    }
    match page.method.as_str() {
        "POST" => {}
        "OPTIONS" => return Err(Answer::plain(204, "", ALLOWED)),
        _ => return Err(Answer::plain(405, "405: XMPP by POST (XEP-0206)\n", &[("allow", "POST, OPTIONS")])),
    }
    if !page.sealed && !page.local {
        return Err(Answer::over(Condition::PolicyViolation));
    }
    if page.content_type.as_deref().is_some_and(|kind| !is_utf8(kind)) {
        return Err(Answer::over(Condition::BadRequest));
    }
    Body::parse(&page.body, limits).map_err(Answer::over)
}

/// Whether a type names no other encoding than ours.
fn is_utf8(kind: &str) -> bool {
    let charset = kind.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    charset.is_none_or(|charset| {
        ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
    })
}

/// An answer as HTTP has it. What a client is told is never a page that a browser shows as one of ours.
pub(super) fn reply(ticket: Ticket, origin: Option<String>, answer: &Answer) -> Reply {
    let mut headers: Vec<(&'static str, String)> = vec![
        ("cache-control", "no-store".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("content-security-policy", "default-src 'none'; sandbox".to_owned()),
        ("vary", "origin".to_owned()),
    ];
    if answer.status != 204 {
        headers.push(("content-type", answer.content.to_string()));
    }
    let allowed = origin.filter(|_| answer.status != 403);
    headers.extend(allowed.map(|origin| ("access-control-allow-origin", origin)));
    headers.extend(answer.headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
    Reply { ticket, status: answer.status, headers, body: answer.text.as_bytes().to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_encodings_are_not_read() {
        for (kind, expected) in [
            ("text/xml; charset=utf-8", true),
            ("text/xml;Charset=\"UTF-8\"", true),
            ("text/plain", true),
            ("", true),
            ("text/xml; charset=iso-8859-1", false),
            ("text/xml; boundary=x; charset=utf-16", false),
        ] {
            assert_eq!(is_utf8(kind), expected, "{kind}");
        }
    }
}
