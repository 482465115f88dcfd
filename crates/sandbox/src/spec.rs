//! What a sandbox is told: a plain struct with Docker's defaults.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use crate::capabilities::Capabilities;
use crate::cgroup::Cgroup;
use crate::seccomp::Seccomp;

/// A file tree that a process gets to see.
#[derive(Debug, Clone)]
pub enum Tree {
    /// A path of the caller's. It is cloned as a mount; what is mounted below it comes along only where that is asked.
    Path(PathBuf),
    /// Any descriptor of a file or directory (`O_PATH` is enough): cloned like a path. A descriptor below a detached
    /// mount needs Linux 6.15.
    Descriptor(Arc<OwnedFd>),
    /// A detached mount (see [`crate::overlay`] and [`crate::mount`]). It is moved, so it serves for one process;
    /// its descriptor can still be read through afterwards.
    Mount(Arc<OwnedFd>),
}

impl From<OwnedFd> for Tree {
    /// A detached mount.
    fn from(mount: OwnedFd) -> Self {
        Self::Mount(Arc::new(mount))
    }
}

impl From<PathBuf> for Tree {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

/// What is mounted at a place.
#[derive(Debug, Clone)]
pub enum MountKind {
    /// A file or directory of elsewhere.
    Bind {
        /// What is shown.
        source: Tree,
        /// Nothing can be written through it, nor through what is mounted below it.
        readonly: bool,
        /// Also shows what is mounted below the source.
        recursive: bool,
    },
    /// An empty file system in memory.
    Tmpfs {
        /// Largest size in bytes; `None` for half of the memory.
        size: Option<u64>,
        /// Permission bits of its root, such as `0o1777`.
        mode: u32,
        /// Owner of its root.
        uid: u32,
        /// Group of its root.
        gid: u32,
        /// Nothing on it can be executed.
        noexec: bool,
        /// Nothing on it can be written.
        readonly: bool,
    },
    /// A file in memory with these bytes, such as a secret.
    Data {
        /// The content.
        bytes: Vec<u8>,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Nothing can be written to it.
        readonly: bool,
    },
}

/// One mount inside the root. The order of mounts is by the depth of their targets, then as given.
#[derive(Debug, Clone)]
pub struct Mount {
    /// Where: a path inside the root, resolved as if the root were `/`. What is missing is made: directories with
    /// mode 0755, and at the end a file or directory as the source is.
    pub target: PathBuf,
    /// What.
    pub kind: MountKind,
}

/// A device node of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its path outside.
    pub source: PathBuf,
    /// Its path inside, below `/dev`.
    pub target: PathBuf,
}

impl From<PathBuf> for Device {
    /// The same path inside.
    fn from(path: PathBuf) -> Self {
        Self { source: path.clone(), target: path }
    }
}

/// The network that a process sees.
#[derive(Debug, Clone, Default)]
pub enum Network {
    /// A new namespace with nothing but loopback, which is up.
    #[default]
    None,
    /// The caller's.
    Host,
    /// A network namespace by descriptor, such as one of [`crate::netns::new_netns`].
    Join(Arc<OwnedFd>),
}

/// A resource limit (getrlimit(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimit {
    /// The number of the resource, as `libc::RLIMIT_NOFILE`; see [`crate::rlimit_by_name`].
    pub resource: u32,
    /// Soft limit; `u64::MAX` is unlimited.
    pub soft: u64,
    /// Hard limit; `u64::MAX` is unlimited.
    pub hard: u64,
}

/// What of `/proc`, `/sys` and the devices is out of reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confinement {
    /// Docker's: masked and read-only paths in `/proc`, `/sys` read-only, a private `/dev`.
    #[default]
    Docker,
    /// As `--privileged`: nothing masked, `/sys` writable, the host's devices. Capabilities and seccomp are set apart.
    Privileged,
}

