//! The user's side of an attached process: keys to it, output from it, signals and window sizes passed on.
//!
//! ```text
//! thread "input":   standard input ─▶ frames; watches for the detach keys
//! thread "signals": signals ─▶ requests on connections of their own
//! this thread:      frames ─▶ standard output and error, until the end
//! ```
//! Each direction has a thread of its own, so that a process that neither reads nor is read from blocks nothing else.

use crate::protocol::{self, CHUNK, Kind, Reply, Request};
use crate::start::Attached;
use crate::{Error, Result, monitor};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use sandbox::signals::Watch;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// What the user's side has.
#[derive(Default)]
pub struct Streams<'a> {
    /// Standard input; nothing is typed where there is none.
    pub stdin: Option<BorrowedFd<'a>>,
    /// Where standard output goes.
    pub stdout: Option<BorrowedFd<'a>>,
    /// Where standard error goes.
    pub stderr: Option<BorrowedFd<'a>>,
    /// The bytes that end the session and leave the process running; empty for none.
    pub detach_keys: Vec<u8>,
    /// Signals of this process. SIGWINCH passes the terminal's size on.
    pub signals: Option<&'a Watch>,
    /// Other signals go to the process; else those that ask this one to end end the session.
    pub proxy_signals: bool,
    /// The terminal whose size is passed on.
    pub terminal: Option<BorrowedFd<'a>>,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The process ended with this code.
    Ended(i32),
    /// The user typed the detach keys; it runs on.
    Detached,
    /// This side was asked to end by this signal, or interrupted for the third time; the process runs on.
    Interrupted(i32),
    /// Nobody reads this side's output any more; the process runs on.
    OutputGone,
    /// This side's output cannot be written, as the system says with this error number; the process runs on.
    OutputFailed(i32),
}

/// How many interrupts end the session however the process takes them.
const INTERRUPTS: u32 = 3;

const SIGINT: i32 = 2;
/// Hangup, interrupt, quit, terminate.
const ENDING: [i32; 4] = [1, SIGINT, 3, 15];
const SIGWINCH: i32 = 28;

pub(crate) fn run(attached: &Attached, streams: &Streams<'_>) -> Result<Outcome> {
    // Closing the write end wakes both threads.
    let (over, end) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|error| Error::io("make", "a pipe", error))?;
    let (left, interrupted) = (AtomicBool::new(false), AtomicI32::new(0));
    let mut output = None;
    let code = std::thread::scope(|scope| {
        if let Some(stdin) = streams.stdin {
            let (over, left) = (&over, &left);
            scope.spawn(move || {
                if type_in(attached, stdin, over, &streams.detach_keys) {
                    left.store(true, Ordering::Release);
                    let _ = protocol::send(&attached.stream, Kind::Leave, b"");
                    let _ = attached.stream.shutdown(Shutdown::Both);
                }
            });
        }
        if let Some(signals) = streams.signals {
            let (over, interrupted) = (&over, &interrupted);
            scope.spawn(move || {
                if let Some(signal) = pass_signals(attached, signals, streams, over) {
                    interrupted.store(signal, Ordering::Release);
                    let _ = attached.stream.shutdown(Shutdown::Both);
                }
            });
        }
        let code = show(attached, streams, &mut output);
        if output.is_some() {
            let _ = protocol::send(&attached.stream, Kind::Leave, b"");
        }
        drop(end);
        code
    });
    match (code, interrupted.into_inner()) {
        (Some(code), _) => Ok(Outcome::Ended(code)),
        (None, _) if left.into_inner() => Ok(Outcome::Detached),
        (None, signal @ 1..) => Ok(Outcome::Interrupted(signal)),
        (None, _) => match output {
            Some(Errno::PIPE) => Ok(Outcome::OutputGone),
            Some(error) => Ok(Outcome::OutputFailed(error.raw_os_error())),
            None => Err(Error::MonitorGone { name: attached.name.clone() }),
        },
    }
}

