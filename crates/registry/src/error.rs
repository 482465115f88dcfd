//! The one error of this crate.

use oci::Digest;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use web::Unreachable;

/// What went wrong between us and a registry. `what` names the thing asked for with its reference, as in
/// ``the manifest of `localhost:5000/app:1` ``; `registry` is the host that was asked, which for a mirror is another
/// one than the reference's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry does not have it, or does not say so to us.
    #[error("{registry} does not have {what}{}", said(message))]
    NotFound {
        /// What was asked for.
        what: String,
        /// Who was asked.
        registry: String,
        /// The registry's own words, or empty.
        message: String,
    },
    /// The registry wants to know who is asking, or does not accept who said so.
    #[error("{registry} gives no access to {what}: {}{}", credentials_words(user), said(message))]
    Unauthorized {
        /// What was asked for.
        what: String,
        /// Who was asked.
        registry: String,
        /// The user whose credentials were refused; nothing where there were none to send.
        user: Option<String>,
        /// The registry's own words, or empty.
        message: String,
    },
    /// The registry knows who is asking and does not allow it.
    #[error("{registry} denies access to {what}{}", said(message))]
    Denied {
        /// What was asked for.
        what: String,
        /// Who was asked.
        registry: String,
        /// The registry's own words, or empty.
        message: String,
    },
    /// The registry limits the rate, and waiting as it asked did not help or would take too long.
    #[error("{registry} refuses {what} for now: too many requests{}{}", later(retry_after), said(message))]
    TooManyRequests {
        /// What was asked for.
        what: String,
        /// Who was asked.
        registry: String,
        /// When to ask again, if the registry said so.
        retry_after: Option<Duration>,
        /// The registry's own words, or empty.
        message: String,
    },
    /// `registries.conf` forbids this registry.
    #[error("{what} is not fetched: registries.conf blocks `{prefix}`")]
    Blocked {
        /// What was asked for.
        what: String,
        /// The entry's prefix.
        prefix: String,
    },
    /// No connection could be made.
    #[error("{registry} cannot be reached for {what}: {reason}")]
    Unreachable {
        /// What was asked for.
        what: String,
        /// Who was asked.
        registry: String,
        /// Which part of the way failed.
        kind: Unreachable,
        /// The system's or the TLS library's words.
        reason: String,
    },
    /// The connection broke more often than is tried again.
    #[error("the connection to {registry} broke while transferring {what}: {reason}")]
    Interrupted {
        /// What was asked for.
        what: String,
        /// Who was asked.
        registry: String,
        /// How it broke.
        reason: String,
    },
    /// Nothing came, or nothing was taken, for too long.
    #[error("{registry} stalled on {what}: nothing moved for {} s", after.as_secs_f32())]
    Stalled {
        /// What was asked for.
        what: String,
        /// Who was asked.
        registry: String,
        /// How long nothing moved.
        after: Duration,
    },
    /// The bytes are not those that were asked for.
    #[error("{registry} sent wrong bytes for {what}: their digest is {found}, not {expected}")]
    WrongDigest {
        /// What was asked for.
        what: String,
        /// Who was asked.
        registry: String,
        /// The digest that was asked for or announced.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// There are more or fewer bytes than the descriptor says.
    #[error("{registry} sent {found} bytes for {what}, which has {expected}")]
    WrongSize {
        /// What was asked for.
        what: String,
        /// Who was asked.
        registry: String,
        /// The size that the descriptor names.
        expected: u64,
        /// How many came or were announced; where more came than expected, how many until that was seen.
        found: u64,
    },
    /// A document is larger than is read.
    #[error("{registry} sent more than {limit} bytes for {what}; a document of that size is not read")]
    TooLarge {
        /// What was asked for.
        what: String,
        /// Who was asked.
        registry: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// Something answers there, but not a registry.
    #[error("{registry} does not answer as a registry when asked for {what}: {reason}")]
    NotARegistry {
        /// What was asked for.
        what: String,
        /// Who was asked.
        registry: String,
        /// What came instead.
        reason: String,
    },
    /// A status that no other kind covers.
    #[error("{registry} answered {status} when asked for {what}{}", said(message))]
    Server {
        /// What was asked for.
        what: String,
        /// Who was asked.
        registry: String,
        /// The HTTP status.
        status: u16,
        /// When to ask again, if the registry said so.
        retry_after: Option<Duration>,
        /// The registry's own words, or empty.
        message: String,
    },
    /// The registry breaks the protocol (distribution-spec).
    #[error("{registry} breaks the distribution protocol for {what}: {reason}")]
    Protocol {
        /// What was asked for.
        what: String,
        /// Who was asked.
        registry: String,
        /// Which rule it breaks.
        reason: String,
    },
    /// A file with credentials cannot be read or written.
    #[error("the credentials file {} cannot be used: {reason}", path.display())]
    CredentialFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A `docker-credential-…` program failed.
    #[error("the credential helper `{helper}` failed for {registry}: {reason}")]
    Helper {
        /// The program's name.
        helper: String,
        /// For which registry it was asked.
        registry: String,
        /// What it or the system said.
        reason: String,
    },
    /// A setting is not valid: registries.conf, daemon.json, a certificate, a proxy.
    #[error("{what} is not valid: {reason}")]
    Setting {
        /// Which setting.
        what: String,
        /// Why not.
        reason: String,
    },
    /// The receiver of the bytes failed.
    #[error("{what} cannot be written")]
    Sink {
        /// What was being transferred.
        what: String,
        /// What the receiver said.
        #[source]
        source: io::Error,
    },
    /// The giver of the bytes failed.
    #[error("{what} cannot be read for the upload")]
    Reader {
        /// What was being transferred.
        what: String,
        /// What the giver said.
        #[source]
        source: io::Error,
    },
    /// [`Client::cancel`](crate::Client::cancel) ended it.
    #[error("the transfer was cancelled")]
    Cancelled,
    /// The threads for network I/O cannot be started.
    #[error("the network threads cannot be started")]
    Runtime(#[source] io::Error),
    /// The registry failed after its mirrors had failed; the kind is that of the registry's own error.
    #[error("{last} (before it failed: {tried})")]
    AfterMirrors {
        /// The mirrors' errors in one line.
        tried: String,
        /// The registry's error.
        last: Box<Error>,
    },
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn credentials_words(user: &Option<String>) -> String {
    match user {
        Some(user) if user.is_empty() => "it refuses the given token".to_owned(),
        Some(user) => format!("it refuses the credentials of `{user}`"),
        None => "it asks for a login".to_owned(),
    }
}

fn later(after: &Option<Duration>) -> String {
    after.map_or_else(String::new, |after| format!(" (it says to ask again in {} s)", after.as_secs()))
}

impl Error {
    /// The error whose kind counts: past [`Error::AfterMirrors`], itself otherwise.
    #[must_use]
    pub fn root(&self) -> &Error {
        match self {
            Self::AfterMirrors { last, .. } => last.root(),
            other => other,
        }
    }

    /// Whether the registry says that it does not have what was asked for.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self.root(), Self::NotFound { .. })
    }

    /// Whether no registry answered at all: no name, no connection, no TLS, a stall. What is here already may serve.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self.root(), Self::Unreachable { .. } | Self::Stalled { .. } | Self::Interrupted { .. })
    }

    /// Whether a login (another one) may help.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        matches!(self.root(), Self::Unauthorized { .. } | Self::Denied { .. })
    }

    /// Whether what came is not what was asked for. A mirror that sent it is not asked again by this client, so that
    /// starting over finds an honest one.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(self.root(), Self::WrongDigest { .. } | Self::WrongSize { .. })
    }

    /// Whether the same request may succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Interrupted { .. }
            | Self::Stalled { .. }
            | Self::TooManyRequests { .. }
            | Self::Unreachable { kind: Unreachable::Handshake, .. } => true,
            Self::Server { status, .. } => matches!(status, 408 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// Whether it is about this machine's files, whoever the registry is.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Sink { .. } | Self::Reader { .. } | Self::CredentialFile { .. })
    }

    /// When the registry wants to be asked again.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests { retry_after, .. } | Self::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What the user can do about it, where there is something: a full sentence.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self.root() {
            Self::Unauthorized { registry, user: None, .. } => {
                format!(
                    "Log in with `jettison login {}`, or check the name: a registry asks for a login for \
                     repositories that do not exist, too.",
                    login_name(registry)
                )
            }
            Self::Unauthorized { registry, user: Some(_), .. } => {
                format!("Log in again with `jettison login {}`.", login_name(registry))
            }
            Self::Denied { registry, .. } => format!(
                "Check the repository's name and that the user logged in to {} may use it.",
                login_name(registry)
            ),
            Self::TooManyRequests { registry, .. } => format!(
                "Wait, log in with `jettison login {}` for a higher limit, or configure a mirror in \
                 registries.conf.",
                login_name(registry)
            ),
            Self::Blocked { .. } => "Remove `blocked = true` from its entry in registries.conf.".to_owned(),
            Self::Unreachable { registry, kind, .. } => match kind {
                Unreachable::Name => "Check the name and the network; behind a company's proxy, set HTTPS_PROXY. \
                     A mirror can be configured in registries.conf."
                    .to_owned(),
                Unreachable::Connection => {
                    "Check that the registry runs and that no firewall is between; behind a company's proxy, set \
                     HTTPS_PROXY."
                        .to_owned()
                }
                Unreachable::PlainHttp => format!(
                    "{registry} seems to speak plain HTTP: allow that with `--tls-verify=false`, or with \
                     `insecure = true` in its entry in registries.conf."
                ),
                Unreachable::Certificate => format!(
                    "Put the registry's CA certificate into `/etc/docker/certs.d/{registry}/ca.crt` or the system's \
                     trust store, or accept any certificate with `--tls-verify=false`."
                ),
                Unreachable::Proxy => "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY.".to_owned(),
                _ => return None,
            },
            Self::WrongDigest { .. } | Self::WrongSize { .. } => {
                "Something between or the registry itself damages the data: try again, and without mirrors or \
                 proxies."
                    .to_owned()
            }
            Self::NotARegistry { .. } => {
                "Check the host in the image's name; a web page instead of a registry can also come from a proxy or \
                 a network's login page."
                    .to_owned()
            }
            Self::Helper { helper, .. } => {
                format!("Check that `{helper}` is installed and on PATH, or remove it from the credentials file.")
            }
            _ => return None,
        })
    }
}

fn login_name(registry: &str) -> &str {
    match registry {
        "registry-1.docker.io" | "index.docker.io" | "auth.docker.io" => "docker.io",
        other => other,
    }
}
