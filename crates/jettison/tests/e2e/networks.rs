//! Networks and published ports of containers.

use crate::harness::{Container, free_port, http, http_get, shared};
use serde_json::json;
use std::net::TcpListener;

/// A server that answers every GET with its words.
fn server<'a>(flags: &[&str], words: &str) -> Container<'a> {
    let script = format!("mkdir -p /www && echo {words} > /www/index.html && exec httpd -f -p 80 -h /www");
    shared().detached(flags, "busybox", &["sh", "-c", &script])
}

#[test]
fn a_port_is_published_at_the_port_that_was_asked_for() {
    let port = free_port();
    let container = server(&["--publish", &format!("127.0.0.1:{port}:80")], "published");
    assert_eq!(http_get(port, "/"), "published\n");
    assert_eq!(container.port(80), port);
    let line = shared().ok(&["port", &container.name]);
    assert_eq!(line.text(), format!("80/tcp -> 127.0.0.1:{port}"));
    assert_eq!(
        container.inspect()["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"],
        json!(port.to_string())
    );
}

#[test]
fn without_an_address_a_port_is_published_at_all_of_them() {
    let container = server(&["-p", "80"], "everywhere");
    let lines = shared().ok(&["port", &container.name, "80/tcp"]).stdout;
    assert!(lines.lines().any(|line| line.starts_with("0.0.0.0:")), "{lines}");
    let port = container.port(80);
    assert_eq!(http_get(port, "/"), "everywhere\n");
}

#[test]
fn exposed_ports_are_published_with_dash_big_p() {
    let container = server(&["-P", "--expose", "80"], "exposed");
    assert_eq!(http_get(container.port(80), "/"), "exposed\n");
}

#[test]
fn an_occupied_port_is_an_error_and_leaves_nothing() {
    let house = shared();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let container = house.container();
    let publish = format!("127.0.0.1:{port}:80");
    let run = ["run", "-d", "--name", &container.name, "-p", &publish, "busybox", "sleep", "1000"];
    house.fails(125, &run).says(&port.to_string()).says("hint: another program listens on port");
    house.fails(1, &["inspect", &container.name]);
    // One that was made before stays, and can start once the port is free.
    house.ok(&["create", "--name", &container.name, "-p", &publish, "busybox", "sleep", "1000"]);
    house.fails(1, &["start", &container.name]).says(&port.to_string());
    assert_eq!(container.inspect()["State"]["Running"], false);
    assert_eq!(container.inspect()["State"]["Status"], "created");
    drop(taken);
    house.ok(&["start", &container.name]);
    assert_eq!(container.inspect()["State"]["Running"], true);
}

#[test]
fn two_containers_cannot_have_one_port() {
    let first = server(&["-p", "127.0.0.1::80"], "first");
    let port = first.port(80);
    let second = shared().container();
    shared()
        .fails(
            125,
            &[
                "run",
                "-d",
                "--name",
                &second.name,
                "-p",
                &format!("127.0.0.1:{port}:80"),
                "busybox",
                "sleep",
                "9",
            ],
        )
        .says(&port.to_string());
    assert_eq!(http_get(port, "/"), "first\n");
}

#[test]
fn a_port_is_free_again_when_the_container_has_ended() {
    let house = shared();
    let container = server(&["-p", "127.0.0.1::80"], "once");
    let port = container.port(80);
    http_get(port, "/");
    house.ok(&["stop", "-t", "0", &container.name]);
    assert!(http(port, "/").is_err());
    drop(TcpListener::bind(("127.0.0.1", port)).unwrap());
}

#[test]
fn containers_on_the_bridge_reach_each_other_and_not_the_hosts_loopback() {
    let house = shared();
    let container = server(&[], "neighbour");
    let address = container.inspect()["NetworkSettings"]["IPAddress"].as_str().unwrap().to_owned();
    // The server may still be starting.
    let ask = format!(
        "for i in $(seq 50); do printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {address} 80 && exit 0; sleep 0.1; done; exit 1"
    );
    let answer = house.ok(&["run", "--rm", "busybox", "sh", "-c", &ask]);
    assert!(answer.stdout.ends_with("neighbour\n"), "{}", answer.stdout);
    let host = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = host.local_addr().unwrap().port().to_string();
    let probe = format!("nc -w 2 127.0.0.1 {port} < /dev/null && echo reached || echo refused");
    assert_eq!(house.ok(&["run", "--rm", "busybox", "sh", "-c", &probe]).text(), "refused");
}

#[test]
fn none_has_a_loopback_alone_and_host_is_the_hosts() {
    let house = shared();
    let devices = |network: &str| {
        house.ok(&["run", "--rm", "--network", network, "busybox", "ls", "/sys/class/net"]).stdout
    };
    assert_eq!(devices("none"), "lo\n");
    assert!(devices("bridge").lines().any(|line| line.starts_with("eth0")), "{}", devices("bridge"));
    let inside = house.ok(&["run", "--rm", "--network=host", "busybox", "readlink", "/proc/self/ns/net"]);
    let outside = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(inside.text(), outside.to_str().unwrap());
    house.fails(125, &["run", "--rm", "--network", "nonsense", "busybox", "true"]).says("nonsense");
}

#[test]
fn ports_in_all_of_dockers_forms() {
    let house = shared();
    let container = house.container();
    // Two neighbours that are free just now.
    let first = (0..100)
        .map(|_| free_port())
        .find(|port| *port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok())
        .expect("there are two free ports in a row");
    let range = format!("127.0.0.1:{first}-{}:90-91", first + 1);
    let fixed = free_port();
    let with_address = format!("127.0.0.2:{fixed}:82/tcp");
    house.ok(&[
        "run",
        "-d",
        "--name",
        &container.name,
        "-p",
        "80",
        "-p",
        "127.0.0.1::81/udp",
        "-p",
        &with_address,
        "-p",
        &range,
        "busybox",
        "sleep",
        "1000",
    ]);
    let lines = house.ok(&["port", &container.name]).stdout;
    for line in [
        "80/tcp -> 0.0.0.0:".to_owned(),
        "81/udp -> 127.0.0.1:".to_owned(),
        format!("82/tcp -> 127.0.0.2:{fixed}"),
        format!("90/tcp -> 127.0.0.1:{first}"),
        format!("91/tcp -> 127.0.0.1:{}", first + 1),
    ] {
        assert!(lines.lines().any(|one| one.starts_with(&line)), "no `{line}` in\n{lines}");
    }
    house.fails(1, &["port", &container.name, "99"]).says("99");
    for wrong in ["70000:80", "1-2:80-90", "80/icmp", "nowhere:80:80"] {
        house
            .fails(125, &["run", "--rm", "-p", wrong, "busybox", "true"])
            .says(wrong.split('/').next_back().unwrap_or(wrong));
    }
}
