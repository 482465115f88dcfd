//! Connections: names to addresses, addresses raced, proxies, then TLS.

use crate::host::{host_name, is_loopback, network_holds};
use crate::url::decoded;
use crate::{Failure, Proxies, Unreachable};
use base64::Engine as _;
use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use std::future::{Future, Ready, ready};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tower_service::Service;

/// The next address is tried beside the first when that has not answered for so long (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);
/// A proxy's answer to CONNECT is not longer.
const LONGEST_ANSWER: usize = 16 << 10;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct NoConnection {
    pub(crate) kind: Unreachable,
    pub(crate) reason: String,
}

impl NoConnection {
    fn new(kind: Unreachable, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }
}

/// A proxy, taken apart once.
#[derive(Clone, Debug)]
struct Proxy {
    host: String,
    port: u16,
    /// The value of `Proxy-Authorization`.
    authorization: Option<String>,
}

impl Proxy {
    fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |reason: &str| Failure::Setting {
            what: format!("the proxy `{}`", without_password(text)),
            reason: reason.to_owned(),
        };
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some((_, _)) => {
                return Err(wrong("only proxies that speak HTTP (`http://host:port`) are supported"));
            }
            None => text,
        };
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        let authority: hyper::http::uri::Authority =
            place.parse().map_err(|_| wrong("its host is not a name or an address"))?;
        let authorization = user
            .map(|user| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(decoded(user))));
        Ok(Self {
            host: host_name(authority.as_str()).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authorization,
        })
    }
}

fn without_password(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, place)) => format!("…@{place}"),
        None => url.to_owned(),
    }
}

/// Which proxy serves which address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ways {
    http: Option<Proxy>,
    https: Option<Proxy>,
    none: Vec<String>,
}

impl Ways {
    pub(crate) fn new(proxies: &Proxies) -> Result<Self, Failure> {
        let parse =
            |url: &Option<String>| url.as_deref().filter(|url| !url.is_empty()).map(Proxy::parse).transpose();
        Ok(Self {
            http: parse(&proxies.http)?,
            https: parse(&proxies.https)?,
            none: proxies
                .none
                .split(',')
                .map(|part| part.trim().to_ascii_lowercase())
                .filter(|part| !part.is_empty())
                .collect(),
        })
    }

    fn proxy(&self, uri: &Uri) -> Option<&Proxy> {
        let proxy = if uri.scheme_str() == Some("https") { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !self.is_direct(uri))
    }

    /// What a plain HTTP request to `uri` must carry for its proxy.
    pub(crate) fn authorization(&self, uri: &Uri) -> Option<&str> {
        if uri.scheme_str() == Some("https") {
            return None;
        }
        self.proxy(uri).and_then(|proxy| proxy.authorization.as_deref())
    }

    fn is_direct(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        if is_loopback(&host) {
            return true;
        }
        let name = host_name(&host);
        let address = name.parse::<IpAddr>().ok();
        self.none.iter().any(|entry| {
            if entry == "*" {
                return true;
            }
            if let Some(address) = address {
                return network_holds(entry, address).unwrap_or_else(|| host_name(entry) == name);
            }
            let (entry, port) = entry.split_once(':').map_or((entry.as_str(), None), |(e, p)| (e, Some(p)));
            let domain = entry.trim_start_matches("*.").trim_start_matches('.');
            port.is_none_or(|port| port.parse().ok() == uri.port_u16())
                && (name == domain || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')))
        })
    }
}

impl Ways {
    /// A TCP connection for a URL, through its proxy where there is one.
    async fn open(&self, uri: &Uri) -> Result<Stream, NoConnection> {
        let tls = uri.scheme_str() == Some("https");
        let host = uri.host().map(host_name).unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let Some(proxy) = self.proxy(uri) else {
            return Ok(Stream { io: TokioIo::new(dial(host, port).await?), proxied: false });
        };
        let via = |failure: NoConnection| {
            let reason = format!("the proxy {}:{}: {}", proxy.host, proxy.port, failure.reason);
            NoConnection::new(Unreachable::Proxy, reason)
        };
        let mut tcp = dial(&proxy.host, proxy.port).await.map_err(via)?;
        if tls {
            let place = format!("{}:{port}", uri.host().unwrap_or_default());
            tunnel(&mut tcp, &place, proxy.authorization.as_deref()).await.map_err(via)?;
        }
        Ok(Stream { io: TokioIo::new(tcp), proxied: !tls })
    }
}

/// The first of the name's addresses that takes a connection.
async fn dial(host: &str, port: u16) -> Result<TcpStream, NoConnection> {
    let unnamed = |reason: String| {
        NoConnection::new(Unreachable::Name, format!("the name `{host}` has no address ({reason})"))
    };
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) => vec![(address, port).into()],
        // Whatever the system's resolver thinks of it (RFC 6761, 6.3).
        Err(_) if is_loopback(host) => {
            vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
        }
        Err(_) => {
            tokio::net::lookup_host((host, port)).await.map_err(|error| unnamed(error.to_string()))?.collect()
        }
    };
    // Address families take turns, in the system's order.
    let (sixes, fours): (Vec<SocketAddr>, Vec<SocketAddr>) = addresses.iter().partition(|a| a.is_ipv6());
    let (first, second) =
        if addresses.first().is_some_and(SocketAddr::is_ipv6) { (sixes, fours) } else { (fours, sixes) };
    let mut waiting: Vec<SocketAddr> = Vec::with_capacity(addresses.len());
    for at in 0..first.len().max(second.len()) {
        waiting.extend(first.get(at));
        waiting.extend(second.get(at));
    }
    let mut waiting = waiting.into_iter();
    let mut running = JoinSet::new();
    let mut failed: Option<String> = None;
    loop {
        if let Some(address) = waiting.next() {
            running.spawn(async move { (address, TcpStream::connect(address).await) });
        }
        let more = waiting.len() > 0;
        tokio::select! {
            done = running.join_next() => match done {
                None => {
                    return Err(match failed {
                        Some(reason) => NoConnection::new(Unreachable::Connection, reason),
                        None => unnamed("the answer is empty".to_owned()),
                    });
                }
                Some(Ok((_, Ok(tcp)))) => {
                    // Small requests must not wait for the acknowledgement of the last one.
                    let _ = tcp.set_nodelay(true);
                    return Ok(tcp);
                }
                Some(Ok((address, Err(error)))) => {
                    failed.get_or_insert_with(|| format!("{address}: {error}"));
                }
                Some(Err(_)) => {}
            },
            () = tokio::time::sleep(STAGGER), if more => {}
        }
    }
}

