//! Signatures of requests: AWS Signature Version 4, in the `Authorization` header, for the service `s3`.
//!
//! ```text
//! canonical request = METHOD \n PATH \n SORTED QUERY \n name:value\n... \n SIGNED NAMES \n SHA256(BODY)
//! text to sign      = AWS4-HMAC-SHA256 \n TIME \n DATE/REGION/s3/aws4_request \n SHA256(canonical request)
//! key               = HMAC(HMAC(HMAC(HMAC("AWS4" + SECRET, DATE), REGION), "s3"), "aws4_request")
//! ```
//!
//! All headers of a request are signed, and the digest of its body with them, so nobody on the way can change either.

use super::Credentials;
use crate::service::header_value;
use hyper::Uri;
use hyper::header::{AUTHORIZATION, HeaderMap};
use oci::{Digest, timestamp};
use ring::hmac;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a signature is made with.
pub(super) struct Signer<'a> {
    pub(super) credentials: &'a Credentials,
    pub(super) region: &'a str,
    pub(super) now: SystemTime,
}

impl Signer<'_> {
    /// Adds the headers that sign a request with all the headers it has. The path and the query of `uri` are escaped as
    /// the signature wants them.
    pub(super) fn sign(&self, method: &str, uri: &Uri, headers: &mut HeaderMap, body: Digest) {
        let seconds = self.now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let text = timestamp::rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        let time: String = text.chars().filter(|c| !"-:".contains(*c)).collect();
        let date = time.split('T').next().unwrap_or_default();
        headers.insert("x-amz-date", header_value(&time));
        headers.insert("x-amz-content-sha256", header_value(&body.hex()));
        if let Some(token) = &self.credentials.session_token {
            let mut token = header_value(token.expose());
            token.set_sensitive(true);
            headers.insert("x-amz-security-token", token);
        }
        let (request, names) = canonical(method, uri, headers, body);
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", Digest::of(request.as_bytes()).hex());
        let secret = format!("AWS4{}", self.credentials.secret_access_key.expose());
        let parts = [date, self.region, "s3", "aws4_request"];
        let key = parts.iter().fold(secret.into_bytes(), |key, part| mac(&key, part));
        let mut signature = String::with_capacity(64);
        for byte in mac(&key, &text) {
            let _ = write!(signature, "{byte:02x}");
        }
        let id = &self.credentials.access_key_id;
        let mut value = header_value(&format!(
            "AWS4-HMAC-SHA256 Credential={id}/{scope},SignedHeaders={names},Signature={signature}"
        ));
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// The canonical request, and the names of the headers in it.
fn canonical(method: &str, uri: &Uri, headers: &HeaderMap, body: Digest) -> (String, String) {
    let mut query: Vec<&str> = uri.query().unwrap_or_default().split('&').filter(|q| !q.is_empty()).collect();
    query.sort_unstable();
    let query: Vec<String> = query
        .into_iter()
        .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
        .collect();
    let mut signed: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default().trim()))
        .collect();
    let host = host(uri);
    signed.push(("host", &host));
    signed.sort_unstable();
    let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let request = format!("{method}\n{}\n{}\n{lines}\n{names}\n{}", uri.path(), query.join("&"), body.hex());
    (request, names)
}

/// The `Host` header that a request to this URL has: the port is left out where it is the scheme's own.
fn host(uri: &Uri) -> String {
    let name = uri.host().unwrap_or_default();
    match (uri.scheme_str(), uri.port_u16()) {
        (_, None) | (Some("http"), Some(80)) | (Some("https"), Some(443)) => name.to_owned(),
        (_, Some(port)) => format!("{name}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;
    use session::Hidden;

    /// The examples of Amazon's "Signature Calculations for the Authorization Header" for S3.
    #[test]
    fn the_documented_examples() {
        let credentials = Credentials {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: Hidden::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            session_token: None,
        };
        let now = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let signer = Signer { credentials: &credentials, region: "us-east-1", now };
        let empty = Digest::of(b"");
        for (method, path, headers, body, signature) in [
            (
                "GET",
                "/test.txt",
                vec![("range", "bytes=0-9")],
                empty,
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                "PUT",
                "/test%24file.text",
                vec![
                    ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                    ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ],
                Digest::of(b"Welcome to Amazon S3."),
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
            (
                "GET",
                "/?lifecycle",
                vec![],
                empty,
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                "GET",
                "/?prefix=J&max-keys=2",
                vec![],
                empty,
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let uri: Uri = format!("https://examplebucket.s3.amazonaws.com:443{path}").parse().unwrap();
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(HeaderName::from_static(name), header_value(value));
            }
            signer.sign(method, &uri, &mut map, body);
            let value = map[AUTHORIZATION].to_str().unwrap();
            assert!(value.ends_with(&format!("Signature={signature}")), "{method} {path}: {value}");
        }
    }

    #[test]
    fn a_session_token_is_signed_and_nothing_is_shown() {
        let credentials = Credentials {
            access_key_id: "id".to_owned(),
            secret_access_key: Hidden::new("s3cr3t"),
            session_token: Some(Hidden::new("t0k3n")),
        };
        let signer = Signer { credentials: &credentials, region: "r", now: UNIX_EPOCH };
        let mut headers = HeaderMap::new();
        let uri: Uri = "http://127.0.0.1:9000/b/k".parse().unwrap();
        signer.sign("PUT", &uri, &mut headers, Digest::of(b""));
        let value = headers[AUTHORIZATION].to_str().unwrap();
        assert!(
            value.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"),
            "{value}"
        );
        let shown = format!("{headers:?} {credentials:?}");
        assert!(!shown.contains("s3cr3t") && !shown.contains("t0k3n"), "{shown}");
    }
}
