//! The same for rooms.

use super::{message, part};
use std::sync::Arc;
use store::Rank;
use xmpp::muc::RoomRow;
use xmpp::router::Query;

/// A question about rooms.
pub(super) fn query(query: Query) -> store::Query {
    match query {
        Query::PutRoom { room, document, ranks } => {
            let rank = |(contact, rank): (String, Option<String>)| Rank {
                contact,
                payload: rank.map(String::into_bytes),
            };
            let document = document.map(|document| document.as_bytes().to_vec());
            store::Query::PutRoom { room, document, ranks: ranks.into_iter().map(rank).collect() }
        }
        Query::RemoveRoom(room) => store::Query::RemoveRoom(room),
        Query::ArchiveRoom { room, entry } => store::Query::AddRoomArchived { room, message: message(entry) },
        Query::AmendRoomArchive { room, id, message } => {
            store::Query::AmendRoomArchived { room, id, payload: message.as_bytes().to_vec() }
        }
        Query::ListRoomArchive { room, span, last, limit, octets } => {
            store::Query::ListRoomArchived { room, span: part(span), last, limit, octets }
        }
        Query::CountRoomArchive { room, span } => store::Query::CountRoomArchived { room, span: part(span) },
        Query::RoomExcess { room, messages, octets } => store::Query::RoomExcess { room, messages, octets },
        Query::TrimRoom { room, up_to } => store::Query::TrimRoom { room, up_to },
        _ => store::Query::LoadRooms,
    }
}

/// A room; `None`: nobody can read it any more.
pub(super) fn row(row: store::Room) -> Option<RoomRow> {
    let document = Arc::from(String::from_utf8(row.document).ok()?);
    let rank = |rank: Rank| Some((rank.contact, String::from_utf8(rank.payload?).ok()?));
    Some(RoomRow { room: row.address, document, ranks: row.ranks.into_iter().filter_map(rank).collect() })
}
