//! Published ports: Docker's `-p` forms.
//!
//! ```text
//! spec      = [ [ ip ":" ] [ ports ] ":" ] ports [ "/" protocol ]
//! ports     = number [ "-" number ]
//! protocol  = "tcp" | "udp" | "sctp"          (any case; tcp where it is left out)
//! ip        = IPv4 | "[" IPv6 "]" | IPv6      (none: every address of the host)
//! ```
//! Two ranges must be of one length and are matched in order. A host range before a single container port means
//! "the first free one of these". Host port 0, or none, is a free port of the kernel's choice.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::error::{Error, Result};

/// The transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP: part of the grammar; publishing it is an error.
    Sctp,
}

impl Protocol {
    /// The lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One port of a container and where it is to be reached on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PortMapping {
    /// The host's address; `None` is every address.
    pub host_ip: Option<IpAddr>,
    /// The host's port; 0 is one of the kernel's choice.
    pub host_port: u16,
    /// The last port that will do, from `host_port` on: the same as `host_port` but for a host range before a
    /// single container port.
    pub host_port_last: u16,
    /// The port in the container, never 0.
    pub container_port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// `0.0.0.0:8080->80/tcp`, as `docker ps` shows it; without a host port that is known, `80/tcp`.
impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host_port != 0 {
            let ip = self.host_ip.unwrap_or(IpAddr::from([0, 0, 0, 0]));
            write!(f, "{}->", SocketAddr::new(ip, self.host_port))?;
        }
        write!(f, "{}/{}", self.container_port, self.protocol)
    }
}

impl PortMapping {
    /// A container's port at a port of the kernel's choice on every address of the host: what `-P` does for each
    /// exposed port.
    pub fn ephemeral(container_port: u16, protocol: Protocol) -> Self {
        Self { host_ip: None, host_port: 0, host_port_last: 0, container_port, protocol }
    }
}

/// The mappings that a specification stands for, one for each container port.
///
/// # Errors
/// [`Error::PortSpec`], which names the specification and what is wrong with it.
pub fn parse(spec: &str) -> Result<Vec<PortMapping>> {
    parse_spec(spec).map_err(|problem| Error::PortSpec { spec: spec.to_owned(), problem })
}

fn parse_spec(spec: &str) -> Result<Vec<PortMapping>, String> {
    let (places, protocol) = match spec.rsplit_once('/') {
        None => (spec, Protocol::Tcp),
        Some((places, name)) => (places, parse_protocol(name)?),
    };
    let (outside, container) = match places.rsplit_once(':') {
        None => (None, places),
        Some((outside, container)) => (Some(outside), container),
    };
    if container.is_empty() {
        return Err("it names no container port".to_owned());
    }
    let (first, last) = parse_ports(container)?;
    if first == 0 {
        return Err("a container port cannot be 0".to_owned());
    }
    let (host_ip, host) = match outside.map(|outside| outside.rsplit_once(':').ok_or(outside)) {
        None => (None, ""),
        Some(Err(host)) => (None, host),
        Some(Ok((ip, host))) => (parse_ip(ip)?, host),
    };
    let host = if host.is_empty() { None } else { Some(parse_ports(host)?) };
    let mapping = |index: u16, host_port, host_port_last| PortMapping {
        host_ip,
        host_port,
        host_port_last,
        container_port: first + index,
        protocol,
    };
    Ok(match host {
        None | Some((0, 0)) => (0..=last - first).map(|index| mapping(index, 0, 0)).collect(),
        Some((from, to)) if first == last => vec![mapping(0, from, to)],
        Some((from, to)) if to - from == last - first => {
            (0..=last - first).map(|index| mapping(index, from + index, from + index)).collect()
        }
        Some((from, to)) => {
            return Err(format!(
                "the host range {from}-{to} has {} ports and the container range {first}-{last} has {}",
                u32::from(to - from) + 1,
                u32::from(last - first) + 1
            ));
        }
    })
}

fn parse_protocol(name: &str) -> Result<Protocol, String> {
    [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
        .into_iter()
        .find(|protocol| name.eq_ignore_ascii_case(protocol.name()))
        .ok_or_else(|| format!("`{name}` is not a protocol: tcp, udp or sctp"))
}

fn parse_ports(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (parse_port(first)?, parse_port(last)?);
    if first > last {
        return Err(format!("the range {text} runs backwards"));
    }
    if first == 0 && last != 0 {
        return Err(format!("the range {text} starts at 0"));
    }
    Ok((first, last))
}

fn parse_port(text: &str) -> Result<u16, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| format!("`{text}` is not a port: a number up to 65535"))
}

