//! Raw system calls that allocate nothing and take no lock: what the child may use between clone and
//! exec, and what rustix does not wrap. Errors are bare error numbers.

use std::ffi::CStr;
use std::os::fd::RawFd;

use libc::{c_int, c_long, c_uint, c_void};

/// A result whose error is an `errno` value.
pub(crate) type Sys<T> = Result<T, c_int>;

pub(crate) const AT_EMPTY_PATH: c_uint = libc::AT_EMPTY_PATH as c_uint;
pub(crate) const AT_RECURSIVE: c_uint = 0x8000;
pub(crate) const OPEN_TREE_CLONE: c_uint = 1;
pub(crate) const OPEN_TREE_CLOEXEC: c_uint = libc::O_CLOEXEC as c_uint;
pub(crate) const MOVE_MOUNT_F_EMPTY_PATH: c_uint = 0x4;
pub(crate) const MOVE_MOUNT_T_EMPTY_PATH: c_uint = 0x40;
pub(crate) const FSOPEN_CLOEXEC: c_uint = 1;
pub(crate) const FSMOUNT_CLOEXEC: c_uint = 1;
const FSCONFIG_SET_FLAG: c_uint = 0;
const FSCONFIG_SET_STRING: c_uint = 1;
const FSCONFIG_CMD_CREATE: c_uint = 6;
/// `openat2`: the directory is the root for absolute paths, `..` and symlinks; no `/proc` magic links.
pub(crate) const RESOLVE_IN_ROOT: u64 = 0x10 | 0x02;
/// Mount attributes of `fsmount` and `mount_setattr`.
pub(crate) const MOUNT_ATTR_RDONLY: u64 = 1;
pub(crate) const MOUNT_ATTR_NOSUID: u64 = 2;
pub(crate) const MOUNT_ATTR_NODEV: u64 = 4;
pub(crate) const MOUNT_ATTR_NOEXEC: u64 = 8;

/// `struct mount_attr`.
#[repr(C)]
pub(crate) struct MountAttr {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    pub(crate) propagation: u64,
    pub(crate) userns_fd: u64,
}

/// `struct clone_args` up to `cgroup`.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// The error number of the last failed libc call.
pub(crate) fn errno() -> c_int {
    // SAFETY: __errno_location always returns a valid pointer to this thread's errno.
    unsafe { *libc::__errno_location() }
}

fn check(returned: c_long) -> Sys<c_long> {
    if returned < 0 { Err(errno()) } else { Ok(returned) }
}

fn check_int(returned: c_int) -> Sys<c_int> {
    if returned < 0 { Err(errno()) } else { Ok(returned) }
}

/// What `clone` returned, on either side.
pub(crate) enum Cloned {
    /// In the child.
    Child,
    /// In the parent: the child's process number and pidfd.
    Parent { pid: i32, pidfd: RawFd },
}

/// Forks with `flags` (namespaces); `CLONE_PIDFD` is added and the exit signal is `SIGCHLD`.
///
/// # Safety
/// In the child only async-signal-safe work on memory prepared before is allowed, and it must end in
/// `execve` or `_exit`.
pub(crate) unsafe fn clone(flags: u64, into_cgroup: Option<RawFd>) -> Sys<Cloned> {
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(fd) = into_cgroup {
        args.flags |= 0x2_0000_0000; // CLONE_INTO_CGROUP
        args.cgroup = fd as u64;
    }
    // SAFETY: args outlives the call and its size is passed; without CLONE_VM the child has its own copy
    // of this stack, so both sides may return.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) })?;
    Ok(if pid == 0 { Cloned::Child } else { Cloned::Parent { pid: pid as i32, pidfd } })
}

/// Ends the process at once.
pub(crate) fn exit(code: c_int) -> ! {
    // SAFETY: _exit runs no handlers and does not return.
    unsafe { libc::_exit(code) }
}

pub(crate) fn close(fd: RawFd) {
    // SAFETY: callers own the descriptor; the child's table is its own.
    unsafe { libc::syscall(libc::SYS_close, fd) };
}

