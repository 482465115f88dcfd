//! A real registry on the loopback: Debian's docker-registry.

use super::authority::Identity;
use super::{LIMIT, TokenServer, folder, http, run};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A registry, stopped when it is dropped.
pub(crate) struct Registry {
    /// Its address: `127.0.0.1:PORT`.
    pub(crate) address: String,
    process: Child,
    folder: TempDir,
    _users: Option<TempDir>,
}

impl Registry {
    /// A registry that anyone may use.
    pub(crate) fn open() -> Self {
        Self::start("", "")
    }

    /// A registry that asks for a user and a password.
    pub(crate) fn locked(user: &str, password: &str) -> Self {
        let mut htpasswd = Command::new("htpasswd");
        htpasswd.args(["-Bbn", "-C", "4", user, password]);
        let users = folder();
        let file = users.path().join("htpasswd");
        fs::write(&file, run(htpasswd, LIMIT).ok().stdout).unwrap();
        let auth = format!("auth:\n  htpasswd: {{realm: test, path: \"{}\"}}\n", file.display());
        let mut registry = Self::start("", &auth);
        registry._users = Some(users);
        registry
    }

    /// A registry that a token server stands before.
    pub(crate) fn guarded(tokens: &TokenServer) -> Self {
        Self::start("", &tokens.settings())
    }

    /// A registry that speaks TLS, and to those alone who show a certificate of the authority `clients`, if there is
    /// one.
    pub(crate) fn with_tls(identity: &Identity, clients: Option<&Path>) -> Self {
        let Identity { certificate, key } = identity;
        let clients = clients.map(|path| format!(", clientcas: [\"{}\"]", path.display()));
        let tls = format!(
            ", tls: {{certificate: \"{}\", key: \"{}\"{}}}",
            certificate.display(),
            key.display(),
            clients.unwrap_or_default()
        );
        Self::start(&tls, "")
    }

    /// The port of its address.
    pub(crate) fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap()
    }

    /// Changes a byte of the largest blob it holds.
    pub(crate) fn damage_largest_blob(&self) {
        let blobs = self.folder.path().join("data/docker/registry/v2/blobs/sha256");
        let folders =
            |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let blobs =
            folders(&blobs).into_iter().flat_map(|folder| folders(&folder)).map(|blob| blob.join("data"));
        let largest = blobs.max_by_key(|blob| fs::metadata(blob).unwrap().len()).expect("it holds blobs");
        let mut bytes = fs::read(&largest).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(largest, bytes).unwrap();
    }

    /// Starts it with more settings: of its listener, and of the whole.
    fn start(listener: &str, more: &str) -> Self {
        let folder = folder();
        // The port may be taken by another before the registry has it; then another one is tried.
        for _ in 0..5 {
            let port = free_port();
            let address = format!("127.0.0.1:{port}");
            let path = folder.path().display();
            let settings = format!(
                "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {path}/data}}\n  delete: {{enabled: true}}\nhttp: {{addr: \"{address}\"{listener}}}\n{more}"
            );
            fs::write(folder.path().join("settings.yml"), settings).unwrap();
            let log = File::create(folder.path().join("log")).unwrap();
            let mut process = Command::new("docker-registry")
                .arg("serve")
                .arg(folder.path().join("settings.yml"))
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .spawn()
                .expect("`docker-registry` is installed by `cargo xtask test setup`");
            let begun = Instant::now();
            while process.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(20) {
                if http(port, "/v2/").is_ok() {
                    return Self { address, process, folder, _users: None };
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!(
            "the registry does not start: {}",
            fs::read_to_string(folder.path().join("log")).unwrap_or_default()
        )
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A loopback port that nobody listens on just now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
