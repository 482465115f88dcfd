//! What a build is lent by whoever asks for it: secrets, ssh agents, and the keys of services.
//!
//! **Knows**: where the value of a secret is, by its id; how a step reaches the keys of an agent, and no more of it than
//! listing and signing.
//! **Must never know**: who uses it; and nobody else keeps a value or a key.
#![forbid(unsafe_code)]

pub mod agent;
mod error;
mod hidden;
mod secret;

pub use agent::{Agent, Agents, Forward};
pub use error::Error;
pub use hidden::Hidden;
pub use secret::{MAX_SECRET, SecretSource, Secrets};
