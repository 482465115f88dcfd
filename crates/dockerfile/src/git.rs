//! Git repositories as sources of ADD and as contexts.
//!
//! ```text
//! https://host/path.git[?query][#ref[:subdir]]     also http://; the path ends in .git
//! git://host/path[?query][#ref[:subdir]]           also ssh://
//! user@host:path[?query][#ref[:subdir]]
//! github.com/path[?query][#ref[:subdir]]           for contexts only: it may also be a folder
//!
//! query = key[=value]&...    ref tag branch commit checksum subdir keep-git-dir submodules mtime fetch-by-commit
//! ```
//!
//! URLs are read as Go reads them, for BuildKit does: what is no URL to Go is no repository here.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt;

/// A repository and what is wanted of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitUrl {
    /// The repository, as `git` takes it. User and password are in it where they were written.
    pub remote: String,
    /// A branch, a tag, a complete reference or a commit; empty where nothing was said.
    pub reference: String,
    /// The folder inside, without slashes at its ends; empty for all.
    pub subdir: String,
    /// The beginning of the commit's name.
    pub checksum: Option<String>,
    /// Whether `.git` is kept, where that was said.
    pub keep_git_dir: Option<bool>,
    /// Whether submodules are fetched, where that was said.
    pub submodules: Option<bool>,
    /// Whether files have the time of the commit, where that was said.
    pub commit_time: Option<bool>,
    /// Whether the commit that `checksum` names is fetched without asking what the reference is.
    pub fetch_by_commit: bool,
    /// Whether the text may also be the path of a folder: `github.com/...`.
    pub may_be_path: bool,
}

/// A repository that is asked for something wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitUrlError(String);

impl fmt::Display for GitUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GitUrlError {}

fn wrong<T>(message: impl Into<String>) -> Result<T, GitUrlError> {
    Err(GitUrlError(message.into()))
}

/// A source or a context as a repository; nothing where it is none.
///
/// # Errors
/// A query that says something unknown or contradicts itself.
pub fn parse(text: &str) -> Result<Option<GitUrl>, GitUrlError> {
    if text.starts_with("./") || text.starts_with("../") {
        return Ok(None);
    }
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    let scheme = scheme.filter(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric()));
    let parts = if let Some(rest) = text.strip_prefix("github.com/") {
        by_url("https", "https://github.com/".len(), &format!("https://github.com/{rest}"))
    } else if let Some(scheme) = scheme {
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "http" | "https" => by_url(&scheme, 0, text).filter(|parts| parts.path.ends_with(".git")),
            "git" | "ssh" => by_url(&scheme, 0, text),
            _ => None,
        }
    } else {
        by_scp(text)
    };
    let Some(parts) = parts else { return Ok(None) };
    let mut url =
        GitUrl { remote: parts.remote, may_be_path: text.starts_with("github.com/"), ..GitUrl::default() };
    let mut subdir = String::new();
    if let Some(fragment) = parts.fragment.filter(|fragment| !fragment.is_empty()) {
        let (reference, folder) = fragment.split_once(':').unwrap_or((&fragment, ""));
        reference.clone_into(&mut url.reference);
        subdir = clean(folder);
    }
    url.query(&parts.query, &mut subdir)?;
    url.subdir = clean(&subdir);
    if url.reference.starts_with('-') {
        return wrong(format!("the reference `{}` begins with a dash", url.reference));
    }
    Ok(Some(url))
}

/// A text taken apart: the repository, the path of it, the pairs of the query, the fragment.
struct Parts {
    remote: String,
    path: String,
    query: Vec<(String, String)>,
    fragment: Option<String>,
}

/// A URL with a scheme; nothing where Go does not take it for one. The host may not end before `known` bytes.
fn by_url(scheme: &str, known: usize, text: &str) -> Option<Parts> {
    if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return None;
    }
    let (rest, fragment) = match text.split_once('#') {
        Some((rest, fragment)) => (rest, Some(unescape(fragment, false)?)),
        None => (text, None),
    };
    let (rest, query) = match rest.split_once('?') {
        // Go keeps a question mark that nothing follows.
        Some((rest, "")) => (rest, None),
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let forced =
        if query.is_none() && text.split('#').next().is_some_and(|t| t.ends_with('?')) { "?" } else { "" };
    let (_, rest) = rest.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if known == 0 && !is_authority(authority) {
        return None;
    }
    let plain = unescape(path, false)?;
    let shown = if is_encoded(path) { path.to_owned() } else { escape(&plain) };
    Some(Parts {
        remote: format!("{scheme}://{authority}{shown}{forced}"),
        path: plain,
        query: query.map(pairs).unwrap_or_default(),
        fragment,
    })
}