/// `openat2` below `root` as if it were `/`.
pub(crate) fn open_in_root(root: RawFd, path: &CStr, flags: c_int) -> Sys<RawFd> {
    let how = OpenHow { flags: (flags | libc::O_CLOEXEC) as u64, mode: 0, resolve: RESOLVE_IN_ROOT };
    // EAGAIN: a rename raced with the walk; the kernel asks to try again.
    for _ in 0..64 {
        // SAFETY: path is NUL-terminated and how is valid with its size given.
        let fd = check(unsafe {
            libc::syscall(libc::SYS_openat2, root, path.as_ptr(), &raw const how, size_of::<OpenHow>())
        });
        match fd {
            Err(libc::EAGAIN) => {}
            other => return other.map(|fd| fd as RawFd),
        }
    }
    Err(libc::EAGAIN)
}

pub(crate) fn open(path: &CStr, flags: c_int) -> Sys<RawFd> {
    // SAFETY: path is NUL-terminated.
    check(unsafe {
        libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags | libc::O_CLOEXEC, 0)
    })
    .map(|fd| fd as RawFd)
}

pub(crate) fn mkdir_at(directory: RawFd, name: &CStr, mode: c_uint) -> Sys<()> {
    // SAFETY: name is NUL-terminated.
    check(unsafe { libc::syscall(libc::SYS_mkdirat, directory, name.as_ptr(), mode) }).map(drop)
}

/// Makes an empty regular file.
pub(crate) fn make_file_at(directory: RawFd, name: &CStr, mode: c_uint) -> Sys<()> {
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: name is NUL-terminated.
    let fd = check(unsafe { libc::syscall(libc::SYS_openat, directory, name.as_ptr(), flags, mode) })?;
    close(fd as RawFd);
    Ok(())
}

/// Access and modification time of a descriptor as (seconds, nanoseconds) pairs.
pub(crate) fn times(fd: RawFd) -> Sys<[i64; 4]> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: stat has room for the answer; an empty path with AT_EMPTY_PATH means the descriptor.
    check_int(unsafe { libc::fstatat(fd, c"".as_ptr(), stat.as_mut_ptr(), libc::AT_EMPTY_PATH) })?;
    // SAFETY: the call succeeded and filled it.
    let stat = unsafe { stat.assume_init() };
    Ok([stat.st_atime, stat.st_atime_nsec, stat.st_mtime, stat.st_mtime_nsec])
}

/// The number of the mount that the descriptor is on.
pub(crate) fn mount_id(fd: RawFd) -> Sys<u64> {
    const STATX_MNT_ID: c_uint = 0x1000;
    let mut stat = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the raw call fills the struct, which has room for it; an empty path means the descriptor.
    check(unsafe {
        libc::syscall(libc::SYS_statx, fd, c"".as_ptr(), libc::AT_EMPTY_PATH, STATX_MNT_ID, stat.as_mut_ptr())
    })?;
    // SAFETY: plain data, zeroed before and filled by the call.
    Ok(unsafe { stat.assume_init() }.stx_mnt_id)
}

pub(crate) fn open_tree(directory: RawFd, path: &CStr, flags: c_uint) -> Sys<RawFd> {
    // SAFETY: path is NUL-terminated.
    check(unsafe { libc::syscall(libc::SYS_open_tree, directory, path.as_ptr(), flags | OPEN_TREE_CLOEXEC) })
        .map(|fd| fd as RawFd)
}

/// Moves the mount `from` onto the place that `to` names.
pub(crate) fn move_mount(from: RawFd, to: RawFd) -> Sys<()> {
    // SAFETY: empty NUL-terminated paths; both descriptors are the arguments.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            from,
            c"".as_ptr(),
            to,
            c"".as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
        )
    })
    .map(drop)
}

/// Moves the mount `from` onto a path.
pub(crate) fn move_mount_to_path(from: RawFd, to: &CStr) -> Sys<()> {
    // SAFETY: NUL-terminated paths.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            from,
            c"".as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
    .map(drop)
}

