//! What a client is told at its start: plain data, read by the caller from wherever it likes.

use crate::{Credentials, RegistriesConf};
use std::path::PathBuf;
use std::time::Duration;

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

/// How long to wait for whom.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// For a connection, TLS included. A name without an address fails at once.
    pub connect: Duration,
    /// For the next bytes, or for an answer's beginning.
    pub stall: Duration,
    /// For the answer after an upload, while the registry puts it in place.
    pub commit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            commit: Duration::from_secs(300),
        }
    }
}

/// How often and when to try again after broken connections, 429 and 5xx.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Tries without any progress, the first included.
    pub attempts: u32,
    /// The first wait; each next one is twice as long.
    pub first_delay: Duration,
    /// The longest wait between two tries, and the longest `Retry-After` that is waited for.
    pub longest_delay: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, first_delay: Duration::from_millis(250), longest_delay: Duration::from_secs(30) }
    }
}

/// HTTP proxies, as the variables of the same names give them.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// `HTTP_PROXY`: the URL of a proxy for plain HTTP.
    pub http: Option<String>,
    /// `HTTPS_PROXY`: the URL (`http://[user:password@]host:port`) of a proxy for HTTPS, by CONNECT.
    pub https: Option<String>,
    /// `NO_PROXY`: hosts, `.domains`, addresses and networks reached directly, by commas. Loopback always is.
    pub none: String,
}
