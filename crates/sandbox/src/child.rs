//! The child's side, from clone to exec: raw system calls on prepared data, no allocation, no lock.
//!
//! The order matters: control groups before their namespace, the private mount tree before anything is mounted, all
//! mounts before the old root goes (a plain user's `/proc` needs another one in sight), the filter while the child may
//! still load it, ids before capabilities, the parent-death signal again after the ids changed (they clear it).

use std::os::fd::RawFd;

use crate::plan::{
    INTERPRETER_MISSING, MountOp, Plan, REPORT_CREATED, REPORT_ERROR, REPORT_WARNING, Report, Step, Target,
};
use crate::sys::{self, Sys};

/// A failed step, the index of its subject, and the error.
struct Failed(Step, usize, i32);

trait At<T> {
    fn at(self, step: Step) -> Result<T, Failed>;
    fn at_index(self, step: Step, index: usize) -> Result<T, Failed>;
}

impl<T> At<T> for Sys<T> {
    fn at(self, step: Step) -> Result<T, Failed> {
        self.at_index(step, 0)
    }

    fn at_index(self, step: Step, index: usize) -> Result<T, Failed> {
        self.map_err(|errno| Failed(step, index, errno))
    }
}

/// Runs the plan; does not return.
pub(crate) fn run(plan: &Plan) -> ! {
    sys::reset_signals();
    let Err(Failed(step, index, errno)) = prepare_and_exec(plan);
    tell(plan, REPORT_ERROR, step, index, errno, [0; 5]);
    sys::exit(127)
}

fn tell(plan: &Plan, kind: u32, step: Step, index: usize, errno: i32, detail: [i64; 5]) {
    let report = Report { kind, step: step as u32, index: index as u32, errno, detail };
    // Nobody is left to tell when this fails.
    let _ = sys::write(plan.report, report.as_bytes());
}

fn warn(plan: &Plan, step: Step, index: usize, errno: i32) {
    tell(plan, REPORT_WARNING, step, index, errno, [0; 5]);
}

fn prepare_and_exec(plan: &Plan) -> Result<std::convert::Infallible, Failed> {
    die_with_launcher(plan)?;
    sys::setsid();
    for (index, fd) in plan.cgroups.iter().enumerate() {
        sys::write(*fd, b"0").at_index(Step::Cgroup, index)?;
    }
    // Through the `/proc` of before: inside a root there may be none, or a read-only one.
    if let Some(score) = &plan.oom_score {
        let set = sys::open(c"/proc/self/oom_score_adj", libc::O_WRONLY).and_then(|fd| {
            let written = sys::write(fd, score.to_bytes());
            sys::close(fd);
            written
        });
        if let Err(errno) = set {
            warn(plan, Step::OomScore, 0, errno);
        }
    }
    // From here to exec this is a copy of the launcher that a container may see: it must not look into it (its memory,
    // its descriptors, its program file). exec makes the process readable again.
    sys::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0).at(Step::Join)?;
    for (index, (fd, kinds)) in plan.joins.iter().enumerate() {
        sys::setns(*fd, *kinds).at_index(Step::Join, index)?;
    }
    if plan.new_cgroup_namespace {
        sys::unshare(libc::CLONE_NEWCGROUP).at(Step::CgroupNamespace)?;
    }
    if plan.loopback {
        sys::loopback_up().at(Step::Loopback)?;
    }
    if let Some(name) = &plan.hostname {
        sys::set_hostname(name).at(Step::Hostname)?;
    }
    if let Some(name) = &plan.domainname {
        sys::set_domainname(name).at(Step::Domainname)?;
    }
    // Modes of mount points and directories that are made must not depend on the caller's mask.
    sys::umask(0);
    if let Some(root) = &plan.root {
        sys::make_private().at(Step::Propagation)?;
        sys::move_mount_to_path(root.fd, c"/").at(Step::AttachRoot)?;
        for (index, op) in plan.mounts.iter().enumerate() {
            mount(plan, root.fd, index, op)?;
        }
        sys::fchdir(root.fd).at(Step::Pivot)?;
        sys::pivot_root_here().at(Step::Pivot)?;
        sys::detach_here().at(Step::OldRoot)?;
        sys::chdir(c"/").at(Step::Pivot)?;
    }
    let entered = enter_cwd(plan);
    if let Some(root) = &plan.root
        && root.readonly
    {
        read_only(root.fd, false).at(Step::ReadOnlyRoot)?;
    }
    for (index, (resource, soft, hard)) in plan.rlimits.iter().enumerate() {
        if let Err(errno) = sys::set_limit(*resource, *soft, *hard) {
            warn(plan, Step::Limit, index, errno);
        }
    }
    for (number, fd) in plan.streams.iter().enumerate() {
        sys::dup_onto(*fd, number as RawFd).at_index(Step::Streams, number)?;
    }
    // With an init, the program gets a session and the terminal of its own.
    if plan.terminal && !plan.init {
        sys::take_terminal(0).at(Step::Terminal)?;
    }
    sys::cloexec_all().at(Step::Streams)?;
    sys::umask(plan.umask);
    drop_privileges(plan)?;
    // A directory that only the user may enter (or only root): tried as both, as runc does.
    if entered.is_err() {
        change_directory(plan).at(Step::Cwd)?;
    }
    die_with_launcher(plan)?;
    if plan.init {
        crate::init::become_init(plan).at(Step::Init)?;
    }
    exec(plan)
}

