//! From a specification to a plan: everything that can be done before the clone, in the parent, with real errors.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Gid, Uid};

use crate::capabilities::Capabilities;
use crate::cgroup;
use crate::device;
use crate::error::{Error, Result};
use crate::host::{self, Host};
use crate::mount::{self, MountFlags};
use crate::plan::{Exec, MountOp, Plan, Root, Target};
use crate::seccomp::Seccomp;
use crate::spec::{
    Confinement, DEFAULT_PATH, ExecSpec, Mount, MountKind, Network, Rlimit, Spec, Stdio, Stream, Tree,
};
use crate::stock::{Data, Shared, Stock};
use crate::sys::{self, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY};
use crate::tty::Pty;

/// The longest path, argument list and mount list that make sense; beyond them the kernel would refuse later.
const MAX_MOUNTS: usize = 4096;

/// The parent's ends of the streams.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
    pub(crate) terminal: Option<OwnedFd>,
}

/// What both kinds of process have in common.
struct Process<'a> {
    args: &'a [OsString],
    env: &'a [OsString],
    cwd: &'a Path,
    make_cwd: bool,
    uid: u32,
    gid: u32,
    additional_gids: &'a [u32],
    umask: u32,
    capabilities: Capabilities,
    ambient: bool,
    no_new_privileges: bool,
    seccomp: Seccomp,
    rlimits: &'a [Rlimit],
    oom_score_adj: Option<i32>,
}

/// A plan in the making, with the descriptors that it needs.
pub(crate) struct Preparation {
    pub(crate) plan: Plan,
    pub(crate) ends: Ends,
    /// Files that stay as long as the process.
    pub(crate) shared: Vec<Shared>,
}

/// The plan for a process in a new sandbox.
pub(crate) fn sandbox(
    host: &Host,
    stock: &Stock,
    spec: &Spec,
    stdio: &Stdio,
    report: RawFd,
) -> Result<Preparation> {
    let confined = spec.confinement == Confinement::Docker;
    let mut plan = process(
        host,
        &Process {
            args: &spec.args,
            env: &spec.env,
            cwd: &spec.cwd,
            make_cwd: spec.make_cwd,
            uid: spec.uid,
            gid: spec.gid,
            additional_gids: &spec.additional_gids,
            umask: spec.umask,
            capabilities: spec.capabilities,
            ambient: spec.ambient,
            no_new_privileges: spec.no_new_privileges,
            seccomp: spec.seccomp,
            rlimits: &spec.rlimits,
            oom_score_adj: spec.oom_score_adj,
        },
        report,
    )?;
    plan.init = spec.init;
    plan.hostname = name(spec.hostname.as_deref(), "host name")?;
    plan.domainname = name(spec.domainname.as_deref(), "domain name")?;

    let flag = |new: bool, flag: i32| if new { flag as u64 } else { 0 };
    plan.clone_flags = libc::CLONE_NEWNS as u64
        | flag(!spec.host_pid, libc::CLONE_NEWPID)
        | flag(!spec.host_ipc, libc::CLONE_NEWIPC)
        | flag(!spec.host_uts, libc::CLONE_NEWUTS)
        | flag(matches!(spec.network, Network::None), libc::CLONE_NEWNET);
    plan.loopback = matches!(spec.network, Network::None);
    if let Network::Join(namespace) = &spec.network {
        plan.joins.push((namespace.as_raw_fd(), libc::CLONE_NEWNET));
        plan.held.push(namespace.clone());
    }
    if let Some(group) = &spec.cgroup {
        plan.into_cgroup = group.unified_fd();
        plan.cgroups = group.task_fds().collect();
    }
    plan.new_cgroup_namespace = spec.cgroup.is_some() || spec.mount_cgroup;

    let root = tree(&spec.root, true)?;
    if confined {
        // Device nodes that an image brings, or that a step makes, must not open: only those of `/dev` do.
        attributes(&root, true, MOUNT_ATTR_NODEV)?;
    }
    plan.root = Some(Root { fd: root.as_raw_fd(), readonly: spec.readonly_root });
    plan.held.push(root);

    let pty = match stdio {
        Stdio::Terminal { size } => Some(Pty::new(spec.uid, *size)?),
        Stdio::Streams { .. } => None,
    };
    default_mounts(host, spec, pty.as_ref(), &mut plan)?;
    let mut mounts: Vec<&Mount> = spec.mounts.iter().collect();
    mounts.sort_by_key(|mount| mount.target.components().count());
    if mounts.len() > MAX_MOUNTS {
        return Err(Error::Invalid(format!("{} mounts; the limit is {MAX_MOUNTS}", mounts.len())));
    }
    let mut shared = Vec::new();
    for mount in mounts {
        shared.extend(own_mount(mount, confined, stock, &mut plan)?);
    }
    if confined {
        confine(stock, &mut plan)?;
    }
    let ends = streams(stdio, pty, spec.uid, &mut plan)?;
    Ok(Preparation { plan, ends, shared })
}