/// Shows what comes until the end; the exit code, where one came. `output`: why standard output takes no more.
fn show(attached: &Attached, streams: &Streams<'_>, output: &mut Option<Errno>) -> Option<i32> {
    let mut stderr = streams.stderr;
    loop {
        let (kind, bytes) = protocol::receive(&attached.stream).ok()??;
        match kind {
            Kind::Stdout => {
                if let Some(Err(error)) = streams.stdout.map(|stdout| write_all(stdout, &bytes)) {
                    *output = Some(error);
                    return None;
                }
            }
            Kind::Stderr => stderr = stderr.filter(|stderr| write_all(*stderr, &bytes).is_ok()),
            Kind::Reply => match serde_json::from_slice(&bytes).ok()? {
                Reply::Ended { code } => return Some(code),
                _ => continue,
            },
            _ => {}
        }
    }
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            // Somebody else made the descriptor non-blocking.
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&fd, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until one of the two can be read: whether the first can. A closed one counts.
fn readable(fd: BorrowedFd<'_>, over: &OwnedFd) -> bool {
    loop {
        let mut polled = [PollFd::new(&fd, PollFlags::IN), PollFd::new(over, PollFlags::IN)];
        match poll(&mut polled, None) {
            Err(Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => return polled[1].revents().is_empty() && !polled[0].revents().is_empty(),
        }
    }
}

/// Sends what is typed; says whether the user left by the detach keys.
fn type_in(attached: &Attached, stdin: BorrowedFd<'_>, over: &OwnedFd, keys: &[u8]) -> bool {
    let mut buffer = vec![0; CHUNK];
    let mut detach = Detach { keys, seen: 0 };
    while readable(stdin, over) {
        match rustix::io::read(stdin, &mut buffer[..]) {
            Ok(0) => {
                let _ = protocol::send(&attached.stream, Kind::StdinEnd, b"");
                return false;
            }
            Ok(count) => {
                let (bytes, leave) = detach.filter(&buffer[..count]);
                if !bytes.is_empty() && protocol::send(&attached.stream, Kind::Stdin, &bytes).is_err() {
                    return false;
                }
                if leave {
                    return true;
                }
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => {
                let _ = protocol::send(&attached.stream, Kind::StdinEnd, b"");
                return false;
            }
        }
    }
    false
}

/// Looks for the detach keys; what may be their beginning is held back.
struct Detach<'a> {
    keys: &'a [u8],
    seen: usize,
}

impl Detach<'_> {
    /// What is to be sent of these bytes, and whether the keys are complete.
    fn filter(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        if self.keys.is_empty() {
            return (bytes.to_vec(), false);
        }
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if *byte != self.keys[self.seen] {
                out.extend_from_slice(&self.keys[..self.seen]);
                self.seen = 0;
            }
            if *byte == self.keys[self.seen] {
                self.seen += 1;
                if self.seen == self.keys.len() {
                    return (out, true);
                }
            } else {
                out.push(*byte);
            }
        }
        (out, false)
    }
}

/// Passes signals on; gives the one that ends the session.
fn pass_signals(attached: &Attached, signals: &Watch, streams: &Streams<'_>, over: &OwnedFd) -> Option<i32> {
    let session = attached.session;
    let mut interrupts = 0;
    while readable(signals.as_fd(), over) {
        let Ok(Some(signal)) = signals.next() else { continue };
        let request = if signal == SIGWINCH {
            match streams.terminal.map(sandbox::tty::size) {
                Some(Ok((rows, columns))) => Request::Resize { session, rows, columns },
                _ => continue,
            }
        } else {
            interrupts += u32::from(signal == SIGINT);
            let enough = interrupts >= INTERRUPTS || !streams.proxy_signals;
            if enough && ENDING.contains(&signal) {
                return Some(signal);
            }
            if !streams.proxy_signals {
                continue;
            }
            Request::Signal { session, signal }
        };
        if let Ok(Some(side)) = monitor::connect(&attached.dir) {
            let _ = protocol::send_request(&side, &request);
            let _ = protocol::receive_reply(&side);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detach_keys_are_found_across_reads() {
        let mut detach = Detach { keys: b"\x10\x11", seen: 0 };
        assert_eq!(detach.filter(b"ab\x10"), (b"ab".to_vec(), false));
        assert_eq!(detach.filter(b"c\x10\x10"), (b"\x10c\x10".to_vec(), false));
        assert_eq!(detach.filter(b"\x11rest"), (Vec::new(), true));
        let mut none = Detach { keys: b"", seen: 0 };
        assert_eq!(none.filter(b"\x10\x11"), (b"\x10\x11".to_vec(), false));
    }
}
