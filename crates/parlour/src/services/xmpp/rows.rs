//! The router's questions in the store's words, and the store's answers in the router's.

mod nodes;
mod rooms;

use std::sync::Arc;
use std::time::Duration;
use store::{ArchivedMessage, Document, OfflineMessage, RosterItem, Subscription};
use xmpp::Bare;
use xmpp::presence::subscription::{Side, State};
use xmpp::roster::Item;
use xmpp::router::{Answer, DocumentKind, Entry, Fault, Query, Span};

/// A question, asked at `now` (since 1970).
pub(super) fn query(query: Query, now: Duration) -> store::Query {
    match query {
        Query::LoadRoster(account) => store::Query::LoadRoster(account),
        Query::PutContact { account, contact, item } => {
            store::Query::PutRosterItem { account, item: row(&contact, item) }
        }
        Query::RemoveContact { account, contact } => {
            store::Query::RemoveRosterItem { account, contact: contact.as_str().to_owned() }
        }
        Query::Keep { account, message, limit } => store::Query::AddOffline {
            account,
            stored: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            payload: message.as_bytes().to_vec(),
            limit,
        },
        Query::ListKept { account, after, limit, octets } => {
            store::Query::ListOffline { account, limit, octets, after }
        }
        Query::Forget { account, up_to } => store::Query::RemoveOffline { account, up_to },
        Query::PutDocument { account, kind, title, payload, limit } => {
            let payload = payload.map(|payload| payload.as_bytes().to_vec());
            let document = Document { kind: number(kind), title: title.to_string(), payload };
            store::Query::PutDocument { account, document, limit }
        }
        Query::Archive { account, entry } => store::Query::AddArchived { account, message: message(entry) },
        Query::ListArchive { account, span, last, limit, octets } => {
            store::Query::ListArchived { account, span: part(span), last, limit, octets }
        }
        Query::ArchiveExcess { account, messages, octets } => {
            store::Query::ArchiveExcess { account, messages, octets }
        }
        Query::TrimArchive { account, up_to } => store::Query::TrimArchive { account, up_to },
        Query::CountArchive { account, span } => store::Query::CountArchived { account, span: part(span) },
        Query::ChangeNodes { account, changes } => {
            store::Query::ChangeNodes { account, changes: changes.into_iter().map(nodes::change).collect() }
        }
        Query::ReadNodes { account, look_up } => {
            store::Query::ReadNodes { account, look_up: nodes::look_up(look_up) }
        }
        room @ (Query::LoadRooms
        | Query::PutRoom { .. }
        | Query::RemoveRoom(_)
        | Query::ArchiveRoom { .. }
        | Query::AmendRoomArchive { .. }
        | Query::ListRoomArchive { .. }
        | Query::RoomExcess { .. }
        | Query::TrimRoom { .. }
        | Query::CountRoomArchive { .. }) => rooms::query(room),
        Query::LoadDocument { account, kind, title } => {
            store::Query::LoadDocument { account, kind: number(kind), title: title.to_string() }
        }
    }
}

/// An answer. Rows that nobody can read any more are left out.
pub(super) fn answer(outcome: store::Outcome) -> Result<Answer, Fault> {
    match outcome {
        Ok(store::Answer::Roster { items, settings, nodes }) => {
            let settings = settings.and_then(|settings| String::from_utf8(settings).ok()).map(Arc::from);
            let items = items.into_iter().filter_map(item).collect();
            Ok(Answer::Roster { items, settings, nodes: nodes.into_iter().filter_map(nodes::row).collect() })
        }
        Ok(store::Answer::Offline(rows)) => Ok(Answer::Kept(rows.into_iter().map(kept).collect())),
        Ok(store::Answer::Document(payload)) => {
            let text = payload.and_then(|payload| String::from_utf8(payload).ok());
            Ok(Answer::Document(text.map(Arc::from)))
        }
        Ok(store::Answer::Archived(rows)) => Ok(Answer::Archived(rows.into_iter().map(archived).collect())),
        Ok(store::Answer::Items(found)) => Ok(Answer::Items(found.map(nodes::items))),
        Ok(store::Answer::LastItems(found)) => {
            let last = |(number, item)| Some((number, nodes::item(item)?));
            Ok(Answer::LastItems(found.into_iter().filter_map(last).collect()))
        }
        Ok(store::Answer::Rooms(rows)) => {
            Ok(Answer::Rooms(rows.into_iter().filter_map(rooms::row).collect()))
        }
        Ok(store::Answer::Excess(excess)) => Ok(Answer::Excess(excess)),
        Ok(store::Answer::Count(count)) => Ok(Answer::Count(count)),
        Ok(_) => Ok(Answer::Done),
        Err(store::Fault::Full) => Err(Fault::Full),
        Err(store::Fault::NoAccount) => Err(Fault::NoAccount),
        Err(fault) => {
            tracing::warn!(%fault, "the store did not do what XMPP asked for");
            Err(Fault::Unavailable)
        }
    }
}

