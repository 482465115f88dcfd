//! Links, addresses and routes (`rtnetlink(7)`): the few messages that bridges and veth pairs need.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

use super::netlink::{APPEND, Attributes, Batch, CREATE, EXCL, Socket, text_of, u32_at};
use crate::error::{Error, Result};
use crate::subnet::Subnet;

const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const GETLINK: u16 = 18;
const NEWADDR: u16 = 20;
const DELADDR: u16 = 21;
const GETADDR: u16 = 22;
const NEWROUTE: u16 = 24;
const GETROUTE: u16 = 26;

/// Attributes of a link message.
mod link {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const NAME: u16 = 3;
    pub(super) const MTU: u16 = 4;
    pub(super) const PEER: u16 = 5;
    pub(super) const MASTER: u16 = 10;
    pub(super) const INFO: u16 = 18;
    pub(super) const ALIAS: u16 = 20;
    pub(super) const NETNS: u16 = 28;
    pub(super) const INFO_KIND: u16 = 1;
    pub(super) const INFO_DATA: u16 = 2;
    pub(super) const VETH_PEER: u16 = 1;
}

const INET: u8 = 2;
/// The interface flag for "switched on".
const UP: u32 = 1;
/// The interface flag for "switched on, and the other end too".
const RUNNING: u32 = 0x40;
/// How long a link may take to be noticed as running; a millisecond is usual.
const RUNNING_PATIENCE: Duration = Duration::from_secs(2);
/// The loopback interface is the first of every namespace.
const LOOPBACK: u32 = 1;
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
const ROUTE_HEADER: usize = 12;
/// The routing table that a default route without policy rules is in.
const MAIN_TABLE: u32 = 254;

/// What is known of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) kind: String,
    pub(crate) mtu: u32,
    pub(crate) up: bool,
    pub(crate) running: bool,
    /// A text that somebody put there; empty where nobody did.
    pub(crate) alias: String,
    /// The other end's number in its own namespace, for one end of a veth pair.
    pub(crate) peer: Option<u32>,
}

/// A route to an IPv4 destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) to: Subnet,
    pub(crate) interface: Option<u32>,
    pub(crate) metric: u32,
    pub(crate) table: u32,
}

fn link_header(index: u32, up: bool) -> [u8; LINK_HEADER] {
    let mut header = [0; LINK_HEADER];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    if up {
        header[8..12].copy_from_slice(&UP.to_ne_bytes());
        header[12..16].copy_from_slice(&UP.to_ne_bytes());
    }
    header
}

fn address_header(prefix: u8, index: u32) -> [u8; ADDRESS_HEADER] {
    let mut header = [INET, prefix, 0, 0, 0, 0, 0, 0];
    header[4..].copy_from_slice(&index.to_ne_bytes());
    header
}

/// The hardware address that goes with an IPv4 address: locally administered, and the same each time the address
/// is leased, so that no neighbour's ARP table is wrong when an address comes back.
pub(crate) fn hardware_address(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x4a, a, b, c, d]
}

/// Refuses names that the kernel would refuse or expand.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let good = (1..=15).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if good { Ok(()) } else { Err(Error::BadName { name: name.to_owned() }) }
}

/// The interface of that name, if there is one.
pub(crate) fn link(socket: &mut Socket, name: &str) -> Result<Option<Link>> {
    let what = format!("looking up interface `{name}`");
    let answer = socket.get(&what, GETLINK, &link_header(0, false), |message| {
        message.text(link::NAME, name);
    })?;
    Ok(answer.and_then(|answer| parse_link(&answer.body)))
}

/// The interface of that number, if there is one.
pub(crate) fn link_by_index(socket: &mut Socket, index: u32) -> Result<Option<Link>> {
    let what = format!("looking up interface number {index}");
    let answer = socket.get(&what, GETLINK, &link_header(index, false), |_| {})?;
    Ok(answer.and_then(|answer| parse_link(&answer.body)))
}

/// Waits until interfaces are running. The kernel notices a moment after both ends of a veth pair are on, and a
/// moment later for the bridge whose first port that is; what is sent until then is dropped, and a first packet
/// lost is a second lost.
pub(crate) fn wait_running(
    indices: impl IntoIterator<Item = u32>,
    mut look: impl FnMut(u32) -> Result<Option<Link>>,
) -> Result<()> {
    let start = Instant::now();
    for index in indices {
        while look(index)?.is_some_and(|link| !link.running) && start.elapsed() < RUNNING_PATIENCE {
            thread::sleep(Duration::from_micros(200));
        }
    }
    Ok(())
}

