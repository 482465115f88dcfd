//! Requests that say who we are, follow redirects, and are made again: the part between single HTTP exchanges and
//! what the protocol means by them.

use crate::auth::{Auth, Scopes};
use crate::transport::{Subject, Transport, complaint};
use crate::{Endpoint, Error, Options, Result, Retry};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode, Uri};
use oci::Reference;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use web::exchange::content_type;
use web::redirect::{is_redirect, join, keep_scheme, same_origin};
use web::{Ask, Body};

/// Longer chains of redirects are loops.
const MOST_REDIRECTS: usize = 10;
/// A mirror gets fewer tries: the next host may be better.
const TRIES_OF_MIRRORS: u32 = 2;
/// A mirror that cannot be reached is not asked for so long.
const REST_OF_MIRRORS: Duration = Duration::from_secs(60);
/// A mirror that sent wrong bytes is not asked again by this client.
pub(crate) const REST_OF_LIARS: Duration = Duration::from_secs(24 * 3600);

/// What one request is about: who is asked, for what, with which rights.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) what: &'a str,
    pub(crate) scopes: &'a Scopes,
}

impl<'a> Call<'a> {
    pub(crate) fn subject(&self) -> Subject<'a> {
        Subject { what: self.what, registry: &self.endpoint.host }
    }

    /// A path of the endpoint's repository.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v2/{}/{rest}", self.endpoint.repository)
    }
}

/// An answer's beginning, where it came from, and as whom we asked.
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    pub(crate) uri: Uri,
    pub(crate) user: Option<String>,
}

/// Everything that requests share.
pub(crate) struct Requests {
    pub(crate) options: Options,
    pub(crate) transport: Transport,
    pub(crate) auth: Auth,
    /// Until when which `host/repository` is not asked while others are left.
    resting: Mutex<HashMap<(String, String), Instant>>,
}

impl Requests {
    pub(crate) fn new(options: Options) -> Result<Self> {
        let transport = Transport::new(&options)?;
        Ok(Self { options, transport, auth: Auth::default(), resting: Mutex::default() })
    }

    pub(crate) fn stall(&self) -> Duration {
        self.options.timeouts.stall
    }

    /// Sends with authorization, a second time if the first answer says how to authorize.
    pub(crate) async fn send(
        &self,
        call: Call<'_>,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Answer> {
        let Call { endpoint, scopes, .. } = call;
        let mut body = Some(body);
        let mut first = true;
        loop {
            let (value, user) =
                self.auth.header(&self.transport, &self.options, endpoint, scopes, call.subject()).await?;
            let sent = value.clone();
            let mut headers = headers.clone();
            headers.extend(value.map(|value| (header::AUTHORIZATION, value)));
            let now =
                body.take().expect("because only a body that can be sent again leads to a second round");
            body = now.again();
            // Only the requests before the last one of an upload have small bodies; the registry works on none for long.
            let ask = Ask { method: method.clone(), headers, body: now, limit: self.stall() };
            let (response, uri) = self.transport.ask(endpoint, path, ask, call.subject()).await?;
            if response.status() == StatusCode::UNAUTHORIZED
                && first
                && body.is_some()
                && self.auth.challenged(endpoint, scopes, response.headers(), sent.as_ref()).await
            {
                first = false;
                continue;
            }
            return Ok(Answer { response, uri, user });
        }
    }

    /// Gets, through redirects. Credentials stay with the endpoint's origin. From HTTPS to plain HTTP only what is
    /// `checked` by its digest is followed.
    pub(crate) async fn get(
        &self,
        call: Call<'_>,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        checked: bool,
    ) -> Result<Answer> {
        let mut answer = self.send(call, method.clone(), path, headers, Body::Empty).await?;
        let origin = answer.uri.clone();
        for _ in 0..MOST_REDIRECTS {
            if !is_redirect(answer.response.status()) {
                return Ok(answer);
            }
            let uri = self.location(call, &answer)?;
            let downgrade = answer.uri.scheme_str() == Some("https") && uri.scheme_str() == Some("http");
            if downgrade && !checked && !call.endpoint.insecure {
                return Err(call.subject().protocol("it redirects from HTTPS to plain HTTP"));
            }
            let mut headers = headers.clone();
            if same_origin(&origin, &uri) {
                headers.extend(self.authorization(call).await?);
            }
            let ask = Ask { method: method.clone(), headers, body: Body::Empty, limit: self.stall() };
            let host = uri.authority().map(ToString::to_string).unwrap_or_default();
            let subject = Subject { what: call.what, registry: &host };
            let verify = !(call.endpoint.insecure || self.options.is_insecure(&host));
            let response = self.transport.send(&uri, verify, ask, subject).await?;
            answer = Answer { response, uri, user: answer.user };
        }
        Err(call.subject().protocol(format!("more than {MOST_REDIRECTS} redirects")))
    }

