//! Which addresses belong to the public internet, and which lead to this machine, its neighbours, or nowhere.
//!
//! By the registries of special-purpose addresses (RFC 6890 and its successors). Of IPv6 only 2000::/3 is assigned to
//! the internet. An IPv6 address that stands for one of IPv4 is judged as that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(first: u16, second: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0), length)
}

/// Networks that are not public, each with its kind and the article.
const SPECIAL_V4: [(Ipv4Net, &str); 16] = [
    (v4(0, 0, 0, 0, 8), "an unspecified"),
    (v4(10, 0, 0, 0, 8), "a private"),
    // Behind a provider's address translation; some clouds use it for their own services.
    (v4(100, 64, 0, 0, 10), "a shared"),
    (v4(127, 0, 0, 0, 8), "a loopback"),
    // Clouds hand out credentials at 169.254.169.254.
    (v4(169, 254, 0, 0, 16), "a link-local"),
    (v4(172, 16, 0, 0, 12), "a private"),
    (v4(192, 0, 0, 0, 24), "a reserved"),
    (v4(192, 0, 2, 0, 24), "a documentation"),
    // The relays of 6to4, deprecated.
    (v4(192, 88, 99, 0, 24), "a reserved"),
    (v4(192, 168, 0, 0, 16), "a private"),
    (v4(198, 18, 0, 0, 15), "a benchmarking"),
    (v4(198, 51, 100, 0, 24), "a documentation"),
    (v4(203, 0, 113, 0, 24), "a documentation"),
    (v4(224, 0, 0, 0, 4), "a multicast"),
    (v4(255, 255, 255, 255, 32), "a broadcast"),
    (v4(240, 0, 0, 0, 4), "a reserved"),
];

/// The same for IPv6: networks within 2000::/3, and some outside that have a name of their own.
const SPECIAL_V6: [(Ipv6Net, &str); 8] = [
    // Protocol assignments, Teredo among them.
    (v6(0x2001, 0, 23), "a reserved"),
    (v6(0x2001, 0xdb8, 32), "a documentation"),
    (v6(0x3fff, 0, 20), "a documentation"),
    (v6(0xfc00, 0, 7), "a private"),
    (v6(0xfe80, 0, 10), "a link-local"),
    // Site-local, deprecated.
    (v6(0xfec0, 0, 10), "a private"),
    (v6(0xff00, 0, 8), "a multicast"),
    // 64:ff9b:1::/48 translates to IPv4 within one network (RFC 8215).
    (v6(0x64, 0xff9b, 32), "a private"),
];

const INTERNET_V6: Ipv6Net = v6(0x2000, 0, 3);

/// The kind of an address that is not public, with its article; `None` for a public one.
pub fn special(address: IpAddr) -> Option<&'static str> {
    match represented(address) {
        IpAddr::V4(address) => SPECIAL_V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, kind)| *kind),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some("an unspecified"),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => Some("a loopback"),
        IpAddr::V6(address) => {
            let special = SPECIAL_V6.iter().find(|(net, _)| net.contains(&address)).map(|(_, kind)| *kind);
            special.or((!INTERNET_V6.contains(&address)).then_some("a reserved"))
        }
    }
}

/// The address of IPv4 that one of IPv6 stands for, by its form: IPv4-mapped, IPv4-compatible, 64:ff9b::/96 (NAT64),
/// 2002::/16 (6to4). Any other stands for itself.
fn represented(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            of(high, low)
        }
        _ => address,
    }
}

/// Whether one of these networks has the address, or the IPv4 address it stands for.
pub fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    let represented = represented(address);
    networks.iter().any(|net| net.contains(&address) || net.contains(&represented))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(address: &str) -> Option<&'static str> {
        special(address.parse().unwrap_or_else(|_| panic!("{address}")))
    }

    #[test]
    fn only_the_internets_addresses_are_not_special() {
        // The first and the last of each network, and their neighbours outside.
        for (first, last, before, after) in [
            ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")),
            ("10.0.0.0", "10.255.255.255", Some("9.255.255.255"), Some("11.0.0.0")),
            ("100.64.0.0", "100.127.255.255", Some("100.63.255.255"), Some("100.128.0.0")),
            ("127.0.0.0", "127.255.255.255", Some("126.255.255.255"), Some("128.0.0.0")),
            ("169.254.0.0", "169.254.255.255", Some("169.253.255.255"), Some("169.255.0.0")),
            ("172.16.0.0", "172.31.255.255", Some("172.15.255.255"), Some("172.32.0.0")),
            ("192.0.0.0", "192.0.0.255", Some("191.255.255.255"), Some("192.0.1.0")),
            ("192.0.2.0", "192.0.2.255", Some("192.0.1.255"), Some("192.0.3.0")),
            ("192.88.99.0", "192.88.99.255", Some("192.88.98.255"), Some("192.88.100.0")),
            ("192.168.0.0", "192.168.255.255", Some("192.167.255.255"), Some("192.169.0.0")),
            ("198.18.0.0", "198.19.255.255", Some("198.17.255.255"), Some("198.20.0.0")),
            ("198.51.100.0", "198.51.100.255", Some("198.51.99.255"), Some("198.51.101.0")),
            ("203.0.113.0", "203.0.113.255", Some("203.0.112.255"), Some("203.0.114.0")),
            ("224.0.0.0", "255.255.255.255", Some("223.255.255.255"), None),
            ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, None),
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Some("2000:ffff::"), Some("2001:200::")),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Some("2001:db7:ffff::"), Some("2001:db9::")),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Some("3ffe:ffff::"), Some("3fff:1000::")),
            ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("3fff:ffff::"), None),
        ] {
            for inside in [first, last] {
                assert!(kind(inside).is_some(), "{inside}");
            }
            for outside in [before, after].into_iter().flatten() {
                assert_eq!(kind(outside), None, "{outside}");
            }
        }
    }

    #[test]
    fn each_kind_has_its_name() {
        for (address, name) in [
            ("127.0.0.1", "a loopback"),
            ("::1", "a loopback"),
            ("::", "an unspecified"),
            ("169.254.169.254", "a link-local"),
            ("fe80::1", "a link-local"),
            ("fd00:ec2::254", "a private"),
            ("255.255.255.255", "a broadcast"),
            ("250.0.0.1", "a reserved"),
            ("ff02::1", "a multicast"),
            ("100::1", "a reserved"),
            ("5f00::1", "a reserved"),
            ("64:ff9b:1::7f00:1", "a private"),
        ] {
            assert_eq!(kind(address), Some(name), "{address}");
        }
    }

    #[test]
    fn an_address_that_stands_for_one_of_ipv4_is_judged_by_that() {
        for (form, private, public) in [
            ("mapped", "::ffff:10.0.0.1", "::ffff:1.1.1.1"),
            ("compatible", "::10.0.0.1", "::1.1.1.1"),
            ("NAT64", "64:ff9b::10.0.0.1", "64:ff9b::1.1.1.1"),
            ("6to4", "2002:a00:1::", "2002:101:101::"),
        ] {
            assert_eq!((kind(private), kind(public)), (Some("a private"), None), "{form}");
            let ten: [IpNet; 1] = ["10.0.0.0/8".parse().unwrap()];
            assert!(contains(&ten, private.parse().unwrap()) && !contains(&ten, public.parse().unwrap()), "{form}");
        }
        assert_eq!(kind("2002:7f00:1::5"), Some("a loopback"));
        let loopback: [IpNet; 1] = ["::1/128".parse().unwrap()];
        assert!(contains(&loopback, "::1".parse().unwrap()) && !contains(&loopback, "127.0.0.1".parse().unwrap()));
    }
}