/// Sets the parent-death signal and makes sure that the parent is still there.
fn die_with_launcher(plan: &Plan) -> Result<(), Failed> {
    let Some(launcher) = plan.launcher else { return Ok(()) };
    sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0, 0).at(Step::ParentGone)?;
    if sys::has_ended(launcher) {
        return Err(Failed(Step::ParentGone, 0, libc::ESRCH));
    }
    Ok(())
}

/// Goes to the working directory, making it first where that was asked.
fn enter_cwd(plan: &Plan) -> Sys<()> {
    match change_directory(plan) {
        Err(libc::ENOENT) if !plan.make_cwd.is_empty() => {
            for prefix in &plan.make_cwd {
                match sys::mkdir_at(libc::AT_FDCWD, prefix, 0o755) {
                    Ok(()) | Err(libc::EEXIST) => {}
                    Err(errno) => return Err(errno),
                }
            }
            change_directory(plan)
        }
        other => other,
    }
}

/// A working directory of `/proc/self/fd/7` would be a descriptor of ours and may lie outside the root, so links of
/// that kind are not followed.
fn change_directory(plan: &Plan) -> Sys<()> {
    let root = sys::open(c"/", libc::O_PATH | libc::O_DIRECTORY)?;
    let directory = sys::open_in_root(root, &plan.cwd, libc::O_PATH | libc::O_DIRECTORY);
    sys::close(root);
    let directory = directory?;
    let entered = sys::fchdir(directory);
    sys::close(directory);
    entered
}

