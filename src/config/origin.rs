//! Origins (RFC 6454), as `server.allowed_origins` lists them and as requests name them. Pure.
//!
//! A setting is read as a browser reads an address, so that what it means is what the browser will send: lower case,
//! punycode, no default port. A request's `Origin` and `Host` are only taken apart.

use std::net::Ipv6Addr;

use url::{Host, Url};

/// An entry of `server.allowed_origins`: one origin, or the origins of everything below a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedOrigin {
    scheme: String,
    host: String,
    /// As it is compared: none where it is the scheme's own.
    port: Option<u16>,
    /// Hosts below `host` are meant, with any number of labels, and not `host` itself.
    below: bool,
}

impl AllowedOrigin {
    /// Reads an entry. The error completes the sentence "it is …".
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str = "not an origin: write the scheme and the host, and the port if there is one, as in \
                            https://app.example.com, without a path";
        if text == "*" {
            return Err("every page of the web: list the origins that are meant".to_owned());
        }
        if text == "null" {
            return Err("what every sandboxed frame and every local file calls itself: serve the page from an origin \
                        of its own and list that"
                .to_owned());
        }
        let (scheme, authority) = text.split_once("://").ok_or(FORM)?;
        let scheme = scheme.to_ascii_lowercase();
        if !is_scheme(&scheme) || authority.contains(|c: char| "/\\?#@".contains(c) || c.is_whitespace()) {
            return Err(FORM.to_owned());
        }
        if let Some(page) = ["ws", "wss"].iter().position(|socket| *socket == scheme).map(|n| ["http", "https"][n]) {
            return Err(format!("a socket's address: a page's origin begins with {page}://, on its sockets too"));
        }
        let (below, authority) = match authority.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, authority),
        };
        if authority.contains('*') {
            return Err(
                "not a pattern: a * stands only for all labels before a domain, as in https://*.example.com".to_owned()
            );
        }
        let url = Url::parse(&format!("{scheme}://{authority}")).map_err(|_| FORM)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(FORM)?.to_owned();
        if below {
            if !["http", "https"].contains(&scheme.as_str()) || !matches!(url.host(), Some(Host::Domain(_))) {
                return Err("a pattern, which only http:// or https:// and a domain may have".to_owned());
            }
            // All rules count, those of the list's private part as well: below github.io is anybody.
            if psl::suffix_str(&host).is_none_or(|suffix| suffix == host.trim_end_matches('.')) {
                return Err(format!(
                    "a pattern on a public suffix: anybody may have a name below {host}. List the origins that are meant"
                ));
            }
        }
        Ok(Self { scheme, host, port: url.port(), below })
    }

    /// Whether it is one origin, and not a pattern.
    pub fn is_exact(&self) -> bool {
        !self.below
    }

    /// Whether it lets in that origin.
    pub fn admits(&self, origin: &Origin<'_>) -> bool {
        let host = origin.host.as_bytes();
        let host_fits = if self.below {
            let labels = host.len().checked_sub(self.host.len() + 1).filter(|labels| *labels > 0);
            labels.is_some_and(|dot| host[dot] == b'.' && host[dot + 1..].eq_ignore_ascii_case(self.host.as_bytes()))
        } else {
            host.eq_ignore_ascii_case(self.host.as_bytes())
        };
        host_fits && self.port == origin.port && self.scheme.eq_ignore_ascii_case(origin.scheme)
    }
}

/// The origin a request names, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// What comes before `://`.
    pub scheme: &'a str,
    /// The host, in whatever case; an IPv6 address in its brackets.
    pub host: &'a str,
    /// The port; none where it is the scheme's own.
    pub port: Option<u16>,
}

impl<'a> Origin<'a> {
    /// Reads the value of `Origin`; `None` where it is not scheme, host and perhaps port, as with `null`.
    pub fn read(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        if !is_scheme(scheme) {
            return None;
        }
        let (host, port) = host_and_port(authority)?;
        Some(Self { scheme, host, port: port.filter(|port| !is_default(scheme, *port)) })
    }

    /// Whether a request to `authority`, the value of `Host`, is one to this origin. The scheme is taken to be the
    /// origin's: behind a proxy that ends TLS we do not know our own.
    pub fn is_at(&self, authority: &str) -> bool {
        host_and_port(authority).is_some_and(|(host, port)| {
            host.eq_ignore_ascii_case(self.host) && port.filter(|port| !is_default(self.scheme, *port)) == self.port
        })
    }
}

/// Takes apart `host`, `host:port`, `[v6]` or `[v6]:port`; `None` where it is none of these.
pub fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = match authority.strip_prefix('[') {
        Some(v6) => {
            let end = v6.find(']')?;
            v6[..end].parse::<Ipv6Addr>().ok()?;
            end + 2
        }
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let named = host.starts_with('[') || host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b));
    let port = match port {
        // A colon with nothing behind it is allowed (RFC 3986, 3.2.3).
        "" | ":" => None,
        _ => {
            let digits = port.strip_prefix(':').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
            Some(digits.parse().ok()?)
        }
    };
    (named && !host.is_empty()).then_some((host, port))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// Whether browsers leave this port out. Apps' own schemes have none.