fn parse_link(body: &[u8]) -> Option<Link> {
    let flags = u32_at(body, 8)?;
    let mut found = Link {
        index: u32_at(body, 4)?,
        kind: String::new(),
        mtu: 0,
        up: flags & UP != 0,
        running: flags & RUNNING != 0,
        alias: String::new(),
        peer: None,
    };
    for (kind, value) in Attributes::of(body.get(LINK_HEADER..)?) {
        match kind {
            link::MTU => found.mtu = u32_at(value, 0)?,
            link::ALIAS => found.alias = text_of(value),
            link::PEER => found.peer = u32_at(value, 0),
            link::INFO => {
                for (kind, value) in Attributes::of(value) {
                    if kind == link::INFO_KIND {
                        found.kind = text_of(value);
                    }
                }
            }
            _ => {}
        }
    }
    Some(found)
}

/// The IPv4 addresses of an interface with their subnets.
pub(crate) fn addresses(socket: &mut Socket, index: u32) -> Result<Vec<(Ipv4Addr, Subnet)>> {
    const LOCAL: u16 = 2;
    let answers = socket.dump("listing addresses", GETADDR, &address_header(0, 0), |_| {})?;
    let mut found = Vec::new();
    for answer in answers.iter().filter(|answer| answer.kind == NEWADDR) {
        if answer.body.first() != Some(&INET) || u32_at(&answer.body, 4) != Some(index) {
            continue;
        }
        let local = answer.attributes(ADDRESS_HEADER).find(|(kind, _)| *kind == LOCAL);
        let (Some((_, value)), Some(&prefix)) = (local, answer.body.get(1)) else { continue };
        if let Ok(octets) = <[u8; 4]>::try_from(value) {
            let address = Ipv4Addr::from(octets);
            found.extend(Subnet::new(address, prefix).map(|subnet| (address, subnet)));
        }
    }
    Ok(found)
}

/// All IPv4 routes of all tables.
pub(crate) fn routes(socket: &mut Socket) -> Result<Vec<Route>> {
    const TO: u16 = 1;
    const INTERFACE: u16 = 4;
    const METRIC: u16 = 6;
    const TABLE: u16 = 15;
    let mut header = [0; ROUTE_HEADER];
    header[0] = INET;
    let answers = socket.dump("listing routes", GETROUTE, &header, |_| {})?;
    let mut found = Vec::new();
    for answer in answers.iter().filter(|answer| answer.kind == NEWROUTE) {
        let (Some(&INET), Some(&prefix), Some(&table)) =
            (answer.body.first(), answer.body.get(1), answer.body.get(4))
        else {
            continue;
        };
        let (mut to, mut interface, mut metric, mut table) =
            (Ipv4Addr::UNSPECIFIED, None, 0, u32::from(table));
        for (kind, value) in answer.attributes(ROUTE_HEADER) {
            match (kind, <[u8; 4]>::try_from(value)) {
                (TO, Ok(octets)) => to = Ipv4Addr::from(octets),
                (INTERFACE, Ok(bytes)) => interface = Some(u32::from_ne_bytes(bytes)),
                (METRIC, Ok(bytes)) => metric = u32::from_ne_bytes(bytes),
                (TABLE, Ok(bytes)) => table = u32::from_ne_bytes(bytes),
                _ => {}
            }
        }
        found.extend(Subnet::new(to, prefix).map(|to| Route { to, interface, metric, table }));
    }
    Ok(found)
}

/// The default route that the kernel would take: in the main table, with the lowest metric.
pub(crate) fn default_route(routes: &[Route]) -> Option<Route> {
    routes
        .iter()
        .filter(|route| route.to.prefix() == 0 && route.table == MAIN_TABLE && route.interface.is_some())
        .min_by_key(|route| route.metric)
        .copied()
}

/// The routing changes that this crate makes.
impl Batch {
    /// Makes a bridge, switched on. Its own hardware address is fixed: by itself it would take the lowest of its
    /// ports' and change it as they come and go.
    pub(crate) fn add_bridge(&mut self, name: &str, mtu: u32, gateway: Ipv4Addr) -> &mut Self {
        self.message(
            format!("making bridge `{name}`"),
            NEWLINK,
            CREATE | EXCL,
            &link_header(0, true),
            |message| {
                message
                    .text(link::NAME, name)
                    .native(link::MTU, mtu)
                    .bytes(link::ADDRESS, &hardware_address(gateway))
                    .nest(link::INFO, |info| {
                        info.text(link::INFO_KIND, "bridge");
                    });
            },
        )
    }

