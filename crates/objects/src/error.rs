//! The one error of this crate.

use std::io;
use std::time::Duration;

/// Why an object could not be read or written. `what` is what was tried ("read blob sha256:..."), `service` who was
/// asked. Neither they nor what the service said have a secret in them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The exchange failed.
    #[error("cannot {what} at {service}")]
    Exchange {
        /// What was tried.
        what: String,
        /// Who was asked.
        service: String,
        /// Why.
        #[source]
        source: web::Failure,
    },
    /// The service answered with an error.
    #[error("cannot {what}: {service} answered {status}{}", said(code, message))]
    Status {
        /// What was tried.
        what: String,
        /// Who answered.
        service: String,
        /// The status.
        status: u16,
        /// The service's own name of the error, or empty.
        code: String,
        /// The service's words, or empty.
        message: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The service answered with something that its protocol does not have.
    #[error("cannot {what}: {service} {reason}")]
    Protocol {
        /// What was tried.
        what: String,
        /// Who answered.
        service: String,
        /// What is wrong.
        reason: String,
    },
    /// Other bytes than those of the blob.
    #[error("cannot {what}: {service} sent other bytes than those of the blob ({reason})")]
    Damaged {
        /// What was tried.
        what: String,
        /// Who sent them.
        service: String,
        /// How they differ.
        reason: String,
    },
    /// It took longer than it may.
    #[error("cannot {what}: {service} took longer than {} s", limit.as_secs_f32())]
    Late {
        /// What was tried.
        what: String,
        /// Who was asked.
        service: String,
        /// The limit.
        limit: Duration,
    },
    /// A setting that cannot be used.
    #[error("{what} cannot be used: {reason}")]
    Setting {
        /// Which.
        what: String,
        /// Why not.
        reason: String,
    },
    /// The bytes of a blob cannot be read here, or not be passed on.
    #[error("cannot {what}")]
    Local {
        /// What was tried.
        what: String,
        /// What the system said.
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

fn said(code: &str, message: &str) -> String {
    match (code, message) {
        ("", "") => String::new(),
        ("", text) | (text, "") => format!(": {text}"),
        (code, message) => format!(": {code}: {message}"),
    }
}

impl Error {
    /// Whether the service says that there is no such object.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { status: 404, .. })
    }

    /// Whether another try may succeed.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Exchange { source, .. } => {
                matches!(source, web::Failure::Interrupted { .. } | web::Failure::Stalled { .. })
            }
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
