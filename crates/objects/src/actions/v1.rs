//! The first version of the protocol:
//!
//! ```text
//! GET   _apis/artifactcache/cache?keys=KEY&version=V     {"cacheKey","archiveLocation"}, or nothing
//! POST  _apis/artifactcache/caches                       {"key","version"} -> {"cacheId"}
//! PATCH _apis/artifactcache/caches/ID                    a chunk, Content-Range: bytes 0-9/*
//! POST  _apis/artifactcache/caches/ID                    {"size"}
//! ```

use super::{Entry, Reserved, Source, Store};
use crate::parts::{self, Tally};
use crate::service::{Payload, Request, header_value, uri};
use crate::{Result, escape};
use hyper::Method;
use hyper::header::{self, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use std::ops::Range;

/// Chunks have this size.
const CHUNK: u64 = 32 << 20;
/// How many chunks of one entry are sent at once.
const PARALLEL: usize = 4;

impl Store {
    fn headers_v1(&self) -> HeaderMap {
        let mut headers = self.headers();
        let accept = HeaderValue::from_static("application/json;api-version=6.0-preview.1");
        headers.insert(header::ACCEPT, accept);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers
    }

    fn url_v1(&self, path: &str) -> Result<hyper::Uri> {
        self.url(&format!("_apis/artifactcache/{path}"))
    }

    pub(super) fn find_v1(&self, what: &str, key: &str) -> Result<Option<Entry>> {
        let query = format!("cache?keys={}&version={}", escape::value(key), self.entries);
        let at = self.url_v1(&query)?;
        let found = self.ask(what, &Method::GET, &at, &self.headers_v1(), None)?;
        let text = |name| found.as_ref().and_then(|found| found.get(name)?.as_str());
        match text("cacheKey").zip(text("archiveLocation")) {
            Some((key, url)) => Ok(Some(Entry { key: key.to_owned(), url: uri(url)? })),
            None => Ok(None),
        }
    }

    /// Gives the number of the entry.
    pub(super) fn reserve_v1(&self, what: &str, key: &str) -> Result<String> {
        let at = self.url_v1("caches")?;
        let body = json!({ "key": key, "version": self.entries });
        let made = self.ask(what, &Method::POST, &at, &self.headers_v1(), Some(&body))?;
        let id = made.as_ref().and_then(|made| made.get("cacheId").or_else(|| made.get("cacheID"))?.as_u64());
        let id =
            id.filter(|id| *id > 0).ok_or_else(|| self.protocol(what, &at, "sends no number of an entry"))?;
        Ok(id.to_string())
    }

    pub(super) fn fill_v1(
        &self,
        what: &str,
        reserved: &Reserved,
        source: Source<'_>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let at = self.url_v1(&format!("caches/{}", reserved.place))?;
        let mut headers = self.headers_v1();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let ranged = |range: &Range<u64>| {
            let mut headers = headers.clone();
            let text = format!("bytes {}-{}/*", range.start, range.end - 1);
            headers.insert(header::CONTENT_RANGE, header_value(&text));
            headers
        };
        let (method, service) = (Method::PATCH, &self.service);
        let size = match source {
            Source::Bytes(bytes) => {
                let whole = 0..bytes.len() as u64;
                service.send(what, super::SHORT, &|| {
                    let (headers, payload) = (ranged(&whole), Payload::Bytes(bytes.clone()));
                    Ok(Request { method: method.clone(), uri: at.clone(), headers, payload })
                })?;
                whole.end
            }
            Source::File(file, size) => {
                let tally = Tally::new(progress);
                parts::all(&parts::split(size, CHUNK, u64::MAX), PARALLEL, &|_, range| {
                    let tell = tally.part();
                    service.send(what, super::SHORT, &|| {
                        let headers = ranged(&range);
                        let payload = Payload::Part(file, range.clone(), &tell);
                        Ok(Request { method: method.clone(), uri: at.clone(), headers, payload })
                    })
                })?;
                size
            }
        };
        let body: Value = json!({ "size": size });
        self.ask(what, &Method::POST, &at, &self.headers_v1(), Some(&body))?;
        Ok(())
    }
}
