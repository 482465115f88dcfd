//! The port proxy: one thread, one epoll, for all published ports of a container.
//!
//! Listeners are watched level-triggered, connections edge-triggered: each is registered once and moved on
//! whenever either of its ends says something, until both directions would block. A connection that could go on
//! for longer gives way to the others after a few rounds and is taken up again before the next wait.

mod tcp;
mod udp;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use tcp::{Connection, State};
use udp::Sessions;

/// How long accepting rests when the process has no descriptor left.
const REST: Duration = Duration::from_millis(100);
/// Events taken from the kernel at once.
const EVENTS: usize = 128;

/// A listening socket. Both kinds are non-blocking.
pub(crate) enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Socket {
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr(),
            Self::Udp(socket) => socket.local_addr(),
        }
    }
}

/// A port taken on the host and the container's port behind it.
pub(crate) struct Listener {
    pub(crate) socket: Socket,
    pub(crate) container_port: u16,
}

/// What an event is about, packed into the 64 bits that epoll gives back: kind in the top byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Stop,
    Listener(u64),
    Client(u64),
    Server(u64),
    Session(u64),
}

const KIND_SHIFT: u32 = 56;

impl Token {
    fn pack(self) -> epoll::EventData {
        let (kind, number) = match self {
            Self::Stop => (0, 0),
            Self::Listener(number) => (1, number),
            Self::Client(number) => (2, number),
            Self::Server(number) => (3, number),
            Self::Session(number) => (4, number),
        };
        epoll::EventData::new_u64(kind << KIND_SHIFT | number)
    }

    fn unpack(data: epoll::EventData) -> Self {
        let (kind, number) = (data.u64() >> KIND_SHIFT, data.u64() & ((1 << KIND_SHIFT) - 1));
        match kind {
            1 => Self::Listener(number),
            2 => Self::Client(number),
            3 => Self::Server(number),
            4 => Self::Session(number),
            _ => Self::Stop,
        }
    }
}

/// The proxy of one container.
pub(crate) struct Proxy {
    epoll: OwnedFd,
    /// Held so that the descriptor that epoll watches stays open.
    _stop: Arc<OwnedFd>,
    listeners: Vec<Listener>,
    target: IpAddr,
    connections: HashMap<u64, Connection>,
    sessions: Sessions,
    /// Connections that had more to move when their turn was over.
    busy: VecDeque<u64>,
    /// When listeners are watched again after the descriptors ran out.
    resting: Option<Instant>,
    next: u64,
}

