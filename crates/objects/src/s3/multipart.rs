//! Large objects in parts.
//!
//! ```text
//! POST  KEY?uploads                              gives an UploadId
//! PUT   KEY?partNumber=N&uploadId=ID             a part, or a range of another object; gives an ETag
//! POST  KEY?uploadId=ID   <CompleteMultipartUpload>...
//! DELETE KEY?uploadId=ID                         after a failure, so that nobody pays for the parts
//! ```

use super::{SHORT, Store};
use crate::parts::{self, Tally};
use crate::service::{Payload, header_value};
use crate::{Blob, Error, Result, escape, xml};
use bytes::Bytes;
use hyper::Method;
use hyper::header::HeaderMap;
use oci::Hasher;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// An object of this size or more cannot be copied in one piece: 5 GiB.
pub(super) const LARGEST_COPY: u64 = 5 << 30;
/// Parts have this size, or more where there would be too many.
const PART: u64 = 32 << 20;
/// The most parts that an object may have.
const MOST_PARTS: u64 = 10_000;
/// How many parts of one object are sent at once.
const PARALLEL: usize = 4;

impl Store {
    /// Sends an object in parts.
    pub(super) fn put_parts(
        &self,
        what: &str,
        key: &str,
        blob: Blob,
        file: &File,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let parts = parts::split(blob.size, PART, MOST_PARTS);
        let tally = Tally::new(progress);
        self.in_parts(what, key, &parts, PARALLEL, &|query, part| {
            let uri = self.uri(key, query)?;
            let digest =
                digest(file, &part).map_err(|source| Error::Local { what: what.to_owned(), source })?;
            let tell = tally.part();
            let reply = self.send(what, SHORT, &|| {
                let payload = Payload::Part(file, part.clone(), &tell);
                Ok(self.signed(Method::PUT, &uri, HeaderMap::new(), payload, digest))
            })?;
            Ok(reply.header("etag").to_owned())
        })
    }

    /// Writes an object anew that is too large to be copied onto itself in one piece.
    pub(super) fn copy_in_parts(&self, what: &str, key: &str, size: u64) -> Result<()> {
        // Ranges are copied without passing through here, so they may be as large as the service allows.
        let parts = parts::split(size, LARGEST_COPY / 2, MOST_PARTS);
        self.in_parts(what, key, &parts, 1, &|query, part| {
            let mut headers = self.copy_source(key);
            let range = format!("bytes={}-{}", part.start, part.end - 1);
            headers.insert("x-amz-copy-source-range", header_value(&range));
            let reply = self.small(what, &Method::PUT, &self.uri(key, query)?, &headers, &Bytes::new())?;
            self.check_copied(what, &reply)?;
            Ok(xml::text(&reply.text(), "ETag").unwrap_or_default())
        })
    }

    /// Begins an upload, does each part by `put`, which is given the part's query and gives its ETag, and completes it.
    fn in_parts(
        &self,
        what: &str,
        key: &str,
        parts: &[Range<u64>],
        parallel: usize,
        put: &(dyn Fn(&str, Range<u64>) -> Result<String> + Sync),
    ) -> Result<()> {
        let post = |query: &str, body: &Bytes| {
            self.small(what, &Method::POST, &self.uri(key, query)?, &HeaderMap::new(), body)
        };
        let begun = post("?uploads", &Bytes::new())?;
        let id = xml::text(&begun.text(), "UploadId")
            .ok_or_else(|| self.protocol(what, "began an upload without an id".to_owned()))?;
        let id = escape::value(&id);
        let done = parts::all(parts, parallel, &|number, part| {
            put(&format!("?partNumber={number}&uploadId={id}"), part)
        })
        .and_then(|tags| {
            let body = Bytes::from(completion(&tags));
            let reply = post(&format!("?uploadId={id}"), &body)?;
            self.check_copied(what, &reply)
        });
        if done.is_err()
            && let Ok(uri) = self.uri(key, &format!("?uploadId={id}"))
        {
            // The first error is the telling one.
            let _ = self.small(what, &Method::DELETE, &uri, &HeaderMap::new(), &Bytes::new());
        }
        done
    }
}

fn completion(tags: &[String]) -> String {
    let parts: String = tags
        .iter()
        .enumerate()
        .map(|(at, tag)| {
            let tag = tag.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            format!("<Part><ETag>{tag}</ETag><PartNumber>{}</PartNumber></Part>", at + 1)
        })
        .collect();
    format!(
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{parts}</CompleteMultipartUpload>"
    )
}

/// The digest of a part of a file.
fn digest(file: &File, part: &Range<u64>) -> std::io::Result<oci::Digest> {
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 1 << 20]);
    let mut at = part.start;
    while at < part.end {
        let count = usize::try_from((part.end - at).min(buffer.len() as u64)).unwrap_or_default();
        file.read_exact_at(&mut buffer[..count], at)?;
        hasher.update(&buffer[..count]);
        at += count as u64;
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_completion_names_each_part() {
        let text = completion(&["\"a\"".to_owned(), "b".to_owned()]);
        assert!(text.contains("<Part><ETag>&quot;a&quot;</ETag><PartNumber>1</PartNumber></Part>"), "{text}");
        assert!(text.contains("<PartNumber>2</PartNumber>"));
    }
}
