//! One request and the beginning of its answer: connections kept by host, HTTPS before plain HTTP, errors named.

use crate::body::Body;
use crate::connect::{Connector, Failure, Ways};
use crate::endpoint::has_port;
use crate::{Endpoint, Error, Options, Result, Unreachable, tls};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::uri::Scheme;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// hyper reads up to so much at once from a busy connection.
const READ_BUFFER: usize = 1 << 20;
/// Of an error's body no more is read.
const LONGEST_COMPLAINT: u64 = 64 << 10;
/// A host that may speak plain HTTP gets no longer than this for TLS.
const PATIENCE_WITH_TLS: Duration = Duration::from_secs(3);

type Http = legacy::Client<Connector, Body>;

/// What errors name: the thing and who was asked for it.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) what: &'a str,
    pub(crate) registry: &'a str,
}

impl Subject<'_> {
    fn parts(self) -> (String, String) {
        (self.what.to_owned(), self.registry.to_owned())
    }

    pub(crate) fn protocol(self, reason: impl Into<String>) -> Error {
        let (what, registry) = self.parts();
        Error::Protocol { what, registry, reason: reason.into() }
    }

    pub(crate) fn stalled(self, after: Duration) -> Error {
        let (what, registry) = self.parts();
        Error::Stalled { what, registry, after }
    }

    pub(crate) fn interrupted(self, reason: impl Into<String>) -> Error {
        let (what, registry) = self.parts();
        Error::Interrupted { what, registry, reason: reason.into() }
    }

    pub(crate) fn wrong_size(self, expected: u64, found: u64) -> Error {
        let (what, registry) = self.parts();
        Error::WrongSize { what, registry, expected, found }
    }

    pub(crate) fn wrong_digest(self, expected: oci::Digest, found: oci::Digest) -> Error {
        let (what, registry) = self.parts();
        Error::WrongDigest { what, registry, expected, found }
    }

    pub(crate) fn not_a_registry(self, reason: impl Into<String>) -> Error {
        let (what, registry) = self.parts();
        Error::NotARegistry { what, registry, reason: reason.into() }
    }

    fn unreachable(self, kind: Unreachable, reason: String) -> Error {
        let (what, registry) = self.parts();
        Error::Unreachable { what, registry, kind, reason }
    }
}

/// A request without its host.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// How long the answer's beginning may take.
    pub(crate) limit: Duration,
}

/// The connections of one client.
pub(crate) struct Transport {
    ways: Arc<Ways>,
    agent: HeaderValue,
    /// For hosts without files of their own, by whether certificates are checked.
    shared: Mutex<HashMap<bool, Http>>,
    /// What each host uses, by the same.
    hosts: Mutex<HashMap<(String, bool), Http>>,
    /// Which scheme worked for which host.
    schemes: Mutex<HashMap<String, Scheme>>,
}

