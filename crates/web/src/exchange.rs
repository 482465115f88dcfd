//! One request and the beginning of its answer: connections kept by host, errors told apart.

use crate::body::Body;
use crate::connect::{Connector, NoConnection, Ways};
use crate::{Failure, Settings, Unreachable, tls};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// hyper reads up to so much at once from a busy connection.
const READ_BUFFER: usize = 1 << 20;
/// A host whose certificate is not checked gets no longer than this for TLS: it may speak plain HTTP.
const PATIENCE_WITH_TLS: Duration = Duration::from_secs(3);

type Http = legacy::Client<Connector, Body>;

/// A request without its URL.
pub struct Ask {
    /// The method.
    pub method: Method,
    /// The headers, but for the user agent and the proxy's.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
    /// How long the answer's beginning may take.
    pub limit: Duration,
}

/// The connections of one client.
pub struct Exchanges {
    settings: Settings,
    ways: Arc<Ways>,
    agent: HeaderValue,
    /// For hosts without files of their own, by whether certificates are checked.
    shared: Mutex<HashMap<bool, Http>>,
    /// What each host uses, by the same.
    hosts: Mutex<HashMap<(String, bool), Http>>,
}

impl Exchanges {
    /// No connection is made yet.
    ///
    /// # Errors
    /// [`Failure::Setting`] for a proxy or a user agent that cannot be used.
    pub fn new(settings: Settings) -> Result<Self, Failure> {
        let agent = if settings.user_agent.is_empty() { "jettison" } else { &settings.user_agent };
        let agent = HeaderValue::from_str(agent).map_err(|_| Failure::Setting {
            what: "the user agent".to_owned(),
            reason: "it has characters that no header may have".to_owned(),
        })?;
        let ways = Arc::new(Ways::new(&settings.proxies)?);
        Ok(Self { settings, ways, agent, shared: Mutex::default(), hosts: Mutex::default() })
    }

    /// What it was told.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn http(&self, host: &str, verify: bool) -> Result<Http, Failure> {
        let key = (host.to_owned(), verify);
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = hosts.get(&key) {
            return Ok(http.clone());
        }
        let http = match tls::host_files(&self.settings.certs_dirs, host)? {
            Some(files) => self.make(Some(&files), verify)?,
            None => {
                let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
                match shared.get(&verify) {
                    Some(http) => http.clone(),
                    None => {
                        let http = self.make(None, verify)?;
                        shared.insert(verify, http.clone());
                        http
                    }
                }
            }
        };
        hosts.insert(key, http.clone());
        Ok(http)
    }

    fn make(&self, files: Option<&tls::HostFiles>, verify: bool) -> Result<Http, Failure> {
        let limit = self.settings.timeouts.connect;
        let connector = Connector {
            ways: self.ways.clone(),
            tls: Arc::new(tls::config(&self.settings.extra_authorities, files, verify)?),
            limit,
            tls_limit: if verify { limit } else { limit.min(PATIENCE_WITH_TLS) },
        };
        Ok(legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .http1_max_buf_size(READ_BUFFER)
            .build(connector))
    }

    /// Sends to one URL, which has a host, and waits for the beginning of the answer. `verify`: whether the server's
    /// certificate is checked.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub async fn send(&self, uri: &Uri, verify: bool, ask: Ask) -> Result<Response<Incoming>, Failure> {
        let host = uri.authority().map(hyper::http::uri::Authority::as_str).unwrap_or_default();
        let http = self.http(host, verify)?;
        let mut request = Request::new(ask.body);
        *request.method_mut() = ask.method;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = ask.headers;
        request.headers_mut().insert(header::USER_AGENT, self.agent.clone());
        if let Some(value) = self.ways.authorization(uri).and_then(|value| HeaderValue::from_str(value).ok())
        {
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, value);
        }
        match tokio::time::timeout(ask.limit, http.request(request)).await {
            Err(_) => Err(Failure::Stalled { after: ask.limit }),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(classify(&error)),
        }
    }
}

/// The kind of a failed request, found in the chain of its causes.
fn classify(error: &legacy::Error) -> Failure {
    let unreachable = |kind, reason| Failure::Unreachable { kind, reason };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut deepest = error.to_string();
    while let Some(now) = cause {
        if let Some(failure) = now.downcast_ref::<NoConnection>() {
            return unreachable(failure.kind, failure.reason.clone());
        }
        if let Some(tls) = now.downcast_ref::<rustls::Error>() {
            return unreachable(tls_kind(tls), tls_words(tls));
        }
        deepest = now.to_string();
        // An io::Error shows its inner error's causes, not the inner error itself.
        cause = match now.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => now.source(),
        };
    }
    if error.is_connect() {
        return unreachable(Unreachable::Handshake, format!("the TLS handshake broke off: {deepest}"));
    }
    Failure::Interrupted { reason: deepest }
}

fn tls_kind(error: &rustls::Error) -> Unreachable {
    match error {
        rustls::Error::InvalidMessage(_) => Unreachable::PlainHttp,
        rustls::Error::InvalidCertificate(_) => Unreachable::Certificate,
        _ => Unreachable::Tls,
    }
}

fn tls_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(_) => "what answers there does not speak TLS".to_owned(),
        other => other.to_string(),
    }
}

/// The answer's body, whole, up to `limit` bytes; nothing where it is longer. `stall`: how long the next bytes may
/// take.
///
/// # Errors
/// [`Failure::Stalled`], [`Failure::Interrupted`].
pub async fn whole(body: Incoming, limit: u64, stall: Duration) -> Result<Option<Vec<u8>>, Failure> {
    let mut bytes = Vec::new();
    let mut body = body;
    loop {
        match tokio::time::timeout(stall, body.frame()).await {
            Err(_) => return Err(Failure::Stalled { after: stall }),
            Ok(None) => return Ok(Some(bytes)),
            Ok(Some(Err(error))) => return Err(Failure::Interrupted { reason: words(&error) }),
            Ok(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    if (bytes.len() + data.len()) as u64 > limit {
                        return Ok(None);
                    }
                    bytes.extend_from_slice(data);
                }
            }
        }
    }
}

/// An error with its causes in one line.
pub fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(now) = cause {
        let more = now.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = now.source();
    }
    text
}

/// `Content-Type` without its parameters, in lower case.
#[must_use]
pub fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A number in a header.
pub fn number(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}
