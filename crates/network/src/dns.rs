//! What names mean inside a namespace: the texts of `/etc/resolv.conf` and `/etc/hosts`, and a word about proxies.
//!
//! A resolver on the host's loopback (systemd-resolved's 127.0.0.53, a local dnsmasq) is nobody in another
//! namespace. It is replaced, in this order, by its upstreams (systemd-resolved writes them to
//! `/run/systemd/resolve/resolv.conf`), by a forwarder that the network path plays (slirp4netns: 10.0.2.3), or by
//! a warning.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv6Addr};

use crate::error::{Error, Result};

/// What a namespace may ask for names, besides what the host's file says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Upstreams<'a> {
    /// The text of `/run/systemd/resolve/resolv.conf`, where the host has it.
    pub systemd: Option<&'a str>,
    /// A name server that the network path plays: [`crate::Attachment::forwarder`].
    pub forwarder: Option<IpAddr>,
}

/// What is lost between the host's resolvers and the namespace's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// All the host's resolvers are on its loopback, and nothing stands in for them.
    OnlyLoopback(Vec<IpAddr>),
    /// All the host's resolvers have IPv6 addresses, and namespaces speak IPv4.
    OnlyIpv6(Vec<IpAddr>),
    /// The host names no resolver at all.
    None,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |addresses: &[IpAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::OnlyLoopback(addresses) => write!(
                f,
                "The host's name servers ({}) are on its loopback, which steps cannot reach: names will not resolve in them.",
                list(addresses)
            ),
            Self::OnlyIpv6(addresses) => write!(
                f,
                "The host's name servers ({}) have IPv6 addresses only, and steps have an IPv4 network: names will not resolve in them.",
                list(addresses)
            ),
            Self::None => f.write_str(
                "The host's /etc/resolv.conf names no name server: names will not resolve in steps.",
            ),
        }
    }
}

/// The text of a namespace's `/etc/resolv.conf`, made from the host's. `search`, `domain`, `options` and
/// `sortlist` lines are kept; comments are not, since they speak of the host.
pub fn resolv_conf(host: &str, upstreams: Upstreams<'_>) -> (String, Vec<Warning>) {
    let named = name_servers(host);
    let mut servers = usable(&named);
    if servers.is_empty() {
        servers = usable(&name_servers(upstreams.systemd.unwrap_or_default()));
    }
    if servers.is_empty() {
        servers.extend(upstreams.forwarder);
    }
    let mut warnings = Vec::new();
    if servers.is_empty() {
        let (loopback, other): (Vec<IpAddr>, Vec<IpAddr>) = named.into_iter().partition(IpAddr::is_loopback);
        warnings.push(match (loopback.is_empty(), other.is_empty()) {
            (true, true) => Warning::None,
            (false, true) => Warning::OnlyLoopback(loopback),
            _ => Warning::OnlyIpv6(other),
        });
    }
    let mut text = String::new();
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    for line in host.lines().map(str::trim) {
        let word = line.split_whitespace().next().unwrap_or_default();
        if matches!(word, "search" | "domain" | "options" | "sortlist") {
            let _ = writeln!(text, "{line}");
        }
    }
    (text, warnings)
}

/// The name servers that a resolv.conf text names, zones (`%eth0`) left out with their addresses: they mean
/// nothing in another namespace.
pub fn name_servers(text: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next()).flatten()?.parse().ok()
        })
        .collect()
}

/// The addresses that an IPv4 namespace can ask.
fn usable(servers: &[IpAddr]) -> Vec<IpAddr> {
    servers
        .iter()
        .filter(|server| server.is_ipv4() && !server.is_loopback() && !server.is_unspecified())
        .copied()
        .collect()
}

/// The text of a namespace's `/etc/hosts`: the loopback names, the extra entries in their order, and the
/// namespace's own name at its address (at 127.0.0.1 where it has none).
///
/// # Errors
/// [`Error::HostName`] for a name that is empty or would break the line.
pub fn hosts(hostname: &str, address: Option<IpAddr>, extra: &[(String, IpAddr)]) -> Result<String> {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\n\
         ff00::0\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\n\
         ff02::2\tip6-allrouters\n",
    );
    for (name, address) in extra {
        entry(&mut text, name, *address)?;
    }
    entry(&mut text, hostname, address.unwrap_or(IpAddr::from([127, 0, 0, 1])))?;
    Ok(text)
}

fn entry(text: &mut String, name: &str, address: IpAddr) -> Result<()> {
    let good = (1..=255).contains(&name.len())
        && !name.chars().any(|letter| letter.is_whitespace() || letter.is_control() || letter == '#');
    if !good {
        return Err(Error::HostName { name: name.escape_debug().to_string() });
    }
    let _ = writeln!(text, "{address}\t{name}");
    Ok(())
}