/// Everything about one process in a root. `Spec::new(root, args)` gives Docker's defaults.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The root file system.
    pub root: Tree,
    /// Nothing can be written to the root itself; mounts in it keep their own setting.
    pub readonly_root: bool,
    /// Further mounts.
    pub mounts: Vec<Mount>,
    /// Program and arguments. A program without a slash is looked for in the `PATH` of `env`, inside the root.
    pub args: Vec<OsString>,
    /// The whole environment, as `NAME=value`.
    pub env: Vec<OsString>,
    /// Working directory inside the root.
    pub cwd: PathBuf,
    /// Makes the working directory (mode 0755, owner root) where it is missing, as Docker does.
    pub make_cwd: bool,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Additional groups.
    pub additional_gids: Vec<u32>,
    /// File creation mask.
    pub umask: u32,
    /// Capabilities: the bounding set, and for user 0 the permitted and effective sets.
    pub capabilities: Capabilities,
    /// Keeps them for other users too: in the inheritable and ambient sets.
    pub ambient: bool,
    /// Set-user-id programs and file capabilities give nothing.
    pub no_new_privileges: bool,
    /// System call filter.
    pub seccomp: Seccomp,
    /// Host name; the caller's where `None`.
    pub hostname: Option<String>,
    /// NIS domain name; the caller's where `None`.
    pub domainname: Option<String>,
    /// Network.
    pub network: Network,
    /// Shares the caller's process numbers; then killing the main process does not kill what it left running.
    pub host_pid: bool,
    /// Shares the caller's System V IPC and POSIX message queues.
    pub host_ipc: bool,
    /// Shares the caller's host name.
    pub host_uts: bool,
    /// `/proc`, `/sys` and `/dev`.
    pub confinement: Confinement,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: u64,
    /// Device nodes of the host that are seen in `/dev` too, such as `/dev/fuse`.
    pub devices: Vec<Device>,
    /// Resource limits. One that cannot be set is a warning, not an error.
    pub rlimits: Vec<Rlimit>,
    /// `oom_score_adj`, -1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// Control group that the process starts in.
    pub cgroup: Option<Arc<Cgroup>>,
    /// Mounts the process's control groups at `/sys/fs/cgroup`, read-only, in a control group namespace.
    pub mount_cgroup: bool,
    /// A small process 1 runs the program as its child, passes signals on to it and reaps orphans.
    pub init: bool,
    /// The kernel kills the process when the launcher goes. For build steps; a container may outlive its launcher.
    pub die_with_launcher: bool,
}

impl Spec {
    /// Docker's defaults: user 0, `/`, fourteen capabilities, the default seccomp profile, no network.
    #[must_use]
    pub fn new(root: Tree, args: Vec<OsString>) -> Self {
        Self {
            root,
            readonly_root: false,
            mounts: Vec::new(),
            args,
            env: vec![format!("PATH={DEFAULT_PATH}").into()],
            cwd: "/".into(),
            make_cwd: false,
            uid: 0,
            gid: 0,
            additional_gids: Vec::new(),
            umask: 0o022,
            capabilities: Capabilities::DOCKER,
            ambient: false,
            no_new_privileges: false,
            seccomp: Seccomp::Docker,
            hostname: None,
            domainname: None,
            network: Network::None,
            host_pid: false,
            host_ipc: false,
            host_uts: false,
            confinement: Confinement::Docker,
            shm_size: 64 << 20,
            devices: Vec::new(),
            rlimits: Vec::new(),
            oom_score_adj: None,
            cgroup: None,
            mount_cgroup: false,
            init: false,
            die_with_launcher: true,
        }
    }
}

/// The search path where the environment names none, as Docker's.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is run in a running container.
#[derive(Debug, Clone)]
pub struct ExecSpec {
    /// Program and arguments, as in [`Spec::args`].
    pub args: Vec<OsString>,
    /// The whole environment, as `NAME=value`.
    pub env: Vec<OsString>,
    /// Working directory inside the container's root.
    pub cwd: PathBuf,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Additional groups.
    pub additional_gids: Vec<u32>,
    /// File creation mask.
    pub umask: u32,
    /// Capabilities, as in [`Spec::capabilities`].
    pub capabilities: Capabilities,
    /// As in [`Spec::no_new_privileges`].
    pub no_new_privileges: bool,
    /// System call filter.
    pub seccomp: Seccomp,
    /// Resource limits, as in [`Spec::rlimits`].
    pub rlimits: Vec<Rlimit>,
    /// `oom_score_adj`, -1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// The kernel kills the process when the launcher goes.
    pub die_with_launcher: bool,
}

