//! The distribution protocol (OCI distribution-spec v1.1): names to manifests and blobs, and back.
//!
//! **Knows**: registries, their mirrors, how to say who we are, how to read and write manifests and blobs whatever the
//! network does. **Must never know**: the store, layers, images; it is given sinks and readers.
//!
//! ```text
//! Client (blocking; any thread)
//!   pull, push        what the protocol means
//!   request           authorization, redirects, tries, mirrors
//!     auth            challenges and tokens ── credentials (files, helpers)
//!     endpoint        who is asked ── conf (registries.conf, daemon.json)
//!   transport         one exchange: HTTPS before HTTP, errors named; addresses, proxies and TLS are `web`'s
//! ```
//!
//! Asynchronous I/O stays inside: a [`Client`] starts two threads on first use. Each calling thread drives its own
//! request, and hashes and writes its own bytes there.
#![forbid(unsafe_code)]

mod auth;
mod client;
mod conf;
pub mod credentials;
mod endpoint;
mod error;
mod options;
mod pull;
mod push;
mod request;
mod transport;

pub use client::Client;
pub use conf::{DaemonConf, Mirror, PullFromMirror, RegistriesConf, Registry};
pub use credentials::{Credential, Credentials};
pub use endpoint::Endpoint;
pub use error::Error;
pub use options::Options;
pub use pull::{Fetched, Resolved};
pub use push::{Open, Pushed};
pub use web::{Proxies, Retry, Timeouts, Unreachable};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
