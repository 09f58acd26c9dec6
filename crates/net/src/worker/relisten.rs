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
}

#[derive(Debug)]
struct Retired {
    socket: SocketId,
    retirement: Arc<Retirement>,
}

impl Leaving {
    /// Whether only clients of before are served by this socket.
    pub(crate) fn has(&self, socket: SocketId) -> bool {
        self.plain.contains(&socket) || self.refuses(socket)
    }

    /// Whether nobody new is let in here at all, as it is about to be closed.
    pub(crate) fn refuses(&self, socket: SocketId) -> bool {
        self.retired.iter().any(|one| one.socket == socket && one.retirement.refuses())
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
            self.retired.push(Retired { socket, retirement: Arc::clone(retirement) });
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
            let is_over = one.retirement.look(self.core.me, holds);
            if is_over {
                self.core.close_listener(one.socket);
            }
            !is_over
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
    }
}
