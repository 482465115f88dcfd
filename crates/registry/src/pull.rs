//! Reading: names to descriptors, manifests, blobs, tags (distribution-spec, Pull).
//!
//! A blob is hashed and handed on in the calling thread as its bytes arrive. When the connection breaks, the next try
//! asks for the rest (`Range`) and goes on with the same hash, from another endpoint too.

use crate::auth::Scopes;
use crate::request::{Answer, Call, Patience, REST_OF_LIARS, Requests};
use crate::transport::{Subject, whole};
use crate::{Endpoint, Error, Result};
use http_body_util::BodyExt as _;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};
use oci::{Descriptor, Digest, Hasher, MAX_DOCUMENT, Reference, media_type};
use serde::Deserialize;
use std::io::Write;
use web::exchange::{content_type, number, words};

/// A registry's name for the digest of what it sends.
const CONTENT_DIGEST: &str = "docker-content-digest";
/// All kinds of manifests that are understood, in one header.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, \
                      application/vnd.docker.distribution.manifest.v2+json";
/// Lists of tags end here.
const MOST_TAGS: usize = 1_000_000;

/// What a name means now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The manifest's or index's type, digest and size.
    pub descriptor: Descriptor,
    /// Who said so.
    pub endpoint: Endpoint,
}

/// A manifest or index as its registry sent it, its digest checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The document, byte for byte.
    pub bytes: Vec<u8>,
    /// Its type: what it says of itself, else what the registry says.
    pub media_type: String,
    /// The digest of the bytes.
    pub digest: Digest,
    /// Who sent it.
    pub endpoint: Endpoint,
}

impl Fetched {
    /// Its descriptor.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(&self.media_type, self.digest, self.bytes.len() as u64)
    }
}

/// Where a blob's bytes go, and how far they got.
pub(crate) struct Receiver<'a> {
    pub(crate) descriptor: &'a Descriptor,
    pub(crate) hasher: Hasher,
    pub(crate) sink: &'a mut dyn Write,
    pub(crate) progress: &'a dyn Fn(u64),
}

/// How a reference is written in a manifest's URL.
fn tag_or_digest(reference: &Reference) -> String {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    }
}

pub(crate) fn accept() -> HeaderMap {
    HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(ACCEPT))])
}

/// The digest that the registry announces, where it is one that we can check.
pub(crate) fn announced(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}

