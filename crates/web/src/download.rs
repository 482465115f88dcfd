//! A URL's bytes into a sink.
//!
//! One try is a GET, through at most ten redirects; credentials stay with the host that they are for. Where the
//! caller has the bytes already, the request says so (`If-None-Match`, `If-Modified-Since`), and an answer whose ETag
//! is the same counts as `304 Not Modified` although its server does not know conditions. A transfer that breaks is
//! taken up where it broke if the server can say that the bytes are still those (`If-Range`), else it begins anew.
//! Answers that may pass (408, 429, 5xx) and broken or stalled connections are tried again, with growing waits, as
//! long as there is progress.
//!
//! No compression is asked for. A server that compresses nevertheless (`Content-Encoding: gzip`) is understood: as
//! with Go's client, what it sends is unpacked.

use crate::exchange::{content_type, number, whole, words};
use crate::redirect::{is_redirect, join, same_origin};
use crate::url::{Target, redacted};
use crate::{Ask, Body, Error, Exchanges, Failure, Result};
use flate2::write::MultiGzDecoder;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode, Uri};
use std::io::{self, Write};
use std::time::Duration;

/// Longer chains of redirects are loops.
const MOST_REDIRECTS: usize = 10;
/// However much progress is made, no more tries than this for each one that is allowed without.
const TRIES_WITH_PROGRESS: u32 = 10;
/// Of an error's body no more is read.
const LONGEST_COMPLAINT: u64 = 64 << 10;

/// What is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Get<'a> {
    /// `http://` or `https://`.
    pub url: &'a str,
    /// The value of `Authorization`; without it, user and password of the URL.
    pub authorization: Option<&'a str>,
    /// The ETag of the bytes that the caller has.
    pub etag: Option<&'a str>,
    /// Their `Last-Modified`.
    pub modified_since: Option<&'a str>,
    /// The most bytes that are taken.
    pub limit: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// The bytes, to their end.
    Whole(Head),
    /// The bytes are those that the caller has.
    Unchanged(Head),
}

/// What the server says of the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// `ETag`, as it was sent.
    pub etag: Option<String>,
    /// `Last-Modified`, as it was sent.
    pub last_modified: Option<String>,
    /// `Date`, as it was sent.
    pub date: Option<String>,
}

/// Who takes the bytes.
pub trait Sink {
    /// Forgets what was written: the bytes come from the beginning again.
    ///
    /// # Errors
    /// Whatever the sink's place says.
    fn restart(&mut self) -> io::Result<()>;

    /// Takes the next bytes.
    ///
    /// # Errors
    /// Whatever the sink's place says. It ends the transfer.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Why a try failed, and whether another one may succeed.
enum Trouble {
    Final(Error),
    Passing { error: Error, retry_after: Option<Duration> },
}

/// A transfer that may take several tries.
struct Transfer<'a> {
    exchanges: &'a Exchanges,
    request: &'a Get<'a>,
    target: Target,
    sink: &'a mut dyn Sink,
    progress: &'a dyn Fn(u64, Option<u64>),
    /// How many bytes the sink has.
    have: u64,
    /// What tells the server which bytes these are; nothing where it cannot take up a broken transfer.
    validator: Option<String>,
}

pub(crate) async fn get(
    exchanges: &Exchanges,
    request: &Get<'_>,
    sink: &mut dyn Sink,
    progress: &dyn Fn(u64, Option<u64>),
) -> Result<Got> {
    let target = Target::parse(request.url)?;
    let mut transfer = Transfer { exchanges, request, target, sink, progress, have: 0, validator: None };
    let retry = &exchanges.settings().retry;
    let (mut failed, mut left) = (0, retry.attempts.saturating_mul(TRIES_WITH_PROGRESS));
    loop {
        let before = transfer.have;
        let (error, retry_after) = match transfer.attempt().await {
            Ok(got) => return Ok(got),
            Err(Trouble::Final(error)) => return Err(error),
            Err(Trouble::Passing { error, retry_after }) => (error, retry_after),
        };
        failed = if transfer.have > before { 1 } else { failed + 1 };
        left = left.saturating_sub(1);
        if failed >= retry.attempts
            || left == 0
            || retry_after.is_some_and(|asked| asked > retry.longest_delay)
        {
            return Err(error);
        }
        if transfer.validator.is_none() && transfer.have > 0 {
            transfer.begin_again().map_err(|trouble| match trouble {
                Trouble::Final(error) | Trouble::Passing { error, .. } => error,
            })?;
        }
        tokio::time::sleep(retry.delay(failed, retry_after)).await;
    }
}

