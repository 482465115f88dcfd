//! Namespaces reach each other and the world, and what is in the way is noticed.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::{HOST, MTU, Machine, NEIGHBOUR, ask, echo_server, inside};
use crate::kernel::netlink::Socket;
use crate::kernel::{nftables, route};
use crate::{Error, How, Network, NetworkOptions, Pool, isolated, within};

#[test]
fn namespaces_reach_each_other_and_the_world_as_the_host() {
    let machine = Machine::new();
    machine.on_host(|| {
        let network = machine.network();
        let (one, other) = (network.connect().unwrap(), network.connect().unwrap());
        assert_eq!((one.how(), network.note()), (How::Bridge, None));
        assert_ne!(one.address(), other.address());

        let netns = one.netns().try_clone_to_owned().unwrap();
        let (port, server) = echo_server(&netns, one.address().unwrap(), 1);
        let echo = inside(&other, || ask(one.address().unwrap(), port, b"neighbours").unwrap());
        assert_eq!(echo, b"neighbours");
        assert_eq!(server.join().unwrap(), [IpAddr::V4(other.address().unwrap())]);

        let (port, server) = echo_server(&machine.neighbour, NEIGHBOUR, 1);
        let echo = inside(&one, || ask(NEIGHBOUR, port, b"abroad").unwrap());
        assert_eq!(echo, b"abroad");
        assert_eq!(server.join().unwrap(), [IpAddr::V4(HOST)], "masqueraded");
    });
}

#[test]
fn links_have_the_mtu_of_the_way_out_and_the_bridge_stands_for_the_next() {
    let machine = Machine::new();
    machine.on_host(|| {
        let attachment = machine.network().connect().unwrap();
        let again = machine.network().connect().unwrap();
        assert_eq!(attachment.gateway(), again.gateway());
        let link = |name: &str| route::link(&mut Socket::route().unwrap(), name).unwrap().unwrap();
        assert_eq!(link("jettison0").mtu, MTU);
        assert_eq!(inside(&attachment, || link("eth0").mtu), MTU);
        // The parts that somebody removed come back.
        nftables::remove(&mut Socket::netfilter().unwrap(), "jettison0").unwrap();
        let third = machine.network().connect().unwrap();
        let (port, server) = echo_server(&machine.neighbour, NEIGHBOUR, 1);
        assert_eq!(inside(&third, || ask(NEIGHBOUR, port, b"x").unwrap()), b"x");
        server.join().unwrap();
        machine.network().remove().unwrap();
        assert!(route::link(&mut Socket::route().unwrap(), "jettison0").unwrap().is_none());
        machine.network().remove().unwrap();
    });
}

#[test]
fn a_bridge_removed_by_another_process_is_made_anew() {
    let machine = Machine::new();
    machine.on_host(|| {
        let network = machine.network();
        drop(network.connect().unwrap());
        machine.network().remove().unwrap();
        let attachment = network.connect().unwrap();
        let (port, server) = echo_server(&machine.neighbour, NEIGHBOUR, 1);
        assert_eq!(inside(&attachment, || ask(NEIGHBOUR, port, b"x").unwrap()), b"x");
        server.join().unwrap();
    });
}

#[test]
fn nobody_outside_reaches_in() {
    let machine = Machine::new();
    machine.on_host(|| {
        let attachment = machine.network().connect().unwrap();
        let address = attachment.address().unwrap();
        let (port, server) = echo_server(&attachment.netns().try_clone_to_owned().unwrap(), address, 1);
        // The neighbour is told the way, and still is not let in; the host is.
        within(machine.neighbour.as_fd(), || {
            let mut socket = Socket::route()?;
            let index = route::link(&mut socket, "eth0")?.unwrap().index;
            let mut batch = crate::kernel::netlink::Batch::new();
            batch.add_default_route(index, HOST);
            socket.run(&batch)?;
            let target = (IpAddr::V4(address), port).into();
            assert!(TcpStream::connect_timeout(&target, Duration::from_millis(300)).is_err());
            Ok(())
        })
        .unwrap();
        assert_eq!(ask(address, port, b"host").unwrap(), b"host");
        server.join().unwrap();
    });
}

#[test]
fn the_veth_vanishes_with_the_namespace() {
    let machine = Machine::new();
    machine.on_host(|| {
        let network = machine.network();
        let attachment = network.connect().unwrap();
        let present = || route::link(&mut Socket::route().unwrap(), "jt0").unwrap().is_some();
        assert!(present());
        drop(attachment);
        let start = Instant::now();
        while present() {
            assert!(start.elapsed() < Duration::from_secs(10), "the veth is still there");
            thread::sleep(Duration::from_millis(5));
        }
    });
}