/// Sets and clears mount attributes of the mount that `fd` is the root of.
pub(crate) fn mount_setattr(fd: RawFd, recursive: bool, attr: &MountAttr) -> Sys<()> {
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: attr is valid and its size is given.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd,
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attr),
            size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// `fsopen`, string options, a flag, create, `fsmount`: a new detached mount.
pub(crate) fn new_mount(
    fstype: &CStr,
    options: &[(&CStr, &CStr)],
    flag: Option<&CStr>,
    attributes: u64,
) -> Sys<RawFd> {
    // SAFETY: fstype is NUL-terminated.
    let context =
        check(unsafe { libc::syscall(libc::SYS_fsopen, fstype.as_ptr(), FSOPEN_CLOEXEC) })? as RawFd;
    let made = (|| {
        for (key, value) in options {
            // SAFETY: key and value are NUL-terminated.
            check(unsafe {
                libc::syscall(
                    libc::SYS_fsconfig,
                    context,
                    FSCONFIG_SET_STRING,
                    key.as_ptr(),
                    value.as_ptr(),
                    0,
                )
            })?;
        }
        let null = std::ptr::null::<c_void>();
        if let Some(flag) = flag {
            // SAFETY: the key is NUL-terminated; a flag has no value.
            check(unsafe {
                libc::syscall(libc::SYS_fsconfig, context, FSCONFIG_SET_FLAG, flag.as_ptr(), null, 0)
            })?;
        }
        // SAFETY: the create command takes no key and no value.
        check(unsafe { libc::syscall(libc::SYS_fsconfig, context, FSCONFIG_CMD_CREATE, null, null, 0) })?;
        // SAFETY: plain integers.
        check(unsafe { libc::syscall(libc::SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes) })
    })();
    close(context);
    made.map(|fd| fd as RawFd)
}

/// Makes every mount of this mount namespace follow the one that it is a copy of, and give nothing back.
pub(crate) fn make_slave() -> Sys<()> {
    let null = std::ptr::null();
    // SAFETY: only the target path is read for a propagation change.
    check_int(unsafe {
        libc::mount(null, c"/".as_ptr(), null, libc::MS_REC | libc::MS_SLAVE, std::ptr::null())
    })
    .map(drop)
}

/// Makes every mount of this mount namespace private.
pub(crate) fn make_private() -> Sys<()> {
    let null = std::ptr::null();
    // SAFETY: only the target path is read for a propagation change.
    check_int(unsafe {
        libc::mount(null, c"/".as_ptr(), null, libc::MS_REC | libc::MS_PRIVATE, std::ptr::null())
    })
    .map(drop)
}

/// Makes the current directory the root and puts the old root over it.
pub(crate) fn pivot_root_here() -> Sys<()> {
    // SAFETY: NUL-terminated paths.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) }).map(drop)
}

/// Detaches what is mounted on top of the current directory.
pub(crate) fn detach_here() -> Sys<()> {
    // SAFETY: NUL-terminated path.
    check_int(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) }).map(drop)
}

pub(crate) fn fchdir(fd: RawFd) -> Sys<()> {
    // SAFETY: plain integer.
    check_int(unsafe { libc::fchdir(fd) }).map(drop)
}

pub(crate) fn chdir(path: &CStr) -> Sys<()> {
    // SAFETY: NUL-terminated path.
    check_int(unsafe { libc::chdir(path.as_ptr()) }).map(drop)
}

pub(crate) fn setns(fd: RawFd, kinds: c_int) -> Sys<()> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::setns(fd, kinds) }).map(drop)
}

pub(crate) fn unshare(kinds: c_int) -> Sys<()> {
    // SAFETY: plain integers.
    check_int(unsafe { libc::unshare(kinds) }).map(drop)
}

