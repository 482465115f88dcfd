//! URLs as people write them, as requests need them.
//!
//! `https://[user[:password]@]host[:port]/path?query#fragment`: the fragment is not sent, user and password become a
//! header, and what no URL may have (spaces, umlauts) is written as `%XX`, as Go's client does it.

use crate::{Error, Result};
use base64::Engine as _;
use hyper::Uri;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// A URL, taken apart.
#[derive(Debug)]
pub(crate) struct Target {
    /// Without user, password and fragment.
    pub(crate) uri: Uri,
    /// `Basic ...` where there is a user.
    pub(crate) authorization: Option<String>,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let wrong = |reason: &str| Error::Url { url: redacted(url), reason: reason.to_owned() };
        let rest = url.split('#').next().unwrap_or_default();
        let (scheme, rest) = rest.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err(wrong("only http:// and https:// are fetched"));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        if place.is_empty() || place.starts_with(':') {
            return Err(wrong("it has no host"));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let uri = format!("{scheme}://{place}{slash}{}", encoded(path));
        let uri = uri.parse::<Uri>().map_err(|error| wrong(&error.to_string()))?;
        if uri.host().is_none() {
            return Err(wrong("it has no host"));
        }
        let authorization = user.map(of_user);
        Ok(Self { uri, authorization })
    }
}

/// The URL without what is secret in it: `xxxxx` in place of user and password, as BuildKit writes it. What is no URL
/// stays as it is.
#[must_use]
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let Some((user, place)) = authority.rsplit_once('@') else { return url.to_owned() };
    let user = match user.split_once(':') {
        Some(("", _)) => ":xxxxx",
        Some(_) => "xxxxx:xxxxx",
        None => "xxxxx",
    };
    format!("{scheme}://{user}@{place}{path}")
}

/// An HTTP URL without user and password, and the value of `Authorization` that stands for them. What is no HTTP URL, or
/// names no user, stays as it is.
#[must_use]
pub fn without_user(url: &str) -> (String, Option<String>) {
    let plain = || (url.to_owned(), None);
    let Some((scheme, rest)) = url.split_once("://") else { return plain() };
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return plain();
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((user, place)) => (format!("{scheme}://{place}{path}"), Some(of_user(user))),
        None => plain(),
    }
}

/// The value of `Authorization` for `user[:password]` as URLs have it.
fn of_user(user: &str) -> String {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    encode(&decoded(name), &decoded(password))
}

/// The value of `Authorization` for a user and a password (RFC 7617).
#[must_use]
pub fn basic(user: &str, password: &str) -> String {
    encode(user.as_bytes(), password.as_bytes())
}

fn encode(user: &[u8], password: &[u8]) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode([user, b":", password].concat()))
}

/// What a URL may not have as `%XX`.
fn encoded(text: &str) -> String {
    const NEVER: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'<')
        .add(b'>')
        .add(b'\\')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}');
    utf8_percent_encode(text, NEVER).to_string()
}

/// Replaces `%XX`.
pub(crate) fn decoded(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (url, uri, authorization) in [
            ("https://a.io", "https://a.io/", None),
            ("HTTP://a.io:80/x y?q=\u{fc}#part", "http://a.io:80/x%20y?q=%C3%BC", None),
            ("https://me:p%40ss@a.io/%7Ex", "https://a.io/%7Ex", Some("Basic bWU6cEBzcw==")),
            ("https://me@a.io?x", "https://a.io/?x", Some("Basic bWU6")),
            ("http://[::1]:8080/f", "http://[::1]:8080/f", None),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(target.uri.to_string(), uri);
            assert_eq!(target.authorization.as_deref(), authorization, "{url}");
        }
        for url in ["a.io/x", "ftp://a.io/", "https:///x", "http://:80/", "https://a b/"] {
            let error = Target::parse(url).unwrap_err();
            assert!(matches!(error, Error::Url { .. }), "{url}: {error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        for (url, shown) in [
            ("https://me:secret@a.io/x@y", "https://xxxxx:xxxxx@a.io/x@y"),
            ("https://token@a.io/x", "https://xxxxx@a.io/x"),
            ("https://:secret@a.io", "https://:xxxxx@a.io"),
            ("https://a.io/x@y", "https://a.io/x@y"),
            ("git@a.io:x", "git@a.io:x"),
        ] {
            assert_eq!(redacted(url), shown);
        }
        let error = Target::parse("ftp://me:secret@a.io/").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
