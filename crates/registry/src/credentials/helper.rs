//! Programs that keep credentials: `docker-credential-NAME get|store|erase`, JSON on standard input and output
//! (docker-credential-helpers' protocol).

use super::Credential;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A helper says no more than this.
const LONGEST_ANSWER: u64 = 1 << 20;
/// The user name that marks an identity token.
const TOKEN_USER: &str = "<token>";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Secret {
    #[serde(rename = "ServerURL", default)]
    server: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

/// What the helper keeps for `key`; nothing if it says that it has nothing.
pub(super) fn get(dirs: &[PathBuf], name: &str, key: &str) -> Result<Option<Credential>> {
    let (good, output) = run(dirs, name, "get", key, key.as_bytes())?;
    let failed = |reason: String| Error::Helper { helper: program(name), registry: key.to_owned(), reason };
    if !good {
        let words = output.trim();
        if words.contains("credentials not found") || words.is_empty() {
            return Ok(None);
        }
        return Err(failed(words.lines().next().unwrap_or_default().to_owned()));
    }
    let secret: Secret =
        serde_json::from_str(&output).map_err(|error| failed(format!("its answer: {error}")))?;
    Ok(match secret {
        Secret { secret, .. } if secret.is_empty() => None,
        Secret { username, secret, .. } if username == TOKEN_USER => {
            Some(Credential::Identity { user: String::new(), token: secret })
        }
        Secret { username, secret, .. } => Some(Credential::Basic { user: username, password: secret }),
    })
}

/// Gives the helper a secret to keep.
pub(super) fn store(dirs: &[PathBuf], name: &str, key: &str, credential: &Credential) -> Result<()> {
    let (username, secret) = match credential {
        Credential::Basic { user, password } => (user.clone(), password.clone()),
        Credential::Identity { token, .. } | Credential::Bearer { token } => {
            (TOKEN_USER.to_owned(), token.clone())
        }
    };
    let secret = Secret { server: key.to_owned(), username, secret };
    let input = serde_json::to_vec(&secret).expect("because a secret holds only strings");
    done(run(dirs, name, "store", key, &input)?, name, key)
}

/// Makes the helper forget a secret.
pub(super) fn erase(dirs: &[PathBuf], name: &str, key: &str) -> Result<()> {
    done(run(dirs, name, "erase", key, key.as_bytes())?, name, key)
}

fn done((good, output): (bool, String), name: &str, key: &str) -> Result<()> {
    if good {
        return Ok(());
    }
    let reason = output.trim().lines().next().unwrap_or_default().to_owned();
    Err(Error::Helper { helper: program(name), registry: key.to_owned(), reason })
}

pub(super) fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// Whether it succeeded, and what it wrote; where it wrote nothing, what it said on standard error.
fn run(dirs: &[PathBuf], name: &str, action: &str, key: &str, input: &[u8]) -> Result<(bool, String)> {
    let helper = program(name);
    let failed = |reason: String| Error::Helper { helper: program(name), registry: key.to_owned(), reason };
    // The name comes from a file and must stay a program's name.
    if name.is_empty() || name.contains('/') {
        return Err(failed(format!("`{name}` is not the name of a credential helper")));
    }
    let path = dirs.iter().map(|dir| dir.join(&helper)).find(|path| path.is_file());
    let mut child = Command::new(path.as_deref().unwrap_or(Path::new(&helper)))
        .arg(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    // A helper that does not read its input may end first; its answer counts.
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input);
    }
    let mut output = Vec::new();
    let read = match child.stdout.take() {
        Some(stdout) => stdout.take(LONGEST_ANSWER).read_to_end(&mut output),
        None => Ok(0),
    };
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    read.map_err(|error| failed(error.to_string()))?;
    Ok((status.success(), String::from_utf8_lossy(&output).into_owned()))
}