/// The plan for a process in the container of `pid`, whose pidfd is `pidfd`.
pub(crate) fn exec(
    host: &Host,
    pid: i32,
    pidfd: &Arc<OwnedFd>,
    spec: &ExecSpec,
    stdio: &Stdio,
    report: RawFd,
) -> Result<Preparation> {
    let mut plan = process(
        host,
        &Process {
            args: &spec.args,
            env: &spec.env,
            cwd: &spec.cwd,
            make_cwd: false,
            uid: spec.uid,
            gid: spec.gid,
            additional_gids: &spec.additional_gids,
            umask: spec.umask,
            capabilities: spec.capabilities,
            ambient: false,
            no_new_privileges: spec.no_new_privileges,
            seccomp: spec.seccomp,
            rlimits: &spec.rlimits,
            oom_score_adj: spec.oom_score_adj,
        },
        report,
    )?;
    for group in cgroup::open_groups_of(pid) {
        plan.cgroups.push(group.as_raw_fd());
        plan.held.push(Arc::new(group));
    }
    // A namespace that is shared is not joined: without root there may be no right to.
    let link = |of: &str, name: &str| std::fs::read_link(format!("/proc/{of}/ns/{name}"));
    let mut kinds = 0;
    for (name, kind) in [
        ("mnt", libc::CLONE_NEWNS),
        ("net", libc::CLONE_NEWNET),
        ("ipc", libc::CLONE_NEWIPC),
        ("uts", libc::CLONE_NEWUTS),
        ("cgroup", libc::CLONE_NEWCGROUP),
        ("pid", libc::CLONE_NEWPID),
    ] {
        let theirs = link(&pid.to_string(), name)
            .map_err(|source| Error::os("look at the namespaces of process", pid.to_string(), source))?;
        if link("self", name).ok() != Some(theirs) {
            kinds |= kind;
        }
    }
    if kinds & libc::CLONE_NEWPID != 0 {
        plan.join_pid = Some(pidfd.as_raw_fd());
    }
    match kinds & !libc::CLONE_NEWPID {
        0 => {}
        kinds => plan.joins.push((pidfd.as_raw_fd(), kinds)),
    }
    plan.held.push(pidfd.clone());
    let pty = match stdio {
        Stdio::Terminal { size } => Some(Pty::of_container(pid, spec.uid, *size)?),
        Stdio::Streams { .. } => None,
    };
    let ends = streams(stdio, pty, spec.uid, &mut plan)?;
    Ok(Preparation { plan, ends, shared: Vec::new() })
}