impl ExecSpec {
    /// Docker's defaults: user 0, `/`, fourteen capabilities, the default seccomp profile.
    #[must_use]
    pub fn new(args: Vec<OsString>) -> Self {
        Self {
            args,
            env: vec![format!("PATH={DEFAULT_PATH}").into()],
            cwd: "/".into(),
            uid: 0,
            gid: 0,
            additional_gids: Vec::new(),
            umask: 0o022,
            capabilities: Capabilities::DOCKER,
            no_new_privileges: false,
            seccomp: Seccomp::Docker,
            rlimits: Vec::new(),
            oom_score_adj: None,
            die_with_launcher: true,
        }
    }
}

/// Where one of a process's three standard streams goes.
#[derive(Debug, Clone, Default)]
pub enum Stream {
    /// `/dev/null`.
    #[default]
    Null,
    /// A pipe whose other end the [`crate::Child`] holds.
    Pipe,
    /// A descriptor of the caller's.
    Fd(Arc<OwnedFd>),
}

/// A process's standard streams.
#[derive(Debug, Clone)]
pub enum Stdio {
    /// Three streams.
    Streams {
        /// Standard input.
        stdin: Stream,
        /// Standard output.
        stdout: Stream,
        /// Standard error.
        stderr: Stream,
    },
    /// A new terminal of the container's own `/dev/pts`; the [`crate::Child`] holds its other side.
    Terminal {
        /// Rows and columns; `None` leaves 0 by 0.
        size: Option<(u16, u16)>,
    },
}

impl Default for Stdio {
    /// Nothing in, nothing out.
    fn default() -> Self {
        Self::Streams { stdin: Stream::Null, stdout: Stream::Null, stderr: Stream::Null }
    }
}

impl Stdio {
    /// Nothing in; standard output and error by pipes.
    #[must_use]
    pub fn piped() -> Self {
        Self::Streams { stdin: Stream::Null, stdout: Stream::Pipe, stderr: Stream::Pipe }
    }
}

/// The resource of a limit's name as `docker run --ulimit` takes it (`nofile`, `nproc`, `core`, ...).
#[must_use]
pub fn rlimit_by_name(name: &str) -> Option<u32> {
    Some(match name {
        "as" => libc::RLIMIT_AS,
        "core" => libc::RLIMIT_CORE,
        "cpu" => libc::RLIMIT_CPU,
        "data" => libc::RLIMIT_DATA,
        "fsize" => libc::RLIMIT_FSIZE,
        "locks" => libc::RLIMIT_LOCKS,
        "memlock" => libc::RLIMIT_MEMLOCK,
        "msgqueue" => libc::RLIMIT_MSGQUEUE,
        "nice" => libc::RLIMIT_NICE,
        "nofile" => libc::RLIMIT_NOFILE,
        "nproc" => libc::RLIMIT_NPROC,
        "rss" => libc::RLIMIT_RSS,
        "rtprio" => libc::RLIMIT_RTPRIO,
        "rttime" => libc::RLIMIT_RTTIME,
        "sigpending" => libc::RLIMIT_SIGPENDING,
        "stack" => libc::RLIMIT_STACK,
        _ => return None,
    })
}

/// The name of a resource, for warnings.
pub(crate) fn rlimit_name(resource: u32) -> &'static str {
    [
        "cpu",
        "fsize",
        "data",
        "stack",
        "core",
        "rss",
        "nproc",
        "nofile",
        "memlock",
        "as",
        "locks",
        "sigpending",
        "msgqueue",
        "nice",
        "rtprio",
        "rttime",
    ]
    .get(resource as usize)
    .copied()
    .unwrap_or("unknown")
}
