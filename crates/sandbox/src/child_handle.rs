//! A started process: its streams, its end, its signals.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Signal, WaitId, WaitIdOptions};

use crate::error::{Error, Result};
use crate::mountpoint::Created;
use crate::prepare::Ends;
use crate::stock::Shared;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl ExitStatus {
    /// The code, or 128 and the signal, as shells give it.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }

    /// Whether it is code 0.
    #[must_use]
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }
}

/// A started process. Dropping it kills and reaps it, unless [`Child::leave`] was called.
#[derive(Debug)]
pub struct Child {
    process: Arc<Process>,
    ends: Mutex<Ends>,
    pub(crate) created: Vec<Created>,
    pub(crate) warnings: Vec<String>,
    /// Files that it sees and that go with it.
    pub(crate) shared: Vec<Shared>,
    leads_namespace: bool,
    kill_on_drop: bool,
}

/// What is waited for, perhaps by several threads; one of them reaps it.
#[derive(Debug)]
pub(crate) struct Process {
    pid: i32,
    pidfd: OwnedFd,
    status: Mutex<Option<ExitStatus>>,
}

impl Process {
    /// Waits for the end by the pidfd: `false` when the time is up first.
    fn wait_end(&self, timeout: Option<Duration>) -> Result<bool> {
        let end = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let left = end.map(|end| {
                let left = end.saturating_duration_since(Instant::now());
                Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
            });
            let mut poll = [PollFd::new(&self.pidfd, PollFlags::IN)];
            match rustix::event::poll(&mut poll, left.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                Err(source) => return Err(Error::os("wait for the process", self.pid.to_string(), source)),
                Ok(ready) => return Ok(ready > 0),
            }
        }
    }

    /// Reaps it if it has ended.
    fn reap(&self) -> Result<Option<ExitStatus>> {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if status.is_some() {
            return Ok(*status);
        }
        let waited = rustix::process::waitid(
            WaitId::PidFd(self.pidfd.as_fd()),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
        match waited {
            Ok(Some(ended)) => {
                *status = Some(match (ended.exit_status(), ended.terminating_signal()) {
                    (Some(code), _) => ExitStatus::Code(code),
                    (None, Some(signal)) => ExitStatus::Signal(signal),
                    (None, None) => ExitStatus::Code(255),
                });
                Ok(*status)
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => Ok(None),
            Err(source) => Err(Error::os("wait for the process", self.pid.to_string(), source)),
        }
    }

    fn wait(&self) -> Result<ExitStatus> {
        loop {
            self.wait_end(None)?;
            if let Some(status) = self.reap()? {
                return Ok(status);
            }
        }
    }
}

impl Child {
    pub(crate) fn new(pid: i32, pidfd: OwnedFd, ends: Ends, leads_namespace: bool) -> Self {
        Self {
            process: Arc::new(Process { pid, pidfd, status: Mutex::new(None) }),
            ends: Mutex::new(ends),
            created: Vec::new(),
            warnings: Vec::new(),
            shared: Vec::new(),
            leads_namespace,
            kill_on_drop: true,
        }
    }

    /// What is waited for, for another thread to wait too.
    pub(crate) fn process(&self) -> Arc<Process> {
        self.process.clone()
    }

    /// Waits for the end and reaps it, whoever else waits.
    pub(crate) fn reap(process: &Process) {
        // Whoever asks for the status gets the error.
        let _ = process.wait();
    }

    /// Its process number in the caller's namespace.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid
    }

    /// Its pidfd: readable once it has ended.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.process.pidfd.as_fd()
    }

    fn ends(&self) -> std::sync::MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The write end of its standard input, once, when that is a pipe.
    pub fn take_stdin(&self) -> Option<OwnedFd> {
        self.ends().stdin.take()
    }

    /// The read end of its standard output, once, when that is a pipe.
    pub fn take_stdout(&self) -> Option<OwnedFd> {
        self.ends().stdout.take()
    }

    /// The read end of its standard error, once, when that is a pipe.
    pub fn take_stderr(&self) -> Option<OwnedFd> {
        self.ends().stderr.take()
    }

    /// Our side of its terminal, once. Reading it fails with EIO when the last process has closed the other side.
    pub fn take_terminal(&self) -> Option<OwnedFd> {
        self.ends().terminal.take()
    }

    /// The mount points that were made in the root, outermost first; see [`crate::mountpoint::remove`].
    #[must_use]
    pub fn created(&self) -> &[Created] {
        &self.created
    }

    /// What could not be done but does not stop the process, a line each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Waits for its end. With a process namespace of its own, everything that it left running has ended then.
    ///
    /// # Errors
    /// [`Error::Os`] when someone else reaped it.
    pub fn wait(&self) -> Result<ExitStatus> {
        self.process.wait()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        self.process.reap()
    }

    /// Waits at most this long.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<ExitStatus>> {
        if self.process.wait_end(Some(timeout))? { self.process.reap() } else { Ok(None) }
    }

    /// Sends a signal. After its end this does nothing. SIGKILL to the main process of a process namespace ends all
    /// that is in it.
    ///
    /// # Errors
    /// [`Error::Os`] names the process; [`Error::Invalid`] an impossible signal.
    pub fn kill(&self, signal: i32) -> Result<()> {
        let number =
            Signal::from_named_raw(signal).ok_or_else(|| Error::Invalid(format!("{signal} is no signal")))?;
        match rustix::process::pidfd_send_signal(&self.process.pidfd, number) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(source) => Err(Error::os("signal the process", self.process.pid.to_string(), source)),
        }
    }

    /// Whether killing it ends everything that it started.
    #[must_use]
    pub fn leads_namespace(&self) -> bool {
        self.leads_namespace
    }

    /// Lets it run on when this value goes.
    pub fn leave(mut self) {
        self.kill_on_drop = false;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.kill_on_drop && matches!(self.try_wait(), Ok(None)) {
            let _ = self.kill(libc::SIGKILL);
            let _ = self.wait();
        }
    }
}
