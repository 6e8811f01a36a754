//! Which addresses a client may connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Public addresses, and what an operator added. A database stands among machines that trust each other: what others
/// may not reach, a query must not reach through it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    networks: Vec<Network>,
}

/// Addresses that an operator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Every one.
    All,
    /// Those that have the first `bits` bits of this one.
    V4 { address: Ipv4Addr, bits: u32 },
    /// The same.
    V6 { address: Ipv6Addr, bits: u32 },
}

impl Reach {
    /// Allows more.
    pub fn add(&mut self, network: Network) {
        self.networks.push(network);
    }

    /// Whether the client may connect there.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.networks.iter().any(|network| network.contains(address))
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self, address) {
            (Network::All, _) => true,
            (Network::V4 { address: of, bits }, IpAddr::V4(address)) => {
                first_bits(u128::from(of.to_bits()) << 96, bits)
                    == first_bits(u128::from(address.to_bits()) << 96, bits)
            }
            (Network::V6 { address: of, bits }, IpAddr::V6(address)) => {
                first_bits(of.to_bits(), bits) == first_bits(address.to_bits(), bits)
            }
            _ => false,
        }
    }
}

fn first_bits(address: u128, bits: u32) -> u128 {
    address & u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

/// A text that is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither `all`, nor an IP address, nor a network such as 10.0.0.0/8")]
pub struct NoNetwork;

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Network, NoNetwork> {
        if text == "all" {
            return Ok(Network::All);
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| NoNetwork)?)),
            None => (text, None),
        };
        match address.parse::<IpAddr>().map_err(|_| NoNetwork)? {
            IpAddr::V4(address) if bits.unwrap_or(32) <= 32 => Ok(Network::V4 { address, bits: bits.unwrap_or(32) }),
            IpAddr::V6(address) if bits.unwrap_or(128) <= 128 => Ok(Network::V6 { address, bits: bits.unwrap_or(128) }),
            _ => Err(NoNetwork),
        }
    }
}

/// Where a machine in Azure finds the host that it runs on; an address that looks public and is not.
const AZURE_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// Whether an address belongs to the public internet: none of the special ones of IANA's registries (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            let special = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || a == 0
                || (a == 100 && b & 0xc0 == 64)
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && b & 0xfe == 18)
                || address == AZURE_HOST
                || a >= 224;
            !special
        }
        IpAddr::V6(address) => {
            let [a, b, ..] = address.segments();
            let special = (a == 0x2001 && (b < 0x200 || b == 0xdb8)) || a == 0x2002 || (a == 0x3fff && b < 0x1000);
            // Everything else, the translated IPv4 addresses of 64:ff9b::/96 among it, is not routed or not global.
            a & 0xe000 == 0x2000 && !special
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(networks: &[&str], address: &str) -> bool {
        let mut reach = Reach::default();
        networks.iter().for_each(|network| reach.add(network.parse().unwrap()));
        reach.allows(address.parse().unwrap())
    }

    #[test]
    fn what_is_not_public_is_refused() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "168.63.129.16",
            "::ffff:168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "3fff::1",
        ] {
            assert!(!allows(&[], address), "{address}");
            assert!(allows(&["all"], address), "{address}");
        }
    }

    #[test]
    fn what_is_public_is_allowed() {
        for address in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "168.63.129.15",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2606:4700::1111",
            "2a00::1",
            "2001:4860:4860::8888",
        ] {
            assert!(allows(&[], address), "{address}");
        }
    }

    #[test]
    fn networks_are_added() {
        assert!(allows(&["10.0.0.0/8"], "10.255.0.1") && !allows(&["10.0.0.0/8"], "192.168.0.1"));
        assert!(allows(&["127.0.0.1"], "127.0.0.1") && !allows(&["127.0.0.1"], "127.0.0.2"));
        assert!(allows(&["127.0.0.1"], "::ffff:127.0.0.1"));
        assert!(allows(&["fd00::/8"], "fd12::1") && !allows(&["fd00::/8"], "fc00::1"));
        assert!(allows(&["0.0.0.0/0"], "127.0.0.1") && !allows(&["0.0.0.0/0"], "::1"));
        assert!(allows(&["::/0"], "::1"));
        for text in ["", "x", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "10.0.0/8"] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }
}