fn parse_ip(text: &str) -> Result<Option<IpAddr>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || format!("`{text}` is not an IP address");
    match text.strip_prefix('[') {
        Some(rest) => {
            let inside = rest.strip_suffix(']').ok_or_else(wrong)?;
            inside.parse().map(|address| Some(IpAddr::V6(address))).map_err(|_| wrong())
        }
        None => text.parse().map(Some).map_err(|_| wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn show(spec: &str) -> String {
        match parse(spec) {
            Ok(mappings) => mappings
                .iter()
                .map(|mapping| {
                    let ip = mapping.host_ip.map_or("*".to_owned(), |ip| ip.to_string());
                    format!(
                        "{ip} {}-{} > {}/{}",
                        mapping.host_port, mapping.host_port_last, mapping.container_port, mapping.protocol
                    )
                })
                .collect::<Vec<_>>()
                .join(", "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn dockers_forms() {
        for (spec, meaning) in [
            ("80", "* 0-0 > 80/tcp"),
            ("80/udp", "* 0-0 > 80/udp"),
            ("80/SCTP", "* 0-0 > 80/sctp"),
            ("8080:80", "* 8080-8080 > 80/tcp"),
            (":80", "* 0-0 > 80/tcp"),
            ("0:80", "* 0-0 > 80/tcp"),
            ("127.0.0.1:8080:80", "127.0.0.1 8080-8080 > 80/tcp"),
            ("127.0.0.1::80", "127.0.0.1 0-0 > 80/tcp"),
            ("[::1]:8080:80/udp", "::1 8080-8080 > 80/udp"),
            ("::1:8080:80", "::1 8080-8080 > 80/tcp"),
            ("[::]::80", ":: 0-0 > 80/tcp"),
            ("80-82", "* 0-0 > 80/tcp, * 0-0 > 81/tcp, * 0-0 > 82/tcp"),
            ("9000-9001:80-81", "* 9000-9000 > 80/tcp, * 9001-9001 > 81/tcp"),
            ("9000-9009:80", "* 9000-9009 > 80/tcp"),
            ("1.2.3.4:65535:65535", "1.2.3.4 65535-65535 > 65535/tcp"),
        ] {
            assert_eq!(show(spec), meaning, "{spec}");
        }
    }

    #[test]
    fn errors_name_the_specification() {
        for (spec, problem) in [
            ("", "it names no container port"),
            ("80:", "it names no container port"),
            ("/tcp", "it names no container port"),
            ("0", "a container port cannot be 0"),
            ("http", "`http` is not a port: a number up to 65535"),
            ("+80", "`+80` is not a port: a number up to 65535"),
            ("65536", "`65536` is not a port: a number up to 65535"),
            ("80/icmp", "`icmp` is not a protocol: tcp, udp or sctp"),
            ("82-80", "the range 82-80 runs backwards"),
            ("0-5:80-85", "the range 0-5 starts at 0"),
            ("1-3:80-81", "the host range 1-3 has 3 ports and the container range 80-81 has 2"),
            ("8080:80-81", "the host range 8080-8080 has 1 ports and the container range 80-81 has 2"),
            ("localhost:8080:80", "`localhost` is not an IP address"),
            ("[127.0.0.1]:8080:80", "`[127.0.0.1]` is not an IP address"),
            ("[::1:8080:80", "`[::1` is not an IP address"),
            ("80-", "`` is not a port: a number up to 65535"),
        ] {
            assert_eq!(show(spec), format!("invalid port `{spec}`: {problem}"), "{spec}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(
            ip in proptest::option::of(any::<IpAddr>()),
            host in 0u16..=u16::MAX,
            container in 1u16..=u16::MAX,
            protocol in prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)],
        ) {
            let ip_text = match ip {
                None => String::new(),
                Some(IpAddr::V4(ip)) => format!("{ip}:"),
                Some(IpAddr::V6(ip)) => format!("[{ip}]:"),
            };
            let read = parse(&format!("{ip_text}{host}:{container}/{protocol}")).unwrap();
            let wanted =
                PortMapping { host_ip: ip, host_port: host, host_port_last: host, container_port: container, protocol };
            prop_assert_eq!(read, vec![wanted]);
        }

        #[test]
        fn no_text_panics_and_every_mapping_is_sane(spec in "[0-9:\\[\\]./a-z-]{0,30}") {
            for mapping in parse(&spec).unwrap_or_default() {
                prop_assert!(mapping.container_port > 0);
                prop_assert!(mapping.host_port <= mapping.host_port_last);
            }
        }
    }
}