fn process(host: &Host, process: &Process<'_>, report: RawFd) -> Result<Plan> {
    let program = process.args.first().ok_or_else(|| Error::Invalid("no command was given".into()))?;
    if program.is_empty() {
        return Err(Error::NotFound { program: String::new(), reason: "the command is empty".into() });
    }
    let strings = |strings: &[OsString], what: &str| -> Result<Vec<CString>> {
        strings.iter().map(|string| c_string(string, what)).collect()
    };
    let exec = Exec::new(
        candidates(program, process.env)?,
        strings(process.args, "argument")?,
        strings(process.env, "environment variable")?,
    );
    if !process.cwd.is_absolute() {
        return Err(Error::Invalid(format!("the directory `{}` is not absolute", process.cwd.display())));
    }
    let have = process.capabilities.bits() & host.capabilities;
    Ok(Plan {
        clone_flags: 0,
        into_cgroup: None,
        join_pid: None,
        report,
        launcher: None,
        cgroups: Vec::new(),
        new_cgroup_namespace: false,
        joins: Vec::new(),
        loopback: false,
        hostname: None,
        domainname: None,
        root: None,
        mounts: Vec::new(),
        cwd: c_string(process.cwd.as_os_str(), "directory")?,
        make_cwd: if process.make_cwd { absolute_prefixes(process.cwd)? } else { Vec::new() },
        rlimits: process.rlimits.iter().map(|limit| (limit.resource, limit.soft, limit.hard)).collect(),
        oom_score: process
            .oom_score_adj
            .map(|score| CString::new(score.to_string()).expect("digits hold no NUL")),
        umask: process.umask,
        streams: [-1; 3],
        terminal: false,
        uid: process.uid,
        gid: process.gid,
        groups: if host.groups_denied { None } else { Some(process.additional_gids.to_vec()) },
        bounding: process.capabilities.bits(),
        last_capability: Capabilities::LAST,
        // Exec gives other users none of them but the ambient ones, so they get none before it either.
        capabilities: if process.uid == 0 || process.ambient { have } else { 0 },
        ambient: if process.ambient { have } else { 0 },
        no_new_privileges: process.no_new_privileges,
        seccomp: process.seccomp.program(process.capabilities),
        init: false,
        exec,
        held: Vec::new(),
    })
}

fn c_string(string: &OsStr, what: &str) -> Result<CString> {
    CString::new(string.as_bytes())
        .map_err(|_| Error::Invalid(format!("the {what} `{}` holds a NUL byte", string.to_string_lossy())))
}

fn name(name: Option<&str>, what: &str) -> Result<Option<CString>> {
    name.map(|name| {
        if name.len() > 64 {
            return Err(Error::Invalid(format!("the {what} `{name}` is longer than 64 bytes")));
        }
        c_string(OsStr::new(name), what)
    })
    .transpose()
}

/// Where the program may be: itself when it holds a slash, else in each directory of the last `PATH`.
fn candidates(program: &OsStr, env: &[OsString]) -> Result<Vec<CString>> {
    let bytes = program.as_bytes();
    if bytes.contains(&b'/') {
        return Ok(vec![c_string(program, "command")?]);
    }
    let path = env.iter().rev().find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="));
    path.unwrap_or(DEFAULT_PATH.as_bytes())
        .split(|byte| *byte == b':')
        // An empty or relative entry would run what lies in the working directory.
        .filter(|directory| directory.starts_with(b"/"))
        .map(|directory| {
            let full = [directory, b"/", bytes].concat();
            c_string(&OsString::from_vec(full), "command")
        })
        .collect()
}

/// `/a`, `/a/b`, ... of an absolute path.
fn absolute_prefixes(path: &Path) -> Result<Vec<CString>> {
    let mut so_far = PathBuf::from("/");
    let mut prefixes = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => so_far.push(part),
            Component::ParentDir => {
                so_far.pop();
            }
            _ => continue,
        }
        prefixes.push(c_string(so_far.as_os_str(), "directory")?);
    }
    Ok(prefixes)
}

