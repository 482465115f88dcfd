//! Terminals: a container's own `/dev/pts` with a pair of pseudo terminals, and the client's terminal in raw mode.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, Termios, Winsize};

use crate::error::{Error, Result};
use crate::mount;
use crate::sys;

/// A pseudo terminal and the `/dev/pts` that it is in.
pub(crate) struct Pty {
    instance: Option<OwnedFd>,
    master: OwnedFd,
    slave: OwnedFd,
}

impl Pty {
    /// The first terminal of a new instance.
    pub(crate) fn new(uid: u32, size: Option<(u16, u16)>) -> Result<Self> {
        let instance = Self::new_instance()?;
        let mut pty = Self::open(&instance, uid, size)?;
        pty.instance = Some(instance);
        Ok(pty)
    }

    /// Another terminal of a running container.
    pub(crate) fn of_container(pid: i32, uid: u32, size: Option<(u16, u16)>) -> Result<Self> {
        let failed = |source| Error::os("open /dev/pts of the process", pid.to_string(), source);
        let root = File::open(format!("/proc/{pid}/root"))
            .map_err(|source| Error::os("open the root of the process", pid.to_string(), source))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let pts = rustix::fs::openat2(&root, "dev/pts", flags, Mode::empty(), resolve).map_err(failed)?;
        // The container may have put something else there.
        const DEVPTS_MAGIC: u64 = 0x1cd1;
        if rustix::fs::fstatfs(&pts).map_err(failed)?.f_type as u64 != DEVPTS_MAGIC {
            return Err(Error::Invalid(format!("/dev/pts of process {pid} is not a devpts file system")));
        }
        Self::open(&pts, uid, size)
    }

    /// An empty `/dev/pts`.
    pub(crate) fn new_instance() -> Result<OwnedFd> {
        let attributes = sys::MOUNT_ATTR_NOSUID | sys::MOUNT_ATTR_NOEXEC;
        let options = [(c"ptmxmode", c"0666"), (c"mode", c"0620"), (c"gid", c"5")];
        // A user namespace with one id has no group 5.
        mount::create(c"devpts", &options, attributes)
            .or_else(|_| mount::create(c"devpts", &options[..2], attributes))
    }

    fn open(instance: &OwnedFd, uid: u32, size: Option<(u16, u16)>) -> Result<Self> {
        let failed = |source| Error::os("open", "/dev/pts/ptmx", source);
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let master = rustix::fs::openat(instance, "ptmx", flags, Mode::empty()).map_err(failed)?;
        rustix::pty::unlockpt(&master).map_err(failed)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).map_err(failed)?;
        if uid != 0 {
            rustix::fs::fchown(&slave, Some(Uid::from_raw(uid)), None::<Gid>).map_err(failed)?;
        }
        if let Some((rows, columns)) = size {
            set_size(&master, rows, columns)?;
        }
        Ok(Self { instance: None, master, slave })
    }

    /// The mount for `/dev/pts`, for one use.
    pub(crate) fn instance(&self) -> Result<OwnedFd> {
        self.instance
            .as_ref()
            .ok_or_else(|| Error::Invalid("a terminal of another container".into()))?
            .try_clone()
            .map_err(|source| Error::os("duplicate", "/dev/pts", source))
    }

    /// Our side and the program's.
    pub(crate) fn split(self) -> (OwnedFd, OwnedFd) {
        (self.master, self.slave)
    }
}

/// Sets the size of a terminal (either side); its foreground processes get SIGWINCH when it changed.
///
/// # Errors
/// [`Error::Os`] when the descriptor is no terminal.
pub fn set_size(terminal: impl AsFd, rows: u16, columns: u16) -> Result<()> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal, size)
        .map_err(|source| Error::os("set the size of", "a terminal", source))
}

/// Rows and columns of a terminal.
///
/// # Errors
/// [`Error::Os`] when the descriptor is no terminal.
pub fn size(terminal: impl AsFd) -> Result<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(terminal)
        .map_err(|source| Error::os("read the size of", "a terminal", source))?;
    Ok((size.ws_row, size.ws_col))
}

/// Whether the descriptor is a terminal.
#[must_use]
pub fn is_terminal(fd: impl AsFd) -> bool {
    rustix::termios::isatty(fd)
}

/// The client's terminal in raw mode: every key goes to the container as it is. Dropping this restores it.
#[derive(Debug)]
pub struct RawMode {
    terminal: OwnedFd,
    before: Termios,
}

impl RawMode {
    /// Puts the terminal into raw mode.
    ///
    /// # Errors
    /// [`Error::Os`] when the descriptor is no terminal.
    pub fn enter(terminal: impl AsFd) -> Result<Self> {
        let failed = |source: std::io::Error| Error::os("change the mode of", "the terminal", source);
        let terminal = terminal.as_fd().try_clone_to_owned().map_err(failed)?;
        let before = rustix::termios::tcgetattr(&terminal).map_err(|error| failed(error.into()))?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &raw)
            .map_err(|error| failed(error.into()))?;
        Ok(Self { terminal, before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that has gone needs no restoring.
        let _ = rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}
