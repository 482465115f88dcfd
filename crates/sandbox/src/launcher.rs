//! Clones processes from threads that live as long as the launcher.
//!
//! The parent-death signal fires when the *thread* that made a child ends, so threads of a pool must not clone. Only
//! the clone runs on the launcher's threads: preparing and waiting for the report happen in the caller's, so several
//! processes start at once. One thread is enough unless children share its memory ([`sharing`]): then it waits for each
//! until that has executed its program, and where more are wanted meanwhile there are up to [`MOST_THREADS`].

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::process::{Pid, PidfdFlags};

use crate::child_handle::{Child, Process};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::mountpoint::Created;
use crate::plan::{self, Plan, REPORT_CREATED, REPORT_WARNING, Report, Step};
use crate::prepare::{self, Preparation};
use crate::sharing::{self, Stack};
use crate::spec::{ExecSpec, Spec, Stdio};
use crate::stock::Stock;
use crate::sys::{self, Cloned};

struct Request {
    plan: Box<Plan>,
    reply: SyncSender<ClonedProcess>,
}

/// The most threads of a launcher.
const MOST_THREADS: usize = 4;

/// Starts processes. Dropping it kills those that die with their launcher.
#[derive(Debug)]
pub struct Launcher {
    requests: Option<Sender<Request>>,
    incoming: Arc<Mutex<Receiver<Request>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// How many requests have no answer yet.
    open: AtomicUsize,
    shares_memory: bool,
    host: Host,
    stock: Stock,
    me: Arc<OwnedFd>,
}

impl Launcher {
    /// Starts the thread that clones. After [`crate::rootless::enter`], not before.
    ///
    /// # Errors
    /// [`Error::Os`] when no thread can be had.
    pub fn new() -> Result<Self> {
        let me = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
            .map_err(|source| Error::os("open", "a pidfd of this process", source))?;
        let (requests, incoming) = channel::<Request>();
        let host = Host::detect();
        let launcher = Self {
            requests: Some(requests),
            incoming: Arc::new(Mutex::new(incoming)),
            threads: Mutex::default(),
            open: AtomicUsize::new(0),
            shares_memory: sharing::is_possible(&host),
            host,
            stock: Stock::default(),
            me: Arc::new(me),
        };
        launcher.ready(1)?;
        Ok(launcher)
    }

    /// Sees to it that there are so many threads, or [`MOST_THREADS`].
    fn ready(&self, count: usize) -> Result<()> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.len() < count.min(MOST_THREADS) {
            let (incoming, shares) = (self.incoming.clone(), self.shares_memory);
            let thread = std::thread::Builder::new()
                .name("launcher".into())
                .spawn(move || serve(&incoming, shares))
                .map_err(|source| Error::os("start", "the launcher's thread", source))?;
            threads.push(thread);
        }
        Ok(())
    }

    /// Has one of the threads clone.
    fn clone(&self, plan: Box<Plan>) -> Result<ClonedProcess> {
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        let cloned = (|| {
            if self.shares_memory {
                self.ready(open)?;
            }
            let (reply, answer) = sync_channel(1);
            let requests = self.requests.as_ref().ok_or(Error::LauncherGone)?;
            requests.send(Request { plan, reply }).map_err(|_| Error::LauncherGone)?;
            answer.recv().map_err(|_| Error::LauncherGone)
        })();
        self.open.fetch_sub(1, Ordering::Relaxed);
        cloned
    }

    /// Starts a process in a new sandbox. When this returns, the program has been executed.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::NotExecutable`] about the program, [`Error::Start`] about a step before it, and
    /// the errors of preparing. Nothing is left running then.
    pub fn spawn(&self, spec: &Spec, stdio: &Stdio) -> Result<Child> {
        let (read, write) = prepare::pipe()?;
        let mut prepared = prepare::sandbox(&self.host, &self.stock, spec, stdio, write.as_raw_fd())?;
        if spec.die_with_launcher {
            prepared.plan.launcher = Some(self.me.as_raw_fd());
        }
        let program = spec.args[0].to_string_lossy().into_owned();
        start(prepared, program, read, write, !spec.host_pid, |plan| self.clone(plan))
    }

    /// Runs a process in the container whose main process is `pid` (a child of the caller's, or one that it knows to
    /// be alive): in its root, namespaces and control groups.
    ///
    /// # Errors
    /// As [`Launcher::spawn`].
    pub fn exec_in(&self, pid: i32, spec: &ExecSpec, stdio: &Stdio) -> Result<Child> {
        let pid = enterable(pid);
        let process = Pid::from_raw(pid).ok_or_else(|| Error::Invalid(format!("{pid} is no process")))?;
        let pidfd = rustix::process::pidfd_open(process, PidfdFlags::empty())
            .map_err(|source| Error::os("open the process", pid.to_string(), source))?;
        let (read, write) = prepare::pipe()?;
        let mut prepared = prepare::exec(&self.host, pid, &Arc::new(pidfd), spec, stdio, write.as_raw_fd())?;
        if spec.die_with_launcher {
            prepared.plan.launcher = Some(self.me.as_raw_fd());
        }
        let program = spec.args[0].to_string_lossy().into_owned();
        let (hand_over, taken) = channel::<Arc<Process>>();
        let child = start(prepared, program, read, write, false, |plan| {
            let (reply, answer) = sync_channel(1);
            // A thread of its own, as it cannot always come back from the other process namespace. It stays until
            // the child ends, for the parent-death signal, and reaps it at once: the end of a process namespace waits
            // for every process in it to be reaped, so an unreaped guest would hold up the main process for ever.
            std::thread::Builder::new()
                .name("exec".into())
                .spawn(move || {
                    sys::block_signals();
                    let done = clone(&plan);
                    drop(plan);
                    let _ = reply.send(done);
                    // Nothing comes when the start failed.
                    if let Ok(process) = taken.recv() {
                        Child::reap(&process);
                    }
                })
                .map_err(|source| Error::os("start", "a thread", source))?;
            answer.recv().map_err(|_| Error::LauncherGone)
        })?;
        let _ = hand_over.send(child.process());
        Ok(child)
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        self.requests = None;
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// What a thread of a launcher does until the launcher ends.
fn serve(incoming: &Mutex<Receiver<Request>>, shares_memory: bool) {
    sys::block_signals();
    // Without a stack for them children have copies of everything.
    let mut stack = if shares_memory { Stack::new().ok() } else { None };
    loop {
        let next = incoming.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Request { plan, reply }) = next else { return };
        let done = match &mut stack {
            Some(stack) if sharing::is_for(&plan) => {
                // SAFETY: the kernel made this descriptor for us alone.
                let owned = |(pid, pidfd)| (pid, unsafe { OwnedFd::from_raw_fd(pidfd) });
                stack.clone(&plan).map(owned).map_err(|errno| (Step::Unknown, errno))
            }
            _ => clone(&plan),
        };
        // The caller may be gone; the plan's descriptors close with it.
        drop(plan);
        let _ = reply.send(done);
    }
}

