//! Networks as a whole, on a machine made of namespaces: nothing here touches the network of the machine that the
//! tests run on. They need root.

mod connect;
mod publish;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Duration;

use crate::error::Result;
use crate::kernel::netlink::{Batch, Socket};
use crate::kernel::route;
use crate::{Network, NetworkOptions, isolated, within};

/// A host and a neighbour that it routes everything through.
struct Machine {
    host: OwnedFd,
    neighbour: OwnedFd,
}

const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const MTU: u32 = 1400;
/// No test waits longer for an answer: a lost one is a failure, not a hang.
const PATIENCE: Duration = Duration::from_secs(20);

impl Machine {
    fn new() -> Self {
        let (host, neighbour) = (isolated().unwrap(), isolated().unwrap());
        let subnet = "192.0.2.0/24".parse().unwrap();
        within(host.as_fd(), || {
            let mut socket = Socket::route()?;
            let mut batch = Batch::new();
            batch.add_veth("up0", None, MTU, "eth0", NEIGHBOUR, neighbour.as_fd());
            socket.run(&batch)?;
            let index = route::link(&mut socket, "up0")?.unwrap().index;
            let mut batch = Batch::new();
            batch.add_address(index, "up0", HOST, subnet).add_default_route(index, NEIGHBOUR);
            socket.run(&batch)
        })
        .unwrap();
        within(neighbour.as_fd(), || {
            let mut socket = Socket::route()?;
            let index = route::link(&mut socket, "eth0")?.unwrap().index;
            let mut batch = Batch::new();
            batch.link_up("eth0", index).add_address(index, "eth0", NEIGHBOUR, subnet);
            socket.run(&batch)
        })
        .unwrap();
        within(host.as_fd(), || {
            let mut socket = Socket::route()?;
            let index = route::link(&mut socket, "up0")?.unwrap().index;
            route::wait_running([index], |index| route::link_by_index(&mut socket, index))
        })
        .unwrap();
        Self { host, neighbour }
    }

    /// Does something on the host.
    fn on_host<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        within(self.host.as_fd(), || Ok(work())).unwrap()
    }

    fn network(&self) -> Network {
        Network::open(NetworkOptions::default())
    }
}

/// A server in a namespace that sends each client's bytes back to it until the client has sent its last, then
/// says who it was and ends. `clients` are served one after the other.
fn echo_server(netns: &OwnedFd, address: Ipv4Addr, clients: usize) -> (u16, thread::JoinHandle<Vec<IpAddr>>) {
    within(netns.as_fd(), || Ok(echo_here(address, clients))).unwrap()
}

fn echo_here(address: Ipv4Addr, clients: usize) -> (u16, thread::JoinHandle<Vec<IpAddr>>) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        (0..clients)
            .map(|_| {
                let (client, peer) = listener.accept().unwrap();
                client.set_read_timeout(Some(PATIENCE)).unwrap();
                // Echoed while it is read: neither side's buffers could hold it all.
                std::io::copy(&mut &client, &mut &client).unwrap();
                peer.ip()
            })
            .collect()
    });
    (port, server)
}

/// Sends bytes, ends its own side, and gives what came back.
fn ask(address: impl Into<IpAddr>, port: u16, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(address.into(), port), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = stream.try_clone()?;
    let back = thread::spawn(move || {
        let mut back = Vec::new();
        reader.read_to_end(&mut back).map(|_| back)
    });
    stream.write_all(bytes)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    back.join().unwrap()
}

/// Does something in a connected namespace.
fn inside<T: Send>(attachment: &crate::Attachment, work: impl FnOnce() -> T + Send) -> T {
    within(attachment.netns(), || -> Result<T> { Ok(work()) }).unwrap()
}
