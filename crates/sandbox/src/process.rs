//! Programs of the host that outlive the command: a container's monitor, above all.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::sys;

/// Starts a program in a session of its own, with nothing of ours but what is passed: no environment but `env`, the
/// root as its directory, `/dev/null` as its standard streams, and each `(descriptor, number)` of `fds` as that
/// number (3 or more, without holes is best). Every other descriptor is closed. Returns its process number; it is not
/// waited for, so a caller that lives on should reap it when it ends.
///
/// # Errors
/// [`Error::Os`] names the program; [`Error::Invalid`] a number below 3.
pub fn spawn_detached<A: AsRef<OsStr>>(
    program: &Path,
    args: &[A],
    env: &[(&str, &OsStr)],
    fds: &[(&OwnedFd, RawFd)],
) -> Result<u32> {
    let failed = |source| Error::os("start", program.display().to_string(), source);
    if let Some((_, number)) = fds.iter().find(|(_, number)| *number < 3 || *number > 1000) {
        return Err(Error::Invalid(format!("a descriptor cannot be passed as number {number}")));
    }
    // Copies above every target number, so that putting one in place never overwrites another.
    let highest = fds.iter().map(|(_, number)| *number).max().unwrap_or(2);
    let copies: Vec<(OwnedFd, RawFd)> = fds
        .iter()
        .map(|(fd, number)| {
            rustix::io::fcntl_dupfd_cloexec(fd, highest + 1)
                .map(|copy| (copy, *number))
                .map_err(|source| failed(source.into()))
        })
        .collect::<Result<_>>()?;
    let passed: Vec<(RawFd, RawFd)> = copies.iter().map(|(fd, number)| (fd.as_raw_fd(), *number)).collect();
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .envs(env.iter().copied())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // SAFETY: the closure makes raw system calls on memory that was prepared before the fork.
    unsafe {
        command.pre_exec(move || {
            sys::reset_signals();
            sys::setsid();
            let error = |errno| std::io::Error::from_raw_os_error(errno);
            sys::cloexec_all().map_err(error)?;
            for (fd, number) in &passed {
                sys::dup_onto(*fd, *number).map_err(error)?;
            }
            Ok(())
        });
    }
    let child = command.spawn().map_err(failed)?;
    drop(copies);
    Ok(child.id())
}

/// This program's own file, for starting it again even after it was replaced on disk.
///
/// # Errors
/// [`Error::Os`] without `/proc`.
pub fn own_executable() -> Result<File> {
    File::open("/proc/self/exe").map_err(|source| Error::os("open", "/proc/self/exe", source))
}

/// Makes sure that what runs in a sandbox cannot write to this program's file. A program, or the interpreter of a
/// script, named `/proc/self/exe` is this program between clone and exec; a container's root would hold it open and
/// write to it as soon as nothing runs it. So a program that starts sandboxes should run from a read-only mount: when it
/// does not, this replaces the process by the same program (same arguments, environment and open standard streams) from
/// a detached read-only bind of its file. Returns when all is well already.
///
/// Call it early, after [`crate::rootless::enter`], and only where sandboxes will be started: it costs an exec.
///
/// # Errors
/// [`Error::Os`] when the bind or the exec is refused; the process goes on as it was then.
pub fn protect_executable() -> Result<()> {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStringExt;
    let exe = Path::new("/proc/self/exe");
    let failed = |source: std::io::Error| Error::os("run from a read-only mount", "this program", source);
    let flags = rustix::fs::statvfs(exe).map_err(|error| failed(error.into()))?.f_flag;
    if flags.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Ok(());
    }
    let program = crate::mount::bind_detached(exe, false, true)?;
    let string = |text: std::ffi::OsString| {
        CString::new(text.into_vec()).map_err(|error| failed(std::io::Error::other(error)))
    };
    let args = std::env::args_os().map(string).collect::<Result<Vec<_>>>()?;
    #[expect(clippy::disallowed_methods, reason = "the environment is passed on as it is, not read")]
    let env = std::env::vars_os()
        .map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            string(name)
        })
        .collect::<Result<Vec<_>>>()?;
    let pointers = |strings: &[CString]| -> Vec<_> {
        strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(&args), pointers(&env));
    // SAFETY: both arrays hold NUL-terminated strings that live until the call returns, and end with null; it returns
    // only when it failed.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    Err(failed(std::io::Error::last_os_error()))
}

/// Takes a descriptor that the parent passed by number (see [`spawn_detached`]) and makes it close-on-exec. `None`
/// when no such descriptor is open.
///
/// Take each number once: two owners of one descriptor would close it twice.
#[must_use]
pub fn take_passed_fd(number: RawFd) -> Option<OwnedFd> {
    use std::os::fd::FromRawFd;
    if number < 3 {
        return None;
    }
    // SAFETY: F_SETFD on any number is harmless; it fails when the number is not open.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return None;
    }
    // SAFETY: it is open, and by this function's contract nobody else owns it: the parent passed it for us to take.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The kernel sends this process SIGKILL when the thread that started it ends.
///
/// # Errors
/// [`Error::Os`] when the kernel refuses.
pub fn die_with_parent() -> Result<()> {
    sys::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0, 0)
        .map(drop)
        .map_err(|errno| Error::errno("set", "the parent-death signal", errno))
}

/// Orphans among this process's descendants become its children.
///
/// # Errors
/// [`Error::Os`] when the kernel refuses.
pub fn become_subreaper() -> Result<()> {
    sys::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0)
        .map(drop)
        .map_err(|errno| Error::errno("become", "a subreaper", errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn passes_descriptors_and_nothing_else() {
        let (read, write) = crate::prepare::pipe().unwrap();
        let (_other, leaked) = crate::prepare::pipe().unwrap();
        rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
        let script = "ls /proc/self/fd | tr '\\n' ' ' >&3; echo \"$A\" >&3; pwd >&3";
        let args = ["sh", "-c", script];
        let pid = spawn_detached(
            Path::new("/bin/busybox"),
            &args,
            &[("A", OsStr::new("b")), ("PATH", OsStr::new("/bin"))],
            &[(&write, 3)],
        )
        .unwrap();
        drop(write);
        let mut text = String::new();
        File::from(read).read_to_string(&mut text).unwrap();
        // 4 is the directory that `ls` itself reads.
        assert_eq!(text, "0 1 2 3 4 b\n/\n");
        let pid = rustix::process::Pid::from_raw(pid as i32);
        rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).unwrap();
    }

    #[test]
    fn the_program_runs_from_a_read_only_mount() {
        let output = Command::new("/proc/self/exe")
            .args(["--exact", "process::tests::protected", "--ignored", "--nocapture"])
            .env("KEPT", "yes")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("protected yes"), "{text}");
    }

    #[test]
    #[ignore = "the process that the test above starts"]
    fn protected() {
        protect_executable().unwrap();
        // Writing fails as busy while it runs; changing its mode says what will be when it does not.
        let mode = std::fs::metadata("/proc/self/exe").unwrap().permissions();
        let denied = std::fs::set_permissions("/proc/self/exe", mode).unwrap_err();
        assert_eq!(denied.raw_os_error(), Some(libc::EROFS));
        let env = std::fs::read("/proc/self/environ").unwrap();
        let kept = env.split(|byte| *byte == 0).any(|entry| entry == b"KEPT=yes");
        let text = format!("protected {}\n", if kept { "yes" } else { "no" });
        std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).unwrap();
    }
}
