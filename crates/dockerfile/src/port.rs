//! The words of EXPOSE: `[[ip:]host:]port[-port][/tcp|/udp|/sctp]`, as BuildKit reads them after expansion.

/// What a word of EXPOSE means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The first port.
    pub first: u16,
    /// The last; equal to the first where no range is given.
    pub last: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: &'static str,
    /// The protocol was not written in lower case (rule ExposeProtoCasing).
    pub odd_case: bool,
    /// An address or a host's port stands before it, and is dropped (rule ExposeInvalidFormat).
    pub has_host: bool,
}

impl Ports {
    /// The keys of the image's `ExposedPorts`: `80/tcp`, one for each port.
    pub fn keys(&self) -> impl Iterator<Item = String> + '_ {
        (self.first..=self.last).map(|port| format!("{port}/{}", self.protocol))
    }
}

/// What is wrong with a word of EXPOSE.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant is described by its message, each field by its name in it")]
pub enum PortError {
    #[error("`{word}` names no port")]
    NoPort { word: String },
    #[error("`{protocol}` in `{word}` is no protocol; tcp, udp and sctp are")]
    Protocol { word: String, protocol: String },
    #[error("`{port}` in `{word}` is no port or range of ports from 0 to 65535")]
    Number { word: String, port: String },
    #[error("`{address}` in `{word}` is no IP address")]
    Address { word: String, address: String },
    #[error("in `{word}` the two ranges of ports differ in length")]
    Ranges { word: String },
}

/// Reads one expanded word.
pub fn parse(word: &str) -> Result<Ports, PortError> {
    let owned = || word.to_owned();
    let mut parts = word.rsplitn(3, ':');
    let container = parts.next().unwrap_or_default();
    let host = parts.next().unwrap_or_default();
    let address = parts.next().unwrap_or_default();

    let (port, written) = container.split_once('/').unwrap_or((container, ""));
    if port.is_empty() {
        return Err(PortError::NoPort { word: owned() });
    }
    let lower = written.to_lowercase();
    let protocol = match lower.as_str() {
        "" | "tcp" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        _ => return Err(PortError::Protocol { word: owned(), protocol: written.to_owned() }),
    };
    if !address.is_empty() {
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        if bare.parse::<std::net::IpAddr>().is_err() {
            return Err(PortError::Address { word: owned(), address: address.to_owned() });
        }
    }
    let number =
        |port: &str| range(port).ok_or_else(|| PortError::Number { word: owned(), port: port.to_owned() });
    let (first, last) = number(port)?;
    if !host.is_empty() {
        let (host_first, host_last) = number(host)?;
        if first != last && last - first != host_last - host_first {
            return Err(PortError::Ranges { word: owned() });
        }
    }
    let has_host = !host.is_empty() || !address.is_empty();
    Ok(Ports { first, last, protocol, odd_case: written != lower, has_host })
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(word: &str) -> Vec<String> {
        parse(word).unwrap().keys().collect()
    }

    #[test]
    fn ports_ranges_and_protocols() {
        assert_eq!(keys("80"), ["80/tcp"]);
        assert_eq!(keys("53/UDP"), ["53/udp"]);
        assert_eq!(keys("8000-8002/sctp"), ["8000/sctp", "8001/sctp", "8002/sctp"]);
        assert_eq!(keys("127.0.0.1:8080:80"), ["80/tcp"]);
        assert_eq!(keys("[::1]::80"), ["80/tcp"]);
        assert_eq!(keys("8080-8090:80"), ["80/tcp"]);
        assert!(parse("80/Tcp").unwrap().odd_case);
        assert!(parse("8080:80").unwrap().has_host);
        assert!(!parse("80/tcp").unwrap().has_host);
    }

    #[test]
    fn what_is_no_port() {
        for word in ["", "/tcp", "x", "80/http", "70000", "90-80", "80-", "-80", "a:80:80", "1-2:1-5", "#"] {
            assert!(parse(word).is_err(), "{word}");
        }
        assert_eq!(
            parse("80/http").unwrap_err().to_string(),
            "`http` in `80/http` is no protocol; tcp, udp and sctp are"
        );
    }
}