impl Transfer<'_> {
    fn shown(&self) -> String {
        redacted(self.request.url)
    }

    fn failure(&self, source: Failure) -> Trouble {
        let passing = source.is_passing();
        let error = Error::Exchange { url: self.shown(), source };
        if passing { Trouble::Passing { error, retry_after: None } } else { Trouble::Final(error) }
    }

    fn sink_error(&self, source: io::Error) -> Trouble {
        Trouble::Final(Error::Sink { url: self.shown(), source })
    }

    fn begin_again(&mut self) -> Result<(), Trouble> {
        self.have = 0;
        self.validator = None;
        self.sink.restart().map_err(|error| self.sink_error(error))
    }

    async fn attempt(&mut self) -> Result<Got, Trouble> {
        let (response, server) = self.ask().await?;
        let head = head(response.headers());
        let status = response.status();
        let conditional =
            self.have == 0 && (self.request.etag.is_some() || self.request.modified_since.is_some());
        let same = |known: &str| head.etag.as_deref().is_some_and(|etag| weak(etag) == weak(known));
        if conditional
            && (status == StatusCode::NOT_MODIFIED
                || status == StatusCode::OK && self.request.etag.is_some_and(same))
        {
            return Ok(Got::Unchanged(head));
        }
        let continued = status == StatusCode::PARTIAL_CONTENT && self.have > 0;
        if continued && first_byte(response.headers()) != Some(self.have) {
            self.begin_again()?;
            let reason = "it sent another part of the file than was asked for".to_owned();
            return Err(self.failure(Failure::Interrupted { reason }));
        }
        if !status.is_success() || (status == StatusCode::PARTIAL_CONTENT && !continued) {
            return Err(self.complaint(response, server).await);
        }
        if !continued && self.have > 0 {
            self.begin_again()?;
        }
        self.receive(response, &head).await?;
        Ok(Got::Whole(head))
    }

    /// Asks, redirects followed. Gives the host that answered, too.
    async fn ask(&mut self) -> Result<(Response<Incoming>, String), Trouble> {
        let limit = self.exchanges.settings().timeouts.stall;
        let mut uri = self.target.uri.clone();
        for _ in 0..=MOST_REDIRECTS {
            let headers = self.headers(&uri);
            let ask = Ask { method: Method::GET, headers, body: Body::Empty, limit };
            let sent = self.exchanges.send(&uri, true, ask).await;
            let response = sent.map_err(|failure| self.failure(failure))?;
            let location = response.headers().get(header::LOCATION);
            let Some(location) = location.filter(|_| is_redirect(response.status())) else {
                return Ok((response, uri.authority().map(ToString::to_string).unwrap_or_default()));
            };
            uri = location.to_str().ok().and_then(|location| join(&uri, location)).ok_or_else(|| {
                let reason = "it is redirected to what is no URL".to_owned();
                Trouble::Final(Error::Redirect { url: self.shown(), reason })
            })?;
        }
        let reason = format!("more than {MOST_REDIRECTS} redirects");
        Err(Trouble::Final(Error::Redirect { url: self.shown(), reason }))
    }

    fn headers(&self, uri: &Uri) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(header::ACCEPT_ENCODING, "identity");
        if self.have > 0 {
            if let Some(validator) = &self.validator {
                set(header::RANGE, &format!("bytes={}-", self.have));
                set(header::IF_RANGE, validator);
            }
        } else {
            if let Some(etag) = self.request.etag {
                set(header::IF_NONE_MATCH, etag);
            }
            if let Some(time) = self.request.modified_since {
                set(header::IF_MODIFIED_SINCE, time);
            }
        }
        let authorization = self.request.authorization.or(self.target.authorization.as_deref());
        if let Some(value) = authorization.filter(|_| is_trusted(&self.target.uri, uri))
            && let Ok(mut value) = HeaderValue::from_str(value)
        {
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        headers
    }

    async fn receive(&mut self, response: Response<Incoming>, head: &Head) -> Result<(), Trouble> {
        let too_large = || Error::TooLarge { url: redacted(self.request.url), limit: self.request.limit };
        let packed = is_gzip(response.headers());
        let length = number(response.headers(), header::CONTENT_LENGTH);
        let total = length.map(|length| self.have + length);
        if total.is_some_and(|total| total > self.request.limit) {
            return Err(Trouble::Final(too_large()));
        }
        self.validator = if packed { None } else { validator(head) };
        let stall = self.exchanges.settings().timeouts.stall;
        let mut body = response.into_body();
        let (limit, mut moved) = (self.request.limit, self.have);
        let url = self.shown();
        let mut writer = Writer::new(&mut *self.sink, packed, limit - self.have.min(limit));
        (self.progress)(moved, total);
        let ended = loop {
            match tokio::time::timeout(stall, body.frame()).await {
                Err(_) => break Err(Failure::Stalled { after: stall }),
                Ok(None) => break Ok(()),
                Ok(Some(Err(error))) => break Err(Failure::Interrupted { reason: words(&error) }),
                Ok(Some(Ok(frame))) => {
                    let Some(data) = frame.data_ref() else { continue };
                    if let Err(source) = writer.write(data) {
                        let error = if writer.is_full() { too_large() } else { Error::Sink { url, source } };
                        return Err(Trouble::Final(error));
                    }
                    moved += data.len() as u64;
                    (self.progress)(moved, total);
                }
            }
        };
        let finished = if ended.is_ok() { writer.finish() } else { Ok(()) };
        drop(writer);
        self.have = moved;
        ended.map_err(|failure| self.failure(failure))?;
        finished.map_err(|error| self.sink_error(error))
    }

    /// The error that an answer with a status of failure stands for.
    async fn complaint(&self, response: Response<Incoming>, server: String) -> Trouble {
        let status = response.status().as_u16();
        let retry_after = number(response.headers(), header::RETRY_AFTER).map(Duration::from_secs);
        let is_text = content_type(response.headers()) == "text/plain";
        let stall = self.exchanges.settings().timeouts.stall;
        let body = whole(response.into_body(), LONGEST_COMPLAINT, stall).await;
        let body = body.ok().flatten().filter(|_| is_text).unwrap_or_default();
        // It is shown on a terminal: no control characters, and not a page of it.
        let line = String::from_utf8_lossy(&body).lines().next().unwrap_or_default().trim().to_owned();
        let message = line.chars().filter(|c| !c.is_control()).take(200).collect();
        let error = Error::Status { url: self.shown(), server, status, message };
        match status {
            408 | 429 | 500 | 502 | 503 | 504 => Trouble::Passing { error, retry_after },
            _ => Trouble::Final(error),
        }
    }
}

