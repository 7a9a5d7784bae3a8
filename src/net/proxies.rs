//! Which proxies are believed, and who the client behind them is. Pure.

use std::net::IpAddr;

use actix_web::http::header::HeaderName;
use ipnet::IpNet;

use super::forwarded::{Notation, entries};
use crate::config::Settings;

/// The most entries looked at: more proxies in a row than anybody has.
const MAX_ENTRIES: usize = 32;

/// The trusted proxies, and the header in which they say for whom they ask.
#[derive(Debug, Clone)]
pub struct Proxies {
    trusted: Vec<IpNet>,
    header: HeaderName,
    notation: Notation,
}

impl Proxies {
    /// As configured. The error is a sentence.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        Self::of(&settings.server.trusted_proxies, &settings.server.forwarded_header)
    }

    fn of(trusted: &[IpNet], name: &str) -> Result<Self, String> {
        let header = HeaderName::from_bytes(name.as_bytes());
        let header = header.map_err(|_| format!("server.forwarded_header: \"{name}\" is not the name of a header"))?;
        let notation = if header == "forwarded" { Notation::Forwarded } else { Notation::List };
        Ok(Self { trusted: trusted.to_vec(), header, notation })
    }

    /// Whether none is trusted, so that nobody but the other end of a connection is a client.
    pub fn are_none(&self) -> bool {
        self.trusted.is_empty()
    }

    /// The header that is read.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// Whether this address is a trusted proxy's.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&address))
    }

    /// The client of a request that came from `peer` with these lines of the header, in order: the last address that is
    /// no trusted proxy, looking from the connection backwards. Each step is the word of somebody trusted. Where the next
    /// is no address, or there is none, the last one known is the answer.
    pub fn client<'a>(&self, peer: IpAddr, lines: impl DoubleEndedIterator<Item = &'a [u8]>) -> IpAddr {
        let mut client = peer.to_canonical();
        let mut said = entries(lines, self.notation).take(MAX_ENTRIES);
        while self.trusts(client) {
            let Some(Some(next)) = said.next() else { break };
            client = next;
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proxies(trusted: &[&str], header: &str) -> Proxies {
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        Proxies::of(&trusted, header).unwrap()
    }

    fn client(proxies: &Proxies, peer: &str, lines: &[&str]) -> String {
        proxies.client(peer.parse().unwrap(), lines.iter().map(|line| line.as_bytes())).to_string()
    }

    const TRUSTED: [&str; 3] = ["10.0.0.0/8", "2001:db8:f::/48", "172.16.0.0/12"];

    #[test]
    fn the_client_is_the_last_who_is_no_proxy() {
        let proxies = proxies(&TRUSTED, "X-Forwarded-For");
        for (peer, lines, is) in [
            ("10.0.0.1", &["192.0.2.1"][..], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.1, 192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.1, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            ("10.0.0.1", &["10.0.0.4,10.0.0.3", "10.0.0.2"], "10.0.0.4"),
            ("10.0.0.1", &["198.51.100.1", "192.0.2.1", "10.9.9.9"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1,"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("::ffff:10.0.0.1", &["::ffff:192.0.2.1"], "192.0.2.1"),
            ("172.16.5.5", &["192.0.2.1"], "192.0.2.1"),
            ("2001:db8:f::1", &["[2001:db8::1]:5"], "2001:db8::1"),
            // Not a proxy: what it says counts nothing.
            ("192.0.2.9", &["192.0.2.1"], "192.0.2.9"),
            ("172.32.0.1", &["192.0.2.1"], "172.32.0.1"),
        ] {
            assert_eq!(client(&proxies, peer, lines), is, "{peer} {lines:?}");
        }
    }

    #[test]
    fn a_chain_without_end_is_not_followed() {
        let proxies = proxies(&TRUSTED, "X-Forwarded-For");
        let chain = |length: u32| {
            let entries: Vec<String> = (1..=length).rev().map(|n| format!("10.1.{}.{}", n / 256, n % 256)).collect();
            client(&proxies, "10.0.0.1", &[&format!("192.0.2.1,{}", entries.join(","))])
        };
        assert_eq!(chain(31), "192.0.2.1");
        assert_eq!(chain(32), "10.1.0.32");
        assert_eq!(chain(10_000), "10.1.0.32");
    }

    #[test]
    fn nobody_is_believed_where_nobody_is_trusted() {
        assert_eq!(client(&proxies(&[], "X-Forwarded-For"), "127.0.0.1", &["192.0.2.1"]), "127.0.0.1");
    }

    proptest! {
        /// By the definition in words, over all arrangements of proxies, clients and noise on any number of lines.
        #[test]
        fn it_is_as_the_specification_says(
            entries in prop::collection::vec(prop_oneof![Just("10.0.0.2"), Just("192.0.2.1"), Just("nobody"), Just("2001:db8::1")], 0..12),
            breaks in prop::collection::vec(any::<bool>(), 12),
            trusted in any::<bool>(),
        ) {
            let mut lines: Vec<String> = Vec::new();
            for (entry, begins) in entries.iter().zip(&breaks) {
                match lines.last_mut() {
                    Some(line) if !begins => *line = format!("{line} , {entry}"),
                    _ => lines.push((*entry).to_owned()),
                }
            }
            let peer = if trusted { "10.0.0.1" } else { "192.0.2.9" };
            // The addresses of the walk: from the connection back to the first that is no address.
            let good = entries.iter().rev().take_while(|entry| **entry != "nobody").copied();
            let walk: Vec<&str> = std::iter::once(peer).chain(good).collect();
            let expected = walk.iter().find(|address| !address.starts_with("10.")).or(walk.last()).unwrap();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            prop_assert_eq!(client(&proxies(&TRUSTED, "X-Forwarded-For"), peer, &lines), *expected);
        }

        /// Whatever stands to the left of what the last trusted proxy wrote, in whichever notation.
        #[test]
        fn nothing_a_client_sends_changes_what_a_proxy_adds(forged in any::<Vec<u8>>()) {
            for (header, added) in [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", r#"for="192.0.2.1:5";by=_x"#)] {
                let one_line = [&forged, b", ".as_slice(), added.as_bytes()].concat();
                let proxies = proxies(&TRUSTED, header);
                let peer = "10.0.0.1".parse().unwrap();
                for lines in [vec![one_line.as_slice()], vec![forged.as_slice(), added.as_bytes()]] {
                    prop_assert_eq!(proxies.client(peer, lines.into_iter()).to_string(), "192.0.2.1");
                }
            }
        }
    }
}
