//! Ssh agents of a build by their ids: the user's own agent behind a filter, or keys from files.
//!
//! A step never gets the user's socket. It gets one of ours ([`Forward`]) that lives as long as the step and answers two
//! requests, as BuildKit does: which keys there are, and sign this. Whatever else an agent can do (add and remove keys,
//! lock, extensions) is refused.
//!
//! ```text
//! step ── our socket ── filter ──┬── the user's agent (a connection of its own for each of the step's)
//!                                └── keys read from files, signed with here
//! ```

mod bytes;
mod der;
mod forward;
mod key;
mod pem;

pub use forward::Forward;

use crate::Error;
use key::PrivateKey;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The id of an agent that is not given one.
pub const DEFAULT_ID: &str = "default";

/// The largest key file that is read, as BuildKit's: 100 KiB.
pub const MAX_KEY_FILE: u64 = 100 << 10;

/// The longest message of the agent protocol in bytes, as OpenSSH's: 256 KiB.
pub const MAX_MESSAGE: usize = 256 << 10;

/// An agent that can be lent to steps.
#[derive(Debug)]
pub struct Agent(Backend);

/// Who answers.
#[derive(Debug)]
enum Backend {
    /// An agent's socket; `raw` passes everything on, also what the filter refuses.
    Socket { path: PathBuf, raw: bool },
    /// Keys held here.
    Keys(Vec<PrivateKey>),
}

impl Agent {
    /// An agent from paths: one socket, or private keys (OpenSSH's format, PKCS#1, PKCS#8, SEC 1; PEM). Keys are read
    /// now, a socket is connected to when a step asks. With `raw` a step may ask a socket's agent for anything.
    ///
    /// # Errors
    /// A file that cannot be read, is no key, or is protected by a passphrase; sockets and keys mixed.
    pub fn open(paths: &[PathBuf], raw: bool) -> Result<Self, Error> {
        let mut keys = Vec::new();
        let mut socket = None;
        for path in paths {
            let io = |source| Error::Io { path: path.clone(), source };
            if std::fs::metadata(path).map_err(io)?.file_type().is_socket() {
                if socket.replace(path.clone()).is_some() {
                    return Err(Error::Mixed { found: "several sockets" });
                }
                continue;
            }
            keys.push(read_key(path)?);
        }
        match socket {
            Some(_) if !keys.is_empty() => Err(Error::Mixed { found: "both" }),
            Some(path) => Ok(Self(Backend::Socket { path, raw })),
            None if raw => Err(Error::Mixed { found: "keys with `raw`" }),
            None => Ok(Self(Backend::Keys(keys))),
        }
    }
}

fn read_key(path: &Path) -> Result<PrivateKey, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(MAX_KEY_FILE).read_to_end(&mut bytes).map_err(io)?;
    PrivateKey::parse(&bytes).map_err(|problem| match problem {
        key::Problem::Passphrase => Error::Passphrase { path: path.to_owned() },
        key::Problem::Wrong(reason) => Error::Key { path: path.to_owned(), reason },
    })
}

/// The agents of one build by id.
#[derive(Clone, Debug, Default)]
pub struct Agents(BTreeMap<String, Arc<Agent>>);

impl Agents {
    /// No agents.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an agent.
    ///
    /// # Errors
    /// There is one of this id.
    pub fn insert(&mut self, id: String, agent: Agent) -> Result<(), Error> {
        if self.0.contains_key(&id) {
            return Err(Error::Duplicate { id });
        }
        self.0.insert(id, Arc::new(agent));
        Ok(())
    }

    /// The agent of an id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<Agent>> {
        self.0.get(id)
    }
}