/// Whether credentials for `first` may go to `second`: the same origin, or the same host by TLS instead of plain HTTP.
fn is_trusted(first: &Uri, second: &Uri) -> bool {
    let upgraded = first.scheme_str() == Some("http") && second.scheme_str() == Some("https");
    same_origin(first, second)
        || (upgraded
            && first.port().is_none()
            && second.port().is_none()
            && first.host().map(str::to_ascii_lowercase) == second.host().map(str::to_ascii_lowercase))
}

fn head(headers: &HeaderMap) -> Head {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Head { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED), date: text(header::DATE) }
}

/// An ETag without the mark of a weak one.
fn weak(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag)
}

/// What `If-Range` may name: a strong ETag (RFC 9110, 13.1.5).
fn validator(head: &Head) -> Option<String> {
    head.etag.clone().filter(|etag| etag.starts_with('"'))
}

fn is_gzip(headers: &HeaderMap) -> bool {
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    encoding.is_some_and(|encoding| encoding.trim().eq_ignore_ascii_case("gzip"))
}

/// The first byte of `Content-Range: bytes 10-19/20`.
fn first_byte(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    value.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// Writes to the sink, unpacked where the server packed; no more than is allowed.
struct Writer<'a> {
    inner: Inner<'a>,
}

enum Inner<'a> {
    Plain(Limited<'a>),
    Gzip(Box<MultiGzDecoder<Limited<'a>>>),
}

struct Limited<'a> {
    sink: &'a mut dyn Sink,
    left: u64,
    full: bool,
}

impl Write for Limited<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left.checked_sub(bytes.len() as u64) {
            Some(left) => self.left = left,
            None => {
                self.full = true;
                return Err(io::Error::other("there are more bytes than may come"));
            }
        }
        self.sink.write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> Writer<'a> {
    fn new(sink: &'a mut dyn Sink, packed: bool, left: u64) -> Self {
        let limited = Limited { sink, left, full: false };
        let inner =
            if packed { Inner::Gzip(Box::new(MultiGzDecoder::new(limited))) } else { Inner::Plain(limited) };
        Self { inner }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.inner {
            Inner::Plain(out) => out.write_all(bytes),
            Inner::Gzip(out) => out.write_all(bytes),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match &mut self.inner {
            Inner::Plain(_) => Ok(()),
            Inner::Gzip(out) => out.try_finish(),
        }
    }

    fn is_full(&self) -> bool {
        match &self.inner {
            Inner::Plain(out) => out.full,
            Inner::Gzip(out) => out.get_ref().full,
        }
    }
}