impl Requests {
    /// Reads with one endpoint after the other, each as often as makes sense.
    async fn read<T>(
        &self,
        reference: &Reference,
        what: &str,
        mut action: impl AsyncFnMut(Call<'_>) -> Result<T>,
    ) -> Result<T> {
        let nothing = |_: &Error| false;
        self.anywhere(reference, nothing, async |endpoint| {
            let scopes = Scopes::pull(&endpoint.repository);
            let call = Call { endpoint, what, scopes: &scopes };
            self.again(endpoint, async || action(call).await).await
        })
        .await
    }

    pub(crate) async fn resolve(&self, reference: &Reference) -> Result<Resolved> {
        let what = format!("`{}`", reference.familiar());
        self.read(reference, &what, async |call| self.resolve_at(call, reference).await).await
    }

    async fn resolve_at(&self, call: Call<'_>, reference: &Reference) -> Result<Resolved> {
        let path = call.path(&format!("manifests/{}", tag_or_digest(reference)));
        let answer = self.get(call, Method::HEAD, &path, &accept(), reference.digest().is_some()).await?;
        // Some registries answer HEAD for no manifest.
        let is_head_unknown = matches!(answer.response.status().as_u16(), 400 | 405 | 501);
        if !is_head_unknown {
            let answer = self.check(call, answer).await?;
            let headers = answer.response.headers();
            let kind = content_type(headers);
            let size = number(headers, header::CONTENT_LENGTH).filter(|size| *size > 0);
            let known = media_type::is_index(&kind) || media_type::is_manifest(&kind);
            let digest = match (announced(headers), reference.digest()) {
                (Some(found), Some(expected)) if found != expected => {
                    return Err(call.subject().wrong_digest(expected, found));
                }
                (found, expected) => expected.or(found),
            };
            if let (true, Some(size), Some(digest)) = (known, size, digest) {
                refuse_long(call, size)?;
                let descriptor = Descriptor::new(&kind, digest, size);
                return Ok(Resolved { descriptor, endpoint: call.endpoint.clone() });
            }
        }
        let fetched = self.manifest_at(call, reference).await?;
        Ok(Resolved { descriptor: fetched.descriptor(), endpoint: fetched.endpoint })
    }

    pub(crate) async fn manifest(&self, reference: &Reference) -> Result<Fetched> {
        let what = format!("`{}`", reference.familiar());
        self.read(reference, &what, async |call| self.manifest_at(call, reference).await).await
    }

    async fn manifest_at(&self, call: Call<'_>, reference: &Reference) -> Result<Fetched> {
        let path = call.path(&format!("manifests/{}", tag_or_digest(reference)));
        let answer = self.get(call, Method::GET, &path, &accept(), reference.digest().is_some()).await?;
        let answer = self.check(call, answer).await?;
        let headers = answer.response.headers();
        let kind = content_type(headers);
        let announced = announced(headers);
        if let Some(size) = number(headers, header::CONTENT_LENGTH) {
            refuse_long(call, size)?;
        }
        let body = whole(answer.response.into_body(), MAX_DOCUMENT, self.stall(), call.subject()).await?;
        let bytes = body.ok_or_else(|| too_large(call))?;
        let digest = Digest::of(&bytes);
        for expected in [reference.digest(), announced].into_iter().flatten() {
            if expected != digest {
                return Err(call.subject().wrong_digest(expected, digest));
            }
        }
        let media_type = document_type(call, &bytes, &kind)?;
        Ok(Fetched { bytes, media_type, digest, endpoint: call.endpoint.clone() })
    }

    pub(crate) async fn blob(&self, reference: &Reference, mut receiver: Receiver<'_>) -> Result<()> {
        let Descriptor { digest, size, .. } = *receiver.descriptor;
        let what = format!("blob {digest} of `{}`", reference.familiar_name());
        // What the receiver has taken, it cannot give back; only the caller can start over.
        let is_final = |error: &Error| matches!(error, Error::WrongDigest { .. });
        let mut givers: Vec<Endpoint> = Vec::new();
        let done = self
            .anywhere(reference, is_final, async |endpoint| {
                let scopes = Scopes::pull(&endpoint.repository);
                let call = Call { endpoint, what: &what, scopes: &scopes };
                let mut patience = Patience::new(&self.options.retry, endpoint);
                // An empty blob, or one that was here whole, needs no request.
                while receiver.hasher.size() < size {
                    let before = receiver.hasher.size();
                    let done = self.blob_at(call, &mut receiver).await;
                    if receiver.hasher.size() > before && givers.last() != Some(endpoint) {
                        givers.push(endpoint.clone());
                    }
                    if let Err(error) = done {
                        if receiver.hasher.size() > before {
                            patience.encourage();
                        }
                        patience.wait(error).await?;
                    }
                }
                if receiver.hasher.size() != size {
                    return Err(call.subject().wrong_size(size, receiver.hasher.size()));
                }
                match receiver.hasher.clone().finish() {
                    found if found != digest => Err(call.subject().wrong_digest(digest, found)),
                    _ => Ok(()),
                }
            })
            .await;
        // Of several that gave parts, nobody knows which part was wrong.
        if matches!(done, Err(Error::WrongDigest { .. })) {
            givers.iter().for_each(|endpoint| self.rest(endpoint, REST_OF_LIARS));
        }
        done
    }

    /// Gets what is still missing, or as much of it as comes.
    async fn blob_at(&self, call: Call<'_>, receiver: &mut Receiver<'_>) -> Result<()> {
        let Descriptor { digest, size, .. } = *receiver.descriptor;
        let offset = receiver.hasher.size();
        let mut headers = HeaderMap::new();
        if offset > 0 {
            let range = HeaderValue::from_str(&format!("bytes={offset}-"));
            headers.insert(header::RANGE, range.expect("because digits are legal in headers"));
        }
        let path = call.path(&format!("blobs/{digest}"));
        let answer = self.get(call, Method::GET, &path, &headers, true).await?;
        let host = answer.uri.authority().map(ToString::to_string).unwrap_or_default();
        let subject = Subject { what: call.what, registry: &host };
        if answer.response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Err(subject.wrong_size(size, offset));
        }
        let Answer { response, .. } = self.check(call, answer).await?;
        let partial = response.status() == StatusCode::PARTIAL_CONTENT;
        if partial && range_start(response.headers()).is_some_and(|start| start != offset) {
            return Err(subject.protocol(format!("asked for bytes from {offset} on, it sends others")));
        }
        // Who knows no ranges sends everything again: what we have is passed over.
        let mut skip = if partial { 0 } else { offset };
        if let Some(length) = number(response.headers(), header::CONTENT_LENGTH) {
            let announced = length.saturating_add(offset - skip);
            if announced != size {
                return Err(subject.wrong_size(size, announced));
            }
        }
        let mut body = response.into_body();
        let stall = self.stall();
        loop {
            let frame = match tokio::time::timeout(stall, body.frame()).await {
                Err(_) => return Err(subject.stalled(stall)),
                Ok(None) => break,
                Ok(Some(Err(error))) => return Err(subject.interrupted(words(&error))),
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(mut data) = frame.into_data() else { continue };
            if skip > 0 {
                let passed = skip.min(data.len() as u64);
                skip -= passed;
                let passed = usize::try_from(passed).unwrap_or(data.len());
                data = data.slice(passed..);
            }
            if receiver.hasher.size() + data.len() as u64 > size {
                return Err(subject.wrong_size(size, receiver.hasher.size() + data.len() as u64));
            }
            receiver
                .sink
                .write_all(&data)
                .map_err(|source| Error::Sink { what: call.what.to_owned(), source })?;
            receiver.hasher.update(&data);
            (receiver.progress)(receiver.hasher.size());
        }
        if receiver.hasher.size() < size {
            let got = receiver.hasher.size();
            return Err(subject.interrupted(format!("it ended after {got} of {size} bytes")));
        }
        Ok(())
    }

    pub(crate) async fn has_blob(&self, reference: &Reference, digest: Digest) -> Result<bool> {
        let what = format!("blob {digest} of `{}`", reference.familiar_name());
        let found = self
            .read(reference, &what, async |call| {
                let path = call.path(&format!("blobs/{digest}"));
                let answer = self.get(call, Method::HEAD, &path, &HeaderMap::new(), true).await?;
                self.check(call, answer).await
            })
            .await;
        match found {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn tags(&self, reference: &Reference) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct List {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let what = format!("the tags of `{}`", reference.familiar_name());
        self.read(reference, &what, async |call| {
            let mut all = Vec::new();
            let mut path = call.path("tags/list?n=1000");
            loop {
                let answer = self.get(call, Method::GET, &path, &HeaderMap::new(), false).await?;
                let answer = self.check(call, answer).await?;
                let next = next_page(answer.response.headers());
                let body = answer.response.into_body();
                let Some(bytes) = whole(body, MAX_DOCUMENT, self.stall(), call.subject()).await? else {
                    return Err(too_large(call));
                };
                let list: List = serde_json::from_slice(&bytes)
                    .map_err(|error| call.subject().not_a_registry(format!("its list of tags: {error}")))?;
                let page = list.tags.unwrap_or_default();
                let is_last = page.is_empty();
                all.extend(page);
                match next {
                    // A registry's next page is on the registry itself.
                    Some(next) if next.starts_with("/v2/") && !is_last && all.len() < MOST_TAGS => {
                        path = next
                    }
                    _ => return Ok(all),
                }
            }
        })
        .await
    }
}

/// The path in `Link: </v2/...>; rel="next"`.
fn next_page(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::LINK)?.to_str().ok()?;
    let (target, rest) = text.strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| target.to_owned())
}

/// The first byte's place in `Content-Range: bytes FIRST-LAST/SIZE`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    text.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

fn refuse_long(call: Call<'_>, size: u64) -> Result<()> {
    if size > MAX_DOCUMENT { Err(too_large(call)) } else { Ok(()) }
}

fn too_large(call: Call<'_>) -> Error {
    let (what, registry) = (call.what.to_owned(), call.endpoint.host.clone());
    Error::TooLarge { what, registry, limit: MAX_DOCUMENT }
}

/// What a document is. Its own word, which its digest covers, goes before the header's.
fn document_type(call: Call<'_>, bytes: &[u8], header: &str) -> Result<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        schema_version: u32,
        #[serde(default)]
        media_type: String,
        manifests: Option<serde::de::IgnoredAny>,
        layers: Option<serde::de::IgnoredAny>,
        config: Option<serde::de::IgnoredAny>,
    }
    let head: Head = serde_json::from_slice(bytes)
        .map_err(|error| call.subject().not_a_registry(format!("its answer is no manifest: {error}")))?;
    if head.schema_version == 1 {
        return Err(call.subject().protocol("it has this image only in the outdated schema 1 format"));
    }
    let is_known = |kind: &str| media_type::is_index(kind) || media_type::is_manifest(kind);
    let (is_index, is_manifest) = (head.manifests.is_some(), head.layers.is_some() || head.config.is_some());
    // A document that two readers could take for two things is no document (image-spec, manifest.md).
    if is_index && is_manifest {
        return Err(call.subject().protocol("its document is an index and a manifest at once"));
    }
    let kind = if is_known(&head.media_type) {
        head.media_type
    } else if is_known(header) {
        header.to_owned()
    } else if is_index {
        media_type::OCI_INDEX.to_owned()
    } else if is_manifest {
        media_type::OCI_MANIFEST.to_owned()
    } else {
        return Err(call.subject().not_a_registry(format!("it sends `{header}`, which is no manifest")));
    };
    if (media_type::is_index(&kind) && is_manifest) || (media_type::is_manifest(&kind) && is_index) {
        return Err(call.subject().protocol(format!("its document says `{kind}`, which it is not")));
    }
    Ok(kind)
}