/// A path inside the root, with its prefixes.
fn target(path: &Path, is_file: bool, make: bool) -> Result<Target> {
    let mut target = Target { is_file, make, ..Target::default() };
    let mut so_far = PathBuf::new();
    for part in normal(path) {
        so_far.push(&part);
        target.prefixes.push(c_string(so_far.as_os_str(), "mount point")?);
        target.names.push(c_string(&part, "mount point")?);
    }
    if target.prefixes.is_empty() {
        return Err(Error::Invalid("a mount cannot be at the root itself".into()));
    }
    Ok(target)
}

/// The components of a path inside a root, `..` taken lexically.
fn normal(path: &Path) -> Vec<OsString> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_owned()),
            Component::ParentDir => {
                parts.pop();
            }
            _ => {}
        }
    }
    parts
}

/// The detached mount of a tree.
fn tree(tree: &Tree, recursive: bool) -> Result<Arc<OwnedFd>> {
    match tree {
        Tree::Mount(mount) => Ok(mount.clone()),
        Tree::Path(path) => mount::bind_detached(path, recursive, false).map(Arc::new),
        Tree::Descriptor(fd) => mount::bind_detached_fd(fd.as_fd(), recursive, false).map(Arc::new),
    }
}

fn attributes(mount: &OwnedFd, recursive: bool, set: u64) -> Result<()> {
    let attr = sys::MountAttr { set, clear: 0, propagation: 0, userns_fd: 0 };
    sys::mount_setattr(mount.as_raw_fd(), recursive, &attr)
        .map_err(|errno| Error::errno("set the attributes of", "a mount", errno))
}

/// Adds a detached mount.
fn attach(plan: &mut Plan, path: &Path, is_file: bool, mount: Arc<OwnedFd>) -> Result<()> {
    plan.mounts.push(MountOp::Attach { target: target(path, is_file, true)?, fd: mount.as_raw_fd() });
    plan.held.push(mount);
    Ok(())
}

fn default_mounts(host: &Host, spec: &Spec, pty: Option<&Pty>, plan: &mut Plan) -> Result<()> {
    let own: Vec<Vec<OsString>> = spec.mounts.iter().map(|mount| normal(&mount.target)).collect();
    let replaced = |path: &str| own.contains(&normal(Path::new(path)));
    let confined = spec.confinement == Confinement::Docker;
    let strict = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

    let new = |path: &str, fstype, attributes, fallback, optional| -> Result<MountOp> {
        let target = target(Path::new(path), false, true)?;
        Ok(MountOp::New { target, fstype, flag: None, attributes, fallback, optional })
    };
    if !replaced("/proc") {
        plan.mounts.push(new("/proc", c"proc", strict, None, false)?);
    }
    if !replaced("/dev") {
        let dev = device::private_dev(pty.is_some())?;
        attach(plan, Path::new("/dev"), false, Arc::new(dev))?;
        for device in device::nodes(&spec.devices, !confined)? {
            attach(plan, &device.path, true, Arc::new(device.mount))?;
        }
        let pts = match pty {
            Some(pty) => pty.instance()?,
            None => Pty::new_instance()?,
        };
        attach(plan, Path::new("/dev/pts"), false, Arc::new(pts))?;
        if !replaced("/dev/shm") {
            let shm = if spec.host_ipc {
                mount::bind_detached(Path::new("/dev/shm"), false, false)?
            } else {
                mount::tmpfs(Some(spec.shm_size), 0o1777, None, strict)?
            };
            attach(plan, Path::new("/dev/shm"), false, Arc::new(shm))?;
        }
        if !replaced("/dev/mqueue") {
            plan.mounts.push(new("/dev/mqueue", c"mqueue", strict, None, true)?);
        }
        if pty.is_some() {
            plan.mounts.push(MountOp::Console {
                target: target(Path::new("/dev/console"), true, true)?,
                terminal: c"dev/pts/0".into(),
            });
        }
    }
    if !replaced("/sys") {
        let readonly = if confined { MOUNT_ATTR_RDONLY } else { 0 };
        // sysfs shows a network namespace and only its owner may mount it: a plain user has no right to the host's.
        let fallback = if host.in_user_namespace && matches!(spec.network, Network::Host) {
            let sys = Arc::new(mount::bind_detached(Path::new("/sys"), true, confined)?);
            plan.held.push(sys.clone());
            Some(sys.as_raw_fd())
        } else {
            None
        };
        plan.mounts.push(new("/sys", c"sysfs", strict | readonly, fallback, host.in_user_namespace)?);
        if spec.mount_cgroup && !replaced("/sys/fs/cgroup") {
            control_groups(host, strict | readonly, plan)?;
        }
    }
    Ok(())
}

