//! Reading the headers in which proxies say for whom they ask: lists of addresses, and `Forwarded` (RFC 7239). Pure.
//!
//! Entries are read from the end, where the nearest proxy wrote: what a client sent stands before that and must not
//! decide how it is read, as an open quote at the beginning of a line would.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How a header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// Addresses with commas between them: `X-Forwarded-For`, and with one of them `X-Real-IP`.
    List,
    /// Elements of pairs, `for=192.0.2.1;proto=https`, with commas between them.
    Forwarded,
}

/// The entries of a header's lines, from the last to the first: an address, or `None` for what is none.
pub fn entries<'a>(
    lines: impl DoubleEndedIterator<Item = &'a [u8]>,
    notation: Notation,
) -> impl Iterator<Item = Option<IpAddr>> {
    lines.rev().flat_map(move |line| {
        let mut rest = Some(line);
        std::iter::from_fn(move || {
            let (before, entry) = split_last(rest?, notation);
            rest = before;
            let text = std::str::from_utf8(entry).ok().map(str::trim_ascii);
            Some(text.and_then(|text| match notation {
                Notation::List => address(text),
                Notation::Forwarded => for_whom(text),
            }))
        })
    })
}

/// What follows the last comma, and what precedes it. In elements a comma between quotes is none.
fn split_last(line: &[u8], notation: Notation) -> (Option<&[u8]>, &[u8]) {
    let mut quoted = false;
    for at in (0..line.len()).rev() {
        match line[at] {
            b'"' if notation == Notation::Forwarded && !is_escaped(line, at) => quoted = !quoted,
            b',' if !quoted => return (Some(&line[..at]), &line[at + 1..]),
            _ => {}
        }
    }
    (None, line)
}

/// Whether an odd number of backslashes stands before that byte.
fn is_escaped(line: &[u8], at: usize) -> bool {
    line[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The address of an element's `for`; `None` where it has none, has several, or cannot be read.
fn for_whom(element: &str) -> Option<IpAddr> {
    let mut found = None;
    let mut rest = element;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let value = match after.strip_prefix('"') {
            Some(quoted) => {
                let end = (0..quoted.len())
                    .find(|at| quoted.as_bytes()[*at] == b'"' && !is_escaped(quoted.as_bytes(), *at))?;
                rest = quoted[end + 1..].trim_ascii_start();
                &quoted[..end]
            }
            None => {
                let end = after.find(';').unwrap_or(after.len());
                rest = &after[end..];
                after[..end].trim_ascii_end()
            }
        };
        if !rest.is_empty() {
            rest = rest.strip_prefix(';')?.trim_ascii_start();
        }
        if name.eq_ignore_ascii_case("for") && found.replace(address(value)?).is_some() {
            return None;
        }
    }
    found
}

/// An address with or without port, in IPv6 with or without brackets; one of IPv4 written as IPv6 is of IPv4.
fn address(text: &str) -> Option<IpAddr> {
    let is_port = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    if let Some(bracketed) = text.strip_prefix('[') {
        let (v6, port) = bracketed.split_once(']')?;
        let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return port_fits.then(|| v6.parse::<Ipv6Addr>().ok()).flatten().map(|v6| IpAddr::V6(v6).to_canonical());
    }
    match text.split_once(':') {
        Some((v4, port)) if !port.contains(':') => {
            is_port(port).then(|| v4.parse::<Ipv4Addr>().ok()).flatten().map(IpAddr::V4)
        }
        _ => text.parse::<IpAddr>().ok().map(|address| address.to_canonical()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, notation: Notation) -> Vec<String> {
        let entries = entries([line.as_bytes()].into_iter(), notation);
        entries.map(|entry| entry.map_or("-".to_owned(), |address| address.to_string())).collect()
    }

    #[test]
    fn a_list_is_read_from_its_end() {
        for (line, are) in [
            ("192.0.2.1", &["192.0.2.1"][..]),
            (" 192.0.2.1 ,\t198.51.100.1:80", &["198.51.100.1", "192.0.2.1"]),
            ("::1,[::2],[::3]:65535,::ffff:192.0.2.1", &["192.0.2.1", "::3", "::2", "::1"]),
            ("", &["-"]),
            (",", &["-", "-"]),
            ("192.0.2.1:,192.0.2.1:x,192.0.2.1:123456", &["-", "-", "-"]),
            ("[::1,::1],[::1]5,[192.0.2.1]", &["-", "-", "-", "-"]),
            ("192.0.2,192.0.2.256,fe80::1%eth0,unknown", &["-", "-", "-", "-"]),
            ("\"192.0.2.1\"", &["-"]),
        ] {
            assert_eq!(read(line, Notation::List), are, "{line}");
        }
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_has_it() {
        for (line, are) in [
            ("for=192.0.2.43", &["192.0.2.43"][..]),
            ("For=\"[2001:db8:cafe::17]:4711\"", &["2001:db8:cafe::17"]),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", &["192.0.2.60"]),
            ("proto=https ; FOR=192.0.2.60", &["192.0.2.60"]),
            ("for = 192.0.2.60", &["-"]),
            ("for=192.0.2.43, for=198.51.100.17", &["198.51.100.17", "192.0.2.43"]),
            (r#"for=192.0.2.1;host="a,\",b;for=::1", for="192.0.2.2:80""#, &["192.0.2.2", "192.0.2.1"]),
            ("for=unknown, for=_hidden, for=\"_x:80\"", &["-", "-", "-"]),
            ("by=203.0.113.43", &["-"]),
            ("for=192.0.2.1;for=192.0.2.2", &["-"]),
            ("for=192.0.2.1;secret", &["-"]),
            ("192.0.2.1", &["-"]),
            ("", &["-"]),
            // An open quote reaches no further than to what stands before it.
            ("for=\", for=192.0.2.1", &["192.0.2.1", "-"]),
            ("for=\"192.0.2.9, for=192.0.2.1", &["192.0.2.1", "-"]),
        ] {
            assert_eq!(read(line, Notation::Forwarded), are, "{line}");
        }
    }
}
