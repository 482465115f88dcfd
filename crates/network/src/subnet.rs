//! IPv4 subnets: which addresses they hold and whether two of them overlap.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 subnet, written `10.187.0.0/20`. Its first host address is the bridge's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

impl Subnet {
    /// The subnet that holds `address`; the bits behind the prefix are cleared. `None` for a prefix above 32.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        (prefix <= 32).then(|| Self { base: address.to_bits() & mask(prefix), prefix })
    }

    /// The length of the prefix in bits, 0 to 32.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The lowest address.
    pub fn network(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base)
    }

    /// The network mask.
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(mask(self.prefix))
    }

    /// The highest address.
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base | !mask(self.prefix))
    }

    /// The first host address: the bridge's, which the namespaces route through.
    pub fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base.saturating_add(1))
    }

    /// How many addresses there are to lease: all but the network's, the gateway's and the broadcast address.
    pub fn leasable(self) -> u32 {
        (!mask(self.prefix)).saturating_sub(2)
    }

    /// The leasable address number `index`, counted from 0.
    pub fn leasable_address(self, index: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base + 2 + index)
    }

    /// Whether the address is in the subnet.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.base
    }

    /// Whether any address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        let shorter = mask(self.prefix.min(other.prefix));
        self.base & shorter == other.base & shorter
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network(), self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a subnet such as 10.187.0.0/20");
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        Self::new(address, prefix.parse().map_err(|_| wrong())?).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_of_a_subnet() {
        let small = subnet("192.168.231.77/29");
        assert_eq!(small.to_string(), "192.168.231.72/29");
        assert_eq!(small.gateway(), Ipv4Addr::new(192, 168, 231, 73));
        assert_eq!(small.leasable(), 5);
        assert_eq!(small.leasable_address(0), Ipv4Addr::new(192, 168, 231, 74));
        assert_eq!(small.leasable_address(4), Ipv4Addr::new(192, 168, 231, 78));
        assert_eq!(small.broadcast(), Ipv4Addr::new(192, 168, 231, 79));
        assert_eq!(small.mask(), Ipv4Addr::new(255, 255, 255, 248));
        assert_eq!(subnet("10.0.0.1/32").leasable(), 0);
        assert_eq!(subnet("0.0.0.0/0").broadcast(), Ipv4Addr::BROADCAST);
    }

    #[test]
    fn overlap_goes_both_ways() {
        for (one, other, overlap) in [
            ("10.0.0.0/8", "10.187.0.0/20", true),
            ("10.187.16.0/20", "10.187.0.0/20", false),
            ("10.187.3.4/32", "10.187.0.0/20", true),
            ("0.0.0.0/0", "10.187.0.0/20", true),
            ("172.16.0.0/12", "10.187.0.0/20", false),
        ] {
            assert_eq!(subnet(one).overlaps(subnet(other)), overlap, "{one} {other}");
            assert_eq!(subnet(other).overlaps(subnet(one)), overlap, "{other} {one}");
        }
    }

    #[test]
    fn wrong_texts_are_refused() {
        for text in ["", "10.0.0.0", "10.0.0/8", "10.0.0.0/33", "10.0.0.0/-1", "x/8"] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
    }
}
