//! The one client for every address the service itself opens.
//!
//! Such addresses come from settings and tokens' issuers, and what they lead to is whatever the network says at that
//! moment: a name may resolve to this machine, a neighbour's database or a cloud's credentials, and an answer may point
//! there. So each connection is judged by the address it goes to: the internet's by https, and the networks of
//! `outbound.allowed` as one likes. Answers that point elsewhere are not followed, and everything has a deadline and a
//! size. No proxy of the environment is asked: it would choose the address, and nobody could judge it.

pub mod networks;

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
pub use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};

/// How long a connection may take to be made, to all addresses of a name together.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Why an address may not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is none of the internet's.
    #[error("{} {kind} address, and outbound.allowed does not have it", is(.host, .address))]
    Special {
        /// As it is written in the address.
        host: String,
        /// What it resolves to.
        address: IpAddr,
        /// Which kind, with its article.
        kind: &'static str,
    },
    /// Who is asked by http may be anybody on the way.
    #[error(
        "{host} is to be asked by plain http, which goes only to addresses that outbound.allowed has, and {address} is none; use https"
    )]
    Plain {
        /// As it is written in the address.
        host: String,
        /// What it resolves to.
        address: IpAddr,
    },
}

/// "keys.example is 10.0.0.5,", or "10.0.0.5 is" where that is the host.
fn is(host: &str, address: &IpAddr) -> String {
    if host == address.to_string() { format!("{host} is") } else { format!("{host} is {address},") }
}

/// Why there is no answer, or none that counts. Sentences without their ends, and without the path and the credentials of
/// what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It may not be opened.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No connection, or one that broke.
    #[error("{host} cannot be reached: {why}")]
    Unreached {
        /// Who was asked.
        host: String,
        /// What the network says.
        why: String,
    },
    /// It took too long.
    #[error("{host} did not answer within {within:?}")]
    Slow {
        /// Who was asked.
        host: String,
        /// How long was waited.
        within: Duration,
    },
    /// It points elsewhere.
    #[error("{host} answers {status}, which points to another address and is not followed")]
    Elsewhere {
        /// Who was asked.
        host: String,
        /// How it says so.
        status: StatusCode,
    },
    /// It says no.
    #[error("{host} answers {status}")]
    Status {
        /// Who was asked.
        host: String,
        /// How it says so.
        status: StatusCode,
    },
    /// It is larger than it may be.
    #[error("{host} answers with more than {most} bytes")]
    TooLarge {
        /// Who was asked.
        host: String,
        /// What was expected at most.
        most: usize,
    },
}

/// Opens addresses. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    secure: (reqwest::Client, Gate),
    plain: (reqwest::Client, Gate),
}

impl Client {
    /// A client that may open addresses in these networks, besides the internet's. The error is a sentence.
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
            // One that never speaks TLS needs no certificates.
            let builder = if plain { builder.tls_certs_only([]) } else { builder.https_only(true) };
            let client =
                builder.build().map_err(|error| format!("The client for addresses cannot be made: {error}."))?;
            Ok::<_, String>((client, gate))
        };
        Ok(Self { secure: with(false)?, plain: with(true)? })
    }

    /// What stands at an address: the body of a success, of at most `most` bytes, all of it within `within`.
    pub async fn get(&self, url: &Url, within: Duration, most: usize) -> Result<Vec<u8>, Failure> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let (client, gate) = if url.scheme() == "https" { &self.secure } else { &self.plain };
        // A host that is an address is not resolved, so nobody else looks at it.
        if let Ok(address) = host.parse() {
            gate.judge(&host, address)?;
        }
        let answer = async {
            let response = client.get(url.clone()).send().await.map_err(|error| failed(&host, error))?;
            let status = response.status();
            if status.is_redirection() {
                return Err(Failure::Elsewhere { host: host.clone(), status });
            }
            if !status.is_success() {
                return Err(Failure::Status { host: host.clone(), status });
            }
            body(&host, response, most).await
        };
        let late = || Failure::Slow { host: host.clone(), within };
        tokio::time::timeout(within, answer).await.unwrap_or_else(|_| Err(late()))
    }
}

async fn body(host: &str, mut response: Response, most: usize) -> Result<Vec<u8>, Failure> {
    let too_large = || Failure::TooLarge { host: host.to_owned(), most };
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(host, error))? {
        if body.len() + chunk.len() > most {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Finds a refusal of ours among the causes; of others, what they say, from the second on: the first says that it failed.
fn failed(host: &str, error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let causes: Vec<&(dyn Error + 'static)> =
        std::iter::successors(error.source(), |cause| (*cause).source()).collect();
    if let Some(refused) = causes.iter().find_map(|cause| cause.downcast_ref::<Refused>()) {
        return Failure::Refused(refused.clone());
    }
    let said: Vec<String> = causes.iter().map(ToString::to_string).collect();
    let why = if said.is_empty() { error.to_string() } else { said.join(": ") };
    Failure::Unreached { host: host.to_owned(), why }
}

/// Judges addresses, at each connection: it is who resolves names.
#[derive(Debug, Clone)]
struct Gate {
    allowed: Arc<[IpNet]>,
    plain: bool,
}

impl Gate {
    fn judge(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        if networks::contains(&self.allowed, address) {
            return Ok(());
        }
        let host = host.to_owned();
        match networks::special(address) {
            Some(kind) => Err(Refused::Special { host, address, kind }),
            None if self.plain => Err(Refused::Plain { host, address }),
            None => Ok(()),
        }
    }

    /// Of the addresses of a name those that may be opened; why not, where none may.
    fn open(&self, host: &str, addresses: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
        let (mut open, mut refused) = (Vec::new(), None);
        for address in addresses {
            match self.judge(host, address.ip()) {
                Ok(()) => open.push(address),
                Err(why) => refused = Some(why),
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
            Ok(Box::new(gate.open(name.as_str(), addresses)?.into_iter()) as Addrs)
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
            Err(Failure::Refused(refused)) => refused.to_string(),
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
        let sentence = "1.1.1.1 is to be asked by plain http, which goes only to addresses that outbound.allowed has";
        assert!(said.starts_with(sentence), "{said}");
        let gate = |plain, allowed: &str| Gate { allowed: [allowed.parse().unwrap()].into(), plain };
        let public: IpAddr = [1, 1, 1, 1].into();
        assert_eq!(gate(false, "10.0.0.0/8").judge("one.example", public), Ok(()));
        assert_eq!(gate(true, "1.1.1.0/24").judge("one.example", public), Ok(()));
    }

    #[test]
    fn of_a_name_that_leads_here_and_there_only_there_is_opened() {
        let gate = Gate { allowed: Arc::new([]), plain: false };
        let [here, there]: [SocketAddr; 2] = ["10.0.0.5:0", "[2606:4700::1]:0"].map(|address| address.parse().unwrap());
        assert_eq!(gate.open("both.example", [here, there].into_iter()), Ok(vec![there]));
        assert_eq!(gate.open("none.example", [].into_iter()), Ok(vec![]));
        let why = gate.open("here.example", [here].into_iter()).unwrap_err().to_string();
        assert_eq!(why, "here.example is 10.0.0.5, a private address, and outbound.allowed does not have it");
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