    /// The URL in an answer's `Location`.
    pub(crate) fn location(&self, call: Call<'_>, answer: &Answer) -> Result<Uri> {
        let value = answer.response.headers().get(header::LOCATION);
        let Some(text) = value.and_then(|value| value.to_str().ok()) else {
            let status = answer.response.status();
            return Err(call.subject().protocol(format!("its answer {status} has no Location")));
        };
        let uri = join(&answer.uri, text)
            .ok_or_else(|| call.subject().protocol(format!("its Location `{text}` is no URL")))?;
        Ok(keep_scheme(&answer.uri, uri))
    }

    /// The header that says who we are to the endpoint itself.
    pub(crate) async fn authorization(
        &self,
        call: Call<'_>,
    ) -> Result<Option<(header::HeaderName, HeaderValue)>> {
        let (value, _) = self
            .auth
            .header(&self.transport, &self.options, call.endpoint, call.scopes, call.subject())
            .await?;
        Ok(value.map(|value| (header::AUTHORIZATION, value)))
    }

    /// Lets success pass, but for web pages; anything else becomes the error that it stands for.
    pub(crate) async fn check(&self, call: Call<'_>, answer: Answer) -> Result<Answer> {
        let host = answer.uri.authority().map(ToString::to_string).unwrap_or_default();
        let subject = Subject { what: call.what, registry: &host };
        if answer.response.status().is_success() {
            if content_type(answer.response.headers()) == "text/html" {
                return Err(subject.not_a_registry("it sends a web page"));
            }
            return Ok(answer);
        }
        Err(complaint(answer.response, answer.user, self.stall(), subject).await)
    }

    /// Does it until it succeeds, fails for good, or was tried often enough.
    pub(crate) async fn again<T>(
        &self,
        endpoint: &Endpoint,
        mut action: impl AsyncFnMut() -> Result<T>,
    ) -> Result<T> {
        let mut patience = Patience::new(&self.options.retry, endpoint);
        loop {
            match action().await {
                Ok(done) => return Ok(done),
                Err(error) => patience.wait(error).await?,
            }
        }
    }

    /// Does it with one endpoint after the other until one succeeds, or fails so that it `is_final` for all. The last
    /// one's error is the error.
    pub(crate) async fn anywhere<T>(
        &self,
        reference: &Reference,
        is_final: fn(&Error) -> bool,
        mut action: impl AsyncFnMut(&Endpoint) -> Result<T>,
    ) -> Result<T> {
        let mut endpoints = self.options.endpoints(reference)?;
        {
            let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            resting.retain(|_, until| *until > now);
            endpoints.retain(|e| !resting.contains_key(&(e.host.clone(), e.repository.clone())));
        }
        let mut tried = Vec::new();
        let mut last = None;
        for endpoint in &endpoints {
            let error = match action(endpoint).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            if error.is_corrupt() {
                self.rest(endpoint, REST_OF_LIARS);
            } else if error.is_unreachable() {
                self.rest(endpoint, REST_OF_MIRRORS);
            }
            if is_final(&error) || error.is_local() {
                return Err(error);
            }
            if let Some(before) = last.replace(error)
                && !before.is_not_found()
            {
                tried.push(before.to_string());
            }
        }
        let last = last.expect("because there is always an endpoint, and each one failed");
        Err(if tried.is_empty() {
            last
        } else {
            Error::AfterMirrors { tried: tried.join("; "), last: Box::new(last) }
        })
    }
}

impl Requests {
    /// Does not ask a mirror for a while. The registry itself has nobody to stand in for it.
    pub(crate) fn rest(&self, endpoint: &Endpoint, long: Duration) {
        if endpoint.mirror {
            let key = (endpoint.host.clone(), endpoint.repository.clone());
            let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
            resting.insert(key, Instant::now() + long);
        }
    }
}

/// How often something is still tried, and how long is waited before.
pub(crate) struct Patience<'a> {
    retry: &'a Retry,
    attempts: u32,
    failed: u32,
    /// However much progress is made, no more tries than this.
    total: u32,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(retry: &'a Retry, endpoint: &Endpoint) -> Self {
        let attempts = if endpoint.mirror { retry.attempts.min(TRIES_OF_MIRRORS) } else { retry.attempts };
        Self { retry, attempts, failed: 0, total: attempts.saturating_mul(10) }
    }

    /// Something moved: the count starts again.
    pub(crate) fn encourage(&mut self) {
        self.failed = 0;
    }

    /// Waits before the next try, or gives the error back if there is none.
    pub(crate) async fn wait(&mut self, error: Error) -> Result<()> {
        self.failed += 1;
        self.total = self.total.saturating_sub(1);
        let asked = error.retry_after();
        if !error.is_transient()
            || self.failed >= self.attempts
            || self.total == 0
            || asked.is_some_and(|asked| asked > self.retry.longest_delay)
        {
            return Err(error);
        }
        tokio::time::sleep(self.retry.delay(self.failed, asked)).await;
        Ok(())
    }
}
