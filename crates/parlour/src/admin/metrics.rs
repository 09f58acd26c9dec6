//! The listeners for Prometheus: HTTP without a password, `/metrics` and `/health` alone, bounded in number and time.

use super::backend::Backend;
use super::exposition::CONTENT_TYPE;
use crate::config::plan::{Host, Listener};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE as HEADER, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// How long a caller may take to send the head of a request, the next one on the same connection included.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may last: a caller that reads nothing keeps its place no longer.
const WHOLE: Duration = Duration::from_secs(60);
/// How long the workers may take to say how they are.
const ANSWER: Duration = Duration::from_secs(10);

/// The open listeners. Dropping it closes them.
#[derive(Default)]
pub struct Doors {
    house: OnceLock<Weak<dyn Backend>>,
    open: Mutex<Vec<Door>>,
}

struct Door {
    wanted: Listener,
    bound: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Doors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Doors({:?})", self.bound())
    }
}

impl Doors {
    /// Who answers. Before this nothing is opened.
    pub fn answer_by(&self, house: &Arc<dyn Backend>) {
        // Set once: there is one house.
        drop(self.house.set(Arc::downgrade(house)));
    }

    /// Opens and closes listeners so that these are open; says which could not be.
    pub async fn open(&self, wanted: &[Listener], callers: usize) -> Vec<(Listener, std::io::Error)> {
        for mut door in self.take_out(wanted) {
            door.task.abort();
            // Closed once the task is gone, not before: one that is to be opened may want its port.
            drop((&mut door.task).await);
        }
        let old: Vec<Listener> = self.doors().iter().map(|door| door.wanted).collect();
        let mut failed = vec![];
        let Some(house) = self.house.get() else { return failed };
        for listener in wanted.iter().filter(|listener| !old.contains(listener)) {
            match bind(*listener).await {
                Ok((door, bound)) => {
                    let task = tokio::spawn(serve(door, house.clone(), callers));
                    self.doors().push(Door { wanted: *listener, bound, task });
                }
                Err(error) => failed.push((*listener, error)),
            }
        }
        failed
    }

    /// Those that are no longer wanted.
    fn take_out(&self, wanted: &[Listener]) -> Vec<Door> {
        let mut open = self.doors();
        let (stay, go) =
            std::mem::take(&mut *open).into_iter().partition(|door| wanted.contains(&door.wanted));
        *open = stay;
        go
    }

    /// What is open, with the ports that were bound.
    pub fn bound(&self) -> Vec<SocketAddr> {
        self.doors().iter().map(|door| door.bound).collect()
    }

    fn doors(&self) -> std::sync::MutexGuard<'_, Vec<Door>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn bind(listener: Listener) -> std::io::Result<(TcpListener, SocketAddr)> {
    let at = |address: IpAddr| TcpListener::bind(SocketAddr::new(address, listener.port));
    let door = match listener.host {
        Host::One(address) => at(address).await?,
        // That of IPv6 takes IPv4 too, where the host has IPv6 at all.
        Host::All => match at(Ipv6Addr::UNSPECIFIED.into()).await {
            Ok(door) => door,
            Err(_) => at(Ipv4Addr::UNSPECIFIED.into()).await?,
        },
    };
    let bound = door.local_addr()?;
    Ok((door, bound))
}

async fn serve(door: TcpListener, house: Weak<dyn Backend>, callers: usize) {
    let places = Arc::new(Semaphore::new(callers));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match door.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a listener for metrics");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let house = house.clone();
        tokio::spawn(async move {
            if tokio::time::timeout(WHOLE, converse(stream, house)).await.is_err() {
                tracing::debug!("a caller of the metrics took too long");
            }
            drop(place);
        });
    }
}

async fn converse(stream: TcpStream, house: Weak<dyn Backend>) {
    let service = service_fn(|request| answer(request, house.clone()));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(16 * 1024);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a caller of the metrics");
    }
}

async fn answer(
    request: Request<Incoming>,
    house: Weak<dyn Backend>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, text) = match (is_read, request.uri().path(), house.upgrade()) {
        (_, _, None) => (503, "ending\n".into()),
        (true, "/metrics", Some(house)) => metrics(&*house).await,
        (true, "/health", Some(house)) => health(&*house).await,
        (true, ..) => (404, "there are /metrics and /health\n".into()),
        (false, ..) => (405, "only to be read\n".into()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(HEADER, HeaderValue::from_static(CONTENT_TYPE));
    Ok(response)
}

async fn metrics(house: &dyn Backend) -> (u16, String) {
    match tokio::time::timeout(ANSWER, house.metrics()).await {
        Ok(Ok(text)) => (200, text),
        Ok(Err(failure)) => (503, format!("{failure}\n")),
        Err(_) => (503, "the workers do not answer\n".into()),
    }
}

/// Whether new clients are welcome: for whoever decides where to send them.
async fn health(house: &dyn Backend) -> (u16, String) {
    match tokio::time::timeout(ANSWER, house.settle()).await {
        Ok(Ok(())) if house.is_draining() => (503, "draining\n".into()),
        Ok(Ok(())) => match house.ailments() {
            none if none.is_empty() => (200, "ok\n".into()),
            ailments => (503, format!("ill: {}\n", ailments.join(", "))),
        },
        _ => (503, "the workers do not answer\n".into()),
    }
}
