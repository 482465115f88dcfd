//! Networks for build steps and containers.
//!
//! # The two paths
//! **The bridge**, for root: namespaces hang on the bridge `jettison0` by veth pairs, the kernel forwards and
//! masquerades. All of it is said to the kernel over netlink in this crate's own encoding; no helper program
//! (`ip`, `nft`, `iptables`) has to be installed. The bridge's subnet is the first of a list that overlaps no
//! route and no name server of the machine; its MTU is that of the interface of the default route.
//!
//! **User space**, for others, and for root where another packet filter (Docker's `FORWARD` policy, firewalld's
//! rejections) keeps forwarded packets from passing: `slirp4netns` or `pasta` is attached to the namespace.
//! [`Network::note`] says why. Without either program the error says what to install.
//!
//! # What it costs
//! On a machine with 2 cores at rest: the bridge 11 to 30 ms when it is first made and 0.3 ms when it stands; a
//! namespace 1.1 to 1.8 ms (0.5 the namespace, 0.5 the veth pair, 0.2 address and routes), so 20 take 21 to 36 ms;
//! giving one back 5 µs. `cargo run --release -p network --example connect` repeats it.
//! [`Pool`] does it ahead of the steps. A namespace with slirp4netns takes 8 ms.
//!
//! # What is where
//! | thing | place | how long it lives |
//! |---|---|---|
//! | bridge `jettison0` | the host's network namespace | until [`Network::remove`] or a restart of the machine |
//! | packet filter table `ip jettison` | the same | the same |
//! | `net.ipv4.ip_forward` = 1 | the same | until somebody else changes it |
//! | address leases | abstract Unix sockets `jettison/<bridge>/<address>` | as long as their owner |
//! | the right to set a bridge up | abstract Unix socket `jettison/<bridge>/setup` | as long as that takes |
//! | veth pairs | one end on the bridge, the other in its namespace | as long as the namespace |
//!
//! Nothing is on disk: what a killed process held, the kernel takes back.
//!
//! # What is allowed
//! Namespaces on the bridge reach the world, each other, and what the host listens on at its own addresses (the
//! gateway's too), never its loopback. Nobody outside the host reaches into them but through published ports.
//! They have IPv4; an IPv6 loopback is all they have of IPv6. As in Docker's containers, users other than root may
//! take ports below 1024 and send pings.
//!
//! Published ports ([`ports`], [`Publisher`]) go through one proxy thread for each container, for root and others
//! alike: it listens on the host and connects to the container, whose server sees the bridge's address as the
//! client's.
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
mod probe;
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
