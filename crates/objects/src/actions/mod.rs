//! The cache of GitHub Actions, in both versions of its protocol, with BuildKit's names for entries:
//!
//! ```text
//! index-<scope>-1-<8 digits of SHA-256 of the branch>#<N>      the document; the highest N counts
//! buildkit-blob-1-sha256:<hex>                                 a blob
//! ```
//!
//! An entry never changes: it is reserved under a key that nobody has, filled, and committed. So a document is written
//! under the next number. A look-up finds the newest entry whose key begins with what is asked for, among the branches
//! that the token opens.

mod token;
mod v1;
mod v2;

use crate::service::{Payload, Reply, Service, header_value, uri};
use crate::{Blob, Error, LARGEST_DOCUMENT, Objects, Open, Options, Put, Result};
use bytes::Bytes;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Uri};
use oci::Digest;
use session::Hidden;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime};
use token::Scope;

/// Answers without a blob or a document are not longer.
const SHORT: u64 = 1 << 20;
/// How long somebody else may take to write the same document.
const PATIENCE: Duration = Duration::from_secs(15);
/// When it is looked again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How many numbers of a document are tried.
const MOST_NUMBERS: u64 = 1000;
/// How many blobs are written at once.
const PARALLEL: usize = 4;

/// Which version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `_apis/artifactcache`: uploads by chunks.
    V1,
    /// Twirp, with signed URLs of Azure's blobs.
    V2,
}

/// Where a cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The service's URL.
    pub url: String,
    /// What it speaks.
    pub version: Version,
    /// The runner's token.
    pub token: Hidden,
    /// The cache's name: builds that share one overwrite each other's document.
    pub scope: String,
}

/// A cache of GitHub Actions.
pub struct Store {
    settings: Settings,
    service: Service,
    name: String,
    scopes: Vec<Scope>,
    /// The version of entries: only entries of an equal one are found.
    entries: String,
}

/// An entry that is there.
struct Entry {
    key: String,
    /// Where its bytes are; the URL is a secret, since whoever has it can read them.
    url: Uri,
}

/// A key that was taken.
struct Reserved {
    key: String,
    /// Where the bytes go: an entry's number, or a signed URL.
    place: String,
}

