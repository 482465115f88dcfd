//! Signals as values to wait for: handlers that write the number into a pipe.
//!
//! No signal is blocked, so programs that are started inherit nothing of it (exec resets handlers).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::pipe::PipeFlags;

use crate::error::{Error, Result};
use crate::sys;

const SLOTS: usize = 16;
/// For each watch: the write end of its pipe (-1 when free), and the signals it wants by bit.
static PIPES: [AtomicI32; SLOTS] = [const { AtomicI32::new(-1) }; SLOTS];
static WANTED: [AtomicU64; SLOTS] = [const { AtomicU64::new(0) }; SLOTS];

extern "C" fn handle(signal: libc::c_int) {
    // SAFETY: errno is this thread's own.
    let before = unsafe { *libc::__errno_location() };
    for (pipe, wanted) in PIPES.iter().zip(&WANTED) {
        if wanted.load(Ordering::Acquire) >> signal & 1 == 1 {
            // A full pipe means that the watcher has plenty to read; signals are not counted anyway.
            let _ = sys::write(pipe.load(Ordering::Acquire), &[signal as u8]);
        }
    }
    // SAFETY: as above; the interrupted code must find its errno.
    unsafe { *libc::__errno_location() = before };
}

/// Signals that arrive at this process. Dropping it stops watching; the handlers stay and then do nothing.
#[derive(Debug)]
pub struct Watch {
    read: OwnedFd,
    _write: OwnedFd,
    slot: usize,
}

/// Watches signals of the whole process (numbers of `libc`). Their default actions no longer happen. SIGKILL and
/// SIGSTOP cannot be watched; at most sixteen watches exist at a time.
///
/// # Errors
/// [`Error::Os`] names the signal; [`Error::Invalid`] when there are too many watches.
pub fn watch(signals: &[i32]) -> Result<Watch> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
        .map_err(|source| Error::os("make", "a pipe", source))?;
    let slot = PIPES
        .iter()
        .position(|pipe| {
            pipe.compare_exchange(-1, write.as_raw_fd(), Ordering::AcqRel, Ordering::Acquire).is_ok()
        })
        .ok_or_else(|| Error::Invalid(format!("more than {SLOTS} signal watches")))?;
    let watch = Watch { read, _write: write, slot };
    for signal in signals {
        if !(1..64).contains(signal) {
            return Err(Error::Invalid(format!("{signal} is no signal")));
        }
        WANTED[slot].fetch_or(1 << signal, Ordering::AcqRel);
        // SAFETY: the handler is async-signal-safe; the struct is plain data and valid.
        let failed = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handle as extern "C" fn(libc::c_int) as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(*signal, &action, std::ptr::null_mut()) != 0
        };
        if failed {
            return Err(Error::errno("watch the signal", signal.to_string(), sys::errno()));
        }
    }
    Ok(watch)
}

impl Watch {
    /// The next signal, waiting for it.
    ///
    /// # Errors
    /// [`Error::Os`] when the wait fails.
    pub fn wait(&self) -> Result<i32> {
        loop {
            if let Some(signal) = self.wait_timeout(Duration::from_secs(3600))? {
                return Ok(signal);
            }
        }
    }

    /// The next signal, or `None` after this long.
    ///
    /// # Errors
    /// [`Error::Os`] when the wait fails.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<i32>> {
        let failed = |source| Error::os("wait for", "signals", source);
        let end = Instant::now() + timeout;
        loop {
            if let Some(signal) = self.next()? {
                return Ok(Some(signal));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            match rustix::event::poll(&mut [PollFd::new(&self.read, PollFlags::IN)], Some(&left)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(source) => return Err(failed(source)),
            }
        }
    }

    /// A signal that has arrived already.
    ///
    /// # Errors
    /// [`Error::Os`] when the pipe fails.
    pub fn next(&self) -> Result<Option<i32>> {
        let mut byte = [0u8];
        match rustix::io::read(&self.read, &mut byte) {
            Ok(1) => Ok(Some(byte[0].into())),
            Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
            Err(source) => Err(Error::os("read", "signals", source)),
        }
    }
}

impl AsFd for Watch {
    /// Readable when a signal has arrived: for poll(2) with other descriptors.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WANTED[self.slot].store(0, Ordering::Release);
        PIPES[self.slot].store(-1, Ordering::Release);
    }
}

/// Sends a signal to a process by number. For processes that are not children; see [`crate::Child::kill`].
///
/// # Errors
/// [`Error::Os`] names the process.
pub fn send(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: plain integers.
    if unsafe { libc::kill(pid, signal) } == 0 {
        Ok(())
    } else {
        Err(Error::errno("signal the process", pid.to_string(), sys::errno()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_watch_sees_its_signals_only() {
        let (both, one) = (watch(&[libc::SIGUSR1, libc::SIGUSR2]).unwrap(), watch(&[libc::SIGUSR2]).unwrap());
        let me = rustix::process::getpid().as_raw_nonzero().get();
        send(me, libc::SIGUSR1).unwrap();
        assert_eq!(both.wait_timeout(Duration::from_secs(5)).unwrap(), Some(libc::SIGUSR1));
        send(me, libc::SIGUSR2).unwrap();
        assert_eq!(one.wait_timeout(Duration::from_secs(5)).unwrap(), Some(libc::SIGUSR2));
        assert_eq!(both.wait().unwrap(), libc::SIGUSR2);
        assert_eq!(one.next().unwrap(), None);
        drop(one);
        assert!(watch(&[libc::SIGKILL]).is_err());
    }
}
