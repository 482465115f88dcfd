//! Certificates of the tests' own, by `openssl`.

use super::{LIMIT, folder, run};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// An authority that nobody trusts yet.
pub(crate) struct Authority {
    folder: TempDir,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let authority = Self { folder: folder() };
        authority.request("authority", &["-days", "2"]);
        authority
    }

    /// Its own certificate, as PEM.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("authority.crt")
    }

    /// A certificate for a host or a client.
    pub(crate) fn sign(&self, name: &str) -> Identity {
        let (own, key) = (self.certificate(), self.folder.path().join("authority.key"));
        let (alternative, leaf) =
            (format!("subjectAltName=DNS:{name}"), "basicConstraints=critical,CA:FALSE");
        let signer = ["-CA", own.to_str().unwrap(), "-CAkey", key.to_str().unwrap()];
        self.request(name, &[&signer[..], &["-days", "2", "-addext", &alternative, "-addext", leaf]].concat())
    }

    fn request(&self, name: &str, more: &[&str]) -> Identity {
        let path = |end: &str| self.folder.path().join(format!("{name}.{end}"));
        let identity = Identity { certificate: path("crt"), key: path("key") };
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", &format!("/CN={name}")]);
        command.arg("-keyout").arg(&identity.key).arg("-out").arg(&identity.certificate).args(more);
        run(command, LIMIT).ok();
        identity
    }
}
