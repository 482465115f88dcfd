//! Azure's block blobs (Put Blob, Put Block, Put Block List), for whoever knows how a request is let in: GitHub's signed
//! URLs lead to such blobs, too.
//!
//! ```text
//! PUT URL                              x-ms-blob-type: BlockBlob     the whole blob
//! PUT URL comp=block&blockid=ID        a block
//! PUT URL comp=blocklist               <BlockList><Latest>ID</Latest>...</BlockList>
//! ```

use crate::parts::{self, Tally};
use crate::service::{Payload, Reply, Request, Service};
use crate::{Result, escape};
use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use std::fs::File;

/// The version of the protocol that is spoken.
pub(crate) const VERSION: HeaderValue = HeaderValue::from_static("2021-12-02");
/// Blocks have this size, or more where there would be too many.
const BLOCK: u64 = 32 << 20;
/// The most blocks that a blob may have.
const MOST_BLOCKS: u64 = 50_000;
/// How many blocks of one blob are sent at once.
const PARALLEL: usize = 4;
/// Answers are not longer.
const SHORT: u64 = 1 << 20;

/// Where a blob goes: the URL of a PUT with more in its query, and the headers that let it in, added to its own; it is
/// told how many bytes are sent.
pub(crate) type Target<'a> = &'a (dyn Fn(&str, HeaderMap, u64) -> Result<(Uri, HeaderMap)> + Sync);

/// One try to send a payload of so many bytes.
fn put<'a>(
    target: Target<'_>,
    query: &str,
    headers: &HeaderMap,
    payload: Payload<'a>,
    length: u64,
) -> Result<Request<'a>> {
    let (uri, headers) = target(query, headers.clone(), length)?;
    Ok(Request { method: Method::PUT, uri, headers, payload })
}

/// Sends a blob out of a file. `headers` go with the request that makes it appear.
pub(crate) fn put_file(
    service: &Service,
    what: &str,
    (file, size): (&File, u64),
    headers: &HeaderMap,
    target: Target<'_>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    if size <= BLOCK {
        let headers = whole(headers);
        service.send(what, SHORT, &|| {
            let payload = Payload::Part(file, 0..size, progress);
            put(target, "", &headers, payload, size)
        })?;
        return Ok(());
    }
    let tally = Tally::new(progress);
    let ids = parts::all(&parts::split(size, BLOCK, MOST_BLOCKS), PARALLEL, &|number, part| {
        let (id, tell) = (id(number), tally.part());
        let (query, size) = (format!("comp=block&blockid={}", escape::value(&id)), part.end - part.start);
        service.send(what, SHORT, &|| {
            let payload = Payload::Part(file, part.clone(), &tell);
            put(target, &query, &HeaderMap::new(), payload, size)
        })?;
        Ok(id)
    })?;
    let list = Bytes::from(list(&ids));
    send(service, what, "comp=blocklist", headers, &list, target)?;
    Ok(())
}

/// Sends a small blob; one that is there is replaced.
pub(crate) fn put_bytes(service: &Service, what: &str, bytes: &Bytes, target: Target<'_>) -> Result<()> {
    send(service, what, "", &whole(&HeaderMap::new()), bytes, target)?;
    Ok(())
}

fn send(
    service: &Service,
    what: &str,
    query: &str,
    headers: &HeaderMap,
    bytes: &Bytes,
    target: Target<'_>,
) -> Result<Reply> {
    service
        .send(what, SHORT, &|| put(target, query, headers, Payload::Bytes(bytes.clone()), bytes.len() as u64))
}

/// The headers of a request that sends a whole blob.
fn whole(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.insert("x-ms-blob-type", HeaderValue::from_static("BlockBlob"));
    headers
}

/// The name of a block: base64, and all of one length.
fn id(number: usize) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("{number:09}"))
}

fn list(ids: &[String]) -> String {
    let ids: String = ids.iter().map(|id| format!("<Latest>{id}</Latest>")).collect();
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{ids}</BlockList>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_names_of_one_length() {
        assert_eq!(id(1), "MDAwMDAwMDAx");
        assert_eq!(id(1).len(), id(50_000).len());
        let list = list(&[id(1), id(2)]);
        assert!(
            list.ends_with(
                "<BlockList><Latest>MDAwMDAwMDAx</Latest><Latest>MDAwMDAwMDAy</Latest></BlockList>"
            )
        );
    }
}
