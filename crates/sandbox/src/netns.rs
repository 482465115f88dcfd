//! Network namespaces by descriptor, and work done inside one.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use crate::error::{Error, Result};
use crate::sys;

/// A new network namespace in which only loopback exists, up. It lives as long as a descriptor of it, a process in it
/// or a socket of it does.
///
/// # Errors
/// [`Error::Os`] when namespaces are not permitted.
pub fn new_netns() -> Result<OwnedFd> {
    let failed = |errno| Error::errno("make", "a network namespace", errno);
    on_own_thread(|| {
        sys::unshare(libc::CLONE_NEWNET).map_err(failed)?;
        sys::loopback_up().map_err(|errno| Error::errno("bring up", "lo", errno))?;
        let namespace = File::open("/proc/thread-self/ns/net")
            .map_err(|source| Error::os("open", "/proc/thread-self/ns/net", source))?;
        Ok(namespace.into())
    })
}

/// Runs a closure on a thread of its own inside a network namespace: sockets that it makes belong there for good.
///
/// # Errors
/// [`Error::Os`] when the namespace cannot be entered; else what the closure returns, as `Ok`.
pub fn with_netns<T: Send>(namespace: impl AsFd, work: impl FnOnce() -> T + Send) -> Result<T> {
    let fd = namespace.as_fd().as_raw_fd();
    on_own_thread(move || {
        sys::setns(fd, libc::CLONE_NEWNET)
            .map_err(|errno| Error::errno("enter", "a network namespace", errno))?;
        Ok(work())
    })
}

/// The network namespace of a process.
///
/// # Errors
/// [`Error::Os`] names the process.
pub fn of_process(pid: i32) -> Result<OwnedFd> {
    File::open(format!("/proc/{pid}/ns/net"))
        .map(OwnedFd::from)
        .map_err(|source| Error::os("open the network namespace of process", pid.to_string(), source))
}

/// The thread's namespaces change, so it is not one of a pool and ends afterwards.
fn on_own_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("netns".into())
            .spawn_scoped(scope, work)
            .map_err(|source| Error::os("start", "a thread", source))?;
        match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn loopback_works_inside_and_is_apart() {
        let namespace = new_netns().unwrap();
        let address = with_netns(&namespace, || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let mut client = TcpStream::connect(address).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            client.write_all(b"hi").unwrap();
            let mut got = [0; 2];
            server.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"hi");
            let devices = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
            assert_eq!(devices.lines().skip(2).count(), 1, "{devices}");
            (address, listener)
        })
        .unwrap();
        // The listener lives in the namespace, the address does not lead there from here.
        assert!(TcpStream::connect(address.0).is_err());
    }
}