/// What a clone came to: process number and pidfd.
type ClonedProcess = std::result::Result<(i32, OwnedFd), (Step, i32)>;

/// Has the plan cloned and listens to the child until it has executed the program.
fn start(
    prepared: Preparation,
    program: String,
    read: OwnedFd,
    write: OwnedFd,
    leads_namespace: bool,
    clone: impl FnOnce(Box<Plan>) -> Result<ClonedProcess>,
) -> Result<Child> {
    let Preparation { mut plan, ends, shared } = prepared;
    plan.held.push(Arc::new(write));
    let names = Names::of(&plan, program);
    let (pid, pidfd) = clone(Box::new(plan))?.map_err(|(step, errno)| {
        names.error(&Report { kind: 0, step: step as u32, index: 0, errno, detail: [0; 5] })
    })?;
    let mut child = Child::new(pid, pidfd, ends, leads_namespace);
    child.shared = shared;
    let mut reader = File::from(read);
    let mut bytes = [0u8; Report::SIZE];
    while reader.read_exact(&mut bytes).is_ok() {
        let report = Report::from_bytes(&bytes);
        match report.kind {
            REPORT_CREATED => child.created.extend(names.created(&report)),
            REPORT_WARNING => child.warnings.push(names.warning(&report)),
            _ => {
                // It has said its last word and ends by itself; dropping `child` makes sure and reaps it.
                return Err(names.error(&report));
            }
        }
    }
    Ok(child)
}

/// The process whose namespaces are entered: the main one, or its first child where the main one is a hidden init and
/// this process is not root (the memory of that init belongs to the initial user namespace, so nobody else may look).
fn enterable(pid: i32) -> i32 {
    let denied = std::fs::read_link(format!("/proc/{pid}/ns/mnt"))
        .is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
    if !denied {
        return pid;
    }
    // Kernels without CONFIG_PROC_CHILDREN have no list of children, so look through all processes: the lowest number
    // is the oldest child.
    let parent = |child: i32| -> Option<i32> {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
        // `1 (name) S 0 ...`; the name may hold anything.
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|child| parent(*child) == Some(pid))
        .min()
        .unwrap_or(pid)
}

/// Clones; every signal is blocked in the calling thread.
fn clone(plan: &Plan) -> ClonedProcess {
    if let Some(pidfd) = plan.join_pid {
        sys::setns(pidfd, libc::CLONE_NEWPID).map_err(|errno| (Step::Join, errno))?;
    }
    // SAFETY: the child runs `child::run`, which makes raw system calls on the plan and execs or exits.
    match unsafe { sys::clone(plan.clone_flags, plan.into_cgroup) } {
        Ok(Cloned::Child) => crate::child::run(plan),
        // SAFETY: the kernel made this descriptor for us alone.
        Ok(Cloned::Parent { pid, pidfd }) => Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) })),
        Err(errno) => Err((Step::Unknown, errno)),
    }
}

