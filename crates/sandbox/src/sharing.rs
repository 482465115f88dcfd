//! Clones that share the launcher's memory until they execute a program, as vfork(2) does.
//!
//! A fork copies the page tables, and afterwards every page that either side writes to: some 0.6 ms of a step of 6 ms with
//! 17 MB in use, and it grows with what a build knows of its steps. A child that runs on the launcher's own memory
//! costs none of that. The thread that clones waits until the program is executed or the child has ended, so the child may
//! use that thread's storage (`errno`), and runs on a stack of its own.
//!
//! Only where nobody can look into the memory meanwhile, and nobody minds that it cannot be looked into:
//! - as root outside of user namespaces. The child makes the memory unreadable for whoever runs in its container, which is
//!   this process's memory as well, and stays so. Root reads its own `/proc` all the same; a plain user would not.
//! - in a new process namespace, where nobody is yet, and without an init, which never executes a program.

use std::ffi::c_void;
use std::os::fd::RawFd;

use libc::c_int;

use crate::child;
use crate::host::Host;
use crate::plan::{Plan, Report};
use crate::sys::{self, Sys};

/// What a child may use; that it uses more ends it.
const STACK: usize = 256 << 10;
const GUARD: usize = 64 << 10;

/// Whether children of this process may share its memory at all.
pub(crate) fn is_possible(host: &Host) -> bool {
    !host.in_user_namespace && rustix::process::geteuid().is_root()
}

/// Whether the child of this plan may.
pub(crate) fn is_for(plan: &Plan) -> bool {
    let parts: usize = plan.mounts.iter().map(|op| op.target().prefixes.len()).sum();
    parts <= MOST_REPORTS
        && plan.clone_flags & libc::CLONE_NEWPID as u64 != 0
        && plan.into_cgroup.is_none()
        && plan.join_pid.is_none()
        && !plan.init
}

/// Nobody reads a child's reports, one for each mount point or part of one that it makes, before it has executed its
/// program: so they must fit into a pipe.
const MOST_REPORTS: usize = (32 << 10) / Report::SIZE;

/// A stack for one child after the other.
pub(crate) struct Stack {
    lowest: *mut c_void,
}

impl Stack {
    /// A stack with pages below it that end whoever writes to them.
    pub(crate) fn new() -> Sys<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        // SAFETY: a new mapping of the kernel's choice touches no other.
        let lowest = unsafe {
            libc::mmap(std::ptr::null_mut(), STACK, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if lowest == libc::MAP_FAILED {
            return Err(sys::errno());
        }
        let stack = Self { lowest };
        // SAFETY: these are pages of the mapping, which nobody uses yet.
        if unsafe { libc::mprotect(lowest, GUARD, libc::PROT_NONE) } < 0 {
            return Err(sys::errno());
        }
        Ok(stack)
    }

    /// Clones with the namespaces of the plan and runs it; the child's process number and pidfd. Every signal is blocked in
    /// the calling thread, which waits until the child has executed a program or ended.
    pub(crate) fn clone(&mut self, plan: &Plan) -> Sys<(i32, RawFd)> {
        let flags = plan.clone_flags as c_int
            | libc::CLONE_VM
            | libc::CLONE_VFORK
            | libc::CLONE_PIDFD
            | libc::SIGCHLD;
        let mut pidfd: RawFd = -1;
        // SAFETY: the stack is ours, no other child uses it (`&mut`, and this thread waits for each), and it grows down
        // from its end, which is aligned to pages. The plan outlives the child's use of it, for the same reason. `enter`
        // does not return or unwind: it makes raw system calls on the plan and execs or exits.
        let pid = unsafe {
            libc::clone(
                enter,
                self.lowest.byte_add(STACK),
                flags,
                std::ptr::from_ref(plan).cast_mut().cast(),
                &raw mut pidfd,
            )
        };
        if pid < 0 { Err(sys::errno()) } else { Ok((pid, pidfd)) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no child is left on it.
        unsafe { libc::munmap(self.lowest, STACK) };
    }
}

/// Where the child begins.
extern "C" fn enter(plan: *mut c_void) -> c_int {
    // SAFETY: `Stack::clone` passes a plan that lives until this process has executed a program or ended.
    child::run(unsafe { &*plan.cast::<Plan>() })
}
