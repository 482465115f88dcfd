//! Signatures of requests with an account's key ("Authorize with Shared Key", for the blob service):
//!
//! ```text
//! METHOD \n Content-Encoding \n Content-Language \n Content-Length, if not 0 \n Content-MD5 \n Content-Type \n Date \n
//! If-Modified-Since \n If-Match \n If-None-Match \n If-Unmodified-Since \n Range \n
//! x-ms-NAME:VALUE\n...  /ACCOUNT/PATH\nQUERY NAME:VALUE...
//! ```

use crate::service::header_value;
use crate::{Error, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use hyper::Uri;
use hyper::header::{AUTHORIZATION, HeaderMap};
use ring::hmac;
use session::Hidden;

/// The headers that have a line of their own, but for the length, which is third.
const HEADERS: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// An account and its key.
pub(super) struct Signer {
    account: String,
    key: hmac::Key,
}

impl Signer {
    pub(super) fn new(account: &str, key: &Hidden) -> Result<Self> {
        let bytes = BASE64.decode(key.expose().trim()).map_err(|_| Error::Setting {
            what: format!("the key of the storage account `{account}`"),
            reason: "it is not base64".to_owned(),
        })?;
        Ok(Self { account: account.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, &bytes) })
    }

    /// Adds the header that signs a request with the headers it has; `length` is that of its body.
    pub(super) fn sign(&self, method: &str, uri: &Uri, headers: &mut HeaderMap, length: u64) {
        let text = self.text(method, uri, headers, length);
        let signature = BASE64.encode(hmac::sign(&self.key, text.as_bytes()));
        let mut value = header_value(&format!("SharedKey {}:{signature}", self.account));
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }

    fn text(&self, method: &str, uri: &Uri, headers: &HeaderMap, length: u64) -> String {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut text = format!("{method}\n");
        for name in HEADERS {
            if name == "content-length" {
                text.push_str(&if length == 0 { String::new() } else { length.to_string() });
            } else {
                text.push_str(header(name));
            }
            text.push('\n');
        }
        let mut own: Vec<&str> = headers
            .keys()
            .map(hyper::header::HeaderName::as_str)
            .filter(|name| name.starts_with("x-ms-"))
            .collect();
        own.sort_unstable();
        for name in own {
            text.push_str(&format!("{name}:{}\n", header(name).trim()));
        }
        text.push_str(&format!("/{}{}", self.account, uri.path()));
        let mut query: Vec<(String, String)> = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_lowercase(), crate::escape::unescape(value)))
            .collect();
        query.sort_unstable();
        for (name, value) in query {
            text.push_str(&format!("\n{name}:{value}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed() {
        let signer = Signer::new("acc", &Hidden::new(BASE64.encode("key"))).unwrap();
        let uri: Uri =
            "https://acc.blob.core.windows.net/c/blobs/sha256%3A0?comp=block&blockid=MDA%3D".parse().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-ms-version", "2021-12-02"), ("x-ms-date", "D"), ("if-none-match", "*")] {
            headers.insert(name, header_value(value));
        }
        assert_eq!(
            signer.text("PUT", &uri, &headers, 7),
            "PUT\n\n\n7\n\n\n\n\n\n*\n\n\nx-ms-date:D\nx-ms-version:2021-12-02\n/acc/c/blobs/sha256%3A0\nblockid:MDA=\ncomp:block"
        );
        signer.sign("PUT", &uri, &mut headers, 7);
        assert!(headers[AUTHORIZATION].to_str().unwrap().starts_with("SharedKey acc:"));
        assert!(!format!("{headers:?}").contains("SharedKey"));
        assert!(Signer::new("acc", &Hidden::new("no base64!")).is_err());
    }
}