fn mount(plan: &Plan, root: RawFd, index: usize, op: &MountOp) -> Result<(), Failed> {
    match op {
        MountOp::Attach { target, fd } => {
            let at = find(plan, root, index, target)?;
            sys::move_mount(*fd, at).at_index(Step::Mount, index)?;
            sys::close(at);
        }
        MountOp::New { target, fstype, flag, attributes, fallback, optional } => {
            let made = match (sys::new_mount(fstype, &[], flag.as_deref(), *attributes), fallback) {
                (Ok(fd), _) => fd,
                (Err(_), Some(fallback)) => *fallback,
                (Err(errno), None) if *optional => {
                    warn(plan, Step::Mount, index, errno);
                    return Ok(());
                }
                (Err(errno), None) => return Err(Failed(Step::Mount, index, errno)),
            };
            let at = find(plan, root, index, target)?;
            sys::move_mount(made, at).at_index(Step::Mount, index)?;
            sys::close(made);
            sys::close(at);
        }
        MountOp::Console { target, terminal } => {
            let at = find(plan, root, index, target)?;
            let from = sys::open_in_root(root, terminal, libc::O_PATH).at_index(Step::Console, index)?;
            let tree = sys::open_tree(from, c"", sys::OPEN_TREE_CLONE | sys::AT_EMPTY_PATH)
                .at_index(Step::Console, index)?;
            sys::move_mount(tree, at).at_index(Step::Console, index)?;
            for fd in [at, from, tree] {
                sys::close(fd);
            }
        }
        MountOp::Mask { target, directory } => {
            let at = match sys::open_in_root(root, target.path(), libc::O_PATH) {
                Ok(at) => at,
                Err(libc::ENOENT | libc::ENOTDIR | libc::EACCES) => return Ok(()),
                Err(errno) => return Err(Failed(Step::Mask, index, errno)),
            };
            let cover = match directory {
                Some(fd) => *fd,
                None => {
                    let null = sys::open_tree(libc::AT_FDCWD, c"/dev/null", sys::OPEN_TREE_CLONE)
                        .at_index(Step::Mask, index)?;
                    // It is the host's node: read-only keeps its mode from being changed, not it from being written.
                    read_only(null, false).at_index(Step::Mask, index)?;
                    null
                }
            };
            sys::move_mount(cover, at).at_index(Step::Mask, index)?;
            sys::close(cover);
            sys::close(at);
        }
        MountOp::ReadOnly { target } => {
            let at = match sys::open_in_root(root, target.path(), libc::O_PATH) {
                Ok(at) => at,
                Err(libc::ENOENT | libc::ENOTDIR | libc::EACCES) => return Ok(()),
                Err(errno) => return Err(Failed(Step::ReadOnly, index, errno)),
            };
            let flags = sys::OPEN_TREE_CLONE | sys::AT_EMPTY_PATH | sys::AT_RECURSIVE;
            let tree = sys::open_tree(at, c"", flags).at_index(Step::ReadOnly, index)?;
            read_only(tree, true).at_index(Step::ReadOnly, index)?;
            sys::move_mount(tree, at).at_index(Step::ReadOnly, index)?;
            sys::close(tree);
            sys::close(at);
        }
    }
    Ok(())
}

fn read_only(mount: RawFd, recursive: bool) -> Sys<()> {
    let attr = sys::MountAttr { set: sys::MOUNT_ATTR_RDONLY, clear: 0, propagation: 0, userns_fd: 0 };
    sys::mount_setattr(mount, recursive, &attr)
}

/// Opens a mount point, making what is missing of it and reporting that.
fn find(plan: &Plan, root: RawFd, index: usize, target: &Target) -> Result<RawFd, Failed> {
    match sys::open_in_root(root, target.path(), libc::O_PATH) {
        Err(libc::ENOENT) if target.make => {}
        other => return other.at_index(Step::Mount, index),
    }
    let fail = |errno| Failed(Step::MakeTarget, index, errno);
    let mut parent = sys::open_in_root(root, c".", libc::O_PATH | libc::O_DIRECTORY).map_err(fail)?;
    let root_mount = sys::mount_id(parent).map_err(fail)?;
    let last = target.prefixes.len() - 1;
    for (number, prefix) in target.prefixes.iter().enumerate() {
        let directory = number < last || !target.is_file;
        let next = match sys::open_in_root(root, prefix, libc::O_PATH) {
            Err(libc::ENOENT) => {
                let times = sys::times(parent).map_err(fail)?;
                let name = &target.names[number];
                let made = if directory {
                    sys::mkdir_at(parent, name, 0o755)
                } else {
                    sys::make_file_at(parent, name, 0o644)
                };
                // EEXIST after ENOENT is a dangling link: what it points to is not made for it.
                made.map_err(|errno| fail(if errno == libc::EEXIST { libc::ELOOP } else { errno }))?;
                // What is made inside another mount goes with that mount.
                if sys::mount_id(parent).map_err(fail)? == root_mount {
                    let detail = [number as i64, times[0], times[1], times[2], times[3]];
                    tell(plan, REPORT_CREATED, Step::MakeTarget, index, 0, detail);
                }
                sys::open_in_root(root, prefix, libc::O_PATH)
            }
            other => other,
        }
        .map_err(fail)?;
        sys::close(parent);
        parent = next;
    }
    Ok(parent)
}

