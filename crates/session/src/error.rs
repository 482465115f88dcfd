//! The one error of this crate.

use std::path::PathBuf;

/// Why an ssh agent or a key cannot be lent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A socket or a key file that cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file that is no private key.
    #[error("{} is no private key that can be used: {reason}", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A private key that a passphrase protects.
    #[error("the private key {} is protected by a passphrase", path.display())]
    Passphrase {
        /// Which file.
        path: PathBuf,
    },
    /// An agent of sockets and keys, or of several sockets.
    #[error("an ssh agent is one socket or any number of keys, not {found}")]
    Mixed {
        /// What was given.
        found: &'static str,
    },
    /// An id that two agents have.
    #[error("there are two ssh agents with the id `{id}`")]
    Duplicate {
        /// The id.
        id: String,
    },
}

impl Error {
    /// What may help, where something is known that may.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Passphrase { path } => Some(format!(
                "add it to an agent with `ssh-add {}`, and lend the agent with `--ssh default`",
                path.display()
            )),
            Self::Key { .. } => Some(
                "RSA, ECDSA (P-256, P-384) and Ed25519 keys can be given as files; an agent can lend others"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