impl Transport {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let agent = if options.user_agent.is_empty() { "jettison" } else { &options.user_agent };
        let agent = HeaderValue::from_str(agent).map_err(|_| Error::Setting {
            what: "the user agent".to_owned(),
            reason: "it has characters that no header may have".to_owned(),
        })?;
        Ok(Self {
            ways: Arc::new(Ways::new(&options.proxies)?),
            agent,
            shared: Mutex::default(),
            hosts: Mutex::default(),
            schemes: Mutex::default(),
        })
    }

    fn http(&self, options: &Options, host: &str, verify: bool) -> Result<Http> {
        let key = (host.to_owned(), verify);
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = hosts.get(&key) {
            return Ok(http.clone());
        }
        let http = match tls::host_files(&options.certs_dirs, host)? {
            Some(files) => self.make(options, Some(&files), verify)?,
            None => {
                let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
                match shared.get(&verify) {
                    Some(http) => http.clone(),
                    None => {
                        let http = self.make(options, None, verify)?;
                        shared.insert(verify, http.clone());
                        http
                    }
                }
            }
        };
        hosts.insert(key, http.clone());
        Ok(http)
    }

    fn make(&self, options: &Options, files: Option<&tls::HostFiles>, verify: bool) -> Result<Http> {
        let limit = options.timeouts.connect;
        let connector = Connector {
            ways: self.ways.clone(),
            tls: Arc::new(tls::config(options, files, verify)?),
            limit,
            tls_limit: if verify { limit } else { limit.min(PATIENCE_WITH_TLS) },
        };
        Ok(legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .http1_max_buf_size(READ_BUFFER)
            .build(connector))
    }

    /// Sends to the endpoint's host by the schemes that it allows; `path` begins with a slash. Gives the URL that
    /// answered, too.
    pub(crate) async fn ask(
        &self,
        options: &Options,
        endpoint: &Endpoint,
        path: &str,
        ask: Ask,
        subject: Subject<'_>,
    ) -> Result<(Response<Incoming>, Uri)> {
        let known = self.schemes.lock().unwrap_or_else(PoisonError::into_inner).get(&endpoint.host).cloned();
        let schemes = match known {
            Some(_) if endpoint.plain_http => vec![Scheme::HTTP],
            Some(scheme) => vec![scheme],
            None if endpoint.plain_http => vec![Scheme::HTTP],
            None if endpoint.insecure => vec![Scheme::HTTPS, Scheme::HTTP],
            None => vec![Scheme::HTTPS],
        };
        let mut first_failure = None;
        let mut ask = Some(ask);
        for scheme in schemes {
            let Some(now) = ask.take() else { break };
            ask = now.body.again().map(|body| Ask {
                method: now.method.clone(),
                headers: now.headers.clone(),
                body,
                limit: now.limit,
            });
            let uri = format!("{scheme}://{}{path}", endpoint.host)
                .parse::<Uri>()
                .map_err(|error| subject.protocol(format!("`{}{path}` is no URL: {error}", endpoint.host)))?;
            match self.send(options, &uri, !endpoint.insecure, now, subject).await {
                Ok(response) => {
                    let mut known = self.schemes.lock().unwrap_or_else(PoisonError::into_inner);
                    known.entry(endpoint.host.clone()).or_insert(scheme);
                    return Ok((response, uri));
                }
                Err(error @ Error::Unreachable { kind, .. }) => {
                    first_failure.get_or_insert(error);
                    // Where nobody answers on a named port, nobody answers there for the other scheme.
                    if kind == Unreachable::Connection && has_port(&endpoint.host) {
                        break;
                    }
                }
                // A port for TLS answers plain HTTP by closing: then HTTPS's error is the telling one.
                Err(error @ Error::Interrupted { .. }) => {
                    let is_plain = |error: &Error| {
                        matches!(error, Error::Unreachable { kind: Unreachable::PlainHttp, .. })
                    };
                    return Err(first_failure.filter(|first| !is_plain(first)).unwrap_or(error));
                }
                Err(error) => return Err(error),
            }
        }
        Err(first_failure.expect("because every endpoint has a scheme and a body for its first try"))
    }

    /// Sends to one URL and waits for the beginning of the answer.
    pub(crate) async fn send(
        &self,
        options: &Options,
        uri: &Uri,
        verify: bool,
        ask: Ask,
        subject: Subject<'_>,
    ) -> Result<Response<Incoming>> {
        let Some(authority) = uri.authority() else {
            return Err(subject.protocol(format!("`{uri}` has no host")));
        };
        let http = self.http(options, authority.as_str(), verify)?;
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
            Err(_) => Err(subject.stalled(ask.limit)),
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(classify(&error, subject)),
        }
    }
}

/// The kind of a failed request, found in the chain of its causes.
fn classify(error: &legacy::Error, subject: Subject<'_>) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut deepest = error.to_string();
    while let Some(now) = cause {
        if let Some(failure) = now.downcast_ref::<Failure>() {
            return subject.unreachable(failure.kind, failure.reason.clone());
        }
        if let Some(tls) = now.downcast_ref::<rustls::Error>() {
            return subject.unreachable(tls_kind(tls), tls_words(tls));
        }
        deepest = now.to_string();
        // An io::Error shows its inner error's causes, not the inner error itself.
        cause = match now.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => now.source(),
        };
    }
    if error.is_connect() {
        return subject.unreachable(Unreachable::Tls, format!("the TLS handshake failed: {deepest}"));
    }
    subject.interrupted(deepest)
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