/// What messages need of a plan that is gone by then.
struct Names {
    program: String,
    candidates: usize,
    mounts: Vec<Vec<PathBuf>>,
    files: Vec<bool>,
    limits: Vec<(u32, u64, u64)>,
    cwd: String,
    hostname: String,
    uid: u32,
    gid: u32,
}

impl Names {
    fn of(plan: &Plan, program: String) -> Self {
        let path = |path: &std::ffi::CString| {
            use std::os::unix::ffi::OsStrExt;
            PathBuf::from("/").join(std::ffi::OsStr::from_bytes(path.to_bytes()))
        };
        Self {
            program,
            candidates: plan.exec.candidates.len(),
            mounts: plan.mounts.iter().map(|op| op.target().prefixes.iter().map(path).collect()).collect(),
            files: plan.mounts.iter().map(|op| op.target().is_file).collect(),
            limits: plan.rlimits.clone(),
            cwd: plan.cwd.to_string_lossy().into_owned(),
            hostname: plan.hostname.as_ref().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
            uid: plan.uid,
            gid: plan.gid,
        }
    }

    fn mount(&self, index: u32) -> String {
        self.mounts
            .get(index as usize)
            .and_then(|prefixes| prefixes.last())
            .map_or_else(|| "?".into(), |path| path.display().to_string())
    }

    fn step(&self, report: &Report) -> String {
        let mount = || self.mount(report.index);
        match Step::from_number(report.step) {
            Step::ParentGone => "stay with the launcher".into(),
            Step::Cgroup => "join the control group".into(),
            Step::CgroupNamespace => "make a control group namespace".into(),
            Step::Join => "join the namespaces".into(),
            Step::Loopback => "bring up the loopback interface".into(),
            Step::Hostname => format!("set the host name `{}`", self.hostname),
            Step::Domainname => "set the domain name".into(),
            Step::Propagation => "make the mount tree private".into(),
            Step::AttachRoot => "mount the root".into(),
            Step::Mount => format!("mount `{}`", mount()),
            Step::MakeTarget => format!("make the mount point `{}`", mount()),
            Step::Mask => format!("mask `{}`", mount()),
            Step::ReadOnly => format!("make `{}` read-only", mount()),
            Step::ReadOnlyRoot => "make the root read-only".into(),
            Step::Pivot => "enter the root".into(),
            Step::OldRoot => "leave the old root".into(),
            Step::Cwd => format!("change directory to `{}`", self.cwd),
            Step::Console => "mount `/dev/console`".into(),
            Step::Limit => {
                let (resource, soft, hard) =
                    self.limits.get(report.index as usize).copied().unwrap_or((u32::MAX, 0, 0));
                format!("set the limit {} to {soft}:{hard}", crate::spec::rlimit_name(resource))
            }
            Step::OomScore => "set the oom score".into(),
            Step::Terminal => "take the terminal".into(),
            Step::Streams => "set up the standard streams".into(),
            Step::Bounding => "drop capabilities from the bounding set".into(),
            Step::Seccomp => "load the seccomp filter".into(),
            Step::Groups => "set the additional groups".into(),
            Step::Gid => format!("become group {}", self.gid),
            Step::Uid => format!("become user {}", self.uid),
            Step::Capabilities => "set the capabilities".into(),
            Step::NoNewPrivileges => "forbid new privileges".into(),
            Step::Init => "start the init process".into(),
            Step::Exec => "exec".into(),
            Step::Unknown => "clone".into(),
        }
    }

    fn error(&self, report: &Report) -> Error {
        let program = self.program.clone();
        let source = std::io::Error::from_raw_os_error(report.errno);
        if Step::from_number(report.step) == Step::Exec {
            let missing = |reason: &str| Error::NotFound { program: program.clone(), reason: reason.into() };
            return match report.errno {
                libc::ENOENT if report.index >= plan::INTERPRETER_MISSING => {
                    missing("its interpreter: no such file or directory")
                }
                libc::ENOENT if program.contains('/') => missing("no such file or directory"),
                libc::ENOENT => missing("executable file not found in $PATH"),
                _ => Error::NotExecutable { program, source },
            };
        }
        let _ = self.candidates;
        let mut step = self.step(report);
        if report.errno == libc::EINVAL
            && matches!(Step::from_number(report.step), Step::Uid | Step::Gid | Step::Groups)
        {
            step.push_str(" (this user namespace does not map it)");
        }
        Error::Start { program, step, source }
    }

    fn warning(&self, report: &Report) -> String {
        format!("cannot {}: {}", self.step(report), std::io::Error::from_raw_os_error(report.errno))
    }

    fn created(&self, report: &Report) -> Option<Created> {
        let prefixes = self.mounts.get(report.index as usize)?;
        let number = usize::try_from(report.detail[0]).ok()?;
        let [_, atime, atime_ns, mtime, mtime_ns] = report.detail;
        Some(Created {
            path: prefixes.get(number)?.clone(),
            is_file: number + 1 == prefixes.len() && self.files[report.index as usize],
            parent_times: [(atime, atime_ns), (mtime, mtime_ns)],
        })
    }
}
