//! The second version of the protocol: Twirp (POST of JSON) for keys, and signed URLs of Azure's blobs for bytes:
//!
//! ```text
//! twirp/github.actions.results.api.v1.CacheService/
//!   GetCacheEntryDownloadURL   {"key","restore_keys","version"} -> {"ok","signed_download_url","matched_key"}
//!   CreateCacheEntry           {"key","version"}                -> {"ok","signed_upload_url"}
//!   FinalizeCacheEntryUpload   {"key","size_bytes","version"}   -> {"ok","entry_id"}
//! ```

use super::{Entry, Reserved, Source, Store};
use crate::service::uri;
use crate::{Result, blocks};
use hyper::Method;
use hyper::header::{self, HeaderMap, HeaderValue};
use serde_json::{Value, json};

impl Store {
    /// Calls a method of the service; its answer where that says `ok`.
    fn call(&self, what: &str, method: &str, body: &Value) -> Result<Option<Value>> {
        let at = self.url(&format!("twirp/github.actions.results.api.v1.CacheService/{method}"))?;
        let mut headers = self.headers();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.ask(what, &Method::POST, &at, &headers, Some(body))?;
        Ok(answer.filter(|answer| answer.get("ok").and_then(Value::as_bool) == Some(true)))
    }

    fn refused(&self, what: &str, reason: &str) -> crate::Error {
        match self.url("") {
            Ok(at) => self.protocol(what, &at, reason),
            Err(error) => error,
        }
    }

    pub(super) fn find_v2(&self, what: &str, key: &str) -> Result<Option<Entry>> {
        let body = json!({ "key": key, "restore_keys": [key], "version": self.entries });
        let Some(found) = self.call(what, "GetCacheEntryDownloadURL", &body)? else { return Ok(None) };
        let text = |name| found.get(name).and_then(Value::as_str);
        let url =
            text("signed_download_url").ok_or_else(|| self.refused(what, "sends no URL of the entry"))?;
        let key = text("matched_key").unwrap_or_default().to_owned();
        Ok(Some(Entry { key, url: uri(url)? }))
    }

    /// Gives the URL that the bytes go to.
    pub(super) fn reserve_v2(&self, what: &str, key: &str) -> Result<String> {
        let body = json!({ "key": key, "version": self.entries });
        let made = self.call(what, "CreateCacheEntry", &body)?;
        let url = made.as_ref().and_then(|made| made.get("signed_upload_url")?.as_str());
        url.map(str::to_owned).ok_or_else(|| self.refused(what, "takes no such entry"))
    }

    pub(super) fn fill_v2(
        &self,
        what: &str,
        reserved: &Reserved,
        source: Source<'_>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let target = |query: &str, mut headers: HeaderMap, _| {
            let separator = if reserved.place.contains('?') { "&" } else { "?" };
            let separator = if query.is_empty() { "" } else { separator };
            headers.insert("x-ms-version", blocks::VERSION);
            Ok((uri(&format!("{}{separator}{query}", reserved.place))?, headers))
        };
        let size = match source {
            Source::Bytes(bytes) => {
                blocks::put_bytes(&self.service, what, bytes, &target)?;
                bytes.len() as u64
            }
            Source::File(file, size) => {
                blocks::put_file(&self.service, what, (file, size), &HeaderMap::new(), &target, progress)?;
                size
            }
        };
        let body = json!({ "key": reserved.key, "size_bytes": size, "version": self.entries });
        match self.call(what, "FinalizeCacheEntryUpload", &body)? {
            Some(_) => Ok(()),
            None => Err(self.refused(what, "did not commit the entry")),
        }
    }
}