pub(crate) fn set_hostname(name: &CStr) -> Sys<()> {
    // SAFETY: the length is that of the string.
    check_int(unsafe { libc::sethostname(name.as_ptr(), name.count_bytes()) }).map(drop)
}

pub(crate) fn set_domainname(name: &CStr) -> Sys<()> {
    // SAFETY: the length is that of the string.
    check_int(unsafe { libc::setdomainname(name.as_ptr(), name.count_bytes()) }).map(drop)
}

/// `prctl` with integer arguments.
pub(crate) fn prctl(option: c_int, a: u64, b: u64, c: u64) -> Sys<c_int> {
    // SAFETY: used with options whose arguments are integers only.
    check_int(unsafe { libc::prctl(option, a, b, c, 0u64) })
}

/// Brings the loopback interface of this network namespace up.
pub(crate) fn loopback_up() -> Sys<()> {
    // SAFETY: plain integers.
    let socket = check_int(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: ifreq is plain data for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request is a valid ifreq with a NUL-terminated name.
    let done = check_int(unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request) });
    close(socket);
    done.map(drop)
}

/// Sets every signal's action to the default and unblocks all.
pub(crate) fn reset_signals() {
    // SAFETY: sigaction of all zeroes is SIG_DFL with an empty mask; invalid numbers fail harmlessly.
    unsafe {
        let action: libc::sigaction = std::mem::zeroed();
        for signal in 1..=64 {
            if signal != libc::SIGKILL && signal != libc::SIGSTOP {
                // The raw call, as glibc hides two signals; the kernel's struct is no longer than libc's.
                libc::syscall(
                    libc::SYS_rt_sigaction,
                    signal,
                    &raw const action,
                    std::ptr::null::<c_void>(),
                    8usize,
                );
            }
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// Blocks every signal for this thread and returns what was blocked before.
pub(crate) fn block_signals() -> libc::sigset_t {
    // SAFETY: both sets are valid for the calls.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        before
    }
}

/// Restores a mask that `block_signals` returned.
pub(crate) fn restore_signals(mask: &libc::sigset_t) {
    // SAFETY: the set is valid.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, std::ptr::null_mut()) };
}

pub(crate) fn setsid() {
    // SAFETY: no arguments; fails only where the process already leads a group.
    unsafe { libc::setsid() };
}

/// Makes the terminal the controlling one of this session.
pub(crate) fn take_terminal(fd: RawFd) -> Sys<()> {
    // SAFETY: the request takes an integer.
    check_int(unsafe { libc::ioctl(fd, libc::TIOCSCTTY as _, 0) }).map(drop)
}

/// Duplicates onto a number, inherited by exec.
pub(crate) fn dup_onto(fd: RawFd, number: RawFd) -> Sys<()> {
    if fd == number {
        // SAFETY: plain integers.
        return check_int(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }).map(drop);
    }
    // SAFETY: plain integers; the old `number` is closed by the kernel.
    check(unsafe { libc::syscall(libc::SYS_dup3, fd, number, 0) }).map(drop)
}

/// Marks every descriptor from 3 on as close-on-exec.
pub(crate) fn cloexec_all() -> Sys<()> {
    // SAFETY: plain integers. 4 is CLOSE_RANGE_CLOEXEC.
    check(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 4) }).map(drop)
}

/// Closes `from..=to`; nothing when the range is empty.
pub(crate) fn close_range(from: c_uint, to: c_uint) {
    if from <= to {
        // SAFETY: plain integers.
        unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
    }
}

/// Writes all of a short message; partial writes do not happen below PIPE_BUF.
pub(crate) fn write(fd: RawFd, bytes: &[u8]) -> Sys<()> {
    // SAFETY: the pointer and length are those of the slice.
    check(unsafe { libc::syscall(libc::SYS_write, fd, bytes.as_ptr(), bytes.len()) }).map(drop)
}

/// Waits for a byte, or the end.
pub(crate) fn read_one(fd: RawFd) {
    let mut byte = 0u8;
    // SAFETY: room for one byte.
    unsafe { libc::syscall(libc::SYS_read, fd, &raw mut byte, 1) };
}

