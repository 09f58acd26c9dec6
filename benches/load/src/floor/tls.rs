//! The floor of messages between pairs over TLS: what comes by a connection is sealed again and goes out by its twin, the
//! one that was accepted before or behind it. Nobody signs in, and nothing is read.

use anyhow::{Context, Result};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

const LISTENER: Token = Token(usize::MAX);

struct Line {
    socket: TcpStream,
    session: ServerConnection,
}

impl Line {
    fn flush(&mut self) -> Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What has come; `None`: it is over.
    fn read(&mut self, into: &mut Vec<u8>) -> Result<Option<()>> {
        into.clear();
        loop {
            match self.session.read_tls(&mut self.socket) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Ok(None),
            }
            let state = self.session.process_new_packets()?;
            let start = into.len();
            into.resize(start + state.plaintext_bytes_to_read(), 0);
            self.session.reader().read_exact(&mut into[start..])?;
            if state.peer_has_closed() {
                return Ok(None);
            }
        }
        self.flush()?;
        Ok(Some(()))
    }
}

/// Serves until it is ended.
pub(super) fn serve(at: SocketAddr, chain: &Path, key: &Path) -> Result<()> {
    let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<Vec<_>, _>>()?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.send_tls13_tickets = 0;
    let config = Arc::new(config);
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
    let mut listener = TcpListener::bind(at)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let (mut lines, mut said): (Vec<Option<Line>>, Vec<u8>) = (Vec::new(), Vec::new());
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut socket, _)) = listener.accept() {
                    socket.set_nodelay(true)?;
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut socket, Token(lines.len()), interest)?;
                    let session = ServerConnection::new(Arc::clone(&config))?;
                    lines.push(Some(Line { socket, session }));
                }
                continue;
            }
            let number = event.token().0;
            let Some(line) = lines.get_mut(number).and_then(Option::as_mut) else { continue };
            line.flush().context("a connection")?;
            if line.read(&mut said)?.is_none() {
                lines[number] = None;
            } else if !said.is_empty()
                && let Some(twin) = lines.get_mut(number ^ 1).and_then(Option::as_mut)
            {
                twin.session.writer().write_all(&said)?;
                twin.flush()?;
            }
        }
    }
}
