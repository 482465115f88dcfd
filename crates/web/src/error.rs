//! What fails in one exchange, and the one error of this crate.

use std::io;
use std::time::Duration;

/// Why a server could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unreachable {
    /// Its name has no address, or no name server answered.
    Name,
    /// No connection to any of its addresses.
    Connection,
    /// The connection stands, but no TLS session on it.
    Tls,
    /// The connection broke before a TLS session stood on it.
    Handshake,
    /// TLS was asked for, and something that is no TLS answered: most likely plain HTTP.
    PlainHttp,
    /// The server's certificate is not trusted, or is for another name, or out of date.
    Certificate,
    /// The HTTP proxy between refused or failed.
    Proxy,
}

/// What went wrong in one exchange. It does not say what was asked of whom: whoever asked knows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No connection could be made.
    #[error("{reason}")]
    Unreachable {
        /// Which part of the way failed.
        kind: Unreachable,
        /// The system's or the TLS library's words.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection broke: {reason}")]
    Interrupted {
        /// How it broke.
        reason: String,
    },
    /// Nothing came, or nothing was taken, for too long.
    #[error("nothing moved for {} s", after.as_secs_f32())]
    Stalled {
        /// How long nothing moved.
        after: Duration,
    },
    /// A setting is not valid: a certificate, a proxy.
    #[error("{what} is not valid: {reason}")]
    Setting {
        /// Which setting.
        what: String,
        /// Why not.
        reason: String,
    },
}

impl Failure {
    /// Whether the same exchange may succeed a little later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Interrupted { .. }
                | Self::Stalled { .. }
                | Self::Unreachable { kind: Unreachable::Handshake, .. }
        )
    }
}

/// Why a URL could not be downloaded. `url` is what was asked for, without user and password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is no URL of HTTP.
    #[error("`{url}` is not a URL that can be fetched: {reason}")]
    Url {
        /// As it was given.
        url: String,
        /// Which rule it breaks.
        reason: String,
    },
    /// The exchange failed for good.
    #[error("cannot fetch `{url}`")]
    Exchange {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: Failure,
    },
    /// The server answered with an error.
    #[error("cannot fetch `{url}`: {server} answered {status}{}", said(message))]
    Status {
        /// What was asked for.
        url: String,
        /// Who answered, which after a redirect is another one than the URL's.
        server: String,
        /// The status.
        status: u16,
        /// The first words of the answer, or empty.
        message: String,
    },
    /// The server leads from one URL to the next without end, or nowhere.
    #[error("cannot fetch `{url}`: {reason}")]
    Redirect {
        /// What was asked for.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// There is more of it than is taken.
    #[error("`{url}` is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// The receiver of the bytes failed.
    #[error("what comes from `{url}` cannot be written")]
    Sink {
        /// What was asked for.
        url: String,
        /// What the receiver said.
        #[source]
        source: io::Error,
    },
    /// It is not wanted any more.
    #[error("the transfer was cancelled")]
    Cancelled,
    /// The threads for network I/O cannot be started.
    #[error("the network threads cannot be started")]
    Runtime(#[source] io::Error),
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl Error {
    /// What the user can do about it, where there is something: a full sentence.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Status { status: 401 | 403, url, .. } => {
                let host = url.split_once("://").map_or("HOST", |(_, rest)| {
                    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
                    crate::host::host_name(place.rsplit_once('@').map_or(place, |(_, place)| place))
                });
                format!("Give a token with `--secret id=HTTP_AUTH_TOKEN_{host},env=NAME`.")
            }
            Self::Status { status: 404, .. } => "Check the address.".to_owned(),
            Self::Exchange { source: Failure::Unreachable { kind, .. }, .. } => match kind {
                Unreachable::Name => {
                    "Check the name and the network; behind a company's proxy, set HTTPS_PROXY.".to_owned()
                }
                Unreachable::Connection => {
                    "Check that the server runs and that no firewall is between; behind a \
                                            company's proxy, set HTTPS_PROXY."
                        .to_owned()
                }
                Unreachable::PlainHttp => "The server seems to speak plain HTTP: write `http://`.".to_owned(),
                Unreachable::Certificate => {
                    "Put the server's CA certificate into the system's trust store, or name \
                                             a bundle that has it with SSL_CERT_FILE."
                        .to_owned()
                }
                Unreachable::Tls | Unreachable::Handshake => return None,
                Unreachable::Proxy => "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY.".to_owned(),
            },
            _ => return None,
        })
    }
}
