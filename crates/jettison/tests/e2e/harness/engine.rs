//! Debian's docker engine, as a peer: on a socket of its own.

use super::{LIMIT, folder, run, short_folder};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The client of the package `docker.io`, before any other that was installed: it speaks BuildKit without a plugin.
const CLIENTS: &[&str] = &["/usr/bin/docker", "docker"];

/// An engine, ended when it is dropped. It has no networks but the host's.
pub(crate) struct DockerEngine {
    process: Child,
    client: &'static str,
    folder: TempDir,
    /// Its sockets, and those of its containerd.
    sockets: TempDir,
}

impl DockerEngine {
    /// Starts it. It ends with the thread that calls this.
    pub(crate) fn start() -> Self {
        let (folder, sockets) = (folder(), short_folder());
        let path = |name: &str| folder.path().join(name);
        let log = File::create(path("log")).unwrap();
        fs::write(path("daemon.json"), "{}").unwrap();
        let mut daemon = Command::new("setpriv");
        daemon
            .args([
                "--pdeathsig",
                "TERM",
                "dockerd",
                "--iptables=false",
                "--ip6tables=false",
                "--bridge=none",
            ])
            .arg(format!("--data-root={}", path("data").display()))
            .arg(format!("--exec-root={}", sockets.path().join("exec").display()))
            .arg(format!("--pidfile={}", path("pid").display()))
            .arg(format!("--config-file={}", path("daemon.json").display()))
            .arg(format!("--host=unix://{}", sockets.path().join("sock").display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let process =
            daemon.spawn().expect("`setpriv` and `dockerd` are installed by `cargo xtask test setup`");
        let client = CLIENTS.iter().find(|client| !client.starts_with('/') || fs::exists(client).unwrap());
        let mut engine = Self { process, client: client.expect("the list has a bare name"), folder, sockets };
        let begun = Instant::now();
        loop {
            let version = run(engine.docker(&["version", "--format", "{{.Server.Version}}"]), LIMIT);
            if version.code == Some(0) {
                return engine;
            }
            let ended = engine.process.try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < Duration::from_secs(60),
                "dockerd does not start ({ended:?}):\n{}\n{}",
                version.stderr,
                fs::read_to_string(engine.folder.path().join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The client with arguments.
    pub(crate) fn docker(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.client);
        command
            .args(args)
            .stdin(Stdio::null())
            .env("DOCKER_HOST", format!("unix://{}", self.sockets.path().join("sock").display()))
            .env("DOCKER_CONFIG", self.path("client"))
            .env("DOCKER_BUILDKIT", "1");
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for DockerEngine {
    /// Asks it to end, so that it ends its own containerd and unmounts what it mounted.
    fn drop(&mut self) {
        let process = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if self.process.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
