//! Writing: blobs and manifests (distribution-spec, Push). Always to the registry itself, never to its mirrors.
//!
//! A blob is asked for first (HEAD), then mounted from another repository of the same registry where the caller knows
//! one, and else sent in one PUT to the URL that a POST gives. After a broken upload the registry is asked how much of
//! it arrived (GET), and gets the rest; where it does not say, the upload starts anew.

use crate::auth::Scopes;
use crate::pull::{accept, announced};
use crate::request::{Answer, Call, Requests};
use crate::transport::Subject;
use crate::{Error, Result};
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use oci::{Descriptor, Digest, Reference};
use std::io::{self, Read};
use std::ops::Range;
use std::time::Duration;
use tokio::sync::mpsc;
use web::exchange::number;
use web::redirect::same_origin;
use web::{Ask, Body};

/// So much is read and handed on at once.
const CHUNK: u64 = 256 << 10;
/// So many chunks wait for the network.
const WAITING: usize = 4;
/// The whole of an upload has no limit of time; each of its steps has.
const NO_LIMIT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Opens the bytes of a blob; called again when an upload starts anew. It may wait, for another client too.
pub type Open<'a> = &'a dyn Fn() -> io::Result<Box<dyn Read + Send>>;

/// How a blob came to be in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    Existed,
    /// It was taken over from another repository without sending it.
    Mounted,
    /// It was sent.
    Uploaded,
}

