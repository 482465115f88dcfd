//! The bridge that root's namespaces are plugged into.
//!
//! Set up once by whoever comes first, under a claim that other processes wait for, and left standing:
//! 1. a bridge with the first address of a subnet that no route and no name server of the machine is in;
//! 2. forwarding between interfaces switched on;
//! 3. jettison's packet filter table (see [`crate::kernel::nftables`]).
//!
//! A namespace then costs one veth pair (one end a port of the bridge, the other `eth0` in the namespace), one
//! leased address and one route. The pair vanishes with the namespace.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use crate::error::{Error, Result};
use crate::kernel::netlink::{Batch, Socket};
use crate::kernel::{nftables, route};
use crate::lease::{Claim, Lease};
use crate::namespace;
use crate::probe;
use crate::subnet::Subnet;

/// Where the kernel keeps the switch for forwarding; it is the switch of the calling thread's namespace.
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
/// The tables of the iptables from before nf_tables, whose rules netlink does not show.
const OLD_TABLES: &str = "/proc/thread-self/net/ip_tables_names";
/// What links have where there is no default route to copy from.
const ETHERNET_MTU: u32 = 1500;
/// What a bridge carries as its alias once packets were seen to pass, with the generation of the packet filter's rules.
const PASSED: &str = "jettison: forwarded packets pass, packet filter generation ";
/// Routes as short as this are "everything" (a VPN's 0.0.0.0/1), not a neighbour.
const CATCH_ALL_PREFIX: u8 = 4;

/// A bridge that is ready for namespaces.
pub(crate) struct Bridge {
    name: String,
    index: u32,
    mtu: u32,
    subnet: Subnet,
    /// Of the bridge's namespace, whatever thread uses it.
    socket: Mutex<Socket>,
}

impl Bridge {
    /// Makes the bridge ready: all of it, the missing parts of it, or nothing where it stands.
    pub(crate) fn open(name: &str, candidates: &[Subnet], avoid: &[Ipv4Addr]) -> Result<Self> {
        route::check_name(name)?;
        let mut socket = Socket::route()?;
        let _claim = Claim::setup(name)?;
        let routes = route::routes(&mut socket)?;
        let mtu = match route::default_route(&routes).and_then(|route| route.interface) {
            Some(index) => route::link_by_index(&mut socket, index)?.map_or(ETHERNET_MTU, |link| link.mtu),
            None => ETHERNET_MTU,
        };
        let choose = || choose_subnet(name, candidates, avoid, &routes);
        let (index, mtu, subnet) = match route::link(&mut socket, name)? {
            Some(link) if link.kind != "bridge" => return Err(Error::NotABridge { name: name.to_owned() }),
            Some(link) => {
                let subnet = match route::addresses(&mut socket, link.index)?.first() {
                    Some(&(address, subnet)) if address == subnet.gateway() => subnet,
                    _ => {
                        let subnet = choose()?;
                        let mut batch = Batch::new();
                        batch.add_address(link.index, name, subnet.gateway(), subnet);
                        socket.run(&batch)?;
                        subnet
                    }
                };
                if !link.up {
                    let mut batch = Batch::new();
                    batch.link_up(name, link.index);
                    socket.run(&batch)?;
                }
                (link.index, link.mtu, subnet)
            }
            None => {
                let subnet = choose()?;
                let mut batch = Batch::new();
                batch.add_bridge(name, mtu, subnet.gateway());
                socket.run(&batch)?;
                no_ipv6(name);
                let link = route::link(&mut socket, name)?
                    .ok_or_else(|| Error::kernel(format!("looking up `{name}`"), io::ErrorKind::NotFound))?;
                let mut batch = Batch::new();
                batch.add_address(link.index, name, subnet.gateway(), subnet);
                socket.run(&batch)?;
                (link.index, mtu, subnet)
            }
        };
        forward()?;
        nftables::install(&mut Socket::netfilter()?, name, subnet)?;
        Ok(Self { name: name.to_owned(), index, mtu, subnet, socket: Mutex::new(socket) })
    }

