//! Where the main process's output goes: the log, and every client that is attached.

use super::locked;
use crate::logs::{self, Stream};
use crate::protocol::{self, Attach, CHUNK, Kind, Reply};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A client that is attached.
pub(super) struct Client {
    stream: Mutex<Option<UnixStream>>,
    stdout: bool,
    stderr: bool,
    gone: AtomicBool,
}

impl Client {
    pub(super) fn new(stream: &UnixStream, attach: Attach) -> Arc<Self> {
        let stream = Mutex::new(stream.try_clone().ok());
        Arc::new(Self { stream, stdout: attach.stdout, stderr: attach.stderr, gone: AtomicBool::new(false) })
    }

    /// Sends a frame; a client that does not take it is gone.
    pub(super) fn send(&self, kind: Kind, bytes: &[u8]) {
        let stream = locked(&self.stream);
        let sent = stream.as_ref().is_some_and(|stream| protocol::send(stream, kind, bytes).is_ok());
        if !sent {
            self.gone.store(true, Ordering::Release);
        }
    }

    pub(super) fn reply(&self, reply: &Reply) {
        if let Some(stream) = &*locked(&self.stream) {
            let _ = protocol::send_reply(stream, reply);
        }
    }

    /// Says that nothing more is to be sent.
    pub(super) fn leave(&self) {
        self.gone.store(true, Ordering::Release);
    }
}

pub(super) struct Hub {
    log: Mutex<logs::Writer>,
    clients: Mutex<Vec<Arc<Client>>>,
    waiters: AtomicUsize,
    /// Whoever started the container and is attached.
    starter: Mutex<Option<Arc<Client>>>,
    starter_changed: Condvar,
}

impl Hub {
    pub(super) fn new(log: logs::Writer) -> Self {
        Self {
            log: Mutex::new(log),
            clients: Mutex::default(),
            waiters: AtomicUsize::new(0),
            starter: Mutex::default(),
            starter_changed: Condvar::new(),
        }
    }

    pub(super) fn add(&self, client: Arc<Client>) {
        locked(&self.clients).push(client);
    }

    /// Passes on what comes from the main process, to its end.
    pub(super) fn pump(&self, from: BorrowedFd<'_>, stream: Stream) {
        let mut buffer = vec![0; CHUNK];
        loop {
            match rustix::io::read(from, &mut buffer[..]) {
                // A terminal whose other side is closed gives an error.
                Ok(0) => return,
                Ok(count) => self.give(stream, &buffer[..count]),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    fn give(&self, stream: Stream, bytes: &[u8]) {
        // A full disk must not stop the container.
        let _ = locked(&self.log).write(stream, bytes);
        let clients: Vec<_> = {
            let mut clients = locked(&self.clients);
            clients.retain(|client| !client.gone.load(Ordering::Acquire));
            clients.clone()
        };
        for client in clients {
            match stream {
                Stream::Stdout if client.stdout => client.send(Kind::Stdout, bytes),
                Stream::Stderr if client.stderr => client.send(Kind::Stderr, bytes),
                _ => {}
            }
        }
    }

    /// Tells all who are attached how it ended.
    pub(super) fn end(&self, code: i32) {
        for client in locked(&self.clients).drain(..) {
            if !client.gone.load(Ordering::Acquire) {
                client.reply(&Reply::Ended { code });
            }
        }
    }

    pub(super) fn set_starter(&self, client: Arc<Client>) {
        *locked(&self.starter) = Some(client);
    }

    pub(super) fn starter_left(&self) {
        *locked(&self.starter) = None;
        self.starter_changed.notify_all();
    }

    pub(super) fn has_starter(&self) -> bool {
        locked(&self.starter).as_ref().is_some_and(|client| !client.gone.load(Ordering::Acquire))
    }

    /// Waits until the starter has left.
    pub(super) fn wait_starter(&self, limit: Duration) {
        let starter = locked(&self.starter);
        let _ = self.starter_changed.wait_timeout_while(starter, limit, |starter| starter.is_some());
    }

    /// Counts who waits for the end on a thread of its own.
    pub(super) fn waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.waiters.fetch_add(1, Ordering::AcqRel);
        let done = wait();
        self.waiters.fetch_sub(1, Ordering::AcqRel);
        done
    }

    pub(super) fn waiters(&self) -> usize {
        self.waiters.load(Ordering::Acquire)
    }
}