/// `/sys/fs/cgroup` as the host has it: one tree, or a directory for each controller of version 1.
fn control_groups(host: &Host, attributes: u64, plan: &mut Plan) -> Result<()> {
    let at = Path::new("/sys/fs/cgroup");
    let mut new = |path: &Path, fstype, flag: Option<&str>| -> Result<()> {
        plan.mounts.push(MountOp::New {
            target: target(path, false, true)?,
            fstype,
            flag: flag.map(|flag| c_string(OsStr::new(flag), "controller")).transpose()?,
            attributes,
            fallback: None,
            optional: true,
        });
        Ok(())
    };
    let controllers = cgroup::v1_controllers();
    if controllers.is_empty() {
        return new(at, c"cgroup2", None);
    }
    if host.in_user_namespace {
        // Version 1 cannot be mounted from inside one.
        return Ok(());
    }
    let directories = mount::tmpfs(Some(1 << 20), 0o755, None, attributes & !MOUNT_ATTR_RDONLY)?;
    for controller in &controllers {
        rustix::fs::mkdirat(&directories, controller, rustix::fs::Mode::from_raw_mode(0o755))
            .map_err(|source| Error::os("make", format!("/sys/fs/cgroup/{controller}"), source))?;
    }
    if attributes & MOUNT_ATTR_RDONLY != 0 {
        mount::set_readonly(&directories, false)?;
    }
    for controller in &controllers {
        new(&at.join(controller), c"cgroup", Some(controller))?;
    }
    let first = plan.mounts.len() - controllers.len();
    let fd = directories.as_raw_fd();
    plan.held.push(Arc::new(directories));
    plan.mounts.insert(first, MountOp::Attach { target: target(at, false, true)?, fd });
    Ok(())
}

/// Adds a mount of the specification; gives the file that stays as long as the process, if it is one.
fn own_mount(mount: &Mount, confined: bool, stock: &Stock, plan: &mut Plan) -> Result<Option<Shared>> {
    let mut shared = None;
    let (fd, is_file) = match &mount.kind {
        MountKind::Bind { source, readonly, recursive } => {
            let fd = tree(source, *recursive)?;
            let mut set = if confined { MOUNT_ATTR_NODEV } else { 0 };
            if *readonly {
                set |= MOUNT_ATTR_RDONLY;
            }
            if set != 0 {
                attributes(&fd, true, set)?;
            }
            let is_file = rustix::fs::fstat(fd.as_fd())
                .map(|stat| {
                    rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::Directory
                })
                .map_err(|source| {
                    Error::os("stat the source of", mount.target.display().to_string(), source)
                })?;
            (fd, is_file)
        }
        MountKind::Tmpfs { size, mode, uid, gid, noexec, readonly } => {
            let flags = MountFlags { readonly: *readonly, nosuid: true, nodev: true, noexec: *noexec };
            (Arc::new(mount::tmpfs(*size, *mode, Some((*uid, *gid)), flags.attributes())?), false)
        }
        MountKind::Data { bytes, mode, uid, gid, readonly } => {
            let data = Data { bytes, mode: *mode, uid: *uid, gid: *gid, readonly: *readonly };
            let (fd, kept) = stock.file(&data)?;
            shared = kept;
            (Arc::new(fd), true)
        }
    };
    attach(plan, &mount.target, is_file, fd)?;
    Ok(shared)
}