/// `user@host:path[?query][#fragment]`.
fn by_scp(text: &str) -> Option<Parts> {
    let (user, rest) = text.split_once('@')?;
    let (host, rest) = rest.split_once(':')?;
    let word = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    if !word(user, b"-_") || !word(host, b"-.") || text.contains('\n') {
        return None;
    }
    let (path, query, fragment) = match rest.find(['?', '#']) {
        None => (rest, "", None),
        Some(at) if rest[at..].starts_with('#') => (&rest[..at], "", Some(&rest[at + 1..])),
        Some(at) => match rest[at + 1..].split_once('#') {
            Some((query, fragment)) => (&rest[..at], query, Some(fragment)),
            None => (&rest[..at], &rest[at + 1..], None),
        },
    };
    // Here a query that cannot be read makes it no repository, as BuildKit has it.
    let readable = query.split('&').all(|pair| pair.is_empty() || read_pair(pair).is_some());
    readable.then(|| Parts {
        remote: format!("{user}@{host}:{path}"),
        path: path.to_owned(),
        query: pairs(query),
        fragment: fragment.map(str::to_owned),
    })
}

impl GitUrl {
    fn query(&mut self, query: &[(String, String)], subdir: &mut String) -> Result<(), GitUrlError> {
        let (mut tag, mut branch) = (None, None);
        for (at, (key, value)) in query.iter().enumerate() {
            if query[..at].iter().any(|(other, _)| other == key) {
                return wrong(format!("`{key}` is said twice"));
            }
            let switch = || match value.as_str() {
                "" | "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
                "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
                other => wrong(format!("`{key}={other}` is neither true nor false")),
            };
            if value.is_empty() && !matches!(key.as_str(), "keep-git-dir" | "submodules" | "fetch-by-commit")
            {
                return wrong(format!("`{key}` has no value"));
            }
            match key.as_str() {
                "ref" => agree("reference", &mut self.reference, value)?,
                "tag" => tag = Some(prefixed("refs/tags/", value)),
                "branch" => branch = Some(prefixed("refs/heads/", value)),
                "subdir" => agree("subdir", subdir, value)?,
                "checksum" | "commit" => self.checksum = Some(value.clone()),
                "keep-git-dir" => self.keep_git_dir = Some(switch()?),
                "submodules" => self.submodules = Some(switch()?),
                "fetch-by-commit" => self.fetch_by_commit = switch()?,
                "mtime" => match value.as_str() {
                    "commit" => self.commit_time = Some(true),
                    "checkout" => self.commit_time = Some(false),
                    other => return wrong(format!("`mtime={other}` is neither `checkout` nor `commit`")),
                },
                other => return wrong(format!("`{other}` is nothing that can be said of a repository")),
            }
        }
        if tag.is_some() && branch.is_some() {
            return wrong("it asks for a tag and for a branch");
        }
        match tag.or(branch) {
            Some(reference) => agree("reference", &mut self.reference, &reference),
            None => Ok(()),
        }
    }
}

fn agree(what: &str, place: &mut String, value: &str) -> Result<(), GitUrlError> {
    if !place.is_empty() && *place != value {
        return wrong(format!("it names two values for the {what}: `{place}` and `{value}`"));
    }
    value.clone_into(place);
    Ok(())
}

fn prefixed(prefix: &str, name: &str) -> String {
    if name.starts_with(prefix) { name.to_owned() } else { format!("{prefix}{name}") }
}

/// A path without `.`, `..`, doubled and outer slashes.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// `[user[:password]@]host[:port]` as Go has it.
fn is_authority(authority: &str) -> bool {
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (user, place),
        None => ("", authority),
    };
    let in_user = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
    if !user.bytes().all(in_user) || unescape(user, false).is_none() {
        return false;
    }
    let port = match place.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((_, port)) => port,
            None => return false,
        },
        None => place.find(':').map_or("", |at| &place[at..]),
    };
    let is_port =
        port.is_empty() || port.strip_prefix(':').is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()));
    let in_host =
        |b: u8| !b.is_ascii() || b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]<>\"%".contains(&b);
    is_port && place.bytes().all(in_host)
}

/// The pairs of a query; what cannot be read is passed over.
fn pairs(query: &str) -> Vec<(String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).filter_map(read_pair).collect()
}

fn read_pair(pair: &str) -> Option<(String, String)> {
    if pair.contains(';') {
        return None;
    }
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    Some((unescape(key, true)?, unescape(value, true)?))
}

/// Replaces `%XX`, and `+` by a space where that is meant. Nothing for a `%` that no two digits follow.
fn unescape(text: &str, plus: bool) -> Option<String> {
    let whole =
        |rest: &str| rest.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(whole) {
        return None;
    }
    let text = if plus { text.replace('+', " ") } else { text.to_owned() };
    Some(percent_decode_str(&text).decode_utf8_lossy().into_owned())
}

/// Whether a path can stand in a URL as it is.
fn is_encoded(path: &str) -> bool {
    path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:@[]%/".contains(&b))
}

/// As Go escapes the path of a URL.
fn escape(path: &str) -> String {
    const PATH: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b'$')
        .remove(b'&')
        .remove(b'+')
        .remove(b',')
        .remove(b'/')
        .remove(b':')
        .remove(b';')
        .remove(b'=')
        .remove(b'@');
    utf8_percent_encode(path, PATH).to_string()
}

#[cfg(test)]
mod tests;
