//! What a client is told at its start: plain data, read by the caller from wherever it likes.

use crate::{Credentials, RegistriesConf};
use std::path::PathBuf;
use web::{Proxies, Retry, Timeouts};

/// Everything that a [`Client`](crate::Client) can be told. The default asks registries directly, anonymously, with
/// the host's trust store.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Mirrors, locations, blocked and insecure registries.
    pub registries: RegistriesConf,
    /// Docker's `registry-mirrors`: URLs asked for Docker Hub's images before Docker Hub.
    pub daemon_mirrors: Vec<String>,
    /// Hosts (`host`, `host:port`) and IP networks (`10.0.0.0/8`) that may have any certificate or speak plain HTTP.
    pub insecure: Vec<String>,
    /// As if every registry were in `insecure`: `--tls-verify=false`.
    pub insecure_all: bool,
    /// Folders like `/etc/docker/certs.d`: in each, `HOST[:PORT]/*.crt` are trusted authorities, and `*.cert` with
    /// `*.key` the client's certificate. The first folder that has the host serves.
    pub certs_dirs: Vec<PathBuf>,
    /// PEM files with authorities trusted besides the host's.
    pub extra_authorities: Vec<PathBuf>,
    /// Who we are.
    pub credentials: Credentials,
    /// How to reach the world.
    pub proxies: Proxies,
    /// Sent as `User-Agent`; empty for `jettison`.
    pub user_agent: String,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// How often to try again.
    pub retry: Retry,
}

impl Options {
    /// What concerns the way to a server, whatever it serves.
    pub(crate) fn web(&self) -> web::Settings {
        web::Settings {
            certs_dirs: self.certs_dirs.clone(),
            extra_authorities: self.extra_authorities.clone(),
            proxies: self.proxies.clone(),
            user_agent: self.user_agent.clone(),
            timeouts: self.timeouts.clone(),
            retry: self.retry.clone(),
        }
    }
}