/// Asks a proxy for a tunnel (RFC 9110, 9.3.6).
async fn tunnel(tcp: &mut TcpStream, place: &str, authorization: Option<&str>) -> Result<(), NoConnection> {
    let mut request = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n");
    if let Some(value) = authorization {
        request.push_str(&format!("Proxy-Authorization: {value}\r\n"));
    }
    request.push_str("\r\n");
    let broken = |error: io::Error| NoConnection::new(Unreachable::Proxy, error.to_string());
    tcp.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut answer = Vec::new();
    // Byte by byte: what follows the empty line belongs to the tunnel.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == LONGEST_ANSWER {
            return Err(NoConnection::new(Unreachable::Proxy, "its answer has no end"));
        }
        answer.push(tcp.read_u8().await.map_err(broken)?);
    }
    let line = String::from_utf8_lossy(answer.split(|b| *b == b'\r').next().unwrap_or_default()).into_owned();
    match line.split(' ').nth(1) {
        Some(status) if status.starts_with('2') => Ok(()),
        _ => Err(NoConnection::new(Unreachable::Proxy, format!("it refuses a tunnel to {place}: `{line}`"))),
    }
}

/// A TCP connection to the server or to a proxy.
pub(crate) struct Stream {
    io: TokioIo<TcpStream>,
    /// Whether requests need the whole URL in their first line.
    proxied: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.proxied)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

/// TCP, then TLS where the URL says so, each within its limit of time.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) ways: Arc<Ways>,
    pub(crate) tls: Arc<ClientConfig>,
    /// For name, addresses and proxy.
    pub(crate) limit: Duration,
    /// For TLS.
    pub(crate) tls_limit: Duration,
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Stream>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { ways, tls, limit, tls_limit } = self.clone();
        let late = |kind, limit: Duration, what| {
            NoConnection::new(kind, format!("no {what} within {} s", limit.as_secs_f32()))
        };
        Box::pin(async move {
            let Ok(opened) = tokio::time::timeout(limit, ways.open(&uri)).await else {
                return Err(late(Unreachable::Connection, limit, "connection").into());
            };
            let mut connector = HttpsConnector::from((Opened(Some(opened?)), tls));
            match tokio::time::timeout(tls_limit, connector.call(uri)).await {
                Ok(done) => done,
                Err(_) => Err(late(Unreachable::Tls, tls_limit, "TLS session").into()),
            }
        })
    }
}

/// Gives hyper-rustls the connection that is there already.
struct Opened(Option<Stream>);

impl Service<Uri> for Opened {
    type Response = Stream;
    type Error = NoConnection;
    type Future = Ready<Result<Stream, NoConnection>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoConnection>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| NoConnection::new(Unreachable::Connection, "it was used already")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_taken_apart() {
        let proxy = Proxy::parse("http://me:p%40ss@proxy.corp:3128/").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.corp", 3128));
        assert_eq!(proxy.authorization.as_deref(), Some("Basic bWU6cEBzcw=="));
        assert_eq!(Proxy::parse("proxy").unwrap().port, 80);
        let error = Proxy::parse("socks5://me:secret@p").unwrap_err().to_string();
        assert!(error.contains("only proxies that speak HTTP") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn no_proxy_names_hosts_domains_and_networks() {
        let ways = Ways::new(&Proxies {
            http: None,
            https: Some("http://p:1".into()),
            none: "direct.org, .corp,10.0.0.0/8,ported.org:5000".into(),
        })
        .unwrap();
        let proxied = |uri: &str| ways.proxy(&uri.parse().unwrap()).is_some();
        for uri in [
            "https://direct.org/",
            "https://a.direct.org",
            "https://x.corp",
            "https://10.2.3.4",
            "https://localhost",
            "https://127.0.0.1:5000",
            "https://[::1]:5000",
            "https://ported.org:5000",
            "http://any.org",
        ] {
            assert!(!proxied(uri), "{uri}");
        }
        for uri in
            ["https://notdirect.org", "https://11.2.3.4", "https://ported.org:5001", "https://corp.org"]
        {
            assert!(proxied(uri), "{uri}");
        }
    }
}
