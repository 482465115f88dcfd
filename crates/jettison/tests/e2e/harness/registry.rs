//! A real registry on the loopback: Debian's docker-registry.

use super::{LIMIT, folder, http, run};
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
}

impl Registry {
    /// A registry that anyone may use.
    pub(crate) fn open() -> Self {
        Self::start(None)
    }

    /// A registry that asks for a user and a password.
    pub(crate) fn locked(user: &str, password: &str) -> Self {
        let mut htpasswd = Command::new("htpasswd");
        htpasswd.args(["-Bbn", "-C", "4", user, password]);
        Self::start(Some(run(htpasswd, LIMIT).ok().stdout))
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

    fn start(htpasswd: Option<String>) -> Self {
        let folder = folder();
        // The port may be taken by another before the registry has it; then another one is tried.
        for _ in 0..5 {
            let port = free_port();
            let address = format!("127.0.0.1:{port}");
            let path = folder.path().display();
            let mut settings = format!(
                "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {path}/data}}\n  delete: {{enabled: true}}\nhttp: {{addr: \"{address}\"}}\n"
            );
            if let Some(users) = &htpasswd {
                fs::write(folder.path().join("htpasswd"), users).unwrap();
                settings += &format!("auth:\n  htpasswd: {{realm: test, path: {path}/htpasswd}}\n");
            }
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
                    return Self { address, process, folder };
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
