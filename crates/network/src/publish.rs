//! Publishing ports: taking them on the host before the container starts, then serving them.
//!
//! Taking and serving are two steps so that an occupied port is an error before anything runs, and so that the
//! listening sockets belong to the host's namespace while the connections to the container may be made in the
//! container's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, eventfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use crate::error::{Error, Result};
use crate::namespace;
use crate::ports::{PortMapping, Protocol};
use crate::proxy::{Listener, Proxy, Socket};

/// Connections that wait to be accepted, for each port.
const BACKLOG: i32 = 1024;

/// Takes ports of the host.
pub struct Publisher;

impl Publisher {
    /// Takes all the ports, or none.
    ///
    /// # Errors
    /// [`Error::Bind`] with the address, port and reason for the first that cannot be had; for a host range, for
    /// its last port. [`Error::Unpublishable`] for SCTP.
    pub fn bind(mappings: &[PortMapping]) -> Result<Bound> {
        let mut bound = Bound { mappings: Vec::new(), listeners: Vec::new() };
        for mapping in mappings {
            let (socket, port) = take(mapping)?;
            bound.mappings.push(PortMapping { host_port: port, host_port_last: port, ..*mapping });
            bound.listeners.push(Listener { socket, container_port: mapping.container_port });
        }
        Ok(bound)
    }
}

/// Where the container is.
#[derive(Debug)]
pub enum Target {
    /// An address that this process reaches: a container on the bridge.
    Address(IpAddr),
    /// An address inside a network namespace, `127.0.0.1` too: a container behind slirp4netns or pasta, or with
    /// no network of its own.
    Namespace {
        /// The namespace.
        netns: OwnedFd,
        /// The address in it.
        address: IpAddr,
    },
}

/// Ports taken on the host. TCP clients can already connect; they wait until the ports are served.
pub struct Bound {
    mappings: Vec<PortMapping>,
    listeners: Vec<Listener>,
}

impl Bound {
    /// The mappings with the host ports that were really taken.
    pub fn mappings(&self) -> &[PortMapping] {
        &self.mappings
    }

    /// Serves the ports from one thread until the result is dropped.
    ///
    /// # Errors
    /// When the thread cannot be started or may not enter the container's namespace.
    pub fn serve(self, target: Target) -> Result<Serving> {
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| Error::kernel("making an event descriptor", errno))?;
        let stop = Arc::new(stop);
        let stop_of_thread = Arc::clone(&stop);
        let Self { mappings, listeners } = self;
        let (report, started) = sync_channel(1);
        let work = move || {
            let (address, netns) = match target {
                Target::Address(address) => (address, None),
                Target::Namespace { netns, address } => (address, Some(netns)),
            };
            // Sockets stay in the namespace that they were made in: entering it leaves the listeners outside.
            let entered = netns.as_ref().map_or(Ok(()), |netns| namespace::enter(netns.as_fd()));
            let proxy = entered.and_then(|()| {
                Proxy::new(listeners, address, stop_of_thread)
                    .map_err(|source| Error::Proxy { address, source })
            });
            match proxy {
                Ok(proxy) => {
                    let _ = report.send(Ok(()));
                    proxy.run();
                }
                Err(error) => {
                    let _ = report.send(Err(error));
                }
            }
        };
        let thread = thread::Builder::new()
            .name("port proxy".to_owned())
            .spawn(work)
            .map_err(|source| Error::kernel("starting a thread", source))?;
        let serving = Serving { mappings, stop, thread: Some(thread) };
        match started.recv() {
            Ok(Ok(())) => Ok(serving),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::kernel("starting the port proxy", io::ErrorKind::BrokenPipe)),
        }
    }
}

