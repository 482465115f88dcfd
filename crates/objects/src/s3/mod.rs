//! Amazon's S3 and everything that speaks its protocol, with BuildKit's names for objects:
//!
//! ```text
//! <prefix><manifests_prefix><name>       the document, once for each name; the first is read
//! <prefix><blobs_prefix>sha256:<hex>     a blob
//! ```
//!
//! A blob is asked for first (HEAD). One that is there and was last written longer than [`Settings::touch_refresh`] ago is
//! copied onto itself, so that a bucket may let what nobody uses expire. A large one is sent in parts (`multipart`).

mod lent;
mod multipart;
mod profiles;
mod sign;

pub use lent::{Key, Token};
pub use profiles::{Profile, profile};

use crate::service::{Make, Payload, Reply, Request, Service, header_value, uri};
use crate::{Blob, Error, LARGEST_DOCUMENT, Objects, Open, Options, Put, Result, escape};
use bytes::Bytes;
use hyper::header::HeaderMap;
use hyper::{Method, Uri};
use lent::Lent;
use oci::{Digest, timestamp};
use session::Hidden;
use sign::Signer;
use std::fs::File;
use std::io::Write;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Answers without a blob or a document are not longer.
const SHORT: u64 = 1 << 20;
/// What is larger is sent in parts.
const ONE_PIECE: u64 = 64 << 20;

/// A key to a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Which key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Hidden,
    /// For keys that were lent for a while.
    pub session_token: Option<Hidden>,
}

/// Where a cache is in S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The bucket.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// Before every object's name.
    pub prefix: String,
    /// Then, before a blob's.
    pub blobs_prefix: String,
    /// Or before a document's.
    pub manifests_prefix: String,
    /// The names of the document, at least one.
    pub names: Vec<String>,
    /// The URL of a service that is not Amazon's.
    pub endpoint: Option<String>,
    /// Whether the bucket is in the path of URLs, not in the host's name.
    pub path_style: bool,
    /// The key, or where it comes from.
    pub key: Key,
    /// What is there and older is written anew.
    pub touch_refresh: Duration,
    /// How many blobs are written at once.
    pub parallel: usize,
}

/// A cache in a bucket.
pub struct Store {
    settings: Settings,
    service: Service,
    /// The key as it was last lent.
    lent: Mutex<Option<Lent>>,
    name: String,
    /// The URL before an object's name, with a slash at its end.
    base: String,
}

/// An object that is there.
struct Known {
    written: SystemTime,
    size: u64,
}

impl Store {
    /// The cache of these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// An endpoint that is no URL; a bucket that has no name.
    pub fn new(settings: Settings, options: Options) -> Result<Self> {
        let base = base(&settings)?;
        uri(&base)?;
        let at = settings.endpoint.as_deref().and_then(|endpoint| endpoint.split_once("://"));
        let at = at.map(|(_, host)| format!("{}/", host.trim_end_matches('/'))).unwrap_or_default();
        let name = format!("s3://{at}{}/{}", settings.bucket, settings.prefix);
        let service = Service::new(options, Vec::new())?;
        Ok(Self { settings, service, lent: Mutex::new(None), name, base })
    }

    fn lent(&self) -> MutexGuard<'_, Option<Lent>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that there is a key for the next request.
    fn lend(&self) -> Result<()> {
        let mut lent = self.lent();
        if !lent.as_ref().is_some_and(|lent| lent.lasts(SystemTime::now())) {
            *lent = Some(self.settings.key.fetch(&self.service, &self.settings.region)?);
        }
        Ok(())
    }

    fn document_key(&self, name: &str) -> String {
        format!("{}{}{name}", self.settings.prefix, self.settings.manifests_prefix)
    }

    fn blob_key(&self, digest: &Digest) -> String {
        format!("{}{}{digest}", self.settings.prefix, self.settings.blobs_prefix)
    }

    fn uri(&self, key: &str, query: &str) -> Result<Uri> {
        uri(&format!("{}{}{query}", self.base, escape::path(key)))
    }

