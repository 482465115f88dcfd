//! Package URLs of images (github.com/package-url/purl-spec, types `docker` and `oci`), escaped as BuildKit escapes them.
//!
//! ```text
//! pkg:docker/busybox@latest?platform=linux%2Famd64      pkg:docker/ghcr.io/foo/bar@v2
//! pkg:docker/localhost%3A5000/a?digest=sha256:...       the tag, if any, is the version; Docker's own prefix is left out
//! ```

use oci::{Platform, Reference};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// What kind of name an image has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name in a registry, or in a store as if it were in a registry.
    Docker,
    /// A name in an OCI layout.
    Oci,
}

/// The package URL of an image.
#[must_use]
pub fn image_url(kind: Kind, name: &Reference, platform: Option<&Platform>) -> String {
    let familiar = name.familiar_name();
    let mut parts: Vec<&str> = familiar.split('/').collect();
    let last = parts.pop().unwrap_or_default();
    let mut url = String::from(match kind {
        Kind::Docker => "pkg:docker/",
        Kind::Oci => "pkg:oci/",
    });
    for part in parts {
        url.extend(escaped(part));
        url.push('/');
    }
    url.extend(escaped(last));
    if let Some(tag) = name.tag() {
        url.push('@');
        url.push_str(tag);
    }
    let mut join = '?';
    if let Some(digest) = name.digest() {
        url.push_str(&format!("{join}digest={digest}"));
        join = '&';
    }
    if let Some(platform) = platform {
        url.push_str(&format!("{join}platform={}", escaped(&platform.normalised().to_string())));
    }
    url
}

/// Percent-encoding of everything but letters, digits and `-_.~`.
fn escaped(text: &str) -> PercentEncode<'_> {
    const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, PART)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_urls_as_buildkit_writes_them() {
        let digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let amd: Platform = "linux/x86_64".parse().unwrap();
        let arm: Platform = "linux/arm/v6".parse().unwrap();
        for (name, platform, url) in [
            ("alpine", None, "pkg:docker/alpine@latest".to_owned()),
            ("library/alpine:3.15", None, "pkg:docker/alpine@3.15".to_owned()),
            (&format!("alpine:3@{digest}"), None, format!("pkg:docker/alpine@3?digest={digest}")),
            ("user/test:v2", None, "pkg:docker/user/test@v2".to_owned()),
            ("ghcr.io/foo/bar:v2", None, "pkg:docker/ghcr.io/foo/bar@v2".to_owned()),
            ("busybox", Some(&amd), "pkg:docker/busybox@latest?platform=linux%2Famd64".to_owned()),
            (
                "localhost:5000/a",
                Some(&arm),
                "pkg:docker/localhost%3A5000/a@latest?platform=linux%2Farm%2Fv6".to_owned(),
            ),
            (
                &format!("busybox@{digest}"),
                Some(&amd),
                format!("pkg:docker/busybox?digest={digest}&platform=linux%2Famd64"),
            ),
        ] {
            assert_eq!(image_url(Kind::Docker, &name.parse().unwrap(), platform), url, "{name}");
        }
        assert_eq!(image_url(Kind::Oci, &"bases:1".parse().unwrap(), None), "pkg:oci/bases@1");
    }
}
