//! One proxied TCP connection: two sockets, and a pipe for each direction that the kernel moves pages through
//! (`splice`), so that no byte is copied into this process.
//!
//! A direction ends by itself: when its source has said its last byte and the pipe is empty, the destination's
//! write side is shut down, and the other direction goes on. The connection ends when both have.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socket_with, sockopt};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

/// Rounds for one connection before the others have their turn.
const ROUNDS: usize = 16;
/// Bytes asked for in one splice; the pipe takes what it can hold.
const CHUNK: usize = 1 << 20;

/// Whether a connection needs to be looked at again without an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Both directions would block: events will come.
    Waiting,
    /// The turn was over first.
    MoreToMove,
    /// Both directions have ended.
    Finished,
}

/// A client and the container's server.
pub(super) struct Connection {
    client: TcpStream,
    server: OwnedFd,
    connected: bool,
    forth: Direction,
    back: Direction,
    /// Whether it is in the queue of those that had more to move.
    pub(super) busy: bool,
}

impl Connection {
    /// Starts to connect to the server.
    pub(super) fn open(client: TcpStream, target: SocketAddr) -> io::Result<Self> {
        client.set_nonblocking(true)?;
        let family = if target.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let server = socket_with(family, SocketType::STREAM, flags, None)?;
        for end in [client.as_fd(), server.as_fd()] {
            // What is written here was already gathered by the other side.
            sockopt::set_tcp_nodelay(end, true)?;
            // Finds peers that vanished without a word.
            sockopt::set_socket_keepalive(end, true)?;
        }
        match rustix::net::connect(&server, &target) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(Self {
            client,
            server,
            connected: false,
            forth: Direction::new()?,
            back: Direction::new()?,
            busy: false,
        })
    }

    pub(super) fn client(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }

    pub(super) fn server(&self) -> BorrowedFd<'_> {
        self.server.as_fd()
    }

    /// The server's socket had an event: the first one says whether it is connected.
    pub(super) fn server_answered(&mut self) -> io::Result<()> {
        if !self.connected {
            sockopt::socket_error(&self.server)??;
            // Early events come before the handshake is done.
            self.connected = rustix::net::getpeername(&self.server).is_ok();
        }
        Ok(())
    }

    /// Moves what can be moved, both ways.
    pub(super) fn move_on(&mut self) -> io::Result<State> {
        if !self.connected {
            return Ok(State::Waiting);
        }
        let forth = self.forth.pump(self.client.as_fd(), self.server.as_fd())?;
        let back = self.back.pump(self.server.as_fd(), self.client.as_fd())?;
        Ok(if self.forth.ended && self.back.ended {
            State::Finished
        } else if forth || back {
            State::MoreToMove
        } else {
            State::Waiting
        })
    }

    /// Makes closing abrupt: the peers see a reset, not an orderly end.
    pub(super) fn reset(&self) {
        for end in [self.client.as_fd(), self.server.as_fd()] {
            let _ = sockopt::set_socket_linger(end, Some(Duration::ZERO));
        }
    }
}

struct Direction {
    out_of: OwnedFd,
    into: OwnedFd,
    /// Bytes in the pipe.
    held: usize,
    source_ended: bool,
    ended: bool,
}

impl Direction {
    fn new() -> io::Result<Self> {
        let (out_of, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self { out_of, into, held: 0, source_ended: false, ended: false })
    }

    /// Moves bytes until it would block; `true` where the turn was over first.
    fn pump(&mut self, source: BorrowedFd<'_>, destination: BorrowedFd<'_>) -> io::Result<bool> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        for _ in 0..ROUNDS {
            if self.ended {
                return Ok(false);
            }
            // The pipe is only filled when empty, so "would block" here always means the source.
            if self.held == 0 && !self.source_ended {
                match splice(source, None, &self.into, None, CHUNK, flags) {
                    Ok(0) => self.source_ended = true,
                    Ok(count) => self.held = count,
                    Err(Errno::AGAIN) => return Ok(false),
                    Err(Errno::INTR) => continue,
                    Err(errno) => return Err(errno.into()),
                }
            }
            while self.held > 0 {
                match splice(&self.out_of, None, destination, None, self.held, flags) {
                    Ok(count) => self.held = self.held.saturating_sub(count),
                    Err(Errno::AGAIN) => return Ok(false),
                    Err(Errno::INTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            if self.source_ended {
                // The destination may be gone already, which the other direction will find out.
                let _ = shutdown(destination, Shutdown::Write);
                self.ended = true;
            }
        }
        Ok(!self.ended)
    }
}
