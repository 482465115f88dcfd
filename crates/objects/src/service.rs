//! One service: requests with their tries and limits, errors named, bodies into sinks and out of files.
//!
//! A request is made anew for each try, since its signature has a time. Answers that may pass (408, 429, 5xx) and broken
//! or stalled connections are tried again, with growing waits, no sooner than the service asks for. A blob that breaks off
//! is taken up where it broke, which is no new try as long as something comes. What comes slower than [`SLOWEST`] counts as
//! stalled.

use crate::{Blob, Error, Result, xml};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode, Uri};
use oci::Hasher;
use session::Hidden;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use web::exchange::{content_type, number, whole, words};
use web::{Ask, Body, Exchanges, Failure, Threads};

/// So much is read and handed on at once.
const CHUNK: u64 = 256 << 10;
/// So many chunks wait for the network.
const WAITING: usize = 4;
/// The whole of a transfer has no limit of time; each of its steps has.
const NO_LIMIT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Of an error's body no more is read.
const LONGEST_COMPLAINT: u64 = 64 << 10;
/// Fewer bytes a second than this, for as long as nothing may come, are as good as none.
const SLOWEST: u64 = 4 << 10;
/// However much progress is made, no more tries than this for each one that is allowed without.
const TRIES_WITH_PROGRESS: u32 = 10;
/// How often it is asked whether the work is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// How a store is spoken to.
#[derive(Clone)]
pub struct Options {
    /// Proxies, certificates, waits and tries.
    pub web: web::Settings,
    /// How long a request without a blob may take, its tries included.
    pub limit: Duration,
    /// Asked several times a second; work ends soon after it answers false.
    pub wanted: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Self { web: web::Settings::default(), limit: Duration::from_secs(300), wanted: Arc::new(|| true) }
    }
}

/// The connections to one service.
pub(crate) struct Service {
    exchanges: Exchanges,
    threads: Threads,
    options: Options,
    /// What must not be in what the service says.
    secrets: Mutex<Vec<Hidden>>,
}

/// What is sent with a request.
pub(crate) enum Payload<'a> {
    /// No bytes.
    Empty,
    /// These.
    Bytes(Bytes),
    /// A part of a file; it is told how many bytes of the part were handed on.
    Part(&'a File, Range<u64>, &'a (dyn Fn(u64) + Sync)),
}

/// One request.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload<'a>,
}

impl Request<'_> {
    /// The host that is asked, for messages.
    fn service(&self) -> String {
        self.uri.authority().map(ToString::to_string).unwrap_or_default()
    }
}

/// An answer with its whole body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A header's text, or empty.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A URL out of parts that may not fit together.
pub(crate) fn uri(text: &str) -> Result<Uri> {
    let wrong = |reason: String| Error::Setting {
        // What follows a `?` may be a signature.
        what: format!("the URL `{}`", web::redacted(text.split('?').next().unwrap_or_default())),
        reason,
    };
    let uri: Uri = text.parse().map_err(|error| wrong(format!("{error}")))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) => Ok(uri),
        _ => Err(wrong("it is not of the form http(s)://HOST/PATH".to_owned())),
    }
}

/// A header's value; what has characters that no header may have becomes empty.
pub(crate) fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// Makes the request of one try.
pub(crate) type Make<'a, 'b> = &'a dyn Fn() -> Result<Request<'b>>;

impl Service {
    pub(crate) fn new(options: Options, secrets: Vec<Hidden>) -> Result<Self> {
        let exchanges = Exchanges::new(options.web.clone()).map_err(|failure| Error::Setting {
            what: "the network".to_owned(),
            reason: failure.to_string(),
        })?;
        Ok(Self { exchanges, threads: Threads::new("objects", 2), options, secrets: Mutex::new(secrets) })
    }

    /// From now on this must not be in what the service says.
    pub(crate) fn hide(&self, secret: Hidden) {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        if !secrets.contains(&secret) {
            secrets.push(secret);
        }
    }

    fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let given_up = async {
            while (self.options.wanted)() {
                tokio::time::sleep(LOOK).await;
            }
        };
        let done = self.threads.run(async {
            tokio::select! {
                biased;
                () = given_up => Err(Error::Cancelled),
                done = work => done,
            }
        });
        done.map_err(Error::Runtime)?
    }

    /// Sends a request and reads its whole answer, up to `limit` bytes of it.
    pub(crate) fn send(&self, what: &str, limit: u64, make: Make<'_, '_>) -> Result<Reply> {
        self.wait(async {
            let first = make()?;
            let service = first.service();
            let small = !matches!(first.payload, Payload::Part(..));
            let work = self.again(async || {
                let response = self.once(what, make()?).await?;
                let headers = response.headers().clone();
                let body = whole(response.into_body(), limit, self.stall())
                    .await
                    .map_err(|source| exchange(what, &service, source))?;
                let body = body.ok_or_else(|| Error::Protocol {
                    what: what.to_owned(),
                    service: service.clone(),
                    reason: format!("sends more than {limit} bytes"),
                })?;
                Ok(Reply { headers, body })
            });
            let limit = if small { self.options.limit } else { NO_LIMIT };
            match tokio::time::timeout(limit, work).await {
                Ok(done) => done,
                Err(_) => Err(Error::Late { what: what.to_owned(), service: service.clone(), limit }),
            }
        })
    }

    /// Fetches a blob into `sink`. `make` is told how many bytes are there already.
    pub(crate) fn receive(
        &self,
        what: &str,
        blob: Blob,
        make: &dyn Fn(u64) -> Result<Request<'static>>,
        sink: &mut dyn Write,
        progress: &dyn Fn(u64),
    ) -> Result<()> {
        let mut receiver = Receiver { what, blob, hasher: Hasher::new(), sink, progress };
        self.wait(async {
            let retry = &self.options.web.retry;
            let (mut failed, mut left) = (0, retry.attempts.saturating_mul(TRIES_WITH_PROGRESS));
            let progress = SLOWEST * self.stall().as_secs().max(1);
            loop {
                let before = receiver.hasher.size();
                let mut request = make(before)?;
                let service = request.service();
                if before > 0 {
                    let range = header_value(&format!("bytes={before}-"));
                    request.headers.entry(header::RANGE).or_insert(range);
                }
                let done = match self.once(what, request).await {
                    Ok(response) => receiver.take(&service, response, self.stall()).await,
                    Err(error) => Err(error),
                };
                let Err(error) = done else { return receiver.finish(&service) };
                failed = if receiver.hasher.size() - before >= progress { 1 } else { failed + 1 };
                left = left.saturating_sub(1);
                if left == 0 {
                    return Err(error);
                }
                self.pause(failed, error).await?;
            }
        })
    }

    /// Waits, as long as the work is wanted.
    pub(crate) fn sleep(&self, time: Duration) -> Result<()> {
        self.wait(async {
            tokio::time::sleep(time).await;
            Ok(())
        })
    }

    fn stall(&self) -> Duration {
        self.options.web.timeouts.stall
    }

    async fn again<T>(&self, mut action: impl AsyncFnMut() -> Result<T>) -> Result<T> {
        let mut failed = 0;
        loop {
            match action().await {
                Ok(done) => return Ok(done),
                Err(error) => {
                    failed += 1;
                    self.pause(failed, error).await?;
                }
            }
        }
    }

    /// Waits before the next try, or gives the error back if there is none.
    async fn pause(&self, failed: u32, error: Error) -> Result<()> {
        let retry = &self.options.web.retry;
        let asked = error.retry_after();
        if !error.is_passing()
            || failed >= retry.attempts
            || asked.is_some_and(|asked| asked > retry.longest_delay)
        {
            return Err(error);
        }
        tokio::time::sleep(retry.delay(failed, asked)).await;
        Ok(())
    }

    /// One try; an answer that is no success is an error.
    async fn once(&self, what: &str, request: Request<'_>) -> Result<Response<Incoming>> {
        let service = request.service();
        let failure = |source| exchange(what, &service, source);
        let Request { method, uri, mut headers, payload } = request;
        // What is signed is what must come.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let response = match payload {
            Payload::Empty | Payload::Bytes(_) => {
                let body = match payload {
                    Payload::Bytes(bytes) => Body::Full(bytes),
                    _ => Body::Empty,
                };
                if matches!(method, Method::PUT | Method::POST) && matches!(body, Body::Empty) {
                    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
                }
                let ask = Ask { method, headers, body, limit: self.stall() };
                self.exchanges.send(&uri, true, ask).await.map_err(failure)?
            }
            Payload::Part(file, part, progress) => {
                let (chunks, waiting) = mpsc::channel(WAITING);
                let body = Body::Stream { chunks: waiting, left: part.end - part.start };
                let ask = Ask { method, headers, body, limit: NO_LIMIT };
                let sending = self.exchanges.send(&uri, true, ask);
                let filling = fill(file, part, chunks, self.stall(), progress);
                tokio::pin!(sending, filling);
                tokio::select! {
                    biased;
                    // An answer before the end of the bytes is a refusal.
                    response = &mut sending => response.map_err(failure)?,
                    filled = &mut filling => {
                        filled.map_err(|trouble| trouble.named(what, &service))?;
                        let limit = self.options.web.timeouts.commit;
                        match tokio::time::timeout(limit, &mut sending).await {
                            Ok(response) => response.map_err(failure)?,
                            Err(_) => return Err(failure(Failure::Stalled { after: limit })),
                        }
                    }
                }
            }
        };
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.complaint(what, service, response).await)
    }

    /// The error that an answer with a status of failure stands for.
    async fn complaint(&self, what: &str, service: String, response: Response<Incoming>) -> Error {
        let status = response.status().as_u16();
        let retry_after = number(response.headers(), header::RETRY_AFTER).map(Duration::from_secs);
        let is_html = content_type(response.headers()) == "text/html";
        let body = whole(response.into_body(), LONGEST_COMPLAINT, self.stall()).await;
        let body = body.ok().flatten().unwrap_or_default();
        let (code, message) = if is_html {
            (String::new(), "a web page".to_owned())
        } else {
            complaint_words(&String::from_utf8_lossy(&body))
        };
        // It is shown on a terminal, and somebody else wrote it: no control characters, no page of it, no secrets.
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let clean = |text: String| {
            let text = secrets.iter().fold(text, |text, secret| secret.blot(&text));
            text.chars().filter(|c| !c.is_control()).take(300).collect::<String>()
        };
        let (code, message) = (clean(code), clean(message));
        Error::Status { what: what.to_owned(), service, status, code, message, retry_after }
    }
}

