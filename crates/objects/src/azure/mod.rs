//! Azure's blob storage, with BuildKit's names for blobs in a container:
//!
//! ```text
//! <prefix>/<manifests_prefix>/<name>           the document, once for each name; all are read
//! <prefix>/<blobs_prefix>/sha256:<hex>         a blob
//! ```
//!
//! Requests are signed with the account's key. A container that is missing is made when something is written.

mod sign;

use crate::blocks;
use crate::service::{Payload, Reply, Request, Service, header_value, uri};
use crate::{Blob, Error, LARGEST_DOCUMENT, Objects, Open, Options, Put, Result, escape};
use bytes::Bytes;
use hyper::header::HeaderMap;
use hyper::{Method, Uri};
use oci::{Digest, timestamp};
use session::Hidden;
use sign::Signer;
use std::io::Write;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Answers without a blob or a document are not longer.
const SHORT: u64 = 1 << 20;
/// How many blobs are written at once.
const PARALLEL: usize = 4;

/// Where a cache is in Azure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The account's URL.
    pub account_url: String,
    /// The account's name.
    pub account: String,
    /// Its key, in base64.
    pub key: Hidden,
    /// The container.
    pub container: String,
    /// Before every blob's name.
    pub prefix: String,
    /// Then, before a blob's.
    pub blobs_prefix: String,
    /// Or before a document's.
    pub manifests_prefix: String,
    /// The names of the document, at least one.
    pub names: Vec<String>,
}

/// A cache in a container.
pub struct Store {
    settings: Settings,
    service: Service,
    signer: Signer,
    name: String,
    /// Whether the container is known to be there.
    container: OnceLock<()>,
}

impl Store {
    /// The cache of these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// A URL that is none; a key that is not base64.
    pub fn new(settings: Settings, options: Options) -> Result<Self> {
        let url = uri(&settings.account_url)?;
        let signer = Signer::new(&settings.account, &settings.key)?;
        let service = Service::new(options, vec![settings.key.clone()])?;
        let host = url.authority().map(ToString::to_string).unwrap_or_default();
        let name = format!(
            "azblob://{host}{}/{}/{}",
            url.path().trim_end_matches('/'),
            settings.container,
            settings.prefix
        );
        Ok(Self { settings, service, signer, name, container: OnceLock::new() })
    }

    fn document_key(&self, name: &str) -> String {
        join(&[&self.settings.prefix, &self.settings.manifests_prefix, name])
    }

    fn blob_key(&self, digest: &Digest) -> String {
        join(&[&self.settings.prefix, &self.settings.blobs_prefix, &digest.to_string()])
    }

    /// The URL of a blob, or of the container for an empty key.
    fn uri(&self, key: &str, query: &str) -> Result<Uri> {
        let base = self.settings.account_url.trim_end_matches('/');
        let slash = if key.is_empty() { "" } else { "/" };
        let mark = if query.is_empty() { "" } else { "?" };
        let container = escape::path(&self.settings.container);
        uri(&format!("{base}/{container}{slash}{}{mark}{query}", escape::path(key)))
    }

    /// Adds to a request's headers what lets it in now; `length` is that of its payload.
    fn let_in(
        &self,
        method: &Method,
        uri: Uri,
        mut headers: HeaderMap,
        length: u64,
    ) -> Result<(Uri, HeaderMap)> {
        headers.insert("x-ms-version", blocks::VERSION);
        headers.insert("x-ms-date", header_value(&http_date(SystemTime::now())));
        self.signer.sign(method.as_str(), &uri, &mut headers, length);
        Ok((uri, headers))
    }