    /// A request, signed now. `body` is the digest of the payload.
    fn signed<'a>(
        &self,
        method: Method,
        uri: &Uri,
        mut headers: HeaderMap,
        payload: Payload<'a>,
        body: Digest,
    ) -> Request<'a> {
        let lent = self.lent();
        let credentials = &lent.as_ref().expect("because a key is lent before every request").credentials;
        let signer = Signer { credentials, region: &self.settings.region, now: SystemTime::now() };
        signer.sign(method.as_str(), uri, &mut headers, body);
        Request { method, uri: uri.clone(), headers, payload }
    }

    fn send(&self, what: &str, limit: u64, make: Make<'_, '_>) -> Result<Reply> {
        self.lend()?;
        self.service.send(what, limit, make).map_err(|error| self.explained(error))
    }

    /// Sends a request without a body, or with a small one.
    fn small(
        &self,
        what: &str,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Reply> {
        let digest = Digest::of(body);
        self.send(what, SHORT, &|| {
            Ok(self.signed(method.clone(), uri, headers.clone(), Payload::Bytes(body.clone()), digest))
        })
    }

    /// The error with what is known about its cause.
    fn explained(&self, error: Error) -> Error {
        match error {
            Error::Status {
                what,
                service,
                status: status @ (301 | 307 | 400),
                code,
                message,
                retry_after,
            } if message.is_empty() || code == "PermanentRedirect" || code.contains("Region") => {
                let message = format!(
                    "{message}{}the bucket may be in another region than `{}`",
                    if message.is_empty() { "" } else { "; " },
                    self.settings.region
                );
                Error::Status { what, service, status, code, message, retry_after }
            }
            other => other,
        }
    }

    /// When an object was written, and its size; nothing where there is none.
    fn known(&self, what: &str, key: &str) -> Result<Option<Known>> {
        let uri = self.uri(key, "")?;
        match self.small(what, &Method::HEAD, &uri, &HeaderMap::new(), &Bytes::new()) {
            Ok(reply) => {
                let seconds = web::date::parse(reply.header("last-modified")).unwrap_or_default();
                let written = UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
                let size = reply.header("content-length").parse().unwrap_or_default();
                Ok(Some(Known { written, size }))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes an object anew by copying it onto itself, which takes another description.
    fn touch(&self, what: &str, key: &str, size: u64) -> Result<()> {
        if size >= multipart::LARGEST_COPY {
            return self.copy_in_parts(what, key, size);
        }
        let mut headers = self.copy_source(key);
        headers.insert("x-amz-metadata-directive", header_value("REPLACE"));
        headers.insert("x-amz-meta-updated-at", header_value(&timestamp::rfc3339(SystemTime::now())));
        let reply = self.small(what, &Method::PUT, &self.uri(key, "")?, &headers, &Bytes::new())?;
        self.check_copied(what, &reply)
    }

    fn copy_source(&self, key: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let source = format!("/{}/{}", self.settings.bucket, escape::path(key));
        headers.insert("x-amz-copy-source", header_value(&source));
        headers
    }

    /// A copy may fail after its answer has begun with success.
    fn check_copied(&self, what: &str, reply: &Reply) -> Result<()> {
        let text = reply.text();
        if !text.contains("<Error>") {
            return Ok(());
        }
        let code = crate::xml::text(&text, "Code").unwrap_or_default();
        Err(self.protocol(what, format!("could not copy the object: {code}")))
    }

    fn protocol(&self, what: &str, reason: String) -> Error {
        let service = uri(&self.base).ok().and_then(|uri| Some(uri.authority()?.to_string()));
        Error::Protocol { what: what.to_owned(), service: service.unwrap_or_default(), reason }
    }

    /// Sends an object in one piece.
    fn put_whole(&self, what: &str, blob: Blob, file: &File, progress: &(dyn Fn(u64) + Sync)) -> Result<()> {
        let uri = self.uri(&self.blob_key(&blob.digest), "")?;
        self.send(what, SHORT, &|| {
            let payload = Payload::Part(file, 0..blob.size, progress);
            Ok(self.signed(Method::PUT, &uri, HeaderMap::new(), payload, blob.digest))
        })?;
        Ok(())
    }
}

impl Objects for Store {
    fn name(&self) -> &str {
        &self.name
    }

    fn parallel(&self) -> usize {
        self.settings.parallel
    }

    fn documents(&self) -> Result<Vec<Vec<u8>>> {
        let key = self.document_key(self.settings.names.first().map(String::as_str).unwrap_or_default());
        let (what, uri) = (format!("read `{key}`"), self.uri(&key, "")?);
        let empty = Digest::of(b"");
        let read = self.send(&what, LARGEST_DOCUMENT, &|| {
            Ok(self.signed(Method::GET, &uri, HeaderMap::new(), Payload::Empty, empty))
        });
        match read {
            Ok(reply) => Ok(vec![reply.body]),
            Err(Error::Status { status: 404, code, .. }) if code != "NoSuchBucket" => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn put_document(&self, bytes: &[u8]) -> Result<()> {
        let body = Bytes::copy_from_slice(bytes);
        for name in &self.settings.names {
            let key = self.document_key(name);
            self.small(
                &format!("write `{key}`"),
                &Method::PUT,
                &self.uri(&key, "")?,
                &HeaderMap::new(),
                &body,
            )?;
        }
        Ok(())
    }

    fn blob(&self, blob: Blob, sink: &mut dyn Write, progress: &dyn Fn(u64)) -> Result<()> {
        let uri = self.uri(&self.blob_key(&blob.digest), "")?;
        let empty = Digest::of(b"");
        let make = |have: u64| {
            let mut headers = HeaderMap::new();
            if have > 0 {
                headers.insert(hyper::header::RANGE, header_value(&format!("bytes={have}-")));
            }
            Ok(self.signed(Method::GET, &uri, headers, Payload::Empty, empty))
        };
        self.lend()?;
        self.service
            .receive(&format!("read blob {}", blob.digest), blob, &make, sink, progress)
            .map_err(|error| self.explained(error))
    }

    fn put_blob(&self, blob: Blob, open: Open<'_>, progress: &(dyn Fn(u64) + Sync)) -> Result<Put> {
        let key = self.blob_key(&blob.digest);
        if let Some(known) = self.known(&format!("look for `{key}`"), &key)? {
            let age = SystemTime::now().duration_since(known.written).unwrap_or_default();
            if age > self.settings.touch_refresh {
                self.touch(&format!("touch `{key}`"), &key, known.size)?;
            }
            progress(blob.size);
            return Ok(Put::Existed);
        }
        let what = format!("write blob {}", blob.digest);
        let file = open().map_err(|source| Error::Local { what: what.clone(), source })?;
        if blob.size <= ONE_PIECE {
            self.put_whole(&what, blob, &file, progress)?;
        } else {
            self.put_parts(&what, &key, blob, &file, progress)?;
        }
        Ok(Put::Sent)
    }
}

/// The URL before an object's name.
fn base(settings: &Settings) -> Result<String> {
    let Settings { bucket, region, .. } = settings;
    if bucket.is_empty() {
        return Err(Error::Setting { what: "the bucket".to_owned(), reason: "it has no name".to_owned() });
    }
    let amazon = || {
        let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://s3.{region}.{end}")
    };
    let endpoint = settings.endpoint.clone().unwrap_or_else(amazon);
    let parsed = uri(&endpoint)?;
    let host = parsed.host().unwrap_or_default();
    // No certificate is for a name with a dot more, and no address has names below it.
    let no_host = (bucket.contains('.') && parsed.scheme_str() == Some("https"))
        || web::host::host_name(host).parse::<IpAddr>().is_ok()
        || bucket.bytes().any(|b| !(b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b)));
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("https", &endpoint));
    let rest = rest.trim_end_matches('/');
    Ok(if settings.path_style || no_host {
        format!("{scheme}://{rest}/{}/", escape::path(bucket))
    } else {
        format!("{scheme}://{bucket}.{rest}/")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(bucket: &str, endpoint: Option<&str>, path_style: bool) -> Settings {
        Settings {
            bucket: bucket.to_owned(),
            region: "eu-west-1".to_owned(),
            prefix: "p/".to_owned(),
            blobs_prefix: "blobs/".to_owned(),
            manifests_prefix: "manifests/".to_owned(),
            names: vec!["buildkit".to_owned()],
            endpoint: endpoint.map(str::to_owned),
            path_style,
            key: Key::Own(Credentials {
                access_key_id: "id".to_owned(),
                secret_access_key: Hidden::new("secret"),
                session_token: None,
            }),
            touch_refresh: Duration::from_secs(86_400),
            parallel: 4,
        }
    }

    #[test]
    fn where_objects_are() {
        for (bucket, endpoint, path_style, expected) in [
            ("b", None, false, "https://b.s3.eu-west-1.amazonaws.com/"),
            ("b.with.dots", None, false, "https://s3.eu-west-1.amazonaws.com/b.with.dots/"),
            ("b", Some("http://localhost:9000"), false, "http://b.localhost:9000/"),
            ("b", Some("http://localhost:9000/"), true, "http://localhost:9000/b/"),
            ("b", Some("http://127.0.0.1:9000"), false, "http://127.0.0.1:9000/b/"),
            ("Old_Bucket", Some("http://localhost:9000"), false, "http://localhost:9000/Old_Bucket/"),
            ("b", Some("https://host/base"), true, "https://host/base/b/"),
        ] {
            assert_eq!(base(&settings(bucket, endpoint, path_style)).unwrap(), expected);
        }
        assert!(base(&settings("", None, false)).is_err());
        assert!(base(&settings("b", Some("host:1"), false)).is_err());
    }

    #[test]
    fn names_of_objects_and_of_the_store() {
        let store =
            Store::new(settings("b", Some("http://127.0.0.1:9000"), true), Options::default()).unwrap();
        assert_eq!(store.name(), "s3://127.0.0.1:9000/b/p/");
        assert_eq!(store.document_key("main"), "p/manifests/main");
        let digest = Digest::of(b"x");
        assert_eq!(store.blob_key(&digest), format!("p/blobs/{digest}"));
        let uri = store.uri("p/blobs/sha256:0", "?uploads").unwrap();
        assert_eq!(uri, "http://127.0.0.1:9000/b/p/blobs/sha256%3A0?uploads");
    }
}