/// A hint where a proxy variable of the given environment names the host's loopback, which in a namespace is the
/// namespace's own. Credentials in the value are not repeated.
pub fn proxy_hint<'a>(environment: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<String> {
    environment.into_iter().find_map(|(name, value)| {
        let known = ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy"];
        if !known.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            return None;
        }
        let place = authority(value);
        is_loopback(host_of(place)).then(|| {
            format!(
                "`{name}` names the proxy {place}, but in a step that address is the step's own loopback: use an address of the host that steps can reach, or allow host networking with `--network=host`"
            )
        })
    })
}

/// The host and port of a URL or of a bare `host:port`.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    rest.rsplit_once('@').map_or(rest, |(_, place)| place)
}

fn host_of(place: &str) -> &str {
    if let Some(rest) = place.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    place.split(':').next().unwrap_or_default()
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => {
            address == Ipv6Addr::LOCALHOST
                || address.is_unspecified()
                || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_unspecified(),
        Err(_) => {
            let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
            host == "localhost" || host.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_resolvers_are_kept() {
        let host = "# made by a tool\nnameserver 10.255.255.53\nnameserver\t192.0.2.1\nsearch corp.example a.example\noptions ndots:2 edns0\n";
        let (text, warnings) = resolv_conf(host, Upstreams::default());
        insta::assert_snapshot!(text, @r"
        nameserver 10.255.255.53
        nameserver 192.0.2.1
        search corp.example a.example
        options ndots:2 edns0
        ");
        assert_eq!(warnings, []);
    }

    #[test]
    fn loopback_resolvers_give_way() {
        let host = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n";
        let systemd = Some("nameserver 192.0.2.53\nnameserver fe80::1%2\nnameserver 2001:db8::1\n");
        let forwarder = Some(IpAddr::from([10, 0, 2, 3]));
        let (text, warnings) = resolv_conf(host, Upstreams { systemd, forwarder });
        assert_eq!(text, "nameserver 192.0.2.53\noptions edns0 trust-ad\nsearch .\n");
        assert_eq!(warnings, []);
        let (text, warnings) = resolv_conf(host, Upstreams { systemd: None, forwarder });
        assert_eq!(text, "nameserver 10.0.2.3\noptions edns0 trust-ad\nsearch .\n");
        assert_eq!(warnings, []);
        let (text, warnings) = resolv_conf(host, Upstreams::default());
        assert_eq!(text, "options edns0 trust-ad\nsearch .\n");
        assert_eq!(warnings, [Warning::OnlyLoopback(vec![[127, 0, 0, 53].into()])]);
        insta::assert_snapshot!(warnings[0], @"The host's name servers (127.0.0.53) are on its loopback, which steps cannot reach: names will not resolve in them.");
    }

    #[test]
    fn a_mixed_list_loses_only_what_is_useless() {
        let host = "nameserver ::1\nnameserver 2001:db8::1\nnameserver 127.0.0.1\nnameserver 192.0.2.1\n";
        assert_eq!(resolv_conf(host, Upstreams::default()).0, "nameserver 192.0.2.1\n");
        let (text, warnings) = resolv_conf("nameserver 2001:db8::1\n", Upstreams::default());
        assert_eq!((text.as_str(), warnings.len()), ("", 1));
        assert!(matches!(warnings[0], Warning::OnlyIpv6(_)));
        assert_eq!(resolv_conf("", Upstreams::default()).1, [Warning::None]);
    }

    #[test]
    fn a_hosts_file() {
        let extra =
            [("db".to_owned(), "192.0.2.9".parse().unwrap()), ("six".to_owned(), "::1".parse().unwrap())];
        let text = hosts("box", Some("10.187.0.5".parse().unwrap()), &extra).unwrap();
        insta::assert_snapshot!(text, @r"
        127.0.0.1	localhost
        ::1	localhost ip6-localhost ip6-loopback
        fe00::0	ip6-localnet
        ff00::0	ip6-mcastprefix
        ff02::1	ip6-allnodes
        ff02::2	ip6-allrouters
        192.0.2.9	db
        ::1	six
        10.187.0.5	box
        ");
        assert!(hosts("box", None, &[]).unwrap().ends_with("127.0.0.1\tbox\n"));
        for name in ["", "a b", "a\n6.6.6.6 registry", "a#b"] {
            assert!(hosts(name, None, &[]).is_err(), "{name}");
        }
    }

    #[test]
    fn loopback_proxies_are_noticed() {
        for value in [
            "http://127.0.0.1:3128",
            "http://user:secret@localhost:3128/",
            "127.3.2.1:80",
            "socks5h://[::1]:1080",
            "http://proxy.localhost./",
            "http://0.0.0.0:1",
        ] {
            let hint = proxy_hint([("PATH", "/bin"), ("https_proxy", value)]);
            assert!(hint.as_ref().is_some_and(|hint| !hint.contains("secret")), "{value}: {hint:?}");
        }
        for (name, value) in [
            ("HTTP_PROXY", "http://proxy.example:3128"),
            ("HTTP_PROXY", ""),
            ("NO_PROXY", "127.0.0.1"),
            ("HTTP_PROXY", "http://localhost@192.0.2.1/"),
        ] {
            assert_eq!(proxy_hint([(name, value)]), None, "{name}={value}");
        }
    }
}