fn exchange(what: &str, service: &str, source: Failure) -> Error {
    Error::Exchange { what: what.to_owned(), service: service.to_owned(), source }
}

/// Code and message of an error's body: XML as S3 and Azure write it, JSON as GitHub does, else the first line.
fn complaint_words(body: &str) -> (String, String) {
    if let Some(code) = xml::text(body, "Code") {
        return (code, first_line(&xml::text(body, "Message").unwrap_or_default()));
    }
    if let Ok(serde_json::Value::Object(said)) = serde_json::from_str(body) {
        let text =
            |name: &str| said.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let either =
            |first: &str, second: &str| Some(text(first)).filter(|t| !t.is_empty()).unwrap_or(text(second));
        return (either("typeKey", "code"), first_line(&either("message", "msg")));
    }
    (String::new(), first_line(body))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// Why a file's bytes were not handed on.
enum Unfilled {
    Unreadable(io::Error),
    Stalled(Duration),
}

impl Unfilled {
    fn named(self, what: &str, service: &str) -> Error {
        match self {
            Self::Unreadable(source) => Error::Local { what: what.to_owned(), source },
            Self::Stalled(after) => exchange(what, service, Failure::Stalled { after }),
        }
    }
}

/// Reads a part of a file and hands it to the connection, chunk by chunk, no faster than that takes them.
async fn fill(
    file: &File,
    part: Range<u64>,
    chunks: mpsc::Sender<Bytes>,
    stall: Duration,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), Unfilled> {
    let mut at = part.start;
    while at < part.end {
        let mut chunk = vec![0; usize::try_from(CHUNK.min(part.end - at)).unwrap_or_default()];
        file.read_exact_at(&mut chunk, at).map_err(Unfilled::Unreadable)?;
        at += chunk.len() as u64;
        match tokio::time::timeout(stall, chunks.send(Bytes::from(chunk))).await {
            Err(_) => return Err(Unfilled::Stalled(stall)),
            // The connection is gone; its own error says why.
            Ok(Err(_)) => return std::future::pending().await,
            Ok(Ok(())) => progress(at - part.start),
        }
    }
    Ok(())
}

/// A blob on its way into a sink, maybe in several tries.
struct Receiver<'a> {
    what: &'a str,
    blob: Blob,
    hasher: Hasher,
    sink: &'a mut dyn Write,
    progress: &'a dyn Fn(u64),
}

