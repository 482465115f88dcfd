//! HTTP as the rooms above speak it: requests through proxies and TLS, and files fetched by their URL.
//!
//! **Knows**: hosts, addresses, proxies, certificates, redirects, what breaks on the way and when to try again.
//! **Must never know**: what the bytes are for: registries, Dockerfiles, the store.
//!
//! ```text
//! Client::get        a URL's bytes into a sink: redirects, conditions, tries, limits
//! Exchanges::send    one request, the beginning of its answer
//!   connect, tls     addresses, proxies, certificates
//! ```
#![forbid(unsafe_code)]

mod body;
mod client;
mod connect;
pub mod date;
mod download;
mod error;
pub mod exchange;
pub mod host;
pub mod redirect;
mod settings;
mod threads;
mod tls;
mod url;

pub use body::Body;
pub use client::Client;
pub use download::{Get, Got, Head, Sink};
pub use error::{Error, Failure, Unreachable};
pub use exchange::{Ask, Exchanges};
pub use settings::{Proxies, Retry, Settings, Timeouts};
pub use threads::Threads;
pub use url::{basic, redacted, without_user};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