fn drop_privileges(plan: &Plan) -> Result<(), Failed> {
    for number in 0..=plan.last_capability {
        if plan.bounding >> number & 1 == 0 {
            match sys::prctl(libc::PR_CAPBSET_DROP, u64::from(number), 0, 0) {
                // A number that this kernel does not have.
                Ok(_) | Err(libc::EINVAL) => {}
                Err(errno) => return Err(Failed(Step::Bounding, number as usize, errno)),
            }
        }
    }
    if plan.no_new_privileges {
        sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0).at(Step::NoNewPrivileges)?;
    }
    // Loading needs CAP_SYS_ADMIN where new privileges stay possible; all that follows is allowed by the profile.
    if let Some(program) = &plan.seccomp {
        sys::load_filter(program).at(Step::Seccomp)?;
    }
    if plan.seccomp.is_none() {
        // The filter would forbid keyctl; without it the launcher's session keyring must not be at hand.
        sys::new_session_keyring();
    }
    sys::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0).at(Step::Capabilities)?;
    if let Some(groups) = &plan.groups {
        sys::set_groups(groups).at(Step::Groups)?;
    }
    sys::set_gid(plan.gid).at(Step::Gid)?;
    sys::set_uid(plan.uid).at(Step::Uid)?;
    sys::set_capabilities(plan.capabilities, plan.ambient).at(Step::Capabilities)?;
    sys::prctl(libc::PR_SET_KEEPCAPS, 0, 0, 0).at(Step::Capabilities)?;
    // PR_CAP_AMBIENT_CLEAR_ALL; kernels before 4.3 have no ambient set.
    let _ = sys::prctl(libc::PR_CAP_AMBIENT, 4, 0, 0);
    for number in (0..=plan.last_capability).filter(|number| plan.ambient >> number & 1 == 1) {
        // PR_CAP_AMBIENT_RAISE.
        sys::prctl(libc::PR_CAP_AMBIENT, 2, u64::from(number), 0).at(Step::Capabilities)?;
    }
    Ok(())
}

/// Tries the candidates as execvp(3) does.
pub(crate) fn try_exec(plan: &Plan) -> (usize, i32) {
    let mut denied = None;
    let mut last = (0, libc::ENOENT);
    for (index, path) in plan.exec.candidates.iter().enumerate() {
        // SAFETY: `Exec` keeps both arrays and their strings, ended by null pointers.
        let errno = unsafe { sys::execve(path, plan.exec.argv(), plan.exec.envp()) };
        match errno {
            libc::ENOENT | libc::ENOTDIR => {
                // There, but its interpreter is not.
                if errno == libc::ENOENT && sys::exists(path) {
                    return (index + INTERPRETER_MISSING as usize, errno);
                }
                last = (index, libc::ENOENT);
            }
            libc::EACCES if sys::is_directory_path(path) && plan.exec.candidates.len() > 1 => {}
            libc::EACCES => denied = denied.or(Some((index, errno))),
            _ => return (index, errno),
        }
    }
    denied.unwrap_or(last)
}

fn exec(plan: &Plan) -> Result<std::convert::Infallible, Failed> {
    let (index, errno) = try_exec(plan);
    Err(Failed(Step::Exec, index, errno))
}
