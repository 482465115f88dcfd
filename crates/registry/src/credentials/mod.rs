//! Whose credentials go to which registry.
//!
//! Asked in order: what was given outright, then each file. In a file the most specific name decides: for `host/a/b`
//! the keys `host/a/b`, `host/a`, `host`. For each: `credHelpers` (a program by host), `auths`; at last `credsStore`
//! (a program for all).
//!
//! ```json
//! {
//!   "auths": {
//!     "https://index.docker.io/v1/": { "auth": "BASE64(user:password)" },
//!     "registry.example.com/team":   { "auth": "...", "identitytoken": "..." }
//!   },
//!   "credHelpers": { "gcr.io": "gcloud" },
//!   "credsStore": "pass"
//! }
//! ```

mod helper;
mod store;

pub use store::{Stored, erase, store};

use crate::{Error, Result};
use base64::Engine as _;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Docker Hub's key in Docker's files and helpers.
pub const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// A credentials file is not larger.
const LONGEST_FILE: u64 = 16 << 20;

/// What proves who we are.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user and a password or access token.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// What a token server exchanges for tokens (Docker's `identitytoken`).
    Identity {
        /// The user, or empty.
        user: String,
        /// The token.
        token: String,
    },
    /// A token to send as it is (Docker's `registrytoken`).
    Bearer {
        /// The token.
        token: String,
    },
}

impl Credential {
    /// The user, as far as one is named.
    #[must_use]
    pub fn user(&self) -> &str {
        match self {
            Self::Basic { user, .. } | Self::Identity { user, .. } => user,
            Self::Bearer { .. } => "",
        }
    }

    /// The value of `Authorization` for HTTP Basic, where these credentials can make one.
    pub(crate) fn basic(&self) -> Option<String> {
        match self {
            Self::Basic { user, password } => Some(crate::auth::basic(user, password)),
            Self::Identity { .. } | Self::Bearer { .. } => None,
        }
    }
}

/// Secrets are not shown.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, user) = match self {
            Self::Basic { user, .. } => ("Basic", user.as_str()),
            Self::Identity { user, .. } => ("Identity", user.as_str()),
            Self::Bearer { .. } => ("Bearer", ""),
        };
        f.debug_struct(kind).field("user", &user).finish_non_exhaustive()
    }
}

/// Where credentials come from.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// By `host[:port][/path]`: goes before all else.
    pub explicit: BTreeMap<String, Credential>,
    /// The text of a credentials file (`DOCKER_AUTH_CONFIG`): goes before the files.
    pub inline: Option<Inline>,
    /// Containers' `auth.json` and Docker's `config.json` files, in order; a missing one is passed over.
    pub files: Vec<PathBuf>,
    /// Where `docker-credential-…` programs are looked for before PATH.
    pub helper_dirs: Vec<PathBuf>,
}

/// The text of a credentials file, not shown.
#[derive(Clone)]
pub struct Inline(pub String);

impl fmt::Debug for Inline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inline(..)")
    }
}

/// The part of a credentials file that is read.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl Entry {
    fn credential(&self) -> std::result::Result<Option<Credential>, String> {
        let (mut user, mut password) = (self.username.clone(), self.password.clone());
        if !self.auth.is_empty() {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(self.auth.trim())
                .map_err(|error| format!("its `auth` is not base64: {error}"))?;
            let text = String::from_utf8(bytes).map_err(|_| "its `auth` is not text".to_owned())?;
            let (first, second) =
                text.split_once(':').ok_or_else(|| "its `auth` is not `user:password`".to_owned())?;
            user = first.to_owned();
            // Docker for Windows once padded passwords with zeros.
            password = second.trim_end_matches('\0').to_owned();
        }
        Ok(if !self.registrytoken.is_empty() {
            Some(Credential::Bearer { token: self.registrytoken.clone() })
        } else if !self.identitytoken.is_empty() {
            Some(Credential::Identity { user, token: self.identitytoken.clone() })
        } else if user.is_empty() && password.is_empty() {
            None
        } else {
            Some(Credential::Basic { user, password })
        })
    }
}