impl Receiver<'_> {
    fn damaged(&self, service: &str, reason: String) -> Error {
        Error::Damaged { what: self.what.to_owned(), service: service.to_owned(), reason }
    }

    async fn take(&mut self, service: &str, response: Response<Incoming>, stall: Duration) -> Result<()> {
        let have = self.hasher.size();
        let continued = response.status() == StatusCode::PARTIAL_CONTENT;
        let mut skip = 0;
        if continued {
            let range = response.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
            if range.is_none_or(|range| !range.starts_with(&format!("bytes {have}-"))) {
                return Err(self.damaged(service, "another part than was asked for".to_owned()));
            }
        } else {
            // The whole again, from a service that cannot begin in the middle.
            skip = have;
        }
        let mut body = response.into_body();
        let (mut since, mut moved) = (Instant::now(), 0_u64);
        while self.hasher.size() < self.blob.size || skip > 0 {
            let frame = match tokio::time::timeout(stall, body.frame()).await {
                Err(_) => return Err(exchange(self.what, service, Failure::Stalled { after: stall })),
                Ok(None) => break,
                Ok(Some(Err(error))) => {
                    let reason = words(&error);
                    return Err(exchange(self.what, service, Failure::Interrupted { reason }));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            let Some(data) = frame.data_ref() else { continue };
            moved += data.len() as u64;
            if since.elapsed() > stall {
                if moved < SLOWEST * since.elapsed().as_secs() {
                    return Err(exchange(self.what, service, Failure::Stalled { after: since.elapsed() }));
                }
                (since, moved) = (Instant::now(), 0);
            }
            let known = skip.min(data.len() as u64);
            skip -= known;
            let fresh = &data[usize::try_from(known).unwrap_or_default()..];
            if self.hasher.size() + fresh.len() as u64 > self.blob.size {
                return Err(self.damaged(service, format!("more than {} bytes", self.blob.size)));
            }
            self.hasher.update(fresh);
            self.sink
                .write_all(fresh)
                .map_err(|source| Error::Local { what: format!("pass on what {service} sends"), source })?;
            (self.progress)(self.hasher.size());
        }
        if self.hasher.size() < self.blob.size {
            let reason = format!("it ended after {} of {} bytes", self.hasher.size(), self.blob.size);
            return Err(exchange(self.what, service, Failure::Interrupted { reason }));
        }
        Ok(())
    }

    fn finish(self, service: &str) -> Result<()> {
        let found = self.hasher.clone().finish();
        if found == self.blob.digest {
            return Ok(());
        }
        Err(self.damaged(service, format!("their digest is {found}")))
    }
}