impl Proxy {
    /// A proxy that connects to `target` from the calling thread's namespace and ends when `stop` is readable.
    pub(crate) fn new(listeners: Vec<Listener>, target: IpAddr, stop: Arc<OwnedFd>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &*stop, Token::Stop.pack(), epoll::EventFlags::IN)?;
        let proxy = Self {
            epoll,
            _stop: stop,
            listeners,
            target,
            connections: HashMap::new(),
            sessions: Sessions::default(),
            busy: VecDeque::new(),
            resting: None,
            next: 0,
        };
        proxy.watch_listeners(epoll::EventFlags::IN, true)?;
        Ok(proxy)
    }

    /// Serves until the stop descriptor is readable.
    pub(crate) fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            let timeout = self.timeout().and_then(|timeout| Timespec::try_from(timeout).ok());
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                // Only a bad descriptor or buffer: neither can be, and spinning would be worse than ending.
                Err(_) => return,
            }
            for event in &events {
                match Token::unpack(event.data) {
                    Token::Stop => return,
                    Token::Listener(number) => self.listener_ready(number),
                    Token::Client(number) => self.move_on(number),
                    Token::Server(number) => self.server_ready(number),
                    Token::Session(number) => self.sessions.answer(number, &self.listeners),
                }
            }
            for _ in 0..self.busy.len() {
                if let Some(number) = self.busy.pop_front() {
                    if let Some(connection) = self.connections.get_mut(&number) {
                        connection.busy = false;
                    }
                    self.move_on(number);
                }
            }
            self.sessions.sweep(Instant::now());
            if self.resting.is_some_and(|until| until <= Instant::now()) {
                self.resting = None;
                let _ = self.watch_listeners(epoll::EventFlags::IN, false);
            }
        }
    }

    /// How long to wait for events at most; `None` is for ever.
    fn timeout(&self) -> Option<Duration> {
        if !self.busy.is_empty() {
            return Some(Duration::ZERO);
        }
        let rest = self.resting.map(|until| until.saturating_duration_since(Instant::now()));
        match (rest, self.sessions.next_sweep(Instant::now())) {
            (Some(rest), Some(sweep)) => Some(rest.min(sweep)),
            (rest, sweep) => rest.or(sweep),
        }
    }

    fn watch_listeners(&self, flags: epoll::EventFlags, first: bool) -> io::Result<()> {
        for (number, listener) in (0..).zip(&self.listeners) {
            let fd = match &listener.socket {
                Socket::Tcp(socket) => socket.as_fd(),
                Socket::Udp(socket) => socket.as_fd(),
            };
            let token = Token::Listener(number).pack();
            if first {
                epoll::add(&self.epoll, fd, token, flags)?;
            } else {
                epoll::modify(&self.epoll, fd, token, flags)?;
            }
        }
        Ok(())
    }

    /// The kernel has no descriptor for us: stop listening for a moment rather than be woken without end.
    fn rest(&mut self) {
        self.resting = Some(Instant::now() + REST);
        let _ = self.watch_listeners(epoll::EventFlags::empty(), false);
    }

    fn listener_ready(&mut self, number: u64) {
        let Some(listener) = usize::try_from(number).ok().and_then(|index| self.listeners.get(index)) else {
            return;
        };
        let target = SocketAddr::new(self.target, listener.container_port);
        match &listener.socket {
            Socket::Tcp(socket) => {
                // A few at a time: the listener is level-triggered and comes again.
                for _ in 0..16 {
                    match socket.accept() {
                        Ok((client, _)) => {
                            self.next += 1;
                            if let Err(error) =
                                open(&self.epoll, self.next, client, target, &mut self.connections)
                                && out_of_descriptors(&error)
                            {
                                return self.rest();
                            }
                        }
                        Err(error) if out_of_descriptors(&error) => return self.rest(),
                        // Nothing left, or a client that gave up before it was accepted.
                        Err(_) => return,
                    }
                }
            }
            Socket::Udp(socket) => {
                if let Err(error) = self.sessions.relay(&self.epoll, number, socket, target)
                    && out_of_descriptors(&error)
                {
                    self.rest();
                }
            }
        }
    }

    fn server_ready(&mut self, number: u64) {
        if let Some(connection) = self.connections.get_mut(&number)
            && connection.server_answered().is_err()
        {
            self.connections.remove(&number);
            return;
        }
        self.move_on(number);
    }

    fn move_on(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        match connection.move_on() {
            Ok(State::Waiting) => {}
            Ok(State::MoreToMove) => {
                if !connection.busy {
                    connection.busy = true;
                    self.busy.push_back(number);
                }
            }
            Ok(State::Finished) => {
                self.connections.remove(&number);
            }
            Err(_) => {
                // Whatever broke one half ends the other as abruptly, as the client would see it without a proxy.
                connection.reset();
                self.connections.remove(&number);
            }
        }
    }
}

fn open(
    epoll: &OwnedFd,
    number: u64,
    client: TcpStream,
    target: SocketAddr,
    connections: &mut HashMap<u64, Connection>,
) -> io::Result<()> {
    let connection = Connection::open(client, target)?;
    let flags =
        epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
    epoll::add(epoll, connection.client(), Token::Client(number).pack(), flags)?;
    epoll::add(epoll, connection.server(), Token::Server(number).pack(), flags)?;
    connections.insert(number, connection);
    Ok(())
}

fn out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_went() {
        for token in [
            Token::Stop,
            Token::Listener(0),
            Token::Client(7),
            Token::Server((1 << KIND_SHIFT) - 1),
            Token::Session(1 << 40),
        ] {
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}
