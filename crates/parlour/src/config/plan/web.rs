//! What the configuration says of HTTP.

use super::{Listener, Network, WebLimits};
use std::net::SocketAddr;

/// HTTP, and what stands in front of and behind this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebPlan {
    /// Listeners for HTTP/1.1 and HTTP/2 inside TLS.
    pub https: Vec<Listener>,
    /// Plain listeners: they answer challenges of certificate authorities, and send everybody else to `https`.
    pub http: Vec<Listener>,
    /// Whether every service that is on is reached by the listeners of `https` too.
    pub share: bool,
    /// The web server that requests go to which are not for us.
    pub upstream: Option<SocketAddr>,
    /// Who may say whom a stream is from (PROXY protocol), on any stream listener.
    pub proxy_protocol: Vec<Network>,
    /// What clients may cost.
    pub limits: WebLimits,
}
