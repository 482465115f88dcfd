//! Published ports and addresses, in a network namespace of the test's own.

use crate::support::{Kit, alone, sh};
use container::{NetworkMode, NewContainer, RunOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const SERVER: &str = "mkdir -p /www; echo served > /www/index.html; httpd -f -p 80 -h /www";

fn get(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn bridged(ports: &str, script: &str) -> NewContainer {
    NewContainer {
        ports: network::ports::parse(ports).unwrap(),
        options: RunOptions { network: NetworkMode::Bridge, ..alone() },
        ..sh(script)
    }
}

#[test]
fn a_published_port_answers() {
    let kit = Kit::new();
    let namespace = sandbox::netns::new_netns().unwrap();
    // What is started in the namespace stays in it.
    sandbox::netns::with_netns(&namespace, || {
        let id = kit.start(bridged("0:80", SERVER));
        let state = kit.containers.get(&id).unwrap().state;
        assert!(state.address.is_some() && state.gateway.is_some());
        let port = state.ports[0].host_port;
        assert_ne!(port, 0);
        let mut text = String::new();
        kit.until("it answers", || {
            text = get(port).unwrap_or_default();
            text.contains("served")
        });
        let shown = kit.containers.inspect(&id).unwrap();
        assert_eq!(shown["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"], port.to_string());
        // The port is taken now, and free again after.
        let error = kit
            .containers
            .create(&bridged(&format!("{port}:80"), SERVER))
            .map(|made| kit.containers.start(&made.id, false, false, None).unwrap_err());
        let error = error.unwrap();
        assert_eq!(error.exit_code(), 125);
        assert!(
            error.to_string().contains(&port.to_string()) && error.to_string().contains("in use"),
            "{error}"
        );
        assert!(error.hint().is_some());
        kit.containers.stop(&id, None, Some(0)).unwrap();
        TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert!(kit.containers.get(&id).unwrap().state.ports.is_empty());
    })
    .unwrap();
}

#[test]
fn two_containers_reach_each_other_by_address() {
    let kit = Kit::new();
    let namespace = sandbox::netns::new_netns().unwrap();
    sandbox::netns::with_netns(&namespace, || {
        let id = kit.start(bridged("80", SERVER));
        let address = kit.containers.get(&id).unwrap().state.address.unwrap();
        let script = format!(
            "for n in 1 2 3 4 5 6 7 8; do wget -qO- http://{address}/index.html && break; sleep 0.1; done"
        );
        let (code, out, err) = kit.run(bridged("81", &script));
        assert_eq!((code, out.as_str()), (0, "served\n"), "{err}");
    })
    .unwrap();
}

#[test]
fn the_hosts_network_and_none() {
    let kit = Kit::new();
    let ours = std::fs::read_link("/proc/self/ns/net").unwrap().display().to_string();
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let script = "readlink /proc/self/ns/net; hostname; grep -c : /proc/net/dev";
    let (_, out, _) =
        kit.run(NewContainer { options: RunOptions { network: NetworkMode::Host, ..alone() }, ..sh(script) });
    assert!(out.starts_with(&format!("{ours}\n{name}\n")), "{out}");
    let (_, out, _) = kit.run(sh(script));
    assert!(!out.contains(&ours) && out.ends_with("\n1\n"), "{out}");
}
