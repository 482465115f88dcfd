//! The small process 1 of `init: true`: it runs the program as its child, passes signals on to it, reaps orphans and
//! ends with the program's status.
//!
//! It is a copy of the launcher that never execs, so it must not be readable from inside: it is made undumpable, which
//! closes `/proc/1/mem` and `/proc/1/environ` to anyone without CAP_SYS_PTRACE. Launchers of such containers should
//! hold no secrets all the same (the monitor of a container does not).

use crate::child::try_exec;
use crate::plan::{Plan, REPORT_ERROR, Report, Step};
use crate::sys::{self, Sys};

/// Forks; returns in the child, which goes on to exec. Process 1 stays here for good.
pub(crate) fn become_init(plan: &Plan) -> Sys<()> {
    sys::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0)?;
    // Where process numbers are shared with the host, orphans come here all the same.
    sys::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0)?;
    let before = sys::block_signals();
    // SAFETY: the child goes on with raw calls on prepared data and execs.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    if pid < 0 {
        return Err(sys::errno());
    }
    if pid > 0 {
        let _ = sys::prctl(libc::PR_SET_NAME, c"init".as_ptr() as u64, 0, 0);
        // Everything but the standard streams: the report pipe above all, whose end means that exec worked.
        sys::close_range(3, u32::MAX);
        reap(pid as i32);
    }
    sys::restore_signals(&before);
    // Its own session, so that process 1 is not in the program's process group.
    sys::setsid();
    if plan.terminal {
        sys::take_terminal(0)?;
    }
    let (index, errno) = try_exec(plan);
    let report =
        Report { kind: REPORT_ERROR, step: Step::Exec as u32, index: index as u32, errno, detail: [0; 5] };
    let _ = sys::write(plan.report, report.as_bytes());
    sys::exit(127)
}

/// Waits for signals for ever; ends with the main child.
fn reap(main: i32) -> ! {
    // SAFETY: plain libc calls on local values; every signal is blocked, so they are only taken here.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        loop {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let signal = libc::sigwaitinfo(&all, &mut info);
            match signal {
                libc::SIGCHLD => loop {
                    let mut status = 0;
                    let pid = libc::waitpid(-1, &mut status, libc::WNOHANG);
                    if pid <= 0 {
                        break;
                    }
                    if pid == main {
                        if libc::WIFSIGNALED(status) {
                            sys::exit(128 + libc::WTERMSIG(status));
                        }
                        sys::exit(libc::WEXITSTATUS(status));
                    }
                },
                libc::SIGTTIN | libc::SIGTTOU => {}
                signal if signal > 0 => {
                    libc::kill(main, signal);
                }
                _ => {}
            }
        }
    }
}
