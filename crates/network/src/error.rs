//! What can go wrong with networks, each naming the interface, address, port or program it is about.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::Protocol;

/// The result of a network operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a network could not be made, joined or published on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a request. `what` is the action in words, with the names in it.
    #[error("{what}: {source}")]
    Kernel {
        /// The action, for example ``adding address 10.187.0.5/20 to `eth0` ``.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel's answer could not be read: shorter than its own lengths say, or none within five seconds.
    #[error("{what}: the kernel's netlink answer is {problem}")]
    Answer {
        /// The action that was asked for.
        what: String,
        /// What is wrong with the answer.
        problem: &'static str,
    },
    /// An interface of the bridge's name exists and is something else.
    #[error("`{name}` is not a bridge: remove that interface, or choose another bridge name")]
    NotABridge {
        /// The interface's name.
        name: String,
    },
    /// The interface name is empty, longer than 15 bytes, or has a byte the kernel refuses.
    #[error("`{name}` cannot name a network interface: 1 to 15 letters, digits, `-`, `_` or `.`")]
    BadName {
        /// The name that was asked for.
        name: String,
    },
    /// Every candidate subnet overlaps one of the machine's routes or name servers.
    #[error("no free subnet for bridge `{bridge}`: {tried} overlap routes or name servers of this machine")]
    NoSubnet {
        /// The bridge's name.
        bridge: String,
        /// The candidates, comma-separated.
        tried: String,
    },
    /// All addresses of the subnet are in use.
    #[error("no free address in {subnet} on bridge `{bridge}`: {tried} are in use")]
    NoAddress {
        /// The bridge's name.
        bridge: String,
        /// The subnet.
        subnet: String,
        /// How many addresses were tried.
        tried: u32,
    },
    /// Another process has been setting up the same bridge for five seconds.
    #[error("bridge `{bridge}` is locked by another process that sets it up (abstract socket `{lock}`)")]
    Locked {
        /// The bridge's name.
        bridge: String,
        /// The abstract socket that is the lock.
        lock: String,
    },
    /// The user-space path is needed and neither of its programs is installed.
    #[error(
        "no network for this step: {reason}, and neither `pasta` nor `slirp4netns` was found in {searched}"
    )]
    NoProgram {
        /// Why the bridge is not used.
        reason: String,
        /// The folders that were searched, comma-separated.
        searched: String,
    },
    /// The user-space path is needed and the tap device that its programs work with cannot be opened.
    #[error("no network for this step: {reason}, and `{program}` needs {device}: {source}")]
    NoTap {
        /// Why the bridge is not used.
        reason: String,
        /// The program that would be used.
        program: &'static str,
        /// The device's path.
        device: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A user-space network program ended, or did not come up in time.
    #[error("`{program}` did not bring up the network: {problem}")]
    Program {
        /// The program's path.
        program: String,
        /// Its last words, or what was waited for.
        problem: String,
    },
    /// A port specification does not follow the grammar of [`crate::ports`].
    #[error("invalid port `{spec}`: {problem}")]
    PortSpec {
        /// The specification as given.
        spec: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A port of the host could not be taken.
    #[error("cannot publish {} port {address} for container port {container_port}: {source}", protocol)]
    Bind {
        /// The address and port on the host.
        address: SocketAddr,
        /// The port in the container.
        container_port: u16,
        /// The protocol.
        protocol: Protocol,
        /// The kernel's answer, `AddrInUse` when another process has the port.
        source: io::Error,
    },
    /// The protocol cannot be published by the user-space proxy.
    #[error("cannot publish {protocol} port {port}: only tcp and udp ports can be published")]
    Unpublishable {
        /// The protocol.
        protocol: Protocol,
        /// The port in the container.
        port: u16,
    },
    /// A host name, or the name in an extra host entry, would break the hosts file.
    #[error("`{name}` is not a host name")]
    HostName {
        /// The name.
        name: String,
    },
    /// The published ports cannot reach this address.
    #[error("the proxy for published ports cannot reach {address}: {source}")]
    Proxy {
        /// The container's address.
        address: IpAddr,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl Error {
    /// What the user can do about it, when there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoProgram { .. } | Self::Program { .. } => Some(
                "install `passt` (for pasta) or `slirp4netns`, or allow host networking with `--network=host`"
                    .to_owned(),
            ),
            Self::NoTap { device, .. } => Some(format!(
                "let this user read and write {device} (on most machines everybody may), or allow host networking with `--network=host`"
            )),
            Self::Bind { source, address, .. } if source.kind() == io::ErrorKind::AddrInUse => Some(format!(
                "another program listens on port {}: stop it, or publish on another port",
                address.port()
            )),
            Self::Bind { source, address, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some(format!(
                    "ports below the value in /proc/sys/net/ipv4/ip_unprivileged_port_start need root: publish on a port of 1024 or above instead of {}",
                    address.port()
                ))
            }
            Self::Bind { source, address, .. } if source.kind() == io::ErrorKind::AddrNotAvailable => {
                Some(format!("{} is not an address of this machine", address.ip()))
            }
            Self::NoSubnet { .. } => Some("name a free subnet for the bridge in the settings".to_owned()),
            _ => None,
        }
    }

    /// An [`Error::Kernel`] from a system call's error.
    pub(crate) fn kernel(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Kernel { what: what.into(), source: source.into() }
    }
}
