//! One DTLS session over datagrams that somebody else carries.

use super::Hello;
use super::side::Side;
use crate::sys;
use crate::tls::Facts;
use crate::{TlsFacts, TlsVersion};
use openssl::ssl::{ErrorCode, NameType, SslStream};
use std::io::{self, Read, Write};
use std::time::Duration;

/// The largest message of a record (RFC 6347 §4.1).
pub(crate) const LARGEST_MESSAGE: usize = 1 << 14;

/// Where a session finds the datagram that came and leaves those that are to go. A worker has one for all sessions and
/// lends it to the one that is at work.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    arrived: Vec<u8>,
    leaving: Vec<u8>,
    /// Where each datagram in `leaving` ends.
    ends: Vec<usize>,
}

impl Pipe {
    /// The datagrams that are to go.
    pub(crate) fn leaving(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.leaving[start..end])
    }

    pub(crate) fn clear(&mut self) {
        self.arrived.clear();
        self.leaving.clear();
        self.ends.clear();
    }
}

impl Read for Pipe {
    /// One whole datagram; what has no room is lost, as with a socket.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.arrived.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = self.arrived.len().min(room.len());
        room[..length].copy_from_slice(&self.arrived[..length]);
        self.arrived.clear();
        Ok(length)
    }
}

impl Write for Pipe {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.leaving.extend_from_slice(datagram);
        self.ends.push(self.leaving.len());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a session gave when it was asked for the next message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// One, of this length.
    Message(usize),
    /// None for now.
    Nothing,
    /// The peer has closed it.
    Closed,
    /// It is broken: why.
    Broken(String),
}

/// A session, from a ClientHello with a valid cookie on.
#[derive(Debug)]
pub(crate) struct Session {
    stream: SslStream<Pipe>,
    /// Whether it has buffers for records.
    buffered: bool,
}

impl Session {
    /// Begins with a ClientHello whose cookie is valid.
    pub(crate) fn begin(side: &Side, pipe: &mut Pipe, hello: &[u8]) -> Result<Self, String> {
        let ssl = side
            .session(Hello::parse(hello).and_then(|hello| hello.server_name()))
            .map_err(|error| error.to_string())?;
        let mut stream = SslStream::new(ssl, Pipe::default()).map_err(|error| error.to_string())?;
        pipe.arrived.extend_from_slice(hello);
        std::mem::swap(stream.get_mut(), pipe);
        let begun = sys::dtls::begin_behind_cookie(&mut stream);
        std::mem::swap(stream.get_mut(), pipe);
        if begun { Ok(Self { stream, buffered: true }) } else { Err("no usable ClientHello".to_owned()) }
    }

    fn with<R>(&mut self, pipe: &mut Pipe, work: impl FnOnce(&mut SslStream<Pipe>) -> R) -> R {
        self.keep_buffers(true);
        std::mem::swap(self.stream.get_mut(), pipe);
        let result = work(&mut self.stream);
        std::mem::swap(self.stream.get_mut(), pipe);
        result
    }

    /// Has it take up or give up its buffers for records.
    pub(crate) fn keep_buffers(&mut self, keep: bool) {
        match (self.buffered, keep) {
            (false, true) => self.buffered = sys::dtls::take_buffers(&mut self.stream),
            (true, false) => {
                sys::dtls::give_up_buffers(&mut self.stream);
                self.buffered = false;
            }
            _ => {}
        }
    }

    /// Lays a datagram down for the next step.
    pub(crate) fn take_in(pipe: &mut Pipe, datagram: &[u8]) {
        pipe.arrived.clear();
        pipe.arrived.extend_from_slice(datagram);
    }

    /// Goes on with the handshake; whether it is done.
    pub(crate) fn shake(&mut self, pipe: &mut Pipe) -> Result<bool, String> {
        self.with(pipe, |stream| match stream.accept() {
            Ok(()) => Ok(true),
            Err(error) if error.code() == ErrorCode::WANT_READ => Ok(false),
            Err(error) => Err(error.to_string()),
        })
    }

    /// The next message that came. Only after the handshake.
    pub(crate) fn next(&mut self, pipe: &mut Pipe, room: &mut [u8]) -> Next {
        self.with(pipe, |stream| match stream.ssl_read(room) {
            Ok(length) => Next::Message(length),
            Err(error) => match error.code() {
                ErrorCode::WANT_READ => Next::Nothing,
                ErrorCode::ZERO_RETURN => Next::Closed,
                _ => Next::Broken(error.to_string()),
            },
        })
    }

    /// Seals a message; whether that went well.
    pub(crate) fn seal(&mut self, pipe: &mut Pipe, message: &[u8]) -> bool {
        // An empty record says nothing.
        message.is_empty() || self.with(pipe, |stream| stream.ssl_write(message)).is_ok()
    }

    /// Says that nothing more comes from us (close_notify).
    pub(crate) fn seal_close(&mut self, pipe: &mut Pipe) {
        // It is gone whatever comes of it.
        let _ = self.with(pipe, SslStream::shutdown);
    }

    /// How long until `retransmit` is wanted.
    pub(crate) fn retransmits_in(&self) -> Option<Duration> {
        sys::dtls::retransmits_in(&self.stream)
    }

    /// Sends the last flight again; `false` when that was done too often.
    pub(crate) fn retransmit(&mut self, pipe: &mut Pipe) -> bool {
        self.with(pipe, sys::dtls::retransmit)
    }

    /// What the handshake agreed on.
    pub(crate) fn facts(&self) -> Option<Facts> {
        let ssl = self.stream.ssl();
        let cipher = ssl.current_cipher()?.standard_name()?;
        Some(Facts {
            sni: ssl.servername(NameType::HOST_NAME).map(str::to_owned),
            alpn: ssl.selected_alpn_protocol().map(<[u8]>::to_vec),
            tls: TlsFacts { version: TlsVersion::Dtls12, cipher },
            chain: None,
            exporter: None,
        })
    }
}