    /// A request without a body.
    fn bare(&self, method: &Method, uri: &Uri, headers: HeaderMap) -> Result<Request<'static>> {
        let (uri, headers) = self.let_in(method, uri.clone(), headers, 0)?;
        Ok(Request { method: method.clone(), uri, headers, payload: Payload::Empty })
    }

    /// Sends a request without a body.
    fn send(&self, what: &str, method: &Method, uri: &Uri, limit: u64) -> Result<Reply> {
        self.service.send(what, limit, &|| self.bare(method, uri, HeaderMap::new()))
    }

    /// Makes the container where it is missing.
    fn ensure_container(&self) -> Result<()> {
        if self.container.get().is_some() {
            return Ok(());
        }
        let what = format!("make the container `{}`", self.settings.container);
        let at = self.uri("", "restype=container")?;
        match self.send(&what, &Method::PUT, &at, SHORT) {
            Ok(_) => {}
            Err(Error::Status { status: 409, .. }) => {}
            Err(error) => return Err(error),
        }
        let _ = self.container.set(());
        Ok(())
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
        for name in &self.settings.names {
            let key = self.document_key(name);
            match self.send(&format!("read `{key}`"), &Method::GET, &self.uri(&key, "")?, LARGEST_DOCUMENT) {
                Ok(reply) => documents.push(reply.body),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(documents)
    }

    fn put_document(&self, bytes: &[u8]) -> Result<()> {
        self.ensure_container()?;
        let body = Bytes::copy_from_slice(bytes);
        for name in &self.settings.names {
            let key = self.document_key(name);
            blocks::put_bytes(&self.service, &format!("write `{key}`"), &body, &|query, headers, length| {
                self.let_in(&Method::PUT, self.uri(&key, query)?, headers, length)
            })?;
        }
        Ok(())
    }

    fn blob(&self, blob: Blob, sink: &mut dyn Write, progress: &dyn Fn(u64)) -> Result<()> {
        let at = self.uri(&self.blob_key(&blob.digest), "")?;
        let make = |have: u64| {
            let mut headers = HeaderMap::new();
            if have > 0 {
                headers.insert(hyper::header::RANGE, header_value(&format!("bytes={have}-")));
            }
            self.bare(&Method::GET, &at, headers)
        };
        self.service.receive(&format!("read blob {}", blob.digest), blob, &make, sink, progress)
    }

    fn put_blob(&self, blob: Blob, open: Open<'_>, progress: &(dyn Fn(u64) + Sync)) -> Result<Put> {
        self.ensure_container()?;
        let key = self.blob_key(&blob.digest);
        let existed = || {
            progress(blob.size);
            Ok(Put::Existed)
        };
        match self.send(&format!("look for `{key}`"), &Method::HEAD, &self.uri(&key, "")?, SHORT) {
            Ok(_) => return existed(),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        let what = format!("write blob {}", blob.digest);
        let file = open().map_err(|source| Error::Local { what: what.clone(), source })?;
        // Whoever else writes it writes the same.
        let headers = HeaderMap::from_iter([(hyper::header::IF_NONE_MATCH, header_value("*"))]);
        let sent = blocks::put_file(
            &self.service,
            &what,
            (&file, blob.size),
            &headers,
            &|query, headers, length| self.let_in(&Method::PUT, self.uri(&key, query)?, headers, length),
            progress,
        );
        match sent {
            Ok(()) => Ok(Put::Sent),
            Err(Error::Status { status: 409, code, .. }) if code == "BlobAlreadyExists" => existed(),
            Err(error) => Err(error),
        }
    }
}

/// A time as HTTP writes it (RFC 9110, 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(time: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let text = timestamp::rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
    let day = DAYS[usize::try_from(seconds / 86_400 % 7).unwrap_or_default()];
    let month = text[5..7].parse().ok().and_then(|month: usize| MONTHS.get(month - 1)).unwrap_or(&"Jan");
    format!("{day}, {} {month} {} {} GMT", &text[8..10], &text[..4], &text[11..19])
}

/// Names with one slash between them; what is empty is left out.
fn join(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts
        .iter()
        .flat_map(|part| part.split('/'))
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_http_writes_them() {
        let text = "Sun, 06 Nov 1994 08:49:37 GMT";
        let seconds = u64::try_from(web::date::parse(text).unwrap()).unwrap();
        assert_eq!(http_date(UNIX_EPOCH + Duration::from_secs(seconds)), text);
    }

    #[test]
    fn names_of_blobs_and_of_the_store() {
        let settings = Settings {
            account_url: "http://127.0.0.1:1/acc/".to_owned(),
            account: "acc".to_owned(),
            key: Hidden::new("a2V5"),
            container: "c".to_owned(),
            prefix: "team/x/".to_owned(),
            blobs_prefix: "blobs".to_owned(),
            manifests_prefix: "manifests".to_owned(),
            names: vec!["main".to_owned()],
        };
        let store = Store::new(settings, Options::default()).unwrap();
        assert_eq!(store.name(), "azblob://127.0.0.1:1/acc/c/team/x/");
        assert_eq!(store.document_key("main"), "team/x/manifests/main");
        let at = store.uri(&store.blob_key(&Digest::of(b"")), "comp=block").unwrap();
        assert!(at.to_string().starts_with("http://127.0.0.1:1/acc/c/team/x/blobs/sha256%3Ae3b0"), "{at}");
        assert_eq!(store.uri("", "restype=container").unwrap(), "http://127.0.0.1:1/acc/c?restype=container");
    }
}