/// How the database names a kind of document.
const fn number(kind: DocumentKind) -> i64 {
    match kind {
        DocumentKind::Settings => store::SETTINGS,
        DocumentKind::Private => 2,
        DocumentKind::Card => 3,
        DocumentKind::Last => 18,
    }
}

fn row(contact: &Bare, item: Item) -> RosterItem {
    RosterItem {
        contact: contact.as_str().to_owned(),
        name: item.name.map(String::from),
        subscription: match (item.state.to, item.state.from) {
            (Side::Yes, Side::Yes) => Subscription::Both,
            (Side::Yes, _) => Subscription::To,
            (_, Side::Yes) => Subscription::From,
            _ => Subscription::None,
        },
        ask: item.state.to == Side::Pending,
        approved: item.state.approved,
        pending: (item.state.from == Side::Pending)
            .then(|| item.request.map(|request| request.as_bytes().to_vec()).unwrap_or_default()),
        listed: item.listed,
        groups: item.groups.iter().map(|group| group.to_string()).collect(),
    }
}

fn item(row: RosterItem) -> Option<(Bare, Item)> {
    let side = |granted, pending| match (granted, pending) {
        (true, _) => Side::Yes,
        (false, true) => Side::Pending,
        (false, false) => Side::No,
    };
    let state = State {
        to: side(matches!(row.subscription, Subscription::To | Subscription::Both), row.ask),
        from: side(
            matches!(row.subscription, Subscription::From | Subscription::Both),
            row.pending.is_some(),
        ),
        approved: row.approved,
    };
    let request = row.pending.and_then(|request| String::from_utf8(request).ok());
    let item = Item {
        state,
        name: row.name.map(Into::into),
        groups: row.groups.into_iter().map(Into::into).collect(),
        listed: row.listed,
        request: request.filter(|request| !request.is_empty()).map(Arc::from),
    };
    Some((row.contact.parse().ok()?, item))
}

fn message(entry: Entry) -> ArchivedMessage {
    let Entry { id, peer, resource, message } = entry;
    ArchivedMessage { id, peer, resource, payload: message.as_bytes().to_vec() }
}

fn part(span: Span) -> store::Span {
    let Span { peer, resource, after, before, only } = span;
    store::Span { peer, resource, after, before, only }
}

fn archived(row: ArchivedMessage) -> (i64, Arc<str>) {
    (row.id, String::from_utf8(row.payload).unwrap_or_default().into())
}

fn kept(row: OfflineMessage) -> (i64, Arc<str>) {
    // What is no text is no stanza either: the router passes over it.
    (row.id, String::from_utf8(row.payload).unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_gives_the_item_back() {
        let contact: Bare = "juliet@falcot.com".parse().unwrap();
        for to in [Side::No, Side::Pending, Side::Yes] {
            for from in [Side::No, Side::Pending, Side::Yes] {
                let given = Item {
                    state: State { to, from, approved: from == Side::No },
                    name: Some("Juliet".into()),
                    groups: ["Friends".into(), "Vérone".into()].into(),
                    listed: true,
                    request: (from == Side::Pending).then(|| "<presence type='subscribe'/>".into()),
                };
                assert_eq!(item(row(&contact, given.clone())), Some((contact.clone(), given)));
            }
        }
    }

    #[test]
    fn a_row_without_a_jid_is_left_out() {
        let bad = RosterItem { contact: "a b@c".into(), ..RosterItem::default() };
        let rows = store::Answer::Roster { items: vec![bad], settings: None, nodes: Vec::new() };
        let none = Answer::Roster { items: Vec::new(), settings: None, nodes: Vec::new() };
        assert_eq!(answer(Ok(rows)), Ok(none));
    }
}
