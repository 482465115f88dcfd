//! UDP through the proxy: each client of each port has a socket of its own towards the container, so that the
//! container's answers find their way back. A session ends after 90 s without a datagram either way (what Docker
//! allows); at most 4,096 are kept, and the longest silent one makes room.
//!
//! Answers leave by the address that the kernel prefers for the client. On a host with several addresses in the
//! client's network, a port published on all of them may answer from another than was asked: name the address.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll;

use super::{Listener, Socket, Token};

const SILENCE: Duration = Duration::from_secs(90);
const SWEEP_EVERY: Duration = Duration::from_secs(5);
const MOST: usize = 4096;
/// The largest UDP payload there is.
const DATAGRAM: usize = 65_535;
/// Datagrams taken from one socket before the others have their turn.
const BURST: usize = 64;

struct Session {
    listener: u64,
    client: SocketAddr,
    socket: UdpSocket,
    last: Instant,
}

/// All UDP clients of a container.
pub(super) struct Sessions {
    by_number: HashMap<u64, Session>,
    by_client: HashMap<(u64, SocketAddr), u64>,
    next: u64,
    swept: Instant,
    buffer: Vec<u8>,
    /// How many sessions are kept.
    most: usize,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            by_number: HashMap::new(),
            by_client: HashMap::new(),
            next: 0,
            swept: Instant::now(),
            buffer: Vec::new(),
            most: MOST,
        }
    }
}

impl Sessions {
    /// Passes what clients sent on to the container. The error is about making a session; lost datagrams are not
    /// errors.
    pub(super) fn relay(
        &mut self,
        epoll: &OwnedFd,
        listener: u64,
        outside: &UdpSocket,
        target: SocketAddr,
    ) -> io::Result<()> {
        self.buffer.resize(DATAGRAM, 0);
        for _ in 0..BURST {
            let (count, client) = match outside.recv_from(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // An earlier answer was refused by its client; the next receive is clean.
                Err(_) => continue,
            };
            let number = match self.by_client.get(&(listener, client)) {
                Some(&number) => number,
                None => self.open(epoll, listener, client, target)?,
            };
            if let Some(session) = self.by_number.get_mut(&number) {
                session.last = Instant::now();
                let _ = session.socket.send(&self.buffer[..count]);
            }
        }
        Ok(())
    }

    /// Passes the container's answers to the session's client.
    pub(super) fn answer(&mut self, number: u64, listeners: &[Listener]) {
        let Some(session) = self.by_number.get_mut(&number) else { return };
        let listener = usize::try_from(session.listener).ok().and_then(|index| listeners.get(index));
        let Some(Listener { socket: Socket::Udp(outside), .. }) = listener else { return };
        self.buffer.resize(DATAGRAM, 0);
        for _ in 0..BURST {
            match session.socket.recv(&mut self.buffer) {
                Ok(count) => {
                    session.last = Instant::now();
                    let _ = outside.send_to(&self.buffer[..count], session.client);
                }
                // Nothing more, or the container refused a datagram (reading cleared that).
                Err(_) => return,
            }
        }
    }

    /// How long until silent sessions are looked for; `None` where there are none at all.
    pub(super) fn next_sweep(&self, now: Instant) -> Option<Duration> {
        (!self.by_number.is_empty()).then(|| (self.swept + SWEEP_EVERY).saturating_duration_since(now))
    }

    /// Ends the sessions that have been silent for too long.
    pub(super) fn sweep(&mut self, now: Instant) {
        if self.by_number.is_empty() || now < self.swept + SWEEP_EVERY {
            return;
        }
        self.swept = now;
        let by_client = &mut self.by_client;
        self.by_number.retain(|_, session| {
            let stays = now.duration_since(session.last) < SILENCE;
            if !stays {
                by_client.remove(&(session.listener, session.client));
            }
            stays
        });
    }

    fn open(
        &mut self,
        epoll: &OwnedFd,
        listener: u64,
        client: SocketAddr,
        target: SocketAddr,
    ) -> io::Result<u64> {
        if self.by_number.len() >= self.most
            && let Some((&oldest, _)) = self.by_number.iter().min_by_key(|(_, session)| session.last)
            && let Some(session) = self.by_number.remove(&oldest)
        {
            self.by_client.remove(&(session.listener, session.client));
        }
        let any: IpAddr =
            if target.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
        socket.set_nonblocking(true)?;
        socket.connect(target)?;
        self.next += 1;
        let number = self.next;
        epoll::add(epoll, &socket, Token::Session(number).pack(), epoll::EventFlags::IN)?;
        self.by_number.insert(number, Session { listener, client, socket, last: Instant::now() });
        self.by_client.insert((listener, client), number);
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_sessions_are_swept() {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let mut sessions = Sessions::default();
        let start = sessions.swept;
        assert_eq!(sessions.next_sweep(start), None);
        let client: SocketAddr = "192.0.2.1:5000".parse().unwrap();
        let target: SocketAddr = "127.0.0.1:9".parse().unwrap();
        sessions.open(&epoll, 0, client, target).unwrap();
        assert!(sessions.next_sweep(start).is_some());
        sessions.sweep(start + SILENCE / 2);
        assert_eq!(sessions.by_number.len(), 1);
        sessions.sweep(start + SILENCE * 2);
        assert!(sessions.by_number.is_empty() && sessions.by_client.is_empty());
    }

    #[test]
    fn the_longest_silent_session_makes_room() {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let mut sessions = Sessions { most: 3, ..Sessions::default() };
        let target: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let client = |number| SocketAddr::new([192, 0, 2, 1].into(), number);
        for number in 1..=3 {
            sessions.open(&epoll, 0, client(number), target).unwrap();
        }
        let second = sessions.by_client[&(0, client(2))];
        sessions.by_number.get_mut(&second).unwrap().last -= Duration::from_secs(1);
        sessions.open(&epoll, 0, client(4), target).unwrap();
        let mut ports: Vec<_> = sessions.by_client.keys().map(|(_, client)| client.port()).collect();
        ports.sort_unstable();
        assert_eq!(ports, [1, 3, 4]);
        assert_eq!(sessions.by_number.len(), 3);
    }
}
