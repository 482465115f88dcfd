//! How the outside is reached: plain data, read by the caller from wherever it likes.

use std::path::PathBuf;
use std::time::Duration;

/// Everything that exchanges are told. The default asks directly, with the host's trust store.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Folders like `/etc/docker/certs.d`: in each, `HOST[:PORT]/*.crt` are trusted authorities, and `*.cert` with
    /// `*.key` the client's certificate. The first folder that has the host serves.
    pub certs_dirs: Vec<PathBuf>,
    /// PEM files with authorities trusted besides the host's.
    pub extra_authorities: Vec<PathBuf>,
    /// Which proxies lead outside.
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
    /// For the answer after an upload, while the server puts it in place.
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

impl Retry {
    /// The wait before the next try after `failed` of them: doubled each time, with up to a quarter more so that many
    /// clients do not come back at the same instant, and no less than the server `asked` for.
    #[must_use]
    pub fn delay(&self, failed: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.first_delay.saturating_mul(1 << failed.saturating_sub(1).min(16));
        let delay = asked.unwrap_or_default().max(doubled.min(self.longest_delay));
        delay.mul_f32(1.0 + jitter())
    }
}

/// 0 to 0.25.
fn jitter() -> f32 {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let nanos = now.map_or(0, |time| time.subsec_nanos());
    f32::from(u16::try_from(nanos / 1000 % 1000).unwrap_or_default()) / 4000.0
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
