//! The next part of what rooms are still to do, when it is time.

use super::Rooms;
use crate::router::{Parcel, Router};
use crate::stanza::{Draft, Kind};
use std::time::{Duration, Instant};
use wire::Address;

/// How long others have between two parts.
const PAUSE: Duration = Duration::from_millis(100);

impl Rooms {
    /// When a room goes on.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next
    }
}

impl Router {
    /// A room has not done all yet.
    pub(super) fn room_is_due(&mut self, address: &Address) {
        self.rooms.due.insert(address.clone());
        self.rooms.next.get_or_insert(self.now + PAUSE);
    }

    /// Rooms do the next part.
    pub(crate) fn tick_rooms(&mut self) {
        if self.rooms.next.is_none_or(|next| next > self.now) {
            return;
        }
        self.rooms.next = None;
        for address in std::mem::take(&mut self.rooms.due) {
            let Some(hall) = self.rooms.halls.get_mut(&address) else { continue };
            if hall.is_busy() {
                self.room_is_due(&address);
                continue;
            }
            let effects = self.with_room(&address, false, |room, context| {
                room.go_on(context);
                room.end_if_empty();
            });
            // Nobody asked for it now.
            let nobody = Parcel::own(Draft::new(Kind::Presence).build());
            self.carried_out(&address, &nobody, effects);
        }
        self.run();
    }
}
