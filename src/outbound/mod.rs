//! The one client for every address that the service itself opens.
//!
//! A name in a setting leads wherever its DNS says at that moment: perhaps to this machine, to a neighbour's database, or
//! to a cloud's credentials. So each connection is judged by the address it goes to. Public addresses are opened by https,
//! addresses in `outbound.allowed` by https and http, others not at all. Redirections are not followed, and each request has
//! a deadline and a size limit. Proxies of the environment are not used: a proxy resolves the name where nobody judges it.

pub mod networks;

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
pub use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};

/// How long it may take to connect, over all addresses of a name.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// An address may not be opened, by the rules of this module. Reads after the host: `10.0.0.5 is a private address, …`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not public.
    #[error("is {}{kind} address, and outbound.allowed does not have it", Resolved(.address))]
    Special {
        /// The address; `None` where it is the host itself.
        address: Option<IpAddr>,
        /// Its kind, with an article.
        kind: &'static str,
    },
    /// It is public, and plain http would let anybody on the way answer.
    #[error("is {}a public address, and http goes only to addresses in outbound.allowed: use https", Resolved(.address))]
    Plain {
        /// The address; `None` where it is the host itself.
        address: Option<IpAddr>,
    },
}

/// `10.0.0.5, ` where the host is a name.
struct Resolved<'a>(&'a Option<IpAddr>);

impl fmt::Display for Resolved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |address| write!(f, "{address}, "))
    }
}

/// Why there is no usable answer. Reads after the host.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// The address may not be opened.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// There was no connection, or it broke. Says what the network reported.
    #[error("cannot be reached: {0}")]
    Unreached(String),
    /// The deadline passed.
    #[error("did not answer within {0:?}")]
    Slow(Duration),
    /// The answer is a redirection.
    #[error("answers {0}, which points to another address and is not followed")]
    Redirection(StatusCode),
    /// The answer is no success.
    #[error("answers {0}")]
    Status(StatusCode),
    /// The body is larger than so many bytes.
    #[error("answers with more than {0} bytes")]
    TooLarge(usize),
}

/// A request without a usable answer. Its text has no full stop, and neither the path nor the credentials of the address.
#[derive(Debug, thiserror::Error)]
#[error("{host} {why}")]
pub struct Failure {
    /// The host that was to be asked.
    pub host: String,
    /// The reason.
    pub why: Why,
}

/// Opens addresses. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    secure: (reqwest::Client, Gate),
    plain: (reqwest::Client, Gate),
}

impl Client {
    /// A client that may also open addresses in these networks. The error is a sentence.
    pub fn new(allowed: &[IpNet]) -> Result<Self, String> {
        let allowed: Arc<[IpNet]> = allowed.into();
        let with = |plain: bool| {
            let gate = Gate { allowed: Arc::clone(&allowed), plain };
            let builder = reqwest::Client::builder()
                .no_proxy()
                .redirect(Policy::none())
                .referer(false)
                .connect_timeout(CONNECT_WITHIN)
                .dns_resolver(gate.clone());
            // Without TLS no certificates are needed.
            let builder = if plain { builder.tls_certs_only([]) } else { builder.https_only(true) };
            let client =
                builder.build().map_err(|error| format!("The client for addresses cannot be made: {error}."))?;
            Ok::<_, String>((client, gate))
        };
        // A resolver does not know the scheme, so each scheme has a client.
        Ok(Self { secure: with(false)?, plain: with(true)? })
    }

    /// Fetches the body of a successful answer, of at most `most` bytes, within the deadline.
    pub async fn get(&self, url: &Url, within: Duration, most: usize) -> Result<Vec<u8>, Failure> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let answer = tokio::time::timeout(within, self.answer(url, host, most)).await;
        answer.unwrap_or(Err(Why::Slow(within))).map_err(|why| Failure { host: host.to_owned(), why })
    }

    async fn answer(&self, url: &Url, host: &str, most: usize) -> Result<Vec<u8>, Why> {
        let (client, gate) = if url.scheme() == "https" { &self.secure } else { &self.plain };
        // A host that is an address does not pass through the resolver.
        if let Ok(address) = host.parse() {
            gate.judge(address)?;
        }
        let response = client.get(url.clone()).send().await.map_err(failed)?;
        match response.status() {
            status if status.is_redirection() => Err(Why::Redirection(status)),
            status if !status.is_success() => Err(Why::Status(status)),
            _ => body(response, most).await,
        }
    }
}