impl Requests {
    pub(crate) async fn push_blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        open: Open<'_>,
        mount_from: Option<&str>,
        progress: &dyn Fn(u64),
    ) -> Result<Pushed> {
        let endpoint = self.options.push_endpoint(reference)?;
        let what = format!("blob {} of `{}`", descriptor.digest, reference.familiar_name());
        let scopes = Scopes::push(&endpoint.repository, None);
        let call = Call { endpoint: &endpoint, what: &what, scopes: &scopes };
        let path = call.path(&format!("blobs/{}", descriptor.digest));
        let known = self
            .again(&endpoint, async || {
                let answer = self.get(call, Method::HEAD, &path, &HeaderMap::new(), true).await?;
                match self.check(call, answer).await {
                    // What has another length is not the blob.
                    Ok(answer) => Ok(number(answer.response.headers(), header::CONTENT_LENGTH)
                        .is_none_or(|length| length == descriptor.size)),
                    Err(error) if error.is_not_found() => Ok(false),
                    Err(error) => Err(error),
                }
            })
            .await?;
        if known {
            progress(descriptor.size);
            return Ok(Pushed::Existed);
        }
        let mut mount = mount_from.filter(|from| *from != endpoint.repository);
        let mut broken: Option<Target> = None;
        self.again(&endpoint, async || {
            if let Some(from) = mount.take() {
                match self.mount(call, descriptor.digest, from).await {
                    Ok(None) => {
                        progress(descriptor.size);
                        return Ok(Pushed::Mounted);
                    }
                    Ok(begun) => broken = begun,
                    // Not allowed there, or not there: the bytes are sent.
                    Err(_) => {}
                }
            }
            let known = match broken.take() {
                Some(target) if target.used => self.progress_of(call, &target).await,
                other => other,
            };
            let mut target = match known {
                Some(target) if target.offset <= descriptor.size => target,
                _ => {
                    let path = call.path("blobs/uploads/");
                    let answer = self.send(call, Method::POST, &path, &HeaderMap::new(), Body::Empty).await?;
                    self.target(call, &self.check(call, answer).await?)?
                }
            };
            match self.upload(call, descriptor, &target, open, progress).await {
                Ok(()) => Ok(Pushed::Uploaded),
                // A registry may say how much is there and not take the rest: from the start, then.
                Err(error) if target.offset > 0 && !error.is_transient() && !error.is_local() => {
                    Err(call.subject().interrupted(error.to_string()))
                }
                Err(error) => {
                    target.used = true;
                    broken = Some(target);
                    Err(error)
                }
            }
        })
        .await
    }

    /// Where an answer says that the bytes go.
    fn target(&self, call: Call<'_>, answer: &Answer) -> Result<Target> {
        let uri = self.location(call, answer)?;
        Ok(Target { uri, registry: answer.uri.clone(), offset: 0, used: false })
    }

    /// How far a broken upload got, and where it goes on; nothing where the registry does not say.
    async fn progress_of(&self, call: Call<'_>, broken: &Target) -> Option<Target> {
        let mut headers = HeaderMap::new();
        if same_origin(&broken.registry, &broken.uri) {
            headers.extend(self.authorization(call).await.ok()?);
        }
        let host = broken.uri.authority()?.as_str();
        let subject = Subject { what: call.what, registry: host };
        let ask = Ask { method: Method::GET, headers, body: Body::Empty, limit: self.stall() };
        let verify = !(call.endpoint.insecure || self.options.is_insecure(host));
        let sent = self.transport.send(&broken.uri, verify, ask, subject).await;
        let response = sent.ok().filter(|response| response.status().is_success())?;
        let range = response.headers().get(header::RANGE)?.to_str().ok()?;
        let last: u64 = range.trim_start_matches("bytes=").strip_prefix("0-")?.parse().ok()?;
        // `0-0` is said of one byte and of none.
        let offset = last.checked_add(1).filter(|offset| *offset > 1)?;
        let answer = Answer { response, uri: broken.uri.clone(), user: None };
        let uri = self.location(call, &answer).ok()?;
        Some(Target { uri, offset, ..broken.clone() })
    }

    /// Asks for a blob of another repository. A registry that does not mount it begins an upload, whose target it is.
    async fn mount(&self, call: Call<'_>, digest: Digest, from: &str) -> Result<Option<Target>> {
        let scopes = Scopes::push(&call.endpoint.repository, Some(from));
        let call = Call { scopes: &scopes, ..call };
        let mut query = crate::auth::Form::default();
        query.add("mount", &digest.to_string());
        query.add("from", from);
        let path = call.path(&format!("blobs/uploads/?{}", query.0));
        let answer = self.send(call, Method::POST, &path, &HeaderMap::new(), Body::Empty).await?;
        let answer = self.check(call, answer).await?;
        if answer.response.status() == StatusCode::CREATED {
            return Ok(None);
        }
        self.target(call, &answer).map(Some)
    }

    /// Sends the bytes, or those that are missing, to where the registry said.
    async fn upload(
        &self,
        call: Call<'_>,
        descriptor: &Descriptor,
        target: &Target,
        open: Open<'_>,
        progress: &dyn Fn(u64),
    ) -> Result<()> {
        let size = descriptor.size;
        let mut query = crate::auth::Form::default();
        query.add("digest", &descriptor.digest.to_string());
        let Target { uri, registry, offset, .. } = target;
        let separator = if uri.query().is_some() { '&' } else { '?' };
        let uri: Uri = format!("{uri}{separator}{}", query.0)
            .parse()
            .map_err(|_| call.subject().protocol(format!("its Location `{uri}` is no URL")))?;
        let host = uri.authority().map(ToString::to_string).unwrap_or_default();
        let subject = Subject { what: call.what, registry: &host };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let left = size - offset;
        if left == 0 {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        } else if *offset > 0 {
            let range = HeaderValue::from_str(&format!("{offset}-{}", size - 1));
            headers.insert(header::CONTENT_RANGE, range.expect("because digits are legal in headers"));
        }
        if same_origin(registry, &uri) {
            headers.extend(self.authorization(call).await?);
        }
        let (chunks, waiting) = mpsc::channel(WAITING);
        let body = Body::Stream { chunks: waiting, left };
        let ask = Ask { method: Method::PUT, headers, body, limit: NO_LIMIT };
        let verify = !(call.endpoint.insecure || self.options.is_insecure(&host));
        let sending = self.transport.send(&uri, verify, ask, subject);
        let filling = fill(subject, open, *offset..size, chunks, self.stall(), progress);
        tokio::pin!(sending, filling);
        let response = tokio::select! {
            biased;
            // An answer before the end of the bytes is a refusal.
            response = &mut sending => response?,
            filled = &mut filling => {
                filled?;
                let limit = self.options.timeouts.commit;
                match tokio::time::timeout(limit, &mut sending).await {
                    Ok(response) => response?,
                    Err(_) => return Err(subject.stalled(limit)),
                }
            }
        };
        self.check(call, Answer { response, uri: uri.clone(), user: None }).await?;
        Ok(())
    }

    pub(crate) async fn push_manifest(
        &self,
        reference: &Reference,
        bytes: &[u8],
        media_type: &str,
    ) -> Result<Digest> {
        let endpoint = self.options.push_endpoint(reference)?;
        let what = format!("`{}`", reference.familiar());
        let scopes = Scopes::push(&endpoint.repository, None);
        let call = Call { endpoint: &endpoint, what: &what, scopes: &scopes };
        let digest = Digest::of(bytes);
        if let Some(expected) = reference.digest()
            && expected != digest
        {
            let reason = format!("the manifest to push has the digest {digest}, the name another");
            return Err(Error::Setting { what, reason });
        }
        let name = reference.tag().map_or_else(|| digest.to_string(), str::to_owned);
        let path = call.path(&format!("manifests/{name}"));
        let kind = HeaderValue::from_str(media_type).map_err(|_| Error::Setting {
            what: format!("the media type `{media_type}`"),
            reason: "it has characters that no header may have".to_owned(),
        })?;
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]);
        let bytes = Bytes::copy_from_slice(bytes);
        self.again(&endpoint, async || {
            let body = Body::Full(bytes.clone());
            let answer = self.send(call, Method::PUT, &path, &headers, body).await?;
            let answer = self.check(call, answer).await?;
            match announced(answer.response.headers()) {
                Some(found) if found != digest => return Err(call.subject().wrong_digest(digest, found)),
                None if answer.response.status() != StatusCode::CREATED => {
                    self.confirm(call, digest).await?;
                }
                _ => {}
            }
            Ok(digest)
        })
        .await
    }

    /// Asks for a manifest that was put, where the answer left open whether it was taken (distribution-spec, Pushing
    /// Manifests: 201 Created).
    async fn confirm(&self, call: Call<'_>, digest: Digest) -> Result<()> {
        let path = call.path(&format!("manifests/{digest}"));
        let answer = self.get(call, Method::HEAD, &path, &accept(), true).await?;
        let answer = self.check(call, answer).await?;
        match announced(answer.response.headers()) {
            Some(found) if found == digest => Ok(()),
            _ => Err(call.subject().protocol("it does not say that it took the manifest")),
        }
    }
}