impl Credentials {
    /// The credentials for a repository of a host, if there are any.
    pub fn find(&self, host: &str, repository: &str) -> Result<Option<Credential>> {
        let names = names(host, repository);
        let explicit = names.iter().find_map(|name| {
            self.explicit.iter().find(|(key, _)| normal(key) == *name).map(|(_, credential)| credential)
        });
        if let Some(credential) = explicit {
            return Ok(Some(credential.clone()));
        }
        if let Some(Inline(text)) = &self.inline {
            let path = Path::new("DOCKER_AUTH_CONFIG");
            if let Some(found) = self.search(&parse(text.as_bytes(), path)?, path, &names)? {
                return Ok(Some(found));
            }
        }
        for path in &self.files {
            let Some(bytes) = read(path)? else { continue };
            if let Some(found) = self.search(&parse(&bytes, path)?, path, &names)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn search(&self, file: &File, path: &Path, names: &[String]) -> Result<Option<Credential>> {
        for name in names {
            if let Some((key, helper)) = file.cred_helpers.iter().find(|(key, _)| normal(key) == *name)
                && let Some(found) = helper::get(&self.helper_dirs, helper, key)?
            {
                return Ok(Some(found));
            }
            for (key, entry) in &file.auths {
                if normal(key) == *name
                    && let Some(found) = entry.credential().map_err(|reason| {
                        let reason = format!("the entry `{key}`: {reason}");
                        Error::CredentialFile { path: path.to_owned(), reason }
                    })?
                {
                    return Ok(Some(found));
                }
            }
        }
        if !file.creds_store.is_empty()
            && let Some(host) = names.last()
        {
            return helper::get(&self.helper_dirs, &file.creds_store, docker_key(host));
        }
        Ok(None)
    }
}

/// The names that may hold credentials for a repository, most specific first.
fn names(host: &str, repository: &str) -> Vec<String> {
    let host = normal(host);
    let mut names = Vec::new();
    let mut path = repository;
    while !path.is_empty() {
        names.push(format!("{host}/{path}"));
        path = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    names.push(host);
    names
}

/// A key as registries are named elsewhere: without scheme and `/v1/`, and Docker Hub by its one name.
fn normal(key: &str) -> String {
    let (scheme, rest) = match key.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, key),
    };
    let rest = rest.trim_end_matches('/');
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    // Docker's own keys are URLs of hosts; their paths are API versions.
    let path = if scheme.is_some() || matches!(path, "v1" | "v2") { "" } else { path };
    let host = match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    };
    if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") }
}

/// A host's key in Docker's files and helpers.
fn docker_key(host: &str) -> &str {
    if host == "docker.io" { DOCKER_HUB_KEY } else { host }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    use std::io::Read as _;
    let wrong =
        |error: std::io::Error| Error::CredentialFile { path: path.to_owned(), reason: error.to_string() };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        // Another user's home, as under `sudo`, is no reason to fail an anonymous pull.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(wrong(error)),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST_FILE).read_to_end(&mut bytes).map_err(wrong)?;
    Ok(Some(bytes))
}

