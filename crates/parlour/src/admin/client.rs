//! Asks the running server, over its admin socket.

use super::arguments::Arguments;
use super::command::Command;
use super::failure::{Failure, Kind};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io::ErrorKind;
use std::path::Path;
use tokio::net::UnixStream;

/// The server's socket, if a server answers on it.
pub async fn reach(path: &Path) -> Result<Option<UnixStream>, Failure> {
    match super::socket::connect(path).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => {
            let message = format!("the server cannot be asked: {}: {error}", path.display());
            Err(Failure::new(Kind::Unavailable, message))
        }
    }
}

/// Lets the server carry out a command.
pub async fn ask(stream: UnixStream, command: &Command, arguments: Arguments) -> Result<Value, Failure> {
    let route = command.route().ok_or_else(|| Failure::usage("a command of the command line alone"))?;
    post(stream, &route, &arguments.into_json()).await
}

/// Lets the server carry out what stands at `route`.
pub async fn post(stream: UnixStream, route: &str, arguments: &Value) -> Result<Value, Failure> {
    let lost = |error: hyper::Error| Failure::failed(format!("the server did not answer: {error}"));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let connection = tokio::spawn(connection);
    let request = Request::post(route)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(arguments.to_string()))
        .map_err(|error| Failure::failed(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(lost)?;
    let body = response.into_body().collect().await.map_err(lost)?.to_bytes();
    connection.abort();
    understand(&body)
}

fn understand(body: &[u8]) -> Result<Value, Failure> {
    let mut value: Value = serde_json::from_slice(body)
        .map_err(|error| Failure::failed(format!("the server's answer is not understood: {error}")))?;
    match value.get_mut("error").map(Value::take) {
        None => Ok(value),
        Some(error) => Err(serde_json::from_value(error).unwrap_or_else(|error| {
            Failure::failed(format!("the server's answer is not understood: {error}"))
        })),
    }
}
