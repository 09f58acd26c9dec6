//! What an HTTP connection takes for its socket: octets that came are put in at one end, what it writes is taken out there.

use hyper::rt::{Read, ReadBufCursor, Write};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// How much may wait to be taken out.
const ROOM: usize = 64 << 10;

/// Both ends of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    input: Vec<u8>,
    /// How much of `input` has been read.
    read: usize,
    /// Nothing more comes; whether that was to be.
    ended: Option<bool>,
    reader: Option<Waker>,
    output: Vec<u8>,
    writer: Option<Waker>,
    /// Nothing more is written.
    shut: bool,
}

impl Pipe {
    /// Octets have come.
    pub(super) fn feed(&self, octets: &[u8]) {
        let mut state = self.0.borrow_mut();
        if state.read == state.input.len() {
            state.input.clear();
            state.read = 0;
        }
        state.input.extend_from_slice(octets);
        wake(&mut state.reader);
    }

    /// Nothing more comes: the peer has said so, or it was lost.
    pub(super) fn end(&self, in_order: bool) {
        let mut state = self.0.borrow_mut();
        state.ended = Some(in_order);
        wake(&mut state.reader);
        wake(&mut state.writer);
    }

    /// What has come and was not read, of a connection that is not HTTP any more.
    pub(super) fn take_unread(&self) -> Vec<u8> {
        let mut state = self.0.borrow_mut();
        let read = std::mem::take(&mut state.read);
        std::mem::take(&mut state.input).split_off(read)
    }

    /// Octets that have come and were not read.
    pub(super) fn unread(&self) -> usize {
        let state = self.0.borrow();
        state.input.len() - state.read
    }

    /// Offers what was written; it is gone from here if `send` takes it.
    pub(super) fn drain(&self, send: impl FnOnce(&[u8]) -> bool) {
        let mut state = self.0.borrow_mut();
        if !state.output.is_empty() && send(&state.output) {
            state.output.clear();
            if state.output.capacity() > ROOM {
                state.output = Vec::new();
            }
            wake(&mut state.writer);
        }
    }

    /// Whether something waits to be taken out.
    pub(super) fn has_output(&self) -> bool {
        !self.0.borrow().output.is_empty()
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl Read for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        let there = &state.input[state.read..];
        if there.is_empty() {
            return match state.ended {
                Some(true) => Poll::Ready(Ok(())),
                Some(false) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                None => {
                    state.reader = Some(context.waker().clone());
                    Poll::Pending
                }
            };
        }
        let length = there.len().min(into.remaining());
        into.put_slice(&there[..length]);
        state.read += length;
        if state.read == state.input.len() {
            // An idle connection keeps no room.
            (state.input, state.read) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Pipe {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        if state.shut || state.ended.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = ROOM.saturating_sub(state.output.len());
        if room == 0 {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let length = octets.len().min(room);
        state.output.extend_from_slice(&octets[..length]);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().shut = true;
        Poll::Ready(Ok(()))
    }
}
