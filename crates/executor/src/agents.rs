//! Ssh agents as a step sees them: a socket of ours, on a file system in memory that is mounted nowhere but in the step.
//! No directory of the host has it, and it ends with the step.

use crate::run::Held;
use crate::worker::Worker;
use crate::{Error, Result};
use rustix::fs::{AtFlags, Gid, Mode, Uid};
use sandbox::mount::{MountFlags, subtree, tmpfs_detached};
use sandbox::{MountKind, Tree};
use session::{Agent, Forward};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

/// The room for one socket; it has no content.
const SIZE: u64 = 64 << 10;

impl Worker {
    /// The socket of an agent as a mount. It is answered as long as `held` lives.
    pub(crate) fn lend(
        &self,
        agent: &Arc<Agent>,
        mode: u32,
        owner: Option<(u32, u32)>,
        held: &mut Held,
    ) -> Result<MountKind> {
        let fail = |source: std::io::Error| Error::Io {
            action: "make",
            path: "the socket of an ssh agent".into(),
            source,
        };
        let flags = MountFlags { nosuid: true, nodev: true, noexec: true, readonly: false };
        let directory = tmpfs_detached(Some(SIZE), 0o700, flags)?;
        // A socket's address is a path; this one is short, and nobody else's.
        let address = format!("/proc/self/fd/{}/agent", directory.as_raw_fd());
        let listener = UnixListener::bind(address).map_err(fail)?;
        if let Some((uid, gid)) = owner {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            rustix::fs::chownat(&directory, "agent", Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| fail(errno.into()))?;
        }
        let mode = Mode::from_raw_mode(mode & 0o777);
        rustix::fs::chmodat(&directory, "agent", mode, AtFlags::empty())
            .map_err(|errno| fail(errno.into()))?;
        let socket = subtree(directory, Path::new("agent"), false, false)?;
        held.agents.push(Forward::start(agent.clone(), listener).map_err(fail)?);
        Ok(MountKind::Bind { source: Tree::Mount(Arc::new(socket)), readonly: false, recursive: false })
    }
}
