//! Image names: `[host/]path[:tag][@digest]`, completed as Docker does: `ubuntu` is
//! `docker.io/library/ubuntu:latest` (the grammar is that of the `distribution/reference` project).

use crate::{Digest, Error, Result};
use std::fmt;
use std::str::FromStr;

const DEFAULT_HOST: &str = "docker.io";
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// A complete image name. With tag and digest the digest decides what is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    host: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry's host, with its port where one was given: `docker.io`, `localhost:5000`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository within the registry: `library/ubuntu`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Host and repository: `docker.io/library/ubuntu`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// The tag, if the name has one; `latest` was filled in where there was neither tag nor digest.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the name has one.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same repository, pinned to `digest` and without a tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same repository with another tag and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self> {
        check_tag(tag).map_err(|reason| Error::Reference { text: format!("{self}:{tag}"), reason })?;
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same image in another host, as mirrors serve it.
    #[must_use]
    pub fn with_host(&self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self.clone() }
    }

    /// The name as people write it: `ubuntu:22.04` for `docker.io/library/ubuntu:22.04`.
    #[must_use]
    pub fn familiar(&self) -> String {
        let mut text = self.familiar_name();
        self.push_suffix(&mut text);
        text
    }

    /// The repository as people write it: `ubuntu` for `docker.io/library/ubuntu`.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if self.host != DEFAULT_HOST {
            return self.name();
        }
        match self.path.strip_prefix("library/") {
            Some(short) if !short.contains('/') => short.to_owned(),
            _ => self.path.clone(),
        }
    }

    fn push_suffix(&self, text: &mut String) {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.name();
        self.push_suffix(&mut text);
        f.write_str(&text)
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |reason| Error::Reference { text: text.to_owned(), reason };
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        // A colon after the last slash starts a tag; one before it belongs to the host's port.
        let (rest, tag) = match rest.rfind(':') {
            Some(at) if !rest[at..].contains('/') => (&rest[..at], Some(&rest[at + 1..])),
            _ => (rest, None),
        };
        if let Some(tag) = tag {
            check_tag(tag).map_err(wrong)?;
        }
        let is_host = |part: &str| {
            part.contains(['.', ':']) || part == "localhost" || part.chars().any(|c| c.is_ascii_uppercase())
        };
        let (host, path) = match rest.split_once('/') {
            Some((first, path)) if is_host(first) => (first, path.to_owned()),
            Some(_) => (DEFAULT_HOST, rest.to_owned()),
            None => (DEFAULT_HOST, format!("library/{rest}")),
        };
        let host =
            if host == "index.docker.io" || host == "registry-1.docker.io" { DEFAULT_HOST } else { host };
        let path = if host == DEFAULT_HOST && !path.contains('/') { format!("library/{path}") } else { path };
        check_host(host).map_err(wrong)?;
        if rest.chars().any(|c| c.is_ascii_uppercase()) && path.chars().any(|c| c.is_ascii_uppercase()) {
            return Err(wrong("a repository name is in lower case"));
        }
        check_path(&path).map_err(wrong)?;
        if rest.len() == 64 && rest.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong("64 hexadecimal digits are an image id, not a name"));
        }
        if host.len() + 1 + path.len() > LONGEST_NAME {
            return Err(wrong("a name has at most 255 characters"));
        }
        let tag = match (tag, digest) {
            (None, None) => Some("latest".to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(Self { host: host.to_owned(), path, tag, digest })
    }
}

fn check_tag(tag: &str) -> std::result::Result<(), &'static str> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if tag.is_empty() || tag.len() > LONGEST_TAG || !tag.chars().all(legal) || tag.starts_with(['.', '-']) {
        return Err(
            "a tag has 1 to 128 letters, digits, `_`, `.` and `-`, and starts with none of the last two",
        );
    }
    Ok(())
}

fn check_host(host: &str) -> std::result::Result<(), &'static str> {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            if address.is_empty() || !address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.')
            {
                return Err("an IPv6 host in brackets has hexadecimal digits and colons");
            }
            (None, port.strip_prefix(':'))
        }
        None => match host.split_once(':') {
            Some((name, port)) => (Some(name), Some(port)),
            None => (Some(host), None),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.is_some_and(|name| !name.split('.').all(label)) {
        return Err("its host is not a domain name or an address");
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("its host's port is not a number of 1 to 65535");
    }
    Ok(())
}

fn check_path(path: &str) -> std::result::Result<(), &'static str> {
    const REASON: &str =
        "a repository has lower-case letters and digits, separated by `/`, `.`, `_`, `__` or dashes";
    for part in path.split('/') {
        let bytes = part.as_bytes();
        let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if !bytes.first().is_some_and(|b| alphanumeric(*b)) || !bytes.last().is_some_and(|b| alphanumeric(*b))
        {
            return Err(REASON);
        }
        let mut at = 0;
        while at < bytes.len() {
            if alphanumeric(bytes[at]) {
                at += 1;
                continue;
            }
            let start = at;
            while at < bytes.len() && !alphanumeric(bytes[at]) {
                at += 1;
            }
            let separator = &bytes[start..at];
            if !matches!(separator, b"." | b"_" | b"__") && !separator.iter().all(|b| *b == b'-') {
                return Err(REASON);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_are_completed_as_docker_does() {
        for (text, full, familiar) in [
            ("ubuntu", "docker.io/library/ubuntu:latest", "ubuntu:latest"),
            ("node:22-alpine", "docker.io/library/node:22-alpine", "node:22-alpine"),
            ("me/app", "docker.io/me/app:latest", "me/app:latest"),
            ("docker.io/app", "docker.io/library/app:latest", "app:latest"),
            ("index.docker.io/library/a:1", "docker.io/library/a:1", "a:1"),
            ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
            ("localhost:5000/a/b:x", "localhost:5000/a/b:x", "localhost:5000/a/b:x"),
            ("Host/app", "Host/app:latest", "Host/app:latest"),
            (
                "gcr.io/distroless/nodejs22-debian12",
                "gcr.io/distroless/nodejs22-debian12:latest",
                "gcr.io/distroless/nodejs22-debian12:latest",
            ),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
        ] {
            let name: Reference = text.parse().unwrap();
            assert_eq!(name.to_string(), full);
            assert_eq!(name.familiar(), familiar);
            assert_eq!(name.to_string().parse::<Reference>().unwrap(), name);
        }
        let pinned: Reference = format!("a:1@sha256:{HEX}").parse().unwrap();
        assert_eq!((pinned.tag(), pinned.digest().unwrap().hex().as_str()), (Some("1"), HEX));
        assert_eq!(format!("a@sha256:{HEX}").parse::<Reference>().unwrap().tag(), None);
    }

    #[test]
    fn what_is_no_name_is_refused_by_name() {
        for text in [
            "",
            "UPPER",
            "a/B",
            "a:",
            "a b",
            "-a",
            "a..b",
            "a___b",
            "a//b",
            "/a",
            "a/",
            HEX,
            "a@sha256:1",
            "h:99999/a",
            ":5000/a",
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(!error.is_empty(), "{text}");
        }
    }
}
