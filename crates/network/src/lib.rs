//! Networks for build steps and containers.
#![forbid(unsafe_code)]

mod bridge;
pub mod dns;
mod error;
mod kernel;
mod lease;
mod namespace;
mod network;
mod pool;
pub mod ports;
mod proxy;
mod publish;
mod subnet;
#[cfg(test)]
mod tests;
mod user_space;

pub use error::{Error, Result};
pub use namespace::{current, isolated, within};
pub use network::{Attachment, How, Network, NetworkOptions};
pub use pool::Pool;
pub use ports::{PortMapping, Protocol};
pub use publish::{Bound, Publisher, Serving, Target};
pub use subnet::Subnet;