    /// The subnet of the bridge.
    pub(crate) fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// Whether the interface is no longer there.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(route::link_by_index(&mut self.socket(), self.index), Ok(None))
    }

    /// What keeps forwarded packets from passing, in words, where something does.
    pub(crate) fn obstacle(&self) -> Result<Option<String>> {
        let mut filter = Socket::netfilter()?;
        let chains = nftables::foreign_forward_chains(&mut filter)?;
        let old =
            fs::read_to_string(OLD_TABLES).is_ok_and(|names| names.lines().any(|name| name == "filter"));
        if chains.is_empty() && !old {
            return Ok(None);
        }
        // A probe costs as much as the rest of a start. What it found holds until anybody changes a rule; the bridge
        // remembers it for all processes. The old iptables tell of no change.
        let generation = if old { None } else { nftables::generation(&mut filter)? };
        let mark = generation.map(|generation| format!("{PASSED}{generation}"));
        let link = route::link_by_index(&mut self.socket(), self.index)?;
        if link.is_some_and(|link| mark.as_ref() == Some(&link.alias)) {
            return Ok(None);
        }
        let _claim = Claim::setup(&self.name)?;
        if probe::passes(self)? {
            if let Some(mark) = mark {
                let mut batch = Batch::new();
                batch.set_alias(&self.name, self.index, &mark);
                // Where it cannot be written, the next process probes again.
                let _ = self.socket().run(&batch);
            }
            return Ok(None);
        }
        let suspect = chains.iter().find(|chain| chain.drops).or(chains.first());
        Ok(Some(match suspect {
            Some(chain) => format!("the packet filter chain `{}` drops forwarded packets", chain.name),
            None => "this machine's iptables rules drop forwarded packets".to_owned(),
        }))
    }

    /// A fresh namespace with an address, plugged into the bridge.
    pub(crate) fn connect(&self) -> Result<(OwnedFd, Lease)> {
        let lease = Lease::take(&self.name, self.subnet)?;
        let (netns, ()) = namespace::in_new(|netns| {
            let mut batch = Batch::new();
            batch.add_veth("jt%d", Some(self.index), self.mtu, "eth0", lease.address, netns);
            self.socket().run(&batch)?;
            no_ipv6("eth0");
            let mut inside = Socket::route()?;
            let link = route::link(&mut inside, "eth0")?
                .ok_or_else(|| Error::kernel("looking up `eth0`", io::ErrorKind::NotFound))?;
            let mut batch = Batch::new();
            batch
                .loopback_up()
                .link_up("eth0", link.index)
                .add_address(link.index, "eth0", lease.address, self.subnet)
                .add_default_route(link.index, self.subnet.gateway());
            inside.run(&batch)?;
            let links = link.peer.into_iter().chain([self.index]);
            route::wait_running(links, |index| route::link_by_index(&mut self.socket(), index))
        })?;
        Ok((netns, lease))
    }

    fn socket(&self) -> MutexGuard<'_, Socket> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the bridge and its packet filter table, where they are there. Namespaces still plugged in lose their
/// network.
pub(crate) fn remove(name: &str) -> Result<()> {
    route::check_name(name)?;
    let _claim = Claim::setup(name)?;
    let mut socket = Socket::route()?;
    match route::link(&mut socket, name)? {
        Some(link) if link.kind != "bridge" => return Err(Error::NotABridge { name: name.to_owned() }),
        Some(_) => {
            let mut batch = Batch::new();
            batch.remove_link(name);
            socket.run(&batch)?;
        }
        None => {}
    }
    nftables::remove(&mut Socket::netfilter()?, name)
}

/// Switches IPv6 off on an interface of the calling thread's namespace, as Docker does where a network has none:
/// with a mere link-local address, programs ask for IPv6 addresses and try them in vain. A kernel without IPv6
/// has nothing to switch.
fn no_ipv6(interface: &str) {
    let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"), "1");
}

/// Switches forwarding on where it is off.
fn forward() -> Result<()> {
    let what = || format!("switching on forwarding in {FORWARDING}");
    let now = fs::read_to_string(FORWARDING).map_err(|source| Error::kernel(what(), source))?;
    if now.trim() == "1" {
        return Ok(());
    }
    fs::write(FORWARDING, "1").map_err(|source| Error::kernel(what(), source))
}

/// The first candidate that overlaps no route but catch-all ones and holds no address that is to be avoided.
fn choose_subnet(
    bridge: &str,
    candidates: &[Subnet],
    avoid: &[Ipv4Addr],
    routes: &[route::Route],
) -> Result<Subnet> {
    let free = |candidate: &&Subnet| {
        !avoid.iter().any(|&address| candidate.contains(address))
            && !routes
                .iter()
                .any(|route| route.to.prefix() > CATCH_ALL_PREFIX && route.to.overlaps(**candidate))
    };
    candidates.iter().find(free).copied().ok_or_else(|| Error::NoSubnet {
        bridge: bridge.to_owned(),
        tried: candidates.iter().map(Subnet::to_string).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnets(texts: &[&str]) -> Vec<Subnet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_subnet_in_use_is_passed_over() {
        let candidates = subnets(&["10.187.0.0/20", "172.29.0.0/20", "192.168.231.0/24"]);
        let route =
            |to: &str| route::Route { to: to.parse().unwrap(), interface: Some(2), metric: 0, table: 254 };
        let choose = |routes: &[&str], avoid: &[Ipv4Addr]| {
            let routes: Vec<_> = routes.iter().map(|to| route(to)).collect();
            choose_subnet("b", &candidates, avoid, &routes).map(|subnet| subnet.to_string())
        };
        assert_eq!(choose(&["0.0.0.0/0", "0.0.0.0/1", "10.0.0.0/24"], &[]).unwrap(), "10.187.0.0/20");
        assert_eq!(choose(&["10.0.0.0/8"], &[]).unwrap(), "172.29.0.0/20");
        assert_eq!(choose(&["172.16.0.0/12"], &[Ipv4Addr::new(10, 187, 1, 53)]).unwrap(), "192.168.231.0/24");
        let none = choose(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"], &[]).unwrap_err();
        insta::assert_snapshot!(none.to_string(), @"no free subnet for bridge `b`: 10.187.0.0/20, 172.29.0.0/20, 192.168.231.0/24 overlap routes or name servers of this machine");
    }
}