/// Where an upload goes.
#[derive(Clone)]
struct Target {
    uri: Uri,
    /// The URL that said so.
    registry: Uri,
    /// How many bytes are there.
    offset: u64,
    /// Whether bytes were sent there already.
    used: bool,
}

/// Reads a part of the blob, up to its end, and hands it to the connection, chunk by chunk, no faster than that takes them.
async fn fill(
    subject: Subject<'_>,
    open: Open<'_>,
    part: Range<u64>,
    chunks: mpsc::Sender<Bytes>,
    stall: Duration,
    progress: &dyn Fn(u64),
) -> Result<()> {
    let unreadable = |source| Error::Reader { what: subject.what.to_owned(), source };
    // Opening may take long: a blob that is elsewhere is fetched then, by a client with a runtime of its own.
    let mut reader = tokio::task::block_in_place(open).map_err(unreadable)?;
    let Range { start: mut sent, end: size } = part;
    io::copy(&mut (&mut reader).take(sent), &mut io::sink()).map_err(unreadable)?;
    while sent < size {
        let wanted = CHUNK.min(size - sent);
        let mut chunk = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
        (&mut reader).take(wanted).read_to_end(&mut chunk).map_err(unreadable)?;
        if chunk.is_empty() {
            let source = io::Error::other(format!("it ends after {sent} bytes and should have {size}"));
            return Err(unreadable(source));
        }
        sent += chunk.len() as u64;
        match tokio::time::timeout(stall, chunks.send(Bytes::from(chunk))).await {
            Err(_) => return Err(subject.stalled(stall)),
            // The connection is gone; its own error says why.
            Ok(Err(_)) => return std::future::pending().await,
            Ok(Ok(())) => progress(sent),
        }
    }
    if reader.read(&mut [0]).map_err(unreadable)? > 0 {
        return Err(unreadable(io::Error::other(format!("it has more than its {size} bytes"))));
    }
    Ok(())
}