/// Docker's masked and read-only paths.
fn confine(stock: &Stock, plan: &mut Plan) -> Result<()> {
    for path in host::READONLY_PATHS {
        plan.mounts.push(MountOp::ReadOnly { target: target(Path::new(path), false, false)? });
    }
    for (path, is_directory) in host::masked_paths() {
        let directory = if *is_directory {
            let empty = Arc::new(stock.empty()?);
            plan.held.push(empty.clone());
            Some(empty.as_raw_fd())
        } else {
            None
        };
        plan.mounts.push(MountOp::Mask { target: target(Path::new(path), false, false)?, directory });
    }
    Ok(())
}

fn streams(stdio: &Stdio, pty: Option<Pty>, uid: u32, plan: &mut Plan) -> Result<Ends> {
    let mut ends = Ends::default();
    if let Some(pty) = pty {
        let (master, slave) = pty.split();
        plan.streams = [slave.as_raw_fd(); 3];
        plan.terminal = true;
        plan.held.push(Arc::new(slave));
        ends.terminal = Some(master);
        return Ok(ends);
    }
    let Stdio::Streams { stdin, stdout, stderr } = stdio else {
        return Err(Error::Invalid("a terminal without a pty".into()));
    };
    for (number, stream) in [stdin, stdout, stderr].into_iter().enumerate() {
        let fd: Arc<OwnedFd> = match stream {
            Stream::Null => {
                let flags = if number == 0 { rustix::fs::OFlags::RDONLY } else { rustix::fs::OFlags::WRONLY };
                let null = rustix::fs::open(
                    "/dev/null",
                    flags | rustix::fs::OFlags::CLOEXEC,
                    rustix::fs::Mode::empty(),
                )
                .map_err(|source| Error::os("open", "/dev/null", source))?;
                Arc::new(null)
            }
            Stream::Pipe => {
                let (read, write) = pipe()?;
                if uid != 0 {
                    // So that the program may open `/dev/stdout` anew.
                    let _ = rustix::fs::fchown(&write, Some(Uid::from_raw(uid)), None::<Gid>);
                }
                let (mine, theirs) = if number == 0 { (write, read) } else { (read, write) };
                let end = match number {
                    0 => &mut ends.stdin,
                    1 => &mut ends.stdout,
                    _ => &mut ends.stderr,
                };
                *end = Some(mine);
                Arc::new(theirs)
            }
            // The child puts descriptors onto 0 to 2 one after another; a source among them would be lost.
            Stream::Fd(fd) if fd.as_raw_fd() < 3 => {
                let high = rustix::io::fcntl_dupfd_cloexec(fd, 3)
                    .map_err(|source| Error::os("duplicate", "a standard stream", source))?;
                Arc::new(high)
            }
            Stream::Fd(fd) => fd.clone(),
        };
        plan.streams[number] = fd.as_raw_fd();
        plan.held.push(fd);
    }
    Ok(ends)
}

/// A close-on-exec pipe: read end, write end.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|source| Error::os("make", "a pipe", source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_path_counts_and_relative_entries_do_not() {
        let env: Vec<OsString> = vec!["PATH=/a".into(), "PATH=/b::rel:/c".into()];
        let found = candidates(OsStr::new("x"), &env).unwrap();
        assert_eq!(found, [c"/b/x".to_owned(), c"/c/x".to_owned()]);
        assert_eq!(candidates(OsStr::new("./x"), &env).unwrap(), [c"./x".to_owned()]);
    }

    #[test]
    fn targets_stay_inside() {
        let made = target(Path::new("/a/../../b/./c"), false, true).unwrap();
        assert_eq!(made.prefixes, [c"b".to_owned(), c"b/c".to_owned()]);
        assert!(target(Path::new("/.."), false, true).is_err());
    }
}