fn is_default(scheme: &str, port: u16) -> bool {
    [("http", 80), ("https", 443)].iter().any(|(name, own)| *own == port && scheme.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(allowed: &str, origin: &str) -> bool {
        let allowed = AllowedOrigin::parse(allowed).unwrap_or_else(|why| panic!("{allowed}: {why}"));
        Origin::read(origin).is_some_and(|origin| allowed.admits(&origin))
    }

    #[test]
    fn an_entry_is_read_as_a_browser_reads_an_address() {
        for (allowed, origin) in [
            ("https://app.example.com", "https://app.example.com"),
            ("HTTPS://App.Example.com:443", "https://app.example.com"),
            ("http://app.example.com:80", "http://app.example.com"),
            ("https://app.example.com", "https://app.example.com:443"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("https://a_b.example:8443", "https://a_b.example:8443"),
            ("http://[0:0:0::1]:3000", "http://[::1]:3000"),
            ("http://127.1", "http://127.0.0.1"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("app://-", "app://-"),
            ("app://x:80", "app://x:80"),
            ("safari-web-extension://E8D2A7F2-AB", "safari-web-extension://e8d2a7f2-ab"),
        ] {
            assert!(admits(allowed, origin), "{allowed} {origin}");
        }
        for (allowed, origin) in [
            ("https://app.example.com", "http://app.example.com"),
            ("https://app.example.com", "https://app.example.com:80"),
            ("https://app.example.com", "https://app.example.com.evil.example"),
            ("https://app.example.com", "https://app.example.com@evil.example"),
            ("https://app.example.com", "https://app.example.com/"),
            ("capacitor://localhost", "capacitor://localhost:80"),
            ("capacitor://localhost", "ionic://localhost"),
            ("https://app.example.com", "null"),
            ("https://app.example.com", ""),
        ] {
            assert!(!admits(allowed, origin), "{allowed} {origin}");
        }
    }

    #[test]
    fn a_pattern_is_whole_labels_below_a_domain() {
        for origin in ["https://a.example.com", "https://a.b.example.com", "https://A.EXAMPLE.COM:443"] {
            assert!(admits("https://*.example.com", origin), "{origin}");
        }
        for origin in [
            "https://example.com",
            "https://.example.com",
            "https://xexample.com",
            "http://a.example.com",
            "https://a.example.com:1",
            "https://evil.example/.example.com",
            "https://evil.example#.example.com",
            "https://evil.example:1.example.com",
            "https://[::1].example.com",
        ] {
            assert!(!admits("https://*.example.com", origin), "{origin}");
        }
        assert!(admits("https://*.bücher.example", "https://a.xn--bcher-kva.example"));
        assert!(AllowedOrigin::parse("https://app.example.com").unwrap().is_exact());
        assert!(!AllowedOrigin::parse("https://*.example.com").unwrap().is_exact());
    }

    #[test]
    fn what_lets_in_too_many_or_never_matches_is_refused() {
        for (text, why) in [
            ("*", "every page"),
            ("null", "sandboxed"),
            ("https://*.com", "public suffix"),
            ("https://*.co.uk", "public suffix"),
            ("https://*.GitHub.io", "public suffix"),
            ("https://*.com.", "public suffix"),
            ("https://*.xn--p1ai", "public suffix"),
            ("https://*.рф", "public suffix"),
            ("https://*.c%6fm", "public suffix"),
            ("http://*.localhost", "public suffix"),
            ("https://*.internal", "public suffix"),
            ("https://a.*.example.com", "not a pattern"),
            ("https://*", "not a pattern"),
            ("https://*a.example.com", "not a pattern"),
            ("https://*.*.example.com", "not a pattern"),
            ("https://*.127.0.0.1", "a pattern, which"),
            ("app://*.example.com", "a pattern, which"),
            ("wss://app.example.com", "https://"),
            ("https://a.example/", "not an origin"),
            ("https://a.example/x", "not an origin"),
            ("https://user@a.example", "not an origin"),
            ("https://a.example:99999", "not an origin"),
            ("https://", "not an origin"),
            ("file://", "not an origin"),
            ("app.example.com", "not an origin"),
            ("data:text/html", "not an origin"),
            ("blob:https://a.example", "not an origin"),
            ("https://a b.example", "not an origin"),
        ] {
            let said = AllowedOrigin::parse(text).expect_err(text);
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn a_host_is_compared_without_the_port_that_is_left_out() {
        let at = |origin: &str, host: &str| Origin::read(origin).unwrap().is_at(host);
        assert!(at("https://calls.example", "calls.example"));
        assert!(at("https://calls.example", "Calls.Example:443"));
        assert!(at("https://calls.example", "calls.example:"));
        assert!(at("http://calls.example", "calls.example:80"));
        assert!(at("http://[::1]:8080", "[::1]:8080"));
        for (origin, host) in [
            ("https://calls.example", "calls.example:80"),
            ("https://calls.example:8443", "calls.example"),
            ("http://calls.example", "calls.example:443"),
            ("https://calls.example", "other.example"),
            ("https://calls.example", ""),
            ("https://calls.example", "calls.example:x"),
            ("http://[::1]", "[::1]a"),
            ("https://calls.example", "calls.example:+443"),
            ("https://calls.example", "calls.example:443:443"),
        ] {
            assert!(!at(origin, host), "{origin} {host}");
        }
    }
}
