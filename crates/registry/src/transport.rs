//! One request and the beginning of its answer: connections kept by host, HTTPS before plain HTTP, errors named.

use crate::{Endpoint, Error, Options, Result, Unreachable};
use hyper::body::Incoming;
use hyper::header;
use hyper::http::uri::Scheme;
use hyper::{Response, StatusCode, Uri};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use web::exchange::{content_type, number};
use web::host::has_port;
use web::{Ask, Exchanges, Failure, exchange};

/// Of an error's body no more is read.
const LONGEST_COMPLAINT: u64 = 64 << 10;

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

    fn failure(self, failure: Failure) -> Error {
        let (what, registry) = self.parts();
        match failure {
            Failure::Unreachable { kind, reason } => Error::Unreachable { what, registry, kind, reason },
            Failure::Interrupted { reason } => Error::Interrupted { what, registry, reason },
            Failure::Stalled { after } => Error::Stalled { what, registry, after },
            Failure::Setting { what, reason } => Error::Setting { what, reason },
            other => self.protocol(other.to_string()),
        }
    }
}

/// The connections of one client.
pub(crate) struct Transport {
    exchanges: Exchanges,
    /// Which scheme worked for which host.
    schemes: Mutex<HashMap<String, Scheme>>,
}

impl Transport {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let exchanges = Exchanges::new(options.web()).map_err(|failure| match failure {
            Failure::Setting { what, reason } => Error::Setting { what, reason },
            other => Error::Setting { what: "the network".to_owned(), reason: other.to_string() },
        })?;
        Ok(Self { exchanges, schemes: Mutex::default() })
    }

    /// Sends to the endpoint's host by the schemes that it allows; `path` begins with a slash. Gives the URL that
    /// answered, too.
    pub(crate) async fn ask(
        &self,
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
            match self.send(&uri, !endpoint.insecure, now, subject).await {
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
                // A port for TLS answers plain HTTP by closing: then HTTPS's error is the telling one, unless that says
                // no more than that.
                Err(error @ Error::Interrupted { .. }) => {
                    let tells_nothing = |error: &Error| {
                        use Unreachable::{Handshake, PlainHttp};
                        matches!(error, Error::Unreachable { kind: PlainHttp | Handshake, .. })
                    };
                    return Err(first_failure.filter(|first| !tells_nothing(first)).unwrap_or(error));
                }
                Err(error) => return Err(error),
            }
        }
        Err(first_failure.expect("because every endpoint has a scheme and a body for its first try"))
    }

    /// Sends to one URL and waits for the beginning of the answer.
    pub(crate) async fn send(
        &self,
        uri: &Uri,
        verify: bool,
        ask: Ask,
        subject: Subject<'_>,
    ) -> Result<Response<Incoming>> {
        if uri.authority().is_none() {
            return Err(subject.protocol(format!("`{uri}` has no host")));
        }
        self.exchanges.send(uri, verify, ask).await.map_err(|failure| subject.failure(failure))
    }
}

/// The answer's body, whole, up to `limit` bytes; nothing where it is longer.
pub(crate) async fn whole(
    body: Incoming,
    limit: u64,
    stall: Duration,
    subject: Subject<'_>,
) -> Result<Option<Vec<u8>>> {
    exchange::whole(body, limit, stall).await.map_err(|failure| subject.failure(failure))
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