fn parse(bytes: &[u8], path: &Path) -> Result<File> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(File::default());
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Error::CredentialFile { path: path.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn basic(user: &str, password: &str) -> Option<Credential> {
        Some(Credential::Basic { user: user.to_owned(), password: password.to_owned() })
    }

    #[test]
    fn the_most_specific_name_wins_and_files_go_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("auth.json"), dir.path().join("config.json"));
        std::fs::write(
            &first,
            r#"{"auths":{"r.io":{"auth":"aDpo"},"r.io/team":{"auth":"dDp0"},"r.io/team/app":{"identitytoken":"id","auth":"dTo="}}}"#,
        )
        .unwrap();
        std::fs::write(
            &second,
            r#"{"auths":{"https://index.docker.io/v1/":{"username":"hub","password":"p"},"r.io":{"auth":"eDp4"},
               "https://old.io/v2/":{"auth":"bzpv"},"empty.io":{}},"other":1}"#,
        )
        .unwrap();
        let credentials = Credentials {
            explicit: [("e.io/x".to_owned(), basic("e", "e").unwrap())].into(),
            inline: Some(Inline(r#"{"auths":{"in.io":{"auth":"aTpp"}}}"#.into())),
            files: vec![dir.path().join("none.json"), first, second],
            helper_dirs: vec![],
        };
        let find = |host: &str, path: &str| credentials.find(host, path).unwrap();
        assert_eq!(find("r.io", "other"), basic("h", "h"));
        assert_eq!(find("r.io", "team/b"), basic("t", "t"));
        assert_eq!(find("r.io", "teams"), basic("h", "h"));
        assert_eq!(
            find("r.io", "team/app/deep"),
            Some(Credential::Identity { user: "u".into(), token: "id".into() })
        );
        assert_eq!(find("registry-1.docker.io", "library/a"), basic("hub", "p"));
        assert_eq!(find("old.io", "a"), basic("o", "o"));
        assert_eq!(find("empty.io", "a"), None);
        assert_eq!(find("in.io", "a"), basic("i", "i"));
        assert_eq!(find("e.io", "x/y"), basic("e", "e"));
        assert_eq!(find("e.io", "y"), None);
        assert_eq!(find("r.io:5000", "a"), None);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.json");
        for (text, words) in [
            ("{", "auth.json"),
            (r#"{"auths":{"a.io":{"auth":"!"}}}"#, "`a.io`: its `auth` is not base64"),
            (r#"{"auths":{"a.io":{"auth":"YQ=="}}}"#, "not `user:password`"),
        ] {
            std::fs::write(&path, text).unwrap();
            let credentials = Credentials { files: vec![path.clone()], ..Credentials::default() };
            let error = credentials.find("a.io", "b").unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?} {:?}", basic("me", "hush"), Inline("hush".into()));
        assert!(shown.contains("me") && !shown.contains("hush"), "{shown}");
    }

    /// A helper that keeps what it is told in a file beside it.
    fn helper(dir: &Path) -> PathBuf {
        let path = dir.join("docker-credential-test");
        let script = r#"#!/bin/sh
kept="$(dirname "$0")/kept"
case "$1" in
get) read -r key || true; grep -q "\"$key\"" "$kept" 2>/dev/null && cat "$kept" ||
  { echo "credentials not found in native keychain"; exit 1; } ;;
store) cat > "$kept" ;;
erase) rm -f "$kept" ;;
esac
"#;
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn helpers_get_store_and_erase() {
        let dir = tempfile::tempdir().unwrap();
        helper(dir.path());
        let path = dir.path().join("config.json");
        std::fs::write(&path, r#"{"credsStore":"test","keep":{"me":1}}"#).unwrap();
        let dirs = vec![dir.path().to_owned()];
        let credentials =
            Credentials { files: vec![path.clone()], helper_dirs: dirs.clone(), ..Credentials::default() };
        assert_eq!(credentials.find("docker.io", "library/a").unwrap(), None);
        let secret = basic("me", "hush\"\\").unwrap();
        assert_eq!(
            store(&path, &dirs, "docker.io", &secret).unwrap(),
            Stored::Helper("docker-credential-test".into())
        );
        assert_eq!(credentials.find("docker.io", "library/a").unwrap(), Some(secret));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("hush") && text.contains(DOCKER_HUB_KEY) && text.contains("keep"), "{text}");
        assert!(erase(&path, &dirs, "docker.io").unwrap());
        assert_eq!(credentials.find("docker.io", "library/a").unwrap(), None);
        let token = Credential::Identity { user: String::new(), token: "id".into() };
        store(&path, &dirs, "r.io:1", &token).unwrap();
        assert_eq!(credentials.find("r.io:1", "a").unwrap(), Some(token));
        std::fs::write(&path, r#"{"credHelpers":{"r.io":"absent"}}"#).unwrap();
        let error = credentials.find("r.io", "a").unwrap_err();
        assert!(error.to_string().contains("`docker-credential-absent`"), "{error}");
        assert!(error.hint().is_some());
    }

    #[test]
    fn files_are_edited_in_place_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/config.json");
        assert!(!erase(&path, &[], "docker.io").unwrap());
        let secret = basic("me", "pa:ss").unwrap();
        assert_eq!(store(&path, &[], "docker.io", &secret).unwrap(), Stored::File(path.clone()));
        store(&path, &[], "r.io:5000", &basic("r", "r").unwrap()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let credentials = Credentials { files: vec![path.clone()], ..Credentials::default() };
        assert_eq!(credentials.find("docker.io", "a/b").unwrap(), Some(secret.clone()));
        assert!(std::fs::read_to_string(&path).unwrap().contains(DOCKER_HUB_KEY));
        assert!(erase(&path, &[], "docker.io").unwrap());
        assert_eq!(credentials.find("docker.io", "a/b").unwrap(), None);
        assert_eq!(credentials.find("r.io:5000", "a").unwrap(), basic("r", "r"));
        // Containers' file uses the host itself; a link stays a link.
        let (real, link) = (dir.path().join("real.json"), dir.path().join("auth.json"));
        std::fs::write(&real, r#"{"x":1}"#).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        store(&link, &[], "docker.io", &secret).unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        let text = std::fs::read_to_string(&real).unwrap();
        assert!(text.contains("\"docker.io\"") && text.contains("\"x\""), "{text}");
        let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 3, "no temporary file is left: {names:?}");
    }
}
