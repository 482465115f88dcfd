//! Hosts as URLs and settings name them: names, addresses with and without ports, networks.

use std::net::IpAddr;

/// `host:port` without the port, `[v6]:port` without port and brackets.
#[must_use]
pub fn host_name(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

/// Whether a host is named with its port.
#[must_use]
pub fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether `host[:port]` is this machine: `localhost` and what ends in it, 127.0.0.0/8, `::1`.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let name = host_name(host);
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether the network `address/bits` holds `address`; nothing where `network` is none.
#[must_use]
pub fn network_holds(network: &str, address: IpAddr) -> Option<bool> {
    let (base, bits) = network.split_once('/')?;
    let bits: u32 = bits.parse().ok()?;
    Some(match (base.parse().ok()?, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            u32::from(base) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(base), IpAddr::V6(address)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            u128::from(base) & mask == u128::from(address) & mask
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_from_names_that_look_like_it() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:1", "127.9.9.9", "[::1]:5000", "a.localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example.com", "128.0.0.1", "127.example.com", "[::2]:1", "notlocalhost"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn ports_are_seen() {
        assert!(has_port("a:1") && has_port("[::1]:5000"));
        assert!(!has_port("a") && !has_port("[::1]"));
    }

    #[test]
    fn networks_hold_their_addresses() {
        let holds = |network: &str, address: &str| network_holds(network, address.parse().unwrap());
        assert_eq!(holds("0.0.0.0/0", "1.2.3.4"), Some(true));
        assert_eq!(holds("fd00::/8", "fd12::1"), Some(true));
        assert_eq!(holds("fd00::/8", "fe12::1"), Some(false));
        assert_eq!(holds("10.0.0.0/8", "::1"), Some(false));
        assert_eq!(holds("10.0.0.1", "10.0.0.1"), None);
    }
}