    /// Makes a veth pair: one end named by the kernel after `template` (`jt%d`), in this namespace; the other,
    /// named `peer` and still off, in `netns` with the hardware address that goes with `address`.
    pub(crate) fn add_veth(
        &mut self,
        template: &str,
        master: Option<u32>,
        mtu: u32,
        peer: &str,
        address: Ipv4Addr,
        netns: BorrowedFd<'_>,
    ) -> &mut Self {
        self.message(
            format!("making the veth pair for {address}"),
            NEWLINK,
            CREATE | EXCL,
            &link_header(0, true),
            |message| {
                message.text(link::NAME, template).native(link::MTU, mtu);
                if let Some(master) = master {
                    message.native(link::MASTER, master);
                }
                message.nest(link::INFO, |info| {
                    info.text(link::INFO_KIND, "veth").nest(link::INFO_DATA, |data| {
                        data.nest(link::VETH_PEER, |other| {
                            other
                                // Off: at this moment the pair is not joined, and cannot be switched on.
                                .raw(&link_header(0, false))
                                .text(link::NAME, peer)
                                .native(link::MTU, mtu)
                                .bytes(link::ADDRESS, &hardware_address(address))
                                .bytes(link::NETNS, &netns.as_raw_fd().to_ne_bytes());
                        });
                    });
                });
            },
        )
    }

    /// Switches the loopback interface on.
    pub(crate) fn loopback_up(&mut self) -> &mut Self {
        self.message("switching on `lo`", NEWLINK, 0, &link_header(LOOPBACK, true), |_| {})
    }

    /// Switches an interface on.
    pub(crate) fn link_up(&mut self, name: &str, index: u32) -> &mut Self {
        self.message(format!("switching on `{name}`"), NEWLINK, 0, &link_header(index, true), |_| {})
    }

    /// Writes a text of at most 255 bytes at an interface.
    pub(crate) fn set_alias(&mut self, name: &str, index: u32, alias: &str) -> &mut Self {
        self.message(format!("marking `{name}`"), NEWLINK, 0, &link_header(index, false), |message| {
            message.text(link::ALIAS, alias);
        })
    }

    /// Removes an interface.
    pub(crate) fn remove_link(&mut self, name: &str) -> &mut Self {
        self.message(format!("removing interface `{name}`"), DELLINK, 0, &link_header(0, false), |message| {
            message.text(link::NAME, name);
        })
    }

    /// Gives an interface an address in a subnet.
    pub(crate) fn add_address(
        &mut self,
        index: u32,
        name: &str,
        address: Ipv4Addr,
        subnet: Subnet,
    ) -> &mut Self {
        let what = format!("adding address {address}/{} to `{name}`", subnet.prefix());
        self.address(what, NEWADDR, CREATE | EXCL, index, address, subnet)
    }

    /// Takes an address from an interface, with the route that came with it.
    pub(crate) fn remove_address(
        &mut self,
        index: u32,
        name: &str,
        address: Ipv4Addr,
        subnet: Subnet,
    ) -> &mut Self {
        let what = format!("removing address {address}/{} from `{name}`", subnet.prefix());
        self.address(what, DELADDR, 0, index, address, subnet)
    }

    fn address(
        &mut self,
        what: String,
        kind: u16,
        flags: u16,
        index: u32,
        address: Ipv4Addr,
        subnet: Subnet,
    ) -> &mut Self {
        const ADDRESS: u16 = 1;
        const LOCAL: u16 = 2;
        const BROADCAST: u16 = 4;
        self.message(what, kind, flags, &address_header(subnet.prefix(), index), |message| {
            message
                .bytes(ADDRESS, &address.octets())
                .bytes(LOCAL, &address.octets())
                .bytes(BROADCAST, &subnet.broadcast().octets());
        })
    }

    /// Routes everything through a gateway.
    pub(crate) fn add_default_route(&mut self, index: u32, gateway: Ipv4Addr) -> &mut Self {
        const TABLE_MAIN: u8 = 254;
        const PROTOCOL_STATIC: u8 = 4;
        const UNICAST: u8 = 1;
        let mut header = [0; ROUTE_HEADER];
        header[0] = INET;
        header[4] = TABLE_MAIN;
        header[5] = PROTOCOL_STATIC;
        header[7] = UNICAST;
        self.message(
            format!("adding the default route through {gateway}"),
            NEWROUTE,
            CREATE | APPEND,
            &header,
            |message| {
                message.native(4, index).bytes(5, &gateway.octets());
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_expands_are_refused() {
        for name in ["", ".", "..", "a/b", "jt%d", "sixteen-letters-", "ä", "a b", "a:b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        for name in ["jettison0", "br-0_1.2", "fifteen-letters"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn the_default_route_with_the_lowest_metric_counts() {
        let any: Subnet = "0.0.0.0/0".parse().unwrap();
        let route = |interface, metric, table| Route { to: any, interface, metric, table };
        let routes = [
            route(Some(2), 600, MAIN_TABLE),
            route(Some(3), 100, MAIN_TABLE),
            route(Some(4), 0, 51_820),
            route(None, 0, MAIN_TABLE),
            Route { to: "10.0.0.0/8".parse().unwrap(), ..route(Some(5), 0, MAIN_TABLE) },
        ];
        assert_eq!(default_route(&routes).unwrap().interface, Some(3));
        assert_eq!(default_route(&[]), None);
    }
}
