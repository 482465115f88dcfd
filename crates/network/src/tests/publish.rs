//! Published ports carry what they should between the host and a container.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Duration;

use super::{Machine, ask, echo_server};
use crate::{Publisher, Serving, Target, isolated, ports, within};

/// Publishes a port of a container without a network of its own on a free port of the calling thread's loopback.
fn publish_isolated(netns: &OwnedFd, container_port: u16, protocol: &str) -> (Serving, u16) {
    let mappings = ports::parse(&format!("127.0.0.1::{container_port}/{protocol}")).unwrap();
    let bound = Publisher::bind(&mappings).unwrap();
    let port = bound.mappings()[0].host_port;
    let target = Target::Namespace { netns: netns.try_clone().unwrap(), address: Ipv4Addr::LOCALHOST.into() };
    (bound.serve(target).unwrap(), port)
}

#[test]
fn a_megabyte_goes_both_ways_at_once() {
    let netns = isolated().unwrap();
    let (container_port, server) = echo_server(&netns, Ipv4Addr::LOCALHOST, 1);
    let (_serving, port) = publish_isolated(&netns, container_port, "tcp");
    let bytes: Vec<u8> = (0..1_000_003u32).map(|number| (number % 251) as u8).collect();
    assert!(ask(Ipv4Addr::LOCALHOST, port, &bytes).unwrap() == bytes);
    server.join().unwrap();
}

#[test]
fn the_container_may_answer_after_the_client_ended_its_side() {
    let netns = isolated().unwrap();
    let listener = within(netns.as_fd(), || Ok(TcpListener::bind("127.0.0.1:0").unwrap())).unwrap();
    let (_serving, port) = publish_isolated(&netns, listener.local_addr().unwrap().port(), "tcp");
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut question = String::new();
        client.read_to_string(&mut question).unwrap();
        client.write_all(format!("{} bytes", question.len()).as_bytes()).unwrap();
    });
    assert_eq!(ask(Ipv4Addr::LOCALHOST, port, b"how long is this").unwrap(), b"16 bytes");
    server.join().unwrap();
}

#[test]
fn the_client_may_go_on_after_the_container_ended_its_side() {
    let netns = isolated().unwrap();
    let listener = within(netns.as_fd(), || Ok(TcpListener::bind("127.0.0.1:0").unwrap())).unwrap();
    let (_serving, port) = publish_isolated(&netns, listener.local_addr().unwrap().port(), "tcp");
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        text
    });
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    client.write_all(b"still here").unwrap();
    drop(client);
    assert_eq!(server.join().unwrap(), "still here");
}

#[test]
fn many_clients_at_once() {
    let netns = isolated().unwrap();
    let listener = within(netns.as_fd(), || Ok(TcpListener::bind("127.0.0.1:0").unwrap())).unwrap();
    let (_serving, port) = publish_isolated(&netns, listener.local_addr().unwrap().port(), "tcp");
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..50 {
                let (client, _) = listener.accept().unwrap();
                scope.spawn(move || std::io::copy(&mut &client, &mut &client).unwrap());
            }
        });
        for number in 0..50u8 {
            scope.spawn(move || {
                let bytes = vec![number; 100_000];
                assert!(ask(Ipv4Addr::LOCALHOST, port, &bytes).unwrap() == bytes);
            });
        }
    });
}

#[test]
fn a_port_nobody_listens_on_ends_the_connection() {
    let netns = isolated().unwrap();
    let (_serving, port) = publish_isolated(&netns, 9, "tcp");
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    match client.read(&mut [0; 1]) {
        Ok(count) => assert_eq!(count, 0),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

#[test]
fn dropping_frees_the_port_and_cuts_connections() {
    let netns = isolated().unwrap();
    let listener = within(netns.as_fd(), || Ok(TcpListener::bind("127.0.0.1:0").unwrap())).unwrap();
    let (serving, port) = publish_isolated(&netns, listener.local_addr().unwrap().port(), "tcp");
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(b"x").unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.read_exact(&mut [0; 1]).unwrap();
    drop(serving);
    assert_eq!(server.read(&mut [0; 1]).unwrap_or(0), 0);
    drop(TcpListener::bind(("127.0.0.1", port)).unwrap());
}

#[test]
fn datagrams_find_their_way_back_to_each_client() {
    let netns = isolated().unwrap();
    let server = within(netns.as_fd(), || Ok(UdpSocket::bind("127.0.0.1:0").unwrap())).unwrap();
    let (_serving, port) = publish_isolated(&netns, server.local_addr().unwrap().port(), "udp");
    let echo = thread::spawn(move || {
        let mut buffer = [0; 65_535];
        for _ in 0..6 {
            let (count, client) = server.recv_from(&mut buffer).unwrap();
            server.send_to(&buffer[..count], client).unwrap();
        }
    });
    let clients = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    for round in 0..3usize {
        for (number, client) in clients.iter().enumerate() {
            client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let bytes = vec![number as u8; [1, 1_000, 60_000][round]];
            client.send_to(&bytes, ("127.0.0.1", port)).unwrap();
            let mut buffer = vec![0; 65_535];
            let count = client.recv(&mut buffer).unwrap();
            assert!(buffer[..count] == bytes, "round {round}, client {number}");
        }
    }
    echo.join().unwrap();
}

#[test]
fn a_container_on_the_bridge_is_reached_from_the_neighbour_by_the_hosts_address() {
    let machine = Machine::new();
    machine.on_host(|| {
        let attachment = machine.network().connect().unwrap();
        let address = attachment.address().unwrap();
        let (container_port, server) =
            echo_server(&attachment.netns().try_clone_to_owned().unwrap(), address, 3);
        let bound = Publisher::bind(&ports::parse(&format!("0:{container_port}")).unwrap()).unwrap();
        let port = bound.mappings()[0].host_port;
        // Clients that come before the ports are served wait.
        let early = thread::spawn(move || ask(Ipv4Addr::LOCALHOST, port, b"early"));
        let _serving = bound.serve(Target::Address(IpAddr::V4(address))).unwrap();
        assert_eq!(early.join().unwrap().unwrap(), b"early");
        assert_eq!(ask("::1".parse::<IpAddr>().unwrap(), port, b"six").unwrap(), b"six");
        let echo = within(machine.neighbour.as_fd(), || Ok(ask(super::HOST, port, b"far").unwrap())).unwrap();
        assert_eq!(echo, b"far");
        server.join().unwrap();
    });
}
