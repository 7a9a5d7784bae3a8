//! Network addresses: whose a request is, also behind proxies; which addresses count as one; how much each may take.

mod client;
mod connections;
mod forwarded;
mod proxies;

use std::net::{IpAddr, Ipv6Addr};

pub use client::{client_address, proxied_client};
pub use connections::{Connections, Full, Lease, RETRY_AFTER};
pub use proxies::Proxies;

/// What counts as one address: in IPv6 the /64, as that is what one household or host is given.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !(u128::from(u64::MAX)))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_v6_network_is_one_address() {
        let network = |address: &str| network_of(address.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:0:0:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