/// The answer's body, whole, up to `limit` bytes; nothing where it is longer.
pub(crate) async fn whole(
    body: Incoming,
    limit: u64,
    stall: Duration,
    subject: Subject<'_>,
) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let mut body = body;
    loop {
        match tokio::time::timeout(stall, body.frame()).await {
            Err(_) => return Err(subject.stalled(stall)),
            Ok(None) => return Ok(Some(bytes)),
            Ok(Some(Err(error))) => return Err(subject.interrupted(words(&error))),
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
pub(crate) fn words(error: &(dyn std::error::Error + 'static)) -> String {
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
pub(crate) fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A number in a header.
pub(crate) fn number(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The error that an answer with a status of failure stands for. `user`: whose credentials were sent.
pub(crate) async fn complaint(
    response: Response<Incoming>,
    user: Option<String>,
    stall: Duration,
    subject: Subject<'_>,
) -> Error {
    let status = response.status();
    let retry_after = number(response.headers(), header::RETRY_AFTER).map(Duration::from_secs);
    let is_html = content_type(response.headers()) == "text/html";
    let is_registry = response.headers().contains_key("docker-distribution-api-version");
    let body = whole(response.into_body(), LONGEST_COMPLAINT, stall, subject).await;
    let message = body.ok().flatten().map(|body| complaint_words(&body, is_html)).unwrap_or_default();
    let (what, registry) = subject.parts();
    match status {
        StatusCode::NOT_FOUND if is_html && !is_registry => {
            subject.not_a_registry("it sends a web page (404 Not Found)")
        }
        StatusCode::NOT_FOUND => Error::NotFound { what, registry, message },
        StatusCode::UNAUTHORIZED => Error::Unauthorized { what, registry, user, message },
        StatusCode::FORBIDDEN => Error::Denied { what, registry, message },
        StatusCode::TOO_MANY_REQUESTS => Error::TooManyRequests { what, registry, retry_after, message },
        other => Error::Server { what, registry, status: other.as_u16(), retry_after, message },
    }
}

/// The messages of an errors document (distribution-spec, Error Codes), else the body's first line.
fn complaint_words(body: &[u8], is_html: bool) -> String {
    #[derive(serde::Deserialize)]
    struct Errors {
        #[serde(default)]
        errors: Vec<One>,
        #[serde(default)]
        details: String,
        #[serde(default)]
        message: String,
    }
    #[derive(serde::Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let text = match serde_json::from_slice::<Errors>(body) {
        Ok(errors) if !errors.errors.is_empty() => {
            let said: Vec<String> = errors
                .errors
                .into_iter()
                .take(5)
                .map(|one| if one.message.is_empty() { one.code.to_lowercase() } else { one.message })
                .collect();
            said.join("; ")
        }
        // Token servers answer in this shape.
        Ok(errors) if !errors.details.is_empty() => errors.details,
        Ok(errors) => errors.message,
        Err(_) if is_html => String::new(),
        Err(_) => String::from_utf8_lossy(body).lines().next().unwrap_or_default().trim().to_owned(),
    };
    // It is shown on a terminal: no control characters, and not a page of it.
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrys_own_words_are_kept_short_and_clean() {
        let said = |body: &str| complaint_words(body.as_bytes(), false);
        assert_eq!(
            said(r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"},{"code":"X"}]}"#),
            "manifest unknown; x"
        );
        assert_eq!(said(r#"{"details":"incorrect username or password"}"#), "incorrect username or password");
        assert_eq!(said("busy\x1b[31m\nsecond line"), "busy[31m");
        assert_eq!(said(&"a".repeat(1000)).len(), 300);
        assert_eq!(complaint_words(b"<html>", true), "");
    }
}
