//! The admin socket: HTTP with JSON for whoever may open it, which is our own user and root.

use super::arguments::Arguments;
use super::backend::{Backend, carry_out};
use super::command::Command;
use super::command::find;
use super::failure::{Failure, Kind};
use super::{exposition, openapi};
use crate::config::plan::AdminLimits;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Map, Value};
use std::convert::Infallible;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// How long a caller may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// The longest path that the kernel takes for a socket, with its final zero (unix(7)).
const LONGEST: usize = 108;

/// The bound socket; its file goes when it is dropped.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
    /// Tells our file from that of a server that has taken our place.
    inode: u64,
}

impl Drop for Door {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            // One that stays is replaced at the next start.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Binds the socket, for our own user alone. One that an earlier server left behind is replaced; one that a server
/// answers on is not.
pub fn bind(path: &Path) -> std::io::Result<Door> {
    let (short, _folder) = shorten(path)?;
    if std::os::unix::net::UnixStream::connect(&short).is_ok() {
        return Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, "a server answers on it already"));
    }
    match std::fs::remove_file(&short) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Made under another name and moved: nobody finds it before it is closed to others.
    let hidden = short.with_extension("new");
    drop(std::fs::remove_file(&hidden));
    let listener = UnixListener::bind(&hidden)?;
    std::fs::set_permissions(&hidden, PermissionsExt::from_mode(0o600))?;
    let inode = std::fs::symlink_metadata(&hidden)?.ino();
    std::fs::rename(&hidden, &short)?;
    Ok(Door { listener, path: path.to_owned(), inode })
}

/// Connects to a server's socket.
pub(super) async fn connect(path: &Path) -> std::io::Result<UnixStream> {
    let (short, _folder) = shorten(path)?;
    UnixStream::connect(short).await
}

/// A path that the kernel takes: a long one through the open folder, which must stay open meanwhile.
fn shorten(path: &Path) -> std::io::Result<(PathBuf, Option<File>)> {
    if path.as_os_str().len() + ".new".len() < LONGEST {
        return Ok((path.to_owned(), None));
    }
    let folder = File::open(path.parent().unwrap_or(Path::new("/")))?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    Ok((short.join(path.file_name().unwrap_or_default()), Some(folder)))
}

/// Answers callers of these commands until it is dropped.
pub async fn serve(door: Door, house: Arc<dyn Backend>, commands: &'static [Command], limits: AdminLimits) {
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match door.listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the admin socket");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let house = Arc::clone(&house);
        let body = limits.body;
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&house), commands, body));
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD);
            if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a caller of the admin socket");
            }
            drop(place);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    house: Arc<dyn Backend>,
    commands: &'static [Command],
    longest: usize,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/metrics" {
        return Ok(metrics(&*house).await);
    }
    let (status, value) = match act(request, house, commands, longest).await {
        Ok(value) => (200, value),
        Err(failure) => (failure.kind.status(), failure.to_json()),
    };
    let mut response = Response::new(Full::from(format!("{value}\n")));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    Ok(response)
}

/// What is counted, as on the listeners of `admin.metrics`.
async fn metrics(house: &dyn Backend) -> Response<Full<Bytes>> {
    let (status, text) = match house.metrics().await {
        Ok(text) => (StatusCode::OK, text),
        Err(failure) => (StatusCode::SERVICE_UNAVAILABLE, format!("{failure}\n")),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static(exposition::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

async fn act(
    request: Request<Incoming>,
    house: Arc<dyn Backend>,
    commands: &'static [Command],
    longest: usize,
) -> Result<Value, Failure> {
    let path = request.uri().path();
    if path == "/openapi.json" {
        return Ok(openapi::document(commands));
    }
    let command = path.strip_prefix("/v1/").and_then(|path| find(commands, path.split('/')));
    let command = command.filter(|command| command.route().is_some());
    let command = command.ok_or_else(|| {
        Failure::new(Kind::NotFound, format!("there is no {path}; /openapi.json says what there is"))
    })?;
    must_be_method(&request, command)?;
    let given = read(request, longest).await?;
    let arguments = Arguments::new(command, given)?;
    tracing::debug!(command = %command.words(), ?arguments, "the admin socket");
    carry_out(&*house, command, &arguments).await
}

fn must_be_method(request: &Request<Incoming>, command: &Command) -> Result<(), Failure> {
    let fetched = request.method() == Method::GET && openapi::may_be_fetched(command);
    if fetched || request.method() == Method::POST {
        return Ok(());
    }
    Err(Failure::usage(format!("{} is called with POST", request.uri().path())))
}

/// The arguments; an empty body is none.
async fn read(request: Request<Incoming>, longest: usize) -> Result<Map<String, Value>, Failure> {
    let body = Limited::new(request.into_body(), longest).collect().await;
    let body = body.map_err(|error| Failure::usage(format!("the request's body: {error}")))?.to_bytes();
    if body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(&body)
        .map_err(|error| Failure::usage(format!("the body is not a JSON object: {error}")))
}
