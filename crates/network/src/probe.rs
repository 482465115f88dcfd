//! Whether the machine lets forwarded packets of the bridge pass.
//!
//! Packet filters of others (Docker's, firewalld's, ufw's, rules by hand, the old iptables) see every forwarded
//! packet, and what they drop no rule of ours brings back. Their rules cannot be judged by reading, so where
//! there are any, two datagrams are sent: out of a namespace on the bridge, through the host, into a namespace
//! behind an ordinary interface, and back. That takes about 5 ms, or 100 ms where they are dropped; that
//! they pass is remembered until a rule changes (`Bridge::obstacle`).

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use crate::bridge::Bridge;
use crate::error::{Error, Result};
use crate::kernel::netlink::{Batch, Socket};
use crate::kernel::route;
use crate::namespace;
use crate::subnet::Subnet;

/// How long a datagram may take between two namespaces of one machine.
const PATIENCE: Duration = Duration::from_millis(100);
/// The host's end of the probe's other side: out of TEST-NET-2 (RFC 5737), which no network uses.
const NEAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 213);
const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 214);
const PREFIX: u8 = 30;
const MTU: u32 = 1280;

/// Sends the datagrams. The caller holds the claim on the bridge's setup, so that one probe runs at a time.
pub(crate) fn passes(bridge: &Bridge) -> Result<bool> {
    let subnet = Subnet::new(NEAR, PREFIX).expect("because the prefix is below 33");
    let mut socket = Socket::route()?;
    let (far, ()) = namespace::in_new(|netns| {
        let mut batch = Batch::new();
        batch.add_veth("jtp%d", None, MTU, "eth0", FAR, netns);
        socket.run(&batch)?;
        let mut inside = Socket::route()?;
        let index = index_of(&mut inside, "eth0")?;
        let mut batch = Batch::new();
        batch.link_up("eth0", index).add_address(index, "eth0", FAR, subnet);
        inside.run(&batch)
    })?;
    // The kernel chose the near end's name; the far end knows its number.
    let near = namespace::within(far.as_fd(), || {
        let mut inside = Socket::route()?;
        route::link(&mut inside, "eth0")?.and_then(|link| link.peer).ok_or_else(|| missing("eth0"))
    })?;
    let mut batch = Batch::new();
    batch.add_address(near, "the probe", NEAR, subnet);
    socket.run(&batch)?;
    route::wait_running([near], |index| route::link_by_index(&mut socket, index))?;
    let result = exchange(bridge, far.as_fd());
    // The link vanishes a moment after its namespace; its address must not be in the next probe's way.
    let mut batch = Batch::new();
    batch.remove_address(near, "the probe", NEAR, subnet);
    socket.run(&batch)?;
    result
}

fn exchange(bridge: &Bridge, far: std::os::fd::BorrowedFd<'_>) -> Result<bool> {
    let (near, _lease) = bridge.connect()?;
    let inside = namespace::within(near.as_fd(), || bind(Ipv4Addr::UNSPECIFIED))?;
    let outside = namespace::within(far, || bind(FAR))?;
    let trouble = |source| Error::kernel("probing the packet filter", source);
    let port = outside.local_addr().map_err(trouble)?.port();
    // A filter that rejects is noticed when sending or receiving; both are answers, not errors.
    if inside.send_to(b"jettison?", (FAR, port)).is_err() {
        return Ok(false);
    }
    let mut buffer = [0; 16];
    let Ok((_, from)) = outside.recv_from(&mut buffer) else { return Ok(false) };
    if outside.send_to(b"jettison!", from).is_err() {
        return Ok(false);
    }
    Ok(inside.recv_from(&mut buffer).is_ok())
}

fn bind(address: Ipv4Addr) -> Result<UdpSocket> {
    UdpSocket::bind((address, 0))
        .and_then(|socket| socket.set_read_timeout(Some(PATIENCE)).map(|()| socket))
        .map_err(|source| Error::kernel(format!("binding {address}"), source))
}

fn index_of(socket: &mut Socket, name: &str) -> Result<u32> {
    route::link(socket, name)?.map(|link| link.index).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Error {
    Error::kernel(format!("looking up `{name}`"), io::ErrorKind::NotFound)
}
