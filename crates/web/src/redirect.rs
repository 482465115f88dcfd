//! `Location` headers: relative references against the URL that sent them (RFC 3986, 5.2), and who shares an origin.

use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{StatusCode, Uri};

/// Whether the answer says to ask elsewhere.
#[must_use]
pub fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The URL that `location` means in an answer from `base`; nothing where it is none.
#[must_use]
pub fn join(base: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next().unwrap_or_default();
    if location.contains("://") && location.find("://") < location.find(['/', '?']) {
        let uri: Uri = location.parse().ok()?;
        return matches!(uri.scheme_str(), Some("http" | "https")).then_some(uri);
    }
    let (scheme, authority) = (base.scheme()?.clone(), base.authority()?.clone());
    if let Some(rest) = location.strip_prefix("//") {
        return format!("{scheme}://{rest}").parse().ok();
    }
    let text = if location.starts_with('/') {
        location.to_owned()
    } else if location.starts_with('?') {
        format!("{}{location}", base.path())
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/{location}")
    };
    build(scheme, authority, text.parse().ok()?)
}

fn build(scheme: Scheme, authority: Authority, path: PathAndQuery) -> Option<Uri> {
    Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok()
}

/// Whether credentials for `first` may go to `second`: the same scheme, host and port.
#[must_use]
pub fn same_origin(first: &Uri, second: &Uri) -> bool {
    let port = |uri: &Uri| uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    let host = |uri: &Uri| uri.host().unwrap_or_default().to_ascii_lowercase();
    first.scheme() == second.scheme() && host(first) == host(second) && port(first) == port(second)
}

/// A registry behind a proxy that ends TLS often writes `http://` about itself: then our scheme counts.
#[must_use]
pub fn keep_scheme(base: &Uri, uri: Uri) -> Uri {
    let downgraded = base.scheme_str() == Some("https") && uri.scheme_str() == Some("http");
    if downgraded && base.authority() == uri.authority() {
        let parts = (base.scheme().cloned(), base.authority().cloned(), uri.path_and_query().cloned());
        if let (Some(scheme), Some(authority), Some(path)) = parts
            && let Some(same) = build(scheme, authority, path)
        {
            return same;
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved() {
        let base: Uri = "https://r.io:5000/v2/a/blobs/x?y=1".parse().unwrap();
        for (location, expected) in [
            ("https://cdn.io/z?sig=%2F", Some("https://cdn.io/z?sig=%2F")),
            ("//cdn.io/z", Some("https://cdn.io/z")),
            ("/v2/b?next=https://c", Some("https://r.io:5000/v2/b?next=https://c")),
            ("z", Some("https://r.io:5000/v2/a/blobs/z")),
            ("?q=1", Some("https://r.io:5000/v2/a/blobs/x?q=1")),
            ("file:///etc/passwd", None),
            ("/a b", None),
        ] {
            assert_eq!(join(&base, location).map(|uri| uri.to_string()).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn origins_are_compared_whole() {
        let same = |a: &str, b: &str| same_origin(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(same("https://a.io/x", "https://A.io:443/y"));
        assert!(!same("https://a.io/", "http://a.io/"));
        assert!(!same("https://a.io/", "https://a.io:8443/"));
        assert!(!same("https://a.io/", "https://b.a.io/"));
    }

    #[test]
    fn a_registry_does_not_talk_itself_out_of_tls() {
        let base: Uri = "https://r.io/v2/".parse().unwrap();
        let kept = |uri: &str| keep_scheme(&base, uri.parse().unwrap()).to_string();
        assert_eq!(kept("http://r.io/v2/up?x=1"), "https://r.io/v2/up?x=1");
        assert_eq!(kept("http://other.io/v2/up"), "http://other.io/v2/up");
    }
}