/// Whether the process behind a pidfd has ended.
pub(crate) fn has_ended(pidfd: RawFd) -> bool {
    let mut poll = libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd.
    unsafe { libc::poll(&mut poll, 1, 0) > 0 && poll.revents & libc::POLLIN != 0 }
}

pub(crate) fn set_groups(groups: &[u32]) -> Sys<()> {
    // SAFETY: the raw call, as glibc's would signal other threads; pointer and count belong together.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

pub(crate) fn set_gid(gid: u32) -> Sys<()> {
    // SAFETY: the raw call, for this thread only.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

pub(crate) fn set_uid(uid: u32) -> Sys<()> {
    // SAFETY: the raw call, for this thread only.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// Sets this thread's permitted and effective capabilities, and the inheritable ones.
pub(crate) fn set_capabilities(caps: u64, inheritable: u64) -> Sys<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    let header = Header { version: 0x2008_0522, pid: 0 };
    let half = |caps: u32, inheritable: u32| Data { effective: caps, permitted: caps, inheritable };
    let data = [half(caps as u32, inheritable as u32), half((caps >> 32) as u32, (inheritable >> 32) as u32)];
    // SAFETY: version 3 reads one header and two data structs.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}

/// This thread's permitted and effective capabilities, what both hold.
pub(crate) fn capabilities() -> Sys<u64> {
    let header: [u32; 2] = [0x2008_0522, 0];
    let mut data = [0u32; 6];
    // SAFETY: version 3 reads one header and fills two data structs of three words.
    check(unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), data.as_mut_ptr()) })?;
    Ok(u64::from(data[0] & data[1]) | u64::from(data[3] & data[4]) << 32)
}

/// Leaves the session keyring for a new, empty one. Without key support, or over the user's quota, nothing happens.
pub(crate) fn new_session_keyring() {
    // SAFETY: 1 is KEYCTL_JOIN_SESSION_KEYRING; a null name asks for an anonymous one.
    unsafe { libc::syscall(libc::SYS_keyctl, 1, std::ptr::null::<libc::c_char>()) };
}

/// Loads a seccomp filter for this thread.
pub(crate) fn load_filter(program: &[libc::sock_filter]) -> Sys<()> {
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: 1 is SECCOMP_SET_MODE_FILTER; the kernel only reads the program.
    check(unsafe { libc::syscall(libc::SYS_seccomp, 1, 0, &raw const program) }).map(drop)
}

pub(crate) fn set_limit(resource: c_uint, soft: u64, hard: u64) -> Sys<()> {
    let limit = [soft, hard];
    let null = std::ptr::null::<c_void>();
    // SAFETY: two 64-bit words are struct rlimit64; 0 means this process.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, limit.as_ptr(), null) }).map(drop)
}

pub(crate) fn umask(mask: u32) {
    // SAFETY: cannot fail.
    unsafe { libc::umask(mask) };
}

/// Replaces the process; returns only its error.
///
/// # Safety
/// `argv` and `envp` must be arrays of NUL-terminated strings that end with a null pointer.
pub(crate) unsafe fn execve(
    path: &CStr,
    argv: *const *const libc::c_char,
    envp: *const *const libc::c_char,
) -> c_int {
    // SAFETY: by this function's own contract.
    unsafe { libc::execve(path.as_ptr(), argv, envp) };
    errno()
}

/// Whether the path exists, links followed.
pub(crate) fn exists(path: &CStr) -> bool {
    // SAFETY: NUL-terminated path.
    unsafe { libc::syscall(libc::SYS_faccessat, libc::AT_FDCWD, path.as_ptr(), libc::F_OK) == 0 }
}

/// Whether the path is a directory, links followed.
pub(crate) fn is_directory_path(path: &CStr) -> bool {
    match open(path, libc::O_PATH | libc::O_DIRECTORY) {
        Ok(fd) => {
            close(fd);
            true
        }
        Err(_) => false,
    }
}