/// The bytes of an entry.
#[derive(Clone, Copy)]
enum Source<'a> {
    File(&'a File, u64),
    Bytes(&'a Bytes),
}

impl Store {
    /// The cache of these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// A token that is none or has expired; a URL that is none.
    pub fn new(settings: Settings, options: Options) -> Result<Self> {
        let scopes = token::scopes(&settings.token, SystemTime::now())?;
        let url = uri(&settings.url)?;
        let name = format!(
            "gha://{}/{}",
            url.authority().map(ToString::to_string).unwrap_or_default(),
            settings.scope
        );
        let service = Service::new(options, vec![settings.token.clone()])?;
        let entries = Digest::of(b"|go-actionscache-1.0").hex();
        Ok(Self { settings, service, name, scopes, entries })
    }

    /// The key of the document of a branch, without its number.
    fn document_key(&self, branch: &str) -> String {
        format!("index-{}-1-{}", self.settings.scope, &Digest::of(branch.as_bytes()).hex()[..8])
    }

    fn url(&self, path: &str) -> Result<Uri> {
        uri(&format!("{}/{path}", self.settings.url.trim_end_matches('/')))
    }

    /// The headers that let a request in.
    fn headers(&self) -> HeaderMap {
        let mut token = header_value(&format!("Bearer {}", self.settings.token.expose()));
        token.set_sensitive(true);
        HeaderMap::from_iter([(header::AUTHORIZATION, token)])
    }

    /// Sends a small request with JSON, and reads the JSON of the answer; nothing where the answer is empty.
    fn ask(
        &self,
        what: &str,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: Option<&serde_json::Value>,
    ) -> Result<Option<serde_json::Value>> {
        let bytes = body.map(|body| Bytes::from(body.to_string()));
        let reply = self.service.send(what, SHORT, &|| {
            let payload = bytes.clone().map_or(Payload::Empty, Payload::Bytes);
            Ok(crate::service::Request {
                method: method.clone(),
                uri: uri.clone(),
                headers: headers.clone(),
                payload,
            })
        })?;
        self.json(what, uri, &reply)
    }

    fn json(&self, what: &str, uri: &Uri, reply: &Reply) -> Result<Option<serde_json::Value>> {
        if reply.body.is_empty() {
            return Ok(None);
        }
        let parsed = serde_json::from_slice(&reply.body);
        parsed.map(Some).map_err(|_| self.protocol(what, uri, "sends what is no JSON"))
    }

    fn protocol(&self, what: &str, uri: &Uri, reason: &str) -> Error {
        let service = uri.authority().map(ToString::to_string).unwrap_or_default();
        Error::Protocol { what: what.to_owned(), service, reason: reason.to_owned() }
    }

    /// The newest entry whose key begins so.
    fn find(&self, what: &str, key: &str) -> Result<Option<Entry>> {
        match self.settings.version {
            Version::V1 => self.find_v1(what, key),
            Version::V2 => self.find_v2(what, key),
        }
    }

    /// Takes a key; nothing where somebody has it.
    fn reserve(&self, what: &str, key: &str) -> Result<Option<Reserved>> {
        let reserved = match self.settings.version {
            Version::V1 => self.reserve_v1(what, key),
            Version::V2 => self.reserve_v2(what, key),
        };
        match reserved {
            Ok(place) => Ok(Some(Reserved { key: key.to_owned(), place })),
            Err(error) if is_taken(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Fills an entry and commits it.
    fn fill(
        &self,
        what: &str,
        reserved: &Reserved,
        source: Source<'_>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        match self.settings.version {
            Version::V1 => self.fill_v1(what, reserved, source, progress),
            Version::V2 => self.fill_v2(what, reserved, source, progress),
        }
    }

    /// Reads a document whole.
    fn read(&self, what: &str, entry: &Entry) -> Result<Vec<u8>> {
        let reply = self.service.send(what, LARGEST_DOCUMENT, &|| Ok(get(&entry.url)))?;
        Ok(reply.body)
    }

    /// The number in a document's key.
    fn number(key: &str, document: &str) -> Option<u64> {
        key.strip_prefix(document)?.strip_prefix('#')?.parse().ok()
    }
}

impl Objects for Store {
    fn name(&self) -> &str {
        &self.name
    }

    fn parallel(&self) -> usize {
        PARALLEL
    }

    fn documents(&self) -> Result<Vec<Vec<u8>>> {
        let mut documents = Vec::new();
        for scope in &self.scopes {
            let key = self.document_key(&scope.name);
            let what = format!("read `{key}`");
            let found = self.find(&what, &format!("{key}#"))?;
            if let Some(entry) = found.filter(|entry| Self::number(&entry.key, &key).is_some()) {
                documents.push(self.read(&what, &entry)?);
            }
        }
        Ok(documents)
    }

    fn put_document(&self, bytes: &[u8]) -> Result<()> {
        let branch = self.scopes.iter().rev().find(|scope| scope.writable);
        let key = self.document_key(branch.map(|scope| scope.name.as_str()).unwrap_or_default());
        let what = format!("write `{key}`");
        let begun = Instant::now();
        let mut skipped = 0;
        loop {
            let newest = self.find(&what, &format!("{key}#"))?;
            let newest = newest.and_then(|entry| Self::number(&entry.key, &key)).unwrap_or(0);
            if let Some(reserved) = self.reserve(&what, &format!("{key}#{}", newest + 1 + skipped))? {
                let bytes = Bytes::copy_from_slice(bytes);
                return self.fill(&what, &reserved, Source::Bytes(&bytes), &|_| {});
            }
            // Somebody writes just now, or died while writing: then that number is never committed.
            if begun.elapsed() < PATIENCE {
                self.service.sleep(LOOK_AGAIN)?;
            } else {
                skipped += 1;
            }
            if skipped > MOST_NUMBERS {
                let uri = self.url("")?;
                return Err(self.protocol(&what, &uri, "has no free number for it"));
            }
        }
    }

    fn blob(&self, blob: Blob, sink: &mut dyn Write, progress: &dyn Fn(u64)) -> Result<()> {
        let what = format!("read blob {}", blob.digest);
        let key = blob_key(&blob.digest);
        let entry = self.find(&what, &key)?.filter(|entry| entry.key == key);
        let entry = match entry {
            Some(entry) => entry,
            None => return Err(self.protocol(&what, &self.url("")?, "does not have it any more")),
        };
        self.service.receive(&what, blob, &|_| Ok(get(&entry.url)), sink, progress)
    }

    fn put_blob(&self, blob: Blob, open: Open<'_>, progress: &(dyn Fn(u64) + Sync)) -> Result<Put> {
        let what = format!("write blob {}", blob.digest);
        let key = blob_key(&blob.digest);
        let known = self.find(&what, &key)?.is_some_and(|entry| entry.key == key);
        let reserved = if known { None } else { self.reserve(&what, &key)? };
        let Some(reserved) = reserved else {
            progress(blob.size);
            return Ok(Put::Existed);
        };
        let file = open().map_err(|source| Error::Local { what: what.clone(), source })?;
        self.fill(&what, &reserved, Source::File(&file, blob.size), progress)?;
        Ok(Put::Sent)
    }
}

fn blob_key(digest: &Digest) -> String {
    format!("buildkit-blob-1-{digest}")
}

/// A request for an entry's bytes. It carries no token: the URL itself lets it in.
fn get(url: &Uri) -> crate::service::Request<'static> {
    let headers = HeaderMap::new();
    crate::service::Request { method: Method::GET, uri: url.clone(), headers, payload: Payload::Empty }
}

/// Whether a key was refused since somebody has it.
fn is_taken(error: &Error) -> bool {
    let Error::Status { code, message, .. } = error else { return false };
    code.contains("AlreadyExists")
        || code == "already_exists"
        || message.to_lowercase().contains("already exists")
}