#[test]
fn several_openers_at_once_share_one_bridge() {
    let machine = Machine::new();
    machine.on_host(|| {
        let attachments: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let network = machine.network();
                        (0..3).map(|_| network.connect().unwrap()).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let addresses: HashSet<_> = attachments.iter().map(crate::Attachment::address).collect();
        let gateways: HashSet<_> = attachments.iter().map(crate::Attachment::gateway).collect();
        assert_eq!((addresses.len(), gateways.len()), (12, 1));
    });
}

#[test]
fn a_pool_gives_each_namespace_once() {
    let machine = Machine::new();
    machine.on_host(|| {
        let pool = Pool::new(machine.network(), 2);
        let addresses: HashSet<Ipv4Addr> =
            (0..6).map(|_| pool.take().unwrap()).map(|taken| taken.address().unwrap()).collect();
        assert!(addresses.len() >= 5, "random places in 4093 addresses: {addresses:?}");
        let pool = Pool::new(machine.network(), 0);
        assert!(pool.take().is_ok());
    });
}

#[test]
fn a_subnet_of_the_hosts_routes_is_passed_over() {
    let machine = Machine::new();
    machine.on_host(|| {
        let subnets = ["192.0.2.128/25", "10.5.0.0/24"].map(|text| text.parse().unwrap());
        let network = Network::open(NetworkOptions { subnets: subnets.to_vec(), ..Default::default() });
        let attachment = network.connect().unwrap();
        assert_eq!(attachment.gateway(), Some(Ipv4Addr::new(10, 5, 0, 1)));
    });
}

#[test]
fn another_interface_of_the_name_is_refused() {
    let machine = Machine::new();
    machine.on_host(|| {
        let network = Network::open(NetworkOptions { bridge: "up0".to_owned(), ..Default::default() });
        assert!(matches!(network.connect(), Err(Error::NotABridge { .. })));
        assert!(matches!(network.remove(), Err(Error::NotABridge { .. })));
    });
}

#[test]
fn a_foreign_forward_policy_sends_us_to_user_space() {
    let machine = Machine::new();
    machine.on_host(|| {
        let rules = "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }";
        assert!(Command::new("nft").arg(rules).status().unwrap().success());
        let options = NetworkOptions { program_folders: vec!["/nowhere".into()], ..Default::default() };
        let error = Network::open(options).connect().unwrap_err();
        insta::assert_snapshot!(error.to_string(), @"no network for this step: the packet filter chain `ip filter FORWARD` drops forwarded packets, and neither `pasta` nor `slirp4netns` was found in /nowhere");
        assert!(error.hint().unwrap().contains("slirp4netns"));
    });
}

/// Rules of others are judged by what they do, not by their policy's name.
#[test]
fn foreign_rules_are_tried_out() {
    let chain = |rules: &str, policy: &str| {
        format!(
            "table inet other {{ chain forward {{ type filter hook forward priority 5; policy {policy}; {rules} }}; }}"
        )
    };
    for (rules, way) in [
        (chain("", "accept"), How::Bridge),
        (chain("iifname jettison0 accept; ct state established accept;", "drop"), How::Bridge),
        (chain("iifname jettison0 accept;", "drop"), How::Slirp),
        (chain("reject;", "accept"), How::Slirp),
    ] {
        let machine = Machine::new();
        machine.on_host(|| {
            assert!(Command::new("nft").arg(&rules).status().unwrap().success());
            let network = machine.network();
            assert_eq!(network.how().unwrap(), way, "{rules}");
            // A probe leaves nothing that the next one could stumble over.
            assert_eq!(machine.network().how().unwrap(), way, "{rules}");
        });
    }
}

/// That packets pass is remembered at the bridge, until somebody changes a rule.
#[test]
fn a_probe_is_not_repeated_before_rules_change() {
    let machine = Machine::new();
    machine.on_host(|| {
        let nft = |rules: &str| assert!(Command::new("nft").arg(rules).status().unwrap().success());
        let alias = || route::link(&mut Socket::route().unwrap(), "jettison0").unwrap().unwrap().alias;
        nft("table inet other { chain forward { type filter hook forward priority 5; policy accept; }; }");
        assert_eq!(machine.network().how().unwrap(), How::Bridge);
        let known = alias();
        assert!(known.starts_with("jettison: forwarded packets pass"), "{known}");
        assert_eq!(machine.network().how().unwrap(), How::Bridge);
        assert_eq!(alias(), known);
        nft("add rule inet other forward drop");
        assert_eq!(machine.network().how().unwrap(), How::Slirp);
        nft("flush chain inet other forward");
        assert_eq!(machine.network().how().unwrap(), How::Bridge);
        assert_ne!(alias(), known);
    });
}

