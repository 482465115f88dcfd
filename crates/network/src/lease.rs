//! Addresses of the bridge's subnet, each used by one namespace at a time, across processes.
//!
//! A lease is a bound socket in the abstract Unix namespace, named after the address. The kernel lets one process
//! bind a name, frees it when its owner dies however it dies, and keeps the names apart for each network
//! namespace: exactly the scope that the bridge has. So there is no state on disk, no lock file to be left
//! behind, nothing to collect, and two stores with roots of their own still share one bridge safely.
//!
//! The search starts at a random place, so that an address comes back late and two processes seldom meet.

use std::io;
use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::subnet::Subnet;

/// How long to wait for another process that sets up the same bridge.
const PATIENCE: Duration = Duration::from_secs(5);

/// A name in the abstract Unix namespace that this value alone holds.
#[derive(Debug)]
pub(crate) struct Claim {
    _socket: UnixDatagram,
}

impl Claim {
    /// Claims the name, `None` where somebody has it.
    fn try_new(name: &str) -> io::Result<Option<Self>> {
        let address = SocketAddr::from_abstract_name(name)?;
        match UnixDatagram::bind_addr(&address) {
            Ok(socket) => {
                // Nobody has business sending here; a full queue must not hold memory.
                let _ = socket.shutdown(std::net::Shutdown::Read);
                Ok(Some(Self { _socket: socket }))
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Claims the right to set up a bridge, waiting for others to finish.
    pub(crate) fn setup(bridge: &str) -> Result<Self> {
        let name = format!("jettison/{bridge}/setup");
        let start = Instant::now();
        loop {
            match Self::try_new(&name) {
                Ok(Some(claim)) => return Ok(claim),
                Ok(None) if start.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(1)),
                Ok(None) => return Err(Error::Locked { bridge: bridge.to_owned(), lock: name }),
                Err(source) => {
                    return Err(Error::kernel(format!("binding abstract socket `{name}`"), source));
                }
            }
        }
    }
}

/// An address that nobody else uses while this value lives.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) address: Ipv4Addr,
    _claim: Claim,
}

impl Lease {
    /// Takes a free address of the subnet.
    pub(crate) fn take(bridge: &str, subnet: Subnet) -> Result<Self> {
        let count = subnet.leasable();
        let start = if count == 0 { 0 } else { random() % count };
        for step in 0..count {
            let address = subnet.leasable_address((start + step) % count);
            let name = format!("jettison/{bridge}/{address}");
            match Claim::try_new(&name) {
                Ok(Some(claim)) => return Ok(Self { address, _claim: claim }),
                Ok(None) => {}
                Err(source) => {
                    return Err(Error::kernel(format!("binding abstract socket `{name}`"), source));
                }
            }
        }
        Err(Error::NoAddress { bridge: bridge.to_owned(), subnet: subnet.to_string(), tried: count })
    }
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK) {
        Ok(4) => u32::from_ne_bytes(bytes),
        // Early in boot; the place to start is no secret.
        _ => std::process::id(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn leases_are_unique_and_come_back() {
        let subnet: Subnet = "192.0.2.0/29".parse().unwrap();
        let leases: Vec<_> = (0..5).map(|_| Lease::take("lease-test", subnet).unwrap()).collect();
        let addresses: HashSet<_> = leases.iter().map(|lease| lease.address).collect();
        assert_eq!(addresses.len(), 5);
        assert!(!addresses.contains(&subnet.gateway()) && !addresses.contains(&subnet.broadcast()));
        let full = Lease::take("lease-test", subnet).unwrap_err().to_string();
        insta::assert_snapshot!(full, @"no free address in 192.0.2.0/29 on bridge `lease-test`: 5 are in use");
        drop(leases);
        assert!(Lease::take("lease-test", subnet).is_ok());
    }

    #[test]
    fn threads_never_share_an_address() {
        let subnet: Subnet = "198.51.100.0/26".parse().unwrap();
        let leases: Vec<Lease> = thread::scope(|scope| {
            let threads: Vec<_> = (0..6)
                .map(|_| {
                    scope.spawn(|| {
                        (0..10).map(|_| Lease::take("threads", subnet).unwrap()).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let addresses: HashSet<_> = leases.iter().map(|lease| lease.address).collect();
        assert_eq!(addresses.len(), 60);
    }
}
