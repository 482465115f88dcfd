//! Network namespaces: making one, and doing something inside one.
//!
//! A thread is in one network namespace at a time and sockets stay in the one that they were opened in, so work
//! in another namespace is a short-lived thread that moves there and ends.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::error::{Error, Result};
use crate::kernel::netlink::{Batch, Socket};

/// What Docker sets in each container's namespace: users other than root may take ports below 1024 and ping.
const SETTINGS: [(&str, &str); 2] = [
    ("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"),
    ("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"),
];

/// Runs `work` on a thread of its own in a fresh network namespace, and gives that namespace too.
pub(crate) fn in_new<T: Send>(work: impl FnOnce(BorrowedFd<'_>) -> Result<T> + Send) -> Result<(OwnedFd, T)> {
    on_thread(|| {
        make_new().map_err(|source| Error::kernel("making a network namespace", source))?;
        for (path, value) in SETTINGS {
            // A courtesy to programs: where /proc/sys is read-only, or the groups are not mapped, they do without.
            let _ = fs::write(path, value);
        }
        let netns = current()?;
        let value = work(netns.as_fd())?;
        Ok((netns, value))
    })
}

/// Runs `work` on a thread of its own in the namespace `netns`.
///
/// # Errors
/// When the thread may not enter the namespace (that needs CAP_SYS_ADMIN in the user namespace that owns it), or
/// what `work` says.
pub fn within<T: Send>(netns: BorrowedFd<'_>, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    on_thread(|| {
        enter(netns)?;
        work()
    })
}

/// A fresh namespace with nothing but its loopback interface, switched on: what `--network=none` is.
pub fn isolated() -> Result<OwnedFd> {
    in_new(|_| {
        let mut batch = Batch::new();
        batch.loopback_up();
        Socket::route()?.run(&batch)
    })
    .map(|(netns, ())| netns)
}

/// The calling thread's network namespace.
pub fn current() -> Result<OwnedFd> {
    let path = "/proc/thread-self/ns/net";
    File::open(path).map(OwnedFd::from).map_err(|source| Error::kernel(format!("opening {path}"), source))
}

/// Moves the calling thread into the namespace for good.
pub(crate) fn enter(netns: BorrowedFd<'_>) -> Result<()> {
    move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))
        .map_err(|errno| Error::kernel("entering a network namespace", errno))
}

/// Moves the calling thread into a fresh network namespace.
pub(crate) fn make_new() -> io::Result<()> {
    // Deprecated for CLONE_FILES alone, which is not asked for here: the descriptor table stays shared.
    #[allow(deprecated)]
    rustix::thread::unshare(UnshareFlags::NEWNET)?;
    Ok(())
}

fn on_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("netns".to_owned())
            .stack_size(256 * 1024)
            .spawn_scoped(scope, work)
            .map_err(|source| Error::kernel("starting a thread", source))?;
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