#[test]
fn namespaces_have_dockers_settings() {
    let machine = Machine::new();
    machine.on_host(|| {
        let attachment = machine.network().connect().unwrap();
        inside(&attachment, || {
            let read = |path: &str| std::fs::read_to_string(format!("/proc/sys/net/{path}")).unwrap();
            assert_eq!(read("ipv4/ip_unprivileged_port_start").trim(), "0");
            assert_eq!(read("ipv4/ping_group_range").trim(), "0\t2147483647");
            assert_eq!(read("ipv6/conf/eth0/disable_ipv6").trim(), "1");
            assert_eq!(read("ipv6/conf/lo/disable_ipv6").trim(), "0");
        });
    });
}

#[test]
fn slirp_reaches_the_world() {
    let machine = Machine::new();
    machine.on_host(|| {
        let rules = "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }";
        assert!(Command::new("nft").arg(rules).status().unwrap().success());
        let network = machine.network();
        let attachment = network.connect().unwrap();
        assert_eq!(attachment.how(), How::Slirp);
        insta::assert_snapshot!(network.note().unwrap(), @"Steps use slirp4netns for their network: the packet filter chain `ip filter FORWARD` drops forwarded packets.");
        let (port, server) = echo_server(&machine.neighbour, NEIGHBOUR, 1);
        assert_eq!(inside(&attachment, || ask(NEIGHBOUR, port, b"slirp").unwrap()), b"slirp");
        assert_eq!(server.join().unwrap(), [IpAddr::V4(HOST)]);
        // The host's loopback stays the host's.
        let (port, _server) = super::echo_here(Ipv4Addr::LOCALHOST, 0);
        assert!(inside(&attachment, || ask(attachment.gateway().unwrap(), port, b"x")).is_err());
    });
}

/// Pasta is found when slirp4netns is not.
#[test]
fn pasta_reaches_the_world() {
    let machine = Machine::new();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/usr/bin/pasta", folder.path().join("pasta")).unwrap();
    machine.on_host(|| {
        let program_folders = vec![folder.path().to_owned()];
        let options = NetworkOptions { program_folders, ..Default::default() };
        let rules =
            "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }";
        assert!(Command::new("nft").arg(rules).status().unwrap().success());
        let network = Network::open(options);
        let attachment = network.connect().unwrap();
        assert_eq!((attachment.how(), attachment.address()), (How::Pasta, Some(HOST)));
        // Question and answer without ending a side: Debian's pasta of 2023 loses the server's end after the
        // client's.
        let listener =
            within(machine.neighbour.as_fd(), || Ok(TcpListener::bind((NEIGHBOUR, 0)).unwrap())).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || listener.accept().unwrap().0.write_all(b"pasta").unwrap());
        let answer = inside(&attachment, || {
            let mut client = TcpStream::connect((NEIGHBOUR, port)).unwrap();
            client.set_read_timeout(Some(super::PATIENCE)).unwrap();
            let mut answer = [0; 5];
            client.read_exact(&mut answer).unwrap();
            answer
        });
        assert_eq!(&answer, b"pasta");
        server.join().unwrap();
    });
}

#[test]
fn an_isolated_namespace_has_its_loopback_and_nothing_else() {
    let netns = isolated().unwrap();
    let (port, server) = echo_server(&netns, Ipv4Addr::LOCALHOST, 1);
    within(netns.as_fd(), || {
        assert_eq!(ask(Ipv4Addr::LOCALHOST, port, b"me").unwrap(), b"me");
        assert!(route::default_route(&route::routes(&mut Socket::route()?)?).is_none());
        Ok(())
    })
    .unwrap();
    server.join().unwrap();
}

/// Not a check of speed but of the order of magnitude: 20 namespaces in well under a second.
#[test]
fn connecting_is_quick() {
    let machine = Machine::new();
    machine.on_host(|| {
        let network = machine.network();
        network.how().unwrap();
        let start = Instant::now();
        let attachments: Vec<_> = (0..20).map(|_| network.connect().unwrap()).collect();
        let each = start.elapsed() / 20;
        assert!(each < Duration::from_millis(100), "{each:?} for each of {}", attachments.len());
    });
}