async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, Why> {
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(Why::TooLarge(most));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > most {
            return Err(Why::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Finds a refusal of ours among the causes of an error; of any other error it lists the causes.
fn failed(error: reqwest::Error) -> Why {
    let error = error.without_url();
    let causes: Vec<&(dyn Error + 'static)> =
        std::iter::successors(error.source(), |cause| (*cause).source()).collect();
    if let Some(refused) = causes.iter().find_map(|cause| cause.downcast_ref::<Refused>()) {
        return refused.clone().into();
    }
    // The error itself only says that the request failed.
    let causes: Vec<String> = causes.iter().map(ToString::to_string).collect();
    Why::Unreached(if causes.is_empty() { error.to_string() } else { causes.join(": ") })
}

/// Judges addresses. As the resolver of a client it sees those of each new connection.
#[derive(Debug, Clone)]
struct Gate {
    allowed: Arc<[IpNet]>,
    plain: bool,
}

impl Gate {
    /// Judges an address that is a host itself.
    fn judge(&self, address: IpAddr) -> Result<(), Refused> {
        if networks::contains(&self.allowed, address) {
            return Ok(());
        }
        match networks::special(address) {
            Some(kind) => Err(Refused::Special { address: None, kind }),
            None if self.plain => Err(Refused::Plain { address: None }),
            None => Ok(()),
        }
    }

    /// Of the addresses of a name, those that may be opened. Refuses where there are some and none may.
    fn open(&self, addresses: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
        let (mut open, mut refused) = (Vec::new(), None);
        for socket in addresses {
            let address = Some(socket.ip());
            match self.judge(socket.ip()) {
                Ok(()) => open.push(socket),
                Err(Refused::Special { kind, .. }) => refused = Some(Refused::Special { address, kind }),
                Err(Refused::Plain { .. }) => refused = Some(Refused::Plain { address }),
            }
        }
        match refused {
            Some(why) if open.is_empty() => Err(why),
            Some(_) | None => Ok(open),
        }
    }
}

impl Resolve for Gate {
    fn resolve(&self, name: Name) -> Resolving {
        let gate = self.clone();
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(gate.open(addresses)?.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(allowed: &[&str]) -> Client {
        let allowed: Vec<IpNet> = allowed.iter().map(|net| net.parse().unwrap()).collect();
        Client::new(&allowed).unwrap()
    }

    async fn refusal(client: &Client, url: &str) -> String {
        match client.get(&url.parse().unwrap(), Duration::from_secs(5), 100).await {
            Err(failure) if matches!(failure.why, Why::Refused(_)) => failure.to_string(),
            other => panic!("{url}: {other:?}"),
        }
    }

    #[tokio::test]
    async fn an_address_in_any_spelling_is_judged_before_it_is_opened() {
        let client = client(&[]);
        for url in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1:8443/",
            "https://127.0.0.1./",
            "https://user:pw@127.0.0.1/",
            "https://１２７.0.0.1/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[64:ff9b::127.0.0.1]/",
            "https://[::1]/",
            "https://localhost/",
            "https://LOCALHOST/",
        ] {
            let said = refusal(&client, url).await;
            assert!(said.ends_with("a loopback address, and outbound.allowed does not have it"), "{url}: {said}");
            assert!(!said.contains("pw"), "{said}");
        }
        let said = refusal(&client, "http://10.0.0.5/").await;
        assert_eq!(said, "10.0.0.5 is a private address, and outbound.allowed does not have it");
        assert!(refusal(&client, "https://localhost/").await.starts_with("localhost is "));
    }

    #[tokio::test]
    async fn plain_http_goes_only_where_it_is_allowed() {
        let said = refusal(&client(&["10.0.0.0/8"]), "http://1.1.1.1/").await;
        let sentence = "1.1.1.1 is a public address, and http goes only to addresses in outbound.allowed: use https";
        assert_eq!(said, sentence);
        let gate = |plain, allowed: &str| Gate { allowed: [allowed.parse().unwrap()].into(), plain };
        let public: IpAddr = [1, 1, 1, 1].into();
        assert_eq!(gate(false, "10.0.0.0/8").judge(public), Ok(()));
        assert_eq!(gate(true, "1.1.1.0/24").judge(public), Ok(()));
    }

    #[test]
    fn of_a_name_that_leads_here_and_there_only_there_is_opened() {
        let gate = Gate { allowed: Arc::new([]), plain: false };
        let [here, there]: [SocketAddr; 2] = ["10.0.0.5:0", "[2606:4700::1]:0"].map(|address| address.parse().unwrap());
        assert_eq!(gate.open([here, there].into_iter()), Ok(vec![there]));
        assert_eq!(gate.open([].into_iter()), Ok(vec![]));
        let why = gate.open([here].into_iter()).unwrap_err().to_string();
        assert_eq!(why, "is 10.0.0.5, a private address, and outbound.allowed does not have it");
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_says_so() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = format!("http://{free}/secret-path").parse().unwrap();
        let failure = client(&["127.0.0.0/8"]).get(&url, Duration::from_secs(5), 100).await.unwrap_err();
        let said = failure.to_string();
        assert!(said.starts_with("127.0.0.1 cannot be reached: ") && said.contains("refused"), "{said}");
        assert!(!said.contains("secret-path"), "{said}");
    }
}
