//! What the child does, prepared to the last string, and how it reports.
//!
//! The child writes fixed records into a close-on-exec pipe; the end of the pipe means that exec worked.

use std::ffi::{CStr, CString, c_char};
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;

use crate::seccomp::Program;

/// A step of the child, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Step {
    ParentGone,
    Cgroup,
    CgroupNamespace,
    Join,
    Loopback,
    Hostname,
    Domainname,
    Propagation,
    AttachRoot,
    Mount,
    MakeTarget,
    Mask,
    ReadOnly,
    ReadOnlyRoot,
    Pivot,
    OldRoot,
    Cwd,
    Console,
    Limit,
    OomScore,
    Terminal,
    Streams,
    Bounding,
    Seccomp,
    Groups,
    Gid,
    Uid,
    Capabilities,
    NoNewPrivileges,
    Init,
    Exec,
    /// Must stay last.
    Unknown,
}

impl Step {
    pub(crate) fn from_number(number: u32) -> Self {
        if number < Self::Unknown as u32 {
            // SAFETY: the enum is repr(u32), starts at 0 and has no holes below `Unknown`.
            unsafe { std::mem::transmute::<u32, Self>(number) }
        } else {
            Self::Unknown
        }
    }
}

/// Added to the index of an exec error when the program is there but its interpreter is not.
pub(crate) const INTERPRETER_MISSING: u32 = 1_000_000;

/// What a record says.
pub(crate) const REPORT_ERROR: u32 = 1;
pub(crate) const REPORT_WARNING: u32 = 2;
pub(crate) const REPORT_CREATED: u32 = 3;

/// One message of the child.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Report {
    pub(crate) kind: u32,
    pub(crate) step: u32,
    /// Which mount, limit, ... of the plan.
    pub(crate) index: u32,
    pub(crate) errno: i32,
    /// For a created mount point: which prefix of the target, and the times of the directory it was made in.
    pub(crate) detail: [i64; 5],
}

impl Report {
    pub(crate) const SIZE: usize = size_of::<Self>();

    pub(crate) fn as_bytes(&self) -> &[u8] {
        // SAFETY: repr(C) of integers without padding (4 * 4 + 5 * 8 bytes).
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), Self::SIZE) }
    }

    pub(crate) fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        // SAFETY: any bytes are a value of a struct of integers; the read need not be aligned.
        unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) }
    }
}

/// A place in the root: every prefix of its path, relative to the root, shortest first. Empty means the root.
#[derive(Debug, Default)]
pub(crate) struct Target {
    pub(crate) prefixes: Vec<CString>,
    /// The last component of each prefix.
    pub(crate) names: Vec<CString>,
    /// What a missing last component becomes.
    pub(crate) is_file: bool,
    /// Whether missing components are made.
    pub(crate) make: bool,
}

impl Target {
    pub(crate) fn path(&self) -> &CStr {
        self.prefixes.last().map_or(c".", |path| path.as_c_str())
    }
}

/// One thing to do to the mount tree.
#[derive(Debug)]
pub(crate) enum MountOp {
    /// Move a detached mount to its place.
    Attach { target: Target, fd: RawFd },
    /// Make a file system in the child's own namespaces (`proc`, `mqueue`, `sysfs`, `cgroup2`), or else move the
    /// fallback.
    New {
        target: Target,
        fstype: &'static CStr,
        /// An option without a value: a controller of control groups, version 1.
        flag: Option<CString>,
        attributes: u64,
        fallback: Option<RawFd>,
        /// Carries on with a warning when it cannot be made.
        optional: bool,
    },
    /// Bind a device of the container's own `/dev` (or of the given path) over a file.
    Console { target: Target, terminal: CString },
    /// Hide a path: `/dev/null` over a file, an empty read-only directory (this mount) over a directory.
    Mask { target: Target, directory: Option<RawFd> },
    /// Make what is at a path read-only.
    ReadOnly { target: Target },
}

impl MountOp {
    pub(crate) fn target(&self) -> &Target {
        match self {
            Self::Attach { target, .. }
            | Self::New { target, .. }
            | Self::Console { target, .. }
            | Self::Mask { target, .. }
            | Self::ReadOnly { target } => target,
        }
    }
}

/// A root to move into.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) fd: RawFd,
    pub(crate) readonly: bool,
}

/// Everything the child does between clone and exec.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) clone_flags: u64,
    pub(crate) into_cgroup: Option<RawFd>,
    /// A pidfd whose process namespace the cloning thread joins first, as that holds for children only.
    pub(crate) join_pid: Option<RawFd>,
    /// The write end of the report pipe.
    pub(crate) report: RawFd,
    /// Set when the child dies with the launcher: a pidfd of the launcher's process.
    pub(crate) launcher: Option<RawFd>,
    /// Files of control groups to write `0` into.
    pub(crate) cgroups: Vec<RawFd>,
    pub(crate) new_cgroup_namespace: bool,
    /// Namespaces to join: descriptor and kinds.
    pub(crate) joins: Vec<(RawFd, i32)>,
    pub(crate) loopback: bool,
    pub(crate) hostname: Option<CString>,
    pub(crate) domainname: Option<CString>,
    pub(crate) root: Option<Root>,
    /// Root and working directory to take without a new root (a process in a running container).
    pub(crate) mounts: Vec<MountOp>,
    pub(crate) cwd: CString,
    /// Every prefix of the working directory, when it is to be made.
    pub(crate) make_cwd: Vec<CString>,
    pub(crate) rlimits: Vec<(u32, u64, u64)>,
    pub(crate) oom_score: Option<CString>,
    pub(crate) umask: u32,
    /// What becomes descriptors 0, 1 and 2.
    pub(crate) streams: [RawFd; 3],
    /// Descriptor 0 becomes the controlling terminal.
    pub(crate) terminal: bool,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// `None` where groups cannot be set (a user namespace with one id).
    pub(crate) groups: Option<Vec<u32>>,
    pub(crate) bounding: u64,
    pub(crate) last_capability: u32,
    pub(crate) capabilities: u64,
    /// Those of them that stay through exec whoever the user is.
    pub(crate) ambient: u64,
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp: Option<Program>,
    pub(crate) init: bool,
    pub(crate) exec: Exec,
    /// Descriptors that live until the clone is done.
    pub(crate) held: Vec<Arc<OwnedFd>>,
}

// SAFETY: the raw pointers inside `exec` point into its own heap strings, which move with it.
unsafe impl Send for Plan {}

/// The program to run.
#[derive(Debug)]
pub(crate) struct Exec {
    /// Where it may be, in order.
    pub(crate) candidates: Vec<CString>,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    _args: Vec<CString>,
    _env: Vec<CString>,
}

impl Exec {
    pub(crate) fn new(candidates: Vec<CString>, args: Vec<CString>, env: Vec<CString>) -> Self {
        let pointers = |strings: &[CString]| {
            strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
        };
        Self { candidates, argv: pointers(&args), envp: pointers(&env), _args: args, _env: env }
    }

    pub(crate) fn argv(&self) -> *const *const c_char {
        self.argv.as_ptr()
    }

    pub(crate) fn envp(&self) -> *const *const c_char {
        self.envp.as_ptr()
    }
}
