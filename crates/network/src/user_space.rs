//! The user-space path: a program reads the namespace's packets from a tap device and speaks for them with
//! ordinary sockets of the host. It needs no privilege over the host's network, and no forwarding.
//!
//! `slirp4netns` says when it is ready on a descriptor, and goes when another is closed. Both are the program's
//! standard descriptors here (a file given as standard input or output survives exec without unsafe code):
//! standard input is a pipe that it writes `1` to, standard output a socket whose other end this process holds,
//! so it also goes when this process is killed.
//!
//! `pasta` runs in the foreground, is given the namespace as its standard input (it gives up the right to open
//! other processes' descriptors first), and is ready when the namespace has a default route. Nothing tells it that
//! this process was killed: it then stays until the machine or its administrator ends it.

use std::io::Read;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::{Error, Result};
use crate::kernel::{netlink::Socket, route};
use crate::namespace;

/// How long a program may take to bring up a namespace. 20 ms is usual.
const PATIENCE: Duration = Duration::from_secs(10);

/// The device that tap interfaces are made with.
pub(crate) const TAP: &str = "/dev/net/tun";
/// The address that slirp4netns gives the namespace.
const SLIRP_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
/// The gateway that slirp4netns plays.
const SLIRP_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The name server that slirp4netns plays: it forwards to the host's resolver, a loopback one too.
pub(crate) const SLIRP_DNS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// Which program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Slirp,
    Pasta,
}

/// An installed user-space network program.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) kind: Kind,
    path: PathBuf,
}

/// What a program gave the namespace.
pub(crate) struct Connected {
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) running: Running,
}

/// A running program; it ends with this value.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// Held so that the program lives, and that its late messages go nowhere rather than kill it.
    _hold: Vec<OwnedFd>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Looks for the programs in these folders. slirp4netns comes first: it says when it is ready, and it ends when
    /// this process does.
    pub(crate) fn find(folders: &[PathBuf]) -> Option<Self> {
        [(Kind::Slirp, "slirp4netns"), (Kind::Pasta, "pasta")].into_iter().find_map(|(kind, name)| {
            folders
                .iter()
                .map(|folder| folder.join(name))
                .find(|path| path.is_file())
                .map(|path| Self { kind, path })
        })
    }

    /// The program's name as its package calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Slirp => "slirp4netns",
            Kind::Pasta => "pasta",
        }
    }

    /// Brings up a namespace.
    pub(crate) fn connect(&self, netns: BorrowedFd<'_>, rootless: bool) -> Result<Connected> {
        match self.kind {
            Kind::Slirp => self.slirp(netns),
            Kind::Pasta => self.pasta(netns, rootless),
        }
    }

    fn slirp(&self, netns: BorrowedFd<'_>) -> Result<Connected> {
        // The descriptor stays open until the program is ready, so this names the namespace for long enough.
        let target = &format!("/proc/{}/fd/{}", std::process::id(), netns.as_raw_fd());
        let trouble = |source: io::Error| self.error(source.to_string());
        let (ready, ready_writer) = io::pipe().map_err(trouble)?;
        let (life, life_of_program) = UnixStream::pair().map_err(trouble)?;
        let mut command = Command::new(&self.path);
        command
            .args(["--configure", "--mtu=65520", "--disable-host-loopback"])
            .args(["--ready-fd=0", "--exit-fd=1", "--netns-type=path", target, "tap0"])
            .stdin(Stdio::from(OwnedFd::from(ready_writer)))
            .stdout(Stdio::from(OwnedFd::from(life_of_program)));
        let (mut running, mut complaints) = self.start(command, vec![OwnedFd::from(life)])?;
        if !readable(ready.as_fd(), PATIENCE) {
            return Err(self.error("not ready after 10 s".to_owned()));
        }
        let mut word = [0; 1];
        match (&ready).read(&mut word) {
            Ok(1) => {}
            _ => {
                let _ = running.child.wait();
                return Err(self.error(last_words(&mut complaints)));
            }
        }
        running._hold.push(OwnedFd::from(complaints));
        Ok(Connected { address: Some(SLIRP_ADDRESS), gateway: Some(SLIRP_GATEWAY), running })
    }

    fn pasta(&self, netns: BorrowedFd<'_>, rootless: bool) -> Result<Connected> {
        let input = netns.try_clone_to_owned().map_err(|source| self.error(source.to_string()))?;
        let mut command = Command::new(&self.path);
        if !rootless {
            // As "nobody", which it would become, it may not enter root's namespace.
            command.args(["--runas", "0:0"]);
        }
        command
            .args(["--foreground", "--quiet", "--config-net", "--no-map-gw", "--ipv4-only"])
            .args(["-t", "none", "-u", "none", "-T", "none", "-U", "none"])
            .args(["--netns-only", "--netns", "/proc/self/fd/0"])
            .stdin(Stdio::from(input))
            .stdout(Stdio::null());
        let (mut running, mut complaints) = self.start(command, Vec::new())?;
        let start = Instant::now();
        loop {
            let found = namespace::within(netns, || {
                let mut socket = Socket::route()?;
                let Some(default) = route::default_route(&route::routes(&mut socket)?) else {
                    return Ok(None);
                };
                let Some(interface) = default.interface else { return Ok(None) };
                Ok(route::addresses(&mut socket, interface)?.first().map(|&(address, _)| address))
            })?;
            if let Some(address) = found {
                running._hold.push(OwnedFd::from(complaints));
                return Ok(Connected { address: Some(address), gateway: None, running });
            }
            if let Ok(Some(_)) = running.child.try_wait() {
                return Err(self.error(last_words(&mut complaints)));
            }
            if start.elapsed() > PATIENCE {
                return Err(self.error("not ready after 10 s".to_owned()));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Starts the program with its complaints in a pipe.
    fn start(&self, mut command: Command, hold: Vec<OwnedFd>) -> Result<(Running, io::PipeReader)> {
        let trouble = |source: io::Error| self.error(source.to_string());
        let (complaints, writer) = io::pipe().map_err(trouble)?;
        // Nobody reads once it runs: a full pipe must not stop the program.
        rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK)
            .map_err(|errno| self.error(errno.to_string()))?;
        // A process group of its own: Ctrl-C is for the container to end on, with its network still there.
        command.process_group(0);
        let child =
            command.stderr(Stdio::from(OwnedFd::from(writer))).current_dir("/").spawn().map_err(trouble)?;
        // The command holds this process's copies of the program's ends.
        drop(command);
        Ok((Running { child, _hold: hold }, complaints))
    }

    fn error(&self, problem: String) -> Error {
        Error::Program { program: self.path.display().to_string(), problem }
    }
}

/// Opens the tap device and closes it again: it is what both programs need first, and say least clearly.
pub(crate) fn check_tap() -> io::Result<()> {
    fs::File::options().read(true).write(true).open(TAP).map(|_| ())
}

/// Waits until there is something to read, or the other end is gone.
fn readable(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    let start = Instant::now();
    loop {
        let rest = patience.saturating_sub(start.elapsed());
        let timeout = Timespec::try_from(rest).ok();
        match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// The end of what the program said before it ended; the pipe's writer is gone, so this does not wait.
fn last_words(complaints: &mut io::PipeReader) -> String {
    let mut text = Vec::new();
    let _ = complaints.take(64 * 1024).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match &lines[lines.len().saturating_sub(3)..] {
        [] => "it ended without a word".to_owned(),
        words => words.join("; "),
    }
}
