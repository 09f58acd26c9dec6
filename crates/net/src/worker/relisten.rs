//! Listeners that are added while the worker runs, and those that are not wanted any more.

use super::Worker;
use super::accept::AT_ONCE;
use crate::core::{Core, Due};
use crate::dtls::Entrance;
use crate::listen::{Change, DatagramRow, Retirement};
use crate::{Handler, limits};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use wire::SocketId;

/// How often it is looked whether a listener's last client is gone.
const LOOK: Duration = Duration::from_millis(500);

/// The listeners of a worker that are on their way out.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    /// Datagrams come in here for clients of before only.
    plain: Vec<SocketId>,
    /// They are closed when nobody holds them any more.
    retired: Vec<Retired>,
    /// A socket, and the one by which clients of the same address came before.
    heirs: Vec<(SocketId, SocketId)>,
}

#[derive(Debug)]
struct Retired {
    socket: SocketId,
    retirement: Arc<Retirement>,
    /// Nobody here holds it any more.
    released: bool,
}

impl Leaving {
    /// Whether only clients of before are served by this socket.
    pub(crate) fn has(&self, socket: SocketId) -> bool {
        self.plain.contains(&socket)
    }

    /// The socket of before for the same address, if there is one.
    pub(crate) fn before(&self, socket: SocketId) -> Option<SocketId> {
        self.heirs.iter().find(|(heir, _)| *heir == socket).map(|(_, before)| *before)
    }

    fn set_heir(&mut self, socket: SocketId, before: Option<SocketId>) {
        self.heirs.retain(|(heir, _)| *heir != socket);
        self.heirs.extend(before.map(|before| (socket, before)));
    }

    fn set_plain(&mut self, socket: SocketId, leaves: bool) {
        self.plain.retain(|other| *other != socket);
        if leaves {
            self.plain.push(socket);
        }
    }

    fn set_retirement(&mut self, socket: SocketId, retirement: Option<&Arc<Retirement>>) {
        let same = |one: &Retired, other: &Arc<Retirement>| Arc::ptr_eq(&one.retirement, other);
        let is_known = |one: &Retired| retirement.is_some_and(|other| same(one, other));
        self.retired.retain(|one| one.socket != socket || is_known(one));
        if let Some(retirement) = retirement.filter(|_| !self.retired.iter().any(is_known)) {
            self.retired.push(Retired { socket, retirement: Arc::clone(retirement), released: false });
        }
    }
}

impl<H: Handler> Worker<H> {
    /// Listens as it is told, from now on.
    pub(super) fn relisten(&mut self, change: Change) -> io::Result<()> {
        let Change { datagrams, doors, rows } = change;
        for (id, datagram) in datagrams {
            self.core.sockets.open(id, datagram, &self.core.events)?;
        }
        for (number, socket) in doors {
            self.doors.open(number, socket, &self.core.events)?;
        }
        rows.datagrams.iter().for_each(|row| self.core.direct(row));
        let leaves = |number: &u32| !rows.doors.iter().any(|row| row.number == *number);
        for number in self.doors.numbers().into_iter().filter(leaves) {
            // Who is connected already is let in; others find the port closed.
            let most = limits::BACKLOG as usize / AT_ONCE;
            let _ = (0..most).take_while(|_| self.accept(number)).count();
            self.doors.shut(number);
        }
        rows.doors.iter().for_each(|row| self.doors.direct(row));
        Ok(())
    }

    /// Closes the sockets of former listeners that nobody holds any more, in any worker.
    pub(super) fn look_at_retired(&mut self) {
        let mut retired = std::mem::take(&mut self.core.leaving.retired);
        retired.retain_mut(|one| {
            let holds = self.handler.holds(one.socket) || self.core.dtls.holds(one.socket);
            match std::mem::replace(&mut one.released, !holds) {
                false if !holds => one.retirement.release(),
                true if holds => one.retirement.hold(),
                _ => {}
            }
            if one.retirement.is_over() {
                self.core.close_listener(one.socket);
            }
            !one.retirement.is_over()
        });
        self.core.leaving.retired = retired;
        self.core.mind_retired();
    }
}

impl<M> Core<M> {
    /// Says what comes in by a datagram socket from now on.
    fn direct(&mut self, row: &DatagramRow) {
        let socket = row.socket;
        if let (Some(tag), Some(datagram)) = (row.plain, self.sockets.get_mut(socket)) {
            datagram.tag = tag;
        }
        let alone = !row.was_plain;
        match row.dtls {
            Some(row) => self.dtls.enter_by(socket, Some(Entrance { row, alone, closed: false })),
            None => {
                let closed = self.dtls.entrance(socket).map(|old| Entrance { alone, closed: true, ..old });
                self.dtls.enter_by(socket, closed);
            }
        }
        self.leaving.set_plain(socket, row.was_plain && row.plain.is_none());
        self.leaving.set_retirement(socket, row.retirement.as_ref());
        self.leaving.set_heir(socket, row.heir_of);
        self.mind_retired();
    }

    fn mind_retired(&mut self) {
        if self.leaving.retired.is_empty() {
            self.timers.cancel(Due::Retired);
        } else {
            self.timers.set(Due::Retired, self.now + LOOK);
        }
    }

    fn close_listener(&mut self, socket: SocketId) {
        self.sockets.close(socket);
        self.dtls.enter_by(socket, None);
        self.leaving.set_plain(socket, false);
        self.leaving.heirs.retain(|(_, before)| *before != socket);
    }
}