/// Ports being served; dropped, the ports are free and their connections cut.
pub struct Serving {
    mappings: Vec<PortMapping>,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// The mappings with the host ports that were really taken.
    pub fn mappings(&self) -> &[PortMapping] {
        &self.mappings
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = rustix::io::write(&*self.stop, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Takes the first port of the mapping's range that is free.
fn take(mapping: &PortMapping) -> Result<(Socket, u16)> {
    let mut failure = None;
    for port in mapping.host_port..=mapping.host_port_last {
        match take_port(mapping, port) {
            Ok(taken) => return Ok(taken),
            Err(error @ Error::Bind { .. }) => failure = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(failure.unwrap_or_else(|| Error::PortSpec {
        spec: mapping.to_string(),
        problem: "its host range is empty".to_owned(),
    }))
}

fn take_port(mapping: &PortMapping, port: u16) -> Result<(Socket, u16)> {
    let result = match mapping.host_ip {
        Some(ip) => open(SocketAddr::new(ip, port), mapping.protocol, true),
        // One socket for IPv6 and IPv4, or for IPv4 where the kernel has no IPv6.
        None => match open(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port), mapping.protocol, false) {
            Err(error) if no_ipv6(&error) => {
                open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), mapping.protocol, true)
            }
            result => result,
        },
    };
    let socket = match result {
        Ok(Some(socket)) => socket,
        Ok(None) => {
            return Err(Error::Unpublishable { protocol: mapping.protocol, port: mapping.container_port });
        }
        Err(source) => {
            let ip = mapping.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
            return Err(Error::Bind {
                address: SocketAddr::new(ip, port),
                container_port: mapping.container_port,
                protocol: mapping.protocol,
                source,
            });
        }
    };
    let taken = socket.local_addr().map_err(|source| Error::kernel("asking for a socket's port", source))?;
    Ok((socket, taken.port()))
}

fn no_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

/// A socket bound to the address; `None` for a protocol that the proxy does not speak.
fn open(address: SocketAddr, protocol: Protocol, only_its_family: bool) -> io::Result<Option<Socket>> {
    let kind = match protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
        Protocol::Sctp => return Ok(None),
    };
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let fd = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&fd, only_its_family)?;
    }
    if protocol == Protocol::Tcp {
        // Connections of an earlier container in TIME_WAIT must not hold the port.
        sockopt::set_socket_reuseaddr(&fd, true)?;
    }
    bind(&fd, &address)?;
    Ok(Some(match protocol {
        Protocol::Tcp => {
            listen(&fd, BACKLOG)?;
            Socket::Tcp(TcpListener::from(fd))
        }
        _ => Socket::Udp(UdpSocket::from(fd)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_occupied_port_is_an_error_that_names_it() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        let mappings = crate::ports::parse(&format!("127.0.0.1:{port}:80")).unwrap();
        let error = Publisher::bind(&mappings).err().unwrap();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot publish tcp port 127.0.0.1:{port} for container port 80: Address already in use (os error 98)"
            )
        );
        assert!(error.hint().unwrap().contains(&port.to_string()));
        // A port on every address is occupied by a listener on one of them.
        let mappings = crate::ports::parse(&format!("{port}:80")).unwrap();
        assert!(matches!(Publisher::bind(&mappings), Err(Error::Bind { .. })));
        // A range goes on to the next.
        if let Some(next) = port.checked_add(20) {
            let mappings = crate::ports::parse(&format!("127.0.0.1:{port}-{next}:80")).unwrap();
            let bound = Publisher::bind(&mappings).unwrap();
            assert!(bound.mappings()[0].host_port > port);
        }
    }

    #[test]
    fn a_foreign_address_and_sctp_are_refused() {
        let mappings = crate::ports::parse("192.0.2.99:0:80").unwrap();
        let error = Publisher::bind(&mappings).err().unwrap();
        assert_eq!(error.hint().unwrap(), "192.0.2.99 is not an address of this machine");
        let mappings = crate::ports::parse("80/sctp").unwrap();
        assert!(matches!(Publisher::bind(&mappings), Err(Error::Unpublishable { .. })));
    }
}
