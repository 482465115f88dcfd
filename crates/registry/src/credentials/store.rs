//! Logins kept and forgotten: in a credentials file, edited so that everything else in it stays, or by the helper that
//! the file names.

use super::{Credential, LONGEST_FILE, docker_key, helper, normal};
use crate::{Error, Result};
use base64::Engine as _;
use serde_json::{Map, Value, json};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where a login went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Into this file, encoded but not encrypted.
    File(PathBuf),
    /// To this program.
    Helper(String),
}

/// Keeps the login for `host` in the credentials file at `path` (Docker's `config.json` or containers' `auth.json`, told
/// apart by that name), or in the helper that the file names for it. A missing file is made, readable by its owner
/// alone. `helper_dirs` as in [`Credentials`](super::Credentials).
pub fn store(path: &Path, helper_dirs: &[PathBuf], host: &str, credential: &Credential) -> Result<Stored> {
    let mut document = load(path)?;
    let key = key_in(path, host);
    let helper = helper_for(&document, host);
    let entry = match &helper {
        Some(name) => {
            helper::store(helper_dirs, name, docker_key(&normal(host)), credential)?;
            // Docker lists the host so that its user sees who is logged in where.
            json!({})
        }
        None => match credential {
            Credential::Basic { user, password } => json!({ "auth": encode(user, password) }),
            Credential::Identity { user, token } => {
                json!({ "auth": encode(user, ""), "identitytoken": token })
            }
            Credential::Bearer { token } => json!({ "registrytoken": token }),
        },
    };
    let auths = document.entry("auths").or_insert_with(|| json!({}));
    let auths = auths.as_object_mut().ok_or_else(|| wrong(path, "its `auths` is no object"))?;
    auths.retain(|known, _| normal(known) != normal(host));
    auths.insert(key, entry);
    save(path, &document)?;
    Ok(helper.map_or_else(|| Stored::File(path.to_owned()), |name| Stored::Helper(helper::program(&name))))
}

/// Forgets the login for `host`; whether there was one in the file.
pub fn erase(path: &Path, helper_dirs: &[PathBuf], host: &str) -> Result<bool> {
    let mut document = load(path)?;
    if let Some(name) = helper_for(&document, host) {
        helper::erase(helper_dirs, &name, docker_key(&normal(host)))?;
    }
    let Some(auths) = document.get_mut("auths").and_then(Value::as_object_mut) else { return Ok(false) };
    let before = auths.len();
    auths.retain(|known, _| normal(known) != normal(host));
    if auths.len() == before {
        return Ok(false);
    }
    save(path, &document)?;
    Ok(true)
}

fn wrong(path: &Path, reason: impl ToString) -> Error {
    Error::CredentialFile { path: path.to_owned(), reason: reason.to_string() }
}

/// Docker knows its Hub by a URL of old, containers by its host.
fn key_in(path: &Path, host: &str) -> String {
    let host = normal(host);
    if path.file_name().is_some_and(|name| name == "auth.json") { host } else { docker_key(&host).to_owned() }
}

fn helper_for(document: &Map<String, Value>, host: &str) -> Option<String> {
    let by_host = document.get("credHelpers").and_then(Value::as_object).and_then(|helpers| {
        helpers.iter().find(|(key, _)| normal(key) == normal(host)).map(|(_, helper)| helper)
    });
    let name = by_host.or_else(|| document.get("credsStore"))?.as_str()?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn encode(user: &str, password: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
}

fn load(path: &Path) -> Result<Map<String, Value>> {
    let mut bytes = Vec::new();
    match std::fs::File::open(path) {
        Ok(file) => {
            file.take(LONGEST_FILE).read_to_end(&mut bytes).map_err(|error| wrong(path, error))?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(wrong(path, error)),
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    serde_json::from_slice(&bytes).map_err(|error| wrong(path, error))
}

/// Writes beside the file and renames, so that no reader and no crash sees half of it. A link's target is replaced.
fn save(path: &Path, document: &Map<String, Value>) -> Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| wrong(path, error))?;
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let beside = folder.join(format!(".credentials-{}-{number}", std::process::id()));
    let written = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        let mut text = serde_json::to_vec_pretty(document)?;
        text.push(b'\n');
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&beside, &target)
    };
    written().map_err(|error| {
        // Nothing is left of a failed try; that the removal fails too changes nothing.
        let _ = std::fs::remove_file(&beside);
        wrong(path, error)
    })
}
